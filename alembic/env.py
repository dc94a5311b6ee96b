"""Runs migrations over the URL given by the caller, or by the settings when called as ``alembic``."""

from alembic import context
from sqlalchemy import Connection

import service.tables  # noqa: F401 - registers every table
from service.config import Settings
from service.database import Base, make_engine

LOCK_NUMBER = 7_274_105  # any constant: two deploys must not migrate at once


def run(connection: Connection) -> None:
    """Run the migrations on an open connection, one at a time."""
    context.configure(
        connection=connection,
        target_metadata=Base.metadata,
        render_as_batch=connection.dialect.name == "sqlite",
        compare_type=True,
        transaction_per_migration=connection.dialect.name != "sqlite",
    )
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"SELECT pg_advisory_lock({LOCK_NUMBER})")
        connection.exec_driver_sql("SET lock_timeout = '4s'")
        connection.commit()
    try:
        with context.begin_transaction():
            context.run_migrations()
    finally:
        if connection.dialect.name == "postgresql":
            connection.rollback()
            connection.exec_driver_sql(f"SELECT pg_advisory_unlock({LOCK_NUMBER})")
            connection.commit()


url = context.config.attributes.get("url") or Settings().sqlalchemy_url
if context.is_offline_mode():
    context.configure(url=url, target_metadata=Base.metadata, literal_binds=True)
    with context.begin_transaction():
        context.run_migrations()
else:
    engine = make_engine(url)
    with engine.connect() as connection:
        run(connection)
        connection.commit()
    engine.dispose()
