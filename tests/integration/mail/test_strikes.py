"""What a signal's handler raises may strike between any two steps of the interpreter, in tasks too.

Tracing raises it there: the mail engine's own lines are gone through opcode by opcode, and at one of them it
strikes, as a task's time limit would.
"""

import gc
import random
import signal
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, Self

import pytest

from service.clock import SettableClock
from service.database import Database
from service.endpoints import SmtpEndpoint
from service.keys import Keyring
from service.mail import conversation, pool, relays, sending, transport
from service.mail.pool import Limits
from service.mail.relays import Member, Relays
from service.mail.sweeping import sweep
from service.mail.transport import SmtpRelay
from tests.integration.mail.test_sending import SoftLimit, deliver, queue_digests, statuses
from tests.relays import ScriptedRelay, scripted_relay

PEOPLE, WINDOW, CONNECTIONS = 16, 8, 2
MOST_STEPS = 30_000
PLACES = 4  # for each kind of relay and of error
ENGINE = {Path(module.__file__).name for module in (conversation, pool, relays, sending, transport)}
ENGINE_FOLDER = str(Path(sending.__file__).parent)
PLAIN = ("SIZE 50000000",)  # each answer is waited for by a task
PIPELINING = (*PLAIN, "PIPELINING")


class WaitsForEver(BaseException):
    """Said by the alarm."""


class Strike:
    """Counts the steps of the engine in this thread; raises ``error`` at one of them."""

    def __init__(self, error: BaseException | None = None, *, at: int = -1) -> None:
        self.error, self.at, self.count = error, at, 0
        self.place = "nowhere"

    @property
    def has_struck(self) -> bool:
        return self.count >= self.at

    def __enter__(self) -> Self:
        self.before = sys.gettrace()
        sys.settrace(self._enter)
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        sys.settrace(self.before)

    def _enter(self, frame: FrameType, event: str, _: Any) -> Any:
        folder, _, name = frame.f_code.co_filename.rpartition("/")
        if folder != ENGINE_FOLDER or name not in ENGINE:
            return None
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        return self._step

    def _step(self, frame: FrameType, event: str, _: Any) -> Any:
        if event == "opcode":
            self.count += 1
            if self.count == self.at:
                code = frame.f_code
                self.place = f"{Path(code.co_filename).name}:{frame.f_lineno} {code.co_qualname}"
                raise self.error
        return self._step


@contextmanager
def alarm() -> Iterator[None]:
    def ring(_number: int, _frame: object) -> None:
        raise WaitsForEver

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, 20)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def odd_answers(stage: str, connection: int, message: int) -> str | None:
    """Answer so that now and then a task is needed; nothing is refused for good."""
    if stage == "dot" and message % 3 == 0:
        return "250-2.0.0 taken\r\n250 2.0.0 queued"
    if stage == "mail" and message % 4 == 0 and connection % 2:
        return "421 4.3.2 closing"
    return None


def carrier(servers: list[ScriptedRelay]) -> Relays:
    limits = Limits(connections=CONNECTIONS, command_seconds=60, data_seconds=60, final_reply_seconds=60)
    members = []
    for server in servers:
        endpoint = SmtpEndpoint(f"smtp://127.0.0.1:{server.port}?starttls=never")
        members.append(Member(SmtpRelay(endpoint, helo_name="x.example.org", limits=limits)))
    return Relays(members)


def strike_once(
    database: Database,
    clock: SettableClock,
    keyring: Keyring,
    strike: Strike,
    extensions: tuple[str, ...],
    relay_count: int,
) -> None:
    """Let it strike one run, then let others do what is left."""

    def run(servers: list[ScriptedRelay]) -> None:
        with alarm():
            deliver(database, clock, keyring, carrier(servers), window=WINDOW)

    queue_digests(database, PEOPLE, clock())
    with ExitStack() as stack:
        servers = [
            stack.enter_context(scripted_relay(odd_answers, extensions=extensions))
            for _ in range(relay_count)
        ]
        is_told = False
        try:
            with strike:
                run(servers)
        except type(strike.error):
            is_told = True
        assert is_told is strike.has_struck
        counts = statuses(database)
        taken = sum(len(server.accepted) for server in servers)
        uncertain = counts["sending"] + counts["unknown"]
        assert uncertain <= CONNECTIONS * relay_count
        assert counts["sent"] <= taken <= counts["sent"] + uncertain
        for _ in range(2):
            clock.advance(timedelta(hours=1))
            with database.transaction() as session:
                sweep(session, clock())
            run(servers)
        copies = Counter(mail.recipient for server in servers for mail in server.received)
    assert set(copies.values()) == {1}
    counts = statuses(database)
    assert counts["unknown"] <= uncertain
    assert counts["sent"] + counts["unknown"] == PEOPLE
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("paperlark-books")]


@pytest.mark.trust(45, 102, 104, 106)
# A coroutine just made and not yet awaited is found by nobody but Python.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("part", range(PLACES))
@pytest.mark.parametrize("error", [SoftLimit, KeyboardInterrupt])
@pytest.mark.parametrize(
    ("extensions", "relay_count"), [(PLAIN, 1), (PIPELINING, 1), (PLAIN, 2), (PIPELINING, 2)]
)
def test_wherever_it_strikes_the_run_ends_and_nobody_gets_two(
    sqlite_database: Database,
    clock: SettableClock,
    keyring: Keyring,
    extensions: tuple[str, ...],
    relay_count: int,
    error: type[BaseException],
    part: int,
) -> None:
    at = random.Random(f"{part}/{error}/{extensions}/{relay_count}").randrange(MOST_STEPS)
    strike_once(sqlite_database, clock, keyring, Strike(error(), at=at), extensions, relay_count)
    gc.collect()
