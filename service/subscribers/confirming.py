"""The second half of the double opt-in: the button behind the link in the confirmation mail."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from service.keys import Keyring, Purpose, token_hash
from service.subscribers import consent, storing, tokens
from service.subscribers.consent import Kind, Origin
from service.subscribers.permission import FINAL, lift, suppression_reasons
from service.subscribers.preferences import Preferences, from_json
from service.subscribers.status import Event, Status, step
from service.subscribers.tables import SubscriberRow, TokenRow


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfirmView:
    """What the page with the button shows. No address: links are opened by scanners, too."""

    preferences: Preferences
    requested_at: datetime
    expires_at: datetime
    is_confirmed: bool  # the button has been pressed; the page says so and shows none


def find_pending(session: Session, keyring: Keyring, token: str, now: datetime) -> ConfirmView | None:
    """Return what a confirmation link is about, changing nothing; None if it is void or has expired."""
    row = tokens.find(session, keyring, Purpose.CONFIRM, token, now)
    if row is None or row.requested is None:
        return None
    subscriber = session.get(SubscriberRow, row.subscriber_id)
    if subscriber is None or not _is_open(subscriber, row):
        return None
    return ConfirmView(
        preferences=from_json(row.requested),
        requested_at=row.created_at,
        expires_at=row.expires_at,
        is_confirmed=row.used_at is not None,
    )


def confirm(session: Session, keyring: Keyring, token: str, now: datetime, origin: Origin) -> int | None:
    """Make the subscription active and return the subscriber's id; None if the link is void or has expired.

    Pressing again while the link lives returns the id again and changes nothing. After commit, ring
    ``digests.plan_first`` with the id.
    """
    row = tokens.find(session, keyring, Purpose.CONFIRM, token, now)
    subscriber = None if row is None else storing.load_locked(session, row.subscriber_id)
    if row is None or row.requested is None or subscriber is None or not _is_open(subscriber, row):
        return None
    if row.used_at is not None:
        return subscriber.id
    reasons = suppression_reasons(session, keyring, [subscriber.address])
    if reasons.get(subscriber.address) in FINAL:
        return None
    if tokens.use(session, row, now):
        _activate(session, keyring, subscriber, from_json(row.requested), now)
        consent.record(
            session,
            Kind.CONFIRMED,
            address_key=keyring.address_key(subscriber.address),
            subscriber_id=subscriber.id,
            now=now,
            origin=origin,
            token_hash=token_hash(token),
        )
    return subscriber.id


def _is_open(subscriber: SubscriberRow, row: TokenRow) -> bool:
    """Whether the link still leads somewhere: a used one only while what it brought about lasts."""
    if row.used_at is not None:
        return subscriber.status == Status.ACTIVE
    return step(Status(subscriber.status), Event.CONFIRM) is not None


def _activate(
    session: Session, keyring: Keyring, subscriber: SubscriberRow, preferences: Preferences, now: datetime
) -> None:
    subscriber.status = Status.ACTIVE.value
    subscriber.address_key = keyring.address_key(subscriber.address)
    subscriber.confirmed_at = now
    subscriber.left_at = None
    subscriber.paused_until = None
    session.flush()
    storing.replace_preferences(session, subscriber.id, preferences, now)
    lift(session, keyring, subscriber.address)
