"""``python -m benchmarks.evaluation.stability``: how steady the trend is, on made-up days of hourly looks.

The recorded days were looked at a few times each, so an hourly service is made up from what they show: 22
papers a day, listed mostly in the first hours (UTC), with paces that are lognormal and votes that come evenly
in ln(1 + hours). Two questions: how much does the order change from one hour to the next, and does the hour
of listing, drawn by lot, move a paper's place?
"""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from itertools import pairwise

import numpy as np

from benchmarks.evaluation.measures import Floats, spearman
from service.papers.trend import Sighting, trends

BEGIN = datetime(2026, 1, 5, tzinfo=UTC)
PAPERS = 22
WINDOW = 4  # days that a digest reaches back
HOUR = timedelta(hours=1)
SPREAD = 1.0  # of ln(pace)
PACE = 3.0  # votes for each unit of ln(1 + hours) of a middling paper
LISTED_BY = ((0.0, 0.25, 0.5, 0.75, 0.95, 1.0), (0.0, 0.6, 1.3, 2.7, 5.3, 12.0))  # share, hour of the day


@dataclass(frozen=True, slots=True)
class World:
    """Days of papers: when each was listed and all looks at it, oldest first."""

    listed_at: dict[str, datetime]
    looks: list[Sighting]


def make_world(chance: np.random.Generator, days: int, hourly: int) -> World:
    """Make ``days``, looked at every hour in the last ``hourly`` days and four times a day before."""
    listed_at: dict[str, datetime] = {}
    looks: list[Sighting] = []
    end = BEGIN + timedelta(days=days)
    for day in range(days):
        start = BEGIN + timedelta(days=day)
        hours = np.interp(chance.random(PAPERS), *LISTED_BY)
        paces = PACE * np.exp(SPREAD * chance.standard_normal(PAPERS))
        for number, (hour, pace) in enumerate(zip(hours.tolist(), paces.tolist(), strict=True)):
            id_ = f"{day:04}.{number:05}"
            listed_at[id_] = start + hour * HOUR
            votes = _looks(chance, listed_at[id_], pace, end, end - timedelta(days=hourly))
            looks += (
                Sighting(id=id_, list_date=start.date(), at=at, upvotes=count, source="simulated")
                for at, count in votes
            )
    return World(listed_at, sorted(looks, key=lambda one: one.at))


def _looks(
    chance: np.random.Generator, listed_at: datetime, pace: float, end: datetime, often: datetime
) -> Iterator[tuple[datetime, int]]:
    votes, before = 0, 0.0
    at = datetime.combine(listed_at.date(), time(), UTC)
    last = min(end, at + timedelta(days=9))
    while at <= last:
        at += HOUR if at >= often or at - listed_at < timedelta(days=2) else 6 * HOUR
        if at <= listed_at:
            continue
        now = float(np.log1p((at - listed_at) / HOUR))
        votes += int(chance.poisson(pace * (now - before)))
        before = now
        yield at, votes


def hour_by_hour(world: World, hours: int, before: datetime) -> list[float]:
    """Correlate the orders of consecutive hours, of the papers that both saw, up to ``before``."""
    found: list[float] = []
    orders = [_scores(world, before - back * HOUR) for back in reversed(range(hours + 1))]
    for one, next_ in pairwise(orders):
        both = sorted(one.keys() & next_.keys())
        found.append(spearman(np.array([one[i] for i in both]), np.array([next_[i] for i in both])))
    return found


def _scores(world: World, now: datetime) -> dict[str, float]:
    since = (now - timedelta(days=WINDOW)).date()
    found = trends([one for one in world.looks if one.at <= now], now)
    return {id_: one.score for id_, one in found.items() if world.listed_at[id_].date() >= since}


def by_hour_of_listing(worlds: Sequence[World], at_hour: int) -> tuple[float, float]:
    """Correlate the hour of listing with the place within the day, by trend and by votes, at one hour of it.

    Paces are drawn without regard to the hour, so an order that is fair to all hours gives 0.
    """
    hours: list[float] = []
    by_trend: list[float] = []
    by_votes: list[float] = []
    for world in worlds:
        day = max(one.date() for one in world.listed_at.values())
        start = datetime.combine(day, time(), UTC)
        now = start + at_hour * HOUR
        votes = {one.id: one.upvotes or 0 for one in world.looks if one.at <= now and one.list_date == day}
        found = trends([one for one in world.looks if one.at <= now], now)
        ids = sorted(votes)
        hours += [(world.listed_at[id_] - start) / HOUR for id_ in ids]
        by_trend += _places(np.array([found[id_].score for id_ in ids]))
        by_votes += _places(np.array([votes[id_] for id_ in ids], np.float64))
    told = np.array(hours)
    return spearman(told, np.array(by_trend)), spearman(told, np.array(by_votes))


def _places(scores: Floats) -> list[float]:
    """Give each one's place among the others, 0 to 1; ties share theirs."""
    order = np.sort(scores)
    middle = (np.searchsorted(order, scores, "left") + np.searchsorted(order, scores, "right")) / 2
    places: list[float] = (middle / len(scores)).tolist()
    return places


def main() -> None:
    """Measure both and say so."""
    chance = np.random.default_rng(20260213)
    world = make_world(chance, 33, 4)
    found = hour_by_hour(world, 48, BEGIN + timedelta(days=33))
    sys.stdout.write(
        f"consecutive hours, {len(found)} pairs: median {np.median(found):.3f}, least {min(found):.3f}\n"
    )
    worlds = [make_world(chance, 6, 6) for _ in range(40)]
    for hour in (4, 6, 8, 12):
        trend, votes = by_hour_of_listing(worlds, hour)
        sys.stdout.write(
            f"hour of listing and place after {hour} h: trend {trend:+.3f}, votes {votes:+.3f}\n"
        )


if __name__ == "__main__":
    main()
