"""Spreads the digests of an hour over some minutes: eight o'clock is then no spike to those who receive them.

Everybody keeps their own minute, day for day, worked out from what names them; nobody's is before their hour.
Pure.
"""

import hashlib
from datetime import datetime, timedelta

# So many a second need no spreading; from there on the window grows with the number of people.
UNNOTICED = 100
SHORTEST = timedelta(minutes=1)  # less than the distance of two ticks is not worth it
PUNCTUAL = timedelta(minutes=2)  # planned so long after the hour, it still counts from the hour


def window_for(people: int, longest: timedelta) -> timedelta:
    """Return over how long the digests of so many people are spread; zero for few."""
    window = min(longest, timedelta(seconds=people / UNNOTICED))
    return window if window >= SHORTEST else timedelta()


def share_of(public_id: int) -> float:
    """Return a subscriber's place in the window: 0 is its beginning, 1 its end. Always the same."""
    digest = hashlib.sha256(f"paperlark/spread/{public_id}".encode()).digest()
    return int.from_bytes(digest[:6], "big") / 2**48


def send_at(
    public_id: int, *, due_at: datetime, cutoff_at: datetime, now: datetime, window: timedelta
) -> datetime:
    """Return when a digest goes out: in the window after its hour, or after ``now`` if that was missed.

    Never before the hour and never at its cutoff or later, unless ``now`` is.
    """
    start = due_at if due_at <= now <= due_at + PUNCTUAL else max(now, due_at)
    window = max(timedelta(), min(window, cutoff_at - start - timedelta(seconds=1)))
    return max(now, start + share_of(public_id) * window)
