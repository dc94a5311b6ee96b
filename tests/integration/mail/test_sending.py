"""From the outbox to the relay and into the books (trust 24, 45 to 49, 53, 59, 66, 102 to 108, 114)."""

import asyncio
import gc
import signal
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from service.clock import SettableClock
from service.database import Database
from service.endpoints import SmtpEndpoint
from service.keys import Keyring
from service.mail import claiming, outbox
from service.mail.composing import Claimed, Refusal
from service.mail.courier import MemoryRelay, RelayCourier
from service.mail.delivery import Outcome, Stage, Status, Verdict
from service.mail.letters import Letter
from service.mail.message import Parcel, Press
from service.mail.pool import Limits
from service.mail.sending import Tally, deliver_waiting
from service.mail.sweeping import sweep
from service.mail.tables import DeliveryRow
from service.mail.transport import SmtpRelay
from tests.relays import SILENCE, scripted_relay
from tests.unit.mail.letter_samples import a_digest, a_sender

DAY = timedelta(days=1)


@dataclass
class SampleComposer:
    """Writes a digest to each subscriber, unless told otherwise."""

    said: Mapping[int, Letter | Refusal | Exception] = field(default_factory=dict)  # by subscriber
    asked: list[int] = field(default_factory=list)

    def compose(
        self, session: Session, deliveries: Sequence[Claimed], now: datetime
    ) -> dict[int, Letter | Refusal]:
        composed: dict[int, Letter | Refusal] = {}
        for delivery in deliveries:
            said = self.said.get(delivery.subscriber_id, a_letter_to(delivery.subscriber_id))
            if isinstance(said, Exception):
                raise said
            composed[delivery.id] = said
            self.asked.append(delivery.subscriber_id)
        return composed


def a_letter_to(subscriber_id: int) -> Letter:
    return a_digest(trending=1, for_you=0, recipient=f"reader{subscriber_id}@example.org")


def queue_digests(database: Database, count: int, now: datetime, **changes: Any) -> None:
    row = {"kind": "digest", "queue": outbox.BULK, "now": now, "expires_at": now + DAY} | changes
    with database.transaction() as session:
        outbox.queue_many(
            session, [row | {"subscriber_id": n, "digest_id": 1000 + n} for n in range(1, count + 1)]
        )


def deliver(database: Database, clock: SettableClock, keyring: Keyring, relay: Any, **parts: Any) -> Tally:
    courier = RelayCourier(press=Press(a_sender(), keyring), relay=relay, window=parts.pop("window", 20))
    wanted = {"composers": {"digest": SampleComposer()}, "queue": outbox.BULK, "worker": "w1"} | parts
    return deliver_waiting(database, courier=courier, clock=clock, jitter=lambda: 0.5, **wanted)


def statuses(database: Database) -> Counter[str]:
    with database.reading() as session:
        return Counter(session.scalars(select(DeliveryRow.status)))


def rows(database: Database) -> list[DeliveryRow]:
    with database.reading() as session:
        return list(session.scalars(select(DeliveryRow).order_by(DeliveryRow.id)))


def answering(outcomes: Mapping[int, Outcome]) -> MemoryRelay:
    """Make a relay that answers by the number in the recipient, 250 to the others."""
    usual = MemoryRelay().answer

    def answer(parcel: Parcel) -> Outcome:
        number = int(parcel.recipient.partition("@")[0].removeprefix("reader"))
        return outcomes.get(number) or usual(parcel)

    return MemoryRelay(answer)


def an_outcome(
    verdict: Verdict, stage: Stage = Stage.DOT, code: int | None = None, enhanced: str | None = None
):
    return Outcome(verdict=verdict, stage=stage, code=code, enhanced=enhanced, text="said so")


def test_all_that_waits_is_sent_once(database: Database, clock: SettableClock, keyring: Keyring) -> None:
    queue_digests(database, 45, clock())
    relay = MemoryRelay()
    assert deliver(database, clock, keyring, relay) == Tally(sent=45)
    assert deliver(database, clock, keyring, relay) == Tally()
    assert len({parcel.recipient for parcel in relay.parcels}) == len(relay.parcels) == 45
    for row in rows(database):
        assert (row.status, row.attempt_count, row.reply_code, row.enhanced_code) == ("sent", 1, 250, "2.0.0")
        assert row.finished_at == clock()


