"""What hostile relays do, as cases: what is to become of each delivery, and a way to see what does.

Each case has two acts. In the first the relay behaves as badly as its script says; hours later, in the
second, it behaves. What was deferred or not tried goes out then; what was sent, failed or unknown must not.
``python -m benchmarks.hostile`` writes what is seen into docs/hostile-relays.md.
"""

import tempfile
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from service.clock import SettableClock
from service.database import Database
from service.endpoints import SmtpEndpoint
from service.mail import outbox
from service.mail.composing import Claimed
from service.mail.courier import RelayCourier
from service.mail.letters import AlertLetter, Letter
from service.mail.message import Parcel
from service.mail.pool import Limits
from service.mail.sending import deliver_waiting
from service.mail.tables import DeliveryRow
from service.mail.transport import SmtpRelay
from service.migrations import migrate
from tests.integration.mail.certificates import tls_contexts
from tests.relays import CUT, DROP, SILENCE, STALL, Script, ScriptedRelay, scripted_relay

COUNT = 4  # deliveries in each case
START = datetime(2026, 2, 13, 8, tzinfo=UTC)
SHORT = Limits(
    connections=2, command_seconds=0.25, data_seconds=0.25, block_seconds=0.25, final_reply_seconds=0.25
)
PATIENT = Limits(connections=2, command_seconds=10, data_seconds=10, block_seconds=10, final_reply_seconds=10)
STAGES = ("greeting", "ehlo", "mail", "rcpt", "data", "dot")
Behaviour = Callable[[str, int, int, ScriptedRelay], str | None]
"""What to answer at a stage, by the numbers of connection and message, and by what the relay has seen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One way to be hostile."""

    name: str
    relay: str  # what it does, in words
    answer: Behaviour
    first: Mapping[str, int]  # states after the first act
    pipelines: bool = False
    tls: str = ""  # "": none; offered, stripped, unknown, wrong_host
    size: int = 60  # bytes of each message

    @property
    def end(self) -> Mapping[str, int]:
        """Return the states after the second act."""
        end = Counter[str]()
        for state, count in self.first.items():
            end["sent" if state in {"queued", "deferred"} else state] += count
        return dict(end)


@dataclass(slots=True)
class Seen:
    """What became of a case."""

    first: dict[str, int] = field(default_factory=dict)
    end: dict[str, int] = field(default_factory=dict)
    doubles: int = 0  # recipients who were handed a message that had been accepted or may have been
    false: int = 0  # deliveries whose state says what the relay knows to be wrong


def at(*stages: str, say: str, connection: int | None = None, message: int | None = None) -> Behaviour:
    """Answer so at these stages, on any connection and message unless given."""

    def answer(stage: str, number: int, message_number: int, _relay: ScriptedRelay) -> str | None:
        is_here = stage in stages and connection in {None, number} and message in {None, message_number}
        return say if is_here else None

    return answer


def first_time(stage: str, say: str) -> Behaviour:
    """Answer so the first time that each recipient is named, as a greylist does."""
    known: set[str] = set()

    def answer(at_stage: str, _number: int, _message: int, relay: ScriptedRelay) -> str | None:
        if at_stage != stage:
            return None
        recipient = relay.seen[-1]
        is_new = recipient not in known
        known.add(recipient)
        return say if is_new else None

    return answer


def only(recipient: int, stage: str, say: str) -> Behaviour:
    """Answer so to one recipient."""

    def answer(at_stage: str, _number: int, _message: int, relay: ScriptedRelay) -> str | None:
        named = next((line for line in reversed(relay.seen) if line.startswith("RCPT")), "")
        return say if at_stage == stage and f"reader{recipient}@" in named else None

    return answer


def _each_stage() -> list[Case]:
    """Make a case of every kind of refusal at every command."""
    kinds = {
        "temporary": ("4xx", "451 4.3.0 later"),
        "permanent": ("5xx", "554 5.6.0 never"),
        "closing": ("421", "421 4.3.2 closing"),
        "drop": ("closes the connection", DROP),
        "silent": ("says nothing more", SILENCE),
        "garbage": ("answers with bytes that are no reply", "\x00\xfe\xffwhat?\x07"),
        "multiline_cut": ("closes in the middle of a reply of several lines", "250-one\r\n250-tw" + CUT),
    }
    cases = []
    for stage in STAGES:
        for kind, (words, say) in kinds.items():
            if stage in {"greeting", "ehlo"}:
                state = "queued"
            elif kind == "permanent":
                state = "failed"
            elif stage == "dot" and kind in {"drop", "silent", "garbage", "multiline_cut"}:
                state = "unknown"
            else:
                state = "deferred"
            where = "instead of the greeting" if stage == "greeting" else f"at {stage.upper()}"
            where = "after the dot" if stage == "dot" else where
            cases.append(
                Case(
                    name=f"{stage}-{kind}",
                    relay=f"{words} {where}",
                    answer=at(stage, say=say),
                    first={state: COUNT},
                )
            )
    return cases


