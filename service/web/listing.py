"""What somebody's next digest would hold now, from papers looked up every few minutes for everybody."""

from datetime import datetime, timedelta
from threading import Lock

from sqlalchemy.orm import Session

from service.digests.choosing import Draft, load_full_profiles
from service.digests.previewing import draft_now
from service.digests.window import LONGEST_DAYS, Shelves
from service.ranking.corpus import Corpus
from service.ranking.values import Profile
from service.subscribers.tables import SubscriberRow

FRESH = timedelta(minutes=5)


class ListBoard:
    """Keeps the papers one may choose from for five minutes. Safe to share by threads, one at a time."""

    def __init__(self, *, patience: timedelta) -> None:
        """Start empty; sources silent for longer than ``patience`` are out."""
        self._patience = patience
        self._lock = Lock()
        self._shelves: Shelves | None = None

    def draft(self, session: Session, person: SubscriberRow, now: datetime) -> Draft | None:
        """Return what a person's digest would be; None if it would be empty."""
        profile = load_full_profiles(session, [person.id], now, days=LONGEST_DAYS)[person.id]
        with self._lock:
            return draft_now(session, person, profile, self._fresh(now))

    def learned(self, session: Session, person: SubscriberRow, now: datetime) -> tuple[Profile, Corpus]:
        """Return a person's profile with the papers that a digest chooses from and those answered."""
        profile = load_full_profiles(session, [person.id], now, days=LONGEST_DAYS)[person.id]
        named = {id_ for one in profile.interests for id_ in one.examples}.union(
            profile.liked, profile.disliked
        )
        with self._lock:
            return profile, self._fresh(now).window(session, LONGEST_DAYS, named).corpus

    def _fresh(self, now: datetime) -> Shelves:
        """Look at the papers anew when the last look is too old. The caller holds the lock."""
        if self._shelves is None or not timedelta(0) <= now - self._shelves.now < FRESH:
            self._shelves = Shelves(now, patience=self._patience)
        return self._shelves
