"""The choice of :mod:`service.ranking.turns`, one person and one paper at a time: slow, and plain to read."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from service.ranking.corpus import Floats
from service.ranking.groups import (
    EXPLORED,
    EXPLORING_LEAST,
    HOT,
    LEAST_SPAN,
    LIKENESS_COST,
    SAME_AUTHOR_LIMIT,
    WORSE_SHARE,
    pool_depth,
    trending_count,
)
from service.ranking.orders import FUSED_SOFTENER


@dataclass
class Person:
    """What one person brings."""

    count: int
    closed: set[int]
    orders: list[tuple[list[int], set[int], list[np.float32]]]  # best first, by an author followed, worths
    weights: list[np.float32]
    own: list[np.float32] | None = None
    is_fused: bool = False
    worse: set[int] = field(default_factory=set)
    seed: int | None = None


@dataclass
class Desk:
    """One person's lists while they are filled."""

    person: Person
    hottest: Sequence[int]
    authors: Sequence[int]
    trending: list[int] = field(default_factory=list)
    for_you: list[int] = field(default_factory=list)
    explored: int = -1
    seats: Counter[int] = field(default_factory=Counter)  # by interest
    takers: list[int] = field(default_factory=list)  # the interest that took each of those for you

    def may_have(self, column: int) -> bool:
        """Say whether a column is still to be had."""
        chosen = [*self.trending, *self.for_you, *([self.explored] if self.explored >= 0 else [])]
        if column in self.person.closed or column in chosen:
            return False
        known = Counter(self.authors[one] for one in chosen)
        return self.authors[column] < 0 or known[self.authors[column]] < SAME_AUTHOR_LIMIT

    def left(self) -> int:
        """Count the places left."""
        return self.person.count - len(self.trending) - len(self.for_you) - (self.explored >= 0)

    def walk(self, wanted: int) -> None:
        """Take the hottest."""
        for column in self.hottest:
            if wanted > 0 and self.may_have(column):
                self.trending.append(column)
                wanted -= 1


def choose_plainly(
    person: Person, hottest: Sequence[int], authors: Sequence[int], alike: Floats
) -> tuple[list[int], list[int], int]:
    """Choose for one person; return what trends, what fits, and the paper off the interests (-1: none)."""
    desk = Desk(person, hottest, authors)
    if person.count <= 0:
        return [], [], -1
    whole = [columns for columns, _, _ in person.orders]
    followed = [by_author for _, by_author, _ in person.orders]
    worths = [worth for _, _, worth in person.orders]
    weights = list(person.weights)
    if person.own is not None:
        if person.is_fused:
            whole = [fuse(columns, person.own) for columns in whole]
        whole.append(best_first(person.own, above=0))
        worths.append([person.own[column] for column in whole[-1]])
        weights.append(np.float32(1))
    lists = [
        [one for one in zip(columns, worth, strict=True) if one[0] not in person.closed][
            : pool_depth(person.count)
        ]
        for columns, worth in zip(whole, worths, strict=True)
    ]
    stated = sum(bool(columns) for columns in lists[: len(person.orders)])
    matching = sum(bool(columns) for columns in lists)
    if matching > person.count and stated:
        matching = stated
    explores = person.seed is not None and person.count >= EXPLORING_LEAST and 0 < matching < person.count
    share, left = trending_count(person.count), person.count - explores - matching
    if not matching:
        share = person.count
    elif left >= 0:
        share = min(share, left)
    desk.walk(share)
    if not matching:
        return desk.trending, desk.for_you, -1
    open_interests(desk, [[one for one, _ in columns] for columns in lists], followed, weights)
    if explores and desk.left() > 0:
        explore(desk, whole)
    take_turns(desk, lists, weights, alike)
    arrange(desk, whole)
    desk.walk(desk.left())
    return desk.trending, desk.for_you, desk.explored


