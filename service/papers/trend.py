"""How papers trend: votes, comments and stars against papers of the same age.

Pure: sightings and what is public of the papers in, trends out. docs/trending.md explains the formula to
readers; keep the two in step.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from math import ceil, log2

import numpy as np

from service.papers.forecast import END, forecast, weights
from service.papers.series import DAY, Floats, Ints, Series, column
from service.papers.traits import FEATURES, Traits, features
from service.ranking.values import Trend

TREND_VERSION = "trend-2"

# Addends and their weights; those unknown for a paper are left out and the rest share the whole. Comments are
# not among them: on 442 recorded days any weight for them made the forecast of the next day's order worse.
WEIGHTS = {"votes_gained": 0.70, "votes": 0.20, "stars_gained": 0.10}
HALF_LIFE = 72.0  # hours after the first day in which the odds of a paper halve
SMALL_COUNT = 2.0  # a count of this size has half its weight
POOL_DAYS = 30.0
SMALLEST_POOL = 20  # below it, "papers of its age" means nothing
AGE_OCTAVES = 0.75  # papers of the same age: within this many doublings of it
ROUNDING = 1e-9
LOOKS_APART = (
    1 / 6,
    3.0,
)  # hours; a paper new at a look this long after the source's last was listed between

FALLBACK_POWER = 0.8  # news.arc's form, docs/ranking.md section 5, for the votes as the first day ends
FALLBACK_GRAVITY = 1.8
FALLBACK_EVEN = 0.018  # the form's value for a middling paper: 12 votes after 26 hours

VOTE_ADDENDS = ("votes_gained", "votes")  # in a first day they are one

# What the forecast of a paper in its first day adds to the rank of its votes, in this order.
FORECAST_PARTS = ("hour_listed", *FEATURES)


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

    middle: Floats  # share of the pool below, ties by half; shrunk for small counts
    at_or_above: Floats  # share of the pool that the paper is at or above
    top: Floats  # share of the pool that is at or above the paper


@dataclass(frozen=True, slots=True)
class _Foretold:
    """The papers in their first day with their votes as it ends, foretold from more and more that is known.

    The first row rests on the votes alone; each later one takes one of FORECAST_PARTS into account as well.
    """

    papers: Ints
    votes: Floats  # (1 + len(FORECAST_PARTS), papers)


def trends(
    sightings: Sequence[Sighting],
    now: datetime,
    *,
    traits: Mapping[str, Traits] | None = None,
    first_seen: Mapping[str, datetime] | None = None,
) -> dict[str, Trend]:
    """Give the trend of every paper with a known count by ``now``; later sightings are not looked at.

    A paper's age runs from the start (UTC) of its list day, and papers of one day are compared as one cohort.
    Papers without a list day count from ``first_seen``, or else from their first sighting. ``traits`` tell of
    papers in their first day; those of others are not looked at.
    """
    known = [one for one in sightings if one.at <= now]
    if not known:
        return {}
    ids, index = np.unique([one.id for one in known], return_inverse=True)
    names: list[str] = ids.tolist()
    paper = index.astype(np.int64)
    at = np.array([one.at.timestamp() for one in known]) / 3600
    present = now.timestamp() / 3600
    start, zero_at = _beginnings(known, paper, at, names, first_seen or {})
    votes = Series.build(paper, at, column(one.upvotes for one in known), zero_at)
    stars = Series.build(paper, at, column(one.stars for one in known), None)
    standings = {
        "votes_gained": _standing(votes, votes.gain, start, present),
        "votes": _standing(votes, votes.value, start, present),
        "stars_gained": _standing(stars, stars.gain, start, present),
    }
    listed = _listed(known, paper, at, names, traits or {})
    foretold = _foretell(votes, zero_at, listed, names, traits or {})
    at_end = _pool(votes, votes.value, start, present, log2(END))
    if at_end is not None:
        for name in ("votes_gained", "votes"):
            standings[name].middle[foretold.papers] = _middle(foretold.votes[-1], at_end)
    addends = _addends(standings)
    scores = _decay(np.nansum(addends, axis=0), present - start)
    rows = dict(zip(votes.paper[votes.latest()].tolist(), votes.latest().tolist(), strict=True))
    first_day = {place: number for number, place in enumerate(foretold.papers.tolist())}
    ladder = _ladder(foretold, at_end, addends, present - start)
    found: dict[str, Trend] = {}
    for place, id_ in enumerate(names):
        row, number = rows.get(place), first_day.get(place)
        parts = {
            name: float(addend)
            for name, addend in zip(WEIGHTS, addends[:, place], strict=True)
            if not np.isnan(addend)
        }
        if number is not None:
            parts = _first_day_parts(parts if at_end is not None else {}, ladder[:, number])
        if parts and (number is None or at_end is not None):
            lost = float(scores[place]) - sum(parts.values())
            parts |= {"age": lost} if abs(lost) > ROUNDING else {}
        elif row is not None and not parts:
            parts["votes"] = float(_fallback(votes.value[row], present - start[place]))
        if not parts:
            continue
        percentile = float(standings["votes"].at_or_above[place])
        found[id_] = Trend(
            score=min(max(sum(parts.values()), 0.0), 1.0),
            percentile=None if np.isnan(percentile) else percentile,
            parts=parts,
            version=TREND_VERSION,
            reason=_reason(votes, row, zero_at[place], standings["votes"].top[place], present),
            forecast=None if number is None else float(foretold.votes[-1, number]),
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


def _listed(
    known: Sequence[Sighting], paper: Ints, at: Floats, ids: Sequence[str], traits: Mapping[str, Traits]
) -> Floats:
    """Give when each paper was listed, NaN: unknown.

    The source may tell the hour. If not, a paper that was not yet there when its source was last asked, some
    hours before at most, was listed between the two looks.
    """
    order = np.lexsort((at, paper))
    first = order[np.unique(paper[order], return_index=True)[1]]
    names, source = np.unique([one.source or "" for one in known], return_inverse=True)
    listed = np.full(len(ids), np.nan)
    for number in range(len(names)):
        mine = first[source[first] == number]
        if not len(mine) or not names[number]:
            continue
        looks = np.unique(at[source == number])
        before = np.searchsorted(looks, at[mine] - LOOKS_APART[0], "right") - 1
        since = at[mine] - looks[np.maximum(before, 0)]
        between = at[mine] - since / 2
        listed[paper[mine]] = np.where((before >= 0) & (since <= LOOKS_APART[1]), between, np.nan)
    for place, id_ in enumerate(ids):
        told = traits[id_].listed_at if id_ in traits else None
        if told is not None:
            listed[place] = told.timestamp() / 3600
    return listed


def _foretell(
    votes: Series, zero_at: Floats, listed: Floats, ids: Sequence[str], traits: Mapping[str, Traits]
) -> _Foretold:
    """Foretell the votes of papers whose newest look is of their first day."""
    latest = votes.latest()
    age = votes.at[latest] - zero_at[votes.paper[latest]]  # NaN: no list day
    latest, age = latest[(age >= 0) & (age < END)], age[(age >= 0) & (age < END)]
    papers = votes.paper[latest]
    hours = np.minimum(votes.at[latest] - listed[papers], age)
    days = [datetime.fromtimestamp(zero_at[place] * 3600, UTC).date() for place in papers.tolist()]
    read = [features(traits.get(ids[place]), day) for place, day in zip(papers.tolist(), days, strict=True)]
    pulls = np.array(read).reshape(-1, len(FEATURES)) * weights()
    # One row more for each feature; the first two know of none.
    steps = np.vstack([np.zeros((2, len(papers))), np.cumsum(pulls, axis=1).T])
    known = np.vstack([np.full(len(papers), np.nan), np.tile(hours, (len(steps) - 1, 1))])
    return _Foretold(papers, forecast(votes.value[latest], age, known, steps))


def _ladder(foretold: _Foretold, at_end: Floats | None, addends: Floats, ages: Floats) -> Floats:
    """Give what the votes of each paper in its first day add to its score, for each row of ``foretold``."""
    if at_end is None:
        return _fallback(foretold.votes, ages[foretold.papers])
    mine = addends[: len(VOTE_ADDENDS), foretold.papers].sum(axis=0)
    whole = _middle(foretold.votes[-1], at_end)
    ladder: Floats = _middle(foretold.votes, at_end) * mine / np.where(whole > 0, whole, 1.0)
    return ladder


def _first_day_parts(parts: Mapping[str, float], ladder: Floats) -> dict[str, float]:
    """Name what each step of the forecast adds; steps that add nothing are left out."""
    steps = zip(FORECAST_PARTS, np.diff(ladder).tolist(), strict=True)
    return {
        "votes": float(ladder[0]),
        **{name: step for name, step in steps if step},
        **{name: part for name, part in parts.items() if name not in VOTE_ADDENDS},
    }


def _addends(standings: Mapping[str, _Standing]) -> Floats:
    """Weigh the shares, one row per addend; weights are shared out again over those known (NaN: unknown)."""
    shares = np.array([standings[name].middle for name in WEIGHTS])
    weights = np.where(np.isnan(shares), 0.0, np.array(list(WEIGHTS.values()))[:, None])
    total = weights.sum(axis=0)
    return shares * weights / np.where(total > 0, total, 1.0)


def _standing(series: Series, values: Floats, start: Floats, present: float) -> _Standing:
    """Compare each paper's newest value with the papers of the last 30 days when they had its age."""
    standing = _Standing(*(np.full(len(start), np.nan) for _ in range(3)))
    latest = series.latest()
    latest = latest[~np.isnan(values[latest])]
    if values is series.gain:  # an old look tells nothing of the last day
        latest = latest[series.at[latest] >= present - DAY]
    ages = np.log2(np.maximum(series.at[latest] - start[series.paper[latest]], 1.0))
    group = np.round(ages * 2)
    for half_octaves in np.unique(group):
        pool = _pool(series, values, start, present, half_octaves / 2)
        if pool is not None:
            mine = latest[group == half_octaves]
            _place(standing, series.paper[mine], values[mine], pool)
    return standing


