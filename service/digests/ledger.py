"""Which papers each subscriber has been given: the ledger that keeps a paper from coming twice."""

from collections.abc import Sequence
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import (
    ARRAY,
    Insert,
    Select,
    String,
    Text,
    bindparam,
    cast,
    delete,
    exists,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.orm import Session

from service.bulk import among_given, ids_of, is_postgres, numbers, numbers_given, unnested
from service.digests.tables import DigestRow, SeenPaperRow
from service.papers.tables import PaperRow
from service.subscribers.tables import SubscriberRow

_SEEN_PAPERS = SeenPaperRow.metadata.tables[SeenPaperRow.__tablename__]
_PAPER_ENDS, _DIGEST_ENDS = "\x1f", "\x1e"  # no id holds them


def load_seen(
    session: Session, subscriber_ids: Sequence[int], *, since: datetime
) -> dict[int, frozenset[str]]:
    """Return the papers each subscriber has been given, of those first seen after ``since``."""
    rows = session.connection().execute(
        _seen_since(is_postgres(session)), {"since": since, **ids_of(session, subscriber_ids)}
    )
    seen = dict.fromkeys(subscriber_ids, frozenset[str]())
    for subscriber_id, papers in rows:
        seen[subscriber_id] = frozenset(papers.split(_PAPER_ENDS))
    return seen


@cache
def _seen_since(in_arrays: bool) -> Select[*tuple[Any, ...]]:
    """Ask for what some people have been given.

    Nobody's years of papers are read for it: ids grow with time, and those below all wanted are passed over.
    """
    is_recent = PaperRow.first_seen_at > bindparam("since", type_=PaperRow.first_seen_at.type)
    recent = select(PaperRow.id).where(is_recent).offset(0).subquery()  # by the index of that: they are few
    lowest = select(func.min(recent.c.id)).scalar_subquery()
    join_up = func.string_agg if in_arrays else func.group_concat
    return (
        select(SeenPaperRow.subscriber_id, join_up(SeenPaperRow.paper_id, _PAPER_ENDS, type_=String()))
        .join(PaperRow, PaperRow.id == SeenPaperRow.paper_id)
        .where(
            among_given(SeenPaperRow.subscriber_id, in_arrays=in_arrays),
            SeenPaperRow.paper_id >= lowest,
            is_recent,
        )
        .group_by(SeenPaperRow.subscriber_id)
    )


def enter(
    session: Session,
    subscriber_ids: Sequence[int],
    digest_ids: Sequence[int],
    papers: Sequence[Sequence[str]],
) -> None:
    """Enter the papers of digests as given; the digests were stored in the same transaction.

    Raises:
        sqlalchemy.exc.IntegrityError: somebody was given one of the papers in the meantime.
    """
    if not digest_ids:
        return
    if is_postgres(session):
        values: Any = {
            "subscriber_id": numbers(subscriber_ids),
            "digest_id": numbers(digest_ids),
            "papers": _DIGEST_ENDS.join(map(_PAPER_ENDS.join, papers)),
        }
        session.connection().execute(_ENTER, values)
        return
    rows = [
        {"subscriber_id": subscriber_id, "digest_id": digest_id, "paper_id": paper_id}
        for subscriber_id, digest_id, of_digest in zip(subscriber_ids, digest_ids, papers, strict=True)
        for paper_id in of_digest
    ]
    session.connection().execute(insert(_SEEN_PAPERS), rows)


def _enter() -> Insert:
    """Take a digest a row, apart into a paper a row (Postgres)."""
    given = unnested(
        {
            "subscriber_id": numbers_given("subscriber_id", SeenPaperRow.subscriber_id.type),
            "digest_id": numbers_given("digest_id", SeenPaperRow.digest_id.type),
            "papers": func.string_to_array(cast(bindparam("papers"), Text), _DIGEST_ENDS, type_=ARRAY(Text)),
        }
    )
    each = func.unnest(func.string_to_array(given["papers"], _PAPER_ENDS, type_=ARRAY(Text)))
    rows = select(given["subscriber_id"], cast(each, String), given["digest_id"])
    return insert(_SEEN_PAPERS).from_select(["subscriber_id", "paper_id", "digest_id"], rows)


_ENTER = _enter()


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
    session.execute(
        delete(SeenPaperRow).where(
            SeenPaperRow.subscriber_id.in_(owners), SeenPaperRow.digest_id.in_(digest_ids)
        )
    )
    # A digest with papers in the ledger stands: it was mailed, or still may be.
    standing = (
        select(func.max(DigestRow.planned_at))
        .where(
            DigestRow.subscriber_id == SubscriberRow.id,
            exists(
                select(1).where(
                    SeenPaperRow.subscriber_id == SubscriberRow.id, SeenPaperRow.digest_id == DigestRow.id
                )
            ),
        )
        .scalar_subquery()
    )
    session.execute(
        update(SubscriberRow)
        .where(SubscriberRow.id.in_(owners))
        .values(last_digest_at=standing)
        .execution_options(synchronize_session=False)
    )
