"""Messages that commands are given: files, or standard input."""

import sys
from pathlib import Path


def read_message(file: Path) -> bytes:
    """Return the octets of a message file; of standard input for a dash.

    Raises:
        OSError: it can't be read.
    """
    return sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