CASES: Sequence[Case] = (
    *_each_stage(),
    Case(
        name="body-drop",
        relay="closes in the middle of the message, before the dot",
        answer=at("body", say=DROP),
        first={"unknown": COUNT},
    ),
    Case(
        name="body-stall",
        relay="stops reading in the middle of a large message",
        answer=at("body", say=STALL),
        first={"deferred": COUNT},
        size=16_000_000,
    ),
    Case(
        name="dot-accepts-and-drops",
        relay="keeps the message and closes without a word, once",
        answer=at("dot", say=DROP, connection=1, message=2),
        first={"sent": COUNT - 1, "unknown": 1},
    ),
    Case(
        name="dot-accepts-and-drops-pipelined",
        relay="the same, with the next envelope sent ahead",
        answer=at("dot", say=DROP, connection=1, message=2),
        first={"sent": COUNT - 1, "unknown": 1},
        pipelines=True,
    ),
    Case(
        name="dot-nonsense-code",
        relay="answers the message with 354",
        answer=at("dot", say="354 what"),
        first={"unknown": COUNT},
    ),
    Case(
        name="dot-endless-reply",
        relay="answers the message with a line that never ends",
        answer=at("dot", say="250 " + "x" * 100_000),
        first={"unknown": COUNT},
    ),
    Case(
        name="dot-long-multiline",
        relay="takes the message in a reply of fifty lines",
        answer=at("dot", say="250-2.0.0 well\r\n" * 50 + "250 2.0.0 queued"),
        first={"sent": COUNT},
    ),
    Case(
        name="dot-controls",
        relay="takes the message with control characters in its answer",
        answer=at("dot", say="250 2.0.0 \x1b[31mqueued\x07\x00"),
        first={"sent": COUNT},
    ),
    Case(
        name="rcpt-one-refused",
        relay="refuses one recipient of several",
        answer=only(2, "rcpt", "550 5.1.1 nobody"),
        first={"sent": COUNT - 1, "failed": 1},
    ),
    Case(
        name="rcpt-one-refused-pipelined",
        relay="the same, after DATA was sent ahead",
        answer=only(2, "rcpt", "550 5.1.1 nobody"),
        first={"sent": COUNT - 1, "failed": 1},
        pipelines=True,
    ),
    Case(
        name="greylist",
        relay="greylists: 450 to each recipient at first",
        answer=first_time("rcpt", "450 4.7.1 greylisted, try again"),
        first={"deferred": COUNT},
    ),
    Case(
        name="greylist-dot",
        relay="greylists after the message",
        answer=at("dot", say="451 4.7.1 greylisted, try again"),
        first={"deferred": COUNT},
    ),
    Case(
        name="policy",
        relay="refuses for policy (5.7.1) after the message",
        answer=at("dot", say="550 5.7.1 blocked"),
        first={"failed": COUNT},
    ),
    Case(
        name="storm-greeting",
        relay="a storm of 421: every second connection is greeted with it",
        answer=lambda stage, number, _m, _r: (
            "421 4.7.0 too busy" if stage == "greeting" and number % 2 == 0 else None
        ),
        first={"sent": COUNT},
    ),
    Case(
        name="storm-mail",
        relay="a storm of 421: to every MAIL on the first two connections",
        answer=lambda stage, number, _m, _r: "421 4.3.2 again" if stage == "mail" and number < 3 else None,
        first={"sent": COUNT},
    ),
    Case(
        name="storm-dot",
        relay="a storm of 421: to every message",
        answer=at("dot", say="421 4.7.28 too much"),
        first={"deferred": COUNT},
    ),
    Case(
        name="limit-silent-close",
        relay="closes without a word after one message a connection",
        answer=at("mail", say=DROP, message=2),
        first={"sent": COUNT},
    ),
    Case(
        name="limit-421",
        relay="says 421 after one message a connection",
        answer=at("mail", say="421 4.7.0 enough", message=2),
        first={"sent": COUNT},
    ),
    Case(
        name="limit-pipelined",
        relay="closes after one message a connection, with the next envelope sent ahead",
        answer=at("mail", say=DROP, message=2),
        first={"sent": COUNT},
        pipelines=True,
    ),
    Case(
        name="limit-one-connection",
        relay="allows one connection and greets others with 421",
        answer=lambda stage, number, _m, relay: (
            "421 4.7.0 one at a time" if stage == "greeting" and len(relay.talks) > 1 else None
        ),
        first={"sent": COUNT},
    ),
    Case(
        name="pipelining-503",
        relay="offers PIPELINING and answers 503 to commands sent ahead",
        answer=at("rcpt", say="503 5.5.1 one at a time", connection=1),
        first={"sent": COUNT},
        pipelines=True,
    ),
    Case(
        name="pipelining-forgets",
        relay="offers PIPELINING and forgets what came after the first command",
        answer=lambda stage, number, _m, _r: SILENCE if stage in {"rcpt", "data"} and number < 2 else None,
        first={"sent": COUNT},
        pipelines=True,
    ),
    Case(
        name="pipelining-out-of-order",
        relay="offers PIPELINING and answers DATA before RCPT",
        answer=lambda stage, number, _m, _r: (
            {"rcpt": "354 go ahead", "data": "250 2.1.5 ok"}.get(stage) if number < 2 else None
        ),
        first={"sent": COUNT},
        pipelines=True,
    ),
    Case(
        name="pipelining-too-many",
        relay="offers PIPELINING and answers once too often",
        answer=lambda stage, number, _m, _r: (
            "250 2.1.5 ok\r\n250 and more" if stage == "rcpt" and number < 2 else None
        ),
        first={"sent": COUNT},
        pipelines=True,
    ),
    Case(
        name="data-accepts-early",
        relay="says 250 right after 354, before it has the message",
        answer=lambda stage, number, _m, _r: (
            "354 go ahead\r\n250 2.0.0 taken" if stage == "data" and number < 2 else None
        ),
        first={"sent": COUNT},
        pipelines=True,
    ),
    Case(
        name="rset-drop",
        relay="refuses one recipient and closes at RSET",
        answer=lambda stage, number, m, relay: (
            DROP if stage == "rset" else only(2, "rcpt", "550 5.1.1 nobody")(stage, number, m, relay)
        ),
        first={"sent": COUNT - 1, "failed": 1},
    ),
    Case(
        name="quit-silent",
        relay="doesn't answer QUIT",
        answer=at("quit", say=SILENCE),
        first={"sent": COUNT},
    ),
    Case(
        name="tls-stripped",
        relay="doesn't offer STARTTLS, which is required",
        answer=at(say=""),
        first={"queued": COUNT},
        tls="stripped",
    ),
    Case(
        name="tls-unknown-authority",
        relay="has a certificate nobody vouches for",
        answer=at(say=""),
        first={"queued": COUNT},
        tls="unknown",
    ),
    Case(
        name="tls-wrong-host",
        relay="has a certificate for another host",
        answer=at(say=""),
        first={"queued": COUNT},
        tls="wrong_host",
    ),
    Case(
        name="tls-cut",
        relay="agrees to STARTTLS and closes in the handshake",
        answer=at("starttls", say="220 go ahead\r\n" + CUT),
        first={"queued": COUNT},
        tls="offered",
    ),
    Case(
        name="tls-refused",
        relay="offers STARTTLS and refuses it",
        answer=at("starttls", say="454 4.7.0 not now"),
        first={"queued": COUNT},
        tls="offered",
    ),
    Case(
        name="tls-injected",
        relay="has a reply in clear put behind the one to STARTTLS, which is thrown away",
        answer=at("starttls", say="220 go ahead\r\n250 injected"),
        first={"sent": COUNT},
        tls="offered",
    ),
    Case(
        name="tls-silent",
        relay="agrees to STARTTLS and says nothing more",
        answer=at("starttls", say="220 go ahead\r\n250-" + CUT),
        first={"queued": COUNT},
        tls="offered",
    ),
)


