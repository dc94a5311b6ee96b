"""The receiver: an LMTP or SMTP server that takes mail to our own addresses and to no other.

It passes nothing on. What can't be recorded now (the database is away) is refused for now, so that the
sending system keeps it; a forged address is refused for good. It says as little as possible about why.
"""

import asyncio
import contextlib
import logging
import socket
import ssl
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import structlog
from aiosmtpd.lmtp import LMTP
from aiosmtpd.smtp import SMTP
from sqlalchemy.exc import SQLAlchemyError

from service.inbound.taking import NOT_OURS
from service.inboxes import Listener
from service.mail.bounce_parts import SIZE_LIMIT
from service.mail.postbox import Ours, Postbox

log = structlog.get_logger()
logging.getLogger("mail.log").setLevel(logging.ERROR)  # aiosmtpd's own lines hold addresses

COMMAND_SECONDS = 60.0  # for a command or a whole message, however slowly it drips
CONNECTION_SECONDS = 900.0
CONNECTIONS = 60  # at a time; a bounce storm waits at its senders
PEER_CONNECTIONS = 20  # of one SMTP peer, so that no single one keeps the others out
MESSAGES_A_MINUTE = 600  # from one peer
BAD_RECIPIENTS = 20  # in one connection, then it ends: somebody guesses
IDLE_COMMANDS = {"NOOP": 50, "HELP": 10, "VRFY": 10, "EXPN": 10, "*": 10_000}  # in one connection
LINE_LIMIT = 100_000  # mail that comes back has longer lines than RFC 5321 allows, and nobody to mend them
NO_LINE_LIMIT = SIZE_LIMIT  # without a line's end; the library keeps it all until one comes
ENDING_SECONDS = 5.0  # for the messages at hand, when it stops

Take = Callable[[bytes, list[Ours]], str]
"""Takes in a message (service/inbound/taking.py), in a thread: it may wait for the database."""