def test_each_answer_is_written_down_where_it_belongs(
    database: Database, clock: SettableClock, keyring: Keyring
) -> None:
    queue_digests(database, 5, clock())
    relay = answering(
        {
            1: an_outcome(Verdict.DEFERRED, Stage.RCPT, 451, "4.3.0"),
            2: an_outcome(Verdict.REFUSED, Stage.RCPT, 550, "5.1.1"),
            3: an_outcome(Verdict.UNKNOWN),
        }
    )
    freed: list[int] = []
    tally = deliver(database, clock, keyring, relay, on_unsent=lambda session, ids: freed.extend(ids))
    assert tally == Tally(sent=2, deferred=1, failed=1, unknown=1)
    deferred, failed, unknown, *sent = rows(database)
    assert (deferred.status, deferred.reason, deferred.attempt_count) == ("deferred", "system", 1)
    assert clock() + timedelta(minutes=30) <= deferred.next_at <= clock() + timedelta(hours=1)
    assert (failed.status, failed.reason, failed.reply_code) == ("failed", "recipient", 550)
    assert (unknown.status, unknown.reason) == ("unknown", "no_reply")
    assert {row.status for row in sent} == {"sent"}
    assert freed == [failed.digest_id]


@pytest.mark.trust(73)
@pytest.mark.parametrize("verdict", [Verdict.SENT, Verdict.REFUSED, Verdict.DEFERRED, Verdict.UNKNOWN])
def test_trust_73_who_is_erased_while_on_the_wire_leaves_no_word_of_the_relays(
    database: Database, clock: SettableClock, keyring: Keyring, verdict: Verdict
) -> None:
    """Its answer may repeat the address it was given. All of one window are recorded after the erasure."""
    queue_digests(database, 2, clock())

    def answer(parcel: Parcel) -> Outcome:
        with database.transaction() as session:
            erased = update(DeliveryRow).where(DeliveryRow.subscriber_id == 1)
            session.execute(erased.values(subscriber_id=None, parameters={}, reply_text=None))
        return Outcome(verdict=verdict, stage=Stage.DOT, code=250, text=f"<{parcel.recipient}>: said so")

    deliver(database, clock, keyring, MemoryRelay(answer))
    erased, other = rows(database)
    assert (erased.subscriber_id, erased.status) == (None, other.status)
    assert (erased.reply_text, other.reply_text) == (None, "<reader2@example.org>: said so")


@pytest.mark.trust(46)
def test_trust_46_an_unknown_is_never_sent_again_and_a_deferral_is(
    database: Database, clock: SettableClock, keyring: Keyring
) -> None:
    queue_digests(database, 2, clock())
    deliver(
        database,
        clock,
        keyring,
        answering({1: an_outcome(Verdict.UNKNOWN), 2: an_outcome(Verdict.DEFERRED, Stage.RCPT, 451)}),
    )
    clock.advance(timedelta(minutes=29))
    later = MemoryRelay()
    assert deliver(database, clock, keyring, later) == Tally()
    clock.advance(timedelta(hours=1))
    assert deliver(database, clock, keyring, later) == Tally(sent=1)
    assert [parcel.recipient for parcel in later.parcels] == ["reader2@example.org"]
    assert rows(database)[1].attempt_count == 2


@pytest.mark.trust(5)
def test_trust_5_the_message_id_is_the_same_on_every_attempt(
    sqlite_database: Database, clock: SettableClock, keyring: Keyring
) -> None:
    queue_digests(sqlite_database, 1, clock())
    seen: list[str] = []

    def answer(parcel: Parcel) -> Outcome:
        seen.append(parcel.message_id)
        return an_outcome(Verdict.DEFERRED, Stage.RCPT, 451)

    for _ in range(3):
        deliver(sqlite_database, clock, keyring, MemoryRelay(answer))
        clock.advance(timedelta(hours=4))
    assert len(seen) == 3
    assert len(set(seen)) == 1


