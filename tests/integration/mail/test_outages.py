"""The database fails in mid-run: its disk is full, or its answer to a commit never comes."""

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta

import pytest
import structlog
from sqlalchemy import event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as NoConnectionLeft
from structlog.testing import capture_logs

from service.clock import SettableClock
from service.database import Database
from service.endpoints import SmtpEndpoint
from service.keys import Keyring
from service.mail import claiming
from service.mail.claiming import SENDING_LEASE
from service.mail.courier import MemoryRelay
from service.mail.delivery import Outcome
from service.mail.message import Parcel
from service.mail.pool import Limits
from service.mail.sweeping import sweep
from service.mail.transport import SmtpRelay
from service.migrations import migrate
from tests.integration.mail.test_sending import deliver, queue_digests, rows, statuses
from tests.outages import AFTER, BEFORE, Disk, breaking_line
from tests.relays import ScriptedRelay, scripted_relay

WINDOW, PEOPLE = 8, 40
COMMITS = (1, 2, 3, 5)  # claiming, composing, then one for each half of a window


def send(
    database: Database,
    clock: SettableClock,
    keyring: Keyring,
    server: ScriptedRelay,
    patience: Iterable[float] = (),
) -> None:
    endpoint = SmtpEndpoint(f"smtp://127.0.0.1:{server.port}?starttls=never")
    relay = SmtpRelay(endpoint, helo_name="x.example.org", limits=Limits(connections=2))
    deliver(database, clock, keyring, relay, window=WINDOW, patience=patience)


def settle(database: Database, clock: SettableClock, keyring: Keyring, server: ScriptedRelay) -> None:
    """Let the time pass that it takes until everything has ended, with a tick now and then."""
    for _ in range(4):
        clock.advance(SENDING_LEASE + timedelta(minutes=1))
        with database.transaction() as session:
            sweep(session, clock())
        send(database, clock, keyring, server)


def judge(database: Database, server: ScriptedRelay, *, most_unknown: int = WINDOW) -> None:
    """Nobody has two; who has none is unknown; no more is unknown than one window."""
    copies = Counter(message.recipient for message in server.accepted)
    assert [one for one, count in copies.items() if count > 1] == []
    found = statuses(database)
    assert found["sent"] + found["unknown"] == PEOPLE
    assert found["unknown"] <= most_unknown
    without = {row.subscriber_id for row in rows(database)} - {
        int(one.partition("@")[0].removeprefix("reader")) for one in copies
    }
    assert without <= {row.subscriber_id for row in rows(database) if row.status == "unknown"}


@pytest.mark.trust(102, 104)
@pytest.mark.parametrize("is_freed", [False, True])
@pytest.mark.parametrize("number", COMMITS)
def test_a_disk_that_is_full_doubles_and_loses_nothing(
    number: int, is_freed: bool, disk: Disk, clock: SettableClock, keyring: Keyring
) -> None:
    """Freed soon enough, it costs no unknown either: what the relay said is kept until it is written down."""
    url = f"sqlite:///{disk.folder / 'paperlark.sqlite3'}"
    migrate(url)
    database = Database(url)
    queue_digests(database, PEOPLE, clock())
    disk.fill_at_commit(database, number)
    structlog.reset_defaults()
    with scripted_relay() as server:
        # What is logged goes to a file when tests run, and that is "full" as well.
        with capture_logs(), pytest.raises(DBAPIError, match=r"disk is full|disk I/O error") as told:
            send(database, clock, keyring, server, patience=disk.pauses() if is_freed else [0.0])
        assert "@" not in str(told.value)
        disk.free()
        settle(database, clock, keyring, server)
    judge(database, server, most_unknown=0 if is_freed else WINDOW)
    database.close()


@pytest.mark.trust(102, 104)
@pytest.mark.parametrize("when", [BEFORE, AFTER])
@pytest.mark.parametrize("number", COMMITS)
def test_a_commit_whose_outcome_nobody_knows_doubles_and_loses_nothing(
    number: int, when: str, postgres_url: str, clock: SettableClock, keyring: Keyring
) -> None:
    """A window that may be committed as sending is not sent but given back; what is known is written down."""
    url = postgres_url.replace("postgresql:", "postgresql+psycopg:")
    with breaking_line(url) as line, scripted_relay() as server:
        database = Database(line.url)
        queue_digests(database, PEOPLE, clock())
        line.cut_at_commit(number, when)
        with pytest.raises(DBAPIError) as told:
            send(database, clock, keyring, server, patience=(0.0,) * 3)
        assert "@" not in str(told.value)
        assert line.cuts == 1
        settle(database, clock, keyring, server)
        judge(database, server, most_unknown=0)
        database.close()


