"""The hold: a database put back from a dump must not pour out what it has forgotten to have sent."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import MetaData, insert, select, text

from service.config import Settings
from service.database import Base, Database
from service.digests import hold, running
from service.digests.composing import DigestComposer
from service.keys import Keyring
from service.mail.courier import MemoryRelay, open_courier
from service.subscribers.links import Links
from tests import digest_world as world

FRIDAY = datetime(2026, 2, 13, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)

Dump = list[tuple[str, list[dict[str, object]]]]


def take_dump(database: Database) -> Dump:
    with database.reading() as session:
        return [
            (table.name, [dict(row) for row in session.execute(select(table)).mappings()])
            for table in Base.metadata.sorted_tables
        ]


def put_back(database: Database, dump: Dump) -> None:
    tables: MetaData = Base.metadata
    with database.transaction() as session:
        for table in reversed(tables.sorted_tables):
            if table.name != "consent_events":
                session.execute(table.delete())
        for name, rows in dump:
            if rows and name != "consent_events":
                session.execute(insert(tables.tables[name]), rows)
        if not database.is_sqlite:
            session.execute(text("SELECT setval('digests_id_seq', 1000), setval('deliveries_id_seq', 1000)"))


class Post:
    """Runs ticks and keeps what the relay was given."""

    def __init__(self, database: Database, settings: Settings, keyring: Keyring) -> None:
        self.relay = MemoryRelay()
        self._database, self._settings, self._keyring = database, settings, keyring

    def tick(self, now: datetime) -> running.RunReport:
        return running.run_due(
            self._database,
            now,
            settings=self._settings,
            keyring=self._keyring,
            composers={"digest": DigestComposer(Links("https://lark.example", self._keyring))},
            courier=open_courier(self._settings, self._keyring, relay=self.relay),
        )

    @property
    def recipients(self) -> list[str]:
        return sorted(parcel.recipient for parcel in self.relay.parcels)


@pytest.fixture
def post(database: Database, settings: Settings, keyring: Keyring) -> Post:
    world.add_papers(database, FRIDAY + 6 * HOUR, 40)
    world.note_run(database, FRIDAY + 7 * HOUR)
    world.note_tick(database, FRIDAY)
    world.add_people(
        database, [world.a_person(n, keyring, send_hour=8 if n < 4 else 10) for n in range(1, 6)]
    )
    return Post(database, settings, keyring)


def test_a_fresh_install_holds_nothing(database: Database, settings: Settings) -> None:
    assert hold.check(database, settings.data_dir, FRIDAY) is None


def test_plain_downtime_holds_nothing(post: Post, database: Database, settings: Settings) -> None:
    post.tick(FRIDAY + 8 * HOUR)
    assert hold.check(database, settings.data_dir, FRIDAY + 30 * DAY) is None
    assert post.tick(FRIDAY + 11 * HOUR).planned.planned == 2


@pytest.mark.trust(98)
@pytest.mark.parametrize("is_planned", [False, True], ids=["before planning", "between planning and sending"])
def test_after_a_restore_nothing_goes_out_before_the_release_and_nothing_twice_after_it(
    post: Post, database: Database, settings: Settings, is_planned: bool
) -> None:
    if is_planned:
        from service.digests.planning import plan_due

        plan_due(database, FRIDAY + 8 * HOUR, settings=settings)
    else:
        post.tick(FRIDAY + 7 * HOUR)
    dump = take_dump(database)
    post.tick(FRIDAY + 8 * HOUR)
    assert len(post.recipients) == 3

    put_back(database, dump)
    reports = [post.tick(FRIDAY + hours * HOUR) for hours in (8.1, 9, 10, 11)]
    assert len(post.recipients) == 3
    assert all(report.planned.is_held for report in reports)

    marked, cancelled = running.release(database, FRIDAY + 11 * HOUR, settings=settings, is_catch_up=False)
    assert marked + cancelled == 5
    for hours in (11.1, 12, 23):
        post.tick(FRIDAY + hours * HOUR)
    assert len(post.recipients) == 3

    world.add_papers(database, FRIDAY + 30 * HOUR, 20)
    post.tick(FRIDAY + DAY + 10 * HOUR)
    assert len(post.recipients) == 8  # the next date goes out to all


def test_a_hold_after_a_restore_is_told_to_the_operator(
    post: Post, database: Database, settings: Settings, keyring: Keyring
) -> None:
    dump = take_dump(database)
    post.tick(FRIDAY + 8 * HOUR)
    put_back(database, dump)
    for minutes in (5, 6, 7):
        post.tick(FRIDAY + 8 * HOUR + timedelta(minutes=minutes))

    [alert] = [row for row in world.deliveries(database) if row.kind == "alert"]
    assert alert.parameters["headline"] == "all digests are held"
    assert "paperlark release" in alert.parameters["lines"][-1]


def test_an_operator_may_send_what_is_still_in_its_time(
    post: Post, database: Database, settings: Settings
) -> None:
    with database.transaction() as session:
        hold.place(session, FRIDAY + 7 * HOUR, kind=hold.Kind.OPERATOR, reason="moving")
    assert post.tick(FRIDAY + 8 * HOUR).planned.is_held
    assert post.recipients == []

    running.release(database, FRIDAY + 9 * HOUR, settings=settings, is_catch_up=True)
    post.tick(FRIDAY + 9 * HOUR)
    assert len(post.recipients) == 3


def test_what_a_hold_outlasts_is_recorded_as_held(post: Post, database: Database, settings: Settings) -> None:
    with database.transaction() as session:
        hold.place(session, FRIDAY + 7 * HOUR, kind=hold.Kind.OPERATOR, reason="moving")
    post.tick(FRIDAY + 8 * HOUR)
    assert post.tick(FRIDAY + 20 * HOUR).planned.skipped == {"held": 5}
    assert {outcome for _, _, outcome in world.outcomes(database)} == {"held"}


def test_a_hold_stops_digests_that_wait_already(post: Post, database: Database, settings: Settings) -> None:
    post.relay.unavailable = "down for the night"
    post.tick(FRIDAY + 8 * HOUR)
    post.relay.unavailable = None
    with database.transaction() as session:
        hold.place(session, FRIDAY + 8 * HOUR, kind=hold.Kind.OPERATOR, reason="moving")
    post.tick(FRIDAY + 9 * HOUR)
    assert post.recipients == []
    running.release(database, FRIDAY + 9 * HOUR, settings=settings, is_catch_up=True)
    post.tick(FRIDAY + 9 * HOUR)
    assert len(post.recipients) == 3


def test_a_dump_from_before_the_first_planning_is_known_for_old(
    database: Database, settings: Settings, keyring: Keyring, post: Post
) -> None:
    """The planner's row comes with the tables, so the very first dump has it."""
    with database.transaction() as session:
        hold.planner(session).ticked_at = None
    dump = take_dump(database)
    post.tick(FRIDAY + 8 * HOUR)
    assert len(post.relay.parcels) == 3

    put_back(database, dump)
    post.tick(FRIDAY + 9 * HOUR)
    assert len(post.relay.parcels) == 3
    running.release(database, FRIDAY + 9 * HOUR, settings=settings, is_catch_up=False)
    post.tick(FRIDAY + 9 * HOUR)
    assert len(post.relay.parcels) == 3


