"""The relay pool against real and hostile servers (trust 1, 2, 33, 44 to 48, 51 to 53, 55, 56, 11.1)."""

import asyncio
import time
from datetime import UTC, datetime
from pathlib import Path

import aiosmtpd.smtp
import dkim as dkimpy
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from service.config import Settings
from service.endpoints import SmtpEndpoint
from service.keys import Keyring
from service.mail.delivery import Stage, Verdict
from service.mail.dkim import Signer
from service.mail.message import Parcel, Press
from service.mail.pool import Limits, RelayUnavailable
from service.mail.transport import SmtpRelay, open_relay
from tests.integration.mail.certificates import tls_contexts
from tests.relays import DROP, SILENCE, STALL, ScriptedRelay, scripted_relay
from tests.unit.mail.letter_samples import a_digest, a_sender

AT = datetime(2026, 2, 13, 8, tzinfo=UTC)
LIMITS = Limits(connections=2, command_seconds=3, data_seconds=3, final_reply_seconds=3)
SHORT = Limits(connections=2, command_seconds=0.2, data_seconds=0.2, final_reply_seconds=0.2)


def a_parcel(number: int = 1, data: bytes = b"Subject: hello\r\n\r\nwords\r\n") -> Parcel:
    return Parcel(
        envelope_sender=f"bounce+{number}@bounces.example.org",
        recipient=f"reader{number}@example.org",
        pieces=[data],
        message_id=f"{number}@example.org",
    )


def relay_at(server: ScriptedRelay, limits: Limits = LIMITS, **parts: object) -> SmtpRelay:
    endpoint = SmtpEndpoint(f"smtp://127.0.0.1:{server.port}?starttls=never")
    return SmtpRelay(endpoint, helo_name="digest.example.org", limits=limits, **parts)


class CountedBerths:
    taken = 0

    def take(self) -> bool:
        self.taken += 1
        return True

    def free(self) -> None:
        self.taken -= 1


async def test_who_gives_up_while_a_worn_connection_says_goodbye_gives_its_berth_back() -> None:
    berths = CountedBerths()
    limits = Limits(connections=1, messages_per_connection=1)
    with scripted_relay(lambda stage, *_: SILENCE if stage == "quit" else None) as server:
        relay = relay_at(server, limits, berths=berths)
        await relay.deliver(a_parcel())
        waiting = asyncio.create_task(relay.ready())
        async with asyncio.timeout(10):
            while server.seen[-1] != "QUIT":
                await asyncio.sleep(0)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        await relay.close()
    assert berths.taken == 0


async def test_a_connection_whose_holder_is_gone_ends_with_the_others() -> None:
    berths = CountedBerths()
    with scripted_relay() as server:
        relay = relay_at(server, berths=berths)
        connection = await relay.pool.take()
        await relay.close()
    assert connection.talk.is_ended
    assert berths.taken == 0


def at(stage: str, answer: str, *, connection: int | None = None, message: int | None = None):
    """Script one answer at one stage, on any connection and message unless given."""

    def script(seen_stage: str, seen_connection: int, seen_message: int) -> str | None:
        right = (
            seen_stage == stage and connection in {None, seen_connection} and message in {None, seen_message}
        )
        return answer if right else None

    return script


