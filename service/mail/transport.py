"""Hands messages to a relay over the connections of a pool.

The transaction is ours because only then is it known whether an error came before the message (nothing was
sent) or after it (nobody knows). Where the relay offers PIPELINING (RFC 2920), MAIL, RCPT and DATA go in one
write, and those of the next message with the body before it: one round trip a message. Elsewhere, and where a
relay turns out not to keep what it offers, commands go one by one.
"""

import asyncio
import re
import ssl
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

from service.config import Settings
from service.endpoints import SmtpEndpoint
from service.mail.conversation import Conversation, Lost, Reply, Silent
from service.mail.delivery import SERVICE_CLOSING, Outcome, Stage, Verdict
from service.mail.message import Parcel
from service.mail.pool import BLOCK_SECONDS, DATA_SECONDS, Berths, Connection, Limits, Pool, RelayUnavailable
from service.mail.replies import enhanced_code, harmless

# Two on fresh connections after one on a connection the relay may have closed silently.
TRIES = 3
DOT_LINE = b".\r\n"
# Said of commands, not of mails: where commands were pipelined, the relay may just not cope with that.
PROTOCOL_ERRORS = range(500, 505)
GOOD = {Stage.MAIL: (250,), Stage.RCPT: (250, 251), Stage.DATA: (354,)}
GOOD_BEHIND_MAIL = (GOOD[Stage.RCPT], GOOD[Stage.DATA])
_ENVELOPE = re.compile(r"[!-;=?-~]+")  # printable, neither blank nor angle bracket


class _LostBeforeMessage(Exception):
    """The connection broke, answered 421 or made no sense before the message: nothing was accepted."""

    def __init__(self, stage: Stage, text: str, code: int | None = None, *, is_final: bool = False) -> None:
        super().__init__(text)
        self.stage, self.code, self.text = stage, code, text
        self.is_final = is_final  # not to be asked again at once


@dataclass(slots=True, eq=False)
class _Job:
    """A parcel on its way, and where its outcome is waited for."""

    parcel: Parcel
    future: asyncio.Future[Outcome]
    tries: int = 0
    is_pipelined: bool = False  # its commands are written already

    def commands(self, connection: Connection) -> dict[Stage, bytes]:
        size = b" SIZE=%d" % self.parcel.size if connection.offers_size else b""
        sender, recipient = self.parcel.envelope_sender.encode("ascii"), self.parcel.recipient.encode("ascii")
        return {
            Stage.MAIL: b"MAIL FROM:<%b>%b\r\n" % (sender, size),
            Stage.RCPT: b"RCPT TO:<%b>\r\n" % recipient,
            Stage.DATA: b"DATA\r\n",
        }

    def finish(self, outcome: Outcome) -> None:
        if not self.future.done():
            self.future.set_result(outcome)


