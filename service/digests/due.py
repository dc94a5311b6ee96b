"""Asks the database who is due and has no digest yet. It keeps no list of its own: the rows are the truth."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache
from itertools import groupby
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from sqlalchemy import BigInteger, BindParameter, Select, and_, bindparam, exists, func, or_, select, true
from sqlalchemy.orm import Session, aliased

from service.bulk import among, among_given, ids_of, is_postgres, numbers, numbers_given, unnested
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
    SubscriberRow.last_digest_at,
    SubscriberRow.digest_count,
    SubscriberRow.send_hour,
)
_CONDITIONS = (
    SubscriberRow.status,
    SubscriberRow.paused_until,
    SubscriberRow.timezone,
    SubscriberRow.weekdays,
)
DAYS_BEFORE = timedelta(days=2)  # farther back no digest stands in the way of another
NOTHING: Mapping[int, Sequence[datetime]] = {}
GROUPS = 64  # whose statement is kept
FIRST_DIGEST_SPAN = timedelta(hours=24)  # how long after confirming a first digest is still made up for


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Group:
    """Zones whose clocks agree, with their slots of one date by hour: one query finds their people."""

    issue_date: date
    zones: tuple[str, ...]
    slots: Mapping[int, Slot]


class Due(NamedTuple):
    """One subscriber who is due for one date."""

    subscriber_id: int
    public_id: int
    issue_date: date
    due_at: datetime
    cutoff_at: datetime
    paper_count: int
    last_digest_at: datetime | None
    digest_count: int = 0  # of digests to be mailed before this one
    is_first: bool = False
    others_due_at: Sequence[datetime] = ()  # of scheduled digests from two days before on


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
    query = _next(select(*_ASKED), group, at=at, after_id=after_id, limit=limit)
    if is_confirmed:
        query = query.where(
            or_(
                *(
                    and_(SubscriberRow.send_hour == hour, SubscriberRow.confirmed_at <= slot.due_at)
                    for hour, slot in group.slots.items()
                )
            )
        )
    return _of_group(session.connection().execute(query), group)


def find_due_ids(session: Session, group: Group, *, at: datetime, after_id: int = 0, limit: int) -> list[int]:
    """Return the ids of those whom :func:`find_due` would return: much less to hold of many people."""
    query = _next(select(SubscriberRow.id), group, at=at, after_id=after_id, limit=limit)
    return [id_ for (id_,) in session.connection().execute(query).all()]


def load_due(session: Session, group: Group, ids: Sequence[int], *, at: datetime) -> list[Due]:
    """Return those of ``ids``, in their order, who are due still, or were until a moment ago.

    Read by their ids and by nothing else, and their digests apart: a server that does not know yet how many
    people there are, or how many digests this day brings, would read them all for each chunk.
    """
    rows = session.connection().execute(*_digests_since(session, ids, group.issue_date - DAYS_BEFORE)).all()
    taken = {subscriber_id for subscriber_id, day, *_ in rows if day == group.issue_date}
    given = {"at": at, **ids_of(session, ids)}
    found = session.connection().execute(_by_id(group, is_postgres(session)), given).all()
    people = _of_group(found, group, _scheduled(rows))
    return [due for due in people if due.subscriber_id not in taken] if taken else people


@lru_cache(GROUPS)
def _by_id(group: Group, in_arrays: bool) -> Select[*tuple[Any, ...]]:
    """Ask who of some people is due: made once for all chunks of a group."""
    is_given = among_given(SubscriberRow.id, in_arrays=in_arrays)
    by_id = select(*_ASKED, *_CONDITIONS).where(is_given).offset(0).subquery()
    one, at = aliased(SubscriberRow, by_id), bindparam("at", type_=SubscriberRow.paused_until.type)
    return _of(select(*list(by_id.c)[: len(_ASKED)]), group, at, one).order_by(one.id)


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
    query = _active(select(*_ASKED, SubscriberRow.timezone), now).where(lately, confirmed, ~since)
    if subscriber_id is not None:
        query = query.where(SubscriberRow.id == subscriber_id)
    rows = session.execute(query.order_by(SubscriberRow.id))
    found = [_first(values, open_zone(timezone), now) for *values, timezone in rows]
    taken = _dates_taken(session, found)
    return [due for due in found if (due.subscriber_id, due.issue_date) not in taken]


def load_last_scheduled(
    session: Session, subscriber_ids: Sequence[int], *, since: date
) -> dict[int, list[datetime]]:
    """Return when each subscriber's scheduled digests of dates from ``since`` on were due."""
    return _scheduled(session.connection().execute(*_digests_since(session, subscriber_ids, since)))


