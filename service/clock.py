"""Time as an argument: everything that needs to know the hour is given a clock. Nothing else reads it."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

EARLIEST_YEAR, LATEST_YEAR = 1991, 2100  # arXiv began in 1991; beyond either end sums of days run over

Clock = Callable[[], datetime]
"""Returns the present instant as an aware datetime in UTC."""


def system_clock() -> datetime:
    """Return the machine's present instant in UTC."""
    return datetime.now(UTC)


def parse_instant(text: str) -> datetime:
    """Read an ISO 8601 instant such as ``2026-02-13T08:00:00Z``.

    A value without an offset is taken as UTC, a bare date as its midnight in UTC.

    Raises:
        ValueError: the text is no ISO 8601 date or instant of 1991 to 2100; the message names it.
    """
    try:
        value = datetime.fromisoformat(text.strip())
    except ValueError as error:
        raise ValueError(f"{text!r} is not an instant; write it like 2026-02-13T08:00:00Z") from error
    if not EARLIEST_YEAR <= value.year <= LATEST_YEAR:
        raise ValueError(f"{text!r} is not an instant from {EARLIEST_YEAR} to {LATEST_YEAR}")
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


@dataclass(slots=True)
class SettableClock:
    """A clock that stands where it is put: for replays of the past and for tests."""

    now: datetime

    def __call__(self) -> datetime:
        return self.now

    def advance(self, by: timedelta) -> datetime:
        """Move the clock forward by ``by`` and return the new instant."""
        self.now += by
        return self.now
