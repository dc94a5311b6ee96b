"""How papers trend at this moment, worked out once a minute for everybody who looks."""

from datetime import datetime, timedelta
from threading import Lock

from sqlalchemy.orm import Session

from service.papers import shelf
from service.papers.trend import trends
from service.ranking.values import Trend

WINDOW = timedelta(days=14)
FRESH = timedelta(minutes=1)


class TrendBoard:
    """Keeps the trends of the last two weeks' papers for a minute. Safe to share by threads."""

    def __init__(self) -> None:
        """Start empty."""
        self._lock = Lock()
        self._made_at: datetime | None = None
        self._trends: dict[str, Trend] = {}

    def at(self, session: Session, now: datetime) -> dict[str, Trend]:
        """Return the trends by paper id, at most a minute old."""
        with self._lock:
            if self._made_at is None or not timedelta(0) <= now - self._made_at < FRESH:
                self._trends = trends(shelf.sightings(session, since=now - WINDOW, until=now), now)
                self._made_at = now
            return self._trends
