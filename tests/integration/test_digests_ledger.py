"""The ledger of papers given: it is kept right, whoever plans or erases at the same time."""

import threading
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as checked
from hypothesis import strategies as st
from sqlalchemy import delete, func, select
from sqlalchemy.exc import IntegrityError

from service.config import Settings
from service.database import Database
from service.digests import ledger
from service.digests.choosing import draft_digests
from service.digests.due import find_due, find_first, group_slots
from service.digests.freezing import freeze
from service.digests.planning import plan_due
from service.digests.schedule import due_slots, open_zone
from service.digests.tables import DigestRow
from service.digests.window import Shelves
from service.keys import Keyring
from service.papers.paper import Observation, Paper
from service.papers.storing import DEMO, batches, store
from service.subscribers.tables import SubscriberRow
from tests import digest_world as world

NOW = datetime(2026, 2, 13, 8, tzinfo=UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
def stocked(database: Database) -> Database:
    """A database with papers of this morning and a source that answers."""
    world.stock(database, NOW)
    return database


def erase(database: Database, subscriber_id: int) -> None:
    with database.transaction() as session:
        session.execute(delete(SubscriberRow).where(SubscriberRow.id == subscriber_id))


def test_who_is_erased_leaves_nothing(stocked: Database, settings: Settings, keyring: Keyring) -> None:
    world.add_people(stocked, [world.a_person(number, keyring) for number in (1, 2)])
    plan_due(stocked, NOW, settings=settings)

    erase(stocked, 1)

    assert {subscriber_id for subscriber_id, _ in world.seen(stocked)} == {2}
    assert [row.subscriber_id for row in world.digests(stocked)] == [None, 2]


def test_erasing_waits_for_who_plans_and_takes_those_rows_too(stocked: Database, keyring: Keyring) -> None:
    person = world.a_person(1, keyring, confirmed_at=NOW)
    world.add_people(stocked, [person])
    world.note_confirmation(stocked, person, NOW)
    with stocked.reading() as session:
        shelves = Shelves(NOW, patience=6 * HOUR)
        drafts = draft_digests(session, shelves, find_first(session, NOW))
    erasing = threading.Thread(target=erase, args=(stocked, 1))

    with stocked.transaction() as session:
        assert len(freeze(session, drafts, NOW)) == 1
        erasing.start()
    erasing.join()

    assert world.seen(stocked) == []
    assert [row.subscriber_id for row in world.digests(stocked)] == [None]


def test_who_was_erased_is_given_nothing(stocked: Database, keyring: Keyring) -> None:
    person = world.a_person(1, keyring, confirmed_at=NOW)
    world.add_people(stocked, [person])
    world.note_confirmation(stocked, person, NOW)
    with stocked.reading() as session:
        drafts = draft_digests(session, Shelves(NOW, patience=6 * HOUR), find_first(session, NOW))
    erase(stocked, 1)

    with pytest.raises(IntegrityError), stocked.transaction() as session:
        freeze(session, drafts, NOW)

    assert world.seen(stocked) == []


def count_of(database: Database, subscriber_id: int) -> int:
    with database.reading() as session:
        return session.scalars(
            select(SubscriberRow.digest_count).where(SubscriberRow.id == subscriber_id)
        ).one()


@pytest.mark.trust(100)
def test_papers_chosen_before_another_digest_came_are_given_to_nobody(
    stocked: Database, settings: Settings, keyring: Keyring
) -> None:
    """Who chose before another planner wrote, for another date, finds itself overtaken."""
    world.add_people(stocked, [world.a_person(number, keyring) for number in (1, 2)])
    later = NOW + 24 * HOUR
    with stocked.reading() as session:  # the first planner, a day later, before the second has written
        shelves = Shelves(later, patience=30 * HOUR)
        people = [
            due
            for zone, slots in [("UTC", due_slots(open_zone("UTC"), later))]
            for group in group_slots([(zone, slots)])
            for due in find_due(session, group, at=later, limit=10)
        ]
        drafts = draft_digests(session, shelves, [due for due in people if due.issue_date == later.date()])
    assert sorted(draft.due.subscriber_id for draft in drafts) == [1, 2]
    assert plan_due(stocked, NOW, settings=settings).planned == 2
    before = world.seen(stocked)

    with pytest.raises(ledger.Overtaken), stocked.transaction() as session:
        freeze(session, drafts, later)

    assert world.seen(stocked) == before
    assert [row.issue_date for row in world.digests(stocked)] == [NOW.date()] * 2
    assert [count_of(stocked, number) for number in (1, 2)] == [1, 1]


@pytest.mark.trust(100)
def test_of_two_planners_at_once_one_is_overtaken(stocked: Database, keyring: Keyring) -> None:
    """Both have chosen, both write: the one waits for the other, and finds the count changed."""
    person = world.a_person(1, keyring, confirmed_at=NOW)
    world.add_people(stocked, [person])
    world.note_confirmation(stocked, person, NOW)
    with stocked.reading() as session:
        [draft] = draft_digests(session, Shelves(NOW, patience=6 * HOUR), find_first(session, NOW))
    of_next_day = draft._replace(due=draft.due._replace(issue_date=NOW.date() + timedelta(days=1)))
    ended: list[str] = []
    is_first_written = threading.Event()

    def write_second() -> None:
        try:
            with stocked.transaction() as session:
                is_first_written.wait(20)
                freeze(session, [of_next_day], NOW)
        except ledger.Overtaken:
            ended.append("overtaken")

    second = threading.Thread(target=write_second)
    if stocked.is_sqlite:  # one writer at a time: the second begins when the first has ended
        with stocked.transaction() as session:
            freeze(session, [draft], NOW)
        is_first_written.set()
        second.start()
    else:
        with stocked.transaction() as session:
            second.start()
            freeze(session, [draft], NOW)
            is_first_written.set()
            second.join(0.3)  # it waits for our row
            assert second.is_alive()
    second.join(20)

    assert ended == ["overtaken"]
    assert sorted(paper for _, paper in world.seen(stocked)) == sorted(draft.papers)


def test_people_are_written_in_one_order_whatever_they_were_chosen_in(
    stocked: Database, keyring: Keyring
) -> None:
    """Of two planners with the same people in another order Postgres would end one as a deadlock."""
    people = [world.a_person(number, keyring, confirmed_at=NOW) for number in (1, 2, 3)]
    world.add_people(stocked, people)
    for person in people:
        world.note_confirmation(stocked, person, NOW)
    with stocked.reading() as session:
        drafts = draft_digests(session, Shelves(NOW, patience=6 * HOUR), find_first(session, NOW))
    drafts.sort(key=lambda draft: -draft.due.subscriber_id)
    with stocked.transaction() as session:
        freeze(session, drafts, NOW)

    assert [row.subscriber_id for row in world.digests(stocked)] == [1, 2, 3]


PAPERS = ("2602.1", "2602.2", "2602.3", "2602.4", "2602.5")
# Two planners, who look at what was given, choose, and write at some later time; and digests that fail.
STEPS = st.lists(
    st.tuples(st.sampled_from(["choose", "write", "fail"]), st.integers(0, 1), st.integers(1, 3)),
    max_size=14,
)


@pytest.mark.trust(100)
@checked(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_whatever_two_planners_and_a_relay_do_no_paper_stands_twice(
    database: Database, keyring: Keyring, steps: list[tuple[str, int, int]]
) -> None:
    with database.reading() as session:
        number = (session.scalar(select(func.max(SubscriberRow.id))) or 0) + 1
    world.add_people(database, [world.a_person(number, keyring)])
    chosen: dict[int, tuple[int, list[str]]] = {}
    standing: dict[int, list[str]] = {}
    for day, (step, planner, many) in enumerate(steps):
        at = NOW + timedelta(days=day)
        if step == "choose":
            with database.reading() as session:
                count = session.scalar(select(SubscriberRow.digest_count).where(SubscriberRow.id == number))
                seen = ledger.load_seen(session, [number], since=NOW - HOUR)[number]
            assert seen == {paper for papers in standing.values() for paper in papers}
            chosen[planner] = count or 0, [paper for paper in PAPERS if paper not in seen][:many]
        elif step == "write" and planner in chosen:
            count, papers = chosen[planner]
            try:
                with database.transaction() as session:
                    row = DigestRow(
                        subscriber_id=number,
                        issue_date=at.date(),
                        due_at=at,
                        planned_at=at,
                        outcome="mailed",
                        papers=ledger.as_kept(papers),
                    )
                    session.add(row)
                    session.flush()
                    ledger.count(session, [number], [count], at)
                    digest_id = row.id
                standing[digest_id] = papers
            except ledger.Overtaken:
                pass
        elif step == "fail" and standing:
            failed = sorted(standing)[many % len(standing)]
            with database.transaction() as session:
                ledger.release(session, [failed])
            del standing[failed]
        given_papers = [paper for papers in standing.values() for paper in papers]
        assert len(given_papers) == len(set(given_papers))
    assert sorted(paper for id_, paper in world.seen(database) if id_ == number) == sorted(
        paper for papers in standing.values() for paper in papers
    )


@pytest.mark.trust(100)
def test_a_paper_of_the_demo_does_not_come_again_as_a_real_one(
    database: Database, settings: Settings, keyring: Keyring
) -> None:
    """The real source lists it a week later, when the window no longer reaches back to the demo's digest."""
    later = NOW + timedelta(days=7)
    ids = world.add_papers(database, NOW - 2 * HOUR, 3, source=DEMO)
    world.note_run(database, NOW - HOUR)
    world.add_people(database, [world.a_person(1, keyring)])
    plan_due(database, NOW, settings=settings)

    real = [Paper(id=id_, title=f"On agents: {id_}", source="huggingface") for id_ in [*ids, "2602.20999"]]
    seen = [Observation(paper_id=one.id, source="huggingface", observed_at=later - HOUR) for one in real]
    for batch in batches(real, seen):
        with database.transaction() as session:
            store(session, batch, later)
    world.note_run(database, later - HOUR)
    plan_due(database, later, settings=settings)

    assert sorted(paper for _, paper in world.seen(database)) == [*ids, "2602.20999"]


def test_what_failed_may_come_again_and_counts_no_longer_as_the_last(
    stocked: Database, settings: Settings, keyring: Keyring
) -> None:
    world.add_people(stocked, [world.a_person(number, keyring) for number in (1, 2)])
    plan_due(stocked, NOW, settings=settings)
    [first, second] = world.digests(stocked)

    with stocked.transaction() as session:
        ledger.release(session, [first.id])
    with stocked.reading() as session:
        seen = ledger.load_seen(session, [1, 2, 3], since=NOW - 24 * HOUR)
        later = ledger.load_seen(session, [1, 2], since=NOW)
        rows = session.execute(select(SubscriberRow.id, SubscriberRow.last_digest_at))
        last = {row.id: row.last_digest_at for row in rows}

    assert seen == {1: frozenset(), 2: {item["paper"] for item in second.selection}, 3: frozenset()}
    assert later == {1: frozenset(), 2: frozenset()}
    assert last == {1: None, 2: NOW}
