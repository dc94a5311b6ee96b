"""Planning: who gets a digest when, once, from which papers, and what is written down when nobody does."""

from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import update

from service.config import Settings
from service.database import Database
from service.digests.planning import plan_due, plan_first
from service.keys import Keyring
from service.papers.tables import PaperRow
from service.subscribers.tables import SubscriberRow
from tests import digest_world as world

FRIDAY = datetime(2026, 2, 13, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


@pytest.fixture
def stocked(database: Database) -> Database:
    """A database with papers of this morning and a source that answers."""
    world.add_papers(database, FRIDAY + 6 * HOUR, 20)
    world.note_run(database, FRIDAY + 7 * HOUR)
    world.note_tick(database, FRIDAY)
    return database


def change(database: Database, subscriber_id: int, **values: object) -> None:
    with database.transaction() as session:
        session.execute(update(SubscriberRow).where(SubscriberRow.id == subscriber_id).values(**values))


def test_a_digest_is_planned_at_its_hour_once_and_frozen(
    stocked: Database, settings: Settings, keyring: Keyring
) -> None:
    world.add_people(stocked, [world.a_person(1, keyring)])

    early = plan_due(stocked, FRIDAY + 8 * HOUR - timedelta(minutes=1), settings=settings)
    on_time = plan_due(stocked, FRIDAY + 8 * HOUR, settings=settings)
    again = plan_due(stocked, FRIDAY + 8 * HOUR, settings=settings)
    later = plan_due(stocked, FRIDAY + 9 * HOUR, settings=settings)

    assert [early.planned, on_time.planned, again.planned, later.planned] == [0, 1, 0, 0]
    (digest,) = world.digests(stocked)
    (delivery,) = world.deliveries(stocked)
    papers = [item["paper"] for item in digest.selection]
    assert len(set(papers)) == 5
    assert all(item["reasons"] and item["upvotes"] is not None for item in digest.selection)
    assert world.seen(stocked) == sorted((1, paper) for paper in papers)
    assert (delivery.queue, delivery.digest_id, delivery.subscriber_id) == ("bulk", digest.id, 1)
    assert delivery.expires_at == FRIDAY + 20 * HOUR


def test_the_next_day_brings_other_papers(stocked: Database, settings: Settings, keyring: Keyring) -> None:
    world.add_people(stocked, [world.a_person(1, keyring)])
    for day in range(3):
        world.note_run(stocked, FRIDAY + day * DAY + 7.5 * HOUR)
        plan_due(stocked, FRIDAY + day * DAY + 8 * HOUR, settings=settings)

    papers = [item["paper"] for digest in world.digests(stocked) for item in digest.selection]
    assert len(papers) == len(set(papers)) == 15


@pytest.mark.trust(37, 67)
def test_nobody_is_due_who_is_paused_gone_pending_or_has_another_weekday(
    stocked: Database, settings: Settings, keyring: Keyring
) -> None:
    world.add_people(
        stocked,
        [
            world.a_person(1, keyring, paused_until=FRIDAY + DAY),
            world.a_person(2, keyring, status="unsubscribed"),
            world.a_person(3, keyring, status="pending"),
            world.a_person(4, keyring, weekdays=0b0001111),
            world.a_person(5, keyring, paused_until=FRIDAY),
        ],
    )
    plan_due(stocked, FRIDAY + 8 * HOUR, settings=settings)

    assert world.outcomes(stocked) == [(5, FRIDAY.date(), "mailed")]


@pytest.mark.trust(99)
def test_no_papers_is_recorded_once_and_never_mailed(
    database: Database, settings: Settings, keyring: Keyring
) -> None:
    world.add_people(database, [world.a_person(1, keyring)])
    world.note_run(database, FRIDAY + 7 * HOUR)
    world.note_tick(database, FRIDAY)

    tallies = [plan_due(database, FRIDAY + hour * HOUR, settings=settings) for hour in (8, 9, 10)]

    assert [tally.skipped for tally in tallies] == [{"empty": 1}, {}, {}]
    assert world.outcomes(database) == [(1, FRIDAY.date(), "empty")]
    assert world.deliveries(database) == []


@pytest.mark.trust(99)
def test_an_outage_is_waited_out_until_the_cutoff(
    stocked: Database, settings: Settings, keyring: Keyring
) -> None:
    """Nothing new since the last digest and no source that answers: not the same as no papers."""
    people = [world.a_person(n, keyring, last_digest_at=FRIDAY + 8 * HOUR) for n in (1, 2)]
    people[1]["send_hour"] = 9
    world.add_people(stocked, people)
    saturday = FRIDAY + DAY
    world.note_tick(stocked, saturday)

    plan_due(stocked, saturday + 8 * HOUR, settings=settings)
    plan_due(stocked, saturday + 9 * HOUR, settings=settings)
    assert world.outcomes(stocked) == []

    world.add_papers(stocked, saturday + 10 * HOUR, 6)  # it is back, and so is person 1's digest
    change(stocked, 2, last_digest_at=saturday + 11 * HOUR)
    plan_due(stocked, saturday + 12 * HOUR, settings=settings)
    assert world.outcomes(stocked) == [(1, saturday.date(), "mailed")]

    plan_due(stocked, saturday + 19 * HOUR, settings=settings)
    tally = plan_due(stocked, saturday + 20 * HOUR, settings=settings)
    assert tally.skipped == {"source_outage": 1}
    assert world.outcomes(stocked)[1:] == [(2, saturday.date(), "source_outage")]


@pytest.mark.trust(97)
def test_after_downtime_one_digest_comes_and_the_rest_is_recorded_as_missed(
    database: Database, settings: Settings, keyring: Keyring
) -> None:
    zones = ["Pacific/Kiritimati", "Asia/Tokyo", "Europe/Berlin", "America/Los_Angeles", "Pacific/Pago_Pago"]
    world.add_people(database, [world.a_person(n, keyring, timezone=zone) for n, zone in enumerate(zones, 1)])
    for day in range(-4, 5):
        world.add_papers(database, FRIDAY + day * DAY, 10)
        world.note_run(database, FRIDAY + day * DAY + HOUR)
    world.note_tick(database, FRIDAY - 49 * HOUR)
    for hour in range(-48, 0):
        plan_due(database, FRIDAY + hour * HOUR, settings=settings)
    before = len(world.deliveries(database))

    back = FRIDAY + 3 * DAY + 10 * HOUR
    plan_due(database, back, settings=settings)
    at_once = world.deliveries(database)[before:]
    assert len({one.subscriber_id for one in at_once}) == len(at_once)
    for minute in range(1, 60 * 24):
        if minute % 30 == 0:
            plan_due(database, back + timedelta(minutes=minute), settings=settings)

    missed = [one for one in world.outcomes(database) if one[2] == "missed"]
    assert {subscriber_id for subscriber_id, _, _ in missed} == {1, 2, 3, 4, 5}
    pairs = [(subscriber_id, day) for subscriber_id, day, _ in world.outcomes(database)]
    assert len(pairs) == len(set(pairs))
    for number in range(1, 6):  # no date without an outcome
        mine = sorted(day for subscriber_id, day in pairs if subscriber_id == number)
        assert mine == [mine[0] + n * DAY for n in range(len(mine))]
        assert len(mine) >= 5


def test_nothing_is_missed_before_confirmation_or_longer_than_a_week_ago(
    stocked: Database, settings: Settings, keyring: Keyring
) -> None:
    world.add_people(
        stocked,
        [world.a_person(1, keyring), world.a_person(2, keyring, confirmed_at=FRIDAY - DAY - 12 * HOUR)],
    )
    world.note_tick(stocked, FRIDAY - 30 * DAY)
    plan_due(stocked, FRIDAY + 7 * HOUR, settings=settings)

    found = world.outcomes(stocked)
    assert {day for who, day, _ in found if who == 2} == {date(2026, 2, 12)}
    assert {day for who, day, _ in found if who == 1} == {date(2026, 2, day) for day in range(6, 13)}
    assert {reason for _, _, reason in found} == {"missed"}


@pytest.mark.trust(96)
def test_a_clock_that_jumps_gives_nobody_two(stocked: Database, settings: Settings, keyring: Keyring) -> None:
    world.add_people(stocked, [world.a_person(1, keyring)])
    world.note_run(stocked, FRIDAY + 31 * HOUR)
    for hours in (8, 9, -16, 8, 33, 8, 32):
        plan_due(stocked, FRIDAY + hours * HOUR, settings=settings)

    mailed = [day for _, day, outcome in world.outcomes(stocked) if outcome == "mailed"]
    assert sorted(mailed) == [date(2026, 2, 13), date(2026, 2, 14)]


@pytest.mark.trust(95)
def test_moving_west_after_the_morning_digest_brings_no_second_one(
    stocked: Database, settings: Settings, keyring: Keyring
) -> None:
    """08:00 in Auckland is 19:00 UTC of the day before; then to Los Angeles, where that date comes again."""
    auckland = world.a_person(1, keyring, timezone="Pacific/Auckland", weekdays=0b0010000)
    world.add_people(stocked, [auckland])
    sent_at = FRIDAY + 6 * DAY + 19 * HOUR  # Friday the 20th, 08:00 in Auckland
    world.add_papers(stocked, sent_at - HOUR, 30)
    world.note_run(stocked, sent_at - HOUR)
    world.note_tick(stocked, sent_at - HOUR)
    plan_due(stocked, sent_at, settings=settings)
    assert world.outcomes(stocked)[-1] == (1, date(2026, 2, 20), "mailed")

    change(stocked, 1, timezone="America/Los_Angeles", weekdays=world.EVERY_DAY)
    for half_hours in range(1, 4 * 48):
        now = sent_at + half_hours * HOUR / 2
        if half_hours % 6 == 0:
            world.note_run(stocked, now)
        plan_due(stocked, now, settings=settings)

    mailed = [row for row in world.digests(stocked) if row.outcome == "mailed"]
    assert len({row.issue_date for row in mailed}) == len(mailed)
    assert mailed[1].planned_at - mailed[0].planned_at >= 18 * HOUR
    too_soon = [row.issue_date for row in world.digests(stocked) if row.skip_reason == "too_soon"]
    assert too_soon == [date(2026, 2, 19)]


@pytest.mark.trust(95)
def test_an_earlier_hour_waits_until_the_gap_is_over(
    stocked: Database, settings: Settings, keyring: Keyring
) -> None:
    world.add_people(stocked, [world.a_person(1, keyring, send_hour=20)])
    plan_due(stocked, FRIDAY + 20 * HOUR, settings=settings)
    change(stocked, 1, send_hour=8)
    world.note_run(stocked, FRIDAY + 32 * HOUR)
    planned = [plan_due(stocked, FRIDAY + (32 + n) * HOUR, settings=settings).planned for n in range(9)]

    assert planned == [0, 0, 0, 0, 0, 0, 1, 0, 0]  # at 14:00, eighteen hours after


@pytest.mark.trust(101)
def test_changing_the_hour_around_the_send_time_gives_one_outcome(
    stocked: Database, settings: Settings, keyring: Keyring
) -> None:
    world.add_people(stocked, [world.a_person(1, keyring), world.a_person(2, keyring, send_hour=14)])
    plan_due(stocked, FRIDAY + 8 * HOUR, settings=settings)
    change(stocked, 1, send_hour=9)
    change(stocked, 2, send_hour=7)
    for hour in range(9, 24):
        plan_due(stocked, FRIDAY + hour * HOUR, settings=settings)

    assert world.outcomes(stocked) == [(1, FRIDAY.date(), "mailed"), (2, FRIDAY.date(), "mailed")]


def test_the_first_digest_comes_at_once_and_replaces_that_dates(
    stocked: Database, settings: Settings, keyring: Keyring
) -> None:
    confirmed_at = FRIDAY + 7 * HOUR + timedelta(minutes=30)
    person = world.a_person(1, keyring, confirmed_at=confirmed_at)
    world.add_people(stocked, [person])
    world.note_confirmation(stocked, person, confirmed_at)

    assert plan_first(stocked, 1, confirmed_at, settings=settings)
    assert not plan_first(stocked, 1, confirmed_at + timedelta(seconds=1), settings=settings)
    plan_due(stocked, FRIDAY + 8 * HOUR, settings=settings)
    world.note_run(stocked, FRIDAY + 31 * HOUR)
    plan_due(stocked, FRIDAY + 32 * HOUR, settings=settings)

    assert [(row.issue_date.day, row.is_first) for row in world.digests(stocked)] == [(13, True), (14, False)]
    assert [row.queue for row in world.deliveries(stocked)] == ["transactional", "bulk"]


def test_a_first_digest_whose_bell_nobody_heard_comes_with_the_next_tick(
    stocked: Database, settings: Settings, keyring: Keyring
) -> None:
    confirmed_at = FRIDAY + 22 * HOUR
    people = [world.a_person(n, keyring, confirmed_at=confirmed_at) for n in (1, 2)]
    world.add_people(stocked, people)
    world.note_confirmation(stocked, people[0], confirmed_at)  # the second was imported: no such event
    plan_due(stocked, confirmed_at + timedelta(minutes=1), settings=settings)

    assert world.outcomes(stocked) == [(1, FRIDAY.date(), "mailed")]


def test_a_first_digest_waits_for_papers(database: Database, settings: Settings, keyring: Keyring) -> None:
    person = world.a_person(1, keyring, confirmed_at=FRIDAY + 21 * HOUR)
    world.add_people(database, [person])
    world.note_confirmation(database, person, FRIDAY + 21 * HOUR)
    assert not plan_first(database, 1, FRIDAY + 21 * HOUR, settings=settings)
    assert world.digests(database) == []

    world.add_papers(database, FRIDAY + 21.5 * HOUR, 5)
    plan_due(database, FRIDAY + 22 * HOUR, settings=settings)
    assert world.outcomes(database) == [(1, FRIDAY.date(), "mailed")]


def test_a_digest_of_the_demo_says_so(stocked: Database, settings: Settings, keyring: Keyring) -> None:
    with stocked.transaction() as session:
        session.execute(update(PaperRow).values(source="demo"))
    world.add_people(stocked, [world.a_person(1, keyring)])
    plan_due(stocked, FRIDAY + 8 * HOUR, settings=settings)
    (delivery,) = world.deliveries(stocked)
    assert "demo issue" in delivery.parameters["notice"]


@pytest.mark.parametrize("days", [5, 90])
def test_a_first_digest_comes_even_when_the_newest_papers_are_old(
    stocked: Database, settings: Settings, keyring: Keyring, days: int
) -> None:
    """An installation on the demo alone, or one whose sources have been out for long."""
    confirmed_at = FRIDAY + days * DAY
    person = world.a_person(1, keyring, confirmed_at=confirmed_at)
    world.add_people(stocked, [person])
    world.note_confirmation(stocked, person, confirmed_at)
    assert plan_first(stocked, 1, confirmed_at, settings=settings)

    # Once more, after leaving and coming back: the same old papers are not given twice.
    again = confirmed_at + 2 * DAY
    with stocked.transaction() as session:
        session.get_one(SubscriberRow, 1).confirmed_at = again
    world.note_confirmation(stocked, person, again)
    plan_first(stocked, 1, again, settings=settings)
    given = [paper for _, paper in world.seen(stocked)]
    assert len(given) == len(set(given)) > 0
    assert [len(row.selection) for row in world.digests(stocked)] == [5, 5]


@pytest.mark.trust(100)
def test_a_weekly_digest_reaches_back_to_the_last_one(
    database: Database, settings: Settings, keyring: Keyring
) -> None:
    monday = FRIDAY + 3 * DAY
    weekly = world.a_person(
        1, keyring, weekdays=0b0000001, paper_count=30, last_digest_at=monday - 7 * DAY + 8 * HOUR
    )
    world.add_people(database, [weekly, world.a_person(2, keyring, paper_count=30)])
    ids = {day: world.add_papers(database, monday - day * DAY + 6 * HOUR, 3) for day in (1, 2, 3, 5, 6, 9)}
    world.note_run(database, monday)
    plan_due(database, monday + 8 * HOUR, settings=settings)

    chosen = {
        row.subscriber_id: {item["paper"] for item in row.selection}
        for row in world.digests(database)
        if row.outcome == "mailed"
    }
    assert chosen[1] == {paper for day in (1, 2, 3, 5, 6) for paper in ids[day]}
    assert chosen[2] == {paper for day in (1, 2, 3) for paper in ids[day]}


def test_muted_words_are_not_chosen(stocked: Database, settings: Settings, keyring: Keyring) -> None:
    world.add_people(stocked, [world.a_person(1, keyring, mutes=["diffusion", "agents"], paper_count=20)])
    plan_due(stocked, FRIDAY + 8 * HOUR, settings=settings)

    (digest,) = world.digests(stocked)
    numbers = {int(item["paper"][-3:]) % len(world.WORDS) for item in digest.selection}
    assert numbers == set(range(2, len(world.WORDS)))


@pytest.mark.trust(113)
def test_planning_stops_between_chunks_and_goes_on_from_the_rows(
    stocked: Database, settings: Settings, keyring: Keyring
) -> None:
    world.add_people(stocked, [world.a_person(n, keyring) for n in range(1, 1201)])
    stopped = plan_due(stocked, FRIDAY + 8 * HOUR, settings=settings, should_stop=lambda: True)
    rest = plan_due(stocked, FRIDAY + 8 * HOUR, settings=settings)

    assert (stopped.planned, rest.planned) == (1000, 200)


@pytest.mark.trust(38)
def test_trust_38_digests_of_an_hour_wait_for_their_minute_and_first_ones_do_not(
    stocked: Database, settings: Settings, keyring: Keyring
) -> None:
    asked: list[int] = []

    def spread(people: int) -> timedelta:
        asked.append(people)
        return timedelta(minutes=30)

    world.add_people(stocked, [world.a_person(n, keyring) for n in range(1, 41)])
    at_eight = FRIDAY + 8 * HOUR
    assert plan_due(stocked, at_eight, settings=settings, spread=spread).planned == 40
    assert asked == [40]
    times = [delivery.next_at for delivery in world.deliveries(stocked)]
    assert min(times) >= at_eight
    assert max(times) < at_eight + timedelta(minutes=30)
    assert len({(at - at_eight) // timedelta(minutes=3) for at in times}) > 5
    assert {delivery.expires_at for delivery in world.deliveries(stocked)} == {FRIDAY + 20 * HOUR}
