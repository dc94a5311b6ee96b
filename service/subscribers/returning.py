"""What is done about mail that comes back: suppress, count, tell the operator, or nothing.

A dead address is suppressed at once (a dead domain at the second hit), a complaint ends everything, a full
mailbox is suppressed only after five failures over two weeks without a success between. Refusals by policy
are about us: nobody is suppressed for them, the operator is told. Each message or event counts once.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import exists, func, or_, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from service.keys import Keyring
from service.mail import alerts
from service.mail.bounce_words import Kind
from service.mail.delivery import DEAD_WHEN_REPEATED, Status, sources_of
from service.mail.tables import DeliveryRow, ReturnRow
from service.subscribers.consent import Origin
from service.subscribers.leaving import leave_by_mail, stop
from service.subscribers.status import Event
from service.subscribers.tables import SubscriberRow

RECENT = timedelta(days=30)  # what is older is not about mail anybody still tries to deliver
SOFT_HITS = 5
SOFT_SPAN = timedelta(days=14)
TIME_TO_BOUNCE = timedelta(days=2)  # mail that did not come back by then has arrived
FAILURES = (Kind.HARD, Kind.SOFT)
# Whoever answers at all had the mail: this closes a delivery whose answer from the relay was lost.
_PROOF = frozenset({Kind.HARD, Kind.SOFT, Kind.POLICY, Kind.COMPLAINT, Kind.DELAY, Kind.AUTO_REPLY})


class Outcome(StrEnum):
    """What was done about something that came back."""

    SUPPRESSED = "suppressed"  # no more mail to the address
    COUNTED = "counted"  # one more failure that may pass
    TOLD = "told"  # the operator, since it is about us
    LEFT = "left"  # unsubscribed
    NOTED = "noted"  # nothing but the record
    UNMATCHED = "unmatched"  # names no delivery of ours
    OLD = "old"  # about mail of long ago
    DUPLICATE = "duplicate"  # came before


@dataclass(frozen=True, slots=True, kw_only=True)
class Returned:
    """One message or event that came back."""

    event_key: bytes  # 32 bytes that name it: the same twice is one
    source: str  # "mail", or the provider's name
    kind: Kind
    status: str | None = None  # RFC 3463
    nonces: tuple[int, ...] = ()  # of deliveries, the surest first
    is_leaving: bool = False  # the reader unsubscribed at the provider; the kind says nothing then


def take_in(session: Session, keyring: Keyring, returned: Returned, now: datetime) -> Outcome:
    """Record something that came back and do what it calls for, in the caller's transaction."""
    row_id = _record(session, returned, now)
    if row_id is None:
        return Outcome.DUPLICATE
    delivery = _find_delivery(session, returned.nonces)
    if delivery is None:
        outcome = Outcome.UNMATCHED
    elif delivery.created_at < now - RECENT and not _holds_for_ever(returned):
        outcome = Outcome.OLD
    else:
        outcome = _act(session, keyring, returned, delivery, now)
        if returned.kind in _PROOF:
            _close_unknown(session, delivery.id)
    session.execute(update(ReturnRow).where(ReturnRow.id == row_id).values(outcome=outcome.value))
    return outcome


def _holds_for_ever(returned: Returned) -> bool:
    return returned.is_leaving or returned.kind is Kind.COMPLAINT


def _record(session: Session, returned: Returned, now: datetime) -> int | None:
    """Add the row; None where the same came before."""
    delivery = _find_delivery(session, returned.nonces)
    make_insert = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    statement = (
        make_insert(ReturnRow)
        .values(
            event_key=returned.event_key,
            received_at=now,
            source=returned.source[:20],
            kind=returned.kind.value,
            status=returned.status[:12] if returned.status else None,
            delivery_id=delivery.id if delivery else None,
            subscriber_id=delivery.subscriber_id if delivery else None,
            outcome=Outcome.UNMATCHED.value,
        )
        .on_conflict_do_nothing(index_elements=["event_key"])
        .returning(ReturnRow.id)
    )
    return session.scalar(statement)


def _find_delivery(session: Session, nonces: tuple[int, ...]) -> DeliveryRow | None:
    rows = {
        row.nonce: row for row in session.scalars(select(DeliveryRow).where(DeliveryRow.nonce.in_(nonces)))
    }
    return next((rows[nonce] for nonce in nonces if nonce in rows), None)


