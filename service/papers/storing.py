"""Writes papers and observations, many at once. Doing it twice, or at the same time, changes nothing.

A paper is merged by its id: later text wins where there is any, what is known is never replaced by what is
not, the newest counts stand with the paper, and every observation is kept. A paper of the demo gives way to
the same paper from elsewhere, and never the other way round.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import JSON, ColumnElement, Integer, Text, and_, case, cast, delete, func, or_, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session
from sqlalchemy.sql.dml import Insert

from service.papers.paper import Observation, Paper
from service.papers.tables import ObservationRow, PaperRow

CHUNK = 500  # papers in a transaction
DEMO = "demo"
PAPERS: Any = PaperRow.__table__
OBSERVATIONS: Any = ObservationRow.__table__
MERGED = (
    "title", "abstract", "published_at", "summary", "keywords", "categories", "organization", "submitted_by",
    "repository_url", "project_url", "withdrawn_at",
)  # fmt: skip
COUNTS = ("upvotes", "comments", "stars")


class Stored(NamedTuple):
    """How much of what was given is new."""

    papers: int
    observations: int


@dataclass(frozen=True, slots=True)
class Batch:
    """Papers of different ids with their observations, small enough for one transaction."""

    papers: Sequence[Paper]
    observations: dict[str, list[Observation]]  # by paper, oldest first


def batches(papers: Iterable[Paper], observations: Iterable[Observation]) -> Iterator[Batch]:
    """Cut an answer into batches; a paper given twice goes into two of them, with its observations once.

    Observations of papers that are not given are left out.
    """
    by_paper: dict[str, list[Observation]] = {}
    for observation in sorted(observations, key=lambda one: one.observed_at):
        by_paper.setdefault(observation.paper_id, []).append(observation)
    batch: dict[str, Paper] = {}
    for paper in papers:
        if paper.id in batch or len(batch) == CHUNK:
            yield _batch(batch, by_paper)
            batch = {}
        batch[paper.id] = paper
    if batch:
        yield _batch(batch, by_paper)


def _batch(papers: dict[str, Paper], by_paper: dict[str, list[Observation]]) -> Batch:
    # In the order of their ids: two collections at once then wait for each other instead of deadlocking.
    ids = sorted(papers)
    return Batch([papers[id_] for id_ in ids], {id_: by_paper.pop(id_) for id_ in ids if id_ in by_paper})


def store(session: Session, batch: Batch, seen_at: datetime) -> Stored:
    """Merge a batch; ``seen_at`` is when papers without observations were seen."""
    dialect = session.get_bind().dialect.name
    known = _known_sources(session, [paper.id for paper in batch.papers])
    papers = [one for one in batch.papers if one.source != DEMO or known.get(one.id, DEMO) == DEMO]
    replaced = [one.id for one in papers if one.source != DEMO and known.get(one.id) == DEMO]
    if replaced:
        of_demo = and_(OBSERVATIONS.c.source == DEMO, OBSERVATIONS.c.paper_id.in_(replaced))
        session.execute(delete(OBSERVATIONS).where(of_demo))
    if not papers:
        return Stored(papers=0, observations=0)
    rows = [_paper_values(one, batch.observations.get(one.id, []), seen_at) for one in papers]
    session.execute(_merge_papers(dialect), rows)
    seen = [_observation_values(each) for one in papers for each in batch.observations.get(one.id, [])]
    count = 0
    if seen:
        counted = {"preserve_rowcount": True}
        result = session.execute(_add_observations(dialect), seen, execution_options=counted)
        count = int(result.rowcount)  # type: ignore[attr-defined]
    return Stored(papers=sum(one.id not in known for one in papers), observations=count)


def _known_sources(session: Session, ids: Sequence[str]) -> dict[str, str]:
    query = select(PAPERS.c.id, PAPERS.c.source).where(PAPERS.c.id.in_(ids))
    return dict(session.execute(query).all())


def _paper_values(paper: Paper, observations: Sequence[Observation], seen_at: datetime) -> dict[str, Any]:
    values: dict[str, Any] = {name: getattr(paper, name) for name in ("id", "listed_on", "source", *MERGED)}
    values |= {"keywords": list(paper.keywords), "categories": list(paper.categories)}
    values |= {"authors": list(paper.authors), "author_count": paper.author_count}
    values |= dict.fromkeys((*COUNTS, "observed_at"))
    for one in observations:
        values |= {name: count for name in COUNTS if (count := getattr(one, name)) is not None}
    if observations:
        values["observed_at"] = observations[-1].observed_at
    values["first_seen_at"] = observations[0].observed_at if observations else seen_at
    values["updated_at"] = values["observed_at"] or seen_at
    return values


def _observation_values(one: Observation) -> dict[str, Any]:
    return {
        "paper_id": one.paper_id,
        "observed_at": one.observed_at,
        "source": one.source,
        "upvotes": one.upvotes,
        "comments": one.comments,
        "stars": one.stars,
    }


def _insert(dialect: str, table: Any) -> Any:
    return postgresql.insert(table) if dialect == "postgresql" else sqlite.insert(table)


@cache
def _add_observations(dialect: str) -> Insert:
    statement: Insert = _insert(dialect, OBSERVATIONS).on_conflict_do_nothing()
    return statement


@cache
def _merge_papers(dialect: str) -> Insert:
    """Make the statement; merging in the database loses nothing when two collections run at once."""
    statement = _insert(dialect, PAPERS)
    old, new = PAPERS.c, statement.excluded
    replaces_demo = and_(old.source == DEMO, new.source != DEMO)
    last_seen_at = func.coalesce(old.observed_at, old.updated_at)
    later = or_(replaces_demo, new.updated_at >= last_seen_at)

    def merged(column: str, decided_by: str | None = None) -> ColumnElement[Any]:
        by = decided_by or column
        wins = and_(_known(new[by]), or_(later, ~_known(old[by])))
        return case((wins, new[column]), else_=old[column])

    text: dict[str, ColumnElement[Any]] = {name: merged(name) for name in MERGED}
    text |= {"authors": merged("authors"), "author_count": merged("author_count", "authors")}
    earlier_list = or_(replaces_demo, old.listed_on.is_(None), new.listed_on < old.listed_on)
    text["listed_on"] = case(
        (and_(new.listed_on.is_not(None), earlier_list), new.listed_on), else_=old.listed_on
    )
    changed = or_(
        replaces_demo, *(_text(old[name]).is_distinct_from(_text(value)) for name, value in text.items())
    )

    newest = or_(replaces_demo, old.observed_at.is_(None), new.observed_at >= old.observed_at)
    # Never later, the demo's neither: who was given a paper is known by digests since it was first seen.
    first = new.first_seen_at < old.first_seen_at
    counts = {
        name: case(
            (replaces_demo, new[name]),
            (and_(new[name].is_not(None), or_(newest, old[name].is_(None))), new[name]),
            else_=old[name],
        )
        for name in COUNTS
    }
    return statement.on_conflict_do_update(  # type: ignore[no-any-return]
        index_elements=[old.id],
        set_={
            **text,
            **counts,
            "source": case((replaces_demo, new.source), else_=old.source),
            "first_seen_at": case((first, new.first_seen_at), else_=old.first_seen_at),
            "observed_at": case(
                (and_(newest, new.observed_at.is_not(None)), new.observed_at), else_=old.observed_at
            ),
            "updated_at": case((and_(changed, later), new.updated_at), else_=old.updated_at),
        },
        where=or_(old.source == DEMO, new.source != DEMO),
    )


def _known(column: ColumnElement[Any]) -> ColumnElement[bool]:
    if isinstance(column.type, JSON):
        return cast(column, Text) != "[]"
    if isinstance(column.type, Text):
        return and_(column.is_not(None), column != "")
    return column > 0 if isinstance(column.type, Integer) else column.is_not(None)


def _text(column: ColumnElement[Any]) -> ColumnElement[Any]:
    # Postgres can't compare JSON as such.
    return cast(column, Text) if isinstance(column.type, JSON) else column
