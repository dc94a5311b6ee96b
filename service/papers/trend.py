"""How papers trend: votes, comments and stars against papers of the same age.

Pure: sightings in, trends out. docs/trending.md explains the formula to readers; keep the two in step.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from math import ceil

import numpy as np

from service.papers.series import DAY, Floats, Ints, Series, column
from service.ranking.values import Trend

TREND_VERSION = "trend-1"

# Addends and their weights; those unknown for a paper are left out and the rest share the whole. Comments are
# not among them: on 442 recorded days any weight for them made the forecast of the next day's order worse.
WEIGHTS = {"votes_gained": 0.70, "votes": 0.20, "stars_gained": 0.10}
HALF_LIFE = 72.0  # hours after the first day in which the odds of a paper halve
SMALL_COUNT = 2.0  # a count of this size has half its weight
POOL_DAYS = 30.0
SMALLEST_POOL = 20  # below it, "papers of its age" means nothing
AGE_OCTAVES = 0.75  # papers of the same age: within this many doublings of it

FALLBACK_POWER = 0.8  # news.arc's form, docs/ranking.md section 5
FALLBACK_GRAVITY = 1.8
FALLBACK_EVEN = 0.06  # the form's value for a middling paper: 7 votes after 8 hours


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """Counts of a paper as seen at an instant; None means the source did not say, which is not zero."""

    id: str
    list_date: date | None
    at: datetime
    upvotes: int | None = None
    comments: int | None = None
    stars: int | None = None
    source: str | None = None


@dataclass(frozen=True, slots=True)
class _Standing:
    """How papers' newest values stand among papers of their age; one entry per paper, NaN: unknown."""

    middle: Floats  # share of the pool below, ties by half
    at_or_above: Floats  # share of the pool that the paper is at or above
    top: Floats  # share of the pool that is at or above the paper


def trends(
    sightings: Sequence[Sighting], now: datetime, *, first_seen: Mapping[str, datetime] | None = None
) -> dict[str, Trend]:
    """Give the trend of every paper with a known count by ``now``; later sightings are not looked at.

    A paper's age runs from the start (UTC) of its list day: the hour of listing is not published, and papers
    of one day are compared as one cohort. Papers without a list day count from ``first_seen``, or else from
    their first sighting.
    """
    known = [one for one in sightings if one.at <= now]
    if not known:
        return {}
    ids, index = np.unique([one.id for one in known], return_inverse=True)
    paper = index.astype(np.int64)
    at = np.array([one.at.timestamp() for one in known]) / 3600
    present = now.timestamp() / 3600
    start, zero_at = _beginnings(known, paper, at, ids.tolist(), first_seen or {})
    votes = Series.build(paper, at, column(one.upvotes for one in known), zero_at)
    stars = Series.build(paper, at, column(one.stars for one in known), None)
    standings = {
        "votes_gained": _standing(votes, votes.gain, start, present),
        "votes": _standing(votes, votes.value, start, present),
        "stars_gained": _standing(stars, stars.gain, start, present),
    }
    addends = _addends(standings)
    scores = _decay(np.nansum(addends, axis=0), present - start)
    rows = dict(zip(votes.paper[votes.latest()].tolist(), votes.latest().tolist(), strict=True))
    found: dict[str, Trend] = {}
    for place, id_ in enumerate(ids.tolist()):
        parts = {
            name: float(addend)
            for name, addend in zip(WEIGHTS, addends[:, place], strict=True)
            if not np.isnan(addend)
        }
        row = rows.get(place)
        if parts:
            parts["age"] = float(scores[place]) - sum(parts.values())
        elif row is not None:
            parts["votes"] = _fallback(float(votes.value[row]), float(present - start[place]))
        else:
            continue
        percentile = float(standings["votes"].at_or_above[place])
        found[id_] = Trend(
            score=min(max(sum(parts.values()), 0.0), 1.0),
            percentile=None if np.isnan(percentile) else percentile,
            parts=parts,
            version=TREND_VERSION,
            reason=_reason(votes, row, zero_at[place], standings["votes"].top[place], present),
        )
    return found


