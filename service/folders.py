"""What Paperlark makes on disk is for its own user alone: addresses, keys and mails lie there.

What exists already keeps the permissions its owner gave it.
"""

import contextlib
import os
from pathlib import Path

FOLDER_MODE = 0o700
FILE_MODE = 0o600


def make_folder(folder: Path) -> None:
    """Make ``folder`` and the parents it lacks, open to this user only.

    Raises:
        OSError: it is a file, or can't be made.
    """
    # mkdir(parents=True) would leave the parents it makes, such as the data folder, open to everybody.
    for missing in [parent for parent in reversed(folder.parents) if not parent.exists()]:
        missing.mkdir(mode=FOLDER_MODE, exist_ok=True)
    folder.mkdir(mode=FOLDER_MODE, exist_ok=True)


def make_file(path: Path) -> None:
    """Make ``path`` an empty file that only this user can read, unless it exists or can't be made."""
    # Never open one that exists: closing it again would drop the locks this process holds on it.
    with contextlib.suppress(OSError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, FILE_MODE))