@pytest.mark.trust(24, 66)
def test_trust_24_and_66_consent_is_asked_inside_the_claim(
    database: Database, clock: SettableClock, keyring: Keyring
) -> None:
    queue_digests(database, 3, clock())
    relay, freed = MemoryRelay(), []
    composer = SampleComposer({1: Refusal("unsubscribed"), 3: Refusal("suppressed")})
    tally = deliver(
        database,
        clock,
        keyring,
        relay,
        composers={"digest": composer},
        on_unsent=lambda session, ids: freed.extend(ids),
    )
    assert tally == Tally(sent=1, cancelled=2)
    assert [(row.status, row.reason) for row in rows(database)] == [
        ("cancelled", "unsubscribed"),
        ("sent", None),
        ("cancelled", "suppressed"),
    ]
    assert sorted(freed) == [1001, 1003]


@pytest.mark.trust(24)
def test_trust_24_what_is_cancelled_after_the_claim_does_not_go_out(
    database: Database, clock: SettableClock, keyring: Keyring
) -> None:
    queue_digests(database, 6, clock())

    def leave_meanwhile(parcel: Parcel) -> Outcome:
        # The first half of a window is on its way; readers 2 and 5 leave now.
        for subscriber_id in (2, 5):
            with database.transaction() as session:
                outbox.cancel_waiting(
                    session, subscriber_id=subscriber_id, reason="unsubscribed", now=clock()
                )
        return an_outcome(Verdict.SENT, code=250)

    relay = MemoryRelay(leave_meanwhile)
    tally = deliver(database, clock, keyring, relay, window=4)
    # Reader 2 was in the first half and could not be called back.
    assert [parcel.recipient for parcel in relay.parcels] == [
        f"reader{n}@example.org" for n in (1, 2, 3, 4, 6)
    ]
    assert tally.sent == 5
    assert rows(database)[4].status == "cancelled"


@pytest.mark.trust(104)
def test_trust_104_a_window_is_committed_as_sending_before_it_leaves_and_never_more_than_one(
    database: Database, clock: SettableClock, keyring: Keyring
) -> None:
    queue_digests(database, 10, clock())
    seen: list[Counter[str]] = []

    def look(parcel: Parcel) -> Outcome:
        seen.append(statuses(database))
        row = next(row for row in rows(database) if f"{row.nonce:016x}@" in parcel.message_id)
        assert row.status == "sending"
        return an_outcome(Verdict.SENT, code=250)

    assert deliver(database, clock, keyring, MemoryRelay(look), window=4) == Tally(sent=10)
    assert len(seen) == 10
    assert {counts["sending"] for counts in seen} <= {1, 2, 3, 4}
    for number, counts in enumerate(seen):
        assert number - 4 < counts["sent"] <= number


@pytest.mark.trust(114)
def test_trust_114_one_letter_that_cannot_be_made_stops_no_other(
    database: Database, clock: SettableClock, keyring: Keyring
) -> None:
    queue_digests(database, 4, clock())
    composer = SampleComposer({2: a_digest(recipient="not an address"), 3: ValueError("broken row")})
    relay, freed = MemoryRelay(), []
    tally = deliver(
        database,
        clock,
        keyring,
        relay,
        composers={"digest": composer},
        on_unsent=lambda session, ids: freed.extend(ids),
    )
    assert tally == Tally(sent=2, failed=2)
    assert [row.reason for row in rows(database)] == [None, "render", "compose", None]
    assert sorted(freed) == [1002, 1003]


def test_a_relay_that_is_away_churns_nothing(
    database: Database, clock: SettableClock, keyring: Keyring
) -> None:
    queue_digests(database, 3, clock())
    tally = deliver(database, clock, keyring, MemoryRelay(unavailable="nobody there"))
    assert tally == Tally(relay_problem="nobody there")
    assert {(row.status, row.attempt_count) for row in rows(database)} == {("queued", 0)}


@pytest.mark.trust(45, 47)
def test_trust_11_1_a_relay_lost_on_the_way_gives_everything_back_without_an_attempt(
    database: Database, clock: SettableClock, keyring: Keyring
) -> None:
    queue_digests(database, 9, clock())
    gone = {n: an_outcome(Verdict.UNREACHABLE, Stage.CONNECT) for n in range(3, 10)}
    tally = deliver(database, clock, keyring, answering(gone), window=3)
    assert (tally.sent, tally.requeued, tally.relay_problem) == (2, 7, "said so")
    waiting = [row for row in rows(database) if row.status == "queued"]
    assert {row.attempt_count for row in waiting} == {0}
    assert all(row.next_at > clock() and row.claimed_by is None for row in waiting)
    clock.advance(timedelta(minutes=3))
    assert deliver(database, clock, keyring, MemoryRelay()) == Tally(sent=7)


