"""An SMTP server that writes down each message it accepts, before it says so: judge of doubles and losses.

Run as ``python -m tests.sink --log FILE [--port N] [--delay SECONDS] [--keep FOLDER] [--trap FILE]``; prints
its port. Each line of the log is ``recipient <TAB> Message-ID``.

A trap kills the sender at a named point of the conversation: once the file given as ``--trap`` holds
``POINT COUNT PID``, the sink kills process PID (a negative one: its group) when the point comes by for the
COUNTth time, and removes the file.
"""

import argparse
import asyncio
import itertools
import os
import re
import signal
from pathlib import Path

POINTS = (
    "connect",  # claimed, nothing said yet
    "ehlo",
    "mail",  # committed as sending
    "rcpt",
    "data",  # before 354
    "body",  # in the middle of the message
    "dot",  # the message is whole and will be kept, the answer is not out
    "accepted",  # the answer is out, perhaps not read, not recorded
)
MESSAGE_ID = re.compile(rb"^message-id:\s*(\S+)", re.IGNORECASE | re.MULTILINE)


class Sink:
    """Speaks enough SMTP for a well-behaved client, PIPELINING included."""

    def __init__(
        self, log: Path, *, delay: float = 0.0, keep: Path | None = None, trap: Path | None = None
    ) -> None:
        """Append to ``log``; wait ``delay`` seconds before each final reply; keep messages in ``keep``."""
        self._log = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        self._delay = delay
        self._keep = keep
        self._trap = trap
        self._passed = 0
        self._numbers = itertools.count(1)

    async def session(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection until QUIT or its end."""
        try:
            await self._converse(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # a killed client: what was accepted is in the log
        finally:
            writer.close()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        recipient = b""
        self._pass("connect")
        writer.write(b"220 sink.localhost ESMTP\r\n")
        while line := await reader.readline():
            verb = line[:4].upper()
            if verb == b"QUIT":
                writer.write(b"221 bye\r\n")
                return
            self._pass(verb.decode("ascii", "replace").lower())
            if verb == b"DATA":
                writer.write(b"354 go on\r\n")
                await writer.drain()
                message = await reader.readexactly(1)
                self._pass("body")
                message += await reader.readuntil(b"\r\n.\r\n")
                self._pass("dot")
                await self._accept(recipient, message, writer)
                await writer.drain()
                self._pass("accepted")
            elif verb == b"EHLO":
                writer.write(b"250-sink.localhost\r\n250-PIPELINING\r\n250-SIZE 52428800\r\n250 8BITMIME\r\n")
            else:
                if verb == b"RCPT":
                    recipient = line.partition(b"<")[2].partition(b">")[0]
                writer.write(b"250 OK\r\n")
            await writer.drain()

    def _pass(self, point: str) -> None:
        if self._trap is None or not self._trap.exists():
            return
        wanted, count, pid = self._trap.read_text().split()
        if point != wanted:
            return
        self._passed += 1
        if self._passed < int(count):
            return
        self._passed = 0
        self._trap.unlink()
        if int(pid) < 0:
            os.killpg(-int(pid), signal.SIGKILL)
        else:
            os.kill(int(pid), signal.SIGKILL)

    async def _accept(self, recipient: bytes, message: bytes, writer: asyncio.StreamWriter) -> None:
        found = MESSAGE_ID.search(message)
        number = next(self._numbers)
        os.write(self._log, recipient + b"\t" + (found.group(1) if found else b"-") + b"\n")
        if self._keep:
            (self._keep / f"{number:08}.eml").write_bytes(message[:-3])
        if self._delay:
            await asyncio.sleep(self._delay)
        writer.write(b"250 2.0.0 accepted as %d\r\n" % number)


async def serve(sink: Sink, port: int) -> None:
    """Listen on loopback for ever; print the port."""
    server = await asyncio.start_server(sink.session, "127.0.0.1", port, limit=64 * 1024 * 1024, backlog=512)
    print(server.sockets[0].getsockname()[1], flush=True)
    async with server:
        await server.serve_forever()


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--log", type=Path, required=True)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--delay", type=float, default=0.0)
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--trap", type=Path)
    arguments = parser.parse_args()
    sink = Sink(arguments.log, delay=arguments.delay, keep=arguments.keep, trap=arguments.trap)
    asyncio.run(serve(sink, arguments.port))


if __name__ == "__main__":
    main()
