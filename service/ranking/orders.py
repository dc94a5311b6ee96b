"""One interest's true matches, best first, kept as rows of one table that many people point to."""

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from service.ranking.corpus import Floats, Ints, Mask

FUSED_SOFTENER = 60.0  # of reciprocal-rank fusion (Cormack, Clarke and Büttcher 2009)


@dataclass(frozen=True, slots=True)
class Order:
    """One interest's true matches, best first, as columns (places of candidates)."""

    columns: Ints
    is_guaranteed: Mask  # by a followed author
    worths: Floats  # how well each fits, falling: only differences mean anything

    @classmethod
    def of(cls, scores: Floats, by_author: Mask, ties: npt.NDArray[np.float64]) -> Self:
        """Order the columns with a score, highest first; ``ties`` decide among equals, then the later id."""
        matched = np.flatnonzero(scores > 0)
        best = np.lexsort((-matched, -ties[matched], -scores[matched]))
        columns = matched[best].astype(np.int32)
        return cls(columns, by_author[columns], worths_of(scores[columns], by_author[columns]))


def worths_of(scores: Floats, by_author: Mask) -> Floats:
    """Give falling ``scores`` without what an author's name adds to his papers."""
    others = scores[~by_author]
    worths: Floats = np.minimum(scores, others[0]) if len(others) else np.ones(len(scores), np.float32)
    return worths.astype(np.float32)


class OrderTable:
    """Orders by number. Number 0 is the order of nobody: it holds nothing.

    The first ``width`` columns of each are rows of one array, filled up with ``end``, the column after the
    last candidate; the rest is looked up where somebody has seen most of the first.
    """

    def __init__(self, end: int, width: int) -> None:
        """Make an empty table over ``end`` candidates."""
        self.end, self.width = end, width
        self.orders: list[Order] = []
        self.lengths = np.zeros(64, np.int32)
        self.columns = np.full((64, width), end, np.int32)
        self.worths = np.zeros((64, width), np.float32)
        self.firsts = np.zeros(64, np.bool_)  # whether any match is by a followed author
        self.add(Order(np.empty(0, np.int32), np.empty(0, np.bool_), np.empty(0, np.float32)))

    def add(self, order: Order) -> int:
        """Take an order; return its number."""
        number = len(self.orders)
        if number == len(self.lengths):
            self._grow()
        self.orders.append(order)
        self.lengths[number] = len(order.columns)
        self.firsts[number] = order.is_guaranteed.any()
        first = order.columns[: self.width]
        self.columns[number, : len(first)] = first
        self.worths[number, : len(first)] = order.worths[: self.width]
        return number

    def rows(self, numbers: npt.NDArray[np.int64], depth: int) -> tuple[Ints, Floats]:
        """Give the first ``depth`` columns of each of ``numbers`` and their worths, one more axis each."""
        if depth <= self.width:
            return self.columns[:, :depth][numbers], self.worths[:, :depth][numbers]
        unique, position = np.unique(numbers, return_inverse=True)
        deep = np.full((len(unique), depth), self.end, np.int32)
        worths = np.zeros(deep.shape, np.float32)
        for row, number in enumerate(unique.tolist()):
            order = self.orders[number]
            size = min(len(order.columns), depth)
            deep[row, :size], worths[row, :size] = order.columns[:size], order.worths[:size]
        position = position.reshape(numbers.shape)
        return deep[position], worths[position]

    def places(self, numbers: npt.NDArray[np.int64]) -> Ints:
        """Give where each column stands in each of ``numbers``, (numbers, end + 1); -1 where it does not."""
        orders = [self.orders[number].columns for number in numbers.tolist()]
        lengths = self.lengths[numbers]
        places = np.full((len(orders), self.end + 1), -1, np.int32)
        starts = np.repeat(np.cumsum(lengths) - lengths, lengths)
        rows = np.repeat(np.arange(len(orders)), lengths)
        if orders:
            places[rows, np.concatenate(orders)] = np.arange(len(rows)) - starts
        return places

    def guaranteed(self, numbers: npt.NDArray[np.int64], columns: npt.NDArray[np.int32]) -> Mask:
        """Say of each number whether the column beside it is by an author followed in that interest."""
        found = np.zeros(numbers.shape, np.bool_)
        for at in zip(*np.nonzero(self.firsts[numbers]), strict=True):
            order = self.orders[numbers[at]]
            found[at] = bool((order.columns[order.is_guaranteed] == columns[at]).any())
        return found

    def _grow(self) -> None:
        size = len(self.lengths)
        self.lengths = np.concatenate([self.lengths, np.zeros(size, np.int32)])
        self.firsts = np.concatenate([self.firsts, np.zeros(size, np.bool_)])
        more = np.full((size, self.width), self.end, np.int32)
        self.columns = np.concatenate([self.columns, more])
        self.worths = np.concatenate([self.worths, np.zeros(more.shape, np.float32)])


def ordered(scores: Floats, depth: int, end: int) -> tuple[Ints, Floats]:
    """Give each row's first ``depth`` columns above 0, highest first, then ``end``; and their worths."""
    best = np.argsort(-scores, axis=1, kind="stable")[:, :depth].astype(np.int32)
    found = np.maximum(np.take_along_axis(scores, best, axis=1), 0)
    best[found <= 0] = end
    return best, found


def fused(columns: Ints, scores: Floats) -> Ints:
    """Reorder lists of columns, best first, by reciprocal-rank fusion with a person's own ``scores``.

    Worths go by place: the first of the new order is worth what the first was before.

    ``columns`` has shape (people, interests, depth), ``scores`` (people, candidates); columns at or above the
    number of candidates are fillers and stay last.
    """
    people, end = scores.shape
    ranks = np.empty((people, end + 1), np.float32)
    order = np.argsort(-scores, axis=1, kind="stable")
    np.put_along_axis(ranks, order, np.arange(end, dtype=np.float32)[None, :], axis=1)
    ranks[:, end] = np.inf
    own = np.take_along_axis(ranks, columns.reshape(people, -1), axis=1).reshape(columns.shape)
    places = np.arange(columns.shape[2], dtype=np.float32)
    worth = 1 / (FUSED_SOFTENER + 1 + places) + 1 / (FUSED_SOFTENER + 1 + own)
    worth[columns >= end] = 0
    best = np.argsort(-worth, axis=2, kind="stable")
    return np.take_along_axis(columns, best, axis=2)
