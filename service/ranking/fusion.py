"""Several opinions on the same papers joined into one order: sums of standard scores.

Measured on recorded data, sums of standard scores order better than reciprocal ranks: how far a paper stands
out says something that its rank does not (docs/decisions: fusion of lexical and dense).
"""

from collections.abc import Sequence

import numpy as np

from service.ranking.corpus import Floats, Ints, Mask

SOFTENER = 60.0  # of reciprocal ranks (Cormack, Clarke and Büttcher 2009)


def standard(scores: Floats) -> Floats:
    """Give scores with mean 0 and deviation 1; all 0 where they don't differ."""
    if not scores.size:
        return scores
    centred = scores - scores.mean(dtype=np.float64)
    spread = float(np.sqrt(np.vdot(centred, centred) / scores.size))
    if spread <= 1e-9:
        return np.zeros(scores.shape, np.float32)
    whole: Floats = (centred / spread).astype(np.float32)
    return whole


def standard_where(scores: Floats, known: Mask, otherwise: Floats) -> Floats:
    """Give standard scores among those ``known``; the others get what ``otherwise`` says of them.

    A signal that is missing neither helps nor harms: the signals that are there speak for it.
    """
    if known.all():
        return standard(scores)
    filled = otherwise.astype(np.float32)
    filled[known] = standard(scores[known])
    return filled


def joined(parts: Sequence[Floats], *, by_ranks: bool = False) -> Floats:
    """Join standard scores into one; ``by_ranks`` instead by reciprocal ranks."""
    if by_ranks:
        return standard(np.sum([1 / (SOFTENER + _ranks(part)) for part in parts], axis=0, dtype=np.float32))
    return standard(np.sum(parts, axis=0, dtype=np.float32))


def _ranks(scores: Floats) -> Floats:
    """Number the places by score, 1 for the highest; equals share the mean of their ranks."""
    _, number, counts = np.unique(-scores, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    ranks: Floats = (ends - (counts - 1) / 2)[number].astype(np.float32)
    return ranks


def to_one(scores: Floats) -> Floats:
    """Stretch scores to 0..1, the order kept; all 0 where they don't differ."""
    if not scores.size:
        return scores
    low, high = float(scores.min()), float(scores.max())
    if high - low <= 1e-6:
        return np.zeros(scores.shape, np.float32)
    stretched: Floats = ((scores - np.float32(low)) / np.float32(high - low)).astype(np.float32)
    return stretched


def best(scores: Floats, count: int) -> Ints:
    """Give the places of the ``count`` highest scores, highest first; of equals the lower place."""
    count = min(count, len(scores))
    if count <= 0:
        return np.empty(0, np.int32)
    border = np.partition(scores, len(scores) - count)[len(scores) - count]
    places = np.flatnonzero(scores >= border)
    return places[np.argsort(-scores[places], kind="stable")][:count].astype(np.int32)


def nearest_mean(rows: Floats, count: int) -> Floats:
    """Give the mean of the ``count`` highest of each column of ``rows``, shape (several, papers)."""
    if len(rows) > count:
        rows = np.partition(rows, len(rows) - count, axis=0)[len(rows) - count :]
    mean: Floats = rows.mean(axis=0, dtype=np.float32)
    return mean
