"""Everything kept of one person: as a document to hand over, and made to vanish.

Digests build on subscribers, not the other way round; so their tables are named here, not imported.
"""

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlalchemy import BigInteger, Date, String, column, delete, or_, select, table, update
from sqlalchemy.orm import Session

from service.database import Database, UtcDateTime
from service.keys import Keyring
from service.mail import outbox, suppression
from service.mail.tables import DeliveryRow, ReturnRow
from service.selections import Selected
from service.subscribers import answers, consent, storing
from service.subscribers.consent import Kind, Origin
from service.subscribers.libraries.keeping import export_libraries
from service.subscribers.preferences import form_values
from service.subscribers.tables import ConsentEventRow, SubscriberRow

DIGESTS = table(
    "digests",
    column("id", BigInteger),
    column("subscriber_id", BigInteger),
    column("issue_date", Date),
    column("planned_at", UtcDateTime),
    column("outcome", String),
    column("skip_reason", String),
    column("selection", Selected),
    column("papers", String),
)

_DELIVERY_FIELDS = ("kind", "status", "created_at", "finished_at", "attempt_count", "reason", "reply_code")
_RETURN_FIELDS = ("received_at", "source", "kind", "status", "outcome")
_CONSENT_FIELDS = ("kind", "at", "wording", "form", "message_id", "network", "user_agent", "details")
_SUBSCRIBER_FIELDS = (
    "address",
    "status",
    "created_at",
    "updated_at",
    "confirmed_at",
    "left_at",
    "paused_until",
    "last_digest_at",
)


def export(session: Session, subscriber_id: int) -> dict[str, Any]:
    """Return all that is kept of a subscriber as JSON values: instants and dates are ISO 8601.

    Raises:
        LookupError: there is no such subscriber.
    """
    subscriber = session.get(SubscriberRow, subscriber_id, populate_existing=True)
    if subscriber is None:
        raise LookupError(f"there is no subscriber {subscriber_id}")
    events = session.scalars(
        select(ConsentEventRow)
        .where(_consent_of(subscriber_id, [subscriber.address_key]))
        .order_by(ConsentEventRow.id)
    )
    deliveries = session.scalars(
        select(DeliveryRow).where(DeliveryRow.subscriber_id == subscriber_id).order_by(DeliveryRow.id)
    )
    returned = session.scalars(
        select(ReturnRow).where(ReturnRow.subscriber_id == subscriber_id).order_by(ReturnRow.id)
    )
    digests = session.execute(
        select(DIGESTS).where(DIGESTS.c.subscriber_id == subscriber_id).order_by(DIGESTS.c.issue_date)
    )
    return {
        "subscriber": _fields(subscriber, _SUBSCRIBER_FIELDS),
        "preferences": form_values(storing.load_preferences(session, subscriber)),
        "libraries": export_libraries(session, subscriber_id),
        "answers": [
            {"paper": answer.paper_id, "answer": answer.word, "at": answer.at.isoformat()}
            for answer in answers.load(session, subscriber_id)
        ],
        "consent": [_fields(event, _CONSENT_FIELDS) for event in events],
        "deliveries": [_fields(delivery, _DELIVERY_FIELDS) for delivery in deliveries],
        "returned": [_fields(row, _RETURN_FIELDS) for row in returned],
        "digests": [
            {
                "issue_date": digest.issue_date.isoformat(),
                "outcome": digest.outcome,
                "skip_reason": digest.skip_reason,
                "papers": digest.selection,
            }
            for digest in digests
        ],
    }


def erase(
    session: Session, keyring: Keyring, subscriber_id: int, now: datetime, *, origin: Origin | None = None
) -> bool:
    """Make everything kept of a subscriber vanish; False if there is no such subscriber.

    What remains names nobody: the books of deliveries and digests without their person, the log of consent
    under a keyed hash, and that hash on the suppression list, so that no import brings the address back.
    Call :func:`scrub` after commit.
    """
    subscriber = storing.load_locked(session, subscriber_id)
    if subscriber is None:
        return False
    keys = [subscriber.address_key, *keyring.address_keys(subscriber.address)]
    forget(session, subscriber, keys, now)
    consent.record(
        session,
        Kind.ERASED,
        address_key=keyring.address_key(subscriber.address),
        subscriber_id=None,
        now=now,
        origin=Origin(form=origin.form if origin else "operator", wording=origin.wording if origin else ""),
    )
    return True


def forget(session: Session, subscriber: SubscriberRow, address_keys: Iterable[bytes], now: datetime) -> None:
    """Remove a subscriber's row and every trace of it, leaving ``address_keys``' first on the list."""
    keys = list(address_keys)
    suppression.suppress(session, keys[0], "erased", now, "erasure")
    outbox.cancel_waiting(session, subscriber_id=subscriber.id, reason="erased", now=now)
    # A relay's words may repeat the address it was given.
    session.execute(
        update(DeliveryRow)
        .where(DeliveryRow.subscriber_id == subscriber.id)
        .values(subscriber_id=None, parameters={}, reply_text=None)
    )
    session.execute(
        update(ReturnRow).where(ReturnRow.subscriber_id == subscriber.id).values(subscriber_id=None)
    )
    session.execute(
        update(DIGESTS)
        .where(DIGESTS.c.subscriber_id == subscriber.id)
        .values(subscriber_id=None, selection=[], papers=None)
    )
    session.execute(
        update(ConsentEventRow)
        .where(_consent_of(subscriber.id, keys))
        .values(subscriber_id=None, network=None, user_agent=None, details={})
    )
    session.execute(delete(SubscriberRow).where(SubscriberRow.id == subscriber.id))


def scrub(database: Database, address: str | None = None) -> None:
    """Take what was erased out of SQLite's files; Postgres does so by its own vacuum. Call it after commit.

    SQLite overwrites freed cells by itself (``secure_delete``), but not the copies that moving rows between
    pages leaves in the gaps: about one erased address in a thousand was found there. So the file is searched
    for ``address``, and written anew where it still stands. While readers hold the log, its end is left to
    the next checkpoint.
    """
    if not database.is_sqlite:
        return
    connection = database.engine.raw_connection()
    try:
        cursor = connection.cursor()
        cursor.execute("PRAGMA query_only=OFF")
        cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        if address and _holds(Path(str(database.engine.url.database)), address.encode()):
            cursor.execute("VACUUM")
            cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    finally:
        connection.close()


def _holds(path: Path, trace: bytes) -> bool:
    tail = b""
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            if trace in tail + block:
                return True
            tail = block[-len(trace) :]
    return False


def _consent_of(subscriber_id: int, keys: Iterable[bytes]) -> Any:
    return or_(ConsentEventRow.subscriber_id == subscriber_id, ConsentEventRow.address_key.in_(list(keys)))


def _fields(row: object, names: Iterable[str]) -> dict[str, Any]:
    values = {name: getattr(row, name) for name in names}
    return {
        name: value.isoformat() if isinstance(value, datetime) else value for name, value in values.items()
    }
