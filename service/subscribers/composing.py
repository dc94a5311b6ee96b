"""What the mails say that a form causes: to confirm, already subscribed, goodbye, to export or erase.

Asked inside the claim's transaction, so a mail queued before its reason went away is not sent.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from service.keys import Keyring, Purpose
from service.mail.composing import Claimed, Refusal
from service.mail.letters import (
    AlreadySubscribedLetter,
    ConfirmLetter,
    GoodbyeLetter,
    Letter,
    ManageLetter,
)
from service.subscribers.interests import name_of_ours
from service.subscribers.links import Links
from service.subscribers.managing import PURPOSES
from service.subscribers.permission import may_not_be_asked
from service.subscribers.preferences import Preferences, describe_schedule, from_json
from service.subscribers.status import Event, Status, step
from service.subscribers.tables import SubscriberRow, TokenRow

KINDS = ("confirm", "already_subscribed", "goodbye", "manage")


@dataclass(frozen=True, slots=True)
class SubscriberComposer:
    """Composer for the kinds of :data:`KINDS`."""

    links: Links
    keyring: Keyring

    def compose(
        self, session: Session, deliveries: Sequence[Claimed], now: datetime
    ) -> Mapping[int, Letter | Refusal]:
        """Return a letter or a refusal for the id of every delivery given."""
        subscribers = self._subscribers(session, deliveries)
        rows = self._tokens(session, deliveries)
        addresses = [subscriber.address for subscriber in subscribers.values()]
        suppressed = may_not_be_asked(session, self.keyring, addresses, now)
        composed: dict[int, Letter | Refusal] = {}
        for delivery in deliveries:
            subscriber = subscribers.get(delivery.subscriber_id or 0)
            token = rows.get(delivery.parameters.get("nonce", -1))
            if subscriber is None:
                composed[delivery.id] = Refusal("erased")
            elif subscriber.address in suppressed or subscriber.status == Status.COMPLAINED:
                composed[delivery.id] = Refusal("suppressed")
            else:
                composed[delivery.id] = self._letter(delivery, subscriber, token, now)
        return composed

    def _letter(
        self, delivery: Claimed, subscriber: SubscriberRow, token: TokenRow | None, now: datetime
    ) -> Letter | Refusal:
        if delivery.kind == "already_subscribed":
            return self._already_subscribed(delivery, subscriber)
        if delivery.kind == "goodbye":
            return self._goodbye(subscriber)
        if token is None:
            return Refusal("superseded")
        if token.used_at is not None or token.expires_at <= now:
            return Refusal("expired")
        if delivery.kind == "confirm":
            return self._confirm(subscriber, token)
        return self._manage(delivery, subscriber, token)

    def _confirm(self, subscriber: SubscriberRow, token: TokenRow) -> Letter | Refusal:
        if token.requested is None or step(Status(subscriber.status), Event.CONFIRM) is None:
            return Refusal("unsubscribed")
        preferences = from_json(token.requested)
        return ConfirmLetter(
            recipient=subscriber.address,
            confirm_url=self.links.confirm(self.keyring.sign(Purpose.CONFIRM, token.nonce)),
            requested_at=token.created_at,
            expires_at=token.expires_at,
            interests=_harmless_names(preferences),
            schedule=f"{describe_schedule(preferences)}; the first at once",
        )

    def _already_subscribed(self, delivery: Claimed, subscriber: SubscriberRow) -> Letter | Refusal:
        if subscriber.status != Status.ACTIVE:
            return Refusal("unsubscribed")
        return AlreadySubscribedLetter(
            recipient=subscriber.address,
            requested_at=delivery.created_at,
            preferences_url=self.links.preferences(subscriber),
            unsubscribe_url=self.links.unsubscribe(subscriber),
        )

    def _goodbye(self, subscriber: SubscriberRow) -> Letter | Refusal:
        if subscriber.status != Status.UNSUBSCRIBED or subscriber.left_at is None:
            return Refusal("back_again")
        return GoodbyeLetter(
            recipient=subscriber.address, left_at=subscriber.left_at, home_url=self.links.home()
        )

    def _manage(self, delivery: Claimed, subscriber: SubscriberRow, token: TokenRow) -> Letter:
        action = delivery.parameters["action"]
        return ManageLetter(
            recipient=subscriber.address,
            action=action,
            url=self.links.manage(self.keyring.sign(PURPOSES[action], token.nonce)),
            requested_at=token.created_at,
            expires_at=token.expires_at,
        )

    @staticmethod
    def _subscribers(session: Session, deliveries: Sequence[Claimed]) -> dict[int, SubscriberRow]:
        ids = {delivery.subscriber_id for delivery in deliveries if delivery.subscriber_id is not None}
        rows = session.scalars(
            select(SubscriberRow).where(SubscriberRow.id.in_(ids)).execution_options(populate_existing=True)
        )
        return {row.id: row for row in rows}

    @staticmethod
    def _tokens(session: Session, deliveries: Sequence[Claimed]) -> dict[int, TokenRow]:
        nonces = {delivery.parameters["nonce"] for delivery in deliveries if "nonce" in delivery.parameters}
        rows = session.scalars(
            select(TokenRow).where(TokenRow.nonce.in_(nonces)).execution_options(populate_existing=True)
        )
        return {row.nonce: row for row in rows}


def _harmless_names(preferences: Preferences) -> tuple[str, ...]:
    """Name the interests, but only count those that somebody typed.

    Whoever fills in the form may not own the address: their words must not reach it before it is confirmed.
    """
    names = [name_of_ours(interest) for interest in preferences.interests]
    ours = tuple(name for name in names if name is not None)
    typed = len(names) - len(ours)
    return (*ours, f"{typed} in their own words") if typed else ours
