"""What a person may demand of what is kept: a copy, and its end. Behind a fresh link in a mail.

The preferences link is no key to it: it travels with every digest, and digests are forwarded.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from sqlalchemy.orm import Session

from service.keys import Keyring, Purpose, token_hash
from service.mail import outbox
from service.subscribers import consent, storing, tokens
from service.subscribers.addresses import parse_address
from service.subscribers.consent import Kind, Origin
from service.subscribers.limits import LIMITS, Limits, MailKind, Wait, find_wait, serialize, take
from service.subscribers.permission import may_not_be_asked
from service.subscribers.personal_data import erase, export
from service.subscribers.status import Status
from service.subscribers.tables import SubscriberRow

__all__ = [
    "ManageView",
    "Performed",
    "erase",
    "export",
    "find_link_wait",
    "open_link",
    "perform",
    "request_link",
]

Action = Literal["export", "erase"]

LINK_LIFE = timedelta(minutes=30)
PURPOSES: dict[Action, Purpose] = {"export": Purpose.EXPORT, "erase": Purpose.ERASE}


@dataclass(frozen=True, slots=True, kw_only=True)
class ManageView:
    """What the page with the button shows."""

    action: Action
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Performed:
    """What the button did.

    ``document`` is the copy when it was an export; ``address`` what was erased, to look for traces of it.
    """

    action: Action
    document: dict[str, Any] | None = None
    address: str | None = None


def request_link(
    session: Session,
    keyring: Keyring,
    now: datetime,
    *,
    action: Action,
    origin: Origin,
    address: str | None = None,
    subscriber_id: int | None = None,
    limits: Limits = LIMITS,
) -> bool:
    """Mail a link that exports or erases, to the owner of ``address`` (as typed) or to a known subscriber.

    Returns whether a mail was queued. Who typed an address must not be told: that would say whether it is
    known. The two ways are limited each by itself, and neither by the mails of sign-up. Afterwards, ring for
    the transactional mail whatever happened.

    Raises:
        InvalidAddress: the text is no address.
    """
    kind: MailKind = "link" if subscriber_id is None else "own_link"
    subscriber = _find(session, keyring, address, subscriber_id)
    if subscriber is None or subscriber.status == Status.COMPLAINED:
        return False
    address = subscriber.address
    if may_not_be_asked(session, keyring, [address], now):
        return False
    if not take(session, keyring, now, address=address, client=origin.network, limits=limits, kind=kind):
        return False
    expires_at = now + LINK_LIFE
    token = tokens.issue(
        session, keyring, PURPOSES[action], subscriber_id=subscriber.id, now=now, expires_at=expires_at
    )
    outbox.queue(
        session,
        kind="manage",
        queue=outbox.TRANSACTIONAL,
        now=now,
        expires_at=expires_at,
        subscriber_id=subscriber.id,
        parameters={"nonce": token["nonce"], "action": action},
    )
    consent.record(
        session,
        Kind.LINK_REQUESTED,
        address_key=keyring.address_key(address),
        subscriber_id=subscriber.id,
        now=now,
        origin=origin,
        token_hash=token["token_hash"],
        details={"action": action},
    )
    return True


def find_link_wait(session: Session, keyring: Keyring, now: datetime, *, address: str) -> Wait | None:
    """Return how long a subscriber must wait for another link asked for from the preferences page."""
    return find_wait(session, keyring, now, address=address, kind="own_link")


def open_link(session: Session, keyring: Keyring, token: str, now: datetime) -> ManageView | None:
    """Return what a link would do, changing nothing; None if it is void, used or has expired."""
    for action, purpose in PURPOSES.items():
        row = tokens.find(session, keyring, purpose, token, now)
        if row is not None and row.used_at is None:
            return ManageView(action=action, expires_at=row.expires_at)
    return None


def perform(
    session: Session, keyring: Keyring, token: str, now: datetime, origin: Origin
) -> Performed | None:
    """Do what the link says, once; None if it is void, used or has expired.

    After an erasure has been committed, call ``personal_data.scrub`` with the address.
    """
    for action, purpose in PURPOSES.items():
        row = tokens.find(session, keyring, purpose, token, now)
        if row is None or not tokens.use(session, row, now):
            continue
        subscriber = storing.load_locked(session, row.subscriber_id)
        if subscriber is None:
            return None
        if action == "erase":
            address = subscriber.address
            erase(session, keyring, subscriber.id, now, origin=origin)
            return Performed(action=action, address=address)
        consent.record(
            session,
            Kind.EXPORTED,
            address_key=keyring.address_key(subscriber.address),
            subscriber_id=subscriber.id,
            now=now,
            origin=origin,
            token_hash=token_hash(token),
        )
        return Performed(action=action, document=export(session, row.subscriber_id))
    return None


def _find(
    session: Session, keyring: Keyring, address: str | None, subscriber_id: int | None
) -> SubscriberRow | None:
    if address is None:
        subscriber = None if subscriber_id is None else session.get(SubscriberRow, subscriber_id)
        if subscriber is None:
            return None
        address = subscriber.address
    else:
        address = parse_address(address)
    serialize(session, keyring, address)
    return storing.find_by_address(session, address)
