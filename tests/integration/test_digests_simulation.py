"""Whole days and weeks in fast motion: nobody gets two, nobody gets one early, the books add up."""

import itertools
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo, available_timezones

import pytest
from sqlalchemy import select, update

from service.config import Settings
from service.database import Database
from service.digests import running
from service.digests.accounting import account
from service.digests.composing import DigestComposer
from service.digests.planning import plan_due
from service.digests.schedule import cutoff_at, due_at
from service.digests.tables import DigestRow
from service.keys import Keyring
from service.mail.courier import MemoryRelay, open_courier
from service.subscribers.links import Links
from service.subscribers.tables import SubscriberRow
from tests import digest_world as world

pytestmark = pytest.mark.timeout(900)  # some 40 s each on a quiet machine

ZONES = sorted(available_timezones() - {"localtime", "Factory"})
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
PEOPLE = 2_000
STEP = timedelta(minutes=30)  # a late tick is as good as an early one


def ticks(start: datetime, end: datetime, step: timedelta) -> Iterator[datetime]:
    now = start
    while now < end:
        yield now
        now += step


@pytest.mark.trust(94, 95)
@pytest.mark.parametrize(
    "change_day",
    [
        date(2026, 3, 29),  # Europe forward, Beirut and Nuuk around their midnight
        date(2026, 11, 1),  # North America back
    ],
)
def test_a_day_with_a_clock_change_gives_everybody_one_digest_for_each_date(
    sqlite_database: Database, settings: Settings, keyring: Keyring, change_day: date
) -> None:
    start = datetime(change_day.year, change_day.month, change_day.day, tzinfo=UTC) - 14 * HOUR
    end = start + 53 * HOUR
    world.add_papers(sqlite_database, start - 2 * HOUR, 40)
    for now in ticks(start - HOUR, end, 4 * HOUR):
        world.note_run(sqlite_database, now)
    people = [
        world.a_person(
            n,
            keyring,
            timezone=ZONES[n * 7 % len(ZONES)],
            send_hour=n % 24,
            confirmed_at=start,
            paper_count=3,
        )
        for n in range(1, PEOPLE + 1)
    ]
    world.add_people(sqlite_database, people)
    world.note_tick(sqlite_database, start)

    planned = sum(
        plan_due(sqlite_database, now, settings=settings).planned for now in ticks(start, end, STEP)
    )

    rows = world.digests(sqlite_database)
    assert len({(row.subscriber_id, row.issue_date) for row in rows}) == len(rows)
    assert sum(row.outcome == "mailed" for row in rows) == planned == len(world.deliveries(sqlite_database))
    assert {row.skip_reason for row in rows} == {None}
    by_id = {person["id"]: person for person in people}
    for row in rows:
        person = by_id[row.subscriber_id]
        due = due_at(ZoneInfo(person["timezone"]), row.issue_date, person["send_hour"])
        assert due == row.due_at
        assert max(due, start) <= row.planned_at < max(due, start) + STEP  # at the start some are caught up
    expected = Counter(
        person["id"]
        for person in people
        for offset in range(-2, 4)
        for due, cutoff in [_times(person, change_day + offset * DAY)]
        if due <= end - STEP and cutoff > start
    )
    assert Counter(row.subscriber_id for row in rows) == expected
    with sqlite_database.reading() as session:
        books = [account(session, day) for day in {row.issue_date for row in rows}]
    assert sum(one.due for one in books) == len(rows)
    assert sum(one.queued for one in books) == planned


def _times(person: dict[str, object], day: date) -> tuple[datetime, datetime]:
    zone, hour = ZoneInfo(str(person["timezone"])), int(str(person["send_hour"]))
    return due_at(zone, day, hour), cutoff_at(zone, day, hour)


def test_sixty_days_bring_no_paper_twice_and_no_muted_word(
    sqlite_database: Database, settings: Settings, keyring: Keyring
) -> None:
    """People of all kinds, changes on the way, mail that fails now and then, an outage of the source."""
    start = datetime(2026, 2, 2, tzinfo=UTC)
    muted = {n: list(world.WORDS[n % 8 :][:2]) for n in range(1, 25)}
    world.add_people(
        sqlite_database,
        [
            world.a_person(
                n,
                keyring,
                timezone=ZONES[n * 23 % len(ZONES)],
                send_hour=(5 * n) % 24,
                weekdays=(0b1111111, 0b0011111, 0b0000001, 0b0010101)[n % 4],
                paper_count=4 + n % 5,
                mutes=muted[n],
                confirmed_at=start,
            )
            for n in range(1, 25)
        ],
    )
    world.note_tick(sqlite_database, start)
    relay = MemoryRelay()
    courier = open_courier(settings, keyring, relay=relay)
    composers = {"digest": DigestComposer(Links("https://lark.example", keyring))}

    for hour, now in ((3 * n, one) for n, one in enumerate(ticks(start, start + 60 * DAY, 3 * HOUR))):
        day, of_day = divmod(hour, 24)
        if of_day % 6 == 0 and not 20 <= day < 22:
            world.note_run(sqlite_database, now)
            if of_day == 6 and now.weekday() < 5:
                world.add_papers(sqlite_database, now, 12)
        if hour % 213 == 0:
            with sqlite_database.transaction() as session:
                session.execute(
                    update(SubscriberRow)
                    .where(SubscriberRow.id == hour % 24 + 1)
                    .values(timezone=ZONES[hour % len(ZONES)], send_hour=hour % 24)
                )
        relay.unavailable = "away" if day in {30, 31} else None
        running.run_due(
            sqlite_database, now, settings=settings, keyring=keyring, composers=composers, courier=courier
        )

    rows = [row for row in world.digests(sqlite_database) if row.outcome == "mailed"]
    sent = {one.digest_id for one in world.deliveries(sqlite_database) if one.status == "sent"}
    given = [(row.subscriber_id, item["paper"]) for row in rows if row.id in sent for item in row.selection]
    assert len(rows) > 400
    assert len(relay.parcels) == len(sent)
    assert len(given) == len(set(given))
    for subscriber_id, paper in given:
        assert world.WORDS[int(paper[-3:]) % len(world.WORDS)] not in muted[subscriber_id]
    _assert_gaps(rows)
    _assert_dates_complete(sqlite_database)


def _assert_gaps(rows: list[DigestRow]) -> None:
    by_person: dict[int | None, list[DigestRow]] = {}
    for row in rows:
        by_person.setdefault(row.subscriber_id, []).append(row)
    for mine in by_person.values():
        mine.sort(key=lambda row: row.planned_at)
        for before, after in itertools.pairwise(mine):
            assert after.issue_date != before.issue_date
            assert max(abs(after.due_at - before.due_at), after.planned_at - before.due_at) >= 18 * HOUR


def _assert_dates_complete(database: Database) -> None:
    with database.reading() as session:
        days = list(session.scalars(select(DigestRow.issue_date).distinct()))
        books = [account(session, day) for day in days]
        assert sum(one.due for one in books) == len(session.scalars(select(DigestRow.id)).all())
    assert all(one.queued == one.deferred == 0 for one in books[:-3])
