"""Hands messages to a relay over the connections of a pool.

The transaction is ours, command by command, because only then is it known whether an error came before the
message (nothing was sent) or after it (nobody knows). Bytes go out as they were signed; only a dot at
the start of a line is doubled (RFC 5321, 4.5.2).
"""

import ssl

from aiosmtplib import (
    SMTP,
    SMTPException,
    SMTPResponseException,
    SMTPServerDisconnected,
    SMTPTimeoutError,
)
from aiosmtplib.response import SMTPResponse

from service.config import Settings, SmtpEndpoint
from service.mail.delivery import Outcome, Stage, Verdict
from service.mail.message import Parcel
from service.mail.pool import DATA_SECONDS, Connection, Limits, Pool, RelayUnavailable
from service.mail.replies import enhanced_code, harmless

# Two on fresh connections after one on a connection the relay may have closed silently.
TRIES = 3
SERVICE_CLOSING = 421


class _LostBeforeMessage(Exception):
    """The connection broke, or answered 421, before a byte of the message: nothing was accepted."""

    def __init__(self, stage: Stage, code: int | None = None, text: str = "") -> None:
        super().__init__(text)
        self.stage, self.code, self.text = stage, code, text


class _Answered(Exception):
    """The relay refused, for now or for good."""

    def __init__(self, stage: Stage, response: SMTPResponse) -> None:
        super().__init__(stage)
        self.stage, self.response = stage, response


class SmtpRelay:
    """A relay with a pool of connections that are opened as needed and used again."""

    def __init__(
        self,
        endpoint: SmtpEndpoint,
        *,
        helo_name: str,
        limits: Limits | None = None,
        tls_context: ssl.SSLContext | None = None,
    ) -> None:
        """Take where to and how; no connection is opened yet.

        ``tls_context`` replaces the system's trust store; certificates are checked in any case.
        """
        self.limits = limits or Limits()
        self.endpoint = endpoint
        self._pool = Pool(endpoint, helo_name=helo_name, limits=self.limits, tls_context=tls_context)

    # -- the courier's side --------------------------------------------------------------------------

    async def ready(self) -> None:
        """Make sure one connection stands.

        Raises:
            RelayUnavailable: none can be had.
        """
        connection = await self._pool.take()
        await self._pool.give(connection)

    async def deliver(self, parcel: Parcel) -> Outcome:
        """Hand over one parcel; trouble with the relay is an outcome, never an exception."""
        lost: _LostBeforeMessage | None = None
        for _ in range(TRIES):
            try:
                connection = await self._pool.take()
            except RelayUnavailable as unavailable:
                return Outcome(
                    verdict=Verdict.UNREACHABLE, stage=Stage.CONNECT, text=harmless(str(unavailable))
                )
            try:
                return await self._attempt(connection, parcel)
            except _LostBeforeMessage as error:
                lost = error
                if isinstance(error.__cause__, SMTPTimeoutError):
                    break  # a silent relay is not asked again at once
        return _outcome_of_loss(lost)

    async def close(self) -> None:
        """Say goodbye; the next event loop starts anew."""
        await self._pool.close()

    # -- one transaction -----------------------------------------------------------------------------

    async def _attempt(self, connection: Connection, parcel: Parcel) -> Outcome:
        keep = False
        try:
            outcome = await self._transaction(connection, parcel)
            keep = outcome.verdict is not Verdict.UNKNOWN and outcome.code != SERVICE_CLOSING
            if keep and outcome.verdict is not Verdict.SENT:
                keep = await self._reset(connection)
            return outcome
        finally:
            if keep:
                await self._pool.give(connection)
            else:
                await self._pool.drop(connection)

    async def _transaction(self, connection: Connection, parcel: Parcel) -> Outcome:
        client, seconds = connection.client, self.limits.command_seconds
        sender, recipient = parcel.envelope_sender.encode("ascii"), parcel.recipient.encode("ascii")
        try:
            options = [b"SIZE=%d" % len(parcel.data)] if client.supports_extension("size") else []
            await self._say(client, Stage.MAIL, seconds, b"MAIL", b"FROM:<" + sender + b">", *options)
            await self._say(client, Stage.RCPT, seconds, b"RCPT", b"TO:<" + recipient + b">")
            await self._say(client, Stage.DATA, self.limits.data_seconds, b"DATA", good=354)
        except _Answered as answered:
            return _outcome_of_reply(answered.stage, answered.response)
        connection.message_count += 1
        return await self._send_message(client, parcel.data)

    async def _say(
        self, client: SMTP, stage: Stage, seconds: float, *command: bytes, good: int = 250
    ) -> None:
        try:
            response = await client.execute_command(*command, timeout=seconds)
        except SMTPResponseException as error:  # a reply that is none
            raise _LostBeforeMessage(stage, None, error.message) from error
        except (SMTPServerDisconnected, SMTPTimeoutError, OSError) as error:
            raise _LostBeforeMessage(stage, None, str(error)) from error
        if response.code == SERVICE_CLOSING:
            raise _LostBeforeMessage(stage, response.code, response.message)
        if response.code != good and not (good == 250 and response.code == 251):
            raise _Answered(stage, response)

    async def _send_message(self, client: SMTP, data: bytes) -> Outcome:
        """Write the message and its dot; from the first byte on only a reply is certain."""
        protocol = client.protocol
        if protocol is None or not protocol.is_connected:
            raise _LostBeforeMessage(Stage.DATA, None, "connection closed after 354")
        try:
            protocol.write(on_the_wire(data))
            response = await protocol.read_response(timeout=self.limits.final_reply_seconds)
        except (SMTPException, OSError) as error:
            return Outcome(verdict=Verdict.UNKNOWN, stage=Stage.DOT, text=harmless(str(error)))
        if 200 <= response.code < 300:
            return _outcome(Verdict.SENT, Stage.DOT, response)
        return _outcome_of_reply(Stage.DOT, response)

    async def _reset(self, connection: Connection) -> bool:
        """Clear the transaction after a refusal; say whether the connection is still good."""
        try:
            await connection.client.rset(timeout=self.limits.command_seconds)
        except (SMTPException, OSError):
            return False
        return True


