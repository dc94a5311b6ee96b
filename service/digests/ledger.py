"""Which papers each subscriber has been given: the ledger that keeps a paper from coming twice."""

import json
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, String, delete, exists, func, insert, select, true, update
from sqlalchemy.orm import Session

from service.bulk import among, is_postgres
from service.digests.tables import DigestRow, SeenPaperRow
from service.papers.tables import PaperRow
from service.subscribers.tables import SubscriberRow


def load_seen(
    session: Session, subscriber_ids: Sequence[int], *, since: datetime
) -> dict[int, frozenset[str]]:
    """Return the papers each subscriber has been given, of those first seen after ``since``."""
    papers = (func.array_agg if is_postgres(session) else func.json_group_array)(SeenPaperRow.paper_id)
    query = (
        select(SeenPaperRow.subscriber_id, papers)
        .join(PaperRow, PaperRow.id == SeenPaperRow.paper_id)
        .where(among(session, SeenPaperRow.subscriber_id, subscriber_ids), PaperRow.first_seen_at > since)
        .group_by(SeenPaperRow.subscriber_id)
    )
    seen = dict.fromkeys(subscriber_ids, frozenset[str]())
    for subscriber_id, given in session.execute(query):
        seen[subscriber_id] = frozenset(json.loads(given) if isinstance(given, str) else given)
    return seen


def enter(session: Session, digest_ids: Sequence[int]) -> None:
    """Enter the papers of digests just stored as given. The database reads them where they are frozen.

    Raises:
        sqlalchemy.exc.IntegrityError: somebody was given one of the papers in the meantime, or is gone.
    """
    if not digest_ids:
        return
    paper_id: ColumnElement[str]
    if is_postgres(session):
        items = func.json_array_elements(DigestRow.selection).table_valued("value", name="items")
        paper_id = items.c.value.op("->>", return_type=String())("paper")
    else:
        items = func.json_each(DigestRow.selection).table_valued("value", name="items")
        paper_id = func.json_extract(items.c.value, "$.paper")
    given = (
        select(DigestRow.subscriber_id, paper_id, DigestRow.id)
        .select_from(DigestRow)
        .join(items, true())
        .where(among(session, DigestRow.id, digest_ids))
    )
    session.execute(insert(SeenPaperRow).from_select(["subscriber_id", "paper_id", "digest_id"], given))


def release(session: Session, digest_ids: Sequence[int]) -> None:
    """Give back the papers of digests that will not be mailed: they may come in a later one.

    The next window then reaches back to the last digest that stands.
    """
    owners = set(
        session.scalars(
            select(DigestRow.subscriber_id).where(
                DigestRow.id.in_(digest_ids), DigestRow.subscriber_id.is_not(None)
            )
        )
    )
    session.execute(delete(SeenPaperRow).where(SeenPaperRow.digest_id.in_(digest_ids)))
    # A digest with papers in the ledger stands: it was mailed, or still may be.
    standing = (
        select(func.max(DigestRow.planned_at))
        .where(
            DigestRow.subscriber_id == SubscriberRow.id,
            exists(select(1).where(SeenPaperRow.digest_id == DigestRow.id)),
        )
        .scalar_subquery()
    )
    session.execute(
        update(SubscriberRow)
        .where(SubscriberRow.id.in_(owners))
        .values(last_digest_at=standing)
        .execution_options(synchronize_session=False)
    )
