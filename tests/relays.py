"""Relays for tests, on loopback: one that does as a script says, however hostile, in a thread of its own."""

import asyncio
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

DROP = "DROP"  # close the connection without a word
SILENCE = "SILENCE"  # say nothing and go on reading
CUT = "\0CUT"  # at the end of an answer: close right after it, in the middle of a line
STALL = "STALL"  # to a message: read no further
# What to answer at a stage (greeting, ehlo, starttls, auth, mail, rcpt, data, body, dot, rset), given the
# numbers of the connection and of the message on it, both from 1; None for the usual answer. "body" is the
# message's first line: DROP and STALL can be done then, before the dot.
Script = Callable[[str, int, int], str | None]

USUAL = {
    "greeting": "220 relay.test ESMTP",
    "starttls": "220 go ahead",
    "auth": "235 2.7.0 welcome",
    "mail": "250 2.1.0 ok",
    "rcpt": "250 2.1.5 ok",
    "data": "354 go ahead",
    "dot": "250 2.0.0 queued as 4F1",
    "rset": "250 2.0.0 ok",
    "quit": "221 2.0.0 bye",
    "other": "500 5.5.1 what?",
}


@dataclass(slots=True)
class Accepted:
    """A message the relay took, as it was before the dots were doubled."""

    sender: str
    recipient: str
    data: bytes


@dataclass(slots=True)
class ScriptedRelay:
    """What a running scripted relay saw."""

    script: Script
    tls: ssl.SSLContext | None = None  # offered
    implicit_tls: ssl.SSLContext | None = None  # begun with
    extensions: tuple[str, ...] = ("SIZE 50000000", "8BITMIME", "ENHANCEDSTATUSCODES")
    port: int = 0
    connections: int = 0
    seen: list[str] = field(default_factory=list)  # every command line
    received: list[Accepted] = field(default_factory=list)  # complete messages, whatever was answered
    accepted: list[Accepted] = field(default_factory=list)  # those answered with 250
    kept: list[Accepted] = field(
        default_factory=list
    )  # those not clearly refused: such a relay may keep them
    talks: dict[asyncio.Task[None], socket.socket] = field(default_factory=dict)  # going on

    def let_in(self, listener: socket.socket) -> None:
        """Begin to talk with the next client."""
        client, _ = listener.accept()
        client.setblocking(False)
        self.connections += 1
        task = asyncio.get_running_loop().create_task(self.serve(client, self.connections))
        self.talks[task] = client

    async def serve(self, client: socket.socket, number: int) -> None:
        """Talk with one client."""
        reader = asyncio.StreamReader(limit=2**22)
        writers: list[asyncio.StreamWriter] = []
        protocol = asyncio.StreamReaderProtocol(reader, lambda _, writer: writers.append(writer))
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: protocol, client, ssl=self.implicit_tls
            )
            await _Talk(self, number, reader, writers[0]).run()
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the client is gone, or the relay ends
        finally:
            for writer in writers:
                writer.transport.abort()
            self.talks.pop(asyncio.current_task(), None)

    async def stop(self) -> None:
        """End what goes on, so that no socket is left open behind a closed loop."""
        talks = dict(self.talks)
        for talk in talks:
            talk.cancel()
        await asyncio.gather(*talks, return_exceptions=True)
        await asyncio.sleep(0)
        for client in talks.values():  # a talk that had not begun yet never will
            client.close()


