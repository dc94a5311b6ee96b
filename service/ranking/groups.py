"""People who choose papers, as arrays: what they bring, what is the same for all, what is chosen."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from service.ranking.corpus import Floats, Ints, Mask
from service.ranking.orders import OrderTable, fused, ordered

SAME_AUTHOR_LIMIT = 2
TRENDING_SHARE = 0.4
TRENDING_LEAST = 3  # where that is at most half of the count
LIKENESS_COST = 3.0  # of mean likeness to what is chosen, where the best of an interest is worth 1
LEAST_SPAN = 1e-6  # of worths; what differs by less is alike
WORSE_SHARE = 1e-6  # papers like those refused come last
EXPLORING_LEAST = 8  # papers in a digest that has room for one off the interests
HOT = 64  # of the hottest candidates, the best that are off somebody's interests may be explored
EXPLORED = 16

Wide = npt.NDArray[np.int64]
Alike = Callable[[Ints], tuple[Floats, Ints]]  # columns -> likeness of the different ones, where each stands


@dataclass(frozen=True, kw_only=True, eq=False)
class Field:
    """What is the same for everybody: what trends, whose papers they are, which are alike."""

    table: OrderTable
    hottest: Ints  # columns with a trend, best first
    first_authors: Ints  # of each column; -1 where none is known
    alike: Alike
    likeness_cost: float = LIKENESS_COST

    @property
    def end(self) -> int:
        """The column that stands for none: the number of candidates."""
        return self.table.end

    @cached_property
    def busy(self) -> Ints:
        """The author of each column, numbered from 1, for whom the limit matters; 0 for all others."""
        known = self.first_authors
        counts = np.bincount(known[known >= 0], minlength=1)
        numbers = np.cumsum(counts > SAME_AUTHOR_LIMIT)
        busy = np.zeros(self.end + 1, np.int32)
        is_busy = (known >= 0) & (counts[known] > SAME_AUTHOR_LIMIT)
        busy[:-1][is_busy] = numbers[known[is_busy]]
        return busy


@dataclass(frozen=True, kw_only=True, eq=False)
class Group:
    """People who want the same number of papers.

    ``weights`` are shares of each person's heaviest interest. ``own`` are scores by a person's own answers,
    above 0 what would be liked: one more interest with the weight of the heaviest; where ``is_fused``, each
    other interest's order is fused with it.
    """

    count: int
    closed: Mask  # (people, end + 1): not to be had, the last column never
    numbers: Wide  # (people, interests): of orders in the table, 0 for none
    weights: Floats
    own: Floats | None = None  # (people, end)
    is_fused: Mask | None = None  # (people,)
    worse: Mask | None = None  # (people, end + 1): like something disliked
    seeds: npt.NDArray[np.uint64] | None = None  # of the day's exploration
    explores: Mask | None = None

    def only(self, rows: Wide) -> "Group":
        """Give the group of some of its people."""
        parts = {name: getattr(self, name) for name in ("own", "is_fused", "worse", "seeds", "explores")}
        return Group(
            count=self.count,
            closed=self.closed[rows],
            numbers=self.numbers[rows],
            weights=self.weights[rows],
            **{name: None if part is None else part[rows] for name, part in parts.items()},
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class Chosen:
    """Columns chosen for each person, best first; -1 where there is none."""

    trending: Ints  # (people, count)
    for_you: Ints  # (people, count)
    explored: Ints  # (people,)


def trending_count(count: int) -> int:
    """Say how many of ``count`` papers are kept for what trends."""
    return max(round(TRENDING_SHARE * count), min(TRENDING_LEAST, count // 2))


def pool_depth(count: int) -> int:
    """Say how far down an interest is looked at for ``count`` papers, of what is not closed."""
    return 3 * count + 8


@dataclass(frozen=True, kw_only=True, eq=False)
class Lists:
    columns: Ints  # (people, interests, width)
    worths: Floats
    best: Floats  # (people, interests): the worth of the best eligible, which counts as 1
    edge: Floats  # and of the last, which counts as 0
    eligible: Mask  # the first pool_depth() of each that are open
    open_counts: Wide  # (people, interests)
    weights: Floats
    is_short: Mask  # (people,): more of an order has to be looked at


def lists_of(field: Field, group: Group, width: int) -> Lists:
    columns, worths = field.table.rows(group.numbers, width)
    is_cut = field.table.lengths[group.numbers] > width
    is_short = np.zeros(len(columns), np.bool_)
    weights = group.weights
    if group.own is not None:
        if group.is_fused is not None and group.is_fused.any():
            is_short = group.is_fused & is_cut.any(axis=1)  # a fused order is known only from the whole
            columns = np.where(group.is_fused[:, None, None], fused(columns, group.own), columns)
        own, own_worths = ordered(group.own, width, field.end)
        columns = np.concatenate([columns, own[:, None]], axis=1)
        worths = np.concatenate([worths, own_worths[:, None]], axis=1)
        liked = np.count_nonzero(group.own > 0, axis=1)
        is_cut = np.column_stack([is_cut, liked > width])
        weights = np.column_stack([weights, (liked > 0).astype(np.float32)])
    is_open = ~marked(group.closed, columns)
    ranks = np.cumsum(is_open, axis=2, dtype=np.int32)
    counts = ranks.max(axis=2, initial=0).astype(np.int64)
    eligible = is_open & (ranks <= pool_depth(group.count))
    return Lists(
        columns=columns,
        worths=worths,
        best=worths.max(axis=2, initial=0, where=eligible),
        edge=worths.min(axis=2, initial=np.inf, where=eligible),
        eligible=eligible,
        open_counts=counts,
        weights=weights,
        is_short=is_short | (is_cut & (counts < pool_depth(group.count))).any(axis=1),
    )


def marked(marks: Mask, columns: Ints) -> Mask:
    """Look up ``marks`` (people, columns) at ``columns`` (people, …)."""
    starts = np.arange(len(marks), dtype=np.int32) * np.int32(marks.shape[1])
    flat = columns + starts.reshape(-1, *[1] * (columns.ndim - 1))
    return marks.reshape(-1).take(flat)