@pytest.mark.trust(5)
def test_a_digest_made_again_for_the_same_date_bears_the_same_message_id(
    database: Database, settings: Settings, post: Post
) -> None:
    """Whatever else fails, the reader's mailbox can then know the second copy for one."""
    dump = take_dump(database)
    post.tick(FRIDAY + 8 * HOUR)
    put_back(database, dump)
    (settings.data_dir / hold.MARK_FILE).unlink()  # the guard's file is lost with the rest
    post.tick(FRIDAY + 9 * HOUR)

    ids = [parcel.message_id for parcel in post.relay.parcels]
    assert len(ids) == 6
    assert sorted(ids[:3]) == sorted(ids[3:])
    assert len(set(ids)) == 3


def test_another_database_in_the_same_folder_is_not_held(database: Database, settings: Settings) -> None:
    hold.write_mark(settings.data_dir, hold.Mark(database_id="another", generation=900))
    with database.transaction() as session:
        hold.planner(session)
    assert hold.check(database, settings.data_dir, FRIDAY) is None


def test_a_broken_file_tells_nothing(database: Database, settings: Settings) -> None:
    settings.data_dir.mkdir(parents=True)
    (settings.data_dir / hold.MARK_FILE).write_text("{half")
    assert hold.read_mark(settings.data_dir) is None
    assert hold.check(database, settings.data_dir, FRIDAY) is None


def test_the_file_never_goes_back(settings: Settings) -> None:
    for generation in (1, 5, 3):
        hold.write_mark(settings.data_dir, hold.Mark(database_id="one", generation=generation))
    assert hold.read_mark(settings.data_dir) == hold.Mark(database_id="one", generation=5)
    assert [path.name for path in settings.data_dir.iterdir()] == [hold.MARK_FILE]
