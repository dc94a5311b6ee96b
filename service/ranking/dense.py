"""Dense vectors of papers and phrases, as ranking uses them: centred, so that only what sets apart counts."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]

SHRINKAGE = 3.0  # of the spread in all directions to the same, in multiples of the mean spread


@dataclass(frozen=True, kw_only=True, eq=False)
class Meanings:
    """Dense vectors of one model: of papers by id, and of short texts when asked for.

    ``rows`` has shape (len(ids), dimensions), rows of length 1; papers may be missing. ``phrases`` gives one
    such row for each text, and remembers.
    """

    ids: Sequence[str]
    rows: Floats
    phrases: Callable[[Sequence[str]], Floats]


@dataclass(frozen=True, kw_only=True, eq=False)
class Dense:
    """The vectors of a corpus's papers; rows of papers without one are 0.

    ``rows`` are as given; ``centred`` less the candidates' mean, of length 1. ``apart`` are such that their
    product with a centred vector weighs directions by how little candidates spread in them: a linear
    discriminant with the candidates' own spread for all interests (Hariharan, Malik and Ramanan 2012).
    """

    known: Mask
    rows: Floats
    mean: Floats  # of the candidates
    centred: Floats
    apart: Floats
    count: int

    @classmethod
    def build(cls, given: Meanings, index: dict[str, int], count: int) -> Self | None:
        """Take the rows of the papers in ``index``; None where no candidate has one."""
        papers = [(index[id_], row) for row, id_ in enumerate(given.ids) if id_ in index]
        if not papers:
            return None
        places = np.array([place for place, _ in papers], np.int64)
        if not (places < count).any():
            return None
        rows = np.zeros((len(index), given.rows.shape[1]), np.float32)
        rows[places] = given.rows[[row for _, row in papers]]
        known = np.zeros(len(index), np.bool_)
        known[places] = True
        mean = rows[:count][known[:count]].mean(axis=0)
        less = np.where(known[:, None], rows - mean, np.float32(0))
        spread = less[:count].T @ less[:count] / max(int(known[:count].sum()), 1)
        level = max(float(np.trace(spread)) / len(spread), 1e-6)
        inverse = np.linalg.inv(spread + SHRINKAGE * level * np.eye(len(spread), dtype=np.float32))
        norms = np.linalg.norm(less, axis=1, keepdims=True)
        return cls(
            known=known,
            rows=rows,
            mean=mean,
            centred=(less / np.maximum(norms, 1e-6)).astype(np.float32),
            apart=(less @ inverse).astype(np.float32),
            count=count,
        )

    @property
    def candidates_known(self) -> Mask:
        """Mark the candidates that have a vector."""
        return self.known[: self.count]

    def cosines(self, vectors: Floats) -> Floats:
        """Give the cosines as given of each vector with each candidate, shape (vectors, candidates)."""
        products: Floats = vectors @ self.rows[: self.count].T
        return products
