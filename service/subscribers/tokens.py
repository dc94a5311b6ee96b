"""Tokens that expire and work once: to confirm, to export, to erase. Only a hash and a nonce are kept.

The mail worker signs the nonce again to write the link, so no token lies in the database or a queue. That is
why a token is known by its nonce and signature, not by its hash: after a change of keys the link in a mail
that was still waiting differs from the one whose hash was kept, and both are genuine.
"""

import secrets
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import delete, insert, update
from sqlalchemy.orm import Session

from service.keys import Keyring, Purpose, token_hash
from service.subscribers.tables import TokenRow

NONCE_BITS = 63


def values(
    keyring: Keyring,
    purpose: Purpose,
    *,
    subscriber_id: int,
    now: datetime,
    expires_at: datetime,
    requested: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return a new token's row as values to insert; its ``nonce`` goes into the delivery's parameters."""
    nonce = secrets.randbits(NONCE_BITS)
    return {
        "nonce": nonce,
        "purpose": purpose.value,
        "subscriber_id": subscriber_id,
        "token_hash": token_hash(keyring.sign(purpose, nonce)),
        "created_at": now,
        "expires_at": expires_at,
        "used_at": None,
        "requested": requested,
    }


def issue(
    session: Session,
    keyring: Keyring,
    purpose: Purpose,
    *,
    subscriber_id: int,
    now: datetime,
    expires_at: datetime,
    requested: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Store a new token, the only one of its purpose for the subscriber: earlier ones are void."""
    withdraw(session, purpose, subscriber_id)
    row = values(
        keyring, purpose, subscriber_id=subscriber_id, now=now, expires_at=expires_at, requested=requested
    )
    session.execute(insert(TokenRow).values(row))
    return row


def withdraw(session: Session, purpose: Purpose, subscriber_id: int) -> None:
    """Make every token of a purpose for a subscriber void."""
    session.execute(
        delete(TokenRow).where(TokenRow.subscriber_id == subscriber_id, TokenRow.purpose == purpose.value)
    )


def find(session: Session, keyring: Keyring, purpose: Purpose, token: str, now: datetime) -> TokenRow | None:
    """Return the row of a genuine, unexpired token, used or not; None for any other text."""
    nonce = keyring.verify(purpose, token)
    row = None if nonce is None else session.get(TokenRow, nonce, populate_existing=True)
    return row if row is not None and row.purpose == purpose.value and now < row.expires_at else None


def use(session: Session, row: TokenRow, now: datetime) -> bool:
    """Use the token up; False where somebody was quicker or it had been used before."""
    result = session.execute(
        update(TokenRow)
        .where(TokenRow.nonce == row.nonce, TokenRow.used_at.is_(None))
        .values(used_at=now)
        .execution_options(synchronize_session=False)
    )
    return bool(result.rowcount == 1)  # type: ignore[attr-defined]
