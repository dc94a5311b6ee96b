"""A forecast of a day's order from early votes and from what is known of a paper at its listing.

    ln(votes + expected) - AGE * ln(1 + hours listed),   expected = exp(BASE + traits)

A paper with few votes stands where papers like it end up; with many, its votes speak. FITTED was rounded with
both halves of the days in sight, so it flatters itself. ``python -m benchmarks.evaluation.forecasting`` fits
on one half and measures on the other: those are the figures to believe.
"""

import sys
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import numpy as np
import numpy.typing as npt

from benchmarks.evaluation.measures import Floats
from benchmarks.evaluation.recorded import Recorded, open_recorded
from benchmarks.evaluation.splitting import Side, side_of
from benchmarks.evaluation.trending import Early, early_days, measure

TRAITS = ("organization", "project page", "authors", "days since published", "submitter's past")
FITTED = np.array([0.3, 0.4, 0.3, 0.2, -0.35, 0.7, 0.35])  # BASE, one for each trait, AGE
USUAL_AUTHORS, USUAL_DAYS, USUAL_HOURS = 8, 2, 7
PAST_LEAST = 3.0  # papers' worth of doubt about a submitter's past
PAST_KNOWN = timedelta(days=2)  # after its list day a paper's votes count as its submitter's past
SIMPLER = 1.0  # what a large constant costs in the fit


@dataclass(frozen=True, slots=True)
class Day:
    """An early day with its papers' traits, one row each."""

    early: Early
    traits: Floats
    hours: Floats


def read_day(recorded: Recorded, early: Early, past: "Past") -> Day:
    """Give an early day with all traits known at the time, no later."""
    return Day(
        early,
        np.array([_traits(recorded, id_, early.day, past.of(id_, early.day)) for id_ in early.ids]),
        np.array([_hours_listed(recorded, id_, early.now) for id_ in early.ids]),
    )


def score(day: Day, constants: Floats = FITTED) -> Floats:
    """Forecast a day's order; higher ends higher."""
    expected = np.exp(np.clip(constants[0] + day.traits @ constants[1:-1], -6, 6))
    forecast: Floats = np.log(day.early.votes + expected) - constants[-1] * np.log1p(day.hours)
    return forecast


def fit(days: Sequence[Day], kept: npt.NDArray[np.bool_] | None = None) -> Floats:
    """Find the constants that most often put the right one of two papers of a day first; both windows alike.

    ``kept`` says which constants may differ from zero.
    """
    from scipy.optimize import minimize

    kept = np.ones(len(FITTED), bool) if kept is None else kept
    weight = dict.fromkeys((day.early.window for day in days), 0)
    for day in days:
        weight[day.early.window] += len(day.early.ids)

    def cost(free: Floats) -> float:
        constants = np.zeros(len(FITTED))
        constants[kept] = free
        total = SIMPLER * float(np.square(constants[1:]).sum())
        for day in days:
            scores, right = score(day, constants), np.sign(day.early.final[:, None] - day.early.final)
            wrong = np.logaddexp(0, -2 * right * (scores[:, None] - scores)) * (right != 0)
            total += 100 * float(wrong.sum()) / len(day.early.ids) / weight[day.early.window]
        return total

    constants = np.zeros(len(FITTED))
    constants[kept] = minimize(cost, np.zeros(int(kept.sum())), method="L-BFGS-B").x
    return constants


class Past:
    """How submitters' earlier papers fared: ln(1 + votes) against the mean of the same day."""

    def __init__(self, recorded: Recorded) -> None:
        self._submitter = {
            id_: (item.get("submittedBy") or {}).get("name") for id_, item in recorded.items.items()
        }
        days: dict[date, dict[str, float]] = defaultdict(dict)
        for one in recorded.sightings:
            if (
                one.list_date
                and one.upvotes is not None
                and one.at - _start(one.list_date) <= timedelta(hours=30)
            ):
                days[one.list_date][one.id] = float(np.log1p(one.upvotes))
        self._known: dict[str, list[tuple[date, float]]] = defaultdict(list)
        for day, votes in sorted(days.items()):
            middle = float(np.mean(list(votes.values())))
            for id_, value in votes.items():
                if name := self._submitter.get(id_):
                    self._known[name].append((day, value - middle))

    def of(self, id_: str, day: date) -> float:
        """Give the mean difference so far, drawn to zero where it rests on few papers."""
        name = self._submitter.get(id_)
        seen = [value for at, value in self._known.get(name or "", ()) if at <= day - PAST_KNOWN]
        return sum(seen) / (len(seen) + PAST_LEAST)


def _traits(recorded: Recorded, id_: str, day: date, past: float) -> list[float]:
    paper = recorded.items[id_]["paper"] if id_ in recorded.items else {}
    published = paper.get("publishedAt")
    days = max((day - date.fromisoformat(published[:10])).days, 0) if published else USUAL_DAYS
    return [
        float(bool(paper.get("organization"))),
        float(bool(paper.get("projectPage"))),
        float(np.log1p(len(paper.get("authors", ()))) - np.log1p(USUAL_AUTHORS)),
        float(np.log1p(min(days, 14)) - np.log1p(USUAL_DAYS)),
        past,
    ]


def _hours_listed(recorded: Recorded, id_: str, now: datetime) -> float:
    listed = recorded.items[id_]["paper"].get("submittedOnDailyAt") if id_ in recorded.items else None
    if not listed:
        return float(USUAL_HOURS)
    hours = (now - datetime.fromisoformat(listed)).total_seconds() / 3600
    return float(np.clip(hours, 1, 24))


def _start(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def main() -> None:
    """Fit on each half and measure on the other; then leave out one constant at a time."""
    recorded = open_recorded()
    past = Past(recorded)
    days = [read_day(recorded, early, past) for early in early_days(recorded)]
    halves: dict[Side, list[Day]] = {"tuning": [], "report": []}
    for day in days:
        halves[side_of(f"{day.early.day}")].append(day)
    names = ("base", *TRAITS, "age")
    for side, other in (("tuning", "report"), ("report", "tuning")):
        constants = fit(halves[side])  # type: ignore[index]
        sys.stdout.write(f"fitted on {side}: " + _named(names, constants) + "\n")
        _say(f"  on {other}, fitted", halves[other], lambda day, fitted=constants: score(day, fitted))  # type: ignore[index, misc]
        _say(f"  on {other}, FITTED", halves[other], score)  # type: ignore[index]
        _say(f"  on {other}, votes now", halves[other], lambda day: day.early.votes)  # type: ignore[index]
    for place, name in enumerate(names[1:], 1):
        kept = np.arange(len(names)) != place
        constants = fit(halves["tuning"], kept)
        _say(f"without {name}, on report", halves["report"], lambda day, fitted=constants: score(day, fitted))  # type: ignore[misc]


def _say(what: str, days: Sequence[Day], scorer: Callable[[Day], Floats]) -> None:
    cells = []
    for window in sorted({day.early.window for day in days}, reverse=True):
        found = [measure(day.early, lambda _: scorer(day)) for day in days if day.early.window == window]  # noqa: B023
        middle = np.median([one["Spearman"] for one in found])
        mean, top = (np.mean([one[name] for one in found]) for name in ("Spearman", "top 5"))
        cells.append(f"{window}: Spearman {middle:.3f} (mean {mean:.3f}), top 5 {top:.3f}")
    sys.stdout.write(f"{what:40}" + "; ".join(cells) + "\n")


def _named(names: Sequence[str], constants: Floats) -> str:
    return ", ".join(f"{name} {value:+.2f}" for name, value in zip(names, constants, strict=True))


if __name__ == "__main__":
    main()