def test_stopping_finishes_the_window_and_gives_the_rest_back(
    database: Database, clock: SettableClock, keyring: Keyring
) -> None:
    queue_digests(database, 10, clock())
    relay = MemoryRelay()
    tally = deliver(database, clock, keyring, relay, window=3, should_stop=lambda: len(relay.parcels) >= 3)
    assert 3 <= tally.sent <= 5  # what was committed when it was told to stop goes out
    assert tally == Tally(sent=tally.sent, requeued=10 - tally.sent)
    assert statuses(database) == {"sent": tally.sent, "queued": tally.requeued}
    assert deliver(database, clock, keyring, MemoryRelay()) == Tally(sent=tally.requeued)


def test_the_limit_holds(database: Database, clock: SettableClock, keyring: Keyring) -> None:
    queue_digests(database, 10, clock())
    assert deliver(database, clock, keyring, MemoryRelay(), limit=4).sent == 4
    assert statuses(database) == {"sent": 4, "queued": 6}


def test_only_what_is_due_of_this_queue_and_these_kinds_is_taken(
    database: Database, clock: SettableClock, keyring: Keyring
) -> None:
    now = clock()
    queue_digests(database, 1, now)
    with database.transaction() as session:
        common = {"expires_at": now + DAY, "now": now, "subscriber_id": 9}
        outbox.queue(session, kind="digest", queue=outbox.BULK, next_at=now + timedelta(seconds=1), **common)
        outbox.queue(session, kind="digest", queue=outbox.TRANSACTIONAL, **common)
        outbox.queue(session, kind="confirm", queue=outbox.BULK, **common)
        outbox.queue(session, kind="digest", queue=outbox.BULK, **(common | {"expires_at": now}))
    assert deliver(database, clock, keyring, MemoryRelay()) == Tally(sent=1)


def test_a_fault_of_our_own_in_mid_transaction_counts_as_unknown_and_ends_the_run(
    database: Database, clock: SettableClock, keyring: Keyring
) -> None:
    """For it may as well be a task's time limit that struck there."""
    queue_digests(database, 6, clock())

    def broken(parcel: Parcel) -> Outcome:
        if parcel.recipient.startswith("reader1@"):
            raise RuntimeError("a bug")
        return an_outcome(Verdict.SENT, code=250)

    with pytest.raises(RuntimeError):
        deliver(database, clock, keyring, MemoryRelay(broken), window=4)
    counts = statuses(database)
    assert counts["unknown"] == 1
    assert counts["sent"] >= 1  # what was on the wire
    assert counts["queued"] == 5 - counts["sent"] >= 1
    assert deliver(database, clock, keyring, MemoryRelay(broken)) == Tally(sent=counts["queued"])


def test_after_a_fault_the_wire_is_heard_out_but_not_for_ever(
    database: Database, clock: SettableClock, keyring: Keyring
) -> None:
    queue_digests(database, 8, clock())

    class HalfDead(MemoryRelay):
        async def deliver(self, parcel: Parcel) -> Outcome:
            if parcel.recipient.startswith("reader1@"):
                raise RuntimeError("a bug")
            if parcel.recipient.startswith("reader2@"):
                await asyncio.Event().wait()
            return await super().deliver(parcel)

    relay = HalfDead()
    with pytest.raises(RuntimeError):
        deliver(database, clock, keyring, relay, window=8, hear_out=0)
    counts = statuses(database)
    assert (counts["unknown"], counts["sending"]) == (1, 1)
    assert counts["sent"] == len(relay.parcels) >= 2
    assert counts["queued"] == 6 - counts["sent"]


