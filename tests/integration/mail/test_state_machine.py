"""The life of deliveries under everything at once: hostile relays, killed workers, time, cancelling.

Hypothesis drives workers, sweeps, clocks and two relays in any order. Nobody ever gets two; what is sent was
accepted once; an unknown stays one; the books add up (trust 46, 102 to 104).
"""

import asyncio
import tempfile
from collections import Counter
from collections.abc import Awaitable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from service.clock import SettableClock
from service.database import Database
from service.endpoints import SmtpEndpoint
from service.mail import claiming, outbox
from service.mail.composing import Claimed
from service.mail.courier import RelayCourier
from service.mail.delivery import EDGES, Outcome, Status
from service.mail.letters import AlertLetter, Letter
from service.mail.message import Parcel
from service.mail.pool import Limits
from service.mail.relays import Member, Relays
from service.mail.sending import deliver_waiting
from service.mail.sweeping import sweep
from service.mail.tables import DeliveryRow
from service.mail.transport import SmtpRelay
from service.migrations import migrate
from tests.relays import DROP, scripted_relay

START = datetime(2026, 2, 13, 8, tzinfo=UTC)
QUICK = Limits(connections=2, command_seconds=2, data_seconds=2, block_seconds=2, final_reply_seconds=2)
FOREVER = timedelta(days=30)
MOODS = {
    "well": {},
    "away": {"greeting": DROP},
    "busy": {"mail": "421 4.3.2 closing"},
    "greylists": {"rcpt": "450 4.2.0 later"},
    "refuses": {"rcpt": "550 5.1.1 nobody"},
    "drops before": {"data": DROP},
    "drops after": {"dot": DROP},
    "later after": {"dot": "451 4.3.0 later"},
    "refuses after": {"dot": "554 5.6.0 no"},
    "mumbles": {"dot": "mumble"},
}
OFTEN_WELL = (*sorted(MOODS), "well", "well", "well")


class Killed(BaseException):
    """Stands for kill -9: nobody catches it, nothing is tidied up."""


class Composer:
    """Writes to each subscriber."""

    def compose(self, session: Session, deliveries: Sequence[Claimed], now: datetime) -> dict[int, Letter]:
        return {
            one.id: AlertLetter(recipient=f"reader{one.subscriber_id}@example.org", headline="x", lines=())
            for one in deliveries
        }


class Press:
    """Makes short messages."""

    def make(self, letter: Letter, *, nonce: int, at: datetime) -> Parcel:
        return Parcel(
            envelope_sender=f"bounce+{nonce}@bounces.example.org",
            recipient=letter.recipient,
            pieces=[b"Subject: x\r\n\r\nwords\r\n"],
            message_id=f"{nonce}@example.org",
        )


class Fragile:
    """A carrier whose worker is killed at the so-manieth message: the message is out, nothing is written."""

    def __init__(self, relays: Relays, left: int | None) -> None:
        self.relays, self.left = relays, left
        self.ready, self.admit, self.close = relays.ready, relays.admit, relays.close

    def deliver(self, parcel: Parcel) -> Awaitable[Outcome]:
        return asyncio.ensure_future(self._deliver(parcel))

    async def _deliver(self, parcel: Parcel) -> Outcome:
        outcome = await self.relays.deliver(parcel)
        if self.left is not None:
            self.left -= 1
            if self.left <= 0:
                raise Killed
        return outcome