@dataclass(slots=True)
class Pace:
    """Counts what each peer brought in the running minute."""

    limit: int = MESSAGES_A_MINUTE
    clock: Callable[[], float] = time.monotonic
    _minute: int = -1
    _counts: Counter[str] = field(default_factory=Counter)

    def allows(self, peer: str) -> bool:
        """Count one more message; False beyond the limit."""
        minute = int(self.clock() // 60)
        if minute != self._minute:
            self._minute, self._counts = minute, Counter()
        self._counts[peer] += 1
        return self._counts[peer] <= self.limit


class Handler:
    """What the server asks about each command (names and arguments are aiosmtpd's)."""

    def __init__(self, postbox: Postbox, take: Take, *, pace: Pace | None = None) -> None:
        """Take the knowledge of our addresses and the one who takes messages in."""
        self._postbox = postbox
        self._take = take
        self._pace = pace or Pace()
        self._at_hand = 0
        self._rests = asyncio.Event()
        self._rests.set()

    async def rest(self, seconds: float) -> None:
        """Wait until no message is being recorded, for ``seconds`` at most."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._rests.wait(), seconds)

    async def handle_exception(self, error: Exception) -> str:
        """Answer what the library can't make sense of; its own words would quote what was sent."""
        log.warning("inbound_command_failed", error=type(error).__name__)
        return "451 4.3.0 can't make sense of it now"

    async def handle_EHLO(  # noqa: N802
        self, _server: SMTP, session: Any, _envelope: Any, hostname: str, answers: list[str]
    ) -> list[str]:
        """Offer no login: there is nothing to log in to."""
        session.host_name = hostname
        return [answer for answer in answers if not answer[4:].startswith("AUTH")]

    async def handle_RCPT(  # noqa: N802
        self, server: SMTP, session: Any, envelope: Any, address: str, _options: list[str]
    ) -> str:
        """Accept our own addresses, one in each transaction: each is about somebody else."""
        ours = self._postbox.recognise(address)
        if ours is None:
            session.bad_recipients = getattr(session, "bad_recipients", 0) + 1
            if session.bad_recipients > BAD_RECIPIENTS and server.transport is not None:
                server.transport.close()
            return "550 5.1.1 no such address here"
        if envelope.rcpt_tos:
            return "452 4.5.3 one recipient at a time"
        envelope.rcpt_tos.append(address)
        envelope.ours = [ours]
        return "250 2.1.5 ok"

    async def handle_DATA(self, _server: SMTP, session: Any, envelope: Any) -> str:  # noqa: N802
        """Record the message before saying so."""
        if not self._pace.allows(_peer(session)):
            return "451 4.7.1 too much mail at once; please try again in a minute"
        loop = asyncio.get_running_loop()
        raw: bytes = envelope.original_content
        if not envelope.mail_from.strip("<>"):
            raw = b"Return-Path: <>\r\n" + raw  # as who delivers finally writes it (RFC 5321, 4.4)
        self._at_hand += 1
        self._rests.clear()
        try:
            done = await loop.run_in_executor(None, self._take, raw, envelope.ours)
        except SQLAlchemyError as error:
            log.error("return_not_recorded", error=type(error).__name__)  # noqa: TRY400 - it holds the parameters
            return "451 4.3.0 can't record it now; please try again later"
        except Exception as error:  # noqa: BLE001 - one message must not stop the others
            log.error("return_failed", error=type(error).__name__)  # noqa: TRY400 - as above
            return "451 4.3.0 can't take it now; please try again later"
        finally:
            self._at_hand -= 1
            if not self._at_hand:
                self._rests.set()
        return "550 5.7.1 not taken" if done == NOT_OURS else "250 2.0.0 taken"


def _peer(session: Any) -> str:
    peer = session.peer
    return str(peer[0]) if isinstance(peer, tuple) and peer else "local"


@dataclass(slots=True)
class Certificate:
    """A certificate and its key for STARTTLS, read again when the files have changed."""

    certificate: Path
    key: Path | None = None  # in the certificate's file, if None
    _context: ssl.SSLContext = field(init=False)
    _changed: float = field(init=False)

    def __post_init__(self) -> None:
        """Read the files.

        Raises:
            OSError: they can't be read, or are no certificate and its key (ssl.SSLError).
        """
        self._read()

    def _read(self) -> None:
        self._changed = self.certificate.stat().st_mtime
        self._context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._context.load_cert_chain(self.certificate, self.key)

    def context(self) -> ssl.SSLContext:
        """Return what a new connection is served with; the one before stays while new files don't fit."""
        before = self._context, self._changed
        try:
            if self.certificate.stat().st_mtime != self._changed:
                self._read()
        except OSError as error:
            self._context, self._changed = before
            log.error("inbound_certificate_unreadable", error=type(error).__name__)  # noqa: TRY400
        return self._context


@dataclass(slots=True)
class Receiver:
    """Listens while it lives."""

    listener: Listener
    handler: Handler
    hostname: str
    connections: int = CONNECTIONS
    certificate: Certificate | None = None
    _server: asyncio.Server | None = None
    _open: set[asyncio.BaseTransport] = field(default_factory=set)

    async def start(self, listening: socket.socket | None = None) -> None:
        """Listen in the running loop, on ``listening`` or on a socket of its own.

        Raises:
            OSError: the port is taken, or the socket file can't be made.
        """
        loop = asyncio.get_running_loop()
        if listening is None and self.listener.path is not None:
            self._server = await loop.create_unix_server(self._protocol, path=_free_path(self.listener.path))
            # Whoever may enter the folder may hand mail over, as anybody on this machine may by a port.
            self.listener.path.chmod(0o666)
        elif listening is not None:
            self._server = await loop.create_server(self._protocol, sock=listening)
        else:
            self._server = await loop.create_server(self._protocol, self.listener.host, self.listener.port)

    def _protocol(self) -> asyncio.BaseProtocol:
        kind = LMTP if self.listener.is_lmtp else SMTP
        return _limited(kind, self)(
            self.handler,
            hostname=self.hostname,
            ident="Paperlark",
            data_size_limit=SIZE_LIMIT,
            enable_SMTPUTF8=False,
            timeout=COMMAND_SECONDS,
            tls_context=self.certificate.context() if self.certificate is not None else None,
            auth_exclude_mechanism=("LOGIN", "PLAIN"),
            command_call_limit=IDLE_COMMANDS,
            loop=asyncio.get_running_loop(),
        )

    @property
    def port(self) -> int:
        """The port listened on."""
        assert self._server is not None  # noqa: S101 - asked after start
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        """Take no more connections, answer for the messages at hand, close the open connections.

        What was not answered will be brought again.
        """
        if self._server is not None:
            self._server.close()
            await self.handler.rest(ENDING_SECONDS)
            for transport in list(self._open):
                transport.close()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._server.wait_closed(), ENDING_SECONDS)
            if self.listener.path is not None:
                self.listener.path.unlink(missing_ok=True)

    def admit(self, transport: asyncio.BaseTransport) -> bool:
        """Note a new connection; False if there are too many, or too many of its peer."""
        if len(self._open) >= self.connections:
            return False
        # A mail server of ours hands over by LMTP, as many at a time as it likes.
        peer = _address_of(transport)
        of_peer = sum(_address_of(one) == peer for one in self._open)
        if not self.listener.is_lmtp and of_peer >= PEER_CONNECTIONS:
            return False
        self._open.add(transport)
        return True

    def dismiss(self, transport: asyncio.BaseTransport | None) -> None:
        """Note that a connection has ended."""
        if transport is not None:
            self._open.discard(transport)


