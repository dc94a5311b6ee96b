"""Somebody filled in the form: what happens then, the same to the eye for every address.

Whoever types an address need not be its owner. So nothing seen by the typist tells whether the address is
known, nothing an owner has chosen is changed, and the only effect is at most one mail to the mailbox:

===============  =========================================================================
unknown          a pending row and the confirmation mail
pending          the newest choice counts; a new confirmation mail, the earlier link is void
unsubscribed,    the row stays as it is; a confirmation mail whose link brings the choice with it
bounced, erased  (bounced: once 30 days have passed)
active           a notice, at most one a day; the choice is dropped
complained       nothing
===============  =========================================================================
"""

import secrets
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from service.keys import Keyring, Purpose
from service.mail import outbox
from service.subscribers import consent, storing, tokens
from service.subscribers.addresses import parse_address
from service.subscribers.consent import Kind, Origin
from service.subscribers.limits import LIMITS, Limits, serialize, take
from service.subscribers.permission import may_not_be_asked
from service.subscribers.preferences import Preferences, as_json
from service.subscribers.status import Status
from service.subscribers.tables import SubscriberRow, TokenRow

CONFIRM_WITHIN = timedelta(hours=48)
NOTICE_WITHIN = timedelta(hours=6)  # a notice that comes later says nothing any more
PUBLIC_ID_BITS = 63


def sign_up(
    session: Session,
    keyring: Keyring,
    now: datetime,
    *,
    address: str,
    preferences: Preferences,
    origin: Origin,
    limits: Limits = LIMITS,
) -> None:
    """Take a filled-in form. Returns nothing, since the answer must not depend on the address.

    Afterwards, ring for the transactional mail whatever happened.

    Raises:
        InvalidAddress: the text is no address.
    """
    address = parse_address(address)
    serialize(session, keyring, address)
    if may_not_be_asked(session, keyring, [address], now):
        return
    subscriber = storing.find_by_address(session, address)
    if subscriber is not None and subscriber.status == Status.COMPLAINED:
        return
    if subscriber is not None and subscriber.status == Status.ACTIVE:
        _notify(session, keyring, now, subscriber, origin=origin, limits=limits)
        return
    _ask(
        session,
        keyring,
        now,
        address=address,
        subscriber=subscriber,
        preferences=preferences,
        origin=origin,
        limits=limits,
    )


def new_subscriber(keyring: Keyring, address: str, now: datetime) -> dict[str, Any]:
    """Return a pending subscriber's row as values to insert."""
    return {
        "public_id": secrets.randbits(PUBLIC_ID_BITS),
        "address": address,
        "address_key": keyring.address_key(address),
        "status": Status.PENDING.value,
        "mutes": [],
        "token_version": 0,
        "created_at": now,
        "updated_at": now,
    }


def _notify(
    session: Session,
    keyring: Keyring,
    now: datetime,
    subscriber: SubscriberRow,
    *,
    origin: Origin,
    limits: Limits,
) -> None:
    if take(
        session,
        keyring,
        now,
        address=subscriber.address,
        client=origin.network,
        limits=limits,
        is_notice=True,
    ):
        outbox.queue(
            session,
            kind="already_subscribed",
            queue=outbox.TRANSACTIONAL,
            now=now,
            expires_at=now + NOTICE_WITHIN,
            subscriber_id=subscriber.id,
        )


def _ask(
    session: Session,
    keyring: Keyring,
    now: datetime,
    *,
    address: str,
    subscriber: SubscriberRow | None,
    preferences: Preferences,
    origin: Origin,
    limits: Limits,
) -> None:
    requested = as_json(preferences)
    if not take(session, keyring, now, address=address, client=origin.network, limits=limits):
        if subscriber is not None:
            _keep_newest_choice(session, subscriber.id, requested, now)
        return
    subscriber_id = subscriber.id if subscriber else _insert(session, new_subscriber(keyring, address, now))
    expires_at = now + CONFIRM_WITHIN
    token = tokens.issue(
        session,
        keyring,
        Purpose.CONFIRM,
        subscriber_id=subscriber_id,
        now=now,
        expires_at=expires_at,
        requested=requested,
    )
    delivery_id = outbox.queue(
        session,
        kind="confirm",
        queue=outbox.TRANSACTIONAL,
        now=now,
        expires_at=expires_at,
        subscriber_id=subscriber_id,
        parameters={"nonce": token["nonce"]},
    )
    consent.record(
        session,
        Kind.REQUESTED,
        address_key=keyring.address_key(address),
        subscriber_id=subscriber_id,
        now=now,
        origin=origin,
        token_hash=token["token_hash"],
        details={"delivery": delivery_id},
    )


def _keep_newest_choice(
    session: Session, subscriber_id: int, requested: dict[str, Any], now: datetime
) -> None:
    session.execute(
        update(TokenRow)
        .where(
            TokenRow.subscriber_id == subscriber_id,
            TokenRow.purpose == Purpose.CONFIRM.value,
            TokenRow.used_at.is_(None),
            TokenRow.expires_at > now,
        )
        .values(requested=requested)
    )


def _insert(session: Session, row: dict[str, Any]) -> int:
    """Insert a subscriber, or take the one that an import running beside us has just inserted."""
    make_insert = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    session.execute(make_insert(SubscriberRow).values(row).on_conflict_do_nothing(index_elements=["address"]))
    return session.execute(
        select(SubscriberRow.id).where(SubscriberRow.address == row["address"])
    ).scalar_one()
