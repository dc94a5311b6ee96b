"""How well early orders of a day's papers foretell the order a day or a week later."""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

import numpy as np

from benchmarks.evaluation.measures import Floats, spearman, top_overlap
from benchmarks.evaluation.recorded import Recorded
from service.papers.trend import Sighting, trends
from service.ranking.values import Trend

HISTORY = timedelta(days=45)  # as much as the service reads
LEAST_PAPERS = 8
WINDOWS = {"under 6 h": (0.0, 6.0), "6-12 h": (6.0, 12.0)}
NEXT_DAY = (24.0, 30.0)
WEEK = (48.0, 400.0)


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
            yield Early(
                day=day, window=window, now=now, ids=ids,
                votes=np.array([early[id_].upvotes for id_ in ids], np.float64),
                final=np.array([final[id_] for id_ in ids], np.float64),
                known=recorded.sightings[bisect_left(times, now - HISTORY) : bisect_right(times, now)],
            )  # fmt: skip


def scorers(recorded: Recorded) -> dict[str, Score]:
    """Give the ways of ordering by name; the first is Paperlark's, then its parts left out, then others'."""
    known: dict[tuple[date, str], Mapping[str, Trend]] = {}

    def trend(early: Early) -> Mapping[str, Trend]:
        key = (early.day, early.window)
        if key not in known:
            known[key] = trends(early.known, early.now)
        return known[key]

    def whole(early: Early) -> Floats:
        return np.array([trend(early)[id_].score for id_ in early.ids])

    def without(part: str) -> Score:
        def score(early: Early) -> Floats:
            return np.array(
                [one.score - one.parts.get(part, 0.0) for one in map(trend(early).get, early.ids) if one]
            )

        return score

    def newest(early: Early) -> Floats:
        listed = [recorded.items[id_]["paper"].get("submittedOnDailyAt") or "" for id_ in early.ids]
        return np.array([sorted(set(listed)).index(one) for one in listed], np.float64)

    parts = ("votes_gained", "votes", "stars_gained")
    return {
        "Paperlark": whole,
        **{f"without {part}": without(part) for part in parts},
        "upvotes now": lambda early: early.votes,
        "newest first": newest,
    }


def measure(early: Early, score: Score) -> dict[str, float]:
    """Compare an order with the outcome; the top ten only where it is not nearly the whole day."""
    scores = score(early)
    measured = {
        "Spearman": spearman(scores, early.final),
        "top 5": top_overlap(scores, early.final, 5),
    }
    if len(early.ids) >= 15:
        measured["top 10"] = top_overlap(scores, early.final, 10)
    return measured


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