def _address_of(transport: asyncio.BaseTransport) -> str:
    peer = transport.get_extra_info("peername")
    return str(peer[0]) if isinstance(peer, tuple) and peer else ""


@dataclass(slots=True)
class _Lines:
    """Counts what has come since a line ended."""

    _without_end: int = 0

    def go_on(self, data: bytes) -> bool:
        end = data.rfind(b"\r\n")
        self._without_end = len(data) - end if end >= 0 else self._without_end + len(data)
        return self._without_end <= NO_LINE_LIMIT


def _limited(kind: type[SMTP], receiver: Receiver) -> type[SMTP]:
    """Make the protocol that asks ``receiver`` before it serves a connection."""

    class Limited(kind):  # type: ignore[misc, valid-type]
        line_length_limit = LINE_LIMIT
        _admitted: asyncio.BaseTransport | None = None
        _ending: asyncio.TimerHandle
        _lines: _Lines

        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            if self._admitted is not None:  # the same connection, now by TLS
                super().connection_made(transport)
                return
            if not receiver.admit(transport):
                transport.write(b"421 4.3.2 too many connections; please try again later\r\n")  # type: ignore[attr-defined]
                transport.close()
                return
            self._admitted, self._lines = transport, _Lines()
            self._ending = asyncio.get_running_loop().call_later(CONNECTION_SECONDS, transport.close)
            super().connection_made(transport)

        def connection_lost(self, error: Exception | None) -> None:
            if self._admitted is not None:
                receiver.dismiss(self._admitted)
                self._ending.cancel()
                super().connection_lost(error)

        def data_received(self, data: bytes) -> None:
            if self._admitted is not None:
                if self._lines.go_on(data):
                    super().data_received(data)
                else:
                    self._admitted.close()

        def eof_received(self) -> bool | None:
            return super().eof_received() if self._admitted is not None else None

    return Limited


def _free_path(path: Path) -> str:
    """Take away the socket file that a killed receiver left; a file of another kind is an error."""
    if path.is_socket():
        path.unlink()
    return str(path)
