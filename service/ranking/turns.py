"""Interests take turns: orders of single interests joined into one, for many people at once.

Matrix work over a chunk of people; nothing here knows of reasons. Rows are people, columns are candidates.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from service.ranking.corpus import Floats, Ints, Mask

# Keys are a turn's whole number plus a share below 1 that weight and place decide.
FIRST_TURN = 1.0  # every interest's best paper stands before anyone's second
AUTHOR_TURN = 2.0  # and a followed author's before that
WORSE_SHARE = 0.05  # of a turn: papers like those refused come last
SAME_AUTHOR_LIMIT = 2
LIKENESS_COST = 0.3  # share that full likeness to a paper already chosen takes off
MOST_COMPARED = 4096  # papers compared with each other at once, for the sake of memory


@dataclass(frozen=True, slots=True)
class Order:
    """One interest's true matches, best first, as columns."""

    columns: Ints
    is_guaranteed: Mask  # by a followed author
    places: dict[int, int]  # of each column in ``columns``

    @classmethod
    def of(cls, scores: Floats, by_author: Mask, ties: npt.NDArray[np.float64]) -> Self:
        """Order the columns with a score, highest first; ``ties`` decide among equals, then the later id."""
        every = np.arange(len(scores))
        order = np.lexsort((-every, -ties, -scores))
        columns = order[scores[order] > 0].astype(np.int32)
        places = {column: place for place, column in enumerate(columns.tolist())}
        return cls(columns, by_author[columns], places)


def take_turns(orders: Sequence[Sequence[tuple[Order, float]]], hidden: Mask, worse: Mask | None) -> Floats:
    """Give each person's keys of all candidates: higher is earlier, 0 is no match.

    Person ``p`` holds ``orders[p]`` with a weight each. An interest's papers at places 0, 1, 2… among those
    not ``hidden`` weigh 1, 1/3, 1/5… of its weight (the divisors of Sainte-Laguë: seats in proportion), and
    its first also FIRST_TURN, so that no interest starves. ``worse`` marks papers to set back.
    """
    keys = np.zeros(hidden.shape, np.float32)
    for turn in range(max(map(len, orders), default=0)):
        holders = [person for person, held in enumerate(orders) if turn < len(held)]
        _add_turn(keys, np.array(holders), [orders[person][turn] for person in holders], hidden, worse)
    return keys


def _add_turn(
    keys: Floats,
    people: npt.NDArray[np.int64],
    held: list[tuple[Order, float]],
    hidden: Mask,
    worse: Mask | None,
) -> None:
    """Raise the keys of ``people`` by one interest each, a group with the same interest at a time."""
    groups: dict[int, list[int]] = {}
    for position, (order, _) in enumerate(held):
        groups.setdefault(id(order), []).append(position)
    for positions in groups.values():
        order = held[positions[0]][0]
        if not len(order.columns):
            continue
        rows = people[positions]
        weights = np.array([held[position][1] for position in positions], np.float32)[:, None]
        cells = np.ix_(rows, order.columns)
        is_open = ~hidden[cells]
        is_fine = is_open if worse is None else is_open & ~worse[cells]
        places = np.cumsum(is_fine, axis=1, dtype=np.float32) - 1
        first = np.where(order.is_guaranteed, np.float32(AUTHOR_TURN), np.float32(FIRST_TURN)) * (places == 0)
        key = np.where(is_fine, weights / (2 * places + 1) + first, WORSE_SHARE * weights / (2 * places + 3))
        keys[cells] = np.maximum(keys[cells], np.where(is_open, key, 0))


def choose(
    keys: Floats, wanted: npt.NDArray[np.int64], first_authors: Ints, sketches: Floats | None = None
) -> list[list[int]]:
    """Choose for each row up to ``wanted`` columns with keys above 0, best first.

    At most SAME_AUTHOR_LIMIT with one first author (negative: unknown, never the same). With ``sketches``,
    likeness to what is already chosen costs, but never takes an interest its first turn.
    """
    most = int(wanted.max(initial=0))
    if not keys.size or not most:
        return [[] for _ in keys]
    short = _shortlist(keys, min(keys.shape[1], 3 * most + 8))
    compared, position = np.unique(short, return_inverse=True)
    if sketches is not None and len(compared) > MOST_COMPARED and len(keys) > 1:
        middle = len(keys) // 2
        return [
            *choose(keys[:middle], wanted[:middle], first_authors, sketches),
            *choose(keys[middle:], wanted[middle:], first_authors, sketches),
        ]
    alike = None
    if sketches is not None:
        alike = np.clip(sketches[compared] @ sketches[compared].T, 0, 1) * np.float32(LIKENESS_COST)
    picks = _pick(
        np.take_along_axis(keys, short, axis=1),
        wanted,
        first_authors[short],
        position.reshape(short.shape),
        alike,
    )
    return [columns[row[row >= 0]].tolist() for columns, row in zip(short, picks, strict=True)]


def _pick(
    value: Floats,
    wanted: npt.NDArray[np.int64],
    authors: Ints,
    position: npt.NDArray[np.int64],
    alike: Floats | None,
) -> npt.NDArray[np.int64]:
    """Pick greedily in every row at once; -1 where nothing is left."""
    rows = np.arange(len(value))
    picks = np.full((len(value), int(wanted.max())), -1)
    cost, taken = np.zeros(value.shape, np.float32), np.zeros(value.shape, np.int8)
    turn = np.floor(value)
    for step in range(picks.shape[1]):
        present = turn + (value - turn) * (1 - cost) if alike is not None else value
        best = np.where(value > 0, present, 0).argmax(axis=1)
        found = (value[rows, best] > 0) & (step < wanted)
        picks[found, step] = best[found]
        author = authors[rows, best]
        taken += (authors == author[:, None]) & (authors >= 0) & found[:, None]
        value[rows, best] = 0
        value[taken >= SAME_AUTHOR_LIMIT] = 0
        if alike is not None:
            cost = np.maximum(cost, alike[position[rows, best][:, None], position])
    return picks


def _shortlist(keys: Floats, depth: int) -> npt.NDArray[np.int64]:
    """Give the columns of each row's highest keys, ascending; of equal keys the lower columns."""
    if depth == keys.shape[1]:
        return np.tile(np.arange(depth), (len(keys), 1))
    short = np.argpartition(-keys, depth - 1, axis=1)[:, :depth]
    short.sort(axis=1)
    return short
