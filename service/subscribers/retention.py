"""What is kept no longer than it is needed: a job for every hour.

Confirmation not given: deleted when its last link has expired (48 hours). Left, bounced or complained: after
30 days only the keyed hash on the suppression list remains. Networks and browsers in the consent log: 90
days; the rest of the log is evidence and stays. What came back: 400 days.
"""

from datetime import datetime, timedelta

from sqlalchemy import delete, exists, or_, select, update
from sqlalchemy.orm import Session

from service.keys import Purpose
from service.mail import outbox
from service.mail.tables import AlertRow, DeliveryRow, ReturnRow, UsedSignatureRow
from service.subscribers.limits import LONGEST_WINDOW
from service.subscribers.personal_data import forget
from service.subscribers.signing_up import CONFIRM_WITHIN
from service.subscribers.status import Status
from service.subscribers.tables import ConsentEventRow, SignUpMailRow, SubscriberRow, TokenRow

KEEP_LEFT = timedelta(days=30)
KEEP_NETWORKS = timedelta(days=90)
KEEP_RETURNS = timedelta(days=400)  # whoever sends the same again after that is not heard, being too old
KEEP_SIGNATURES = timedelta(days=2)  # far longer than any window of time in which one is good
ROWS_PER_RUN = 2_000  # a run stays short; the next takes the rest


def expire(session: Session, now: datetime) -> dict[str, int]:
    """Delete what has outlived its purpose; return how many of each."""
    return {
        "pending": _expire_pending(session, now),
        "left": _forget_left(session, now),
        "tokens": _count(session.execute(delete(TokenRow).where(TokenRow.expires_at <= now))),
        "sign_up_mails": _count(
            session.execute(delete(SignUpMailRow).where(SignUpMailRow.at <= now - LONGEST_WINDOW))
        ),
        "networks": _forget_networks(session, now),
        "returns": _count(
            session.execute(delete(ReturnRow).where(ReturnRow.received_at <= now - KEEP_RETURNS))
        ),
        "signatures": _count(
            session.execute(delete(UsedSignatureRow).where(UsedSignatureRow.used_at <= now - KEEP_SIGNATURES))
        ),
        "alerts": _count(session.execute(delete(AlertRow).where(AlertRow.raised_at <= now - KEEP_LEFT))),
    }


def _expire_pending(session: Session, now: datetime) -> int:
    living_link = exists().where(
        TokenRow.subscriber_id == SubscriberRow.id,
        TokenRow.purpose == Purpose.CONFIRM.value,
        TokenRow.expires_at > now,
    )
    ids = session.scalars(
        select(SubscriberRow.id)
        .where(
            SubscriberRow.status == Status.PENDING.value,
            SubscriberRow.created_at <= now - CONFIRM_WITHIN,
            ~living_link,
        )
        .order_by(SubscriberRow.id)
        .limit(ROWS_PER_RUN)
        .with_for_update(skip_locked=True)
    ).all()
    for subscriber_id in ids:
        outbox.cancel_waiting(session, subscriber_id=subscriber_id, reason="expired", now=now)
    if ids:
        session.execute(
            update(DeliveryRow)
            .where(DeliveryRow.subscriber_id.in_(ids))
            .values(subscriber_id=None, parameters={}, reply_text=None)
        )
        session.execute(update(ReturnRow).where(ReturnRow.subscriber_id.in_(ids)).values(subscriber_id=None))
        session.execute(
            update(ConsentEventRow)
            .where(ConsentEventRow.subscriber_id.in_(ids))
            .values(subscriber_id=None, network=None, user_agent=None)
        )
        session.execute(delete(SubscriberRow).where(SubscriberRow.id.in_(ids)))
    return len(ids)


def _forget_left(session: Session, now: datetime) -> int:
    rows = session.scalars(
        select(SubscriberRow)
        .where(
            SubscriberRow.status.in_([Status.UNSUBSCRIBED, Status.BOUNCED, Status.COMPLAINED]),
            SubscriberRow.left_at <= now - KEEP_LEFT,
        )
        .order_by(SubscriberRow.id)
        .limit(ROWS_PER_RUN)
        .with_for_update(skip_locked=True)
    ).all()
    for row in rows:
        forget(session, row, [row.address_key], now)
    return len(rows)


def _forget_networks(session: Session, now: datetime) -> int:
    old = (
        ConsentEventRow.at <= now - KEEP_NETWORKS,
        or_(ConsentEventRow.network.is_not(None), ConsentEventRow.user_agent.is_not(None)),
    )
    return _count(session.execute(update(ConsentEventRow).where(*old).values(network=None, user_agent=None)))


def _count(result: object) -> int:
    return int(result.rowcount)  # type: ignore[attr-defined]
