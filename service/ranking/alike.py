"""How alike papers are with each other: all cosines of their TF-IDF rows at once."""

import numpy as np
import numpy.typing as npt

from service.ranking.corpus import Floats, Likeness

RARE = 64  # papers that have a term, up to which its pairs are counted one by one


def cosines(likeness: Likeness, places: npt.NDArray[np.int64]) -> Floats:
    """Give the cosines of the papers at ``places`` with each other, (papers, papers).

    Terms that few papers have, which are most of them, add to few pairs; the others make a dense product.
    """
    count = len(places)
    rows, terms, values = _entries(likeness, places)
    order = np.argsort(terms, kind="stable")
    rows, values = rows[order], values[order]
    _, starts, spread = np.unique(terms[order], return_index=True, return_counts=True)
    products = np.zeros(count * count, np.float32)
    for size in np.unique(spread[(spread > 1) & (spread <= RARE)]).tolist():
        members = starts[spread == size][:, None] + np.arange(size)
        papers, worth = rows[members], values[members]
        pairs = papers[:, :, None] * count + papers[:, None, :]
        weights = worth[:, :, None] * worth[:, None, :]
        np.add.at(products, pairs.ravel(), weights.ravel())
    common = np.flatnonzero(spread > RARE)
    dense = np.zeros((count, len(common)), np.float32)
    for column, term in enumerate(common.tolist()):
        members = slice(starts[term], starts[term] + spread[term])
        dense[rows[members], column] = values[members]
    whole = products.reshape(count, count) + dense @ dense.T
    np.fill_diagonal(whole, 1)
    return np.clip(whole, 0, 1)


def _entries(
    likeness: Likeness, places: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32], Floats]:
    """Give the entries of the rows at ``places``, each with the number of its place."""
    starts, ends = likeness.starts[places], likeness.starts[places + 1]
    sizes = ends - starts
    rows = np.repeat(np.arange(len(places)), sizes)
    within = np.arange(len(rows)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    at = np.repeat(starts, sizes) + within
    return rows, likeness.term[at], likeness.value[at]
