"""Brings the database to the tables this version needs."""

from pathlib import Path

from alembic import command
from alembic.config import Config

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
