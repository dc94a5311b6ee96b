"""Hands messages to a relay over the connections of a pool.

The transaction is ours because only then is it known whether an error came before the message (nothing was
sent) or after it (nobody knows). Where the relay offers PIPELINING (RFC 2920), MAIL, RCPT and DATA go in one
write, and those of the next message with the body before it: one round trip a message. Elsewhere, and where a
relay turns out not to keep what it offers, commands go one by one.

Where all answers are the expected ones, the next message is written from the very callback that brought them,
a third cheaper than waking a task for each. Every odd answer, loss or delay is judged by a task.
"""

import asyncio
import re
import ssl
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from service.config import Settings
from service.endpoints import SmtpEndpoint
from service.mail.conversation import LINES, Conversation, Lost, Reply, Silent, read_line
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
UNWRITABLE = Outcome(Verdict.REFUSED, Stage.CONNECT, text="an envelope address that can't be written")
_ENVELOPE = re.compile(r"[!-;=?-~]+")  # printable, neither blank nor angle bracket


Told = Callable[[str, Outcome], None]
"""Told, at once, how the message to a recipient ended. Must not raise."""


class Handover(asyncio.Future[Outcome]):
    """The outcome to come of a message. Once it is done or cancelled the message is not written any more."""

    is_written = False  # its message, dot and all: from then on only a reply is certain


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
    future: Handover
    told: Told | None = None
    is_passed_on: bool = False  # by whoever is told, where another relay may take it
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
        if self.future.done():
            return
        if not (self.is_passed_on and outcome.may_go_elsewhere):
            self.future.set_result(outcome)
        if self.told is not None:
            self.told(self.parcel.recipient, outcome)


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
        self.pool = Pool(
            endpoint, helo_name=helo_name, limits=self.limits, tls_context=tls_context, berths=berths
        )
        self.lanes: set[_Lane] = set()
        self._waiting: deque[_Job] = deque()

    # -- the courier's side --------------------------------------------------------------------------

    async def ready(self) -> None:
        """Make sure one connection stands.

        Raises:
            RelayUnavailable: none can be had.
        """
        connection = await self.pool.take()
        self.pool.give(connection)

    def admit(self, recipients: Sequence[str]) -> Sequence[float | None]:
        """Let every message go: a relay by itself knows no limits of rate."""
        return [None] * len(recipients)

    def deliver(
        self, parcel: Parcel, told: Told | None = None, handover: Handover | None = None
    ) -> asyncio.Future[Outcome]:
        """Hand over one parcel; trouble with the relay is an outcome, never an exception.

        With a ``handover`` given the outcome goes there; what another relay may take is told and no more.
        """
        is_passed_on = handover is not None
        job = _Job(parcel, handover or Handover(loop=asyncio.get_running_loop()), told, is_passed_on)
        if not (_ENVELOPE.fullmatch(parcel.envelope_sender) and _ENVELOPE.fullmatch(parcel.recipient)):
            job.finish(UNWRITABLE)
            return job.future
        self._waiting.append(job)
        if len(self.lanes) < self.limits.connections:
            _Lane(self).begin()
        return job.future

    async def close(self) -> None:
        """Say goodbye; the next event loop starts anew."""
        try:
            tasks = [task for lane in list(self.lanes) if (task := lane.stop()) is not None]
            await asyncio.gather(*tasks, return_exceptions=True)
        finally:  # should we be interrupted, too: what is left here the next event loop would wait for
            for lane in list(self.lanes):
                lane.leave()
            self._waiting.clear()
            await self.pool.close()

    # -- the line ------------------------------------------------------------------------------------

    @property
    def is_any_waiting(self) -> bool:
        """Whether a parcel waits, or one that was given up."""
        return bool(self._waiting)

    def next(self) -> _Job | None:
        """Return the parcel whose turn it is. It is in the line until it is :meth:`taken`."""
        while self._waiting and self._waiting[0].future.done():  # given up meanwhile
            self._waiting.popleft()
        return self._waiting[0] if self._waiting else None

    def taken(self, job: _Job) -> None:
        """Take a parcel off the line; whoever is interrupted before has it, and it is here as well."""
        if self._waiting and self._waiting[0] is job:
            self._waiting.popleft()

    def put_back(self, job: _Job | None) -> None:
        """Let a parcel be the next again, unless it still is: nothing of it is at a relay."""
        if job is not None and not (self._waiting and self._waiting[0] is job):
            self._waiting.appendleft(job)


