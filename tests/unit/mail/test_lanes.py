"""The way without a task and the careful way of service/mail/transport.py end alike, however answers come.

The wire is in memory: it gives answers in pieces of any size, and takes bytes as slowly as is wanted. In
pieces of one byte nothing is ever heard whole, so that all goes the careful way.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import cycle
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.config import SmtpEndpoint
from service.mail.delivery import Outcome, Stage, Verdict
from service.mail.message import Parcel
from service.mail.pool import Connection, Limits, Pool
from service.mail.relays import Member, Relays
from service.mail.transport import SmtpRelay

USUAL = {"mail": "250 2.1.0 ok", "rcpt": "250 2.1.5 ok", "data": "354 go on", "dot": "250 2.0.0 taken"}
DROP = ""
SILENCE = "\0"  # behind an answer: no end of the line, and no word more
LAST_WORDS = {DROP, "421 4.3.2 closing", "mumble", "354 hm"}
# Answers that are one too many are not among these: what becomes of them goes by when they come.
ODD = {
    "mail": ("451 4.3.0 later", "550 5.7.1 no", "421 4.3.2 closing", "250-2.1.0 two\r\n250 lines", DROP),
    "rcpt": ("251 elsewhere", "452 4.2.2 full", "550 5.1.1 nobody", "503 no", "421 4.3.2 closing", DROP),
    "data": ("451 4.3.0 later", "554 5.5.1 no", "250 hm", "421 4.3.2 closing", DROP),
    "dot": (
        "250 2.0.0 queued as 17", "250-2.0.0 two\r\n250 lines", "451 4.7.1 greylisted", "552 5.3.4 too big",
        "421 4.3.2 closing", "354 hm", "mumble", DROP,
    ),
}  # fmt: skip
ALL_AT_ONCE = 4096
Script = Mapping[tuple[int, str], str]
"""What is answered for a message at a stage, the first time it comes; else the usual."""


@dataclass(slots=True)
class Server:
    """What the relay at the other end of all wires was told, and what it is still to answer."""

    script: Script
    pieces: Iterator[int]
    bites: Iterator[int]
    connections: int = 0
    taken: Counter[int] = field(default_factory=Counter)  # messages that came whole, whatever was answered
    tasks_at_messages: list[int] = field(default_factory=list)
    begun: Counter[int] = field(default_factory=Counter)

    def answer(self, number: int, stage: str) -> str:
        self.begun[number] += stage == "mail"
        usual = USUAL[stage]
        return self.script.get((number, stage), usual) if self.begun[number] == 1 else usual


class Wire(asyncio.Transport):
    """One connection, in memory."""

    def __init__(self, server: Server) -> None:
        super().__init__()
        self.server = server
        self.loop = asyncio.get_running_loop()
        self.protocol: Any = None
        self.is_closed = False
        self.unsent, self.unread, self.answers = b"", b"", b""
        self.number, self.is_message, self.is_opened, self.is_mute = 0, False, False, False

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self.protocol = protocol

    def is_closing(self) -> bool:
        return self.is_closed

    def get_write_buffer_size(self) -> int:
        return len(self.unsent)

    def abort(self) -> None:
        if not self.is_closed:
            self.is_closed = True
            self.loop.call_soon(self.protocol.connection_lost, None)

    def write(self, data: Any) -> None:
        if not self.unsent:
            self.loop.call_soon(self.leave)
            bite = next(self.server.bites)
            self.unread, self.unsent = self.unread + data[:bite], data[bite:]
        else:
            self.unsent += data

    def leave(self) -> None:
        if self.is_closed:
            return
        while self.read_one():
            pass
        if self.answers:
            self.loop.call_soon(self.speak)
        if self.unsent:
            bite = next(self.server.bites)
            self.unread, self.unsent = self.unread + self.unsent[:bite], self.unsent[bite:]
            self.loop.call_soon(self.leave)

    def read_one(self) -> bool:
        """Answer one command or message; say whether there was one."""
        end = b"\r\n.\r\n" if self.is_message else b"\r\n"
        if self.is_message and self.unread.startswith(b".\r\n"):
            end = b".\r\n"
        line, found, rest = self.unread.partition(end)
        if self.is_mute or not found:
            return False
        self.unread = rest
        if self.is_message:
            self.is_message = False
            if line:
                self.server.taken[self.number] += 1
                self.server.tasks_at_messages.append(len(asyncio.all_tasks()))
            return self.say(self.server.answer(self.number, "dot"))
        if line.startswith(b"MAIL"):
            self.number = int(line.partition(b"+")[2].partition(b"@")[0])
            self.is_opened = True
            return self.say(self.heed("mail"))
        if line.startswith(b"RCPT"):
            return self.say(self.heed("rcpt") if self.is_opened else "503 5.5.1 no sender")
        if line.startswith(b"DATA"):
            answer = self.heed("data") if self.is_opened else "503 5.5.1 no recipient"
            self.is_message = answer.startswith("354")
            return self.say(answer)
        return self.say("250 2.0.0 ok" if line.startswith(b"RSET") else "221 2.0.0 bye")

    def heed(self, stage: str) -> str:
        answer = self.server.answer(self.number, stage)
        self.is_opened &= answer[:1] in {"2", "3"}
        return answer

    def say(self, answer: str) -> bool:
        if answer in LAST_WORDS or answer.endswith(SILENCE):
            # It reads no further: the same of what follows is seen however slowly it comes.
            self.is_mute = True
            self.answers += answer.removesuffix(SILENCE).encode() + b"\r\n" * (answer in LAST_WORDS - {DROP})
            if answer in LAST_WORDS:
                self.loop.call_soon(self.drop)
            return False
        self.answers += answer.encode() + b"\r\n"
        return True

    def speak(self) -> None:
        if self.is_closed or not self.answers:
            return
        piece, self.answers = self.answers[:ALL_AT_ONCE], b""
        size = next(self.server.pieces)
        piece, self.answers = piece[:size], piece[size:]
        buffer = self.protocol.get_buffer(-1)
        buffer[: len(piece)] = piece
        self.protocol.buffer_updated(len(piece))
        self.loop.call_soon(self.speak)

    def drop(self) -> None:
        """Close, once all was said."""
        if self.answers and not self.is_closed:
            self.loop.call_soon(self.drop)
        else:
            self.abort()


@dataclass(slots=True)
class Client:
    """As much of aiosmtplib's client as a connection is made of."""

    transport: Wire

    @property
    def protocol(self) -> "Client":
        return self

    def supports_extension(self, name: str) -> bool:
        return name == "pipelining"


