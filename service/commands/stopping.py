"""The word to stop, for a command that is at work: it ends at the next safe point."""

import contextlib
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM)
STOPPING = b"Stopping once what is on its way has been answered; press or send it again to leave at once.\n"
SIGNALLED = 128  # what shells add to the number of the signal that ended a command


class Word:
    """Whether the word to stop has come, and by which signal."""

    def __init__(self) -> None:
        """Know of none yet."""
        self.number: int | None = None

    def __call__(self) -> bool:
        """Say whether to stop."""
        return self.number is not None


@contextmanager
def until_told() -> Iterator[Word]:
    """Take Ctrl-C and SIGTERM for the word to stop; the second does at once what it always does."""
    word = Word()
    before: dict[signal.Signals, Any] = {}

    def hear(number: int, _frame: FrameType | None) -> None:
        word.number = number
        for each, usual in before.items():
            signal.signal(each, usual)
        with contextlib.suppress(OSError):
            os.write(2, STOPPING)  # not sys.stderr: we may have come in the middle of one of its own writes

    for one in SIGNALS:
        before[one] = signal.signal(one, hear)
    try:
        yield word
    finally:
        for one, usual in before.items():
            signal.signal(one, usual)
