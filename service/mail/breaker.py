"""The circuit breaker: stops digests where they are refused for what we are or send, or complained about.

Confirmations and whatever else somebody waits for go on. A destination that refuses by policy (5.7.x) is
stopped alone and tried again with a few digests after a while; complaints stop all digests until the operator
has looked and released them. The state is in SQL, so a restart forgets nothing.

The limits: Gmail and Yahoo ask senders to stay below 0.1 % of complaints and never to reach 0.3 % (their
guidelines for senders); of policy refusals a list in order has next to none.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from sqlalchemy import func, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from service.mail import tallies
from service.mail.alerts import raise_alert
from service.mail.tables import IS_WAITING, BreakerRow, DeliveryRow, ReturnRow

logger = structlog.get_logger()

ALL = tallies.ALL
POLICY, COMPLAINTS = "policy", "complaints"
PROBE, OPERATOR = "probe", "operator"
STOPPED = "stopped"  # why a delivery waits
POLICY_WINDOW = timedelta(hours=1)
POLICY_LEAST = 20  # refusals
POLICY_SHARE = 0.05  # of what was tried
COMPLAINT_WINDOW = timedelta(days=1)
COMPLAINT_LEAST = 5  # complaints
COMPLAINT_SHARE = 0.003  # of what was sent
FIRST_PAUSE = timedelta(hours=1)  # doubled with each try that fails
LONGEST_PAUSE = timedelta(days=1)
PROBES = 5  # digests let through by a try


@dataclass(frozen=True, slots=True, kw_only=True)
class Open:
    """A breaker that is open."""

    id: int
    scope: str
    cause: str
    detail: str
    since: datetime
    retry_at: datetime | None
    try_count: int


def standing(session: Session) -> dict[str, Open]:
    """Return the open breakers by scope."""
    rows = session.scalars(
        select(BreakerRow).where(BreakerRow.closed_at.is_(None)).execution_options(populate_existing=True)
    )
    return {row.scope: _read(row) for row in rows}


def judge(session: Session, now: datetime) -> list[Open]:
    """Open what has to be opened by what happened of late; return the newly opened ones.

    Each tells the operator, by mail and in the log, once.
    """
    opened = []
    for scope, cause, detail in (*_refused_by_policy(session, now), *_complained_about(session, now)):
        breaker = _open(session, scope, cause, detail, now)
        if breaker is not None:
            opened.append(breaker)
    return opened


def try_again(session: Session, breaker: Open, now: datetime) -> bool:
    """Say whether a few digests may go to a stopped destination; of many who ask, one hears yes.

    The next try is then twice as far away.
    """
    if breaker.retry_at is None or breaker.retry_at > now:
        return False
    pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** min(breaker.try_count + 1, 10))
    result = session.execute(
        update(BreakerRow)
        .where(
            BreakerRow.id == breaker.id,
            BreakerRow.closed_at.is_(None),
            BreakerRow.try_count == breaker.try_count,
        )
        .values(retry_at=now + pause, try_count=breaker.try_count + 1)
        .execution_options(synchronize_session=False)
    )
    return bool(result.rowcount)  # type: ignore[attr-defined]


def close(session: Session, now: datetime, *, by: str, scopes: Iterable[str] | None = None) -> int:
    """Close the breakers of these scopes, or all; return how many. What led to them counts no more."""
    statement = update(BreakerRow).where(BreakerRow.closed_at.is_(None))
    if scopes is not None:
        statement = statement.where(BreakerRow.scope.in_(list(scopes)))
    result = session.execute(
        statement.values(closed_at=now, closed_by=by).execution_options(synchronize_session=False)
    )
    count = int(result.rowcount)  # type: ignore[attr-defined]
    if count:
        logger.info("breaker_closed", count=count, by=by)
        # What was put off on its account comes now; where another is still open, it is put off again.
        session.execute(
            update(DeliveryRow)
            .where(IS_WAITING, DeliveryRow.reason == STOPPED, DeliveryRow.next_at > now)
            .values(next_at=now)
            .execution_options(synchronize_session=False)
        )
    return count


def _refused_by_policy(session: Session, now: datetime) -> list[tuple[str, str, str]]:
    """Find destinations that refuse more than their share."""
    counts = tallies.since(session, tallies.slot_of(now - POLICY_WINDOW))
    if not any(tally.policy >= POLICY_LEAST for tally in counts.values()):
        return []
    closed = _last_closed(session, POLICY)
    found = []
    for scope, tally in counts.items():
        if scope in closed:
            start = max(tallies.slot_of(now - POLICY_WINDOW), tallies.slot_of(closed[scope]) + tallies.SLOT)
            tally = tallies.since(session, start).get(scope, tallies.Tally())  # noqa: PLW2901
        sent = sum(each.sent for each in counts.values()) if scope == ALL else tally.sent
        if tally.policy >= POLICY_LEAST and tally.policy >= POLICY_SHARE * (sent + tally.policy):
            who = "relays refuse us" if scope == ALL else f"{scope} refuses digests"
            detail = f"{who}: {tally.policy} of {sent + tally.policy} within the hour, by policy (5.7.x)"
            found.append((scope, POLICY, detail))
    return found


def _complained_about(session: Session, now: datetime) -> list[tuple[str, str, str]]:
    """Find out whether more people complain than may."""
    start = now - COMPLAINT_WINDOW
    released = _last_closed(session, COMPLAINTS).get(ALL, start)
    count = session.scalar(
        select(func.count()).where(
            ReturnRow.kind == "complaint",
            ReturnRow.delivery_id.is_not(None),
            ReturnRow.received_at > max(start, released),
            ReturnRow.received_at <= now,
        )
    )
    if not count or count < COMPLAINT_LEAST:
        return []
    sent = sum(tally.sent for tally in tallies.since(session, tallies.slot_of(start)).values())
    if count <= COMPLAINT_SHARE * sent:
        return []
    return [(ALL, COMPLAINTS, f"{count} complaints about {sent} digests within a day")]


def _last_closed(session: Session, cause: str) -> Mapping[str, datetime]:
    rows = session.execute(
        select(BreakerRow.scope, func.max(BreakerRow.closed_at))
        .where(BreakerRow.cause == cause, BreakerRow.closed_at.is_not(None))
        .group_by(BreakerRow.scope)
    )
    return {scope: at for scope, at in rows if at is not None}


def _open(session: Session, scope: str, cause: str, detail: str, now: datetime) -> Open | None:
    make_insert = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    statement = (
        make_insert(BreakerRow)
        .values(
            scope=scope,
            cause=cause,
            detail=detail[:200],
            opened_at=now,
            retry_at=None if scope == ALL else now + FIRST_PAUSE,
            try_count=0,
        )
        .on_conflict_do_nothing()
        .returning(BreakerRow.id)
    )
    if session.scalar(statement) is None:
        return None  # it is open already
    logger.error("breaker_opened", scope=scope, cause=cause, detail=detail)
    raise_alert(
        session,
        topic=f"breaker:{scope}:{cause}",
        headline="all digests are stopped" if scope == ALL else f"digests to {scope} are stopped",
        lines=[detail, *_advice(scope, cause)],
        now=now,
    )
    return standing(session).get(scope)


def _advice(scope: str, cause: str) -> Sequence[str]:
    if cause == COMPLAINTS:
        look = "Look at who complains and how they came to subscribe. Confirmation mails go on."
        return (look, "Digests go on once you have typed: paperlark release")
    look = "Look at the relay's log, at SPF, DKIM and DMARC (paperlark doctor --dns) and at block lists."
    if scope == ALL:
        return (look, "Digests go on once you have typed: paperlark release")
    return (look, "A few are tried again by and by; to let all go at once type: paperlark release")


def _read(row: BreakerRow) -> Open:
    return Open(
        id=row.id,
        scope=row.scope,
        cause=row.cause,
        detail=row.detail,
        since=row.opened_at,
        retry_at=row.retry_at,
        try_count=row.try_count,
    )