def _scheduled(digests: Iterable[Any]) -> dict[int, list[datetime]]:
    found: dict[int, list[datetime]] = {}
    for subscriber_id, _, due_at, outcome, is_first in digests:
        if outcome == MAILED and not is_first:
            found.setdefault(subscriber_id, []).append(due_at)
    return found


_SINCE = select(
    DigestRow.subscriber_id, DigestRow.issue_date, DigestRow.due_at, DigestRow.outcome, DigestRow.is_first
).where(DigestRow.issue_date >= bindparam("since"))


def _digests_since(
    session: Session, subscriber_ids: Sequence[int], since: date
) -> tuple[Select[*tuple[Any, ...]], dict[str, Any]]:
    """Ask for the digests of some people since a date.

    Postgres is asked for them person by person, and not by outcome: as long as it does not know how many
    a day brings, it would read them all, by the index for the books.
    """
    if is_postgres(session):
        return _EACH_SINCE, {"ids": numbers(subscriber_ids), "since": since}
    return _SINCE.where(among(session, DigestRow.subscriber_id, subscriber_ids)), {"since": since}


def _each_since() -> Select[*tuple[Any, ...]]:
    person = unnested({"id": numbers_given("ids", BigInteger())})["id"]
    theirs = _SINCE.where(DigestRow.subscriber_id == person).offset(0).lateral()
    return select(*theirs.c).join_from(person.table, theirs, true())


_EACH_SINCE = _each_since()


def _active(
    query: Select[*tuple[Any, ...]],
    at: datetime | BindParameter[Any],
    one: type[SubscriberRow] = SubscriberRow,
) -> Select[*tuple[Any, ...]]:
    return query.where(one.status == Status.ACTIVE, or_(one.paused_until.is_(None), one.paused_until <= at))


def _of(
    query: Select[*tuple[Any, ...]],
    group: Group,
    at: datetime | BindParameter[Any],
    one: type[SubscriberRow] = SubscriberRow,
) -> Select[*tuple[Any, ...]]:
    return _active(query, at, one).where(
        one.timezone.in_(group.zones),
        one.send_hour.in_(group.slots),
        one.weekdays.bitwise_and(1 << group.issue_date.weekday()) != 0,
    )


def _next(
    query: Select[*tuple[Any, ...]], group: Group, *, at: datetime, after_id: int, limit: int
) -> Select[*tuple[Any, ...]]:
    has_digest = exists(
        select(1).where(
            DigestRow.subscriber_id == SubscriberRow.id,
            DigestRow.subscriber_id > after_id,  # follows, but a server does not see it
            DigestRow.issue_date == group.issue_date,
        )
    )
    mine = _of(query, group, at).where(SubscriberRow.id > after_id, ~has_digest)
    return mine.order_by(SubscriberRow.id).limit(limit)


def _of_group(
    rows: Iterable[Any], group: Group, scheduled: Mapping[int, Sequence[datetime]] = NOTHING
) -> list[Due]:
    day = group.issue_date
    times = {hour: (slot.due_at, slot.cutoff_at) for hour, slot in group.slots.items()}
    return [
        Due(id_, public_id, day, *times[hour], paper_count, last_at, count, False, scheduled.get(id_, ()))
        for id_, public_id, paper_count, last_at, count, hour in rows
    ]


def _first(values: Sequence[Any], zone: ZoneInfo, now: datetime) -> Due:
    id_, public_id, paper_count, last_digest_at, digest_count, _ = values
    return Due(
        subscriber_id=id_,
        public_id=public_id,
        issue_date=local_date(zone, now),
        due_at=now,
        cutoff_at=now,
        paper_count=paper_count,
        last_digest_at=last_digest_at,
        digest_count=digest_count,
        is_first=True,
    )


def _dates_taken(session: Session, found: Sequence[Due]) -> set[tuple[int | None, date]]:
    query = select(DigestRow.subscriber_id, DigestRow.issue_date).where(
        DigestRow.subscriber_id.in_([due.subscriber_id for due in found]),
        DigestRow.issue_date.in_({due.issue_date for due in found}),
    )
    return {(subscriber_id, day) for subscriber_id, day in session.execute(query)} if found else set()