class SmtpRelay:
    """A relay with a pool of connections that are opened as needed and used again.

    Parcels wait in one line; as many lanes as there may be connections take them from its head.
    """

    def __init__(
        self,
        endpoint: SmtpEndpoint,
        *,
        helo_name: str,
        limits: Limits | None = None,
        tls_context: ssl.SSLContext | None = None,
        berths: Berths | None = None,
    ) -> None:
        """Take where to and how; no connection is opened yet.

        ``tls_context`` replaces the system's trust store; certificates are checked in any case.
        """
        self.limits = limits or Limits()
        self.endpoint = endpoint
        self.keeps_pipelining = True  # until it shows that it doesn't
        self._pool = Pool(
            endpoint, helo_name=helo_name, limits=self.limits, tls_context=tls_context, berths=berths
        )
        self._waiting: deque[_Job] = deque()
        self._lanes: set[asyncio.Task[None]] = set()

    # -- the courier's side --------------------------------------------------------------------------

    async def ready(self) -> None:
        """Make sure one connection stands.

        Raises:
            RelayUnavailable: none can be had.
        """
        connection = await self._pool.take()
        self._pool.give(connection)

    def admit(self, recipients: Sequence[str]) -> Sequence[float | None]:
        """Let every message go: a relay by itself knows no limits of rate."""
        return [None] * len(recipients)

    def deliver(self, parcel: Parcel) -> asyncio.Future[Outcome]:
        """Hand over one parcel; trouble with the relay is an outcome, never an exception."""
        job = _Job(parcel, asyncio.get_running_loop().create_future())
        if not (_ENVELOPE.fullmatch(parcel.envelope_sender) and _ENVELOPE.fullmatch(parcel.recipient)):
            job.future.set_exception(ValueError("an envelope address that can't be written"))
            return job.future
        self._waiting.append(job)
        if len(self._lanes) < self.limits.connections:
            self._lanes.add(asyncio.get_running_loop().create_task(self._run_lane()))
        return job.future

    async def close(self) -> None:
        """Say goodbye; the next event loop starts anew."""
        lanes = list(self._lanes)
        for lane in lanes:
            lane.cancel()
        await asyncio.gather(*lanes, return_exceptions=True)
        self._lanes.clear()
        self._waiting.clear()
        await self._pool.close()

    # -- lanes ---------------------------------------------------------------------------------------

    async def _run_lane(self) -> None:
        try:
            while self._waiting:
                await self._take_and_use()
        finally:
            # Here, and not in a callback: a parcel that comes next must find this lane gone.
            self._lanes.discard(cast(asyncio.Task[None], asyncio.current_task()))

    async def _take_and_use(self) -> None:
        """Take a connection and hand over what waits, until nothing does or the connection ends."""
        try:
            connection = await self._pool.take()
        except RelayUnavailable as unavailable:
            text = harmless(str(unavailable))
            while job := self._next():
                job.finish(Outcome(verdict=Verdict.UNREACHABLE, stage=Stage.CONNECT, text=text))
            return
        keep = False
        try:
            keep = await self._use(connection)
        finally:
            (self._pool.give if keep else self._pool.drop)(connection)

    def _next(self) -> _Job | None:
        while self._waiting:
            job = self._waiting.popleft()
            if not job.future.done():  # given up meanwhile
                return job
        return None

    async def _use(self, connection: Connection) -> bool:
        """Hand over parcels on one connection; say whether it is still good."""
        job = self._next_on(connection)
        while job is not None:
            try:
                follower = await self._hand_over(connection, job)
            except _LostBeforeMessage as lost:
                # That a relay closes a connection it has had enough of is no failure of the message at hand.
                # Each of these has carried another to its end: that can't go on for ever.
                job.tries -= connection.has_served
                self._ask_again(job, lost)
                return False
            except Exception as error:  # noqa: BLE001 - a fault of ours is told to whoever waits
                if not job.future.done():
                    job.future.set_exception(error)
                return False
            connection.has_served = True
            if connection.talk.is_ended:
                self._put_back(follower)
                return False
            job = follower or self._next_on(connection)
        return True

    def _next_on(self, connection: Connection) -> _Job | None:
        """Take a parcel and write its commands where that is allowed."""
        if not self._pool.is_worn(connection) and (job := self._next()):
            connection.talk.write(*self._announce(connection, job))
            return job
        return None

    def _put_back(self, job: _Job | None) -> None:
        if job is not None:  # announced, perhaps, but not a byte of it was sent
            self._waiting.appendleft(job)

    def _ask_again(self, job: _Job, lost: _LostBeforeMessage) -> None:
        if lost.is_final or job.tries >= TRIES:
            job.finish(_outcome_of_loss(lost))
        else:
            self._waiting.appendleft(job)

    # -- one transaction -----------------------------------------------------------------------------

    def _announce(self, connection: Connection, job: _Job) -> list[bytes]:
        """Return the commands of a parcel where they may be written ahead."""
        job.is_pipelined = connection.offers_pipelining and self.keeps_pipelining
        return list(job.commands(connection).values()) if job.is_pipelined else []

    async def _hand_over(self, connection: Connection, job: _Job) -> _Job | None:
        """See an announced parcel to its outcome; return the one that was announced together with its body.

        Raises:
            _LostBeforeMessage: nothing was accepted; the connection must not be used again.
        """
        talk = connection.talk
        job.tries += 1
        connection.message_count += 1
        refusal = await self._open_transaction(connection, job)
        if refusal is not None:
            job.finish(refusal)
            await self._reset(talk)
            return None
        if not talk.is_open:  # gone after 354, or it said more than it was asked
            self.keeps_pipelining &= talk.is_quiet
            raise _LostBeforeMessage(Stage.DATA, "the connection was closed or out of step after 354")
        message = _on_the_wire(job.parcel)
        may_follow = job.is_pipelined and not self._pool.is_worn(connection)
        follower = self._next() if may_follow else None
        ahead = self._announce(connection, follower) if follower else []
        talk.write(*message, *ahead)
        # From here on only a reply is certain, or that the dot never left this process.
        try:
            await self._see_it_leave(talk, sum(map(len, ahead)))
            reply = await talk.reply(self.limits.final_reply_seconds)
        except _LostBeforeMessage:
            self._put_back(follower)
            raise
        except Lost as lost:
            job.finish(Outcome(verdict=Verdict.UNKNOWN, stage=Stage.DOT, text=harmless(str(lost))))
            talk.close()
            return follower
        outcome = _outcome_of_reply(Stage.DOT, reply)
        job.finish(outcome)
        if outcome.verdict is Verdict.UNKNOWN or reply.code == SERVICE_CLOSING:
            talk.close()
        elif outcome.verdict is not Verdict.SENT and follower is None:
            await self._reset(talk)
        return follower

    async def _see_it_leave(self, talk: Conversation, behind: int) -> None:
        """Wait until the message has left; ``behind`` is how many bytes were written after it.

        Raises:
            _LostBeforeMessage: the relay took no byte for too long, and the dot is still here.
            Lost: the same, and what is left lies behind the dot.
        """
        while left := talk.unsent:
            if await talk.comes(self.limits.block_seconds):
                return
            if talk.unsent == left:
                # Whoever closes now throws away what was not sent: without its dot a message is none.
                is_dot_here = left >= behind + len(DOT_LINE)
                talk.close()
                reason = "the relay stopped taking the message"
                raise (
                    _LostBeforeMessage(Stage.DATA, reason, is_final=True) if is_dot_here else Silent(reason)
                )

    async def _open_transaction(self, connection: Connection, job: _Job) -> Outcome | None:
        """Bring a parcel up to 354; return the outcome if it was refused on the way."""
        talk = connection.talk
        refusal: Outcome | None = None
        commands = {} if job.is_pipelined else job.commands(connection)
        for stage, good in GOOD.items():
            if not job.is_pipelined:
                talk.write(commands[stage])
            reply = talk.reply_at_hand()
            if reply is None or reply.code == SERVICE_CLOSING:
                reply = await self._answer(talk, stage, job, reply)
            if reply.code in good:
                if stage is Stage.MAIL and job.is_pipelined and talk.take_as_expected(GOOD_BEHIND_MAIL):
                    return None
                if refusal is not None and stage is Stage.DATA:
                    await self._send_nothing(talk, refusal)
                continue
            if job.is_pipelined and refusal is None and _is_out_of_step(reply):
                self.keeps_pipelining = False
                raise _LostBeforeMessage(stage, reply.text, reply.code)
            refusal = refusal or _outcome_of_reply(stage, reply)
            if not job.is_pipelined:
                break
        return refusal

    async def _answer(
        self, talk: Conversation, stage: Stage, job: _Job, at_hand: Reply | None = None
    ) -> Reply:
        limits = self.limits
        try:
            reply = at_hand or await talk.reply(
                limits.data_seconds if stage is Stage.DATA else limits.command_seconds
            )
        except Silent as silent:
            # Some answers came to what was written together, and the others did not.
            is_cut_short = job.is_pipelined and talk.answers > 0
            self.keeps_pipelining &= not is_cut_short
            raise _LostBeforeMessage(stage, str(silent), is_final=not is_cut_short) from silent
        except Lost as lost:
            raise _LostBeforeMessage(stage, str(lost)) from lost
        if reply.code == SERVICE_CLOSING:
            raise _LostBeforeMessage(stage, reply.text, reply.code)
        return reply

    async def _send_nothing(self, talk: Conversation, refusal: Outcome) -> None:
        """Answer a 354 that should not have come: by a dot only, to no recipient (RFC 2920, 3.1)."""
        if refusal.stage is not Stage.RCPT:  # there is a recipient, who must not get an empty mail
            talk.close()
            return
        talk.write(b".\r\n")
        try:
            await talk.reply(self.limits.final_reply_seconds)
        except Lost:
            talk.close()

    async def _reset(self, talk: Conversation) -> None:
        """Clear the transaction after a refusal; the connection is closed if that fails."""
        if talk.is_ended:
            return
        talk.write(b"RSET\r\n")
        try:
            reply = await talk.reply(self.limits.command_seconds)
        except Lost:
            talk.close()
        else:
            if reply.code != 250:
                talk.close()