def _beginnings(
    known: Sequence[Sighting], paper: Ints, at: Floats, ids: list[str], first_seen: Mapping[str, datetime]
) -> tuple[Floats, Floats]:
    """Give where each paper's age starts, and where its votes stood at zero (NaN: unknown)."""
    first = np.full(len(ids), np.inf)
    np.minimum.at(first, paper, at)
    zero_at = np.full(len(ids), np.nan)
    for row, sighting in zip(paper.tolist(), known, strict=True):
        if sighting.list_date is not None:
            listed = datetime.combine(sighting.list_date, time(), UTC).timestamp() / 3600
            zero_at[row] = np.fmin(zero_at[row], listed)
    seen = np.array([first_seen[id_].timestamp() / 3600 if id_ in first_seen else np.inf for id_ in ids])
    earliest = np.minimum(first, seen)
    # A list day can begin after the first look (time zones): a paper is never younger than seen.
    return np.where(np.isnan(zero_at), earliest, np.minimum(zero_at, earliest)), zero_at


def _addends(standings: Mapping[str, _Standing]) -> Floats:
    """Weigh the shares, one row per addend; weights are shared out again over those known (NaN: unknown)."""
    shares = np.array([standings[name].middle for name in WEIGHTS])
    weights = np.where(np.isnan(shares), 0.0, np.array(list(WEIGHTS.values()))[:, None])
    total = weights.sum(axis=0)
    return shares * weights / np.where(total > 0, total, 1.0)


def _standing(series: Series, values: Floats, start: Floats, present: float) -> _Standing:
    """Compare each paper's newest value with the papers of the last 30 days when they had its age."""
    standing = _Standing(*(np.full(len(start), np.nan) for _ in range(3)))
    age = np.log2(np.maximum(series.at - start[series.paper], 1.0))
    usable = ~np.isnan(values) & (start[series.paper] >= present - POOL_DAYS * DAY)
    latest = series.latest()
    latest = latest[~np.isnan(values[latest])]
    if values is series.gain:  # an old look tells nothing of the last day
        latest = latest[series.at[latest] >= present - DAY]
    group = np.round(age[latest] * 2)
    for half_octaves in np.unique(group):
        distance = np.abs(age - half_octaves / 2)
        near = np.flatnonzero(usable & (distance <= AGE_OCTAVES))
        near = near[np.lexsort((distance[near], series.paper[near]))]
        _, nearest = np.unique(series.paper[near], return_index=True)  # one look for each paper
        if len(nearest) >= SMALLEST_POOL:
            mine = latest[group == half_octaves]
            _place(standing, series.paper[mine], values[mine], np.sort(values[near[nearest]]))
    return standing


def _place(standing: _Standing, papers: Ints, values: Floats, pool: Floats) -> None:
    below = np.searchsorted(pool, values, "left") / len(pool)
    up_to = np.searchsorted(pool, values, "right") / len(pool)
    standing.middle[papers] = (below + up_to) / 2 * values / (values + SMALL_COUNT)
    standing.at_or_above[papers] = up_to
    standing.top[papers] = 1 - below


def _decay(shares: Floats, ages: Floats) -> Floats:
    """Halve the odds every HALF_LIFE after the first day: an older paper must be that much more rare."""
    shares = np.clip(shares, 0.0, 1 - 1e-6)
    odds = shares / (1 - shares) * 2.0 ** (-np.maximum(ages - DAY, 0.0) / HALF_LIFE)
    return odds / (1 + odds)


def _fallback(votes: float, age_hours: float) -> float:
    value = max(votes - 1, 0) ** FALLBACK_POWER / (max(age_hours, 0) + 2) ** FALLBACK_GRAVITY
    return float(value / (value + FALLBACK_EVEN))


def _reason(votes: Series, row: int | None, listed_at: float, top: float, present: float) -> str:
    """Say how it stands, in counts that were really seen."""
    if row is None:
        return "its repository is gaining stars"
    count = int(votes.value[row])
    text = "1 vote" if count == 1 else f"{count} votes"
    hours = float(votes.at[row]) - listed_at
    if 0 <= hours <= DAY:
        text += f" in its first {_span(max(hours, 1))}"
    elif not np.isnan(votes.base_at[row]) and present - votes.at[row] <= 6:
        gained = max(count - int(votes.base[row]), 0)
        text += f", {gained} in the last {_span(float(votes.at[row] - votes.base_at[row]))}"
    if top <= 0.5:
        text += f": top {max(1, ceil(top * 100 - 1e-9))} % of papers of its age"
    return text


def _span(hours: float) -> str:
    if 20 <= hours <= 28:
        return "day"
    if hours < 48:
        rounded = ceil(hours - 1e-9)
        return f"{rounded} hours" if rounded > 1 else "hour"
    return f"{round(hours / 24)} days"
