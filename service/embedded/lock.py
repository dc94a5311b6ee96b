"""One ``serve`` for each data folder: a lock the system gives back however its holder ends."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from service.folders import make_folder

try:
    import fcntl
except ImportError:  # Windows: no lock, and no Valkey either
    fcntl = None  # type: ignore[assignment]


class AlreadyRunning(Exception):
    """Another process serves this folder; the message names it."""


@contextmanager
def only_one(folder: Path) -> Iterator[None]:
    """Hold the folder's lock while the block lasts.

    Raises:
        AlreadyRunning: another process holds it.
        OSError: the folder can't be made or written.
    """
    make_folder(folder)
    with (folder / "serve.lock").open("a+") as file:
        if fcntl is not None:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                file.seek(0)
                holder = file.read().strip() or "unknown"
                raise AlreadyRunning(
                    f"paperlark serve already runs on {folder} (process {holder})"
                ) from error
        file.seek(0)
        file.truncate()
        file.write(f"{os.getpid()}\n")
        file.flush()
        yield
