"""Progress of long work: a bar in a terminal, a line in a log, silence where neither is wanted."""

from collections.abc import Callable

Progress = Callable[[int, int | None, str], None]
"""Called with units done, units in all (None if unknown) and what they are."""


def no_progress(done: int, total: int | None, what: str) -> None:
    """Say nothing."""
