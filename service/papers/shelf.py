"""Reads the papers we keep. Never writes, and never looks past the instant it is given.

While any other paper is on the shelf, those of the demo are left out: they fill an empty shelf, they don't
stand among real ones.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Literal

from sqlalchemy import ColumnElement, String, and_, cast, exists, func, or_, select
from sqlalchemy.orm import Session, aliased

from service.papers.cleaning import paper_id
from service.papers.paper import Observation
from service.papers.tables import ObservationRow, PaperRow, SourceRunRow
from service.papers.traits import PAST_DAYS, Earlier, Past, Traits, last_of
from service.papers.trend import Sighting
from service.ranking.values import Candidate

State = Literal["ok", "quiet", "failing", "stale", "never"]

DEMO = "demo"
FETCHED = ("ok", "quiet", "partial")  # outcomes of runs that brought an answer
STATES: dict[str, State] = {"ok": "ok", "partial": "ok", "quiet": "quiet", "failed": "failing"}
STALE_WEEKDAYS = 2
LISTED_BY = time(12)  # UTC; a day's list has always appeared by then (data/hf_daily)
STATE_DAYS = 30  # runs longer ago tell nothing about now
IDS_AT_ONCE = 5_000


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceState:
    """How a source fares: "stale" answers well, but nothing new comes although weekdays pass.

    ``since`` is the first run of the present state, for "stale" the last run that brought a newer list.
    """

    source: str
    state: State
    since: datetime | None = None
    message: str | None = None
    newest_listed_on: date | None = None


def _shown() -> ColumnElement[bool]:
    other = aliased(PaperRow)
    return or_(PaperRow.source != DEMO, ~exists(select(1).where(other.source != DEMO)))


def list_days(session: Session, *, limit: int = 30, before: date | None = None) -> list[date]:
    """Give the newest days that have papers, newest first; only earlier ones than ``before`` if given."""
    query = select(PaperRow.listed_on).where(PaperRow.listed_on.is_not(None), _shown()).distinct()
    if before is not None:
        query = query.where(PaperRow.listed_on < before)
    days = session.scalars(query.order_by(PaperRow.listed_on.desc()).limit(limit))
    return [day for day in days if day is not None]


def day_after(session: Session, day: date) -> date | None:
    """Give the next later day that has papers."""
    return session.scalar(select(func.min(PaperRow.listed_on)).where(PaperRow.listed_on > day, _shown()))


def papers_of_day(session: Session, day: date) -> list[PaperRow]:
    """Give the papers a source listed on ``day``, best-voted first."""
    query = select(PaperRow).where(PaperRow.listed_on == day, PaperRow.withdrawn_at.is_(None), _shown())
    best_first = (func.coalesce(PaperRow.upvotes, -1).desc(), PaperRow.id)
    return list(session.scalars(query.order_by(*best_first)))


def get_paper(session: Session, paper_id: str) -> PaperRow | None:
    """Give the paper with this id (without version), or None."""
    return session.get(PaperRow, paper_id)


def papers_by_id(session: Session, ids: Iterable[str]) -> dict[str, PaperRow]:
    """Give those of the papers that we have, by id."""
    wanted = list(dict.fromkeys(ids))
    found: dict[str, PaperRow] = {}
    for start in range(0, len(wanted), IDS_AT_ONCE):
        query = select(PaperRow).where(PaperRow.id.in_(wanted[start : start + IDS_AT_ONCE]))
        found.update((row.id, row) for row in session.scalars(query))
    return found


def candidate_rows(session: Session, *, since: datetime, until: datetime) -> list[PaperRow]:
    """Give the papers first seen in (``since``, ``until``] that are not withdrawn, oldest first."""
    query = select(PaperRow).where(
        PaperRow.first_seen_at > since,
        PaperRow.first_seen_at <= until,
        PaperRow.withdrawn_at.is_(None),
        _shown(),
    )
    return list(session.scalars(query.order_by(PaperRow.first_seen_at, PaperRow.id)))


def newest_seen_at(session: Session, until: datetime) -> datetime | None:
    """Give the instant the newest candidate was first seen, by ``until``; None if there is no paper."""
    shown = and_(PaperRow.first_seen_at <= until, PaperRow.withdrawn_at.is_(None), _shown())
    return session.scalar(select(func.max(PaperRow.first_seen_at)).where(shown))


def is_demo(session: Session) -> bool:
    """Say whether the shelf holds the demo issue and nothing else."""
    shown = select(PaperRow.source).where(_shown()).limit(1)
    return session.scalar(shown) == DEMO


def as_candidate(row: PaperRow) -> Candidate:
    """Make the value ranking works with."""
    return Candidate(
        id=row.id,
        title=row.title,
        abstract=row.abstract,
        summary=row.summary or "",
        keywords=tuple(row.keywords),
        categories=tuple(row.categories),
        authors=tuple(row.authors),
        organization=row.organization,
        listed_on=row.listed_on,
        shown=tuple(filter(None, (row.submitted_by, row.repository_url, row.project_url))),
    )


def search(session: Session, words: str, limit: int = 50) -> list[PaperRow]:
    """Give the papers that hold every one of ``words``, or have them as id; newest list day first."""
    if known := paper_id(words):
        row = get_paper(session, known)
        return [row] if row else []
    terms = words.split()[:10]
    if not terms:
        return []
    query = select(PaperRow).where(PaperRow.withdrawn_at.is_(None), _shown(), *map(_holds, terms))
    newest_first = (PaperRow.listed_on.desc().nulls_last(), PaperRow.id.desc())
    return list(session.scalars(query.order_by(*newest_first).limit(limit)))


def _holds(term: str) -> ColumnElement[bool]:
    # Lists are JSON, where other letters than ASCII are written as escapes.
    listed = json.dumps(term)[1:-1]
    return or_(
        PaperRow.title.icontains(term, autoescape=True),
        PaperRow.abstract.icontains(term, autoescape=True),
        cast(PaperRow.authors, String).icontains(listed, autoescape=True),
        cast(PaperRow.keywords, String).icontains(listed, autoescape=True),
    )


def observations_of(session: Session, paper_id: str) -> list[Observation]:
    """Give what was observed of a paper, oldest first."""
    query = select(ObservationRow).where(ObservationRow.paper_id == paper_id)
    return [
        Observation(
            paper_id=row.paper_id,
            source=row.source,
            observed_at=row.observed_at,
            upvotes=row.upvotes,
            comments=row.comments,
            stars=row.stars,
        )
        for row in session.scalars(query.order_by(ObservationRow.observed_at))
    ]


def sightings(session: Session, *, since: datetime, until: datetime) -> list[Sighting]:
    """Give what was observed in (``since``, ``until``], oldest first, for the trend."""
    query = (
        select(
            ObservationRow.paper_id,
            PaperRow.listed_on,
            ObservationRow.observed_at,
            ObservationRow.upvotes,
            ObservationRow.comments,
            ObservationRow.stars,
            ObservationRow.source,
        )
        .join(PaperRow, PaperRow.id == ObservationRow.paper_id)
        .where(ObservationRow.observed_at > since, ObservationRow.observed_at <= until, _shown())
        .order_by(ObservationRow.observed_at, ObservationRow.paper_id)
    )
    return [
        Sighting(
            id=id_, list_date=listed, at=at, upvotes=upvotes, comments=comments, stars=stars, source=source
        )
        for id_, listed, at, upvotes, comments, stars, source in session.execute(query)
    ]


def newest_look_at(session: Session, until: datetime) -> datetime | None:
    """Give the instant of the newest observation by ``until``."""
    return session.scalar(
        select(func.max(ObservationRow.observed_at)).where(ObservationRow.observed_at <= until)
    )


def traits(session: Session, now: datetime) -> dict[str, Traits]:
    """Give what is public of papers in their first day, and how earlier ones fared by ``now``, for the trend.

    The hour of listing is not among it: sources tell the day alone, and our looks the rest.
    """
    today = now.astimezone(UTC).date()
    young = select(
        PaperRow.id,
        PaperRow.listed_on,
        PaperRow.organization,
        PaperRow.project_url,
        PaperRow.published_at,
        PaperRow.submitted_by,
        PaperRow.authors,
        PaperRow.author_count,
    ).where(
        PaperRow.listed_on >= today - timedelta(days=1),
        PaperRow.listed_on <= today,
        PaperRow.first_seen_at <= now,
        _shown(),
    )
    found = session.execute(young).all()
    if not found:
        return {}
    earlier = _earlier(session, now, today)
    pasts = {day: Past.of(earlier, day) for day in {row.listed_on for row in found if row.listed_on}}
    return {
        row.id: Traits(
            organization=bool(row.organization),
            project_page=bool(row.project_url),
            authors=row.author_count or None,
            published_on=row.published_at.astimezone(UTC).date() if row.published_at else None,
            submitter=pasts[row.listed_on].submitters.get(row.submitted_by or "", 0.0),
            last_author=pasts[row.listed_on].last_authors.get(
                last_of(row.authors, row.author_count) or "", 0.0
            ),
        )
        for row in found
        if row.listed_on
    }


def _earlier(session: Session, now: datetime, today: date) -> list[Earlier]:
    """Give the papers of the year before ``today`` with their votes as last seen by ``now``."""
    in_year = and_(PaperRow.listed_on >= today - timedelta(days=PAST_DAYS + 1), PaperRow.listed_on < today)
    voted = and_(in_year, PaperRow.upvotes.is_not(None), _shown())
    rows = session.execute(
        select(
            PaperRow.id,
            PaperRow.listed_on,
            PaperRow.upvotes,
            PaperRow.observed_at,
            PaperRow.submitted_by,
            PaperRow.authors,
            PaperRow.author_count,
        ).where(voted)
    ).all()
    # Only when the present is another than ours, as in a replay, are there later looks to leave out.
    later = [row.id for row in rows if row.observed_at and row.observed_at > now]
    votes = {row.id: row.upvotes for row in rows} | dict.fromkeys(later)
    for start in range(0, len(later), IDS_AT_ONCE):
        most = select(ObservationRow.paper_id, func.max(ObservationRow.upvotes)).where(
            ObservationRow.paper_id.in_(later[start : start + IDS_AT_ONCE]), ObservationRow.observed_at <= now
        )
        for id_, count in session.execute(most.group_by(ObservationRow.paper_id)):
            votes[id_] = count
    return [
        Earlier(
            list_date=row.listed_on,
            votes=count,
            submitter=row.submitted_by,
            last_author=last_of(row.authors, row.author_count),
        )
        for row in rows
        if row.listed_on and (count := votes[row.id]) is not None
    ]


def last_success_at(session: Session, now: datetime) -> datetime | None:
    """Give the instant of the last run, of any source, that brought an answer."""
    fetched = and_(SourceRunRow.started_at <= now, SourceRunRow.outcome.in_(FETCHED))
    return session.scalar(select(func.max(SourceRunRow.started_at)).where(fetched))


def source_states(
    session: Session, now: datetime, *, names: Sequence[str] | None = None
) -> list[SourceState]:
    """Give how each source fares at ``now``, by its runs; of ``names`` only if given, in their order."""
    query = select(
        SourceRunRow.source,
        SourceRunRow.started_at,
        SourceRunRow.outcome,
        SourceRunRow.message,
        SourceRunRow.newest_listed_on,
    ).where(SourceRunRow.started_at <= now, SourceRunRow.started_at > now - timedelta(days=STATE_DAYS))
    runs: dict[str, list[_Run]] = {}
    oldest_first = query.order_by(SourceRunRow.started_at, SourceRunRow.id)
    for source, at, outcome, message, newest in session.execute(oldest_first):
        runs.setdefault(source, []).append(_Run(at, outcome, message, newest))
    return [_state(name, runs.get(name, []), now) for name in (sorted(runs) if names is None else names)]


@dataclass(frozen=True, slots=True)
class _Run:
    at: datetime
    outcome: str
    message: str | None
    newest: date | None


def _state(source: str, runs: Sequence[_Run], now: datetime) -> SourceState:
    """Judge by the runs, oldest first."""
    if not runs:
        return SourceState(source=source, state="never")
    last = runs[-1]
    state, since = STATES[last.outcome], last.at
    for run in reversed(runs):
        if STATES[run.outcome] != state:
            break
        since = run.at
    newest, rose_at = None, None
    for run in runs:
        if run.newest is not None and (newest is None or run.newest > newest):
            newest, rose_at = run.newest, run.at
    message = last.message
    if state != "failing" and source != DEMO and newest and _weekdays_without(newest, now) >= STALE_WEEKDAYS:
        state, since = "stale", rose_at or since
        message = f"answers, but has listed nothing newer than {newest}"
    return SourceState(source=source, state=state, since=since, message=message, newest_listed_on=newest)


def _weekdays_without(newest: date, now: datetime) -> int:
    """Count the weekdays after ``newest`` whose list should have appeared by ``now``."""
    last = now.date() if now.time() >= LISTED_BY else now.date() - timedelta(days=1)
    days = min((last - newest).days, 14)  # more is just as stale
    return sum((last - timedelta(days=back)).weekday() < 5 for back in range(days))
