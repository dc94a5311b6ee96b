"""What somebody's next digest would hold now, from papers looked up every few minutes for everybody."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from threading import Lock

import numpy as np
from sqlalchemy.orm import Session

from service.digests.choosing import Draft, load_full_profiles
from service.digests.previewing import draft_now
from service.digests.window import LONGEST_DAYS, Shelves
from service.papers.embedding.phrases import PhraseVectors
from service.ranking.corpus import Corpus
from service.ranking.muting import muted
from service.ranking.values import Profile
from service.subscribers.tables import SubscriberRow

FRESH = timedelta(minutes=5)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hidden:
    """How many papers mutes keep away, of those one may choose from now."""

    counts: Mapping[str, int]
    all: int
    papers: int


class ListBoard:
    """Keeps the papers one may choose from for five minutes. Safe to share by threads, one at a time."""

    def __init__(
        self, *, patience: timedelta, phrases: Callable[[], PhraseVectors | None] = lambda: None
    ) -> None:
        """Start empty; sources silent for longer than ``patience`` are out.

        ``phrases`` opens the vectors by which meaning counts as it does in the mail, when first needed.
        """
        self._patience = patience
        self._phrases = phrases
        self._lock = Lock()
        self._shelves: Shelves | None = None

    def draft(self, session: Session, person: SubscriberRow, now: datetime) -> Draft | None:
        """Return what a person's digest would be; None if it would be empty."""
        profile = load_full_profiles(session, [person.id], now, days=LONGEST_DAYS)[person.id]
        with self._lock:
            return draft_now(session, person, profile, self._fresh(now))

    def try_out(
        self, session: Session, profile: Profile, now: datetime, *, timezone: str, count: int
    ) -> Draft | None:
        """Return what somebody with this profile would get, who has had no digest yet; None if nothing."""
        stranger = SubscriberRow(
            id=0, public_id=0, address="", timezone=timezone, paper_count=count, token_version=0
        )
        with self._lock:
            return draft_now(session, stranger, profile, self._fresh(now))

    def hidden(self, session: Session, mutes: Iterable[str], now: datetime) -> Hidden:
        """Count the papers one may choose from now, and how many each of ``mutes`` hides."""
        with self._lock:
            shelves = self._fresh(now)
            corpus = shelves.window(session, shelves.rolling_days(session), ()).corpus
            counts = {mute: int(np.count_nonzero(muted(corpus, [mute]))) for mute in mutes}
            return Hidden(
                counts=counts, all=int(np.count_nonzero(muted(corpus, counts))), papers=corpus.count
            )

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
            self._shelves = Shelves(now, patience=self._patience, phrases=self._phrases())
        return self._shelves
