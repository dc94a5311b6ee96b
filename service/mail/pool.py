"""Connections to one relay, opened as needed, used again, and given up before the relay tires of them.

aiosmtplib owns connection, TLS and login; what is said then is a conversation of ours. Everything here lives
inside one event loop at a time.
"""

import asyncio
import ssl
from collections import deque
from dataclasses import dataclass
from typing import NoReturn, Protocol

from aiosmtplib import (
    SMTP,
    SMTPAuthenticationError,
    SMTPException,
    SMTPResponseException,
    SMTPServerDisconnected,
)

from service.endpoints import SmtpEndpoint
from service.mail.conversation import Conversation, Lost
from service.mail.replies import harmless

# RFC 5321, 4.5.3.2, asks for at least so long. Greeting, EHLO, MAIL and RCPT are "commands" here.
COMMAND_SECONDS = 300
DATA_SECONDS = 120  # for the 354
BLOCK_SECONDS = 180  # for the relay to take a further piece of the message
FINAL_REPLY_SECONDS = 600
QUIT_SECONDS = 5


class RelayUnavailable(Exception):
    """No relay can be talked to; nothing was tried. The message says why and what to look at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How a relay's connections are used; seconds."""

    connections: int = 8  # of this worker
    command_seconds: float = COMMAND_SECONDS
    data_seconds: float = DATA_SECONDS
    block_seconds: float = BLOCK_SECONDS
    final_reply_seconds: float = FINAL_REPLY_SECONDS
    messages_per_connection: int = 500
    age_seconds: float = 600
    idle_seconds: float = 60  # less than most relays wait before they close


class Berths(Protocol):
    """Counts the connections of all workers together, where a relay bears only so many."""

    def take(self) -> bool:
        """Take a berth for one connection; False if all are taken."""

    def free(self) -> None:
        """Give one back."""


class OpenSea:
    """Berths without end."""

    def take(self) -> bool:
        """Take one."""
        return True

    def free(self) -> None:
        """Do nothing."""


class Connection:
    """One connection with what it offers and what it has done so far."""

    __slots__ = (
        "has_served",
        "message_count",
        "offers_pipelining",
        "offers_size",
        "opened_at",
        "talk",
        "used_at",
    )

    def __init__(self, client: SMTP) -> None:
        transport = client.protocol.transport if client.protocol else None
        if transport is None:
            raise SMTPServerDisconnected("closed after the greeting")
        self.offers_pipelining = client.supports_extension("pipelining")
        self.offers_size = client.supports_extension("size")
        self.talk = Conversation(transport)
        self.opened_at = self.used_at = asyncio.get_running_loop().time()
        self.message_count = 0
        self.has_served = False  # a message was seen to its outcome


