"""Takes in one message that came back, from wherever: reads it and does what it calls for.

One transaction each, and idempotent: the same message twice changes nothing, so whoever is not sure that it
was taken may bring it again.
"""

import hashlib
from collections.abc import Sequence
from datetime import datetime

import structlog

from service.database import Database
from service.keys import Keyring
from service.mail.bounce_words import Kind
from service.mail.bounces import read
from service.mail.postbox import Ours, Postbox
from service.subscribers.consent import Origin
from service.subscribers.leaving import leave_by_mail
from service.subscribers.returning import Returned, take_in

log = structlog.get_logger()

LEFT = "left"
NOT_OURS = "not_ours"
WORDING = "List-Unsubscribe"


def take(
    database: Database,
    keyring: Keyring,
    postbox: Postbox,
    raw: bytes,
    *,
    now: datetime,
    recipients: Sequence[Ours] | None = None,
) -> str:
    """Take in a message; return what was done, as a word.

    ``recipients`` are the addresses of ours that the envelope named; without an envelope (None) those in the
    message's head count. A message to none of them is somebody's letter, and left alone (``not_ours``).

    Raises:
        sqlalchemy.exc.SQLAlchemyError: the database is away; the message is to be brought again.
    """
    named = postbox.recipients_of(raw) if recipients is None else list(recipients)
    if not named:
        return NOT_OURS
    leaving = next((ours.leaving for ours in named if ours.leaving is not None), None)
    if leaving is not None:
        return _let_leave(database, keyring, leaving, now)
    returned = _read_back(postbox, raw, named)
    if returned is None:
        return NOT_OURS
    with database.transaction() as session:
        outcome = take_in(session, keyring, returned, now)
    log.info(
        "mail_returned", source="mail", kind=returned.kind, status=returned.status, outcome=outcome.value
    )
    return outcome.value


def _let_leave(database: Database, keyring: Keyring, public_id: int, now: datetime) -> str:
    """Unsubscribe: the address is the authority, as the link is; subject and sender are not looked at."""
    with database.transaction() as session:
        leave_by_mail(session, keyring, public_id, now, Origin(form="mailto", wording=WORDING))
    log.info("mail_returned", source="mail", kind="unsubscribe", outcome=LEFT)
    return LEFT


def _read_back(postbox: Postbox, raw: bytes, named: Sequence[Ours]) -> Returned | None:
    """Read a message and find its delivery; None for what came to the address for complaints and is none."""
    reading = read(raw)
    nonces = [ours.delivery for ours in named if ours.delivery is not None]
    if not nonces:
        # That address is known to all: what else comes there proves nothing.
        if reading.kind is not Kind.COMPLAINT:
            return None
        nonces = postbox.deliveries_in(raw, reading.message_ids)
    return Returned(
        # The same words may be said of several: one message is one only if it names the same delivery.
        event_key=hashlib.sha256(repr(nonces).encode() + raw).digest(),
        source="mail",
        kind=reading.kind,
        status=reading.status,
        nonces=tuple(nonces),
    )
