"""The desk, on both databases."""

import pytest

from service.clock import SettableClock
from service.database import Database
from service.keys import Keyring
from tests.subscriber_desk import Desk


@pytest.fixture
def desk(database: Database, keyring: Keyring, clock: SettableClock) -> Desk:
    """A desk on SQLite and on Postgres."""
    return Desk(database, keyring, clock)


@pytest.fixture
def quick_desk(sqlite_database: Database, keyring: Keyring, clock: SettableClock) -> Desk:
    """A desk on SQLite, where the kind of database makes no difference."""
    return Desk(sqlite_database, keyring, clock)