class Pool:
    """Up to ``limits.connections`` connections, fewer where the relay allows fewer."""

    def __init__(
        self,
        endpoint: SmtpEndpoint,
        *,
        helo_name: str,
        limits: Limits,
        tls_context: ssl.SSLContext | None,
        berths: Berths | None = None,
    ) -> None:
        """Take where to and how; no connection is opened yet."""
        self.endpoint = endpoint
        self.helo_name = helo_name
        self.limits = limits
        self._tls_context = tls_context
        self._berths = berths or OpenSea()
        self._idle: deque[Connection] = deque()
        self._standing: set[Connection] = set()  # idle or not
        self._open_count = 0
        self._allowed = limits.connections
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def take(self) -> Connection:
        """Take an idle connection, open one, or wait for one.

        Raises:
            RelayUnavailable: the relay can't be reached and no connection stands.
        """
        while True:
            while not (self._idle or self._open_count < self._allowed):
                await self._wait_for_one()
            # The one used last: the others may age and go.
            connection = self._idle.pop() if self._idle else None
            self._open_count += connection is None
            connection = connection or await self._open_another()
            if connection is None:
                continue
            if self._is_good(connection):
                return connection
            try:
                await self._quit(connection)
            finally:
                self.drop(connection)

    def take_idle(self) -> Connection | None:
        """Take an idle connection, if one stands that is good."""
        if not self._idle or not self._is_good(self._idle[-1]):
            return None
        return self._idle.pop()

    def give(self, connection: Connection) -> None:
        """Put a connection back that is ready for the next transaction."""
        if connection.talk.is_open:
            connection.used_at = asyncio.get_running_loop().time()
            self._idle.append(connection)
            self._wake_one()
        else:
            self.drop(connection)

    def drop(self, connection: Connection) -> None:
        """Close a connection whose state is not known."""
        connection.talk.close()
        self._standing.discard(connection)
        self._close_one()

    async def close(self) -> None:
        """Say goodbye on every idle connection, end every other, and forget the loop they lived in."""
        try:
            goodbyes = [self._quit(connection) for connection in self._idle]
            await asyncio.gather(*goodbyes, return_exceptions=True)
        finally:  # should we be interrupted, too: a connection lives no longer than its loop
            for connection in self._standing:  # one may be nobody's, where a task was interrupted
                connection.talk.close()
                self._berths.free()
            self._standing.clear()
            self._idle.clear()
            self._open_count = 0
            self._allowed = self.limits.connections
            self._waiting.clear()

    async def _open_another(self) -> Connection | None:
        """Open a connection; None if the relay wants no more but others stand, which must do then."""
        if not self._berths.take():
            taken = f"{self.endpoint.name}: other workers have all connections it may get"
            self._make_do(RelayUnavailable(taken), has_berth=False)
            return None
        try:
            connection = await self._open()
        except RelayUnavailable as unavailable:
            self._make_do(unavailable)
            return None
        except BaseException:
            self._open_count -= 1
            self._berths.free()
            raise
        self._standing.add(connection)
        return connection

    def _make_do(self, reason: RelayUnavailable, *, has_berth: bool = True) -> None:
        """Go on with the connections that stand, if any does."""
        self._close_one(has_berth=has_berth)
        self._allowed = max(1, self._open_count)
        if self._open_count == 0:
            raise reason

    def is_worn(self, connection: Connection) -> bool:
        """Say whether a connection has done its share."""
        age = asyncio.get_running_loop().time() - connection.opened_at
        return (
            connection.message_count >= self.limits.messages_per_connection or age > self.limits.age_seconds
        )

    def _is_good(self, connection: Connection) -> bool:
        if not connection.talk.is_open or self.is_worn(connection):
            return False
        return asyncio.get_running_loop().time() - connection.used_at <= self.limits.idle_seconds

    def _close_one(self, *, has_berth: bool = True) -> None:
        self._open_count -= 1
        if has_berth:
            self._berths.free()
        self._wake_one()

    async def _wait_for_one(self) -> None:
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self._wake_one()  # ours to take, but we are gone: the next one's
            raise

    def _wake_one(self) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                return

    async def _quit(self, connection: Connection) -> None:
        try:
            if connection.talk.is_open:
                connection.talk.write(b"QUIT\r\n")
                await connection.talk.reply(QUIT_SECONDS)
        except Lost:
            pass  # we are leaving either way
        finally:
            connection.talk.close()

    async def _open(self) -> Connection:
        endpoint = self.endpoint
        client = SMTP(
            hostname=endpoint.host,
            port=endpoint.port,
            username=endpoint.username,
            password=endpoint.password,
            local_hostname=self.helo_name,
            timeout=self.limits.command_seconds,
            use_tls=endpoint.implicit_tls,
            # Never "if offered": aiosmtplib's default would go on in clear where STARTTLS is cut out.
            start_tls=endpoint.starttls,
            validate_certs=True,
            tls_context=self._tls_context,
        )
        try:
            await client.connect()
            if client.is_ehlo_or_helo_needed:
                await client.ehlo()
            return Connection(client)
        except (SMTPException, OSError, ValueError) as error:
            client.close()
            _explain(endpoint, error)
        except BaseException:
            client.close()  # given up while it was being opened: it must not outlive the loop
            raise


def _explain(endpoint: SmtpEndpoint, error: Exception) -> NoReturn:
    """Say which step towards the relay failed, without credentials."""
    where = f"{endpoint.host}:{endpoint.port}"
    if isinstance(error, SMTPAuthenticationError):
        message = f"{where} refuses the user name or password ({error.code})"
    elif isinstance(error, ssl.SSLError) or isinstance(error.__cause__, ssl.SSLError):
        message = f"{where}: the TLS certificate or handshake failed: {error}"
    elif isinstance(error, SMTPResponseException):
        message = f"{where} answers {error.code} {error.message}"
    else:
        message = f"{where}: {type(error).__name__}: {error}"
    raise RelayUnavailable(harmless(message)) from error