class _Talk:
    def __init__(
        self, relay: ScriptedRelay, number: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.relay, self.number, self.reader, self.writer = relay, number, reader, writer
        self.message = 1
        self.sender = self.recipient = ""
        self.secure = False

    async def run(self) -> None:
        if not await self.answer("greeting"):
            return
        while line := await self.reader.readline():
            command = line.decode("latin-1").rstrip("\r\n")
            self.relay.seen.append(command)
            if not await self.obey(command):
                return

    async def obey(self, command: str) -> bool:
        verb = command.split(" ", maxsplit=1)[0].split(":", maxsplit=1)[0].upper()
        if verb in {"EHLO", "HELO"}:
            return await self.hello()
        if verb == "STARTTLS":
            return await self.start_tls()
        if verb == "DATA":
            return await self.take_message()
        if verb == "MAIL":
            self.sender = command.partition("<")[2].partition(">")[0]
        if verb == "RCPT":
            self.recipient = command.partition("<")[2].partition(">")[0]
        going = await self.answer(verb.lower() if verb.lower() in USUAL else "other")
        return going and verb != "QUIT"

    async def hello(self) -> bool:
        extensions = list(self.relay.extensions)
        if self.relay.tls is not None and not self.secure:
            extensions.append("STARTTLS")
        lines = ["relay.test", *extensions]
        usual = "\r\n".join(f"250{'-' if line is not lines[-1] else ' '}{line}" for line in lines)
        return await self.answer("ehlo", usual)

    async def start_tls(self) -> bool:
        if not await self.answer("starttls"):
            return False
        await self.writer.start_tls(self.relay.tls)
        self.secure = True
        return True

    async def take_message(self) -> bool:
        if not await self.answer("data"):
            return False
        if not self.answered.startswith("354"):
            return True
        lines = []
        in_the_middle = self.relay.script("body", self.number, self.message)
        if in_the_middle == STALL:
            self.writer.transport.pause_reading()
            await asyncio.Event().wait()
        if in_the_middle == DROP:
            await self.reader.readline()
            return False
        while (line := await self.reader.readline()) != b".\r\n":
            if not line:
                return False
            lines.append(line[1:] if line.startswith(b".") else line)
        message = Accepted(self.sender, self.recipient, b"".join(lines))
        self.relay.received.append(message)
        going = await self.answer("dot")
        if self.answered[:1] not in {"4", "5"}:
            self.relay.kept.append(message)
        if self.answered.startswith("250"):
            self.relay.accepted.append(message)
        self.message += 1
        return going

    async def answer(self, stage: str, usual: str | None = None) -> bool:
        """Answer; say whether to go on."""
        said = self.relay.script(stage, self.number, self.message)
        self.answered = USUAL.get(stage, "") if said is None else said
        if said is None and usual is not None:
            self.answered = usual
        if self.answered == DROP:
            return False
        if self.answered.endswith(CUT):
            self.writer.write(self.answered.removesuffix(CUT).encode("latin-1"))
            await self.writer.drain()
            return False
        if self.answered != SILENCE:
            self.writer.write(f"{self.answered}\r\n".encode("latin-1"))
            await self.writer.drain()
        return not self.answered.startswith("421")


@contextmanager
def scripted_relay(
    script: Script = lambda stage, connection, message: None,
    *,
    tls: ssl.SSLContext | None = None,
    implicit_tls: ssl.SSLContext | None = None,
    extensions: tuple[str, ...] = ScriptedRelay.__dataclass_fields__["extensions"].default,
) -> Iterator[ScriptedRelay]:
    """Run a scripted relay; ``tls`` offers STARTTLS, ``implicit_tls`` starts with it."""
    relay = ScriptedRelay(script, tls=tls, implicit_tls=implicit_tls, extensions=extensions)
    started = threading.Event()
    running: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []

    async def run() -> None:
        loop, stopping = asyncio.get_running_loop(), asyncio.Event()
        # Accepted by ourselves: asyncio's server may be left with a client that it let in and gave to nobody.
        with socket.create_server(("127.0.0.1", 0), backlog=100) as listener:
            listener.setblocking(False)
            relay.port = listener.getsockname()[1]
            loop.add_reader(listener, relay.let_in, listener)
            running.append((loop, stopping))
            started.set()
            await stopping.wait()
            loop.remove_reader(listener)
        await relay.stop()

    thread = threading.Thread(target=lambda: asyncio.run(run()), daemon=True)
    thread.start()
    assert started.wait(10)
    try:
        yield relay
    finally:
        loop, stopping = running[0]
        loop.call_soon_threadsafe(stopping.set)
        thread.join(10)