def _act(
    session: Session, keyring: Keyring, returned: Returned, delivery: DeliveryRow, now: datetime
) -> Outcome:
    if returned.is_leaving:
        return _let_leave(session, keyring, returned, delivery, now)
    if returned.kind is Kind.POLICY:
        # Not of what tells the operator: that would be told of for ever.
        is_alert = delivery.kind in alerts.KINDS
        return Outcome.NOTED if is_alert else _tell_operator(session, returned, now)
    if delivery.subscriber_id is None or returned.kind not in {Kind.HARD, Kind.SOFT, Kind.COMPLAINT}:
        return Outcome.NOTED
    event = Event.COMPLAIN if returned.kind is Kind.COMPLAINT else Event.BOUNCE
    if returned.kind is Kind.SOFT and not _fails_for_long(session, delivery.subscriber_id, now):
        return Outcome.COUNTED
    if returned.kind is Kind.HARD and not _is_dead(session, returned, delivery):
        return Outcome.COUNTED
    stop(session, keyring, delivery.subscriber_id, event, now=now, source=returned.source)
    return Outcome.SUPPRESSED


def _let_leave(
    session: Session, keyring: Keyring, returned: Returned, delivery: DeliveryRow, now: datetime
) -> Outcome:
    if delivery.subscriber_id is None:
        return Outcome.NOTED
    subscriber = session.get(SubscriberRow, delivery.subscriber_id)
    if subscriber is not None:
        leave_by_mail(session, keyring, subscriber.public_id, now, Origin(form=returned.source, wording=""))
    return Outcome.LEFT


def _is_dead(session: Session, returned: Returned, delivery: DeliveryRow) -> bool:
    """Say whether a hard bounce is beyond doubt: a domain that can't be found may be back tomorrow."""
    if returned.status not in DEAD_WHEN_REPEATED:
        return True
    statement = select(func.count()).where(
        ReturnRow.subscriber_id == delivery.subscriber_id,
        ReturnRow.kind == Kind.HARD.value,
        ReturnRow.delivery_id != delivery.id,
    )
    return bool(session.scalar(statement))


def _fails_for_long(session: Session, subscriber_id: int, now: datetime) -> bool:
    """Say whether deliveries have failed five times, over two weeks, with no success between."""
    came_back = exists().where(
        ReturnRow.delivery_id == DeliveryRow.id, ReturnRow.kind.in_([kind.value for kind in FAILURES])
    )
    last_good = session.scalar(
        select(func.max(DeliveryRow.finished_at)).where(
            DeliveryRow.subscriber_id == subscriber_id,
            DeliveryRow.status == Status.SENT.value,
            DeliveryRow.finished_at <= now - TIME_TO_BOUNCE,
            ~came_back,
        )
    )
    hits = session.scalars(
        select(DeliveryRow.created_at)
        .where(
            DeliveryRow.subscriber_id == subscriber_id,
            or_(came_back, DeliveryRow.reason == "mailbox_full"),
            *([] if last_good is None else [DeliveryRow.created_at > last_good]),
        )
        .order_by(DeliveryRow.created_at)
    ).all()
    return len(hits) >= SOFT_HITS and hits[-1] - hits[0] >= SOFT_SPAN


def _tell_operator(session: Session, returned: Returned, now: datetime) -> Outcome:
    since = now - timedelta(days=1)
    count = session.scalar(
        select(func.count()).where(ReturnRow.kind == Kind.POLICY.value, ReturnRow.received_at > since)
    )
    alerts.raise_alert(
        session,
        topic="returned for policy",
        headline="Mail comes back for reasons of policy",
        lines=[
            f"{count} message(s) of the last day came back with a refusal that is about the sender or the"
            f" content, the latest with status {returned.status or 'unknown'}. No address was suppressed.",
            "Look at SPF, DKIM, DMARC and the reputation of the sending host: paperlark doctor --dns.",
        ],
        now=now,
    )
    return Outcome.TOLD


def _close_unknown(session: Session, delivery_id: int) -> None:
    assert Status.UNKNOWN in sources_of(Status.SENT)  # noqa: S101 - the edge this takes
    session.execute(
        update(DeliveryRow)
        .where(DeliveryRow.id == delivery_id, DeliveryRow.status == Status.UNKNOWN.value)
        .values(status=Status.SENT.value, reason="came_back", claimed_by=None)
        .execution_options(synchronize_session=False)
    )
