"""A subscriber with a mailed digest, and the addresses that name it, on both databases."""

from dataclasses import dataclass
from datetime import timedelta

import pytest
from sqlalchemy import select, update

from service.clock import SettableClock
from service.database import Database
from service.inbound.taking import take
from service.keys import Keyring
from service.mail import outbox
from service.mail.postbox import Postbox
from service.mail.tables import DeliveryRow, ReturnRow
from tests.subscriber_desk import Desk

DOMAIN = "bounces.example.org"


@dataclass
class Inbound:
    """What tests of returned mail do, one call each."""

    desk: Desk
    postbox: Postbox

    def mail_digest(self, *, status: str = "sent", kind: str = "digest") -> DeliveryRow:
        """Record a delivery as if it had been sent now."""
        desk = self.desk
        with desk.database.transaction() as session:
            delivery_id = outbox.queue(
                session,
                kind=kind,
                queue=outbox.BULK,
                now=desk.clock(),
                expires_at=desk.clock() + timedelta(hours=12),
                subscriber_id=desk.subscriber().id,
            )
            session.execute(
                update(DeliveryRow)
                .where(DeliveryRow.id == delivery_id)
                .values(status=status, finished_at=desk.clock(), attempt_count=1)
            )
        with desk.database.reading() as session:
            return session.get_one(DeliveryRow, delivery_id)

    def envelope_sender(self, delivery: DeliveryRow) -> str:
        return f"bounce+{self.desk.keyring.bounce_token(delivery.nonce)}@{DOMAIN}"

    def leave_address(self) -> str:
        return self.postbox.leave_address(self.desk.subscriber().public_id)

    def take(self, raw: bytes, to: str | None = None) -> str:
        """Take a message in, with its envelope's recipient or without one."""
        recipients = None
        if to is not None:
            ours = self.postbox.recognise(to)
            assert ours is not None
            recipients = [ours]
        return take(
            self.desk.database,
            self.desk.keyring,
            self.postbox,
            raw,
            now=self.desk.clock(),
            recipients=recipients,
        )

    def returns(self) -> list[tuple[str, str, bool]]:
        """Kind, outcome, and whether a delivery was found, of all that came back."""
        with self.desk.database.reading() as session:
            rows = session.scalars(select(ReturnRow).order_by(ReturnRow.id)).all()
        return [(row.kind, row.outcome, row.delivery_id is not None) for row in rows]


def make_inbound(database: Database, keyring: Keyring, clock: SettableClock) -> Inbound:
    """Make it with a confirmed subscriber."""
    desk = Desk(database, keyring, clock)
    desk.subscribe()
    postbox = Postbox(keyring=keyring, envelope_domain=DOMAIN, sender_domain="example.org")
    return Inbound(desk, postbox)


@pytest.fixture
def inbound(database: Database, keyring: Keyring, clock: SettableClock) -> Inbound:
    """On SQLite and on Postgres."""
    return make_inbound(database, keyring, clock)


@pytest.fixture
def quick_inbound(sqlite_database: Database, keyring: Keyring, clock: SettableClock) -> Inbound:
    """On SQLite, where the kind of database makes no difference."""
    return make_inbound(sqlite_database, keyring, clock)
