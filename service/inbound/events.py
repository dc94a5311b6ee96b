"""Takes in what providers tell by webhook: in one transaction, each event once."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

import structlog
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from service.database import Database
from service.keys import Keyring
from service.mail.bounce_words import Kind
from service.mail.postbox import Postbox
from service.mail.provider_events import ProviderEvent
from service.mail.tables import UsedSignatureRow
from service.subscribers.returning import Outcome, Returned, take_in

log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class EventTally:
    """What became of a request's events."""

    taken: int = 0
    duplicate: int = 0
    is_replay: bool = False  # the same signature was used before: nothing was done


def take_events(
    database: Database,
    keyring: Keyring,
    postbox: Postbox,
    events: Iterable[ProviderEvent],
    *,
    provider: str,
    now: datetime,
    signature: str | None = None,
) -> EventTally:
    """Take in the events of one request; ``signature`` is what of it may be used once, if anything.

    Raises:
        sqlalchemy.exc.SQLAlchemyError: the database is away; nothing was taken, the provider tells again.
    """
    taken = duplicate = 0
    with database.transaction() as session:
        if signature is not None and not _use(session, f"{provider}\n{signature}", now):
            return EventTally(is_replay=True)
        for event in events:
            outcome = take_in(session, keyring, _returned(postbox, event, provider), now)
            duplicate += outcome is Outcome.DUPLICATE
            taken += outcome is not Outcome.DUPLICATE
            log.info(
                "mail_returned", source=provider, kind=event.kind or "unsubscribe", outcome=outcome.value
            )
    return EventTally(taken=taken, duplicate=duplicate)


def _returned(postbox: Postbox, event: ProviderEvent, provider: str) -> Returned:
    return Returned(
        event_key=_key(f"{provider}\n{event.event_id}"),
        source=provider,
        kind=event.kind or Kind.OTHER,
        status=event.status,
        nonces=tuple(postbox.deliveries_in(event.text, event.message_ids)),
        is_leaving=event.kind is None,
    )


def _key(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()  # JSON can write half a sign


def _use(session: Session, text: str, now: datetime) -> bool:
    make_insert = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    statement = (
        make_insert(UsedSignatureRow)
        .values(signature_key=_key(text), used_at=now)
        .on_conflict_do_nothing(index_elements=["signature_key"])
        .returning(UsedSignatureRow.used_at)
    )
    return session.scalar(statement) is not None
