"""Planning and the mark, where the disk is full, the database goes away, or the clock is off."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import structlog
from sqlalchemy import select, update
from sqlalchemy.exc import DBAPIError
from structlog.testing import capture_logs

from service.config import Settings
from service.database import Database
from service.digests import hold, running
from service.digests.composing import KINDS, DigestComposer
from service.digests.planning import plan_due
from service.digests.tables import DigestRow, PlannerRow
from service.keys import Keyring
from service.mail import outbox
from service.mail.courier import MemoryRelay, open_courier
from service.migrations import migrate
from service.subscribers.links import Links
from service.subscribers.tables import SubscriberRow
from tests import digest_world as world
from tests.integration.mail.test_sending import SampleComposer
from tests.outages import AFTER, BEFORE, Disk, breaking_line, limited_files

FRIDAY = datetime(2026, 2, 13, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
PEOPLE = 20


def stock(database: Database, keyring: Keyring, people: int = PEOPLE) -> None:
    world.add_papers(database, FRIDAY + 6 * HOUR, 20)
    world.note_run(database, FRIDAY + 7 * HOUR)
    world.note_tick(database, FRIDAY)
    world.add_people(database, [world.a_person(n, keyring) for n in range(1, people + 1)])


def judge(database: Database) -> None:
    """Each has one digest, with a delivery, and no paper is in the ledger without its digest."""
    found = world.digests(database)
    assert Counter(one.subscriber_id for one in found) == dict.fromkeys(range(1, PEOPLE + 1), 1)
    assert {one.outcome for one in found} == {"mailed"}
    assert sorted(one.digest_id for one in world.deliveries(database)) == sorted(one.id for one in found)
    frozen = sorted((one.subscriber_id, item["paper"]) for one in found for item in one.selection)
    assert world.seen(database) == frozen


@pytest.mark.trust(96, 102)
@pytest.mark.parametrize("number", [1, 2])
def test_a_disk_that_is_full_while_planning_gives_nobody_two(
    number: int, disk: Disk, settings: Settings, keyring: Keyring
) -> None:
    url = f"sqlite:///{disk.folder / 'paperlark.sqlite3'}"
    migrate(url)
    database = Database(url)
    stock(database, keyring)
    disk.fill_at_commit(database, number)
    with pytest.raises(DBAPIError, match=r"disk is full|disk I/O error"):
        plan_due(database, FRIDAY + 8 * HOUR, settings=settings)
    disk.free()
    plan_due(database, FRIDAY + 8 * HOUR, settings=settings)
    judge(database)
    database.close()


@pytest.mark.trust(96, 102)
@pytest.mark.parametrize("when", [BEFORE, AFTER])
def test_a_planning_whose_commit_nobody_answered_gives_nobody_two(
    when: str, postgres_url: str, settings: Settings, keyring: Keyring
) -> None:
    with breaking_line(postgres_url.replace("postgresql:", "postgresql+psycopg:")) as line:
        database = Database(line.url)
        stock(database, keyring)
        for number in (1, 2, 3, 4):
            line.cut_at_commit(number, when)
            with pytest.raises(DBAPIError):
                plan_due(database, FRIDAY + 8 * HOUR, settings=settings)
        line.cut_at_commit(0, when)
        plan_due(database, FRIDAY + 8 * HOUR, settings=settings)
        judge(database)
        database.close()


@pytest.mark.trust(96, 97)
@pytest.mark.parametrize("ahead", [3 * HOUR, 30 * DAY])
def test_what_a_clock_ahead_of_its_time_skipped_is_asked_about_again(
    ahead: timedelta, database: Database, settings: Settings, keyring: Keyring
) -> None:
    stock(database, keyring, people=3)
    with database.transaction() as session:
        session.execute(update(SubscriberRow).where(SubscriberRow.id == 2).values(send_hour=10))
        session.execute(update(SubscriberRow).where(SubscriberRow.id == 3).values(weekdays=0))
    plan_due(database, FRIDAY + 8 * HOUR, settings=settings)
    plan_due(database, FRIDAY + 8 * HOUR + ahead, settings=settings)
    mailed_ahead = {one.issue_date for one in world.digests(database) if one.outcome == "mailed"}

    for day in range(4):  # the clock is right again
        at = FRIDAY + day * DAY
        if day:
            world.add_papers(database, at + 6 * HOUR, 20)
        world.note_run(database, at + 7 * HOUR)
        for hour in (9, 10, 21):
            plan_due(database, at + hour * HOUR, settings=settings)

    dates = [(FRIDAY + n * DAY).date() for n in range(4)]
    found = world.outcomes(database)
    pairs = [(who, day) for who, day, _ in found]
    assert len(pairs) == len(set(pairs))
    for who in (1, 2):
        mine = {day: outcome for person, day, outcome in found if person == who and day in dates}
        assert [mine.get(day) for day in dates] == ["mailed"] * 4, mailed_ahead


@pytest.mark.trust(98)
def test_what_a_restore_held_back_stays_held_whatever_the_clock_says(
    database: Database, settings: Settings, keyring: Keyring
) -> None:
    stock(database, keyring, people=2)
    with database.transaction() as session:
        hold.place(session, FRIDAY + 8 * HOUR, kind=hold.Kind.RESTORE, reason="a test")
    assert running.release(database, FRIDAY + 9 * HOUR, settings=settings, is_catch_up=False)[0] > 0
    world.note_tick(database, FRIDAY + 9 * HOUR)
    plan_due(database, FRIDAY - 30 * HOUR, settings=settings)
    plan_due(database, FRIDAY + 9 * HOUR, settings=settings)
    assert {one.skip_reason for one in world.digests(database) if one.issue_date == FRIDAY.date()} == {"held"}
    assert world.deliveries(database) == []


@pytest.mark.trust(98)
def test_where_the_mark_cannot_be_written_digests_wait_and_confirmations_go(
    postgres_url: str, tmp_path: Path, settings: Settings, keyring: Keyring
) -> None:
    database = Database(postgres_url.replace("postgresql:", "postgresql+psycopg:"))
    stock(database, keyring, people=3)
    now = FRIDAY + 8 * HOUR
    row = {"kind": "confirm", "queue": outbox.BULK, "now": now, "expires_at": now + DAY, "subscriber_id": 1}
    with database.transaction() as session:
        outbox.queue_many(session, [row])
    relay = MemoryRelay()

    def deliver() -> int:
        composer = DigestComposer(Links("https://lark.example", keyring))
        running.deliver(
            database,
            settings=settings,
            keyring=keyring,
            composers={"confirm": SampleComposer()} | dict.fromkeys(KINDS, composer),
            courier=open_courier(settings, keyring, relay=relay),
            clock=lambda: now,
            queue=outbox.BULK,
            worker="w",
        )
        return len(relay.parcels)

    structlog.reset_defaults()
    with limited_files(tmp_path) as disk, capture_logs() as logs:  # a log in a file is full as well
        disk.fill()
        plan_due(database, now, settings=settings)
        assert deliver() == 1
        disk.free()
    assert {entry["reason"] for entry in logs if entry["event"] == "mark_not_written"} == {"File too large"}
    assert not list(settings.data_dir.glob(f".{hold.MARK_FILE}*"))
    assert deliver() == 4
    mark = hold.read_mark(settings.data_dir)
    with database.reading() as session:
        assert mark is not None
        assert mark.generation == session.get_one(PlannerRow, 1).generation
    database.close()


def test_books_stay_whole_when_digests_are_asked_about_again(
    database: Database, settings: Settings, keyring: Keyring
) -> None:
    stock(database, keyring, people=2)
    plan_due(database, FRIDAY + 3 * DAY + 21 * HOUR, settings=settings)
    plan_due(database, FRIDAY + 7 * HOUR, settings=settings)
    with database.reading() as session:
        assert not [one for one in session.scalars(select(DigestRow)) if one.due_at > FRIDAY + 7 * HOUR]
