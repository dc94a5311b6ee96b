"""Measures of one order against the truth, and how sure their averages are."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
RESAMPLES = 2000


def spearman(scores: Floats, truth: Floats) -> float:
    """Correlate the ranks of two lists of values; ties share a mean rank. 0 where all scores are equal."""
    ranks, true_ranks = _ranks(scores), _ranks(truth)
    spread = float(ranks.std() * true_ranks.std())
    if spread == 0:
        return 0.0
    return float(((ranks - ranks.mean()) * (true_ranks - true_ranks.mean())).mean() / spread)


def top_overlap(scores: Floats, truth: Floats, count: int) -> float:
    """Share of the first ``count`` by ``scores`` that are among the truly first.

    No order among equals is assumed: papers tied with the truly last place all count as first, and papers
    tied by score at the border share the places that are left.
    """
    first = truth >= np.sort(truth)[-count]
    border = np.sort(scores)[-count]
    above, level = scores > border, scores == border
    left = count - int(above.sum())
    return float((first & above).sum() + left * (first & level).sum() / max(int(level.sum()), 1)) / count


def ndcg(order: Sequence[str], relevant: Collection[str], count: int = 10) -> float:
    """Discounted gain of the first ``count``, as a share of the best that can be had."""
    gains = sum(1 / np.log2(place + 2) for place, id_ in enumerate(order[:count]) if id_ in relevant)
    best = sum(1 / np.log2(place + 2) for place in range(min(count, len(relevant))))
    return float(gains / best) if best else 0.0


def precision(order: Sequence[str], relevant: Collection[str], count: int = 10) -> float:
    """Share of the first ``count`` that are relevant."""
    return sum(id_ in relevant for id_ in order[:count]) / count


def recall(order: Sequence[str], relevant: Collection[str], count: int = 50) -> float:
    """Share of the relevant that stand among the first ``count``."""
    return sum(id_ in relevant for id_ in order[:count]) / max(len(relevant), 1)


def auc(order: Sequence[str], relevant: Collection[str], others: Collection[str] | None = None) -> float:
    """Chance that a relevant paper stands before another one: of ``others``, or of all that are not."""
    before, pairs, seen = 0, 0, 0
    for id_ in order:
        if id_ in relevant:
            seen += 1
        elif others is None or id_ in others:
            before += seen
            pairs += 1
    return before / (seen * pairs) if seen and pairs else 0.5


def specificity(
    order: Sequence[str], relevant: Collection[str], refused: Collection[str], sensitivity: float = 0.75
) -> float:
    """Share of ``refused`` that stand behind the place by which ``sensitivity`` of the relevant are found."""
    wanted, seen = sensitivity * sum(id_ in relevant for id_ in order), 0
    for place, id_ in enumerate(order):
        seen += id_ in relevant
        if seen >= wanted:
            behind = sum(one in refused for one in order[place + 1 :])
            return behind / max(sum(one in refused for one in order), 1)
    return 0.0


@dataclass(frozen=True, slots=True)
class Estimate:
    """An average over cases with the 95 % interval of its bootstrap."""

    value: float
    low: float
    high: float


def ratio(values: Sequence[float], others: Sequence[float], groups: Sequence[str]) -> Estimate:
    """Divide the mean of ``values`` by that of ``others``, with an interval as :func:`estimate` has it."""
    mine, theirs = np.array(values, np.float64), np.array(others, np.float64)
    found = [float(mine[row].mean() / max(theirs[row].mean(), 1e-9)) for row in _draws(groups)]
    low, high = np.percentile(found, [2.5, 97.5])
    return Estimate(float(mine.mean() / max(theirs.mean(), 1e-9)), float(low), float(high))


def _draws(groups: Sequence[str]) -> Iterator[npt.NDArray[np.intp]]:
    """Draw whole groups again and again; give the cases of each drawing."""
    _, number = np.unique(np.array(groups), return_inverse=True)
    members = [np.flatnonzero(number == group) for group in range(number.max() + 1)]
    for row in np.random.default_rng(20260213).integers(0, len(members), (RESAMPLES, len(members))):
        yield np.concatenate([members[one] for one in row])


def estimate(values: Sequence[float], groups: Sequence[str], *, median: bool = False) -> Estimate:
    """Average ``values``; whole groups are drawn again: cases of one list are no independent witnesses."""
    average = np.median if median else np.mean
    array = np.array(values, np.float64)
    means = [float(average(array[row])) for row in _draws(groups)]
    low, high = np.percentile(means, [2.5, 97.5])
    return Estimate(float(average(array)), float(low), float(high))


def difference(
    mine: Sequence[float], theirs: Sequence[float], groups: Sequence[str], *, median: bool
) -> Estimate:
    """Say how far one average is above another over the same cases; whole groups are drawn for both."""
    average = np.median if median else np.mean
    one, other = np.array(mine, np.float64), np.array(theirs, np.float64)
    drawn = [float(average(one[row]) - average(other[row])) for row in _draws(groups)]
    low, high = np.percentile(drawn, [2.5, 97.5])
    return Estimate(float(average(one) - average(other)), float(low), float(high))


def _ranks(values: Floats) -> Floats:
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    ranks: Floats = (ends - (counts - 1) / 2)[place]
    return ranks
