"""The ground everything stands on: transactions, read-only sessions, instants."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import DBAPIError

from service.database import Database
from service.mail.tables import SuppressionRow


def a_row(key: bytes = b"k" * 32) -> SuppressionRow:
    since = datetime(2026, 2, 13, 9, 30, tzinfo=timezone(timedelta(hours=5, minutes=45)))
    return SuppressionRow(address_key=key, reason="bounce", since=since)


def test_an_instant_comes_back_aware_and_in_utc(database: Database) -> None:
    with database.transaction() as session:
        session.add(a_row())
    with database.reading() as session:
        since = session.scalars(select(SuppressionRow.since)).one()

    assert datetime(2026, 2, 13, 3, 45, tzinfo=UTC) == since
    assert timedelta(0) == since.utcoffset()


def test_a_transaction_that_raises_leaves_nothing(database: Database) -> None:
    with pytest.raises(ZeroDivisionError), database.transaction() as session:
        session.add(a_row())
        session.flush()
        raise ZeroDivisionError
    with database.reading() as session:
        assert session.scalars(select(SuppressionRow)).all() == []


def test_a_reading_session_cannot_write(database: Database) -> None:
    with pytest.raises(DBAPIError), database.reading() as session:
        session.add(a_row())
    with database.transaction() as session:  # and the connection it used can write again afterwards
        session.add(a_row())


@pytest.mark.trust(104)
def test_what_is_committed_outlasts_a_power_cut(sqlite_database: Database) -> None:
    """In WAL mode SQLite syncs at each commit only with FULL; Postgres does so unless told otherwise."""
    with sqlite_database.reading() as session:
        assert session.execute(text("PRAGMA synchronous")).scalar_one() == 2


@pytest.mark.trust(85)
def test_an_error_tells_no_value(database: Database) -> None:
    with pytest.raises(DBAPIError) as told, database.transaction() as session:
        session.execute(
            text("SELECT nothing FROM nowhere WHERE x = :address"), {"address": "ann@example.org"}
        )
    assert "ann@" not in str(told.value)


def test_the_server_compiles_no_statement(postgres_database: Database) -> None:
    with postgres_database.reading() as session:
        assert session.scalar(text("SHOW jit")) == "off"
    with postgres_database.statements() as connection:
        assert connection.scalar(text("SHOW jit")) == "off"