def _pool(series: Series, values: Floats, start: Floats, present: float, age: float) -> Floats | None:
    """Sort the values that papers of the last 30 days had at about ``age`` (log2 of hours); None: too few."""
    distance = np.abs(np.log2(np.maximum(series.at - start[series.paper], 1.0)) - age)
    recent = start[series.paper] >= present - POOL_DAYS * DAY
    near = np.flatnonzero(~np.isnan(values) & recent & (distance <= AGE_OCTAVES))
    near = near[np.lexsort((distance[near], series.paper[near]))]
    _, nearest = np.unique(series.paper[near], return_index=True)  # one look for each paper
    return np.sort(values[near[nearest]]) if len(nearest) >= SMALLEST_POOL else None


def _place(standing: _Standing, papers: Ints, values: Floats, pool: Floats) -> None:
    standing.middle[papers] = _middle(values, pool)
    standing.at_or_above[papers] = np.searchsorted(pool, values, "right") / len(pool)
    standing.top[papers] = 1 - np.searchsorted(pool, values, "left") / len(pool)


def _middle(values: Floats, pool: Floats) -> Floats:
    """Give the share of a sorted pool below each value, ties by half, straight lines between; shrunk.

    What lies between two counts of the pool lies between their shares, so that no forecast ties with another.
    """
    counts, first = np.unique(pool, return_index=True)
    ends = np.append(first[1:], len(pool))
    shares: Floats = np.interp(
        values, np.append(counts, counts[-1] + 1), np.append((first + ends) / 2, len(pool)) / len(pool)
    )
    return shares * values / (values + SMALL_COUNT)


def _decay(shares: Floats, ages: Floats) -> Floats:
    """Halve the odds every HALF_LIFE after the first day: an older paper must be that much more rare."""
    shares = np.clip(shares, 0.0, 1 - 1e-6)
    odds = shares / (1 - shares) * 2.0 ** (-np.maximum(ages - DAY, 0.0) / HALF_LIFE)
    return odds / (1 + odds)


def _fallback(votes: Floats, ages: Floats) -> Floats:
    value = np.maximum(votes, 0.0) ** FALLBACK_POWER / (np.maximum(ages, END) + 2) ** FALLBACK_GRAVITY
    shares: Floats = value / (value + FALLBACK_EVEN)
    return shares


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