@dataclass(slots=True, eq=False)
class _Lane:
    """One connection at work: the parcel at hand, and the one whose commands were written behind it.

    The usual case goes without a task: :meth:`hear` is given what came, and if these are just the answers
    that were due, it writes what comes next. All else is judged by a task that begins where that left off.
    """

    relay: SmtpRelay
    connection: Connection = field(init=False)  # where is_connected
    is_connected: bool = False
    job: _Job | None = None  # None only between two
    follower: _Job | None = None
    ahead: int = 0  # how many bytes of the follower's were written
    task: asyncio.Task[None] | None = None

    # -- from one parcel to the next -----------------------------------------------------------------

    def begin(self) -> None:
        """Go on an idle connection, or have a task find one."""
        self.relay.lanes.add(self)
        connection = self.relay.pool.take_idle()
        if connection is None or self._go(connection):
            self.wake()

    def _go(self, connection: Connection) -> bool:
        self.connection, self.is_connected = connection, True
        return self._take_up()

    def _take_up(self) -> bool:
        """Announce the next parcel, where one waits and may go here; say whether a task is needed then."""
        relay, talk = self.relay, self.connection.talk
        self.job = job = None if relay.pool.is_worn(self.connection) else relay.next()
        if job is None:
            return self._part(keep=True)
        relay.taken(job)
        talk.write(self._announce(job))
        return not (job.is_pipelined and talk.listen(self, relay.limits.command_seconds))

    def _part(self, *, keep: bool) -> bool:
        """Leave the connection, and the lane too where nothing waits; say whether something does."""
        relay = self.relay
        self.connection.talk.hush()  # or its end would wake a second task here
        (relay.pool.give if keep else relay.pool.drop)(self.connection)
        self.is_connected = False
        self.job = self.follower = None
        if not relay.is_any_waiting:
            relay.lanes.discard(self)  # at once: a parcel that comes next must find this lane gone
        return relay.is_any_waiting

    def stop(self) -> asyncio.Task[None] | None:
        """Do no more; return the task that has to be waited for before :meth:`leave`."""
        if self.is_connected:
            self.connection.talk.hush()
        if self.task is not None:
            self.task.cancel()
        return self.task

    def leave(self) -> None:
        """Leave everything as it is, and the connection at once."""
        if self.is_connected:
            self._part(keep=False)
        self.relay.lanes.discard(self)
        self.task = None

    # -- the usual case ------------------------------------------------------------------------------

    def hear(self, data: bytes) -> bool:
        """Take the answers that were due and write what comes next; False if they are anything else."""
        job = self.job
        if job is not None and job.future.is_written:
            line, end, data = data.partition(b"\n")
            outcome = _outcome_of_acceptance(line) if end else None
            if outcome is None or not (_open_message(data) if self.follower else not data):
                return False
            job = self._finish(outcome)
        elif not _open_message(data):
            return False
        if job is None:
            is_task_needed = self._take_up()
        elif job.future.done():  # given up: no more of it is written
            is_task_needed = self._part(keep=False)
        else:
            self._count_try(job)
            is_task_needed = self._write_message(job)
        if is_task_needed:
            self.wake()
        return True

    def wake(self) -> None:
        """Let a task see to what is not usual."""
        self.task = asyncio.get_running_loop().create_task(self._run())

    # -- what both do --------------------------------------------------------------------------------

    def _announce(self, job: _Job) -> bytes:
        """Return the commands of a parcel where they may be written ahead."""
        job.is_pipelined = self.connection.offers_pipelining and self.relay.keeps_pipelining
        return b"".join(job.commands(self.connection).values()) if job.is_pipelined else b""

    def _count_try(self, job: _Job) -> None:
        job.tries += 1
        self.connection.message_count += 1

    def _write_message(self, job: _Job) -> bool:
        """Write a message, and another's commands behind it where they may be; say if a task is needed."""
        relay, connection = self.relay, self.connection
        may_follow = job.is_pipelined and not relay.pool.is_worn(connection)
        self.follower = follower = relay.next() if may_follow else None
        ahead = b""
        if follower is not None:
            relay.taken(follower)
            ahead = self._announce(follower)
        self.ahead = len(ahead)
        job.future.is_written = True  # said before it is: should we be interrupted in between, it may be out
        connection.talk.write(*_on_the_wire(job.parcel), ahead)
        return not (job.is_pipelined and self._is_left_to_hear())

    def _is_left_to_hear(self) -> bool:
        """Leave it to :meth:`hear` what comes of a message, unless some of it is still here."""
        talk = self.connection.talk
        return not talk.unsent and talk.listen(self, self.relay.limits.final_reply_seconds)

    def _finish(self, outcome: Outcome) -> _Job | None:
        """Tell how a written message ended; turn to its follower."""
        if self.job is not None:
            self.job.finish(outcome)
        self.connection.has_served = True
        self.job, self.follower = self.follower, None
        return self.job

    # -- all other cases -----------------------------------------------------------------------------

    async def _run(self) -> None:
        """Connect, judge, ask again, until nothing waits or it can be left to :meth:`hear`."""
        try:
            while await (self._see_to_it() if self.is_connected else self._connect()):
                pass
            self.task = None
        except Exception as error:  # noqa: BLE001 - nobody awaits this task: the event loop is told
            self.leave()
            said = {"message": "a lane to the relay failed", "exception": error}
            asyncio.get_running_loop().call_exception_handler(said)
        except BaseException:
            self.leave()
            raise

    async def _connect(self) -> bool:
        relay = self.relay
        try:
            connection = await relay.pool.take()
        except RelayUnavailable as unavailable:
            text = harmless(str(unavailable))
            while job := relay.next():
                relay.taken(job)
                job.finish(Outcome(verdict=Verdict.UNREACHABLE, stage=Stage.CONNECT, text=text))
            relay.lanes.discard(self)
            return False
        return self._go(connection)

    async def _see_to_it(self) -> bool:
        """See the parcel at hand to its outcome, or where it can be left; say if a task is needed then."""
        job, connection, relay = self.job, self.connection, self.relay
        if job is None:
            return self._take_up()
        try:
            if await self._hand_over(job):
                return False
        except _LostBeforeMessage as lost:
            # That a relay closes a connection it has had enough of is no failure of the message at hand.
            # Each of these has carried another to its end: that can't go on for ever.
            job.tries -= connection.has_served
            job.future.is_written = False
            relay.put_back(self.follower)
            if lost.is_final or job.tries >= TRIES:
                job.finish(_outcome_of_loss(lost))
            else:
                relay.put_back(job)
            return self._part(keep=False)
        except Exception as error:  # a fault of ours, or an interruption: told to whoever waits
            if job.future.done():
                raise  # who was to be told knows already
            job.future.set_exception(error)
            # Announced at most; it is the one at hand already if that before it was told of.
            relay.put_back(self.follower if self.job is job else self.job)
            return self._part(keep=False)
        if connection.talk.is_ended:
            relay.put_back(self.job)  # announced, perhaps, but not a byte of it was sent
            return self._part(keep=False)
        return True

    async def _hand_over(self, job: _Job) -> bool:
        """See a parcel to its outcome; True if it was written, and the rest is left to :meth:`hear`.

        Raises:
            _LostBeforeMessage: nothing was accepted; the connection must not be used again.
        """
        talk = self.connection.talk
        if not job.future.is_written:
            self._count_try(job)
            refusal = await self._open_transaction(job)
            if refusal is not None:
                job.finish(refusal)
                self.connection.has_served = True
                self.job = None
                await self._reset(talk)
                return False
            if not talk.is_open:  # gone after 354, or it said more than it was asked
                self.relay.keeps_pipelining &= talk.is_quiet
                raise _LostBeforeMessage(Stage.DATA, "the connection was closed or out of step after 354")
            if job.future.done():  # no more of it is written
                raise _LostBeforeMessage(Stage.DATA, "given up")
            if not self._write_message(job):
                return True
        # From here on only a reply is certain, or that the dot never left this process.
        try:
            await self._see_it_leave(talk, self.ahead)
            if job.is_pipelined and self._is_left_to_hear():
                return True
            reply = await talk.reply(self.relay.limits.final_reply_seconds)
        except Lost as lost:
            self._finish(Outcome(verdict=Verdict.UNKNOWN, stage=Stage.DOT, text=harmless(str(lost))))
            talk.close()
            return False
        outcome = _outcome_of_reply(Stage.DOT, reply)
        follower = self._finish(outcome)
        if outcome.verdict is Verdict.UNKNOWN or reply.code == SERVICE_CLOSING:
            talk.close()
        elif outcome.verdict is not Verdict.SENT and follower is None:
            await self._reset(talk)
        return False

    async def _see_it_leave(self, talk: Conversation, behind: int) -> None:
        """Wait until the message has left; ``behind`` is how many bytes were written after it.

        Raises:
            _LostBeforeMessage: the relay took no byte for too long, and the dot is still here.
            Lost: the same, and what is left lies behind the dot.
        """
        while left := talk.unsent:
            if await talk.comes(self.relay.limits.block_seconds):
                return
            if talk.unsent == left:
                # Whoever closes now throws away what was not sent: without its dot a message is none.
                is_dot_here = left >= behind + len(DOT_LINE)
                talk.close()
                reason = "the relay stopped taking the message"
                raise (
                    _LostBeforeMessage(Stage.DATA, reason, is_final=True) if is_dot_here else Silent(reason)
                )

    async def _open_transaction(self, job: _Job) -> Outcome | None:
        """Bring a parcel up to 354; return the outcome if it was refused on the way."""
        talk = self.connection.talk
        refusal: Outcome | None = None
        commands = {} if job.is_pipelined else job.commands(self.connection)
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
                self.relay.keeps_pipelining = False
                raise _LostBeforeMessage(stage, reply.text, reply.code)
            refusal = refusal or _outcome_of_reply(stage, reply)
            if not job.is_pipelined:
                break
        return refusal

    async def _answer(
        self, talk: Conversation, stage: Stage, job: _Job, at_hand: Reply | None = None
    ) -> Reply:
        limits = self.relay.limits
        try:
            reply = at_hand or await talk.reply(
                limits.data_seconds if stage is Stage.DATA else limits.command_seconds
            )
        except Silent as silent:
            # Some answers came to what was written together, and the others did not.
            is_cut_short = job.is_pipelined and talk.answers > 0
            self.relay.keeps_pipelining &= not is_cut_short
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
            await talk.reply(self.relay.limits.final_reply_seconds)
        except Lost:
            talk.close()

    async def _reset(self, talk: Conversation) -> None:
        """Clear the transaction after a refusal; the connection is closed if that fails."""
        if talk.is_ended:
            return
        talk.write(b"RSET\r\n")
        try:
            reply = await talk.reply(self.relay.limits.command_seconds)
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


@lru_cache(LINES)
def _outcome_of_acceptance(line: bytes) -> Outcome | None:
    """Read a line as the whole answer to a message; None unless the message was taken."""
    reply, is_last = read_line(line)
    outcome = _outcome_of_reply(Stage.DOT, reply) if reply is not None and is_last else None
    return outcome if outcome is not None and outcome.verdict is Verdict.SENT else None


@lru_cache(LINES)
def _open_message(data: bytes) -> bool:
    """Say whether these are the answers to an envelope that was written in one: its message may come."""
    *lines, rest = data.split(b"\n")
    if rest or len(lines) != len(GOOD):
        return False
    replies = map(read_line, lines)
    return all(
        reply is not None and is_last and reply.code in good
        for (reply, is_last), good in zip(replies, GOOD.values(), strict=True)
    )


def _outcome_of_loss(lost: _LostBeforeMessage) -> Outcome:
    return Outcome(
        verdict=Verdict.DEFERRED,
        stage=lost.stage,
        code=lost.code,
        enhanced=enhanced_code(lost.text),
        text=harmless(lost.text),
    )
