"""Plans digests: who is due gets papers chosen, frozen and queued, a chunk in one transaction.

Planning may run twice at once, late, or with a clock that jumps: the row for a subscriber and a date is
unique, whoever inserts it goes on, and nobody else does.

While one chunk is written, in a thread of its own, the next is read and chosen. The threads have nothing in
common but the drafts handed over.
"""

from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from itertools import groupby, islice
from operator import attrgetter, itemgetter

import structlog
from sqlalchemy.exc import IntegrityError

from service.config import Settings
from service.database import Database
from service.digests import hold, skipping
from service.digests.choosing import Draft, draft_digests
from service.digests.due import (
    Due,
    Group,
    count_active,
    find_due_ids,
    find_first,
    group_slots,
    load_due,
    load_zones,
)
from service.digests.freezing import NO_SPREAD, Lines, freeze
from service.digests.ledger import Overtaken
from service.digests.schedule import due_slots, open_zone
from service.digests.window import Shelves
from service.papers.embedding.phrases import PhraseVectors
from service.progress import Progress, no_progress

CHUNK = 1_000
PAGE = 20_000  # ids of people looked for at once: finding them reads more than it returns
SHORTEST_PATIENCE = timedelta(hours=6)

log = structlog.get_logger()

Spread = Callable[[int], timedelta]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanTally:
    """What one planning did: digests queued to be mailed, and digests skipped, by reason."""

    planned: int = 0
    skipped: dict[str, int] = field(default_factory=dict)
    is_held: bool = False


def plan_due(
    database: Database,
    now: datetime,
    *,
    settings: Settings,
    phrases: PhraseVectors | None = None,
    spread: Spread | None = None,
    should_stop: Callable[[], bool] = lambda: False,
    progress: Progress = no_progress,
) -> PlanTally:
    """Plan every digest that is due at ``now`` and has no row yet; record those whose time has passed.

    ``spread`` says, by the number of people, over how long those of one hour go out; else all go at once.

    Stops between two chunks when ``should_stop`` says so; the next tick goes on from what the rows say.
    """
    is_held = hold.check(database, settings.data_dir, now) is not None
    skipping.put_right(database, now)
    planned, skipped = 0, Counter[str]()
    if not is_held:
        shelves = Shelves(now, patience=patience(settings), phrases=phrases)
        with closing(_plan_chunks(database, shelves, settings, spread)) as chunks:
            for stored in chunks:
                planned += sum(draft.is_mailed for draft in stored)
                skipped.update(draft.skip_reason for draft in stored if draft.skip_reason)
                progress(planned, None, "digests planned")
                if should_stop():
                    return PlanTally(planned=planned, skipped=dict(skipped))
    skipped.update(skipping.record_passed(database, now, patience=patience(settings)))
    if planned or skipped:
        log.info("digests_planned", planned=planned, skipped=dict(skipped))
    return PlanTally(planned=planned, skipped=dict(skipped), is_held=is_held)


def plan_first(
    database: Database,
    subscriber_id: int,
    now: datetime,
    *,
    settings: Settings,
    phrases: PhraseVectors | None = None,
) -> bool:
    """Plan the digest that comes right after confirming; say whether there is one now.

    It is that local date's digest: the scheduled one of the same date does not come on top. Where there is
    nothing to send yet, nothing is recorded, and each tick of the next day tries again.
    """
    if hold.check(database, settings.data_dir, now) is not None:
        return False
    shelves = Shelves(now, patience=patience(settings), phrases=phrases)
    with database.reading() as session:
        found = find_first(session, now, subscriber_id=subscriber_id)
        drafts = draft_digests(session, shelves, found)
    return any(draft.is_mailed for draft in _store(database, drafts, now, settings=settings))


def patience(settings: Settings) -> timedelta:
    """Return how long all sources may be silent before nothing new is called an outage."""
    return max(SHORTEST_PATIENCE, 3 * settings.collect_interval)


def _plan_chunks(
    database: Database, shelves: Shelves, settings: Settings, spread: Spread | None
) -> Generator[Sequence[Draft]]:
    """Plan whoever is due, chunk by chunk; give what was stored of each.

    Whatever ends it, a soft time limit amid a statement too, waits until what is being written is written.
    """
    store = partial(_store, database, now=shelves.now, settings=settings, lines=Lines())
    window: timedelta | None = None
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="planning") as writer:
        for chunks in _due(database, shelves.now):
            writing: Future[Sequence[Draft]] | None = None
            for chunk in chunks:
                window = _window(database, spread) if window is None else window
                with database.reading() as session:
                    drafts = draft_digests(session, shelves, chunk)
                if writing is not None:
                    yield writing.result()
                writing = writer.submit(store, drafts, spread=window)
            if writing is not None:
                yield writing.result()


def _due(database: Database, now: datetime) -> Iterator[Iterator[Sequence[Due]]]:
    """Give who is due, in chunks; first digests before all others, for somebody waits for them.

    Those of one iterator have nobody in common: each may be read while the one before is still written. For
    the next iterator all of that has to be there.
    """
    with database.reading() as session:
        first = find_first(session, now)
        zones = load_zones(session)
    yield (first[start : start + CHUNK] for start in range(0, len(first), CHUNK))
    groups = group_slots((name, due_slots(open_zone(name), now)) for name in zones)
    for _, of_date in groupby(groups, key=attrgetter("issue_date")):
        yield _due_on(database, of_date, now)


def _due_on(database: Database, of_date: Iterable[Group], now: datetime) -> Iterator[Sequence[Due]]:
    waiting = _waiting(database, of_date, now)
    while some := list(islice(waiting, CHUNK)):
        with database.reading() as session:
            chunk = [
                due
                for group, people in groupby(some, key=itemgetter(0))
                for due in load_due(session, group, [id_ for _, id_ in people], at=now)
            ]
        if chunk:
            yield chunk


def _waiting(database: Database, groups: Iterable[Group], now: datetime) -> Iterator[tuple[Group, int]]:
    """Give the ids of everybody who is due, with their group."""
    for group in groups:
        after_id, is_more = 0, True
        while is_more:
            with database.reading() as session:
                ids = find_due_ids(session, group, at=now, after_id=after_id, limit=PAGE)
            yield from ((group, id_) for id_ in ids)
            is_more = len(ids) == PAGE
            after_id = ids[-1] if ids else after_id


def _window(database: Database, spread: Spread | None) -> timedelta:
    if spread is None:
        return NO_SPREAD
    with database.reading() as session:
        return spread(count_active(session))


def _store(
    database: Database,
    drafts: Sequence[Draft],
    now: datetime,
    *,
    settings: Settings,
    spread: timedelta = NO_SPREAD,
    lines: Lines | None = None,
) -> Sequence[Draft]:
    """Store drafts in one transaction; return those that are stored.

    All of them are given up when somebody was erased, or got a digest of another date, since they were
    chosen: whoever of them is still due comes back with the next tick.
    """
    if not drafts:
        return []
    try:
        with database.transaction() as session:
            stored = freeze(session, drafts, now, spread=spread, lines=lines)
            mark = hold.advance(session) if any(draft.is_mailed for draft in stored) else None
    except (IntegrityError, Overtaken):
        log.warning("planning_overtaken", subscribers=len(drafts))
        return []
    if mark is not None:
        hold.write_mark(settings.data_dir, mark)
    return stored
