"""Ways out: the person's own press, a mailbox that refuses, a complaint. What waits is cancelled at once.

No mail says goodbye unless the operator wants it: whoever leaves has asked for no more mail. If so, one mail
tells of the leaving, in case somebody else pressed the link of a forwarded digest.
"""

from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from service.keys import Keyring, Purpose, token_hash
from service.mail import outbox, suppression
from service.subscribers import consent, storing, tokens
from service.subscribers.consent import Kind, Origin
from service.subscribers.links import unsubscribe_token
from service.subscribers.status import Event, Status, step
from service.subscribers.tables import SubscriberRow

__all__ = ["is_unsubscribe_token", "leave", "leave_by_mail", "stop", "unsubscribe_token"]

GOODBYE_WITHIN = timedelta(hours=1)  # a goodbye that comes late is one more mail to somebody who left

_REPORTS = {
    Event.BOUNCE: (Kind.BOUNCED, "bounce"),
    Event.COMPLAIN: (Kind.COMPLAINED, "complaint"),
}


def is_unsubscribe_token(keyring: Keyring, token: str) -> bool:
    """Whether the page with the button is to be shown. Looks up nothing, so it tells nothing."""
    return keyring.verify(Purpose.UNSUBSCRIBE, token) is not None


def leave(
    session: Session,
    keyring: Keyring,
    token: str,
    now: datetime,
    origin: Origin,
    *,
    says_goodbye: bool = False,
) -> bool:
    """Unsubscribe whom the link names; False only if it is not genuine.

    It holds for ever, may be pressed again and again, and also says yes for somebody erased since.
    """
    public_id = keyring.verify(Purpose.UNSUBSCRIBE, token)
    if public_id is None:
        return False
    if _leave(session, keyring, public_id, now, origin, token=token) and says_goodbye:
        _queue_goodbye(session, public_id, now)
    return True


def leave_by_mail(session: Session, keyring: Keyring, public_id: int, now: datetime, origin: Origin) -> bool:
    """Unsubscribe whom an address of ours names, to which a mail program wrote; return whether that changed
    anything. The caller has checked the address's token. Nothing is answered.
    """
    return _leave(session, keyring, public_id, now, origin, token=keyring.bounce_token(public_id))


def _leave(
    session: Session, keyring: Keyring, public_id: int, now: datetime, origin: Origin, *, token: str
) -> bool:
    subscriber = storing.find_by_public_id(session, public_id, lock=True)
    if subscriber is None or not _step(session, subscriber, Event.LEAVE, now, reason="unsubscribed"):
        return False
    consent.record(
        session,
        Kind.WITHDRAWN,
        address_key=keyring.address_key(subscriber.address),
        subscriber_id=subscriber.id,
        now=now,
        origin=origin,
        token_hash=token_hash(token),
    )
    return True


def _queue_goodbye(session: Session, public_id: int, now: datetime) -> None:
    subscriber = storing.find_by_public_id(session, public_id, lock=False)
    if subscriber is None or subscriber.confirmed_at is None:
        return  # whoever never confirmed gets nothing but what they asked for
    outbox.queue(
        session,
        kind="goodbye",
        queue=outbox.TRANSACTIONAL,
        now=now,
        expires_at=now + GOODBYE_WITHIN,
        subscriber_id=subscriber.id,
    )


def stop(
    session: Session, keyring: Keyring, subscriber_id: int, event: Event, *, now: datetime, source: str
) -> bool:
    """Take in a bounce or a complaint: suppress the address, end the subscription, cancel what waits.

    ``source`` names what told us ("rcpt", "dsn", "arf"). Returns whether the status changed.

    Raises:
        KeyError: the event is neither ``BOUNCE`` nor ``COMPLAIN``.
    """
    kind, reason = _REPORTS[event]
    subscriber = storing.load_locked(session, subscriber_id)
    if subscriber is None:
        return False
    address_key = keyring.address_key(subscriber.address)
    suppression.suppress(session, address_key, reason, now, source)
    if not _step(session, subscriber, event, now, reason="suppressed"):
        return False
    origin = Origin(form=source, wording="")
    consent.record(
        session, kind, address_key=address_key, subscriber_id=subscriber.id, now=now, origin=origin
    )
    return True


def _step(session: Session, subscriber: SubscriberRow, event: Event, now: datetime, *, reason: str) -> bool:
    """Take the step and end what is under way, a new confirmation too; return whether the status changed."""
    before = Status(subscriber.status)
    after = step(before, event) or before
    tokens.withdraw(session, Purpose.CONFIRM, subscriber.id)
    # The second press of who left must not take back the goodbye of the first.
    keeping = ("goodbye",) if event is Event.LEAVE else ()
    outbox.cancel_waiting(session, subscriber_id=subscriber.id, reason=reason, now=now, keeping=keeping)
    if after is before:
        return False
    subscriber.status = after.value
    subscriber.token_version += 1
    subscriber.left_at = subscriber.left_at or now
    subscriber.paused_until = None
    subscriber.updated_at = now
    session.flush()
    return True
