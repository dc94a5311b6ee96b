"""How papers trend at this moment, worked out for everybody who looks when there is something new to see."""

from datetime import datetime, timedelta
from threading import Lock

from sqlalchemy.orm import Session

from service.papers import shelf
from service.papers.trend import trends
from service.ranking.values import Trend

WINDOW = timedelta(days=31)  # as in digests: the trend compares with papers of thirty days
FRESH = timedelta(minutes=1)
KEPT = timedelta(minutes=10)  # without a newer look, age alone changes the trends, and slowly


class TrendBoard:
    """Keeps the trends of the last month's papers. Safe to share by threads."""

    def __init__(self) -> None:
        """Start empty."""
        self._lock = Lock()
        self._made_at: datetime | None = None
        self._checked_at: datetime | None = None
        self._newest: datetime | None = None
        self._trends: dict[str, Trend] = {}

    def at(self, session: Session, now: datetime) -> dict[str, Trend]:
        """Return the trends by paper id; a look is in them within a minute."""
        with self._lock:
            if not _within(FRESH, self._checked_at, now):
                newest = shelf.newest_look_at(session, now)
                if newest != self._newest or not _within(KEPT, self._made_at, now):
                    seen = shelf.sightings(session, since=now - WINDOW, until=now)
                    self._trends = trends(seen, now, traits=shelf.traits(session, now))
                    self._made_at, self._newest = now, newest
                self._checked_at = now
            return self._trends


def _within(span: timedelta, instant: datetime | None, now: datetime) -> bool:
    return instant is not None and timedelta(0) <= now - instant < span