class BusyPool:
    """Has no connection left, from the one of a number on until a run has tried again."""

    def __init__(self, database: Database, number: int) -> None:
        self.left, self.is_freed = number, False
        event.listen(database.engine, "checkout", self.look)

    def look(self, *_: object) -> None:
        self.left -= 1
        if self.left < 0 and not self.is_freed:
            raise NoConnectionLeft("QueuePool limit reached")

    def pauses(self) -> Iterator[float]:
        yield 0.0
        self.is_freed = True
        yield 0.0


@pytest.mark.trust(102, 104)
@pytest.mark.parametrize("number", [2, 4, 5, 7])
def test_a_pool_without_a_connection_left_is_an_outage_like_any_other(
    number: int, database: Database, clock: SettableClock, keyring: Keyring
) -> None:
    queue_digests(database, PEOPLE, clock())
    pool = BusyPool(database, number)
    with scripted_relay() as server:
        with pytest.raises(NoConnectionLeft):
            send(database, clock, keyring, server, patience=pool.pauses())
        assert pool.is_freed
        settle(database, clock, keyring, server)
    judge(database, server, most_unknown=0)


# -- clocks ----------------------------------------------------------------------------------------------


def relay_that(happens: Callable[[], object], at: int) -> MemoryRelay:
    """Make a relay during whose answer to the message of that number something happens."""
    usual, taken = MemoryRelay().answer, [0]

    def answer(parcel: Parcel) -> Outcome:
        taken[0] += 1
        if taken[0] == at:
            happens()
        return usual(parcel)

    return MemoryRelay(answer)


def sweep_at(database: Database, now: datetime) -> None:
    with database.transaction() as session:
        sweep(session, now)


@pytest.mark.trust(102, 103, 104)
@pytest.mark.parametrize("apart", [timedelta(hours=1), timedelta(days=3)])
def test_two_workers_whose_clocks_disagree_double_and_lose_nothing(
    apart: timedelta, database: Database, clock: SettableClock, keyring: Keyring
) -> None:
    """The other one, who is ahead, takes all leases of this one for lapsed; or for endless, days later."""
    queue_digests(database, PEOPLE, clock(), expires_at=clock() + timedelta(days=9))
    other, others = SettableClock(clock() + apart), MemoryRelay()

    def other_works() -> None:
        sweep_at(database, other())
        deliver(database, other, keyring, others, window=WINDOW, worker="w2")

    def other_works_meanwhile() -> None:
        thread = threading.Thread(target=other_works)
        thread.start()
        thread.join()

    mine = relay_that(other_works_meanwhile, at=5)
    for _ in range(6):
        deliver(database, clock, keyring, mine, window=WINDOW)
        other_works()
        for each in (clock, other):
            each.advance(timedelta(hours=2))
    copies = Counter(parcel.recipient for parcel in (*mine.parcels, *others.parcels))
    assert copies == {f"reader{n}@example.org": 1 for n in range(1, PEOPLE + 1)}
    assert statuses(database) == {"sent": PEOPLE}


@pytest.mark.trust(96, 102)
@pytest.mark.parametrize("hours", [-72, 3])
def test_a_clock_that_jumps_while_mail_goes_out_doubles_and_loses_nothing(
    hours: int, database: Database, clock: SettableClock, keyring: Keyring
) -> None:
    queue_digests(database, PEOPLE, clock(), expires_at=clock() + timedelta(days=9))
    jump = timedelta(hours=hours)

    def jumps() -> None:
        clock.advance(jump)
        sweep_at(database, clock())  # another worker's: all leases are judged by the new time

    relay = relay_that(jumps, at=5)
    deliver(database, clock, keyring, relay, window=WINDOW)
    clock.advance(-jump)  # and is put right
    for _ in range(4):
        clock.advance(timedelta(hours=1))
        sweep_at(database, clock())
        deliver(database, clock, keyring, relay, window=WINDOW)
    copies = Counter(parcel.recipient for parcel in relay.parcels)
    assert copies == {f"reader{n}@example.org": 1 for n in range(1, PEOPLE + 1)}
    assert statuses(database) == {"sent": PEOPLE}


@pytest.mark.trust(104, 108)
def test_a_lease_given_by_a_clock_far_ahead_holds_nothing_for_long(
    database: Database, clock: SettableClock, keyring: Keyring
) -> None:
    queue_digests(database, PEOPLE, clock(), expires_at=clock() + timedelta(days=90))
    ahead = clock() + timedelta(days=30)
    with database.transaction() as session:
        claiming.claim(session, queue="bulk", kinds=["digest"], holder="dead", now=ahead, limit=PEOPLE)
    relay = MemoryRelay()
    sweep_at(database, clock())
    deliver(database, clock, keyring, relay, window=WINDOW)
    assert len(relay.parcels) == PEOPLE
