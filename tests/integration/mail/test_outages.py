"""The database fails in mid-run: its disk is full, or its answer to a commit never comes."""

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy.exc import DBAPIError

from service.clock import SettableClock
from service.database import Database
from service.endpoints import SmtpEndpoint
from service.keys import Keyring
from service.mail.claiming import SENDING_LEASE
from service.mail.pool import Limits
from service.mail.sweeping import sweep
from service.mail.transport import SmtpRelay
from service.migrations import migrate
from tests.integration.mail.test_sending import deliver, queue_digests, rows, statuses
from tests.outages import AFTER, BEFORE, Disk, breaking_line, limited_files, small_disk
from tests.relays import ScriptedRelay, scripted_relay

WINDOW, PEOPLE = 8, 40
COMMITS = (1, 2, 3, 5)  # claiming, composing, then one for each half of a window


def send(database: Database, clock: SettableClock, keyring: Keyring, server: ScriptedRelay) -> None:
    endpoint = SmtpEndpoint(f"smtp://127.0.0.1:{server.port}?starttls=never")
    relay = SmtpRelay(endpoint, helo_name="x.example.org", limits=Limits(connections=2))
    deliver(database, clock, keyring, relay, window=WINDOW)


def settle(database: Database, clock: SettableClock, keyring: Keyring, server: ScriptedRelay) -> None:
    """Let the time pass that it takes until everything has ended, with a tick now and then."""
    for _ in range(4):
        clock.advance(SENDING_LEASE + timedelta(minutes=1))
        with database.transaction() as session:
            sweep(session, clock())
        send(database, clock, keyring, server)


def judge(database: Database, server: ScriptedRelay) -> None:
    """Nobody has two; who has none is unknown; no more is unknown than one window."""
    copies = Counter(message.recipient for message in server.accepted)
    assert [one for one, count in copies.items() if count > 1] == []
    found = statuses(database)
    assert found["sent"] + found["unknown"] == PEOPLE
    assert found["unknown"] <= WINDOW
    without = {row.subscriber_id for row in rows(database)} - {
        int(one.partition("@")[0].removeprefix("reader")) for one in copies
    }
    assert without <= {row.subscriber_id for row in rows(database) if row.status == "unknown"}


@pytest.fixture(params=[small_disk, limited_files])
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Disk]:
    folder = tmp_path / "disk"
    folder.mkdir()
    with request.param(folder) as made:
        yield made


@pytest.mark.trust(102, 104)
@pytest.mark.parametrize("number", COMMITS)
def test_a_disk_that_is_full_doubles_and_loses_nothing(
    number: int, disk: Disk, clock: SettableClock, keyring: Keyring
) -> None:
    url = f"sqlite:///{disk.folder / 'paperlark.sqlite3'}"
    migrate(url)
    database = Database(url)
    queue_digests(database, PEOPLE, clock())
    disk.fill_at_commit(database, number)
    with scripted_relay() as server:
        with pytest.raises(DBAPIError, match=r"disk is full|disk I/O error") as told:
            send(database, clock, keyring, server)
        assert "@" not in str(told.value)
        disk.free()
        settle(database, clock, keyring, server)
    judge(database, server)
    database.close()


@pytest.mark.trust(102, 104)
@pytest.mark.parametrize("when", [BEFORE, AFTER])
@pytest.mark.parametrize("number", COMMITS)
def test_a_commit_whose_outcome_nobody_knows_doubles_and_loses_nothing(
    number: int, when: str, postgres_url: str, clock: SettableClock, keyring: Keyring
) -> None:
    url = postgres_url.replace("postgresql:", "postgresql+psycopg:")
    with breaking_line(url) as line, scripted_relay() as server:
        database = Database(line.url)
        queue_digests(database, PEOPLE, clock())
        line.cut_at_commit(number, when)
        with pytest.raises(DBAPIError) as told:
            send(database, clock, keyring, server)
        assert "@" not in str(told.value)
        assert line.cuts == 1
        settle(database, clock, keyring, server)
        judge(database, server)
        database.close()