# What trust 11.1 says of each event, and what the relay must have taken.
OUTCOMES = [
    ("mail", "451 4.3.0 later", Verdict.DEFERRED, Stage.MAIL, 451, "4.3.0", 0),
    ("mail", "550 5.7.1 go away", Verdict.REFUSED, Stage.MAIL, 550, "5.7.1", 0),
    ("mail", "421 4.7.0 too much", Verdict.DEFERRED, Stage.MAIL, 421, "4.7.0", 0),
    ("mail", DROP, Verdict.DEFERRED, Stage.MAIL, None, None, 0),
    ("rcpt", "450 4.2.2 full", Verdict.DEFERRED, Stage.RCPT, 450, "4.2.2", 0),
    ("rcpt", "550 5.1.1 nobody", Verdict.REFUSED, Stage.RCPT, 550, "5.1.1", 0),
    ("rcpt", "550 no such user", Verdict.REFUSED, Stage.RCPT, 550, None, 0),
    ("rcpt", "421 4.3.2 closing", Verdict.DEFERRED, Stage.RCPT, 421, "4.3.2", 0),
    ("rcpt", DROP, Verdict.DEFERRED, Stage.RCPT, None, None, 0),
    ("data", "451 4.3.0 later", Verdict.DEFERRED, Stage.DATA, 451, "4.3.0", 0),
    ("data", "554 5.5.1 no", Verdict.REFUSED, Stage.DATA, 554, "5.5.1", 0),
    ("data", DROP, Verdict.DEFERRED, Stage.DATA, None, None, 0),
    ("dot", "250 2.0.0 ok", Verdict.SENT, Stage.DOT, 250, "2.0.0", 1),
    ("dot", "451 4.7.1 greylisted", Verdict.DEFERRED, Stage.DOT, 451, "4.7.1", 1),
    ("dot", "421 4.7.0 busy", Verdict.DEFERRED, Stage.DOT, 421, "4.7.0", 1),
    ("dot", "550 5.7.515 not authenticated", Verdict.REFUSED, Stage.DOT, 550, "5.7.515", 1),
    ("dot", DROP, Verdict.UNKNOWN, Stage.DOT, None, None, 1),
    ("dot", "ok, I think", Verdict.UNKNOWN, Stage.DOT, None, None, 1),
    ("dot", "354 what", Verdict.UNKNOWN, Stage.DOT, 354, None, 1),
]


@pytest.mark.trust(45, 47)
@pytest.mark.parametrize(("stage", "answer", "verdict", "reached", "code", "enhanced", "taken"), OUTCOMES)
async def test_trust_11_1_each_event_leads_to_its_verdict(
    stage: str,
    answer: str,
    verdict: Verdict,
    reached: Stage,
    code: int | None,
    enhanced: str | None,
    taken: int,
) -> None:
    with scripted_relay(at(stage, answer)) as server:
        relay = relay_at(server)
        outcome = await relay.deliver(a_parcel())
        await relay.close()
    assert (outcome.verdict, outcome.stage, outcome.code, outcome.enhanced) == (
        verdict,
        reached,
        code,
        enhanced,
    )
    assert len(server.received) == taken  # never handed over a second time


@pytest.mark.trust(44, 45)
@pytest.mark.parametrize(
    ("stage", "verdict", "taken"),
    [
        ("mail", Verdict.DEFERRED, 0),
        ("rcpt", Verdict.DEFERRED, 0),
        ("data", Verdict.DEFERRED, 0),
        ("dot", Verdict.UNKNOWN, 1),
    ],
)
async def test_trust_44_and_45_silence_is_a_timeout_and_after_the_message_an_unknown(
    stage: str, verdict: Verdict, taken: int
) -> None:
    with scripted_relay(at(stage, SILENCE)) as server:
        relay = relay_at(server, SHORT)
        outcome = await relay.deliver(a_parcel())
        await relay.close()
    assert outcome.verdict is verdict
    assert len(server.received) == taken


@pytest.mark.trust(44)
async def test_trust_44_the_answer_after_the_dot_has_its_own_longer_limit() -> None:
    def slow(stage: str, connection: int, message: int) -> None:
        if stage == "dot":
            time.sleep(0.5)  # the relay's own slowness, in its own thread

    limits = Limits(connections=1, command_seconds=0.2, data_seconds=0.2, final_reply_seconds=5)
    with scripted_relay(slow) as server:
        relay = relay_at(server, limits)
        outcome = await relay.deliver(a_parcel())
        await relay.close()
    assert outcome.verdict is Verdict.SENT
    assert len(server.accepted) == 1


@pytest.mark.trust(48)
@pytest.mark.parametrize("answer", [DROP, "421 4.7.0 enough on this connection"])
async def test_trust_48_a_close_at_the_connections_limit_costs_nothing(answer: str) -> None:
    def after_three(stage: str, connection: int, message: int) -> str | None:
        return answer if stage == "mail" and message > 3 else None

    with scripted_relay(after_three) as server:
        relay = relay_at(server)
        outcomes = [await relay.deliver(a_parcel(number)) for number in range(10)]
        await relay.close()
    assert {outcome.verdict for outcome in outcomes} == {Verdict.SENT}
    assert [message.recipient for message in server.accepted] == [f"reader{n}@example.org" for n in range(10)]