class WiredPool(Pool):
    """Opens wires in memory."""

    server: Server

    async def _open(self) -> Connection:
        self.server.connections += 1
        return Connection(Client(Wire(self.server)))  # type: ignore[arg-type]


def deliver(
    script: Script,
    *,
    messages: int = 6,
    pieces: Iterable[int] = (ALL_AT_ONCE,),
    bites: Iterable[int] = (10**9,),
    limits: Limits | None = None,
    rounds: int = 1,
) -> tuple[list[Outcome], Server]:
    """Deliver messages over one connection at a time, in rounds; answers come in such pieces."""
    server = Server(script, cycle(pieces), cycle(bites))
    limits = limits or Limits(connections=1)

    async def work() -> list[Outcome]:
        relay = a_relay(server, limits)
        outcomes = []
        for first in range(0, messages, messages // rounds):
            numbers = range(first, first + messages // rounds)
            async with asyncio.timeout(5):
                outcomes += await asyncio.gather(*(relay.deliver(a_parcel(number)) for number in numbers))
        await relay.close()
        assert not relay.lanes
        return outcomes

    return asyncio.run(work()), server


def a_relay(server: Server, limits: Limits, *, port: int = 1) -> SmtpRelay:
    endpoint = SmtpEndpoint(f"smtp://127.0.0.1:{port}?starttls=never")
    relay = SmtpRelay(endpoint, helo_name="x.example.org", limits=limits)
    relay.pool = WiredPool(endpoint, helo_name="x.example.org", limits=limits, tls_context=None)
    relay.pool.server = server
    return relay


def a_server(script: Script, pieces: Iterable[int] = (ALL_AT_ONCE,)) -> Server:
    return Server(script, cycle(pieces), cycle([10**9]))


def a_parcel(number: int) -> Parcel:
    return Parcel(
        envelope_sender=f"bounce+{number}@example.org",
        recipient=f"reader{number}@example.org",
        pieces=[b"Subject: hello\r\n\r\n", b"words\r\n"],
        message_id="x",
        is_dotless=True,
    )


def some_script() -> st.SearchStrategy[Script]:
    odd: Callable[[str], st.SearchStrategy[str]] = lambda stage: st.sampled_from(ODD[stage])  # noqa: E731
    one = st.sampled_from(sorted(ODD)).flatmap(
        lambda stage: st.tuples(st.tuples(st.integers(0, 5), st.just(stage)), odd(stage))
    )
    return st.lists(one, max_size=4).map(dict)


@settings(max_examples=100, deadline=None)
@given(
    script=some_script(),
    pieces=st.lists(st.integers(1, 90), min_size=1, max_size=9),
    bites=st.lists(st.integers(1, 200), min_size=1, max_size=9),
    rounds=st.sampled_from([1, 2, 3, 6]),
)
def test_both_ways_end_alike_however_answers_are_cut(
    script: Script, pieces: list[int], bites: list[int], rounds: int
) -> None:
    usual, at_once = deliver(script, rounds=rounds)
    careful, byte_by_byte = deliver(script, pieces=[1], rounds=rounds)
    mixed, cut = deliver(script, pieces=pieces, bites=bites, rounds=rounds)
    assert usual == careful == mixed
    assert at_once.taken == byte_by_byte.taken == cut.taken
    assert at_once.connections == byte_by_byte.connections == cut.connections
    for number, outcome in enumerate(mixed):
        assert outcome.verdict not in {Verdict.SENT, Verdict.UNKNOWN} or cut.taken[number] == 1


def test_the_usual_case_needs_no_task() -> None:
    outcomes, server = deliver({}, messages=20)
    assert outcomes == [Outcome(Verdict.SENT, Stage.DOT, 250, "2.0.0", "2.0.0 taken")] * 20
    assert server.tasks_at_messages == [1] * 20  # ours
    assert len({id(outcome) for outcome in outcomes}) == 1  # one value for all


def test_the_usual_case_needs_no_task_with_several_relays_either() -> None:
    servers = [a_server({}), a_server({})]

    async def work() -> list[Outcome]:
        members = [
            Member(a_relay(server, Limits(connections=1), port=place + 1))
            for place, server in enumerate(servers)
        ]
        relays = Relays(members)
        async with asyncio.timeout(5):
            outcomes = await asyncio.gather(*(relays.deliver(a_parcel(number)) for number in range(20)))
        await relays.close()
        return outcomes

    assert {outcome.verdict for outcome in asyncio.run(work())} == {Verdict.SENT}
    for server in servers:
        assert len(server.taken) == 10
        assert set(server.tasks_at_messages) == {1}  # ours


@pytest.mark.parametrize("pieces", [1, ALL_AT_ONCE])
def test_what_is_given_up_before_its_message_never_leaves(pieces: int) -> None:
    """Its row may be another worker's by then."""
    server = a_server({}, pieces=[pieces])

    async def work() -> list[Outcome]:
        relay = a_relay(server, Limits(connections=1))
        futures = [relay.deliver(a_parcel(number)) for number in range(4)]
        async with asyncio.timeout(5):
            while not server.begun[0]:
                await asyncio.sleep(0)
            assert futures[0].cancel()
            outcomes = await asyncio.gather(*futures[1:])
        await relay.close()
        return outcomes

    assert {outcome.verdict for outcome in asyncio.run(work())} == {Verdict.SENT}
    assert server.taken == {1: 1, 2: 1, 3: 1}


@pytest.mark.parametrize("share", [1, 3, 7])
def test_a_connection_is_left_when_it_has_done_its_share(share: int) -> None:
    outcomes, server = deliver({}, messages=20, limits=Limits(connections=1, messages_per_connection=share))
    assert {outcome.verdict for outcome in outcomes} == {Verdict.SENT}
    assert server.connections == -(-20 // share)
    assert set(server.taken.values()) == {1}


@pytest.mark.parametrize("stage", ["mail", "rcpt", "data", "dot"])
@pytest.mark.parametrize("beginning", ["", "2", "250 2.0"])
def test_silence_is_noticed_in_mid_answer_too(stage: str, beginning: str) -> None:
    short = Limits(connections=1, command_seconds=0.05, data_seconds=0.05, final_reply_seconds=0.05)
    outcomes, server = deliver({(2, stage): beginning + SILENCE}, limits=short)
    verdicts = Counter(outcome.verdict for outcome in outcomes)
    assert verdicts[Verdict.UNKNOWN] == (stage == "dot")
    assert verdicts[Verdict.SENT] == 6 - verdicts[Verdict.UNKNOWN] - verdicts[Verdict.DEFERRED]
    assert set(server.taken.values()) == {1}


@pytest.mark.parametrize(
    "script", [{(2, "data"): "354 go on\r\n250 and more"}, {(2, "dot"): "250 2.0.0 taken\r\n250 twice"}]
)
@pytest.mark.parametrize("rounds", [1, 2, 6])
def test_a_connection_that_says_more_than_it_was_asked_is_left(script: Script, rounds: int) -> None:
    outcomes, server = deliver(script, rounds=rounds)
    assert {outcome.verdict for outcome in outcomes} == {Verdict.SENT}
    assert server.connections == 2
    assert set(server.taken.values()) == {1}