def open_interests(
    desk: Desk, lists: list[list[int]], followed: list[set[int]], weights: list[np.float32]
) -> None:
    """Let each interest take its best."""

    def place(turn: int) -> float:
        if turn >= len(followed):
            return 0.5
        best = next((one for one in lists[turn] if desk.may_have(one)), None)
        return float(-weights[turn] - np.float32(2) * (best in followed[turn]))

    turns = [turn for turn in range(len(lists)) if lists[turn]]
    for turn in sorted(turns, key=place):
        live = [one for one in lists[turn] if desk.may_have(one)]
        fine = [one for one in live if one not in desk.person.worse]
        if live and desk.left() > 0:
            desk.for_you.append((fine or live)[0])
            desk.seats[turn] += 1
            desk.takers.append(turn)


def explore(desk: Desk, whole: list[list[int]]) -> None:
    """Draw one of the hottest that no interest matches."""
    matched = {column for columns in whole for column in columns} | desk.person.worse
    pool = [one for one in desk.hottest[:HOT] if desk.may_have(one) and one not in matched][:EXPLORED]
    if pool and desk.person.seed is not None:
        desk.explored = pool[desk.person.seed % len(pool)]


def take_turns(
    desk: Desk, lists: list[list[tuple[int, np.float32]]], weights: list[np.float32], alike: Floats
) -> None:
    """Fill the list by weight, and by what fits and is not like those chosen."""
    entries: list[tuple[float, int, int, np.float32]] = []
    for turn, (columns, weight) in enumerate(zip(lists, weights, strict=True)):
        place, values = 0, [worth for _, worth in columns]
        best, edge = max(values, default=np.float32(0)), min(values, default=np.float32(0))
        for column, raw in columns:
            worth = (raw - edge) / max(best - edge, np.float32(LEAST_SPAN))
            if desk.may_have(column):
                is_fine = column not in desk.person.worse
                place += is_fine
                key = weight / (np.float32(2) * np.float32(place) + np.float32(1))
                key = key if is_fine else np.float32(WORSE_SHARE) * key
                entries.append((-float(key), column, turn, worth))
    entries = sorted(entries)[: pool_depth(desk.person.count)]
    while desk.left() > 0:
        usable = [entry for entry in entries if desk.may_have(entry[1])]
        usable = [entry for entry in usable if entry[1] not in desk.person.worse] or usable
        if not usable:
            return
        quotas = {turn: weights[turn] / np.float32(2 * desk.seats[turn] + 1) for _, _, turn, _ in usable}
        turn = min(quotas, key=lambda one: (-quotas[one], one))
        best, highest = -1, np.float32(-np.inf)
        for _, column, of_turn, worth in usable:
            common = np.float32(0)
            for one in desk.for_you:
                common += alike[one, column]
            value = worth - np.float32(LIKENESS_COST) * (common / np.float32(max(len(desk.for_you), 1)))
            if of_turn == turn and value > highest:
                best, highest = column, value
        desk.for_you.append(best)
        desk.seats[turn] += 1
        desk.takers.append(turn)


def arrange(desk: Desk, whole: list[list[int]]) -> None:
    """Put each interest's papers, at the places it has taken, in its own order."""
    for turn in set(desk.takers):
        slots = [slot for slot, taker in enumerate(desk.takers) if taker == turn]
        mine = [desk.for_you[slot] for slot in slots]
        mine.sort(key=lambda one: (one in desk.person.worse, whole[turn].index(one)))
        for slot, column in zip(slots, mine, strict=True):
            desk.for_you[slot] = column


def best_first(scores: Sequence[np.float32], *, above: float = -np.inf) -> list[int]:
    """Order columns by score, of equal ones the lower first."""
    found = [column for column in range(len(scores)) if scores[column] > above]
    return sorted(found, key=lambda column: -scores[column])


def fuse(columns: list[int], own: Sequence[np.float32]) -> list[int]:
    """Reorder columns by the sum of reciprocal ranks."""
    ranks = {column: rank for rank, column in enumerate(best_first(own))}
    one, soft = np.float32(1), np.float32(FUSED_SOFTENER + 1)
    worth = {
        column: one / (soft + np.float32(place)) + one / (soft + np.float32(ranks[column]))
        for place, column in enumerate(columns)
    }
    return sorted(columns, key=lambda column: -worth[column])
