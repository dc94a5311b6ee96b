"""What is raised out of a signal's handler strikes anywhere: in a task, or in a callback of the event loop.

The event loop keeps an Exception that strikes in a callback to itself, and lets a KeyboardInterrupt through.
"""

import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest

from service.clock import SettableClock
from service.database import Database
from service.endpoints import SmtpEndpoint
from service.keys import Keyring
from service.mail.conversation import Conversation
from service.mail.courier import RelayCourier
from service.mail.pool import Limits, Pool
from service.mail.sending import _Run
from service.mail.sweeping import sweep
from service.mail.transport import SmtpRelay, _Lane
from tests.integration.mail.test_sending import SoftLimit, deliver, queue_digests, statuses
from tests.relays import scripted_relay

WINDOW = 8
PIPELINING = ("SIZE 50000000", "8BITMIME", "ENHANCEDSTATUSCODES", "PIPELINING")
# What is interrupted right behind it, and at which call.
PLACES = [
    (Conversation, "write", 6),
    (Conversation, "listen", 6),
    (SmtpRelay, "next", 7),
    (SmtpRelay, "admit", 2),
    (SmtpRelay, "deliver", 6),
    (SmtpRelay, "close", 1),
    (Pool, "give", 2),
    (Pool, "close", 1),
    (RelayCourier, "prepare", 6),
    (_Lane, "_finish", 6),
    (_Lane, "_take_up", 2),
    (_Run, "_open_entry", 3),
    (_Run, "_settle", 2),
    (_Run, "_take", 3),
    (_Run, "_results", 2),
]


class WaitsForEver(BaseException):
    """Said by the alarm."""


@pytest.fixture
def _alarm() -> Iterator[None]:
    def ring(_number: int, _frame: object) -> None:
        raise WaitsForEver

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, 20)
    yield
    signal.setitimer(signal.ITIMER_REAL, 0)
    signal.signal(signal.SIGALRM, before)


def interrupt_behind(owner: type, name: str, call: int, error: BaseException) -> Callable[..., Any]:
    """Return the function of that name, that raises when it has been called so often in the main thread."""
    usual, calls = getattr(owner, name), Counter[str]()

    def interrupted(*given: Any, **named: Any) -> Any:
        said = usual(*given, **named)
        calls[name] += threading.current_thread() is threading.main_thread()
        if calls[name] == call:
            calls[name] += 1
            if hasattr(said, "close"):
                said.close()
            raise error
        return said

    return interrupted


@pytest.mark.trust(45, 104, 106)
@pytest.mark.usefixtures("_alarm")
@pytest.mark.parametrize("error", [SoftLimit(), KeyboardInterrupt()], ids=["limit", "key"])
@pytest.mark.parametrize("place", PLACES, ids=lambda place: f"{place[0].__name__}.{place[1]}")
def test_trust_106_whatever_is_interrupted_the_run_ends_and_the_next_one_sends_the_rest_once(
    sqlite_database: Database,
    clock: SettableClock,
    keyring: Keyring,
    monkeypatch: pytest.MonkeyPatch,
    place: tuple[type, str, int],
    error: BaseException,
) -> None:
    queue_digests(sqlite_database, 24, clock())
    limits = Limits(connections=2, command_seconds=60, data_seconds=60, final_reply_seconds=60)
    with scripted_relay(lambda *_: None, extensions=PIPELINING) as server:
        endpoint = SmtpEndpoint(f"smtp://127.0.0.1:{server.port}?starttls=never")
        relay = SmtpRelay(endpoint, helo_name="x.example.org", limits=limits)
        with monkeypatch.context() as patched, pytest.raises(type(error)):
            patched.setattr(place[0], place[1], interrupt_behind(*place, error))
            deliver(sqlite_database, clock, keyring, relay, window=WINDOW)
        counts = statuses(sqlite_database)
        assert counts["sending"] <= 3  # one on each connection, and one that was just being handed over
        assert counts["sent"] + counts["sending"] + counts["unknown"] >= len(server.accepted)
        assert counts["unknown"] <= 1
        assert set(counts) <= {"sent", "sending", "queued", "unknown"}  # nothing is held, nothing given up
        clock.advance(timedelta(hours=1))
        with sqlite_database.transaction() as session:
            assert sweep(session, clock()).total == counts["sending"]
        deliver(sqlite_database, clock, keyring, relay, window=WINDOW)
        recipients = Counter(mail.recipient for mail in server.received)
    assert set(recipients.values()) == {1}
    assert len(recipients) >= 24 - counts["sending"] - counts["unknown"]
    assert set(statuses(sqlite_database)) <= {"sent", "unknown"}
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("paperlark-books")]


@pytest.mark.trust(45, 106)
@pytest.mark.usefixtures("_alarm")
def test_a_fault_behind_a_message_that_was_told_of_ends_the_run_and_loses_not_the_one_announced_behind_it(
    sqlite_database: Database, clock: SettableClock, keyring: Keyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue_digests(sqlite_database, 24, clock())

    def in_lines(stage: str, *_: int) -> str | None:  # for a task to judge
        return "250-2.0.0 taken\r\n250 2.0.0 queued" if stage == "dot" else None

    with scripted_relay(in_lines, extensions=PIPELINING) as server:
        endpoint = SmtpEndpoint(f"smtp://127.0.0.1:{server.port}?starttls=never")
        relay = SmtpRelay(endpoint, helo_name="x.example.org", limits=Limits(connections=1))
        with monkeypatch.context() as patched:
            patched.setattr(_Lane, "_finish", interrupt_behind(_Lane, "_finish", 6, RuntimeError("a bug")))
            with pytest.raises(RuntimeError):
                deliver(sqlite_database, clock, keyring, relay, window=WINDOW)
        counts = statuses(sqlite_database)
        assert counts["sent"] == len(server.accepted) < 24
        assert counts["queued"] == 24 - counts["sent"]
        clock.advance(timedelta(minutes=5))
        deliver(sqlite_database, clock, keyring, relay, window=WINDOW)
        recipients = Counter(mail.recipient for mail in server.received)
    assert recipients == {f"reader{n}@example.org": 1 for n in range(1, 25)}
