"""Records digests whose time has passed without one: once, with the reason, and never mailed.

Their papers stay unseen, and the next digest's window reaches back over them.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

import structlog
from sqlalchemy import delete, or_, select, update
from sqlalchemy.orm import Session

from service.bulk import Columns
from service.database import Database
from service.digests import hold
from service.digests.accounting import SKIPPED
from service.digests.choosing import is_too_soon
from service.digests.due import (
    DAYS_BEFORE,
    Due,
    Group,
    find_due,
    group_slots,
    load_last_scheduled,
    load_zones,
)
from service.digests.schedule import Slot, due_slots, open_zone, passed_slots
from service.digests.storing import insert_digests
from service.digests.tables import DigestRow, HoldRow, PlannerRow
from service.papers import shelf
from service.subscribers.tables import SubscriberRow

LOOK_BACK = timedelta(days=7)
CLOCK_SLACK = timedelta(hours=1)  # by which the clocks of two planners may differ
CHUNK = 2_000

log = structlog.get_logger()

Reason = Callable[[Session, Sequence[Due]], list[str]]


def record_passed(database: Database, now: datetime, *, patience: timedelta) -> Counter[str]:
    """Record every digest whose cutoff came since the last complete planning; return counts by reason.

    Planning remembers the instant it last looked at, so an ordinary tick asks only about the last minute. A
    clock that was set back asks about the last seven days again, which does no harm.
    """
    zones, before, after = _last_look(database, now)
    slots = ((name, passed_slots(open_zone(name), after, now)) for name in zones)

    def reasons(session: Session, people: Sequence[Due]) -> list[str]:
        return _reasons(session, people, before=before, patience=patience)

    counts = _record(database, group_slots(slots), now, reasons)
    with database.transaction() as session:
        hold.planner(session).ticked_at = now
    return counts


def put_right(database: Database, now: datetime) -> int:
    """Undo, where planning last looked at an instant still to come, what a clock that ran ahead has skipped.

    Digests that were recorded as missed, empty or the like before their hour come are asked about again then;
    return how many. What was mailed stays, and what a restore held back: that may be out. To be called each
    time before planning.
    """
    with database.reading() as session:
        row = session.get(PlannerRow, 1)
        ahead = timedelta() if row is None or row.ticked_at is None else row.ticked_at - now
    if ahead <= CLOCK_SLACK:
        return 0
    skipped = delete(DigestRow).where(
        DigestRow.outcome == SKIPPED, DigestRow.skip_reason != "held", DigestRow.due_at > now
    )
    future = update(SubscriberRow).where(SubscriberRow.last_digest_at > now).values(last_digest_at=now)
    with database.transaction() as session:
        count = int(session.execute(skipped).rowcount)  # type: ignore[attr-defined]
        session.execute(future.execution_options(synchronize_session=False))
        hold.planner(session).ticked_at = now
    log.error("clock_was_ahead", seconds=round(ahead.total_seconds()), asked_again=count)
    return count


def mark_done(database: Database, now: datetime) -> int:
    """Record every digest that is due, or was since the last complete planning, as held; return how many.

    After a restore nobody knows which of them went out: none of them may go out again.
    """
    zones, _, after = _last_look(database, now)

    def slots_of(name: str) -> list[Slot]:
        zone = open_zone(name)
        slots = [*passed_slots(zone, after, now), *due_slots(zone, now)]
        return sorted(slots, key=lambda slot: slot.issue_date)

    groups = group_slots((name, slots_of(name)) for name in zones)
    return _record(database, groups, now, lambda _session, people: ["held"] * len(people)).total()


def _last_look(database: Database, now: datetime) -> tuple[list[str], datetime | None, datetime]:
    """Return the zones people live in, the instant planning last looked at, and from when on to look now."""
    with database.reading() as session:
        zones = load_zones(session)
        row = session.get(PlannerRow, 1)
        before = row.ticked_at if row is not None else None
    is_usable = before is not None and now - LOOK_BACK <= before <= now
    return zones, before, before if is_usable and before is not None else now - LOOK_BACK


def _record(database: Database, groups: Sequence[Group], now: datetime, reasons: Reason) -> Counter[str]:
    counts = Counter[str]()
    for group in groups:
        latest_due = max(slot.due_at for slot in group.slots.values())
        while True:
            with database.transaction() as session:
                # Who is paused at present may have been so at that time; nothing is held against them.
                people = find_due(session, group, at=min(latest_due, now), limit=CHUNK, is_confirmed=True)
                given = reasons(session, people)
                new = insert_digests(session, _skipped(people, given, now))
            counts.update(
                reason for due, reason in zip(people, given, strict=True) if due.subscriber_id in new
            )
            if len(people) < CHUNK:
                break
    return counts


def _skipped(people: Sequence[Due], reasons: Sequence[str], now: datetime) -> Columns:
    return {
        "subscriber_id": [due.subscriber_id for due in people],
        "issue_date": [due.issue_date for due in people],
        "due_at": [due.due_at for due in people],
        "planned_at": [now] * len(people),
        "is_first": [False] * len(people),
        "outcome": [SKIPPED] * len(people),
        "skip_reason": reasons,
        "selection": [[]] * len(people),
    }


def _reasons(
    session: Session, people: Sequence[Due], *, before: datetime | None, patience: timedelta
) -> list[str]:
    if not people:
        return []
    since = min(due.issue_date for due in people) - DAYS_BEFORE
    last = load_last_scheduled(session, [due.subscriber_id for due in people], since=since)
    cutoffs = {due.cutoff_at for due in people}
    held = {cutoff for cutoff in cutoffs if _was_held(session, cutoff)}
    silent = {cutoff for cutoff in cutoffs if _was_silent(session, cutoff, patience)}

    def reason(due: Due) -> str:
        if due.cutoff_at in held:
            return "held"
        if is_too_soon(due.due_at, last.get(due.subscriber_id, ())):
            return "too_soon"
        # Planning was awake while it was due and let it wait: then for a source.
        was_awake = before is not None and before >= due.due_at
        return "source_outage" if was_awake and due.cutoff_at in silent else "missed"

    return [reason(due) for due in people]


def _was_held(session: Session, instant: datetime) -> bool:
    covers = or_(HoldRow.released_at.is_(None), HoldRow.released_at >= instant)
    return session.scalar(select(HoldRow.id).where(HoldRow.since <= instant, covers).limit(1)) is not None


def _was_silent(session: Session, instant: datetime, patience: timedelta) -> bool:
    answered_at = shelf.last_success_at(session, instant)
    return answered_at is None or answered_at < instant - patience
