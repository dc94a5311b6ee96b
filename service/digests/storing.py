"""The one way rows of digests come in: where a row for the same person and date stands, nothing happens."""

from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from service.bulk import Columns, insert_new_columns, is_postgres
from service.digests.tables import DigestRow, PlannerRow

_DIGESTS = DigestRow.metadata.tables[DigestRow.__tablename__]


def insert_digests(session: Session, columns: Columns) -> dict[int, int]:
    """Insert digests, given by column; return the id of each one that is new, by subscriber.

    A pair of subscriber and date that has a digest keeps it: of two planners at once, one wins each pair.
    """
    new = insert_new_columns(session, _DIGESTS, columns, key=("subscriber_id", "issue_date"))
    return {subscriber_id: digest_id for digest_id, subscriber_id, _ in new if subscriber_id is not None}


def insert_planner(session: Session, database_id: str) -> None:
    """Insert the one row of what planning remembers, if it isn't there."""
    make_insert = postgresql.insert if is_postgres(session) else sqlite.insert
    statement = make_insert(PlannerRow).on_conflict_do_nothing(index_elements=["id"])
    session.execute(statement.values(id=1, database_id=database_id, generation=0))
