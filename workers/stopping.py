"""The word to stop, heard by every process of a worker: long tasks end at the next safe point."""

import mmap
import time
from collections.abc import Callable

# A task ends itself after so long and rings again, well below the broker's visibility timeout.
LONGEST_RUN_SECONDS = 60.0

# One byte shared with the processes forked later: Celery tells only the parent that it is shutting down.
_flag = mmap.mmap(-1, 1)


def stop_all() -> None:
    """Ask every task of this worker to end soon."""
    _flag[0] = 1


def is_stopping() -> bool:
    """Return whether the worker is shutting down."""
    return _flag[0] == 1


def should_stop_after(
    seconds: float = LONGEST_RUN_SECONDS, monotonic: Callable[[], float] = time.monotonic
) -> Callable[[], bool]:
    """Return a question for long work: true when the worker shuts down or ``seconds`` have passed."""
    end = monotonic() + seconds
    return lambda: is_stopping() or monotonic() >= end
