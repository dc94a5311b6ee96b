"""Limits that all workers share through Redis, and keep when Redis is away (trust 38, 47, 105)."""

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import Callable
from datetime import timedelta

import pytest
import redis
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from service.clock import SettableClock
from service.config import Settings
from service.database import Database
from service.endpoints import Limit, SmtpEndpoint
from service.keys import Keyring
from service.mail import outbox
from service.mail.courier import RelayCourier
from service.mail.delivery import Outcome, Stage, Verdict
from service.mail.limits import Bucket, Want, slow_down
from service.mail.message import Press
from service.mail.meters import (
    PREFIX,
    QUIET_SECONDS,
    UNKNOWN_SENDERS,
    LocalMeter,
    RedisMeter,
    SafeMeter,
)
from service.mail.mx import Names
from service.mail.pool import Limits, RelayUnavailable
from service.mail.relays import Member, Relays, open_relays
from service.mail.sending import deliver_waiting
from service.mail.throttle import Gate
from service.mail.transport import SmtpRelay
from tests.integration.mail.test_sending import SampleComposer, queue_digests, rows
from tests.integration.mail.test_transport import a_parcel
from tests.relays import scripted_relay
from tests.servers import free_port
from tests.unit.mail.letter_samples import a_sender

LATER = Outcome(verdict=Verdict.DEFERRED, stage=Stage.RCPT, code=451, enhanced="4.7.28", text="slow down")
SENT = Outcome(verdict=Verdict.SENT, stage=Stage.DOT, code=250)


_keys = itertools.count()  # no example finds what another left in Redis