@dataclass(slots=True)
class _Press:
    """Makes parcels of a size; what they say doesn't matter here."""

    size: int

    def make(self, letter: Letter, *, nonce: int, at: datetime) -> Parcel:
        del at
        return Parcel(
            envelope_sender=f"bounce+{nonce}@bounces.example.org",
            recipient=letter.recipient,
            pieces=[b"Subject: hello\r\n\r\n" + (b"x" * 76 + b"\r\n") * max(1, self.size // 78)],
            message_id=f"{nonce}@example.org",
        )


class _Composer:
    def compose(self, session: Session, deliveries: Sequence[Claimed], now: datetime) -> dict[int, Letter]:
        del session, now
        return {
            one.id: AlertLetter(
                recipient=f"reader{one.subscriber_id}@example.org", headline="hello", lines=()
            )
            for one in deliveries
        }


def play(case: Case, database: Database, folder: Path) -> Seen:
    """Play both acts of a case on an empty database."""
    clock, acts, seen = SettableClock(START), [case.answer], Seen()
    relay: ScriptedRelay

    def script(stage: str, connection: int, message: int) -> str | None:
        return acts[0](stage, connection, message, relay) if acts else None

    with database.transaction() as session:
        for number in range(COUNT):
            outbox.queue(
                session,
                kind="digest",
                queue=outbox.BULK,
                now=START,
                expires_at=START + timedelta(days=2),
                subscriber_id=number,
            )

    def run(endpoint: SmtpEndpoint, context: object, limits: Limits) -> None:
        client = SmtpRelay(endpoint, helo_name="digest.example.org", limits=limits, tls_context=context)
        deliver_waiting(
            database,
            composers={"digest": _Composer()},
            courier=RelayCourier(press=_Press(case.size), relay=client, window=4),
            clock=clock,
            queue=outbox.BULK,
            worker="w",
        )

    with _Serving(case, script, folder) as (relay, endpoint, context):
        run(endpoint, context, SHORT)
        seen.first = _states(database)
        before = Counter(message.recipient for message in relay.received if message.data)
        done = {
            name for name, state in _recipients(database).items() if state in {"sent", "unknown", "failed"}
        }
        acts.clear()
        clock.advance(timedelta(hours=4))
        if case.tls in {"", "offered"}:
            run(endpoint, context, PATIENT)
    if case.tls in {"stripped", "unknown", "wrong_host"}:  # it takes another relay to behave
        with scripted_relay(lambda *_: None) as relay:
            run(SmtpEndpoint(f"smtp://127.0.0.1:{relay.port}?starttls=never"), None, PATIENT)
    seen.end = _states(database)
    later = Counter(message.recipient for message in relay.received if message.data)
    if case.tls not in {"stripped", "unknown", "wrong_host"}:
        later -= before
    accepted = Counter(message.recipient for message in relay.accepted if message.data)
    seen.doubles = len(done & later.keys()) + sum(count > 1 for count in accepted.values())
    states = _recipients(database)
    seen.false = sum(
        (state == "sent") != (accepted[name] == 1) for name, state in states.items() if state != "unknown"
    )
    return seen


@dataclass(slots=True)
class _Serving:
    """The relay of a case, how to reach it, and whom the client trusts."""

    case: Case
    script: Script
    folder: Path
    running: object = None

    def __enter__(self) -> tuple[ScriptedRelay, SmtpEndpoint, object]:
        server_tls = context = None
        if self.case.tls and self.case.tls != "stripped":
            host = "192.0.2.1" if self.case.tls == "wrong_host" else "127.0.0.1"
            server_tls, context = tls_contexts(self.folder, host=host)
        if self.case.tls == "unknown":
            context = None
        extensions = ("SIZE 50000000", *(["PIPELINING"] if self.case.pipelines else []))
        self.running = scripted_relay(self.script, tls=server_tls, extensions=extensions)
        relay = self.running.__enter__()
        wish = "required" if self.case.tls else "never"
        return relay, SmtpEndpoint(f"smtp://127.0.0.1:{relay.port}?starttls={wish}"), context

    def __exit__(self, *error: object) -> None:
        self.running.__exit__(*error)


def _states(database: Database) -> dict[str, int]:
    with database.reading() as session:
        return dict(Counter(session.scalars(select(DeliveryRow.status))))


def _recipients(database: Database) -> dict[str, str]:
    with database.reading() as session:
        rows = session.execute(select(DeliveryRow.subscriber_id, DeliveryRow.status))
        return {f"reader{number}@example.org": status for number, status in rows}


def play_all() -> list[tuple[Case, Seen]]:
    """Play every case, each on a database of its own."""
    played = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for number, case in enumerate(CASES):
            url = f"sqlite:///{folder / f'{number}.sqlite3'}"
            migrate(url)
            database = Database(url)
            played.append((case, play(case, database, folder)))
            database.close()
    return played
