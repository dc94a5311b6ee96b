"""How many votes a paper will have as its first day ends, from those it has and what it is. Pure.

Votes of the first day come evenly in ln(1 + hours): as many in the first hour as in the next two. A paper
gets a pace, in votes for each unit of that; papers like it give the pace to start from, and what is seen
corrects it (the mean of a gamma distribution after votes taken as Poisson):

    like it  = PACE · exp(weights · features)
    pace     = (votes + DOUBT · like it) / (ln(1 + hours) + DOUBT)
    forecast = votes + pace · ln((1 + hours at the end) / (1 + hours))

``python -m benchmarks.evaluation.forecasting`` fits the constants on the tuning half of the recorded days.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from service.papers.series import Floats
from service.papers.traits import FEATURES

END = 26.0  # hours after the list day began (UTC) that are foretold
USUAL_HOUR = 2.0  # after the list day began: when papers are listed, where that is not known
SHORTEST = 0.5  # hours; a paper just listed
EXTREME = 6.0  # the features together never weigh more than this, whatever a source says


@dataclass(frozen=True, slots=True)
class Constants:
    """What the fit finds: a usual paper's votes for each unit of ln(1 + hours), doubt in units of it."""

    pace: float
    doubt: float
    weights: Mapping[str, float]


FITTED = Constants(
    pace=1.99,
    doubt=1.44,
    weights={
        "organization": 0.38, "project_page": 0.34, "authors": 0.27, "age_at_listing": -0.33,
        "submitter": 0.81, "last_author": 0.59,
    },
)  # fmt: skip


def forecast(votes: Floats, age: Floats, hours: Floats, pull: Floats, by: Constants = FITTED) -> Floats:
    """Foretell the votes at END; those of a paper past that are returned as they are.

    ``age`` is in hours since the list day began, ``hours`` since it was listed (NaN: unknown), ``pull``
    the features times their weights.
    """
    listed = hours_listed(age, hours)
    left = np.log1p((np.maximum(END - age, 0.0)) / (1 + listed))
    like_it = by.pace * np.exp(np.clip(pull, -EXTREME, EXTREME))
    pace = (votes + by.doubt * like_it) / (np.log1p(listed) + by.doubt)
    foretold: Floats = votes + pace * left
    return foretold


def hours_listed(age: Floats, hours: Floats) -> Floats:
    """Give the hours since listing, the usual ones where they are not known."""
    given: Floats = np.where(np.isnan(hours), age - USUAL_HOUR, hours)
    return np.maximum(given, SHORTEST)


def weights(by: Constants = FITTED) -> Floats:
    """Give the weights in the order of FEATURES."""
    return np.array([by.weights[name] for name in FEATURES])