class Hands:
    """A clock that is moved by hand."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def shared(redis_url: str) -> Callable[[], RedisMeter]:
    """Makes meters of several workers on an empty Redis."""
    redis.Redis.from_url(redis_url).flushall()
    return lambda: RedisMeter(redis_url)


@hypothesis_settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(steps=st.lists(st.tuples(st.floats(0.05, 50), st.integers(-5, 30)), min_size=1, max_size=8))
def test_redis_counts_as_the_plain_values_do(
    shared: Callable[[], RedisMeter], steps: list[tuple[float, int]]
) -> None:
    """Both are asked at nearly one instant: whole messages agree, waits within the time the asking took."""
    meter, bucket, key = shared(), Bucket(), next(_keys)
    for rate, count in steps:
        begun = time.time()
        (told,) = meter.take([Want(str(key), rate, count)])
        mine = bucket.take(begun, rate, count)
        assert abs(told.count - mine.count) <= 1 + rate * 0.05
        if told.count == mine.count:
            assert told.wait == pytest.approx(mine.wait, abs=0.2 + 1 / rate)


def test_redis_slows_down_as_the_plain_values_do(shared: Callable[[], RedisMeter]) -> None:
    one, other = shared(), shared()
    one.slow("gmail.com", 40.0, None)
    other.slow("gmail.com", 40.0, None)  # the same storm, seen by another worker
    other.slow("yahoo.com", 40.0, 10.0)
    assert one.paces() == pytest.approx({"gmail.com": 20.0, "yahoo.com": 5.0}, rel=0.01)
    assert slow_down(None, 0.0, 40.0, 10.0).rate == 5.0
    assert other.paces().keys() == {"gmail.com", "yahoo.com"}
    one.paces()
    assert one.senders == 2


@pytest.mark.trust(38)
def test_trust_38_a_rate_is_shared_by_all_workers(shared: Callable[[], RedisMeter]) -> None:
    gates = [
        Gate(meter=shared(), limits={"gmail.com": Limit(rate=10.0)}, rates={"r:25": 28.0}) for _ in range(3)
    ]
    recipients = [f"reader{n}@{'googlemail.com' if n % 2 else 'gmail.com'}" for n in range(8)]
    recipients += [f"reader{n}@example.org" for n in range(8)]
    waits = [gate.admit(recipients, [("r:25", 1)]) for gate in gates]
    to_gmail = sum(wait is None for each in waits for wait in each[:8])
    in_all = sum(wait is None for each in waits for wait in each)
    assert 10 <= to_gmail <= 11
    assert 28 <= in_all <= 29
    late = sorted(wait for each in waits for wait in each[:8] if wait is not None)
    assert late[0] > 0
    assert len({round(wait, 3) for wait in late}) >= len(late) - 3  # each has a place of its own in the line


def test_places_are_shared_given_back_and_those_of_the_dead_forgotten(
    shared: Callable[[], RedisMeter], redis_url: str
) -> None:
    one, other = shared(), shared()
    assert one.occupy("gmail.com", 5, 3) == 3
    assert other.occupy("gmail.com", 5, 3) == 2
    one.vacate("gmail.com", 1)
    assert other.occupy("gmail.com", 5, 3) == 1
    # The first was killed: its lease ends.
    client = redis.Redis.from_url(redis_url)
    client.zadd(f"{PREFIX}leases:gmail.com", {one._holder: 1})
    assert other.occupy("gmail.com", 5, 5) == 2


def test_only_so_many_are_on_their_way_to_a_destination_at_once(shared: Callable[[], RedisMeter]) -> None:
    gate = Gate(meter=shared(), limits={"gmail.com": Limit(at_once=3)})
    recipients = [f"reader{n}@gmail.com" for n in range(5)]
    assert [wait is None for wait in gate.admit(recipients, [])] == [True] * 3 + [False] * 2
    assert [wait is None for wait in gate.admit(recipients[3:], [])] == [False] * 2
    gate.learn("r:25", "reader1@gmail.com", SENT)
    assert [wait is None for wait in gate.admit(recipients[3:], [])] == [True, False]
    gate.close()
    assert [wait is None for wait in gate.admit(recipients[:3], [])] == [True] * 3


@pytest.mark.trust(47)
def test_trust_47_a_destination_that_asks_for_less_gets_less_and_the_others_do_not(
    shared: Callable[[], RedisMeter],
) -> None:
    one, other = Gate(meter=shared()), Gate(meter=shared())
    for _ in range(200):
        one.learn("r:25", "reader@gmail.com", SENT)
    recipients = [f"reader{n}@{'gmail.com' if n % 2 else 'example.org'}" for n in range(400)]
    assert set(other.admit(recipients, [("r:25", 1)])) == {None}
    one.learn("r:25", "reader@gmail.com", LATER)
    for gate in (one, other):
        gate._looked_at = 0.0  # a second later
    waits = other.admit(recipients, [("r:25", 1)])
    assert set(waits[::2]) == {None}
    held = [wait for wait in waits[1::2] if wait is not None]
    assert 50 <= len(held) < 200


def test_a_greylist_slows_nobody_down() -> None:
    meter = LocalMeter()
    gate = Gate(meter=meter)
    text = "4.7.1 Greylisted, try again in 5 minutes"
    greylisted = Outcome(verdict=Verdict.DEFERRED, stage=Stage.RCPT, code=450, enhanced="4.7.1", text=text)
    gate.learn("r:25", "reader@example.org", greylisted)
    assert meter.paces() == {}


def test_a_relay_that_asks_for_less_is_slowed_down_itself() -> None:
    meter = LocalMeter()
    gate = Gate(meter=meter)
    busy = Outcome(verdict=Verdict.DEFERRED, stage=Stage.MAIL, code=421, enhanced="4.7.0", text="busy")
    gate.learn("r:25", "reader@example.org", busy)
    assert set(meter.paces()) == {"relay:r:25"}


@pytest.mark.trust(105)
def test_trust_105_without_redis_each_worker_keeps_to_its_share(
    shared: Callable[[], RedisMeter], redis_url: str
) -> None:
    clock = Hands()
    nowhere = RedisMeter(f"redis://127.0.0.1:{free_port()}/0")
    meter = SafeMeter(nowhere, monotonic=clock)
    gate = Gate(meter=meter, limits={"gmail.com": Limit(rate=40.0)}, monotonic=clock)
    waits = gate.admit([f"reader{n}@gmail.com" for n in range(100)], [])
    assert meter.is_alone
    assert sum(wait is None for wait in waits) == 40 // UNKNOWN_SENDERS
    # Back again: all together from then on.
    meter._shared = shared()  # the same address would answer again
    clock.now += QUIET_SECONDS
    (told,) = meter.take([Want("yahoo.com", 40.0, 100)])
    assert told.count == 40
    assert not meter.is_alone


def test_a_share_is_that_of_the_senders_last_heard_of(shared: Callable[[], RedisMeter]) -> None:
    clock = Hands()
    others = [shared() for _ in range(2)]
    meter = SafeMeter(shared(), monotonic=clock)
    for each in others:
        each.paces()
    meter.paces()
    meter._shared = RedisMeter(f"redis://127.0.0.1:{free_port()}/0")  # it goes away
    (told,) = meter.take([Want("gmail.com", 30.0, 100)])
    assert told.count == 10


@pytest.mark.trust(105)
def test_trust_105_what_was_learned_survives_a_flush(
    shared: Callable[[], RedisMeter], redis_url: str
) -> None:
    meter = SafeMeter(shared())
    meter.slow("gmail.com", 40.0, None)
    redis.Redis.from_url(redis_url).flushall()
    assert meter.paces() == pytest.approx({"gmail.com": 20.0}, rel=0.01)


def relay_at(port: int, query: str = "", throttle: Gate | None = None) -> Relays:
    endpoint = SmtpEndpoint(f"smtp://127.0.0.1:{port}?starttls=never{query}")
    berths = throttle.berths(endpoint) if throttle is not None else None
    limits = Limits(connections=endpoint.connections or 4)
    relay = SmtpRelay(endpoint, helo_name="x.example.org", limits=limits, berths=berths)
    return Relays([Member(relay)], throttle=throttle)


def test_held_back_messages_wait_for_their_turn_and_cost_no_attempt(
    database: Database, clock: SettableClock, keyring: Keyring
) -> None:
    """At 20 a second 20 go at once, a few more follow at their pace; who has to wait long goes back."""
    queue_digests(database, 24, clock())
    with scripted_relay() as server:
        fast = Gate(meter=LocalMeter(), rates={f"127.0.0.1:{server.port}": 20.0})
        began = time.monotonic()
        tally = deliver_waiting(
            database,
            composers={"digest": SampleComposer()},
            courier=RelayCourier(
                press=Press(a_sender(), keyring), relay=relay_at(server.port, throttle=fast)
            ),
            clock=clock,
            queue=outbox.BULK,
            worker="w",
        )
        took = time.monotonic() - began
        assert (tally.sent, tally.requeued) == (24, 0)
        assert took >= 0.15
        with database.transaction() as session:
            for number in range(6):
                outbox.queue(
                    session,
                    kind="digest",
                    queue=outbox.BULK,
                    now=clock(),
                    expires_at=clock() + timedelta(days=1),
                    subscriber_id=number,
                )
        slow = Gate(meter=LocalMeter(), rates={f"127.0.0.1:{server.port}": 1 / 60})
        tally = deliver_waiting(
            database,
            composers={"digest": SampleComposer()},
            courier=RelayCourier(
                press=Press(a_sender(), keyring), relay=relay_at(server.port, throttle=slow)
            ),
            clock=clock,
            queue=outbox.BULK,
            worker="w",
        )
    assert (tally.sent, tally.requeued) == (1, 5)
    late = [row for row in rows(database) if row.status == "queued"]
    assert {(row.attempt_count, row.reason, row.claimed_by) for row in late} == {(0, "held_back", None)}
    waits = sorted((row.next_at - clock()).total_seconds() for row in late)
    assert [round(wait / 60) for wait in waits] == [1, 2, 3, 4, 5]


async def test_all_workers_together_open_only_so_many_connections(shared: Callable[[], RedisMeter]) -> None:
    with scripted_relay() as server:
        workers = [relay_at(server.port, "&at_once=3&connections=2", Gate(meter=shared())) for _ in range(3)]
        for worker in workers[:2]:
            await worker.ready()
        outcomes = await asyncio.gather(
            *(worker.deliver(a_parcel(n)) for n in range(20) for worker in workers[:2])
        )
        assert {outcome.verdict for outcome in outcomes} == {Verdict.SENT}
        assert server.connections == 3
        with pytest.raises(RelayUnavailable, match="other workers"):
            await workers[2].ready()
        await workers[0].close()
        await workers[2].ready()  # what one gives back another may take
        for worker in workers[1:]:
            await worker.close()


def test_who_hosts_a_domain_is_asked_once_and_nobody_waits_for_the_answer() -> None:
    asked: Counter[str] = Counter()

    def find(domain: str) -> str | None:
        asked[domain] += 1
        if domain == "broken.example":
            raise OSError("SERVFAIL")
        return {"hosted.example": "aspmx.l.google.com.", "own.example": "mx.own.example."}.get(domain)

    names = Names(find)
    for _ in range(2):
        assert names("reader@hosted.example") == "hosted.example"
        assert names("reader@gmail.com") == "gmail.com"
        names("reader@broken.example")
        names("reader@none.example")
        break
    names.finish()
    assert names("reader@hosted.example") == "gmail.com"
    assert names("reader@broken.example") == "broken.example"
    assert names("reader@none.example") == "none.example"
    assert asked == {"hosted.example": 1, "broken.example": 1, "none.example": 1}


def test_the_settings_reach_the_gate(settings: Settings) -> None:
    url = "smtp://127.0.0.1:1?starttls=never&rate=10/s&weight=2 smtp://127.0.0.1:2?starttls=never&rate=5/s"
    given_ = Settings(
        **settings.model_dump(exclude={"smtp_url", "domain_limits"}),
        smtp_url=url,
        domain_limits="googlemail.com=3/s *=:7",
    )
    relays = open_relays(given_)
    assert [member.weight for member in relays.members] == [2, 1]
    assert isinstance(relays.throttle, Gate)
    assert relays.throttle.limits == {"gmail.com": Limit(3.0, None), "*": Limit(None, 7)}
    assert relays.throttle.rates == {"127.0.0.1:1": 10.0, "127.0.0.1:2": 5.0}
    waits = relays.admit([f"reader{n}@gmail.com" for n in range(5)])
    assert [wait is None for wait in waits] == [True] * 3 + [False] * 2
    for name in ("127.0.0.1:1", "127.0.0.1:1", "127.0.0.1:2"):
        relays.throttle.use(name)
    waits = relays.admit([f"reader{n}@example{n}.org" for n in range(40)])
    assert sum(wait is None for wait in waits) == 12  # 15 a second of both, 3 went to Gmail


async def test_a_relay_for_need_with_a_rate_is_used_in_need() -> None:
    """Whether the other one is known to be away, or breaks down with the messages in its hands."""
    with scripted_relay() as server:
        gone = SmtpEndpoint(f"smtp://127.0.0.1:{free_port()}?starttls=never")
        spare = SmtpEndpoint(f"smtp://127.0.0.1:{server.port}?starttls=never&weight=0")
        throttle = Gate(meter=LocalMeter(), rates={spare.name: 6.0})
        relays = Relays(
            [
                Member(SmtpRelay(endpoint, helo_name="x.example.org"), weight=endpoint.weight)
                for endpoint in (gone, spare)
            ],
            throttle=throttle,
        )
        assert set(relays.admit([f"reader{n}@example.org" for n in range(4)])) == {None}
        outcomes = await asyncio.gather(*(relays.deliver(a_parcel(n)) for n in range(4)))
        assert {outcome.verdict for outcome in outcomes} == {Verdict.SENT}
        waits = relays.admit([f"reader{n}@example.org" for n in range(4)])
        assert [wait is None for wait in waits] == [True, True, False, False]
        outcomes = await asyncio.gather(*(relays.deliver(a_parcel(n)) for n in range(3)))
        assert [outcome.verdict for outcome in outcomes] == [Verdict.SENT, Verdict.SENT, Verdict.HELD]
        await relays.close()