def open_relay(
    settings: Settings,
    *,
    endpoint: SmtpEndpoint | None = None,
    tls_context: ssl.SSLContext | None = None,
    berths: Berths | None = None,
) -> SmtpRelay:
    """Make one relay: ``endpoint``, or the first that the settings name.

    Raises:
        ValueError: neither names a relay.
    """
    if endpoint is None:
        endpoint = next(iter(settings.relays), None)
    if endpoint is None:
        raise ValueError(
            "no relay: set PAPERLARK_SMTP_URL, or start the local mailbox with 'paperlark serve'"
        )
    patience = settings.smtp_timeout_seconds
    usual = Limits()
    limits = Limits(
        connections=endpoint.connections or settings.smtp_connections,
        command_seconds=patience,
        data_seconds=min(DATA_SECONDS, patience),
        block_seconds=min(BLOCK_SECONDS, patience),
        final_reply_seconds=settings.smtp_final_reply_timeout_seconds,
        messages_per_connection=endpoint.per_connection or usual.messages_per_connection,
        age_seconds=endpoint.age_seconds or usual.age_seconds,
        idle_seconds=endpoint.idle_seconds or usual.idle_seconds,
    )
    return SmtpRelay(
        endpoint, helo_name=settings.helo_name, limits=limits, tls_context=tls_context, berths=berths
    )