def open_relay(
    settings: Settings,
    *,
    endpoint: SmtpEndpoint | None = None,
    tls_context: ssl.SSLContext | None = None,
) -> SmtpRelay:
    """Make the relay of the settings; ``endpoint`` is used where they name none (the local mailbox).

    Raises:
        ValueError: neither names a relay.
    """
    if settings.smtp_url is not None:
        endpoint = SmtpEndpoint(settings.smtp_url.get_secret_value())
    if endpoint is None:
        raise ValueError(
            "no relay: set PAPERLARK_SMTP_URL, or start the local mailbox with 'paperlark serve'"
        )
    limits = Limits(
        connections=settings.smtp_connections,
        command_seconds=settings.smtp_timeout_seconds,
        data_seconds=min(DATA_SECONDS, settings.smtp_timeout_seconds),
        final_reply_seconds=settings.smtp_final_reply_timeout_seconds,
    )
    return SmtpRelay(endpoint, helo_name=settings.helo_name, limits=limits, tls_context=tls_context)


def on_the_wire(data: bytes) -> bytes:
    """Return a message of CRLF lines as DATA wants it: leading dots doubled, a dot at the end."""
    if data.startswith(b".") or b"\r\n." in data:
        data = (b"." + data if data.startswith(b".") else data).replace(b"\r\n.", b"\r\n..")
    return data + b".\r\n"


def _outcome(verdict: Verdict, stage: Stage, response: SMTPResponse) -> Outcome:
    return Outcome(
        verdict=verdict,
        stage=stage,
        code=response.code,
        enhanced=enhanced_code(response.message),
        text=harmless(response.message),
    )


def _outcome_of_reply(stage: Stage, response: SMTPResponse) -> Outcome:
    """Read a refusal: the code's first digit decides; what is no SMTP answer at all is tried again."""
    verdict = Verdict.REFUSED if 500 <= response.code < 600 else Verdict.DEFERRED
    if verdict is Verdict.DEFERRED and stage is Stage.DOT and not 400 <= response.code < 500:
        verdict = Verdict.UNKNOWN  # an answer to the message that means nothing is no answer
    return _outcome(verdict, stage, response)


def _outcome_of_loss(lost: _LostBeforeMessage | None) -> Outcome:
    stage = lost.stage if lost else Stage.MAIL
    code = lost.code if lost else None
    text = lost.text if lost else ""
    return Outcome(
        verdict=Verdict.DEFERRED, stage=stage, code=code, enhanced=enhanced_code(text), text=harmless(text)
    )
