"""A desk where tests fill in forms and press buttons, each in a transaction of its own, as the web does."""

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from sqlalchemy import func, select

from service.clock import SettableClock
from service.database import Database
from service.keys import Keyring, Purpose
from service.mail.composing import Claimed
from service.mail.tables import DeliveryRow, SuppressionRow
from service.subscribers import changing, confirming, leaving, managing, signing_up
from service.subscribers.composing import SubscriberComposer
from service.subscribers.consent import Origin
from service.subscribers.limits import LIMITS, Limits
from service.subscribers.links import Links
from service.subscribers.managing import Action
from service.subscribers.preferences import Preferences, read_preferences
from service.subscribers.tables import ConsentEventRow, SubscriberRow

ANN = "ann@example.org"
BASE_URL = "https://paperlark.example.org"


def an_origin(**changes: Any) -> Origin:
    """A visit to the web form from a public address."""
    return Origin(
        **{"form": "/", "wording": "form-1", "network": "192.0.2.77", "user_agent": "Browser/1"} | changes
    )


def some_preferences(**changes: Any) -> Preferences:
    """Preferences read from form fields."""
    return read_preferences({"timezone": "Europe/Berlin", "hour": 7, "words": "mamba", **changes})


@dataclass
class Desk:
    """What the edges do, one call each."""

    database: Database
    keyring: Keyring
    clock: SettableClock

    def sign_up(
        self,
        address: str = ANN,
        preferences: Preferences | None = None,
        *,
        origin: Origin | None = None,
        limits: Limits = LIMITS,
    ) -> None:
        with self.database.transaction() as session:
            signing_up.sign_up(
                session,
                self.keyring,
                self.clock(),
                address=address,
                preferences=preferences or some_preferences(),
                origin=origin or an_origin(),
                limits=limits,
            )

    def confirm(self, token: str) -> int | None:
        with self.database.transaction() as session:
            return confirming.confirm(session, self.keyring, token, self.clock(), an_origin())

    def subscribe(self, address: str = ANN, preferences: Preferences | None = None) -> SubscriberRow:
        """Sign up and confirm, with time in between."""
        self.sign_up(address, preferences)
        assert self.confirm(self.confirm_token()) is not None
        self.clock.advance(timedelta(days=31))
        return self.subscriber(address)

    def change(self, token: str, preferences: Preferences) -> bool:
        with self.database.transaction() as session:
            return changing.change(
                session, self.keyring, token, preferences, now=self.clock(), origin=an_origin()
            )

    def pause(self, token: str, until: date) -> bool:
        with self.database.transaction() as session:
            return changing.pause(session, self.keyring, token, until, now=self.clock(), origin=an_origin())

    def leave(self, token: str) -> bool:
        with self.database.transaction() as session:
            return leaving.leave(session, self.keyring, token, self.clock(), an_origin())

    def request_link(self, action: Action, address: str = ANN) -> bool:
        """Type an address into the public page."""
        with self.database.transaction() as session:
            return managing.request_link(
                session, self.keyring, self.clock(), action=action, origin=an_origin(), address=address
            )

    def request_own_link(self, action: Action, address: str = ANN) -> bool:
        """Press the button on one's preferences page."""
        subscriber_id = self.subscriber(address).id
        with self.database.transaction() as session:
            return managing.request_link(
                session,
                self.keyring,
                self.clock(),
                action=action,
                origin=an_origin(),
                subscriber_id=subscriber_id,
            )

    def perform(self, token: str) -> managing.Performed | None:
        with self.database.transaction() as session:
            return managing.perform(session, self.keyring, token, self.clock(), an_origin())

    def subscriber(self, address: str = ANN) -> SubscriberRow:
        with self.database.reading() as session:
            return session.scalars(select(SubscriberRow).where(SubscriberRow.address == address)).one()

    def preferences(self, address: str = ANN) -> Preferences:
        token = changing.preferences_token(self.keyring, self.subscriber(address))
        with self.database.reading() as session:
            found = changing.load(session, self.keyring, token)
        assert found is not None
        return found[1]

    def deliveries(self, *kinds: str) -> list[DeliveryRow]:
        query = select(DeliveryRow).order_by(DeliveryRow.id)
        with self.database.reading() as session:
            return list(session.scalars(query.where(DeliveryRow.kind.in_(kinds)) if kinds else query))

    def confirm_token(self) -> str:
        """The token in the confirmation mail queued last."""
        return self.keyring.sign(Purpose.CONFIRM, self.deliveries("confirm")[-1].parameters["nonce"])

    def manage_token(self) -> str:
        """The token in the mail to export or erase queued last."""
        parameters = self.deliveries("manage")[-1].parameters
        return self.keyring.sign(managing.PURPOSES[parameters["action"]], parameters["nonce"])

    def compose(self, *deliveries: DeliveryRow) -> list[Any]:
        """What the mail worker is told of these deliveries."""
        claims = [
            Claimed(
                id=row.id,
                nonce=row.nonce,
                kind=row.kind,
                subscriber_id=row.subscriber_id,
                digest_id=None,
                attempt=1,
                created_at=row.created_at,
                expires_at=row.expires_at,
                parameters=row.parameters,
            )
            for row in deliveries
        ]
        composer = SubscriberComposer(Links(BASE_URL, self.keyring), self.keyring)
        with self.database.reading() as session:
            composed = composer.compose(session, claims, self.clock())
        return [composed[claim.id] for claim in claims]

    def suppress(self, reason: str, address: str = ANN) -> None:
        with self.database.transaction() as session:
            session.add(
                SuppressionRow(
                    address_key=self.keyring.address_key(address), reason=reason, since=self.clock()
                )
            )

    def suppressions(self) -> list[str]:
        with self.database.reading() as session:
            return list(session.scalars(select(SuppressionRow.reason)))

    def events(self) -> list[ConsentEventRow]:
        with self.database.reading() as session:
            return list(session.scalars(select(ConsentEventRow).order_by(ConsentEventRow.id)))

    def count(self, table: type[Any]) -> int:
        with self.database.reading() as session:
            return session.execute(select(func.count()).select_from(table)).scalar_one()
