"""Asks the database who is due and has no digest yet. It keeps no list of its own: the rows are the truth."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import groupby
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, Row, Select, and_, exists, func, or_, select
from sqlalchemy.orm import Session

from service.bulk import among
from service.digests.accounting import MAILED
from service.digests.schedule import Slot, local_date, open_zone
from service.digests.tables import DigestRow
from service.subscribers.consent import Kind as ConsentKind
from service.subscribers.status import Status
from service.subscribers.tables import ConsentEventRow, SubscriberRow

_ASKED = (
    SubscriberRow.id,
    SubscriberRow.public_id,
    SubscriberRow.paper_count,
    SubscriberRow.confirmed_at,
    SubscriberRow.last_digest_at,
    SubscriberRow.send_hour,
    SubscriberRow.timezone,
)
FIRST_DIGEST_SPAN = timedelta(hours=24)  # how long after confirming a first digest is still made up for


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Zones whose clocks agree, with their slots of one date by hour: one query finds their people."""

    issue_date: date
    zones: tuple[str, ...]
    slots: Mapping[int, Slot]


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """One subscriber who is due for one date."""

    subscriber_id: int
    public_id: int
    issue_date: date
    due_at: datetime
    cutoff_at: datetime
    paper_count: int
    confirmed_at: datetime | None
    last_digest_at: datetime | None
    is_first: bool = False


def load_zones(session: Session) -> list[str]:
    """Return the zones that active subscribers live in."""
    query = select(SubscriberRow.timezone).where(SubscriberRow.status == Status.ACTIVE).distinct()
    return sorted(session.scalars(query))


def count_active(session: Session) -> int:
    """Count the people who get digests."""
    query = select(func.count()).where(SubscriberRow.status == Status.ACTIVE)
    return session.scalar(query) or 0


def group_slots(slots: Iterable[tuple[str, Sequence[Slot]]]) -> list[Group]:
    """Join the zones that have the very same slots of a date, the earliest dates first.

    The slots of each zone come date by date.
    """
    zones: dict[tuple[Slot, ...], list[str]] = {}
    for zone, of_zone in slots:
        for _, of_day in groupby(of_zone, key=lambda slot: slot.issue_date):
            zones.setdefault(tuple(of_day), []).append(zone)
    return [
        Group(issue_date=of_day[0].issue_date, zones=tuple(names), slots={slot.hour: slot for slot in of_day})
        for of_day, names in sorted(
            zones.items(), key=lambda item: (item[0][0].issue_date, item[0][0].due_at, item[1])
        )
    ]


def find_due(
    session: Session, group: Group, *, at: datetime, after_id: int = 0, limit: int, is_confirmed: bool = False
) -> list[Due]:
    """Return the next people of ``group``, by id, who are active, not paused at ``at`` and have no digest.

    With ``is_confirmed`` only those who had confirmed when they were due.
    """
    query = (
        _people(at)
        .where(
            SubscriberRow.timezone.in_(group.zones),
            SubscriberRow.send_hour.in_(group.slots),
            SubscriberRow.weekdays.bitwise_and(1 << group.issue_date.weekday()) != 0,
            SubscriberRow.id > after_id,
            ~_has_digest(group.issue_date),
        )
        .order_by(SubscriberRow.id)
        .limit(limit)
    )
    if is_confirmed:
        query = query.where(
            or_(
                *(
                    and_(SubscriberRow.send_hour == hour, SubscriberRow.confirmed_at <= slot.due_at)
                    for hour, slot in group.slots.items()
                )
            )
        )
    return [_due(row, group.issue_date, group.slots[row.send_hour]) for row in session.execute(query)]


def find_first(session: Session, now: datetime, *, subscriber_id: int | None = None) -> list[Due]:
    """Return the people who confirmed lately and have had no digest since: theirs comes at once.

    Asked each minute, this makes up for a doorbell that was not heard. Imported people wait for their hour.
    """
    confirmed = exists(
        select(1).where(
            ConsentEventRow.kind == ConsentKind.CONFIRMED,
            ConsentEventRow.at > now - FIRST_DIGEST_SPAN,
            ConsentEventRow.subscriber_id == SubscriberRow.id,
        )
    )
    since = exists(
        select(1).where(
            DigestRow.subscriber_id == SubscriberRow.id, DigestRow.planned_at >= SubscriberRow.confirmed_at
        )
    )
    lately = and_(SubscriberRow.confirmed_at > now - FIRST_DIGEST_SPAN, SubscriberRow.confirmed_at <= now)
    query = _people(now).where(lately, confirmed, ~since).order_by(SubscriberRow.id)
    if subscriber_id is not None:
        query = query.where(SubscriberRow.id == subscriber_id)
    found = [_first(row, open_zone(row.timezone), now) for row in session.execute(query)]
    taken = _dates_taken(session, found)
    return [due for due in found if (due.subscriber_id, due.issue_date) not in taken]


def load_last_scheduled(
    session: Session, subscriber_ids: Sequence[int], *, since: date
) -> dict[int, list[datetime]]:
    """Return when each subscriber's scheduled digests of dates from ``since`` on were due."""
    query = select(DigestRow.subscriber_id, DigestRow.due_at).where(
        among(session, DigestRow.subscriber_id, subscriber_ids),
        DigestRow.issue_date >= since,
        DigestRow.outcome == MAILED,
        DigestRow.is_first.is_(False),
    )
    found: dict[int, list[datetime]] = {}
    for subscriber_id, due_at in session.execute(query):
        if subscriber_id is not None:
            found.setdefault(subscriber_id, []).append(due_at)
    return found


def _people(at: datetime) -> Select[*tuple[Any, ...]]:
    return select(*_ASKED).where(
        SubscriberRow.status == Status.ACTIVE,
        or_(SubscriberRow.paused_until.is_(None), SubscriberRow.paused_until <= at),
    )


def _has_digest(issue_date: date) -> ColumnElement[bool]:
    return exists(
        select(1).where(DigestRow.subscriber_id == SubscriberRow.id, DigestRow.issue_date == issue_date)
    )


def _due(row: Row[*tuple[Any, ...]], issue_date: date, slot: Slot) -> Due:
    return Due(
        subscriber_id=row.id,
        public_id=row.public_id,
        issue_date=issue_date,
        due_at=slot.due_at,
        cutoff_at=slot.cutoff_at,
        paper_count=row.paper_count,
        confirmed_at=row.confirmed_at,
        last_digest_at=row.last_digest_at,
    )


def _first(row: Row[*tuple[Any, ...]], zone: ZoneInfo, now: datetime) -> Due:
    return Due(
        subscriber_id=row.id,
        public_id=row.public_id,
        issue_date=local_date(zone, now),
        due_at=now,
        cutoff_at=now,
        paper_count=row.paper_count,
        confirmed_at=row.confirmed_at,
        last_digest_at=row.last_digest_at,
        is_first=True,
    )


def _dates_taken(session: Session, found: Sequence[Due]) -> set[tuple[int | None, date]]:
    query = select(DigestRow.subscriber_id, DigestRow.issue_date).where(
        DigestRow.subscriber_id.in_([due.subscriber_id for due in found]),
        DigestRow.issue_date.in_({due.issue_date for due in found}),
    )
    return {(subscriber_id, day) for subscriber_id, day in session.execute(query)} if found else set()
