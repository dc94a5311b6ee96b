"""The one way rows of digests come in: where a row for the same person and date stands, nothing happens."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Insert
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from service.digests.tables import DigestRow, PlannerRow


def insert_digests(session: Session, rows: Sequence[dict[str, Any]]) -> dict[int, int]:
    """Insert digests; return the id of each one that is new, by subscriber.

    A pair of subscriber and date that has a digest keeps it: of two planners at once, one wins each pair.
    """
    if not rows:
        return {}
    statement = _insert_new(session, DigestRow, ["subscriber_id", "issue_date"])
    returned = session.execute(statement.returning(DigestRow.id, DigestRow.subscriber_id), list(rows))
    return {subscriber_id: digest_id for digest_id, subscriber_id in returned if subscriber_id is not None}


def insert_planner(session: Session, database_id: str) -> None:
    """Insert the one row of what planning remembers, if it isn't there."""
    statement = _insert_new(session, PlannerRow, ["id"])
    session.execute(statement.values(id=1, database_id=database_id, generation=0))


def _insert_new(session: Session, table: type[DigestRow] | type[PlannerRow], key: list[str]) -> Insert:
    if session.get_bind().dialect.name == "postgresql":
        return postgresql.insert(table).on_conflict_do_nothing(index_elements=key)
    return sqlite.insert(table).on_conflict_do_nothing(index_elements=key)