@pytest.mark.trust(104)
def test_what_comes_meanwhile_is_sent_beside_a_message_that_gets_no_answer(
    database: Database, clock: SettableClock, keyring: Keyring
) -> None:
    queue_digests(database, 1, clock())

    class Slow(MemoryRelay):
        async def deliver(self, parcel: Parcel) -> Outcome:
            if parcel.recipient.startswith("reader1@"):
                queue_another(database, clock(), 2)
                async with asyncio.timeout(10):
                    await others.wait()
            else:
                others.set()
            return await super().deliver(parcel)

    others = asyncio.Event()
    assert deliver(database, clock, keyring, Slow()) == Tally(sent=2)


def queue_another(database: Database, now: datetime, number: int) -> None:
    row = {"kind": "digest", "queue": outbox.BULK, "now": now, "expires_at": now + DAY}
    with database.transaction() as session:
        outbox.queue_many(session, [row | {"subscriber_id": number, "digest_id": 1000 + number}])


def test_an_interrupted_window_keeps_what_is_known_and_leaves_the_rest_to_the_sweep(
    database: Database, clock: SettableClock, keyring: Keyring
) -> None:
    queue_digests(database, 7, clock())

    class Interrupted(MemoryRelay):
        async def deliver(self, parcel: Parcel) -> Outcome:
            if parcel.recipient.startswith("reader3@"):
                raise KeyboardInterrupt
            return await super().deliver(parcel)

    relay = Interrupted()
    with pytest.raises(KeyboardInterrupt):
        deliver(database, clock, keyring, relay, window=4)
    counts = statuses(database)
    assert counts["sent"] >= 2
    assert 1 <= counts["sending"] <= 4
    assert counts["queued"] == 7 - counts["sent"] - counts["sending"] >= 1
    assert len(relay.parcels) == counts["sent"]
    clock.advance(timedelta(hours=1))
    with database.transaction() as session:
        assert sweep(session, clock()).unknown == counts["sending"]


@pytest.mark.trust(58, 59)
@pytest.mark.parametrize(
    ("code", "enhanced", "attempts_until_told"),
    [(550, "5.1.1", 1), (550, None, 2), (550, "5.1.2", 2), (550, "5.7.1", None), (552, "5.2.2", None)],
)
def test_trust_58_and_59_only_dead_addresses_are_told_of(
    database: Database,
    clock: SettableClock,
    keyring: Keyring,
    code: int,
    enhanced: str | None,
    attempts_until_told: int | None,
) -> None:
    told: list[tuple[int, str]] = []
    relay = answering({1: an_outcome(Verdict.REFUSED, Stage.RCPT, code, enhanced)})
    for attempt in (1, 2):
        queue_digests(database, 1, clock(), kind="digest", digest_id=None)
        with database.transaction() as session:  # one digest a day
            session.execute(DeliveryRow.__table__.update().values(digest_id=None))
        deliver(
            database,
            clock,
            keyring,
            relay,
            on_refused=lambda session, subscriber_id, said: told.append((subscriber_id, said)),
        )
        due = attempts_until_told is not None and attempt >= attempts_until_told
        assert bool(told) is due
    assert all(subscriber_id == 1 and said == (enhanced or str(code)) for subscriber_id, said in told)


def test_late_evidence_closes_an_unknown(database: Database, clock: SettableClock, keyring: Keyring) -> None:
    queue_digests(database, 1, clock())

    def slow(parcel: Parcel) -> Outcome:
        clock.advance(timedelta(hours=1))  # longer than the lease
        with database.transaction() as session:
            assert sweep(session, clock()).unknown == 1
        return an_outcome(Verdict.SENT, code=250)

    deliver(database, clock, keyring, MemoryRelay(slow))
    assert statuses(database) == {"sent": 1}


