"""The edges of a delivery's life in SQL: each one a compare-and-set that says which rows it moved.

Every function works inside the caller's transaction. A worker goes by its holder name, unique to one run.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import (
    BigInteger,
    Connection,
    DateTime,
    Integer,
    Row,
    Select,
    SmallInteger,
    String,
    Table,
    Text,
    Update,
    UpdateBase,
    and_,
    any_,
    bindparam,
    case,
    cast,
    null,
    or_,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import Session
from sqlalchemy.sql.elements import ColumnElement, TextClause
from sqlalchemy.types import TypeEngine

from service.bulk import among, is_postgres, numbers, numbers_given, packed, unnested
from service.mail.composing import Claimed
from service.mail.delivery import HELD_BACK, WAITING, Outcome, Status, Step, sources_of
from service.mail.sweeping import LOST_AT_MOST, LOST_OFTEN
from service.mail.tables import IS_WAITING, DeliveryRow
from service.packed import PackedNumbers

_TABLE: Table = DeliveryRow.metadata.tables[DeliveryRow.__tablename__]
CLAIM_LEASE = timedelta(minutes=15)  # renewed with each window
# Longer than the slowest transaction can be: every command at its limit, and the reply after the dot.
SENDING_LEASE = timedelta(minutes=45)


class Result(NamedTuple):
    """How an attempt of one delivery ended, and where that leads."""

    delivery: Claimed
    outcome: Outcome
    step: Step


def waits(session: Session, *, queue: str, kinds: Collection[str], now: datetime) -> bool:
    """Say whether anything could be claimed."""
    statement = select(DeliveryRow.id).where(*_claimable(queue, kinds, now)).limit(1)
    return session.scalar(statement) is not None


def _claimable(queue: Any, kinds: Any, now: Any) -> tuple[ColumnElement[bool] | TextClause, ...]:
    return (
        IS_WAITING,
        DeliveryRow.queue == queue,
        DeliveryRow.kind.in_(kinds),
        DeliveryRow.next_at <= now,
        DeliveryRow.expires_at > now,
    )


def claim(
    session: Session,
    *,
    queue: str,
    kinds: Collection[str],
    holder: str,
    now: datetime,
    limit: int,
    is_suspect: bool = False,
) -> list[Claimed]:
    """Take up to ``limit`` waiting deliveries of ``kinds`` for ``holder``, the longest waiting first.

    With ``is_suspect`` those whose worker went down before it could send them: a few together the first time,
    then each alone, so that the one that did it is known by it. On Postgres rows that others are taking are
    passed over; SQLite has one writer at a time anyway.
    """
    values: dict[str, object] = {"c_queue": queue, "c_kinds": list(kinds), "c_now": now}
    rows: Sequence[Row[Any]] = ()
    # One count after the other, each in the order of the index: there may be many thousands of suspects.
    for lost in range(1, LOST_AT_MOST + 1) if is_suspect else (0,):
        values |= {"c_lost": lost, "c_limit": limit if lost < LOST_OFTEN else 1}
        if rows := session.connection().execute(_claiming(), values).all():
            break
    # Locked until the commit: nobody can have changed them since they were read.
    _set(session, [row.id for row in rows], Status.CLAIMED, claimed_by=holder, lease_until=now + CLAIM_LEASE)
    return [Claimed._make(row) for row in rows]


@cache
def _claiming() -> Select[*tuple[Any, ...]]:
    columns = _TABLE.c
    return (
        select(
            columns.id,
            columns.nonce,
            columns.kind,
            columns.subscriber_id,
            columns.digest_id,
            columns.attempt_count + 1,
            columns.created_at,
            columns.expires_at,
            columns.parameters,
        )
        .where(
            *_claimable(bindparam("c_queue"), bindparam("c_kinds", expanding=True), bindparam("c_now")),
            columns.lost_count == bindparam("c_lost"),
        )
        .order_by(columns.next_at, columns.id)
        .limit(bindparam("c_limit"))
        .with_for_update(skip_locked=True)
    )


def begin(session: Session, ids: Sequence[int], *, holder: str, now: datetime) -> set[int]:
    """Commit a window to be sent: return the ids that are still ours, not cancelled, and in time."""
    if not ids:
        return set()
    given = PackedNumbers.of(ids) if is_postgres(session) else list(ids)
    values = {"b_ids": given, "b_holder": holder, "b_now": now, "b_lease_until": now + SENDING_LEASE}
    statement = _beginning(takes_arrays=is_postgres(session))
    if session.connection().execute(statement, values).rowcount == len(ids):
        return set(ids)
    ours = select(_TABLE.c.id).where(
        among(session, DeliveryRow.id, ids),
        _TABLE.c.status == Status.SENDING.value,
        _TABLE.c.claimed_by == holder,
    )
    return set(session.scalars(ours))


@cache
def _beginning(*, takes_arrays: bool) -> UpdateBase:
    columns = _TABLE.c
    one_of_array = columns.id == any_(packed("b_ids"))
    return (
        update(_TABLE)
        .where(
            one_of_array if takes_arrays else columns.id.in_(bindparam("b_ids", expanding=True)),
            columns.status == Status.CLAIMED.value,
            columns.claimed_by == bindparam("b_holder"),
            columns.expires_at > bindparam("b_now"),
        )
        .values(
            status=Status.SENDING.value,
            attempt_count=columns.attempt_count + 1,
            lease_until=bindparam("b_lease_until"),
        )
    )


def renew(session: Session, ids: Sequence[int], *, holder: str, now: datetime) -> None:
    """Prolong the lease of what is claimed and not yet begun."""
    _set(
        session,
        ids,
        Status.CLAIMED,
        holder=holder,
        sources=(Status.CLAIMED,),
        lease_until=now + CLAIM_LEASE,
    )


def release(session: Session, ids: Sequence[int], *, holder: str, next_at: datetime | None = None) -> int:
    """Give claimed deliveries back untouched, not before ``next_at`` (at once); return how many."""
    values = {} if next_at is None else {"next_at": next_at, "reason": "relay_unreachable"}
    return len(
        _set(
            session,
            ids,
            Status.QUEUED,
            holder=holder,
            sources=(Status.CLAIMED,),
            claimed_by=None,
            lease_until=None,
            **values,
        )
    )


def postpone(
    session: Session, until: Mapping[int, datetime], *, holder: str, reason: str = HELD_BACK
) -> set[int]:
    """Give claimed deliveries back, each not before its own instant; costs no attempt. Return the ids."""
    moved = _set(
        session,
        list(until),
        Status.QUEUED,
        holder=holder,
        sources=(Status.CLAIMED,),
        claimed_by=None,
        lease_until=None,
        reason=reason,
    )
    if moved:
        session.connection().execute(
            update(_TABLE)
            .where(_TABLE.c.id == bindparam("b_id"), _TABLE.c.status == Status.QUEUED.value)
            .values(next_at=bindparam("b_next_at")),
            [{"b_id": id_, "b_next_at": until[id_]} for id_ in sorted(moved)],
        )
    return moved


def finish(
    session: Session, ids: Sequence[int], status: Status, reason: str, *, holder: str, now: datetime
) -> set[int]:
    """End claimed deliveries that will not be sent (cancelled or failed); return the ids moved."""
    return _set(
        session,
        ids,
        status,
        holder=holder,
        sources=(Status.CLAIMED,),
        reason=reason,
        claimed_by=None,
        lease_until=None,
        finished_at=now,
    )


def record(session: Session, results: Iterable[Result], *, holder: str, now: datetime) -> int:
    """Write down how attempts ended; return how many rows took it.

    A row may have become unknown meanwhile, when the lease lapsed: what we know for certain closes it then.
    """
    by_status: dict[Status, list[Result]] = {}
    for result in results:
        by_status.setdefault(result.step.status, []).append(result)
    connection, count = session.connection(), 0
    for status, of_status in by_status.items():
        known = _known(of_status, now) | {"b_holder": holder, "b_finished_at": _finished_at(status, now)}
        if is_postgres(session):
            own, known = _arrays(known)
            count += connection.execute(_recording_at_once(status, own), known).rowcount
        else:
            rows = [_row(known, place) for place in range(len(of_status))]
            count += connection.execute(_recording(status), rows).rowcount
    return count


def turn(
    connection: Connection, sent: Sequence[Result], ids: Sequence[int], *, holder: str, now: datetime
) -> set[int]:
    """Do :func:`record` of what was sent and :func:`begin` at once, by one statement (Postgres).

    Return the ids that may be sent. Nearly all turns of a window are of this kind.
    """
    own, known = _arrays(_known(sent, now))
    known |= {"b_holder": holder, "b_finished_at": now}
    known |= {"b_ids": PackedNumbers.of(ids), "b_now": now, "b_lease_until": now + SENDING_LEASE}
    return {id_ for (id_,) in connection.execute(_turning(own), known)}


@cache
def _turning(own: frozenset[str]) -> Select[*tuple[Any, ...]]:
    recorded = _recording_at_once(Status.SENT, own).returning(_TABLE.c.id).cte("recorded")
    begun = _beginning(takes_arrays=True).returning(_TABLE.c.id).cte("begun")
    return select(begun.c.id).add_cte(recorded)


def _known(results: Sequence[Result], now: datetime) -> dict[str, Any]:
    """Return what is known of attempts by the name of its parameter: a list, but for what all have alike."""
    known: dict[str, list[Any]] = {
        "b_reason": [result.step.reason for result in results],
        "b_next_at": [result.step.next_at or now for result in results],
        "b_code": [result.outcome.code for result in results],
        "b_enhanced": [result.outcome.enhanced for result in results],
        "b_text": [result.outcome.text for result in results],
    }
    alike = {name: given[0] for name, given in known.items() if given.count(given[0]) == len(given)}
    return known | alike | {"b_id": [result.delivery.id for result in results]}


def _arrays(known: Mapping[str, Any]) -> tuple[frozenset[str], dict[str, Any]]:
    """Return the names of what is given by delivery, and all of it as Postgres takes it."""
    own = frozenset([name for name, values in known.items() if isinstance(values, list)])
    return own, {
        name: numbers(values) if name in own and isinstance(_GIVEN[name], Integer) else values
        for name, values in known.items()
    }


def _row(known: Mapping[str, Any], place: int) -> dict[str, Any]:
    return {name: given[place] if isinstance(given, list) else given for name, given in known.items()}


def _finished_at(status: Status, now: datetime) -> datetime | None:
    return None if status in WAITING else now


_ATTEMPTED = (Status.SENDING, Status.UNKNOWN)
# What is known of each attempt, by the name of its parameter.
_GIVEN: dict[str, TypeEngine[Any]] = {
    "b_id": BigInteger(),
    "b_holder": String(),
    "b_reason": String(),
    "b_next_at": DateTime(timezone=True),
    "b_finished_at": DateTime(timezone=True),
    "b_code": SmallInteger(),
    "b_enhanced": String(),
    "b_text": Text(),
}


@cache
def _recording(status: Status) -> Update:
    """The edge to ``status`` for one delivery, its parameters bound row by row."""
    return _edge(status, {name: bindparam(name) for name in _GIVEN})


@cache
def _recording_at_once(status: Status, own: frozenset[str]) -> Update:
    """The same for many deliveries in one statement (Postgres): arrays of what is each delivery's ``own``."""
    found = unnested(
        {
            name: numbers_given(name, kind)
            if isinstance(kind, Integer)
            else cast(bindparam(name), ARRAY(kind))
            for name, kind in _GIVEN.items()
            if name in own
        }
    )
    alike = {name: cast(bindparam(name), kind) for name, kind in _GIVEN.items() if name not in own}
    return _edge(status, {**alike, **found})


