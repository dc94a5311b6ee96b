"""PIPELINING against relays that keep it and relays that don't (trust 44 to 48, 53, 11.1; RFC 2920)."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from service.config import SmtpEndpoint
from service.mail.delivery import Outcome, Stage, Verdict
from service.mail.message import Parcel
from service.mail.pool import Limits
from service.mail.transport import UNWRITABLE, SmtpRelay
from tests.integration.mail.certificates import tls_contexts
from tests.integration.mail.test_transport import OUTCOMES, a_parcel, at
from tests.relays import DROP, SILENCE, Script, ScriptedRelay, scripted_relay

LIMITS = Limits(connections=1, command_seconds=3, data_seconds=3, final_reply_seconds=3)
SHORT = Limits(connections=1, command_seconds=0.3, data_seconds=0.3, final_reply_seconds=3)


@contextmanager
def pipelining_relay(script: Script, **parts: object) -> Iterator[ScriptedRelay]:
    with scripted_relay(script, extensions=("PIPELINING", "SIZE 50000000"), **parts) as server:
        yield server


def relay_at(server: ScriptedRelay, limits: Limits = LIMITS) -> SmtpRelay:
    endpoint = SmtpEndpoint(f"smtp://127.0.0.1:{server.port}?starttls=never")
    return SmtpRelay(endpoint, helo_name="digest.example.org", limits=limits)


async def deliver_all(relay: SmtpRelay, parcels: list[Parcel]) -> list[Outcome]:
    try:
        return await asyncio.gather(*(relay.deliver(parcel) for parcel in parcels))
    finally:
        await relay.close()


def full(server: ScriptedRelay) -> list[str]:
    """Return who was sent a whole message, whatever was answered."""
    return [message.recipient for message in server.received if message.data]


@pytest.mark.trust(45, 47)
@pytest.mark.parametrize(("stage", "answer", "verdict", "reached", "code", "enhanced", "taken"), OUTCOMES)
async def test_trust_11_1_each_event_leads_to_its_verdict_when_pipelined_too(
    stage: str, answer: str, verdict: Verdict, reached: Stage, code: int | None, enhanced: str, taken: int
) -> None:
    with pipelining_relay(at(stage, answer)) as server:
        (outcome,) = await deliver_all(relay_at(server), [a_parcel()])
    assert (outcome.verdict, outcome.stage, outcome.code, outcome.enhanced) == (
        verdict, reached, code, enhanced,
    )  # fmt: skip
    assert len(full(server)) == taken  # never handed over a second time, and to nobody that was refused


async def test_the_next_envelope_leaves_with_the_body_before_it() -> None:
    """The server answers a message only when the next one's commands are there: else this would hang."""
    taken: list[bytes] = []
    is_over = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 hello\r\n")
        await reader.readline()
        writer.write(b"250-hello\r\n250 PIPELINING\r\n")
        commands = [await reader.readline() for _ in range(3)]
        for number in range(3):
            assert [command[:4] for command in commands] == [b"MAIL", b"RCPT", b"DATA"]
            writer.write(b"250 ok\r\n250 ok\r\n354 go on\r\n")
            taken.append(await reader.readuntil(b"\r\n.\r\n"))
            commands = [await reader.readline() for _ in range(3)] if number < 2 else []
            writer.write(b"250 taken\r\n")
        await reader.readline()
        writer.write(b"221 bye\r\n")
        writer.close()
        await asyncio.gather(writer.wait_closed(), return_exceptions=True)
        is_over.set()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    endpoint = SmtpEndpoint(f"smtp://127.0.0.1:{server.sockets[0].getsockname()[1]}?starttls=never")
    relay = SmtpRelay(endpoint, helo_name="x.example.org", limits=LIMITS)
    outcomes = await deliver_all(relay, [a_parcel(number) for number in range(3)])
    await is_over.wait()
    server.close()
    assert [outcome.verdict for outcome in outcomes] == [Verdict.SENT] * 3
    assert len(taken) == 3


@pytest.mark.trust(53)
async def test_trust_53_refusals_of_every_kind_among_many_harm_no_other() -> None:
    answers = {
        1: ("rcpt", "550 5.1.1 nobody"),
        3: ("rcpt", "452 4.2.2 full"),
        4: ("mail", "451 4.3.0 later"),
        6: ("dot", "552 5.3.4 too big"),
        7: ("dot", "451 4.7.1 greylisted"),
        8: ("data", "451 4.3.0 no"),
    }

    def script(stage: str, connection: int, message: int) -> str | None:
        last = next((line for line in reversed(server.seen) if line.startswith("MAIL")), "")
        number = int(last.partition("+")[2].partition("@")[0] or 0)
        wanted = answers.get(number % 10)
        return wanted[1] if wanted and wanted[0] == stage else None

    with pipelining_relay(script) as server:
        outcomes = await deliver_all(relay_at(server), [a_parcel(number) for number in range(40)])
    verdicts = {1: Verdict.REFUSED, 3: Verdict.DEFERRED, 4: Verdict.DEFERRED}
    verdicts |= {6: Verdict.REFUSED, 7: Verdict.DEFERRED, 8: Verdict.DEFERRED}
    for number, outcome in enumerate(outcomes):
        assert outcome.verdict is verdicts.get(number % 10, Verdict.SENT), number
    accepted = Counter(message.recipient for message in server.accepted if message.data)
    assert accepted == {f"reader{n}@example.org": 1 for n in range(40) if n % 10 not in verdicts}


