"""Chooses the papers of each person who is due, a chunk at once, and says why a digest is not to be.

Reads only. Who is to wait (for a source that is out, or for the gap to the last digest) gets no draft.
"""

import hashlib
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy.orm import Session

from service.digests import ledger
from service.digests.due import Due
from service.digests.window import Shelves, Window
from service.papers.trend import TREND_VERSION
from service.ranking.matching import read_phrases
from service.ranking.selecting import FORMULA, select
from service.ranking.values import Profile, Selection
from service.subscribers.answers import with_answers
from service.subscribers.profiles import load_profiles

OWNERS_AT_ONCE = 4  # of libraries: at most 200 works to compare with beside the candidates
SHORTEST_GAP = timedelta(hours=18)  # between two scheduled digests, after a change of hour or zone


class Draft(NamedTuple):
    """A digest to be stored: mailed with its papers, or skipped for a reason."""

    due: Due
    skip_reason: str | None = None
    selection: Selection | None = None
    window: Window | None = None
    formula: str | None = None
    notice: str | None = None

    @property
    def is_mailed(self) -> bool:
        """Whether it is to be mailed."""
        return self.skip_reason is None

    @property
    def papers(self) -> list[str]:
        """The ids of its papers, in the order mailed."""
        lists = () if self.selection is None else self.selection.lists
        return [paper.id for _, papers in lists for paper in papers]


def draft_digests(session: Session, shelves: Shelves, chunk: Sequence[Due]) -> list[Draft]:
    """Draft the digests of ``chunk``, who are all due; people who are to wait are left out."""
    ready = _without_early(shelves.now, chunk)
    if shelves.is_outage(session):
        ready = [due for due in ready if due.is_first or shelves.has_news_since(session, due.last_digest_at)]
    if not ready:
        return []
    drafts = []
    by_days: dict[int, list[Due]] = {}
    for due in ready:
        by_days.setdefault(shelves.days_for(session, due), []).append(due)
    for days, people in sorted(by_days.items()):
        profiles = load_full_profiles(session, [due.subscriber_id for due in people], shelves.now, days=days)
        still_there = [due for due in people if due.subscriber_id in profiles]
        for group in _groups(still_there, profiles):
            drafts += choose(session, shelves, days, group, profiles)
    return drafts


def _groups(people: Sequence[Due], profiles: dict[int, Profile]) -> list[Sequence[Due]]:
    """Part a chunk: who has a library is taken a few at a time.

    What a library holds is its owner's alone; the time to compare grows with all that is compared at once.
    """
    owners = [due for due in people if any(one.library for one in profiles[due.subscriber_id].interests)]
    if not owners:
        return [people]
    ids = {due.subscriber_id for due in owners}
    others = [due for due in people if due.subscriber_id not in ids]
    parts = [owners[start : start + OWNERS_AT_ONCE] for start in range(0, len(owners), OWNERS_AT_ONCE)]
    return [others, *parts] if others else [*parts]


def is_too_soon(due_at: datetime, others: Sequence[datetime]) -> bool:
    """Say whether a digest due at ``due_at`` would come within 18 hours of another scheduled one.

    Measured between the times they are due: one that was late in coming does not push the next.
    """
    return any(abs(due_at - other) < SHORTEST_GAP for other in others)


def _without_early(now: datetime, chunk: Sequence[Due]) -> list[Due]:
    """Leave out who had a scheduled digest less than 18 hours ago: they wait until the gap is over."""
    return [
        due
        for due in chunk
        if due.is_first
        or not is_too_soon(due.due_at, due.others_due_at)
        or not is_too_soon(now, due.others_due_at)
    ]


def load_full_profiles(
    session: Session, ids: Sequence[int], now: datetime, *, days: int
) -> dict[int, Profile]:
    """Return the profiles of subscribers with their answers and what each has been given of ``days``."""
    seen = ledger.load_seen(session, ids, since=now - timedelta(days=days))
    return with_answers(session, load_profiles(session, ids, seen=seen), now)


def choose(
    session: Session, shelves: Shelves, days: int, people: Sequence[Due], profiles: dict[int, Profile]
) -> list[Draft]:
    """Choose the papers of ``people``, whose window is ``days`` long, in one go."""
    mine = [profiles[due.subscriber_id] for due in people]
    window = shelves.window(session, days, {id_ for profile in mine for id_ in _named_papers(profile)})
    read_phrases(window.corpus, (interest for profile in mine for interest in profile.interests))
    counts = [due.paper_count for due in people]
    # Without papers there is nothing to work out: an outage must not cost a ranking each minute.
    selections = (
        select(mine, window.corpus, shelves.trends(session), counts=counts, seeds=[*map(day_seed, people)])
        if window.counts
        else [Selection(trending=(), for_you=())] * len(people)
    )
    drafts, formula, notice = [], f"{FORMULA} {TREND_VERSION}", shelves.notice(session)
    for due, selection in zip(people, selections, strict=True):
        if selection.trending or selection.for_you or selection.exploration:
            drafts.append(Draft(due, selection=selection, window=window, formula=formula, notice=notice))
        elif not due.is_first and not shelves.is_outage(session):
            drafts.append(Draft(due=due, skip_reason="empty"))
    return drafts


def day_seed(due: Due) -> int:
    """Return the number that draws the paper off the interests: the same whenever the digest is drafted."""
    name = f"paperlark/explore/{due.public_id}/{due.issue_date.isoformat()}"
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big")


def _named_papers(profile: Profile) -> set[str]:
    examples = {id_ for interest in profile.interests for id_ in interest.examples}
    return examples.union(profile.liked, profile.disliked)
