"""Several relays: shares, failover, and never a second copy (trust 45 to 48, 50, 51)."""

import asyncio
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.endpoints import SmtpEndpoint
from service.mail.delivery import Outcome, Stage, Verdict
from service.mail.message import Parcel
from service.mail.pool import Limits, RelayUnavailable
from service.mail.relays import LONGEST_REST, SHORTEST_REST, Member, Relays
from service.mail.transport import SmtpRelay
from tests.integration.mail.test_transport import a_parcel, at
from tests.relays import DROP, SILENCE, Script, ScriptedRelay, scripted_relay

SHORT = Limits(
    connections=2, command_seconds=0.3, data_seconds=0.3, block_seconds=0.3, final_reply_seconds=0.3
)
PATIENT = Limits(connections=2, command_seconds=5, data_seconds=5, block_seconds=5, final_reply_seconds=5)


class Hands:
    """A clock that is moved by hand."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


def member_at(port: int, weight: int = 1, limits: Limits = PATIENT) -> Member:
    endpoint = SmtpEndpoint(f"smtp://127.0.0.1:{port}?starttls=never")
    return Member(SmtpRelay(endpoint, helo_name="digest.example.org", limits=limits), weight=weight)


@contextmanager
def two_relays(
    first: Script = lambda *_: None,
    second: Script = lambda *_: None,
    *,
    limits: Limits = PATIENT,
    weights: tuple[int, int] = (1000, 1),
    pipelines: bool = False,
    clock: Hands | None = None,
) -> Iterator[tuple[Relays, ScriptedRelay, ScriptedRelay]]:
    """Give two relays of which the first is to be asked first."""
    extensions = ("SIZE 50000000", *(["PIPELINING"] if pipelines else []))
    with (
        scripted_relay(first, extensions=extensions) as one,
        scripted_relay(second, extensions=extensions) as other,
    ):
        members = [
            member_at(server.port, weight, limits)
            for server, weight in zip((one, other), weights, strict=True)
        ]
        yield Relays(members, monotonic=clock or Hands(), jitter=lambda: 0.5), one, other


async def deliver_all(relays: Relays, parcels: Sequence[Parcel]) -> list[Outcome]:
    try:
        return await asyncio.gather(*(relays.deliver(parcel) for parcel in parcels))
    finally:
        await relays.close()


def taken(*servers: ScriptedRelay) -> Counter[str]:
    """Count the whole messages each recipient was sent, whatever was answered."""
    return Counter(message.recipient for server in servers for message in server.received if message.data)


async def test_relays_share_by_weight() -> None:
    with two_relays(weights=(3, 1)) as (relays, one, other):
        outcomes = await deliver_all(relays, [a_parcel(number) for number in range(40)])
    assert {outcome.verdict for outcome in outcomes} == {Verdict.SENT}
    assert (len(one.accepted), len(other.accepted)) == (30, 10)


@pytest.mark.trust(50)
@pytest.mark.parametrize("pipelines", [False, True])
@pytest.mark.parametrize(
    ("stage", "answer"),
    [
        ("greeting", DROP),
        ("greeting", "421 4.3.2 not now"),
        ("greeting", "554 5.3.2 no"),
        ("ehlo", DROP),
        ("mail", DROP),
        ("mail", "421 4.3.2 closing"),
        ("mail", "452 4.3.1 disk full"),
        ("mail", SILENCE),
        ("rcpt", DROP),
        ("rcpt", "421 4.3.2 closing"),
        ("data", DROP),
        ("data", "421 4.3.2 closing"),
    ],
)
async def test_what_one_relay_certainly_did_not_take_another_gets(
    stage: str, answer: str, *, pipelines: bool
) -> None:
    with two_relays(at(stage, answer), limits=SHORT, pipelines=pipelines) as (relays, one, other):
        outcomes = await deliver_all(relays, [a_parcel(number) for number in range(6)])
    assert {outcome.verdict for outcome in outcomes} == {Verdict.SENT}
    assert taken(one) == {}
    assert taken(other) == {f"reader{number}@example.org": 1 for number in range(6)}


@pytest.mark.trust(45, 46, 47)
@pytest.mark.parametrize(
    ("stage", "answer", "verdict"),
    [
        ("dot", DROP, Verdict.UNKNOWN),
        ("dot", SILENCE, Verdict.UNKNOWN),
        ("dot", "mumble", Verdict.UNKNOWN),
        ("dot", "421 4.3.2 closing", Verdict.DEFERRED),
        ("dot", "451 4.3.0 later", Verdict.DEFERRED),
        ("dot", "554 5.7.1 spam", Verdict.REFUSED),
        ("rcpt", "450 4.2.1 greylisted", Verdict.DEFERRED),
        ("rcpt", "550 5.1.1 nobody", Verdict.REFUSED),
        ("rcpt", "421 4.7.28 too much for this domain", Verdict.DEFERRED),
        ("mail", "550 5.7.1 go away", Verdict.REFUSED),
        ("data", "554 5.6.0 no", Verdict.REFUSED),
    ],
)
async def test_trust_45_what_is_not_certain_or_not_the_relays_own_goes_to_no_other(
    stage: str, answer: str, verdict: Verdict
) -> None:
    with two_relays(at(stage, answer), limits=SHORT) as (relays, _, other):
        (outcome,) = await deliver_all(relays, [a_parcel()])
    assert outcome.verdict is verdict
    assert other.seen == []


@pytest.mark.trust(50)
async def test_trust_50_a_relay_that_failed_rests_longer_each_time() -> None:
    clock = Hands()
    with two_relays(at("greeting", DROP), limits=SHORT, clock=clock) as (relays, one, other):
        first = relays.members[0]
        rests = []
        for number in range(7):
            assert (await relays.deliver(a_parcel(number))).verdict is Verdict.SENT
            tried = one.connections
            assert (await relays.deliver(a_parcel(100 + number))).verdict is Verdict.SENT
            assert one.connections == tried  # not asked again while it rests
            rests.append(first.rests_until - clock.now)
            clock.now = first.rests_until
        await relays.close()
    assert rests == [SHORTEST_REST * factor for factor in (1, 2, 4, 8, 16)] + [LONGEST_REST] * 2
    assert len(other.accepted) == 14


async def test_a_relay_for_need_gets_mail_only_in_need() -> None:
    def tired(stage: str, connection: int, message: int) -> str | None:
        return "421 4.3.2 closing" if stage == "mail" and len(one.accepted) >= 3 else None

    with two_relays(tired, weights=(1, 0)) as (relays, one, other):
        outcomes = [await relays.deliver(a_parcel(number)) for number in range(6)]
        await relays.close()
    assert {outcome.verdict for outcome in outcomes} == {Verdict.SENT}
    assert (len(one.accepted), len(other.accepted)) == (3, 3)


async def test_all_relays_away_is_said_of_each_and_nothing_was_tried() -> None:
    with two_relays(at("greeting", DROP), at("greeting", "554 no"), limits=SHORT) as (relays, one, other):
        with pytest.raises(RelayUnavailable) as raised:
            await relays.ready()
        (outcome,) = await deliver_all(relays, [a_parcel()])
    assert str(one.port) in str(raised.value)
    assert str(other.port) in str(raised.value)
    assert outcome.verdict is Verdict.UNREACHABLE


async def test_it_is_ready_as_soon_as_one_relay_is() -> None:
    with two_relays(at("greeting", DROP), limits=SHORT) as (relays, _, other):
        await relays.ready()
        await relays.close()
    assert other.seen == ["EHLO digest.example.org", "QUIT"]


ANSWERS = st.sampled_from(
    [
        (stage, answer)
        for stage in ("greeting", "ehlo", "mail", "rcpt", "data", "dot")
        for answer in (None, DROP, "421 4.3.2 closing", "451 4.3.0 later", "550 5.1.1 nobody", "mumble")
    ]
)


@pytest.mark.trust(102)
@settings(max_examples=25, deadline=None)
@given(
    scripts=st.lists(st.lists(ANSWERS, min_size=8, max_size=24), min_size=2, max_size=2),
    pipelines=st.booleans(),
)
async def test_trust_102_whatever_two_relays_do_nobody_gets_two(
    scripts: list[list[tuple[str, str | None]]], *, pipelines: bool
) -> None:
    """Each relay answers by a list that is used up; then all goes well."""
    with ExitStack() as stack:

        def by_list(plan: list[tuple[str, str | None]]) -> Script:
            left = list(plan)

            def script(stage: str, connection: int, message: int) -> str | None:
                if left and stage == left[0][0]:
                    return left.pop(0)[1]
                return None

            return script

        relays, one, other = stack.enter_context(
            two_relays(
                by_list(scripts[0]), by_list(scripts[1]), limits=SHORT, weights=(1, 1), pipelines=pipelines
            )
        )
        outcomes = await deliver_all(relays, [a_parcel(number) for number in range(8)])
    accepted = Counter(message.recipient for message in one.kept + other.kept if message.data)
    whole = taken(one, other)
    for number, outcome in enumerate(outcomes):
        recipient = f"reader{number}@example.org"
        assert accepted[recipient] <= 1
        assert whole[recipient] <= 1  # never handed over whole a second time in one attempt
        if outcome.verdict is Verdict.SENT:
            assert accepted[recipient] == 1
            assert recipient in {message.recipient for message in one.accepted + other.accepted}
        elif outcome.verdict is not Verdict.UNKNOWN:
            assert accepted[recipient] == 0
        if outcome.stage is not Stage.DOT:
            assert whole[recipient] == 0