def on_the_wire(data: bytes) -> bytes:
    """Return a message of CRLF lines as DATA wants it: leading dots doubled, a dot at the end."""
    if data.startswith(b".") or b"\r\n." in data:
        data = (b"." + data if data.startswith(b".") else data).replace(b"\r\n.", b"\r\n..")
    return data + DOT_LINE


def _on_the_wire(parcel: Parcel) -> Sequence[bytes]:
    return [*parcel.pieces, DOT_LINE] if parcel.is_dotless else [on_the_wire(parcel.data)]


def _is_out_of_step(reply: Reply) -> bool:
    return reply.code in PROTOCOL_ERRORS or not 400 <= reply.code < 600


def _outcome_of_reply(stage: Stage, reply: Reply) -> Outcome:
    """Read an answer: the code's first digit decides; what is no SMTP answer at all is tried again."""
    if stage is Stage.DOT and 200 <= reply.code < 300:
        verdict = Verdict.SENT
    elif 500 <= reply.code < 600:
        verdict = Verdict.REFUSED
    elif stage is Stage.DOT and not 400 <= reply.code < 500:
        verdict = Verdict.UNKNOWN  # an answer to the message that means nothing is no answer
    else:
        verdict = Verdict.DEFERRED
    return Outcome(
        verdict=verdict,
        stage=stage,
        code=reply.code,
        enhanced=enhanced_code(reply.text),
        text=harmless(reply.text),
    )


def _outcome_of_loss(lost: _LostBeforeMessage) -> Outcome:
    return Outcome(
        verdict=Verdict.DEFERRED,
        stage=lost.stage,
        code=lost.code,
        enhanced=enhanced_code(lost.text),
        text=harmless(lost.text),
    )
