"""How often one network may ask for what costs much. Kept in memory, for minutes."""

from collections import deque
from datetime import datetime, timedelta
from threading import Lock

from service.subscribers.limits import Limit, visitor_network

MOST_NETWORKS = 10_000

EACH = Limit(20, timedelta(minutes=5))
OVERALL = Limit(120, timedelta(minutes=1))


class Throttle:
    """Counts what each network asks for, and everybody together. Safe to share by threads."""

    def __init__(self, *, each: Limit = EACH, overall: Limit = OVERALL) -> None:
        """Let each network ask ``each``, and everybody together ``overall``."""
        self._each, self._overall = each, overall
        self._asked: dict[str | None, deque[datetime]] = {}
        self._lock = Lock()

    def take(self, client: str | None, now: datetime) -> bool:
        """Count one more by a client's address; False, and nothing is counted, where it is too many.

        This machine and private networks stand for a proxy, so that only the overall limit holds for them.
        """
        network = visitor_network(client)
        limits = [(None, self._overall), *([(network, self._each)] if network else [])]
        with self._lock:
            if len(self._asked) > MOST_NETWORKS:
                self._asked.clear()
            for key, limit in limits:
                times = self._asked.setdefault(key, deque())
                while times and times[0] <= now - limit.within:
                    times.popleft()
                if len(times) >= limit.count:
                    return False
            for key, _ in limits:
                self._asked[key].append(now)
            return True
