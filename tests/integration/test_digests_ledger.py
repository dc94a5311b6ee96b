"""The ledger of papers given: the database keeps it right, whoever plans or erases at the same time."""

import threading
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import delete
from sqlalchemy.exc import IntegrityError

from service.config import Settings
from service.database import Database
from service.digests import ledger
from service.digests.choosing import draft_digests
from service.digests.due import find_first
from service.digests.freezing import freeze
from service.digests.planning import plan_due
from service.digests.window import Shelves
from service.keys import Keyring
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


def test_no_paper_is_entered_twice_for_one_person(stocked: Database) -> None:
    with stocked.transaction() as session:
        ledger.enter(session, [1, 2], [10, 11], [["a", "b"], ["a"]])

    with pytest.raises(IntegrityError), stocked.transaction() as session:
        ledger.enter(session, [1], [12], [["c", "b"]])

    assert world.seen(stocked) == [(1, "a"), (1, "b"), (2, "a")]
