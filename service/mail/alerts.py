"""Tells the operator, by mail, what needs a look: at most one mail a day for each topic."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog
from sqlalchemy import or_
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from service.keys import Keyring
from service.mail import outbox
from service.mail.composing import Claimed, Refusal
from service.mail.letters import AlertLetter, Letter
from service.mail.suppression import suppressed
from service.mail.tables import AlertRow

log = structlog.get_logger()

KINDS = ("alert",)
QUIET = timedelta(days=1)
WORTH_TELLING = timedelta(hours=12)  # what could not be sent by then is in the books anyway
LINES_LIMIT = 20


def raise_alert(session: Session, *, topic: str, headline: str, lines: Sequence[str], now: datetime) -> bool:
    """Queue a mail to the operator, unless one of the same topic was queued within a day.

    It is logged as well. ``headline`` and ``lines`` are sentences for people, without any address or token.
    Returns whether a mail was queued; ring for the transactional queue after the commit.
    """
    if not _is_first(session, topic, now):
        return False
    log.warning("operator_alert", topic=topic, headline=headline)
    outbox.queue(
        session,
        kind="alert",
        queue=outbox.TRANSACTIONAL,
        now=now,
        expires_at=now + WORTH_TELLING,
        parameters={"headline": headline, "lines": list(lines)[:LINES_LIMIT]},
    )
    return True


def _is_first(session: Session, topic: str, now: datetime) -> bool:
    make_insert = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    statement = (
        make_insert(AlertRow)
        .values(topic=topic[:60], raised_at=now)
        .on_conflict_do_update(
            index_elements=["topic"],
            set_={"raised_at": now},
            where=or_(AlertRow.raised_at <= now - QUIET, AlertRow.raised_at > now),
        )
        .returning(AlertRow.topic)
    )
    return session.scalar(statement) is not None


@dataclass(frozen=True, slots=True)
class AlertComposer:
    """Composer of the kind "alert": to one address, which no complaint or entry of its own may forbid."""

    recipient: str | None
    keyring: Keyring

    def compose(
        self, session: Session, deliveries: Sequence[Claimed], now: datetime
    ) -> Mapping[int, Letter | Refusal]:
        """Return a letter or a refusal for the id of every delivery given."""
        del now
        if self.recipient is None:
            return {delivery.id: Refusal("no_operator") for delivery in deliveries}
        if suppressed(session, self.keyring.address_keys(self.recipient.lower())):
            return {delivery.id: Refusal("suppressed") for delivery in deliveries}
        return {
            delivery.id: AlertLetter(
                recipient=self.recipient,
                headline=str(delivery.parameters["headline"]),
                lines=tuple(map(str, delivery.parameters["lines"])),
            )
            for delivery in deliveries
        }
