"""Migrations go up, down and up again on both databases, and leave exactly the tables the code names."""

import json
from itertools import product
from pathlib import Path

import pytest
from alembic import command
from alembic.util.exc import CommandError
from sqlalchemy import Engine, MetaData, Table, create_engine, insert, inspect, select, text

from service.clock import SettableClock
from service.config import Settings
from service.digests.tables import DigestRow
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


def test_the_ledger_moves_into_the_digests_and_back(database_url: str, clock: SettableClock) -> None:
    """What was given stays given, and what was selected says the same to the code of either side."""
    config = migration_config(database_url)
    command.downgrade(config, "a7d3c1e94b52")
    engine, now = create_engine(database_url), clock()
    named = '{"paper": "2602.1", "list": "trending", "score": 0.5, "reasons": ["9 votes"], "interest": null}'
    short = '["2602.2","for_you",0.25,["matches \'x\': y"],"x",3,0,null]'
    with engine.begin() as connection:
        person = {"status": "active", "created_at": now, "updated_at": now, "address_key": b"k" * 32}
        usual = {"send_hour": 8, "weekdays": 31, "paper_count": 10, "mutes": [], "token_version": 0}
        connection.execute(
            insert(_table(engine, "subscribers")),
            [
                person
                | usual
                | {"id": id_, "public_id": id_, "address": f"{id_}@example.org", "timezone": "UTC"}
                for id_ in (1, 2)
            ],
        )
        digest = {"issue_date": now.date(), "due_at": now, "planned_at": now, "is_first": False}
        connection.execute(
            insert(_table(engine, "digests")),
            [
                digest | {"id": 7, "subscriber_id": 1, "outcome": "mailed", "selection": f"[\n{named}\n]"},
                digest | {"id": 8, "subscriber_id": 2, "outcome": "skipped", "selection": "[]"},
                digest | {"id": 9, "subscriber_id": None, "outcome": "mailed", "selection": "[]"},
            ],
        )
        given = [{"subscriber_id": 1, "paper_id": f"2602.{n}", "digest_id": 7} for n in (1, 2)]
        connection.execute(insert(_table(engine, "seen_papers")), given)

    migrate(database_url)
    with engine.begin() as connection:
        digests = _table(engine, "digests")
        found = connection.execute(select(digests.c.id, digests.c.papers).order_by(digests.c.id)).all()
        assert [(id_, sorted((papers or "").split())) for id_, papers in found] == [
            (7, ["2602.1", "2602.2"]),
            (8, []),
            (9, []),
        ]
        both = f"[\n{named},\n{short}\n]"
        connection.execute(digests.update().where(digests.c.id == 7).values(selection=both))
        before = connection.scalar(select(DigestRow.selection).where(DigestRow.id == 7))

    command.downgrade(config, "a7d3c1e94b52")
    with engine.begin() as connection:
        rows = connection.execute(text("SELECT subscriber_id, paper_id, digest_id FROM seen_papers")).all()
        kept = connection.scalar(text("SELECT selection FROM digests WHERE id = 7"))
    engine.dispose()
    assert sorted(map(tuple, rows)) == [(1, "2602.1", 7), (1, "2602.2", 7)]
    assert [set(item) for item in json.loads(kept)] == [set(item) for item in before]
    assert json.loads(kept) == before
    assert before[1] == {
        "paper": "2602.2",
        "list": "for_you",
        "score": 0.25,
        "reasons": ["matches 'x': y"],
        "interest": "x",
        "upvotes": 3,
        "comments": 0,
        "stars": None,
    }


def _table(engine: Engine, name: str) -> Table:
    return Table(name, MetaData(), autoload_with=engine)