@pytest.mark.trust(51)
async def test_trust_51_connections_are_used_again_and_no_more_than_allowed() -> None:
    with scripted_relay() as server:
        relay = relay_at(server)
        outcomes = await asyncio.gather(*(relay.deliver(a_parcel(number)) for number in range(50)))
        await relay.close()
    assert {outcome.verdict for outcome in outcomes} == {Verdict.SENT}
    assert server.connections == 2
    assert len({message.recipient for message in server.accepted}) == 50
    assert server.seen.count("QUIT") == 2


@pytest.mark.trust(51)
async def test_trust_51_a_connection_is_left_after_its_share_of_messages() -> None:
    limits = Limits(connections=1, command_seconds=3, final_reply_seconds=3, messages_per_connection=4)
    with scripted_relay() as server:
        relay = relay_at(server, limits)
        for number in range(10):
            await relay.deliver(a_parcel(number))
        await relay.close()
    assert server.connections == 3
    assert len(server.accepted) == 10


@pytest.mark.trust(53)
async def test_trust_53_a_refused_recipient_harms_no_other_and_leaves_no_transaction_open() -> None:
    def odd_ones(stage: str, connection: int, message: int) -> str | None:
        return "550 5.1.1 nobody" if stage == "rcpt" and "reader1@" in server.seen[-1] else None

    with scripted_relay(odd_ones) as server:
        relay = relay_at(server, Limits(connections=1, command_seconds=3, final_reply_seconds=3))
        verdicts = [(await relay.deliver(a_parcel(number))).verdict for number in range(3)]
        await relay.close()
    assert verdicts == [Verdict.SENT, Verdict.REFUSED, Verdict.SENT]
    assert server.connections == 1
    assert server.seen.count("RSET") == 1


async def test_a_relay_that_allows_one_connection_still_gets_everything() -> None:
    def only_first(stage: str, connection: int, message: int) -> str | None:
        return "421 4.7.0 too many connections" if stage == "greeting" and connection > 1 else None

    with scripted_relay(only_first) as server:
        relay = relay_at(server, Limits(connections=8, command_seconds=3, final_reply_seconds=3))
        await relay.ready()
        outcomes = await asyncio.gather(*(relay.deliver(a_parcel(number)) for number in range(30)))
        await relay.close()
    assert {outcome.verdict for outcome in outcomes} == {Verdict.SENT}
    assert len(server.accepted) == 30


@pytest.mark.trust(45, 47)
@pytest.mark.parametrize(
    ("stage", "answer"),
    [
        ("greeting", DROP),
        ("greeting", "554 no"),
        ("greeting", SILENCE),
        ("ehlo", "500 5.5.1 no"),
        ("ehlo", DROP),
    ],
)
async def test_trust_11_1_no_connection_means_nothing_was_tried(stage: str, answer: str) -> None:
    def script(seen: str, connection: int, message: int) -> str | None:
        return answer if seen == stage else None

    with scripted_relay(script) as server:
        relay = relay_at(server, SHORT)
        with pytest.raises(RelayUnavailable, match=str(server.port)):
            await relay.ready()
        outcome = await relay.deliver(a_parcel())
        await relay.close()
    assert (outcome.verdict, outcome.stage) == (Verdict.UNREACHABLE, Stage.CONNECT)
    assert not server.received


async def test_nobody_listening_is_unreachable() -> None:
    with scripted_relay() as server:
        pass
    outcome = await relay_at(server, SHORT).deliver(a_parcel())
    assert outcome.verdict is Verdict.UNREACHABLE


@pytest.mark.trust(33)
async def test_trust_33_the_name_of_the_settings_is_given_in_ehlo(settings: Settings) -> None:
    with scripted_relay() as server:
        named = settings.model_copy(update={"smtp_helo_name": "out.example.org"})
        endpoint = SmtpEndpoint(f"smtp://127.0.0.1:{server.port}?starttls=never")
        relay = open_relay(named, endpoint=endpoint)
        await relay.ready()
        await relay.close()
    assert server.seen[0] == "EHLO out.example.org"


def test_without_a_relay_the_settings_are_named(settings: Settings) -> None:
    with pytest.raises(ValueError, match="PAPERLARK_SMTP_URL"):
        open_relay(settings)


