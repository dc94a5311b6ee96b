"""How well early orders of a day's papers foretell the order a day or a week later."""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import numpy as np

from benchmarks.evaluation.measures import Floats, spearman, top_overlap
from benchmarks.evaluation.recorded import Recorded
from service.papers.traits import Earlier, Past, Traits, hour_told, last_of
from service.papers.trend import Sighting, trends
from service.ranking.values import Trend

HISTORY = timedelta(days=31)  # as much as the service reads
LEAST_PAPERS = 8
WINDOWS = {"under 6 h": (0.0, 6.0), "6-12 h": (6.0, 12.0)}
NEXT_DAY = (24.0, 30.0)
WEEK = (48.0, 400.0)
# Each ablation takes one of them from all papers.
UNKNOWN = Traits()
LEFT_OUT = (
    "listed_at",
    "organization",
    "project_page",
    "authors",
    "published_on",
    "submitter",
    "last_author",
)


@dataclass(frozen=True, eq=False)
class Early:
    """One day as it stood at one early instant, and the votes its papers came to."""

    day: date
    window: str
    now: datetime
    ids: tuple[str, ...]
    votes: Floats
    final: Floats
    known: Sequence[Sighting]  # of all papers, up to ``now``
    traits: Mapping[str, Traits]  # of the day's papers, as known at ``now``


Score = Callable[[Early], Floats]


def early_days(recorded: Recorded, outcome: str = "next day") -> Iterator[Early]:
    """Give each day and early window in which enough papers were seen, both then and at the outcome."""
    by_day: dict[date, list[Sighting]] = defaultdict(list)
    for one in recorded.sightings:
        if one.list_date and one.upvotes is not None:
            by_day[one.list_date].append(one)
    times = [one.at for one in recorded.sightings]
    for day, seen in sorted(by_day.items()):
        final = _final(seen, day, outcome)
        for window, (low, high) in WINDOWS.items():
            early = {one.id: one for one in seen if low <= _hours(one, day) < high}
            ids = tuple(sorted(early.keys() & final.keys()))
            if len(ids) < LEAST_PAPERS:
                continue
            now = max(early[id_].at for id_ in ids)
            last = bisect_right(times, now)
            yield Early(
                day=day, window=window, now=now, ids=ids,
                votes=np.array([early[id_].upvotes for id_ in ids], np.float64),
                final=np.array([final[id_] for id_ in ids], np.float64),
                known=recorded.sightings[bisect_left(times, now - HISTORY) : last],
                traits=traits_at(recorded, ids, day, recorded.sightings[:last]),
            )  # fmt: skip


def traits_at(
    recorded: Recorded, ids: Sequence[str], day: date, known: Sequence[Sighting]
) -> dict[str, Traits]:
    """Give the traits of papers listed on ``day``; how earlier ones fared is read from ``known`` alone.

    What the archive does not say is unknown. Organization, project page, authors and dates are the archive's:
    answers of the same day at different hours hardly ever differ in them (docs/evaluation.md).
    """
    earlier = {
        one.id: Earlier(
            list_date=one.list_date,
            votes=one.upvotes,
            submitter=_submitter(recorded.items.get(one.id, {})),
            last_author=last_of(_inner(recorded, one.id).get("authors") or ()),
        )
        for one in known
        if one.list_date and one.upvotes is not None
    }
    past = Past.of(earlier.values(), day)
    return {id_: _traits(recorded, id_, day, past) for id_ in ids}


def scorers() -> dict[str, Score]:
    """Give the ways of ordering by name; the first is Paperlark's, then its parts left out, then others'."""
    return {
        "Paperlark": lambda early: order_of(early, trends(early.known, early.now, traits=early.traits)),
        "without what is not a count": lambda early: order_of(early, trends(early.known, early.now)),
        **{f"without {part}": _without(part) for part in LEFT_OUT},
        "without older papers": _alone,
        "upvotes now": lambda early: early.votes,
        "newest first": _newest,
    }


def order_of(early: Early, found: Mapping[str, Trend]) -> Floats:
    """Give the scores of a day's papers."""
    return np.array([found[id_].score for id_ in early.ids])


def _without(part: str) -> Score:
    def score(early: Early) -> Floats:
        blank: dict[str, Any] = {part: getattr(UNKNOWN, part)}
        less = {id_: replace(one, **blank) for id_, one in early.traits.items()}
        return order_of(early, trends(early.known, early.now, traits=less))

    return score


def _alone(early: Early) -> Floats:
    """Give the trend of an installation that was started on this day."""
    known = [one for one in early.known if one.list_date == early.day]
    return order_of(early, trends(known, early.now, traits=early.traits))


def _newest(early: Early) -> Floats:
    listed = [early.traits[id_].listed_at or datetime.min.replace(tzinfo=UTC) for id_ in early.ids]
    return np.array([sorted(set(listed)).index(one) for one in listed], np.float64)


def measure(scores: Floats, early: Early) -> dict[str, float]:
    """Compare an order with the outcome; the top ten only where it is not nearly the whole day."""
    measured = {
        "Spearman": spearman(scores, early.final),
        "top 5": top_overlap(scores, early.final, 5),
    }
    if len(early.ids) >= 15:
        measured["top 10"] = top_overlap(scores, early.final, 10)
    return measured


def _traits(recorded: Recorded, id_: str, day: date, past: Past) -> Traits:
    paper = _inner(recorded, id_)
    listed, published = paper.get("submittedOnDailyAt"), paper.get("publishedAt")
    authors = paper.get("authors") or ()
    return Traits(
        listed_at=hour_told(datetime.fromisoformat(listed) if listed else None, day),
        organization=bool(paper.get("organization")),
        project_page=bool(paper.get("projectPage")),
        authors=len(authors) or None,
        published_on=date.fromisoformat(published[:10]) if published else None,
        submitter=past.submitters.get(_submitter(recorded.items.get(id_, {})) or "", 0.0),
        last_author=past.last_authors.get(last_of(authors) or "", 0.0),
    )


def _inner(recorded: Recorded, id_: str) -> dict[str, Any]:
    inner: dict[str, Any] = recorded.items.get(id_, {}).get("paper", {})
    return inner


def _submitter(item: Mapping[str, Any]) -> str | None:
    name: str | None = (item.get("submittedBy") or {}).get("name")
    return name


def _final(seen: Sequence[Sighting], day: date, outcome: str) -> dict[str, int]:
    low, high = WEEK if outcome == "week" else NEXT_DAY
    return {
        one.id: one.upvotes
        for one in seen
        if one.upvotes is not None
        and low <= _hours(one, day) < high
        and (outcome != "week" or "weekly" in (one.source or ""))
    }


def _hours(one: Sighting, day: date) -> float:
    return (one.at - datetime.combine(day, time(), UTC)).total_seconds() / 3600
