"""``python -m benchmarks.evaluation.forecasting``: fits the constants of service/papers/forecast.py.

They are fitted on the tuning half of the days, and the figures told of the report half. A second look is
taken over all days: every month is foretold by constants fitted on the other months alone. What is read and
how it is put together was chosen on the tuning half.
"""

import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np

from benchmarks.evaluation.measures import Floats, estimate
from benchmarks.evaluation.recorded import open_recorded
from benchmarks.evaluation.splitting import side_of
from benchmarks.evaluation.trending import WINDOWS, Early, early_days, measure
from service.papers.forecast import FITTED, Constants, forecast
from service.papers.traits import FEATURES, features

SIMPLER = 1.0  # what a large constant costs in the fit


@dataclass(frozen=True, slots=True)
class Day:
    """An early day as the forecast reads it, a row or an entry for each paper."""

    early: Early
    age: Floats
    hours: Floats  # since listing, NaN: unknown
    features: Floats


def read_day(early: Early) -> Day:
    """Give an early day with all that was known at the time, no later."""
    seen = {one.id: one.at for one in early.known}
    start = np.datetime64(early.day, "s").astype(float) / 3600
    at = np.array([seen[id_].timestamp() / 3600 for id_ in early.ids])
    told = [early.traits[id_].listed_at for id_ in early.ids]
    listed = np.array([one.timestamp() / 3600 if one else np.nan for one in told])
    read = np.array([features(early.traits[id_], early.day) for id_ in early.ids])
    return Day(early, at - start, np.minimum(at - listed, at - start), read)


def score(day: Day, constants: Constants = FITTED) -> Floats:
    """Foretell the votes of a day's papers as it ends."""
    weights = np.array([constants.weights[name] for name in FEATURES])
    return forecast(day.early.votes, day.age, day.hours, day.features @ weights, constants)


def fit(days: Sequence[Day]) -> Constants:
    """Find the constants that most often put the right one of two papers first; both windows alike."""
    from scipy.optimize import minimize

    weight: Counter[str] = Counter()
    for day in days:
        weight[day.early.window] += len(day.early.ids)
    rights = [np.sign(day.early.final[:, None] - day.early.final) for day in days]

    def cost(free: Floats) -> float:
        constants = _constants(free)
        total = SIMPLER * float(np.square(free).sum())
        for day, right in zip(days, rights, strict=True):
            scores = np.log(score(day, constants))
            wrong = np.logaddexp(0, -2 * right * (scores[:, None] - scores)) * (right != 0)
            total += 100 * float(wrong.sum()) / len(day.early.ids) / weight[day.early.window]
        return total

    return _constants(minimize(cost, np.zeros(2 + len(FEATURES)), method="L-BFGS-B").x)


def _constants(free: Floats) -> Constants:
    pace, doubt = np.exp(free[:2]).tolist()
    return Constants(pace, doubt, dict(zip(FEATURES, free[2:].tolist(), strict=True)))


def by_month(days: Sequence[Day]) -> dict[int, Floats]:
    """Foretell each day, by its place, with constants fitted on the days of all other months."""
    foretold: dict[int, Floats] = {}
    for month in sorted({_month(day.early.day) for day in days}):
        constants = fit([day for day in days if _month(day.early.day) != month])
        mine = [place for place, day in enumerate(days) if _month(day.early.day) == month]
        foretold |= {place: score(days[place], constants) for place in mine}
    return foretold


def _month(day: date) -> tuple[int, int]:
    return day.year, day.month


def main() -> None:
    """Fit on the tuning half, measure on the report half; then foretell every month by the others."""
    days = [read_day(early) for early in early_days(open_recorded())]
    tuning = [day for day in days if side_of(f"{day.early.day}") == "tuning"]
    report = [day for day in days if side_of(f"{day.early.day}") == "report"]
    constants = fit(tuning)
    sys.stdout.write(f"fitted on tuning: {_named(constants)}\nin the code:      {_named(FITTED)}\n")
    _say("report half, fitted on tuning", report, lambda place: score(report[place], constants))
    _say("report half, the code's", report, lambda place: score(report[place]))
    foretold = by_month(days)
    _say("each month by the others", days, lambda place: foretold[place])


def _say(what: str, days: Sequence[Day], scored: Callable[[int], Floats]) -> None:
    sys.stdout.write(f"{what}\n")
    for window in WINDOWS:
        places = [place for place, day in enumerate(days) if day.early.window == window]
        ours = [measure(scored(place), days[place].early) for place in places]
        votes = [measure(days[place].early.votes, days[place].early) for place in places]
        names = [f"{days[place].early.day}" for place in places]
        for name in ("Spearman", "top 5", "top 10"):
            both = [
                (one[name], other[name], day)
                for one, other, day in zip(ours, votes, names, strict=True)
                if name in one
            ]
            mine, theirs, on = zip(*both, strict=True)
            average = np.median if name == "Spearman" else np.mean
            lead = estimate([one - other for one, other in zip(mine, theirs, strict=True)], on)
            sys.stdout.write(
                f"  {window:10}{name:10}{average(mine):.3f} against {average(theirs):.3f} by votes; "
                f"mean lead {lead.value:+.3f} [{lead.low:+.3f} {lead.high:+.3f}], {len(on)} days\n"
            )


def _named(one: Constants) -> str:
    weights = ", ".join(f"{name} {value:+.2f}" for name, value in one.weights.items())
    return f"pace {one.pace:.2f}, doubt {one.doubt:.2f}, {weights}"


if __name__ == "__main__":
    main()
