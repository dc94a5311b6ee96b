"""The bytes of one SMTP connection after greeting, TLS and login: commands out, replies in, in their order.

aiosmtplib makes the connection and is then done with it: its own protocol answers one command at a time.
"""

import asyncio
import math
from collections import deque
from collections.abc import Collection, Sequence
from functools import lru_cache
from typing import NamedTuple, Protocol, cast

LINES = 256  # of replies, kept: most relays say the same again and again
BUFFER = 4_096  # octets read at once
LONGEST_REPLY = 32_768  # octets; no honest reply comes near


class Reply(NamedTuple):
    """A whole reply, its lines joined by line feeds."""

    code: int
    text: str


class Lost(Exception):
    """No reply will come: the connection ended."""


class Silent(Lost):
    """No reply came in time."""


class Garbled(Lost):
    """What came is no reply, or came unasked."""


class Listener(Protocol):
    """Hears what comes at once, where waiting for it in a task would cost more than all that is done then."""

    def hear(self, data: bytes) -> bool:
        """Take what came; False where it is to be read as replies. Whoever took it is not asked again."""

    def wake(self) -> None:
        """See to a reply that was not taken, or to the end."""


class Conversation(asyncio.BufferedProtocol):
    """Takes over a transport. One reader or listener at a time; writing never waits."""

    def __init__(self, transport: asyncio.BaseTransport) -> None:
        """Take the transport over from the protocol that made the connection."""
        self._loop = asyncio.get_running_loop()
        self._transport = cast(asyncio.Transport, transport)
        self._buffer = memoryview(bytearray(BUFFER))  # else each read is given a quarter of a megabyte
        self._unread = b""
        self._lines: list[str] = []  # of a reply whose last line has not come
        self._replies: deque[Reply] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self._listener: Listener | None = None
        self._end: Lost | None = None
        self._alarm: asyncio.TimerHandle | None = None
        self._alarm_at = self._patience_ends = math.inf
        self.answers = 0  # replies since the last write
        transport.set_protocol(self)

    @property
    def is_open(self) -> bool:
        """Whether the next command may be written: the other side is there and said nothing unasked."""
        return self._end is None and self.is_quiet and not self._transport.is_closing()

    @property
    def is_quiet(self) -> bool:
        """Whether nothing has come that was not asked for."""
        return not (self._replies or self._lines or self._unread)

    @property
    def is_ended(self) -> bool:
        """Whether nothing can be said any more."""
        return self._end is not None

    @property
    def unsent(self) -> int:
        """How many bytes of what was written have not left this process."""
        return 0 if self._transport.is_closing() else self._transport.get_write_buffer_size()

    def write(self, *pieces: bytes) -> None:
        """Send pieces as they are."""
        self.answers = 0
        if pieces and self._end is None and not self._transport.is_closing():
            self._transport.write(b"".join(pieces))

    async def reply(self, seconds: float) -> Reply:
        """Return the next reply.

        Raises:
            Lost: none will come; :class:`Silent` after ``seconds``, :class:`Garbled` if it is none.
        """
        if not self._replies:
            await self._wait(seconds)
        self.answers += 1
        return self._replies.popleft()

    def reply_at_hand(self) -> Reply | None:
        """Return the next reply if it has come."""
        if not self._replies:
            return None
        self.answers += 1
        return self._replies.popleft()

    def take_as_expected(self, codes: Sequence[Collection[int]]) -> bool:
        """Take the next replies if all have come, each with one of its codes; else take none."""
        if len(self._replies) < len(codes):
            return False
        if not all(reply.code in good for reply, good in zip(self._replies, codes, strict=False)):
            return False
        for _ in codes:
            self._replies.popleft()
        self.answers += len(codes)
        return True

    def listen(self, listener: Listener, seconds: float) -> bool:
        """Let a listener have what comes next, within ``seconds``; False if something came, or the end."""
        if not self.is_quiet or self._end is not None:
            return False
        self._listener = listener
        self._be_patient(seconds)
        return True

    def hush(self) -> None:
        """Let nobody listen."""
        self._listener = None
        self._patience_ends = math.inf

    async def comes(self, seconds: float) -> bool:
        """Wait for a reply or for the end of the connection; say whether one of them came in time."""
        if self._replies or self._end is not None:
            return True
        waiter = self._waiter = self._loop.create_future()
        timer = self._loop.call_later(seconds, _wake, waiter)
        try:
            await waiter
        except Lost:
            return True
        finally:
            timer.cancel()
            self._waiter = None
        return bool(self._replies) or self._end is not None

    def close(self) -> None:
        """End the connection at once; what was not sent yet is thrown away."""
        self._finish(Lost("closed by us"))
        self._transport.abort()

    async def _wait(self, seconds: float) -> None:
        if self._end is not None:
            raise self._end
        waiter = self._waiter = self._loop.create_future()
        self._be_patient(seconds)
        try:
            await waiter
        finally:
            self._waiter = None
            self._patience_ends = math.inf  # the alarm goes on, but is nobody's

    def _be_patient(self, seconds: float) -> None:
        self._patience_ends = self._loop.time() + seconds
        if self._alarm is None or self._alarm_at > self._patience_ends:
            self._set_alarm()

    def _set_alarm(self) -> None:
        """Set the one alarm there is: it looks whether it is late enough, and if not, is set again."""
        if self._alarm is not None:
            self._alarm.cancel()
        self._alarm_at = self._patience_ends
        self._alarm = self._loop.call_at(self._alarm_at, self._ring)

    def _ring(self) -> None:
        self._alarm = None
        if self._patience_ends <= self._alarm_at:
            self._finish(Silent("no answer in time"))
        elif self._patience_ends < math.inf:
            self._set_alarm()

    def _finish(self, end: Lost) -> None:
        self._end = self._end or end
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(end)
        self._wake_listener()

    def _wake_listener(self) -> None:
        listener = self._listener
        if listener is not None:
            self.hush()
            listener.wake()

    # -- the transport's side ------------------------------------------------------------------------

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002
        """Say where bytes may be put."""
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Give what came to whoever listens, or take it apart; behind an end there are no replies."""
        if self._end is not None:
            return
        data = bytes(self._buffer[:nbytes])
        listener = self._listener
        if listener is not None and self.is_quiet:
            patience_ends = self._patience_ends
            self.hush()
            if listener.hear(data):
                return
            self._listener, self._patience_ends = listener, patience_ends
        self._take_apart(data)

    def _take_apart(self, data: bytes) -> None:
        *lines, self._unread = (self._unread + data).split(b"\n")
        for line in lines:
            reply, is_last = read_line(line)
            if reply is None:
                self._finish(Garbled(f"not a reply: {line[:200].decode('utf-8', 'replace')}"))
                return
            if is_last and not self._lines:
                self._replies.append(reply)
                continue
            self._lines.append(reply.text)
            if is_last:
                self._replies.append(Reply(reply.code, "\n".join(self._lines)))
                self._lines = []
        if (self._unread or self._lines) and len(self._unread) + sum(map(len, self._lines)) > LONGEST_REPLY:
            self._finish(Garbled("a reply without end"))
        elif self._replies:
            if self._waiter is not None and not self._waiter.done():
                self._waiter.set_result(None)
            self._wake_listener()

    def eof_received(self) -> bool:
        """Let the transport close."""
        self._finish(Lost("the connection was closed"))
        return False

    def connection_lost(self, error: Exception | None) -> None:
        """Note the end."""
        self._finish(Lost(str(error) if error else "the connection was closed"))


@lru_cache(LINES)
def read_line(line: bytes) -> tuple[Reply | None, bool]:
    """Read a line of a reply, None if it is none; say whether it is the reply's last."""
    code, mark, text = line[:3], line[3:4], line[4:].strip().decode("utf-8", "replace")
    if not (code.isdigit() and mark.strip() in {b"", b"-"}):
        return None, True
    return Reply(int(code), text), mark != b"-"


def _wake(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)
