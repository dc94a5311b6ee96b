"""Fixtures every test may use: databases made by the migrations, servers, settings, a guard on sockets."""

import itertools
import os
import shutil
import socket
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from service.clock import SettableClock
from service.config import Settings
from service.database import Database
from service.keys import Keyring
from service.migrations import migrate
from tests import servers
from tests.outages import Disk, limited_files, small_disk
from tests.watches import Watch

SECRET = "a-secret-for-tests-only-0123456789-abcdef"
LOOPBACK = ("127.", "::1", "localhost")


@pytest.fixture(autouse=True)
def _loopback_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test speaks to any other machine."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: object) -> None:
        if self.family in {socket.AF_INET, socket.AF_INET6} and not str(address[0]).startswith(LOOPBACK):
            raise RuntimeError(f"a test tried to reach {address!r}")
        return connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)
    for name in [
        name for name in os.environ if name.startswith("PAPERLARK_") and name != "PAPERLARK_TEST_DATA"
    ]:
        monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """A Postgres for the whole run: TEST_DATABASE_URL (no database name), or one of our own."""
    if given := os.environ.get("TEST_DATABASE_URL"):
        yield given.rstrip("/")
        return
    with servers.postgres() as url:
        yield url


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """A real Valkey for the whole run."""
    with servers.valkey() as url:
        yield url


@pytest.fixture(scope="session")
def _sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("sqlite") / "template.sqlite3"
    migrate(f"sqlite:///{path}")
    engine = create_engine(f"sqlite:///{path}")
    with engine.connect() as connection:
        connection.execute(text("PRAGMA wal_checkpoint(TRUNCATE)"))
    engine.dispose()
    return path


@pytest.fixture(scope="session")
def _postgres_template(postgres_server: str) -> str:
    name = f"paperlark_template_{os.getpid()}_test"
    _administer(postgres_server, f"CREATE DATABASE {name}")
    migrate(f"{postgres_server.replace('postgresql:', 'postgresql+psycopg:')}/{name}")
    return name


def _administer(server: str, statement: str) -> None:
    engine = create_engine(
        f"{server.replace('postgresql:', 'postgresql+psycopg:')}/postgres", isolation_level="AUTOCOMMIT"
    )
    with engine.connect() as connection:
        connection.execute(text(statement))
    engine.dispose()


_numbers = itertools.count()


@pytest.fixture
def postgres_url(postgres_server: str, _postgres_template: str) -> Iterator[str]:
    """The ``postgresql://`` URL of a migrated database for this test alone."""
    name = f"paperlark_{os.getpid()}_{next(_numbers)}_test"
    _administer(postgres_server, f"CREATE DATABASE {name} TEMPLATE {_postgres_template}")
    yield f"{postgres_server}/{name}"
    _administer(postgres_server, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def sqlite_url(tmp_path: Path, _sqlite_template: Path) -> str:
    """The URL of a migrated SQLite database for this test alone."""
    path = tmp_path / "paperlark.sqlite3"
    shutil.copy(_sqlite_template, path)
    return f"sqlite:///{path}"


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest) -> str:
    """Each database in turn; a test that uses it runs twice. SQLAlchemy form."""
    if request.param == "sqlite":
        return str(request.getfixturevalue("sqlite_url"))
    return str(request.getfixturevalue("postgres_url")).replace("postgresql:", "postgresql+psycopg:")


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """A migrated database, on SQLite and on Postgres."""
    opened = Database(database_url)
    yield opened
    opened.close()


@pytest.fixture
def sqlite_database(sqlite_url: str) -> Iterator[Database]:
    """A migrated SQLite database, where the kind of database makes no difference."""
    opened = Database(sqlite_url)
    yield opened
    opened.close()


@pytest.fixture
def postgres_database(postgres_url: str) -> Iterator[Database]:
    """A migrated Postgres database, for what only that can do."""
    opened = Database(postgres_url.replace("postgresql:", "postgresql+psycopg:"))
    yield opened
    opened.close()


@pytest.fixture
def watch() -> Watch:
    """A watch that goes when it is told to."""
    return Watch()


@pytest.fixture
def clock() -> SettableClock:
    """A clock that stands at Friday, 13 February 2026, 08:00 UTC."""
    return SettableClock(datetime(2026, 2, 13, 8, tzinfo=UTC))


@pytest.fixture
def keyring() -> Keyring:
    """The keyring of the settings fixture."""
    return Keyring([SECRET])


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings for tests: a folder of their own, nothing that reaches out."""
    return Settings(
        environment="test",
        data_dir=tmp_path / "data",
        secret_key=SECRET,
        sources="demo",
        embeddings="off",
        postal_address="Paperlark, 1 Lark Lane, 1000 Testville",
    )


@pytest.fixture(scope="session")
def recorded_data() -> Path:
    """The folder of recorded real data, or a skip that says it is not there."""
    folder = Path(os.environ.get("PAPERLARK_TEST_DATA") or Path(__file__).parents[2] / "shared" / "data")
    if not (folder / "hf_daily").is_dir():
        pytest.skip("the recorded data is not beside the checkout (set PAPERLARK_TEST_DATA to its folder)")
    return folder


@pytest.fixture(params=[small_disk, limited_files])
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Disk]:
    """A disk of one's own that can be filled and freed."""
    folder = tmp_path / "disk"
    folder.mkdir()
    with request.param(folder) as made:
        yield made
