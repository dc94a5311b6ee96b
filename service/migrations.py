"""Brings the database to the tables this version needs."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory

from service.config import Settings
from service.database import make_engine
from service.folders import make_folder

BUNDLED = Path(__file__).parent / "_bundled"
CHECKOUT = Path(__file__).parent.parent


def bundled_folder(name: str) -> Path:
    """Return the folder ``name`` (alembic, templates): of the installed wheel, or of the checkout."""
    return BUNDLED / name if (BUNDLED / name).is_dir() else CHECKOUT / name


def migrate(url: str, revision: str = "head") -> None:
    """Upgrade the database at ``url`` (SQLAlchemy form) to ``revision``."""
    command.upgrade(migration_config(url), revision)


def migration_config(url: str) -> Config:
    """Make Alembic's configuration; the URL travels as an attribute, where no sign of it needs escaping."""
    config = Config()
    config.set_main_option("script_location", str(bundled_folder("alembic")))
    config.attributes["url"] = url
    return config


class SchemaOutOfDate(Exception):
    """The database's tables are not those this version needs; the message says what to do."""


def is_current(url: str) -> bool:
    """Return whether the database at ``url`` (SQLAlchemy form) has the tables this version needs."""
    engine = make_engine(url)
    try:
        with engine.connect() as connection:
            present = MigrationContext.configure(connection).get_current_heads()
    finally:
        engine.dispose()
    return set(present) == set(ScriptDirectory.from_config(migration_config(url)).get_heads())


def prepare(settings: Settings) -> None:
    """Make sure of the tables: bring SQLite, which is ours alone, up to date; of Postgres only demand it.

    A server's database is migrated by whoever deploys, once, with ``paperlark migrate``.

    Raises:
        SchemaOutOfDate: Postgres has other tables than this version needs.
    """
    if settings.database_url is None:
        make_folder(settings.data_dir)
    if is_current(settings.sqlalchemy_url):
        return
    if settings.database_url is not None:
        raise SchemaOutOfDate("the database's tables are of another version: run 'paperlark migrate' first")
    migrate(settings.sqlalchemy_url)