@pytest.mark.trust(47, 48)
@pytest.mark.parametrize("answer", [DROP, "421 4.7.0 enough"])
@pytest.mark.parametrize("stage", ["mail", "rcpt", "data"])
async def test_trust_47_and_48_a_connection_lost_between_messages_loses_and_doubles_nothing(
    stage: str, answer: str
) -> None:
    with pipelining_relay(at(stage, answer, message=4)) as server:
        outcomes = await deliver_all(relay_at(server), [a_parcel(number) for number in range(10)])
    assert {outcome.verdict for outcome in outcomes} == {Verdict.SENT}
    assert sorted(full(server)) == sorted(f"reader{n}@example.org" for n in range(10))


@pytest.mark.trust(45, 46)
@pytest.mark.parametrize(
    ("answer", "verdict"),
    [(DROP, Verdict.UNKNOWN), ("421 4.3.2 closing", Verdict.DEFERRED), ("hm", Verdict.UNKNOWN)],
)
async def test_trust_45_and_46_a_message_without_an_answer_is_unknown_and_its_follower_is_not(
    answer: str, verdict: Verdict
) -> None:
    with pipelining_relay(at("dot", answer, connection=1, message=3)) as server:
        outcomes = await deliver_all(relay_at(server), [a_parcel(number) for number in range(6)])
    assert [outcome.verdict for outcome in outcomes] == [
        verdict if number == 2 else Verdict.SENT for number in range(6)
    ]
    assert sorted(full(server)) == [f"reader{n}@example.org" for n in range(6)]


@pytest.mark.parametrize(
    ("stage", "answer"),
    [
        ("rcpt", "503 5.5.1 one at a time"),
        ("mail", "500 5.5.2 what?"),
        ("rcpt", SILENCE),
        ("data", SILENCE),
        ("rcpt", "250 2.1.5 ok\r\n250 and more"),
        ("data", "354 go on\r\n250 and more"),
        ("mail", "mumble"),
    ],
)
async def test_a_relay_that_only_says_it_can_pipeline_is_asked_step_by_step(stage: str, answer: str) -> None:
    with pipelining_relay(at(stage, answer, connection=1)) as server:
        relay = relay_at(server, SHORT)
        outcomes = await deliver_all(relay, [a_parcel(number) for number in range(5)])
    assert {outcome.verdict for outcome in outcomes} == {Verdict.SENT}
    assert sorted(full(server)) == [f"reader{n}@example.org" for n in range(5)]
    assert server.connections == 2
    assert relay.keeps_pipelining is (answer == "mumble")  # a broken line is no sign of it


@pytest.mark.trust(52)
async def test_trust_52_pipelining_works_inside_starttls(tmp_path) -> None:
    server_tls, client_tls = tls_contexts(tmp_path)
    with pipelining_relay(lambda *_: None, tls=server_tls) as server:
        endpoint = SmtpEndpoint(f"smtp://127.0.0.1:{server.port}")
        relay = SmtpRelay(endpoint, helo_name="x.example.org", limits=LIMITS, tls_context=client_tls)
        outcomes = await deliver_all(
            relay, [a_parcel(n, b"Subject: x\r\n\r\n" + b"y" * 70_000 + b"\r\n") for n in range(9)]
        )
    assert {outcome.verdict for outcome in outcomes} == {Verdict.SENT}
    assert server.connections == 1
    assert {len(message.data) for message in server.accepted} == {70_016}


@pytest.mark.trust(11)
@pytest.mark.parametrize("address", ["a b@example.org", "a>@example.org", "a\r\nRCPT TO:<b@example.org>", ""])
async def test_trust_11_an_address_that_cannot_be_written_never_reaches_the_wire(address: str) -> None:
    parcel = Parcel(
        envelope_sender="bounce@example.org", recipient=address, pieces=[b"x\r\n"], message_id="x"
    )
    with pipelining_relay(lambda *_: None) as server:
        relay = relay_at(server)
        assert await relay.deliver(parcel) == UNWRITABLE
        await relay.close()
    assert not server.seen


async def test_what_was_given_up_before_its_turn_is_not_sent() -> None:
    with pipelining_relay(lambda *_: None) as server:
        relay = relay_at(server)
        futures = [relay.deliver(a_parcel(number)) for number in range(8)]
        await futures[0]
        futures[7].cancel()
        await asyncio.wait(futures)
        await relay.close()
    assert sorted(full(server)) == [f"reader{n}@example.org" for n in range(7)]
