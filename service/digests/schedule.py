"""When a digest is due: local wall-clock hours turned into instants. Pure.

The rules are those of trust.md 93-97: zones are IANA names and instants are computed with the tz database of
this moment, an hour in a spring gap happens once, just after the gap, and an hour that comes twice in autumn
counts the first time.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

CATCH_UP_HOUR = 20  # local: a digest missed in the morning may still come until then
LATE_HOUR = 18  # from this hour on, it may come until its date ends
SHORTEST_WINDOW = timedelta(hours=1)
DAY = timedelta(days=1)


class NoSuchDate(ValueError):
    """The date never was in that zone, as 30 December 2011 in Apia."""


@dataclass(frozen=True, slots=True, eq=False)
class Slot:
    """One hour of one local date in one zone: due from ``due_at`` on, until just before ``cutoff_at``.

    Zones whose clocks agree share the very same object, which makes them quick to tell apart and to join.
    """

    issue_date: date
    hour: int
    due_at: datetime
    cutoff_at: datetime


@lru_cache(maxsize=1024)
def open_zone(name: str) -> ZoneInfo:
    """Return the zone of an IANA name; UTC for a name this machine's tz database doesn't know.

    A name that was good at sign-up and is gone after an update must not cost its people their digests.
    """
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return ZoneInfo("UTC")


def local_date(zone: ZoneInfo, now: datetime) -> date:
    """Return the date on a wall calendar in ``zone`` at the instant ``now``."""
    return now.astimezone(zone).date()


def due_at(zone: ZoneInfo, day: date, hour: int) -> datetime:
    """Return the instant (UTC) at which ``hour`` o'clock of the local date ``day`` comes.

    An hour that is skipped gives the first instant after the gap; one that comes twice, its first coming.

    Raises:
        NoSuchDate: the whole date was skipped.
    """
    wall = datetime.combine(day, time(hour))
    instant = wall.replace(tzinfo=zone, fold=0).astimezone(UTC)
    if instant.astimezone(zone).replace(tzinfo=None) == wall:
        return instant
    instant = _end_of_gap(zone, wall)
    if instant.astimezone(zone).date() != day and not _exists(zone, day):
        raise NoSuchDate(f"{day} never was in {zone.key}")
    return instant


def cutoff_at(zone: ZoneInfo, day: date, hour: int) -> datetime:
    """Return the instant until which the digest due at ``hour`` of ``day`` may still be planned.

    That is 20:00 local on the same date for hours before 18, the end of the date for later ones, and never
    less than an hour after the digest is due.

    Raises:
        NoSuchDate: the whole date was skipped.
    """
    due = due_at(zone, day, hour)
    limit = due_at(zone, day, CATCH_UP_HOUR) if hour < LATE_HOUR else _end_of_date(zone, day)
    return max(limit, due + SHORTEST_WINDOW)


def due_slots(zone: ZoneInfo, now: datetime) -> list[Slot]:
    """Return the slots of ``zone`` that are due at ``now`` and not past their cutoff, the earliest first."""
    return [slot for slot in _slots(zone, now, days_back=1) if slot.due_at <= now < slot.cutoff_at]


def passed_slots(zone: ZoneInfo, after: datetime, now: datetime) -> list[Slot]:
    """Return the slots of ``zone`` whose cutoff came after ``after`` and not after ``now``."""
    days_back = max((local_date(zone, now) - local_date(zone, after)).days, 0) + 1
    return [slot for slot in _slots(zone, now, days_back=days_back) if after < slot.cutoff_at <= now]


def next_due_at(zone: ZoneInfo, weekdays: int, hour: int, after: datetime) -> datetime | None:
    """Return the first instant later than ``after`` at which somebody with these preferences is due.

    ``weekdays`` is a bit mask, bit 0 Monday. None when no weekday is set.
    """
    for offset in range(-1, 16):  # two weeks: a skipped date may be the only one of its week
        day = local_date(zone, after) + offset * DAY
        if falls_on(weekdays, day) and _exists(zone, day) and due_at(zone, day, hour) > after:
            return due_at(zone, day, hour)
    return None


def falls_on(weekdays: int, day: date) -> bool:
    """Say whether ``day`` is among ``weekdays``, a bit mask whose bit 0 is Monday."""
    return bool(weekdays >> day.weekday() & 1)


def _slots(zone: ZoneInfo, now: datetime, *, days_back: int) -> Iterator[Slot]:
    today = local_date(zone, now)
    for offset in range(-days_back, 1):
        yield from _slots_of(zone, today + offset * DAY)


@lru_cache(maxsize=10_000)
def _slots_of(zone: ZoneInfo, day: date) -> tuple[Slot, ...]:
    """Return the slots of a date; every tick of the day asks for them again."""
    if not _exists(zone, day):
        return ()
    return tuple(_slot(day, hour, due_at(zone, day, hour), cutoff_at(zone, day, hour)) for hour in range(24))


_slot = lru_cache(maxsize=50_000)(Slot)


def _exists(zone: ZoneInfo, day: date) -> bool:
    """Say whether any instant had ``day`` as its local date: the one just before its end tells."""
    return local_date(zone, _end_of_date(zone, day) - timedelta(microseconds=1)) == day


def _end_of_date(zone: ZoneInfo, day: date) -> datetime:
    """Return the first instant (UTC) of the local dates after ``day``."""
    wall = datetime.combine(day + DAY, time(0))
    instant = wall.replace(tzinfo=zone, fold=0).astimezone(UTC)
    if instant.astimezone(zone).replace(tzinfo=None) == wall:
        return instant
    return _end_of_gap(zone, wall)


def _end_of_gap(zone: ZoneInfo, wall: datetime) -> datetime:
    """Return the first instant after the gap in which the wall time ``wall`` is missing.

    With fold=1 Python reads a missing time by the offset after the gap, which gives an instant before it;
    with fold=0 by the offset before, which gives one after it (PEP 495). The jump lies between.
    """
    low = wall.replace(tzinfo=zone, fold=1).astimezone(UTC)
    high = wall.replace(tzinfo=zone, fold=0).astimezone(UTC)
    while high - low > timedelta(seconds=1):
        middle = (low + (high - low) / 2).replace(microsecond=0)
        if middle <= low:
            break
        if middle.astimezone(zone).replace(tzinfo=None) < wall:
            low = middle
        else:
            high = middle
    return high
