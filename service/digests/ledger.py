"""Which papers each subscriber has been given: the ledger that keeps a paper from coming twice."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from sqlalchemy import delete, exists, func, insert, select, update
from sqlalchemy.orm import Session

from service.digests.tables import DigestRow, SeenPaperRow
from service.papers.tables import PaperRow
from service.subscribers.tables import SubscriberRow


def load_seen(
    session: Session, subscriber_ids: Sequence[int], *, since: datetime
) -> dict[int, frozenset[str]]:
    """Return the papers each subscriber has been given, of those first seen after ``since``."""
    query = (
        select(SeenPaperRow.subscriber_id, SeenPaperRow.paper_id)
        .join(PaperRow, PaperRow.id == SeenPaperRow.paper_id)
        .where(SeenPaperRow.subscriber_id.in_(subscriber_ids), PaperRow.first_seen_at > since)
    )
    seen: dict[int, set[str]] = {subscriber_id: set() for subscriber_id in subscriber_ids}
    for subscriber_id, paper_id in session.execute(query):
        seen[subscriber_id].add(paper_id)
    return {subscriber_id: frozenset(papers) for subscriber_id, papers in seen.items()}


def enter(session: Session, rows: Iterable[tuple[int, int, Sequence[str]]]) -> None:
    """Enter papers as given, by ``(subscriber id, digest id, paper ids)``.

    Raises:
        sqlalchemy.exc.IntegrityError: somebody was given one of the papers in the meantime, or is gone.
    """
    entries = [
        {"subscriber_id": subscriber_id, "digest_id": digest_id, "paper_id": paper_id}
        for subscriber_id, digest_id, papers in rows
        for paper_id in papers
    ]
    if entries:
        session.execute(insert(SeenPaperRow.__table__), entries)  # type: ignore[arg-type]


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