@pytest.mark.trust(34, 52)
@pytest.mark.parametrize("scheme", ["smtps", "smtp"])
async def test_trust_52_mail_and_password_go_over_tls(tmp_path: Path, scheme: str) -> None:
    server_tls, client_tls = tls_contexts(tmp_path)
    parts = {"implicit_tls": server_tls} if scheme == "smtps" else {"tls": server_tls}
    with scripted_relay(**parts, extensions=("AUTH PLAIN",)) as server:
        endpoint = SmtpEndpoint(f"{scheme}://lark:pass-word@127.0.0.1:{server.port}")
        relay = SmtpRelay(endpoint, helo_name="x.example.org", limits=LIMITS, tls_context=client_tls)
        outcome = await relay.deliver(a_parcel())
        await relay.close()
    assert outcome.verdict is Verdict.SENT
    commands = [line.split(" ")[0] for line in server.seen]
    assert "AUTH" in commands
    if scheme == "smtp":
        assert commands.index("STARTTLS") < commands.index("AUTH")


@pytest.mark.trust(52)
async def test_trust_52_a_certificate_that_nobody_vouches_for_is_refused(tmp_path: Path) -> None:
    server_tls, _ = tls_contexts(tmp_path)
    with scripted_relay(tls=server_tls, extensions=("AUTH PLAIN",)) as server:
        endpoint = SmtpEndpoint(f"smtp://lark:pass-word@127.0.0.1:{server.port}")
        relay = SmtpRelay(endpoint, helo_name="x.example.org", limits=LIMITS)
        with pytest.raises(RelayUnavailable, match="certificate"):
            await relay.ready()
    assert not [line for line in server.seen if line.startswith("AUTH")]


@pytest.mark.trust(52)
async def test_trust_52_no_password_is_sent_where_starttls_was_cut_out() -> None:
    with scripted_relay(extensions=("AUTH PLAIN",)) as server:
        endpoint = SmtpEndpoint(f"smtp://lark:pass-word@127.0.0.1:{server.port}?starttls=required")
        relay = SmtpRelay(endpoint, helo_name="x.example.org", limits=LIMITS)
        with pytest.raises(RelayUnavailable):
            await relay.ready()
    assert not [line for line in server.seen if line.startswith(("AUTH", "MAIL"))]


async def test_a_refused_password_is_named_but_not_shown(tmp_path: Path) -> None:
    server_tls, client_tls = tls_contexts(tmp_path)
    with scripted_relay(at("auth", "535 5.7.8 no"), tls=server_tls, extensions=("AUTH PLAIN",)) as server:
        endpoint = SmtpEndpoint(f"smtp://lark:pass-word@127.0.0.1:{server.port}")
        relay = SmtpRelay(endpoint, helo_name="x.example.org", limits=LIMITS, tls_context=client_tls)
        with pytest.raises(RelayUnavailable, match="user name or password") as raised:
            await relay.ready()
    assert "pass-word" not in str(raised.value)


@pytest.mark.trust(1, 2, 55)
async def test_trust_1_2_and_55_signed_bytes_arrive_untouched() -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    signer = Signer("news.example.org", "lark1", key)
    press = Press(a_sender(signers=(signer,)), Keyring(["a-secret-for-tests-only-0123456789-abcdef"]))
    made = press.make(a_digest(notice=".\n..x\n. trailing "), nonce=7, at=AT)
    dotted = a_parcel(2, made.data.partition(b"\r\n\r\n")[0] + b"\r\n\r\n.\r\n..x\r\n.hidden\r\n")
    with scripted_relay() as server:
        relay = relay_at(server)
        for parcel in (made, dotted):
            assert (await relay.deliver(parcel)).verdict is Verdict.SENT
        await relay.close()
    assert [message.data for message in server.accepted] == [made.data, dotted.data]
    assert dkimpy.verify(server.accepted[0].data, dnsfunc=lambda name, timeout=5: signer.record.encode())
    assert server.accepted[0].sender == made.envelope_sender


@pytest.mark.trust(56)
async def test_trust_56_what_a_relay_says_is_stored_short_and_harmless() -> None:
    with scripted_relay(at("rcpt", "550 5.1.1 \x1b[31mred\x07 " + "x" * 2000)) as server:
        relay = relay_at(server)
        outcome = await relay.deliver(a_parcel())
        await relay.close()
    assert outcome.text is not None
    assert outcome.text.isprintable()
    assert len(outcome.text) <= 300
    assert outcome.enhanced == "5.1.1"


class Sink:
    """Keeps what an aiosmtpd server was given."""

    def __init__(self) -> None:
        self.contents: list[bytes] = []

    async def handle_DATA(self, server: object, session: object, envelope: object) -> str:  # noqa: N802
        self.contents.append(envelope.original_content)
        return "250 2.0.0 ok"


