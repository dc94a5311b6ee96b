"""One chunk is written while the next is chosen: nobody is planned twice, and nothing is left half done."""

import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import event, func, select
from sqlalchemy.engine import Connection
from sqlalchemy.exc import OperationalError

from service.config import Settings
from service.database import Database
from service.digests import hold
from service.digests.planning import plan_due
from service.digests.tables import DigestRow, PlannerRow
from service.keys import Keyring
from tests import digest_world as world

EIGHT = datetime(2026, 2, 13, 8, tzinfo=UTC)
HOUR = timedelta(hours=1)
CHUNK = 1_000
PATIENCE = 20


@pytest.fixture
def stocked(database: Database) -> Database:
    """A database with papers of this morning and a source that answers."""
    world.stock(database, EIGHT)
    return database


class SoftLimit(Exception):
    """What a soft time limit raises, in the main thread and at any point."""


class Watch:
    """Sees the statements of the thread that reads, and stops the one that writes before its commits."""

    def __init__(self) -> None:
        self.reads: list[str] = []
        self.chunks_read = threading.Semaphore(0)  # as far as people's interests
        self.commits = 0

    def look(self, _connection: object, _cursor: object, statement: str, *_: object) -> None:
        if threading.current_thread() is threading.main_thread():
            self.reads.append(statement)
            if "FROM interests" in statement:
                self.chunks_read.release()

    def commit(self, _connection: Connection) -> None:
        if threading.current_thread() is not threading.main_thread():
            self.commits += 1
            self.before_commit(self.commits)

    def before_commit(self, number: int) -> None:
        """Do nothing."""


@contextmanager
def watched(database: Database, watch: Watch) -> Iterator[None]:
    event.listen(database.engine, "before_cursor_execute", watch.look)
    event.listen(database.engine, "commit", watch.commit)
    try:
        yield
    finally:
        event.remove(database.engine, "before_cursor_execute", watch.look)
        event.remove(database.engine, "commit", watch.commit)


def judge(database: Database, people: int) -> None:
    """Each has one digest, with a delivery and its papers in the ledger."""
    found = world.digests(database)
    assert Counter(one.subscriber_id for one in found) == dict.fromkeys(range(1, people + 1), 1)
    assert sorted(one.digest_id for one in world.deliveries(database)) == sorted(one.id for one in found)
    frozen = sorted((one.subscriber_id, item["paper"]) for one in found for item in one.selection)
    assert world.seen(database) == frozen


def count_digests(database: Database) -> int:
    with database.reading() as session:
        return session.scalars(select(func.count()).select_from(DigestRow)).one()


@pytest.mark.trust(103, 111)
def test_the_next_chunk_is_chosen_while_one_is_written(
    stocked: Database, settings: Settings, keyring: Keyring
) -> None:
    class Waiting(Watch):
        def before_commit(self, number: int) -> None:
            if number == 1:
                assert self.chunks_read.acquire(timeout=PATIENCE)  # itself
                assert self.chunks_read.acquire(timeout=PATIENCE)  # and the next

    world.add_people(stocked, [world.a_person(n, keyring) for n in range(1, 2 * CHUNK + 101)])
    watch = Waiting()
    with watched(stocked, watch):
        tally = plan_due(stocked, EIGHT, settings=settings)

    assert (tally.planned, watch.commits) == (2 * CHUNK + 100, 3)
    judge(stocked, 2 * CHUNK + 100)


def test_who_gets_a_first_digest_is_not_looked_at_for_another_before_that_is_written(
    stocked: Database, settings: Settings, keyring: Keyring
) -> None:
    class Slow(Watch):
        read_meanwhile = -1

        def before_commit(self, number: int) -> None:
            if number == 1:
                before = len(self.reads)
                time.sleep(0.3)
                self.read_meanwhile = len(self.reads) - before

    person = world.a_person(1, keyring, confirmed_at=EIGHT)
    world.add_people(stocked, [person, world.a_person(2, keyring)])
    world.note_confirmation(stocked, person, EIGHT)
    watch = Slow()
    with watched(stocked, watch):
        assert plan_due(stocked, EIGHT, settings=settings).planned == 2

    assert (watch.commits, watch.read_meanwhile) == (2, 0)
    judge(stocked, 2)


@pytest.mark.trust(102)
def test_what_goes_wrong_while_writing_ends_the_planning_and_a_chunk_chosen_by_then_is_dropped(
    stocked: Database, settings: Settings, keyring: Keyring
) -> None:
    class Gone(Watch):
        def before_commit(self, number: int) -> None:
            if number == 2:
                raise OperationalError("COMMIT", None, ConnectionError("gone"))

    world.add_people(stocked, [world.a_person(n, keyring) for n in range(1, 2 * CHUNK + 101)])
    watch = Gone()
    with watched(stocked, watch), pytest.raises(OperationalError, match="gone"):
        plan_due(stocked, EIGHT, settings=settings)

    assert (watch.commits, count_digests(stocked)) == (2, CHUNK)
    assert plan_due(stocked, EIGHT, settings=settings).planned == CHUNK + 100
    judge(stocked, 2 * CHUNK + 100)


@pytest.mark.trust(102, 113)
def test_a_soft_time_limit_waits_until_what_is_being_written_is_written(
    stocked: Database, settings: Settings, keyring: Keyring
) -> None:
    class Limited(Watch):
        def before_commit(self, number: int) -> None:
            if number == 1:
                signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR1)
                time.sleep(0.5)

    def interrupt(_number: int, _frame: object) -> None:
        raise SoftLimit

    world.add_people(stocked, [world.a_person(n, keyring) for n in range(1, CHUNK + 101)])
    earlier = signal.signal(signal.SIGUSR1, interrupt)
    try:
        with watched(stocked, Limited()), pytest.raises(SoftLimit):
            plan_due(stocked, EIGHT, settings=settings)
    finally:
        signal.signal(signal.SIGUSR1, earlier)

    assert not [one for one in threading.enumerate() if one.name.startswith("planning")]
    with stocked.reading() as session:
        planner = session.get_one(PlannerRow, 1)
    assert (count_digests(stocked), planner.generation) == (CHUNK, 1)
    assert hold.read_mark(settings.data_dir) == hold.Mark(database_id=planner.database_id, generation=1)
    assert plan_due(stocked, EIGHT, settings=settings).planned == 100
    judge(stocked, CHUNK + 100)
