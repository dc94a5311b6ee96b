"""Which papers each subscriber has been given: kept with the digests, so that none comes twice.

A digest's papers are chosen without those of all digests before it. That no other comes in between, a count
of each person's digests sees to: it is read before the papers are chosen, and raised with the digest where it
still is what it was. Of two planners at once the second finds it changed.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, Select, Update, bindparam, func, select, true, update
from sqlalchemy.orm import Session

from service.bulk import is_postgres, numbers, numbers_given, unnested
from service.digests.tables import DigestRow
from service.subscribers.tables import SubscriberRow

_BETWEEN = " "  # no id holds it
# A digest is planned while its local date lasts, or an hour longer: what was planned after an instant has a
# date no farther before it than this. The index knows dates.
LATEST = timedelta(days=3)
_PEOPLE = SubscriberRow.metadata.tables[SubscriberRow.__tablename__]


class Overtaken(Exception):
    """Somebody was given a digest after papers were chosen for another."""


def as_kept(papers: Sequence[str]) -> str:
    """Write the papers of a digest as its row keeps them."""
    return _BETWEEN.join(papers)


def load_seen(
    session: Session, subscriber_ids: Sequence[int], *, since: datetime
) -> dict[int, frozenset[str]]:
    """Return the papers each subscriber has been given by digests planned after ``since``.

    These are all that were first seen after it, for a paper is never first seen later than it was before
    (papers/storing.py), and some seen earlier.
    """
    given: dict[str, Any] = {"since": since, "day": since.date() - LATEST}
    if is_postgres(session):
        rows = session.connection().execute(_EACH_SINCE, given | {"ids": numbers(subscriber_ids)})
    else:
        rows = session.connection().execute(_SINCE, given | {"ids": list(subscriber_ids)})
    seen = dict.fromkeys(subscriber_ids, frozenset[str]())
    seen.update({id_: frozenset(papers.split(_BETWEEN)) for id_, papers in rows if papers})
    return seen


def _since(asked: Select[*tuple[Any, ...]], *of_whom: ColumnElement[bool]) -> Select[*tuple[Any, ...]]:
    return asked.where(
        *of_whom,
        DigestRow.issue_date >= bindparam("day"),
        DigestRow.planned_at > bindparam("since", type_=DigestRow.planned_at.type),
        DigestRow.papers.is_not(None),
    )


def _each_since() -> Select[*tuple[Any, ...]]:
    """Ask person by person (Postgres): told of them all it may read everybody's digests of these days."""
    person = unnested({"id": numbers_given("ids", BigInteger())})["id"]
    papers = func.string_agg(DigestRow.papers, _BETWEEN).label("papers")
    theirs = _since(select(papers), DigestRow.subscriber_id == person).lateral()
    return select(person, theirs.c.papers).join_from(person.table, theirs, true())


_EACH_SINCE = _each_since()
_SINCE = _since(
    select(DigestRow.subscriber_id, func.group_concat(DigestRow.papers, _BETWEEN)),
    DigestRow.subscriber_id.in_(bindparam("ids", expanding=True)),
).group_by(DigestRow.subscriber_id)


def count(session: Session, subscriber_ids: Sequence[int], counts: Sequence[int], now: datetime) -> None:
    """Count one digest more, planned at ``now``, for each subscriber; ``counts`` were read before choosing.

    Raises:
        Overtaken: somebody has had another since. Nothing of the transaction may stay.
    """
    if not subscriber_ids:
        return
    if is_postgres(session):
        given = {"ids": numbers(subscriber_ids), "counts": numbers(counts), "now": now}
        counted = session.connection().execute(_COUNT_AT_ONCE, given).rowcount
    else:
        rows = [
            {"id_": id_, "count_": count, "now": now}
            for id_, count in zip(subscriber_ids, counts, strict=True)
        ]
        counted = session.connection().execute(_COUNT, rows).rowcount
    if counted != len(subscriber_ids):
        raise Overtaken(f"{len(subscriber_ids) - counted} of {len(subscriber_ids)} people")


def _counted(id_: Any, count: Any) -> Update:
    now = bindparam("now", type_=_PEOPLE.c.last_digest_at.type)
    return (
        update(_PEOPLE)
        .where(_PEOPLE.c.id == id_, _PEOPLE.c.digest_count == count)
        .values(digest_count=_PEOPLE.c.digest_count + 1, last_digest_at=now)
    )


_COUNT = _counted(bindparam("id_"), bindparam("count_"))
_GIVEN = unnested(
    {
        "id": numbers_given("ids", _PEOPLE.c.id.type),
        "count": numbers_given("counts", _PEOPLE.c.digest_count.type),
    }
)
_COUNT_AT_ONCE = _counted(_GIVEN["id"], _GIVEN["count"])


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
        update(DigestRow)
        .where(DigestRow.id.in_(digest_ids))
        .values(papers=None)
        .execution_options(synchronize_session=False)
    )
    # A digest with papers stands: it was mailed, or still may be.
    standing = (
        select(func.max(DigestRow.planned_at))
        .where(DigestRow.subscriber_id == SubscriberRow.id, DigestRow.papers.is_not(None))
        .scalar_subquery()
    )
    session.execute(
        update(SubscriberRow)
        .where(SubscriberRow.id.in_(owners))
        .values(last_digest_at=standing)
        .execution_options(synchronize_session=False)
    )
