"""Migrations go up, down and up again on both databases, and leave exactly the tables the code names."""

from itertools import product
from pathlib import Path

import pytest
from alembic import command
from alembic.util.exc import CommandError
from sqlalchemy import create_engine, insert, inspect, select, text

from service.clock import SettableClock
from service.config import Settings
from service.mail.delivery import Status
from service.mail.tables import DeliveryRow
from service.migrations import SchemaOutOfDate, is_current, migrate, migration_config, prepare


def tables(url: str) -> set[str]:
    engine = create_engine(url)
    names = set(inspect(engine).get_table_names())
    engine.dispose()
    return names


def test_up_check_down_and_up_again(database_url: str) -> None:
    config = migration_config(database_url)
    before = tables(database_url)

    command.check(config)  # raises if a table differs from the code's
    command.downgrade(config, "base")
    assert tables(database_url) == {"alembic_version"}
    assert not is_current(database_url)

    migrate(database_url)
    command.check(config)
    assert tables(database_url) == before
    assert is_current(database_url)


def test_every_delivery_that_was_there_is_open_or_over_by_its_status(
    database_url: str, clock: SettableClock
) -> None:
    """The one index and the sweep go by finished_at; older rows may say otherwise than their status does."""
    config = migration_config(database_url)
    command.downgrade(config, "e50b8d2f6c17")
    engine, now = create_engine(database_url), clock()
    row = {"kind": "digest", "queue": "bulk", "created_at": now, "next_at": now, "expires_at": now}
    there = [
        row | {"nonce": number, "status": status.value, "finished_at": finished_at, "parameters": {}}
        for number, (status, finished_at) in enumerate(product(Status, (None, now)))
    ]
    with engine.begin() as connection:
        connection.execute(insert(DeliveryRow.__table__), there)
    migrate(database_url)
    with engine.begin() as connection:
        found = connection.execute(select(DeliveryRow.status, DeliveryRow.finished_at)).all()
    engine.dispose()
    assert len(found) == len(there)
    over = {Status.SENT, Status.FAILED, Status.UNKNOWN, Status.CANCELLED}
    assert all((finished_at is not None) == (status in over) for status, finished_at in found)


def test_a_difference_between_code_and_tables_is_found(database_url: str) -> None:
    engine = create_engine(database_url)
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE papers ADD COLUMN stray INTEGER"))
    engine.dispose()

    with pytest.raises(CommandError, match="stray"):
        command.check(migration_config(database_url))


def test_sqlite_is_brought_up_to_date_at_start(tmp_path: Path) -> None:
    settings = Settings(data_dir=tmp_path / "new" / "data")

    prepare(settings)

    assert is_current(settings.sqlalchemy_url)


def test_postgres_is_only_asked_for_its_tables(postgres_url: str) -> None:
    settings = Settings(database_url=postgres_url)
    prepare(settings)
    command.downgrade(migration_config(settings.sqlalchemy_url), "base")

    with pytest.raises(SchemaOutOfDate, match="paperlark migrate"):
        prepare(settings)
    assert tables(settings.sqlalchemy_url) == {"alembic_version"}


def test_the_migrations_folder_is_no_package() -> None:
    # With an __init__.py it would hide the library of the same name.
    assert not list((Path(__file__).parents[2] / "alembic").rglob("__init__.py"))
