"""The engine and the one way to a transaction. Tables live with their noun, on the metadata kept here."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import (
    BigInteger,
    DateTime,
    Dialect,
    Engine,
    Integer,
    MetaData,
    TypeDecorator,
    create_engine,
    event,
)
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError, DisconnectionError
from sqlalchemy.exc import TimeoutError as NoConnectionLeft
from sqlalchemy.orm import DeclarativeBase, Session
from sqlalchemy.pool import ConnectionPoolEntry

from service.folders import make_file
from service.packed import teach_driver

# Names without which a constraint can't be dropped by a migration (Alembic's naming page).
NAMING_CONVENTION = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}

# SQLite counts up by itself only in a column that is plainly INTEGER.
BigId = BigInteger().with_variant(Integer, "sqlite")

# How a database fails that is away or full, or has no connection left for us in the pool.
FAILURES = (DBAPIError, NoConnectionLeft)

SQLITE_BUSY_MILLISECONDS = 30_000
RESTED_SECONDS = 1.0
READ_ONLY = "paperlark_read_only"
_decode_json = json.JSONDecoder().decode


class UtcDateTime(TypeDecorator[datetime]):
    """An aware instant in UTC: SQLite forgets the zone on the way back, this remembers it."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Convert to UTC; refuse naive values, which would be guessed at."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a naive datetime reached the database")
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Return the instant with UTC as its zone."""
        if value is None or value.tzinfo is UTC:
            return value
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Base(DeclarativeBase):
    """Base of all tables."""

    metadata = MetaData(naming_convention=NAMING_CONVENTION)
    type_annotation_map = {datetime: UtcDateTime}  # noqa: RUF012 - SQLAlchemy's own form


class Database:
    """An engine with transactions as the only door.

    ``transaction()`` commits at its end or rolls back; nothing else commits. ``reading()`` can't write.
    Never keep one open while talking to another machine.
    """

    def __init__(self, url: str) -> None:
        """Make the engine; no connection is opened yet."""
        self.engine = make_engine(url)
        self.is_sqlite = self.engine.dialect.name == "sqlite"

        self._reading_engine = self.engine.execution_options(
            **{READ_ONLY: True, **_read_only_options(self.engine)}
        )

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        """Give a session whose work is committed when the block ends, and undone when it raises."""
        with Session(self.engine, expire_on_commit=False) as session, session.begin():
            yield session

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """Give a session that can't write: the database itself refuses. Readers never wait for a writer."""
        with Session(self._reading_engine, expire_on_commit=False) as session, session.begin():
            yield session

    @contextmanager
    def statements(self) -> Iterator[Connection]:
        """Give a connection on which each statement is a transaction by itself (Postgres).

        For what is done often: BEGIN and COMMIT are two questions more to the server.
        """
        with self.engine.connect() as connection:
            yield connection.execution_options(isolation_level="AUTOCOMMIT")

    def close(self) -> None:
        """Give back every connection."""
        self.engine.dispose()


def make_engine(url: str) -> Engine:
    """Make an engine with the settings each database needs to be correct under concurrency."""
    if not url.startswith("sqlite"):
        teach_driver()  # first: an engine takes what the driver knows when it is made
        engine = create_engine(
            url,
            pool_size=5,
            max_overflow=15,
            json_serializer=write_json,
            json_deserializer=_read_json,
            hide_parameters=True,  # they are people's addresses and words: nothing for a log
        )
        event.listen(engine, "connect", _prepare_postgres)
        event.listen(engine, "checkin", _note_rest)
        event.listen(engine, "checkout", _look_after_rest)
        return engine
    engine = create_engine(
        url,
        connect_args={"timeout": SQLITE_BUSY_MILLISECONDS / 1000, "check_same_thread": False},
        json_serializer=write_json,
        json_deserializer=_read_json,
        hide_parameters=True,
    )
    event.listen(engine, "do_connect", _make_sqlite_file)
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin)
    return engine


def _prepare_postgres(connection: Any, _record: object) -> None:
    """Have the server compile nothing: none of our statements runs long enough to gain by it.

    It goes by its guess, and of a table that grew since it was last looked at that is far too high: 100 ms
    were spent to compile what took 15. Said here, not on connecting: a pooler between may not know the words.
    """
    connection.execute("SET jit = off")
    connection.commit()


def _note_rest(_connection: object, record: ConnectionPoolEntry) -> None:
    record.info["rests_since"] = time.monotonic()


def _look_after_rest(connection: Any, record: ConnectionPoolEntry, _proxy: object) -> None:
    """Make sure that a connection that was not used for a while still stands; one just used costs no look."""
    rested = time.monotonic() - record.info.get("rests_since", time.monotonic())
    if rested < RESTED_SECONDS:
        return
    try:
        connection.execute("SELECT 1")
        connection.rollback()
    except Exception as error:
        raise DisconnectionError from error  # the pool opens another


class JsonText(str):
    """JSON that is written already: a column of JSON takes it as it is."""

    __slots__ = ()


def write_json(value: Any) -> str:
    """Write a value for a column of JSON."""
    if type(value) is JsonText:
        return value
    # Most of what is kept as JSON is an empty list or map, and bulk inserts write a great many of them.
    if value in ([], {}):
        return "[]" if isinstance(value, list) else "{}"
    return json.dumps(value)


def _read_json(text: str | bytes) -> Any:
    if text in {"[]", b"[]"}:
        return []
    return _decode_json(text if isinstance(text, str) else text.decode("utf-8"))


def _make_sqlite_file(_dialect: Dialect, _record: object, cargs: Any, _cparams: Any) -> None:
    # Its -wal and -shm take their permissions from it.
    if not cargs[0].startswith((":memory:", "file:")):
        make_file(Path(cargs[0]))


def _prepare_sqlite(connection: Any, _record: object) -> None:
    # pysqlite must not begin by itself: it would do so only at the first write, after our reads.
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    # What is committed must outlast a power cut: without it "sending" would be forgotten, and sent again.
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.execute(f"PRAGMA busy_timeout={SQLITE_BUSY_MILLISECONDS}")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.execute("PRAGMA secure_delete=ON")  # erased means erased: freed pages are overwritten
    cursor.close()


def _begin(connection: Connection) -> None:
    if connection.get_execution_options().get(READ_ONLY):
        connection.exec_driver_sql("PRAGMA query_only=ON")
        connection.exec_driver_sql("BEGIN")
        return
    connection.exec_driver_sql("PRAGMA query_only=OFF")
    # One writer at a time from the first read on: read-then-write can then lose nothing.
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _read_only_options(engine: Engine) -> dict[str, Any]:
    return {"postgresql_readonly": True} if engine.dialect.name == "postgresql" else {}