def _is_erased() -> ColumnElement[bool]:
    """Whether the person is gone; an alert never had one."""
    return and_(_TABLE.c.subscriber_id.is_(None), _TABLE.c.kind != "alert")


def _edge(status: Status, given: Mapping[str, ColumnElement[Any]]) -> Update:
    columns = _TABLE.c
    return (
        update(_TABLE)
        .where(
            columns.id == given["b_id"],
            or_(*(columns.status == source.value for source in sources_of(status) if source in _ATTEMPTED)),
            columns.claimed_by == given["b_holder"],
        )
        .values(
            status=status.value,
            reason=given["b_reason"],
            next_at=given["b_next_at"],
            # Where no relay was reached nothing was tried: the attempt is given back.
            attempt_count=columns.attempt_count - 1 if status is Status.QUEUED else columns.attempt_count,
            finished_at=given["b_finished_at"],
            lease_until=None,
            # An unknown keeps its worker's name: late evidence may come from it.
            claimed_by=given["b_holder"] if status is Status.UNKNOWN else None,
            reply_code=given["b_code"],
            enhanced_code=given["b_enhanced"],
            # A relay's words may repeat the address, and who was erased meanwhile leaves none.
            reply_text=case((_is_erased(), null()), else_=given["b_text"]),
        )
    )


def _set(
    session: Session,
    ids: Sequence[int],
    status: Status,
    *,
    holder: str | None = None,
    sources: tuple[Status, ...] = WAITING,
    **values: object,
) -> set[int]:
    if not ids:
        return set()
    statement = (
        update(_TABLE)
        .where(among(session, DeliveryRow.id, ids), _TABLE.c.status.in_(sources))
        .values(status=status, **values)
        .returning(_TABLE.c.id)
    )
    if holder is not None:
        statement = statement.where(_TABLE.c.claimed_by == holder)
    return set(session.connection().execute(statement).scalars())
