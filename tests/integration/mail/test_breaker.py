"""The breaker: stops digests where they are refused or complained about, and nothing else (trust 35, 59)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import pytest
from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from service.clock import SettableClock
from service.config import Settings
from service.database import Database
from service.digests import hold, running
from service.keys import Keyring
from service.mail import breaker, outbox, tallies
from service.mail.composing import Claimed
from service.mail.courier import MemoryRelay, RelayCourier
from service.mail.delivery import Outcome, Stage, Verdict
from service.mail.letters import AlertLetter, ConfirmLetter, Letter
from service.mail.message import Parcel, Press
from service.mail.sending import deliver_waiting
from service.mail.tables import DeliveryRow, ReturnRow, SuppressionRow
from tests.integration.mail.test_sending import rows
from tests.unit.mail.letter_samples import a_digest, a_sender

REFUSED = Outcome(
    verdict=Verdict.REFUSED, stage=Stage.DOT, code=550, enhanced="5.7.515", text="5.7.515 access denied"
)
DAY = timedelta(days=1)


@dataclass
class Post:
    """Writes to reader N at the domain the number asks for: even ones at Outlook, odd ones elsewhere."""

    def compose(self, session: Session, deliveries: Sequence[Claimed], now: datetime) -> dict[int, Letter]:
        return {one.id: self.letter(one, now) for one in deliveries}

    def letter(self, one: Claimed, now: datetime) -> Letter:
        number = one.subscriber_id or 0
        recipient = f"reader{number}@{'hotmail.com' if number % 2 == 0 else 'example.org'}"
        if one.kind == "alert":
            return AlertLetter(
                recipient="operator@example.net",
                headline=one.parameters["headline"],
                lines=tuple(one.parameters["lines"]),
            )
        if one.kind == "confirm":
            return ConfirmLetter(
                recipient=recipient,
                confirm_url="https://digest.example.org/confirm/x",
                requested_at=now,
                expires_at=now + DAY,
                interests=("graphs",),
                schedule="at 08:00",
            )
        return a_digest(trending=1, for_you=0, recipient=recipient)


class Outlook(MemoryRelay):
    """Takes everything but digests to Outlook, as long as it is angry."""

    def __init__(self) -> None:
        super().__init__(self.say)
        self.is_angry = True
        self.asked: list[str] = []

    def say(self, parcel: Parcel) -> Outcome:
        self.asked.append(parcel.recipient)
        if self.is_angry and parcel.recipient.endswith("@hotmail.com") and b"List-Unsubscribe" in parcel.data:
            return REFUSED
        return Outcome(verdict=Verdict.SENT, stage=Stage.DOT, code=250)


def send(database: Database, clock: SettableClock, keyring: Keyring, relay: MemoryRelay, queue: str) -> None:
    deliver_waiting(
        database,
        composers=dict.fromkeys(("digest", "confirm", "alert"), Post()),
        courier=RelayCourier(press=Press(a_sender(), keyring), relay=relay, window=20),
        clock=clock,
        queue=queue,
        worker="w",
        jitter=lambda: 0.5,
    )


def queue_for(database: Database, now: datetime, numbers: Sequence[int], kind: str = "digest") -> None:
    queue = outbox.BULK if kind == "digest" else outbox.TRANSACTIONAL
    with database.transaction() as session:
        outbox.queue_many(
            session,
            [
                {
                    "kind": kind,
                    "queue": queue,
                    "now": now,
                    "expires_at": now + 2 * DAY,
                    "subscriber_id": number,
                }
                for number in numbers
            ],
        )


def open_breakers(database: Database) -> Mapping[str, breaker.Open]:
    with database.reading() as session:
        return breaker.standing(session)


def alerts(database: Database) -> list[str]:
    with database.reading() as session:
        found = session.scalars(select(DeliveryRow.parameters).where(DeliveryRow.kind == "alert"))
        return [parameters["headline"] for parameters in found]


@pytest.mark.trust(59)
def test_trust_59_a_thousand_refusals_by_policy_stop_that_destination_and_suppress_nobody(
    database: Database, clock: SettableClock, keyring: Keyring
) -> None:
    queue_for(database, clock(), range(1000))
    relay = Outlook()
    send(database, clock, keyring, relay, outbox.BULK)
    (one,) = open_breakers(database).values()
    assert (one.scope, one.cause) == ("outlook.com", "policy")
    refused = [row for row in rows(database) if row.status == "failed"]
    # What was on its way when it opened could not be called back; no other goes.
    assert breaker.POLICY_LEAST <= len(refused) <= breaker.POLICY_LEAST + 20
    others = [row for row in rows(database) if row.kind == "digest" and (row.subscriber_id or 0) % 2]
    assert {row.status for row in others} == {"sent"}
    stopped = [row for row in rows(database) if row.reason == breaker.STOPPED]
    assert {(row.status, row.attempt_count) for row in stopped} == {("queued", 0)}
    assert len(stopped) + len(refused) == 500
    assert alerts(database) == ["digests to outlook.com are stopped"]
    with database.reading() as session:
        assert session.scalars(select(SuppressionRow)).all() == []
    # Confirmations and the alert itself go on; a restart has forgotten nothing.
    queue_for(database, clock(), [2, 4], kind="confirm")
    queue_for(database, clock(), [2002])
    relay.asked.clear()
    for queue in (outbox.TRANSACTIONAL, outbox.BULK):
        send(database, clock, keyring, relay, queue)
    assert sorted(relay.asked) == ["operator@example.net", "reader2@hotmail.com", "reader4@hotmail.com"]


def test_a_stopped_destination_is_tried_with_a_few_and_stays_stopped_for_longer_or_goes_on(
    database: Database, clock: SettableClock, keyring: Keyring
) -> None:
    queue_for(database, clock(), range(0, 1200, 2))
    relay = Outlook()
    send(database, clock, keyring, relay, outbox.BULK)
    relay.asked.clear()
    clock.advance(breaker.FIRST_PAUSE + timedelta(minutes=11))
    send(database, clock, keyring, relay, outbox.BULK)
    assert len(relay.asked) == breaker.PROBES  # refused again
    (one,) = open_breakers(database).values()
    assert (one.try_count, one.retry_at) == (1, clock() + 2 * breaker.FIRST_PAUSE)
    relay.is_angry = False
    relay.asked.clear()
    clock.advance(2 * breaker.FIRST_PAUSE + timedelta(minutes=11))
    for _ in range(2):
        send(database, clock, keyring, relay, outbox.BULK)
    assert open_breakers(database) == {}
    assert {row.status for row in rows(database) if row.kind == "digest"} == {"sent", "failed"}
    assert alerts(database) == ["digests to outlook.com are stopped"]


def returned(database: Database, count: int, now: datetime) -> None:
    with database.transaction() as session:
        start = session.scalar(select(ReturnRow.id).order_by(ReturnRow.id.desc()).limit(1)) or 0
        session.execute(
            insert(ReturnRow),
            [
                {
                    "event_key": (start + number).to_bytes(32, "big"),
                    "received_at": now,
                    "source": "mail",
                    "kind": "complaint",
                    "delivery_id": 1,
                    "outcome": "complained",
                }
                for number in range(1, count + 1)
            ],
        )


@pytest.mark.trust(35)
def test_trust_35_too_many_complaints_hold_all_digests_until_the_operator_has_looked(
    database: Database, clock: SettableClock, keyring: Keyring, settings: Settings
) -> None:
    with database.transaction() as session:
        tallies.add(
            session, clock(), {"gmail.com": tallies.Tally(sent=1000), "other": tallies.Tally(sent=1000)}
        )
    clock.advance(timedelta(hours=2))
    returned(database, 6, clock())
    running.sweep_deliveries(database, clock())
    assert hold.check(database, settings.data_dir, clock()) is None  # 0.3 % of 2,000: not above it
    returned(database, 1, clock())
    for _ in range(3):
        running.sweep_deliveries(database, clock())
    present = hold.check(database, settings.data_dir, clock())
    assert present is not None
    assert present.kind is hold.Kind.BREAKER
    assert alerts(database) == ["all digests are stopped"]
    queue_for(database, clock(), range(4))
    queue_for(database, clock(), [9], kind="confirm")
    relay = MemoryRelay()
    for queue in (outbox.TRANSACTIONAL, outbox.BULK):
        running.deliver(
            database,
            settings=settings,
            keyring=keyring,
            composers=dict.fromkeys(("digest", "confirm", "alert"), Post()),
            courier=RelayCourier(press=Press(a_sender(), keyring), relay=relay),
            clock=clock,
            queue=queue,
            worker="w",
        )
    assert sorted(parcel.recipient for parcel in relay.parcels) == [
        "operator@example.net",
        "reader9@example.org",
    ]
    # Released, what led to it counts no more.
    running.release(database, clock(), settings=settings, is_catch_up=True)
    running.sweep_deliveries(database, clock() + timedelta(minutes=1))
    assert hold.check(database, settings.data_dir, clock()) is None
    assert open_breakers(database) == {}


def test_a_few_complaints_and_refusals_stop_nothing(database: Database, clock: SettableClock) -> None:
    with database.transaction() as session:
        tallies.add(session, clock(), {"gmail.com": tallies.Tally(sent=10, policy=breaker.POLICY_LEAST - 1)})
        tallies.add(session, clock(), {"yahoo.com": tallies.Tally(sent=2000, policy=100)})
    returned(database, breaker.COMPLAINT_LEAST - 1, clock())
    with database.transaction() as session:
        assert breaker.judge(session, clock()) == []


def test_a_relay_that_refuses_the_sender_stops_all(
    sqlite_database: Database, clock: SettableClock, keyring: Keyring, settings: Settings
) -> None:
    queue_for(sqlite_database, clock(), range(100))
    relay = MemoryRelay(
        lambda _: Outcome(verdict=Verdict.REFUSED, stage=Stage.MAIL, code=550, enhanced="5.7.1")
    )
    running.deliver(
        sqlite_database,
        settings=settings,
        keyring=keyring,
        composers={"digest": Post()},
        courier=RelayCourier(press=Press(a_sender(), keyring), relay=relay, window=20),
        clock=clock,
        queue=outbox.BULK,
        worker="w",
    )
    present = hold.check(sqlite_database, settings.data_dir, clock())
    assert present is not None
    assert present.kind is hold.Kind.BREAKER
    # One window at most was on its way when it opened.
    assert breaker.POLICY_LEAST <= sum(row.status == "failed" for row in rows(sqlite_database)) <= 60