async def test_an_independent_server_takes_our_messages_as_they_are() -> None:
    sink, loop = Sink(), asyncio.get_running_loop()
    server = await loop.create_server(lambda: aiosmtpd.smtp.SMTP(sink, loop=loop), "127.0.0.1", 0)
    endpoint = SmtpEndpoint(f"smtp://127.0.0.1:{server.sockets[0].getsockname()[1]}?starttls=never")
    relay = SmtpRelay(endpoint, helo_name="x.example.org", limits=LIMITS)
    press = Press(a_sender(), Keyring(["a-secret-for-tests-only-0123456789-abcdef"]))
    parcels = [press.make(a_digest(), nonce=number, at=AT) for number in range(12)]
    outcomes = await asyncio.gather(*(relay.deliver(parcel) for parcel in parcels))
    await relay.close()
    server.close()
    assert {outcome.verdict for outcome in outcomes} == {Verdict.SENT}
    assert sorted(sink.contents) == sorted(parcel.data for parcel in parcels)


@pytest.mark.trust(51)
@pytest.mark.parametrize("limit", [{"idle_seconds": 0.05}, {"age_seconds": 0.05}])
async def test_trust_51_a_connection_that_idled_or_aged_is_left_in_good_manners(
    limit: dict[str, float],
) -> None:
    limits = Limits(connections=1, command_seconds=3, final_reply_seconds=3, **limit)
    with scripted_relay() as server:
        relay = relay_at(server, limits)
        for number in range(2):
            assert (await relay.deliver(a_parcel(number))).verdict is Verdict.SENT
            await asyncio.sleep(0.1)
        await relay.close()
    assert server.connections == 2
    assert server.seen.count("QUIT") == 2


@pytest.mark.trust(48)
async def test_trust_48_a_connection_closed_silently_between_messages_is_replaced() -> None:
    """The relay closes right after its answer, as after its own idle time: we hear nothing until we write."""

    def closes(stage: str, connection: int, message: int) -> str | None:
        return DROP if stage == "mail" and message > 1 else None

    with scripted_relay(closes) as server:
        relay = relay_at(server, Limits(connections=1, command_seconds=3, final_reply_seconds=3))
        outcomes = [await relay.deliver(a_parcel(number)) for number in range(4)]
        await relay.close()
    assert {outcome.verdict for outcome in outcomes} == {Verdict.SENT}
    assert server.connections == 4


@pytest.mark.trust(44)
@pytest.mark.parametrize(
    ("stage", "field"),
    [
        ("greeting", "command_seconds"),
        ("ehlo", "command_seconds"),
        ("mail", "command_seconds"),
        ("rcpt", "command_seconds"),
        ("data", "data_seconds"),
        ("body", "block_seconds"),
        ("dot", "final_reply_seconds"),
    ],
)
async def test_trust_44_each_command_has_its_own_limit(stage: str, field: str) -> None:
    """Only the limit of the silent stage is short: had another been used, this would wait for a minute."""
    long = dict.fromkeys(("command_seconds", "data_seconds", "block_seconds", "final_reply_seconds"), 60.0)
    limits = Limits(connections=1, **(long | {field: 0.2}))
    data = b"Subject: hello\r\n\r\n" + (b"x" * 76 + b"\r\n") * (200_000 if stage == "body" else 1)
    with scripted_relay(at(stage, STALL if stage == "body" else SILENCE)) as server:
        relay = relay_at(server, limits)
        outcome = await asyncio.wait_for(relay.deliver(a_parcel(1, data)), 30)
        await relay.close()
    expected = {"greeting": Verdict.UNREACHABLE, "ehlo": Verdict.UNREACHABLE, "dot": Verdict.UNKNOWN}
    assert outcome.verdict is expected.get(stage, Verdict.DEFERRED)


def test_trust_44_the_limits_are_those_of_the_standard(settings: Settings) -> None:
    """RFC 5321, 4.5.3.2: five minutes a command, two for DATA, three a block, ten for the last reply."""
    relay = open_relay(settings, endpoint=SmtpEndpoint("smtp://127.0.0.1:1?starttls=never"))
    limits = relay.limits
    assert (limits.command_seconds, limits.data_seconds, limits.block_seconds) == (300, 120, 180)
    assert limits.final_reply_seconds == 600