@pytest.mark.trust(103)
def test_trust_103_twenty_workers_race_for_each_row_and_one_wins(
    database: Database, clock: SettableClock, keyring: Keyring
) -> None:
    queue_digests(database, 30, clock())
    won: list[int] = []
    barrier = threading.Barrier(20)

    def race(number: int) -> None:
        barrier.wait()
        for _ in range(4):
            with database.transaction() as session:
                taken = claiming.claim(
                    session, queue=outbox.BULK, kinds=["digest"], holder=f"w{number}", now=clock(), limit=5
                )
            won.extend(delivery.id for delivery in taken)

    threads = [threading.Thread(target=race, args=(number,)) for number in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(won) == len(set(won)) == 30


@pytest.mark.trust(102)
def test_trust_102_many_workers_send_every_delivery_exactly_once(
    database: Database, clock: SettableClock, keyring: Keyring
) -> None:
    queue_digests(database, 120, clock())
    with scripted_relay() as server:
        endpoint = SmtpEndpoint(f"smtp://127.0.0.1:{server.port}?starttls=never")

        def work(number: int) -> None:
            relay = SmtpRelay(endpoint, helo_name="x.example.org", limits=Limits(connections=2))
            deliver(database, clock, keyring, relay, worker=f"w{number}", window=5)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert statuses(database) == {"sent": 120}
    assert len(server.accepted) == len({message.recipient for message in server.accepted}) == 120


@pytest.mark.trust(27)
def test_trust_27_each_recipient_gets_an_envelope_sender_of_its_own(
    sqlite_database: Database, clock: SettableClock, keyring: Keyring
) -> None:
    queue_digests(sqlite_database, 3, clock())
    relay = MemoryRelay()
    deliver(sqlite_database, clock, keyring, relay)
    nonces = {row.nonce for row in rows(sqlite_database)}
    tokens = [parcel.envelope_sender.partition("@")[0].removeprefix("bounce+") for parcel in relay.parcels]
    assert {keyring.read_bounce_token(token) for token in tokens} == nonces


def test_the_books_can_be_counted_by_status(database: Database, clock: SettableClock) -> None:
    queue_digests(database, 3, clock())
    with database.reading() as session:
        assert session.scalar(select(func.count()).where(DeliveryRow.status == Status.QUEUED)) == 3


def open_descriptors() -> int:
    """Count the files and sockets this process has open."""
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


class SoftLimit(Exception):
    """What Celery raises in a task, out of a signal's handler, when its time is up."""


@pytest.mark.trust(104, 106)
@pytest.mark.parametrize("stage", ["greeting", "ehlo", "mail", "dot"])
def test_trust_106_a_tasks_time_limit_ends_a_run_in_mid_silence_and_leaves_no_socket_open(
    sqlite_database: Database, clock: SettableClock, keyring: Keyring, stage: str
) -> None:
    """Not every event loop lets an exception of a signal's handler through: uvloop goes on sleeping."""
    queue_digests(sqlite_database, 8, clock())

    def silent(seen: str, connection: int, message: int) -> str | None:
        # One connection stands, and one message was taken, before the silence begins.
        if seen in {"greeting", "ehlo"}:
            return SILENCE if seen == stage and connection > 1 else None
        is_silent = seen == stage or (seen == "dot" and stage in {"greeting", "ehlo"})
        return SILENCE if is_silent and message > 1 else None

    def time_is_up(_number: int, _frame: object) -> None:
        raise SoftLimit

    before = signal.signal(signal.SIGALRM, time_is_up)
    with scripted_relay(silent) as server:
        sqlite_database.close()
        descriptors = open_descriptors()
        endpoint = SmtpEndpoint(f"smtp://127.0.0.1:{server.port}?starttls=never")
        patient = Limits(connections=2, command_seconds=60, data_seconds=60, final_reply_seconds=60)
        relay = SmtpRelay(endpoint, helo_name="x.example.org", limits=patient)
        signal.setitimer(signal.ITIMER_REAL, 0.5)
        try:
            with pytest.raises(SoftLimit):
                deliver(sqlite_database, clock, keyring, relay, window=4)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
        sent = len(server.accepted)
        sqlite_database.close()
        gc.collect()
        # The relay's own ends of the connections close a moment later, in its thread.
        deadline = time.monotonic() + 5
        while open_descriptors() > descriptors and time.monotonic() < deadline:
            time.sleep(0.01)
        assert open_descriptors() <= descriptors
    counts = statuses(sqlite_database)
    assert counts["sent"] == sent  # what was known by then is written down
    assert counts["claimed"] == 0
    # Unknown is what was on the wire whole; of the others nothing was, whatever else had been said.
    assert counts["sending"] == (0 if stage == "mail" else 2 if stage == "dot" else 1)
    assert counts["queued"] == 8 - sent - counts["sending"]