class Lives(RuleBasedStateMachine):
    """All that can happen to deliveries."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        url = f"sqlite:///{Path(self.folder.name) / 'paperlark.sqlite3'}"
        migrate(url)
        self.database = Database(url)
        self.clock = SettableClock(START)
        self.moods = ["well", "well"]
        self.contexts = [scripted_relay(self._script(place)) for place in (0, 1)]
        self.servers = [context.__enter__() for context in self.contexts]
        self.last: dict[int, str] = {}
        self.people = 0
        self.kills = 0

    def _script(self, place: int):
        return lambda stage, connection, message: MOODS[self.moods[place]].get(stage)

    def teardown(self) -> None:
        self.database.close()
        for context in self.contexts:
            context.__exit__(None, None, None)
        self.folder.cleanup()

    @initialize(count=st.integers(4, 8))
    def begin_with(self, count: int) -> None:
        self.queue(count)

    @rule(count=st.integers(1, 4))
    def queue(self, count: int) -> None:
        with self.database.transaction() as session:
            for _ in range(count):
                self.people += 1
                outbox.queue(
                    session,
                    kind="digest",
                    queue=outbox.BULK,
                    now=self.clock(),
                    expires_at=self.clock() + timedelta(hours=12),
                    subscriber_id=self.people,
                )

    @precondition(lambda self: self.people)
    @rule(
        moods=st.tuples(st.sampled_from(OFTEN_WELL), st.sampled_from(OFTEN_WELL)),
        killed_after=st.none() | st.integers(1, 4),
        window=st.sampled_from([1, 2, 4]),
        share=st.integers(0, 3),
        minutes=st.sampled_from([0, 1, 50, 200]),
        sweeps=st.booleans(),
    )
    def work(
        self,
        moods: tuple[str, str],
        killed_after: int | None,
        window: int,
        share: int,
        minutes: int,
        *,
        sweeps: bool,
    ) -> None:
        self.moods = list(moods)
        self.clock.advance(timedelta(minutes=minutes))
        if sweeps:
            self.sweep()
        members = [
            Member(
                SmtpRelay(
                    SmtpEndpoint(f"smtp://127.0.0.1:{server.port}?starttls=never"),
                    helo_name="x.example.org",
                    limits=QUICK,
                ),
                weight=weight,
            )
            for server, weight in zip(self.servers, (1, share), strict=True)
        ]
        carrier = Fragile(Relays(members), killed_after)
        database = Frozen(self.database, carrier)
        try:
            deliver_waiting(
                database,
                composers={"digest": Composer()},
                courier=RelayCourier(press=Press(), relay=carrier, window=window),
                clock=self.clock,
                queue=outbox.BULK,
                worker="w",
            )
        except Killed:
            self.kills += 1

    def sweep(self) -> None:
        with self.database.transaction() as session:
            sweep(session, self.clock())

    @precondition(lambda self: self.people)
    @rule(data=st.data())
    def leave(self, data: st.DataObject) -> None:
        number = data.draw(st.integers(1, self.people))
        with self.database.transaction() as session:
            outbox.cancel_waiting(session, subscriber_id=number, reason="unsubscribed", now=self.clock())

    @rule()
    def another_worker_claims_and_dies(self) -> None:
        with self.database.transaction() as session:
            claiming.claim(
                session, queue=outbox.BULK, kinds=["digest"], holder="dead", now=self.clock(), limit=2
            )

    @invariant()
    def nobody_gets_two_and_the_books_are_true(self) -> None:
        with self.database.reading() as session:
            rows = list(session.scalars(select(DeliveryRow)))
        assert len(rows) == self.people
        # The worst of relays: it keeps what it was handed, though it never said so.
        accepted = Counter(message.recipient for server in self.servers for message in server.kept)
        for row in rows:
            recipient = f"reader{row.subscriber_id}@example.org"
            assert accepted[recipient] <= 1
            if row.status == Status.SENT:
                assert accepted[recipient] == 1
            elif row.status not in {Status.UNKNOWN, Status.SENDING}:
                assert accepted[recipient] == 0
            before = self.last.get(row.id, "queued")
            assert row.status in reachable(before), f"{before} -> {row.status}"
            self.last[row.id] = row.status


class Frozen:
    """A database that a killed worker can write to no more."""

    def __init__(self, database: Database, carrier: Fragile) -> None:
        self._database, self._carrier = database, carrier
        self.reading = database.reading
        self.is_sqlite = database.is_sqlite

    def transaction(self):
        if self._carrier.left is not None and self._carrier.left <= 0:
            raise Killed
        return self._database.transaction()


def reachable(start: str) -> set[str]:
    """Return every state that can follow a state, at once or later."""
    found, todo = {start}, [Status(start)]
    while todo:
        for status in EDGES[todo.pop()]:
            if status.value not in found:
                found.add(status.value)
                todo.append(status)
    return found


def test_an_unknown_leads_nowhere_but_to_evidence() -> None:
    assert reachable("unknown") == {"unknown", "sent", "failed"}


Lives.TestCase.settings = settings(
    max_examples=12, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck)
)


@pytest.mark.trust(46, 102, 103, 104)
def test_trust_102_nobody_gets_two_whatever_happens() -> None:
    Lives.TestCase().runTest()


def test_every_row_that_a_killed_worker_left_is_swept(
    sqlite_database: Database, clock: SettableClock
) -> None:
    """The machine above leaves rows in every state; a sweep far in the future ends them all but the sent."""
    with sqlite_database.transaction() as session:
        for number, status in enumerate(Status):
            queued = outbox.queue(
                session,
                kind="digest",
                queue=outbox.BULK,
                now=clock(),
                expires_at=clock() + timedelta(days=1),
                subscriber_id=number,
            )
            session.execute(
                update(DeliveryRow)
                .where(DeliveryRow.id == queued)
                .values(status=status, lease_until=clock(), claimed_by="w")
            )
    clock.advance(FOREVER)
    for _ in range(2):
        with sqlite_database.transaction() as session:
            sweep(session, clock())
    with sqlite_database.reading() as session:
        left = Counter(session.scalars(select(DeliveryRow.status)))
    assert set(left) <= {"sent", "failed", "unknown", "cancelled"}
