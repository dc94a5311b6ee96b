"""Interests take turns: papers chosen for many people at once, as arrays.

Rows are people, columns are candidates; nothing here knows of reasons or of the words of a paper. What is
chosen, step by step, for one person (``tests/unit/ranking/plain_choice.py`` is the same as a loop):

1. What trends takes its share, fewer where each interest can have a place by that.
2. The opening: each interest, a followed author's first, then the heaviest, takes its best paper.
3. One paper off the interests, for those who explore.
4. The rest by the divisors of Sainte-Laguë: after its first, an interest's papers weigh 1/3, 1/5, 1/7… of its
   weight; likeness to what is chosen already takes a share off.
5. Where matches have run out, what trends fills up.

Over all of it at most SAME_AUTHOR_LIMIT papers have one first author.
"""

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
LIKENESS_COST = 0.3  # share that full likeness to a paper already chosen takes off
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


def choose(field: Field, group: Group) -> Chosen:
    """Choose for everybody in ``group``; its ``closed`` is left as it was."""
    depth = pool_depth(group.count)
    width = min(depth + depth // 2, field.end)
    return _choose(field, group, width)


def _choose(field: Field, group: Group, width: int) -> Chosen:
    """Choose among the first ``width`` columns of each order; for whom they don't do, among all."""
    lists = _lists(field, group, width)
    people = np.arange(len(group.closed))
    deep = np.flatnonzero(lists.is_short)
    if not len(deep):
        return _Table(field, group, lists).play()
    chosen = [np.full((len(people), group.count), -1, np.int32) for _ in range(2)]
    explored = np.full(len(people), -1, np.int32)
    for rows, wide in ((np.setdiff1d(people, deep), width), (deep, field.end)):
        if len(rows):
            part = _choose(field, group.only(rows), wide)
            chosen[0][rows], chosen[1][rows], explored[rows] = part.trending, part.for_you, part.explored
    return Chosen(trending=chosen[0], for_you=chosen[1], explored=explored)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Lists:
    columns: Ints  # (people, interests, width)
    eligible: Mask  # the first pool_depth() of each that are open
    open_counts: Wide  # (people, interests)
    weights: Floats
    is_short: Mask  # (people,): more of an order has to be looked at


def _lists(field: Field, group: Group, width: int) -> _Lists:
    columns = field.table.rows(group.numbers, width)
    is_cut = field.table.lengths[group.numbers] > width
    is_short = np.zeros(len(columns), np.bool_)
    weights = group.weights
    if group.own is not None:
        if group.is_fused is not None and group.is_fused.any():
            is_short = group.is_fused & is_cut.any(axis=1)  # a fused order is known only from the whole
            columns = np.where(group.is_fused[:, None, None], fused(columns, group.own), columns)
        columns = np.concatenate([columns, ordered(group.own, width, field.end)[:, None]], axis=1)
        liked = np.count_nonzero(group.own > 0, axis=1)
        is_cut = np.column_stack([is_cut, liked > width])
        weights = np.column_stack([weights, (liked > 0).astype(np.float32)])
    is_open = ~_at(group.closed, columns)
    ranks = np.cumsum(is_open, axis=2, dtype=np.int32)
    counts = ranks.max(axis=2, initial=0).astype(np.int64)
    return _Lists(
        columns=columns,
        eligible=is_open & (ranks <= pool_depth(group.count)),
        open_counts=counts,
        weights=weights,
        is_short=is_short | (is_cut & (counts < pool_depth(group.count))).any(axis=1),
    )


class _Table:
    """The places of a group of people, filled step by step."""

    def __init__(self, field: Field, group: Group, lists: _Lists) -> None:
        self.field, self.group, self.lists = field, group, lists
        self.closed = group.closed.copy()
        self.people = np.arange(len(group.closed))
        self.author_counts = np.zeros((len(self.people), int(field.busy.max(initial=0)) + 1), np.int16)
        shape = (len(self.people), group.count)
        self.trending, self.for_you = np.full(shape, -1, np.int32), np.full(shape, -1, np.int32)
        self.hot_counts = np.zeros(len(self.people), np.int64)
        self.fit_counts = np.zeros(len(self.people), np.int64)
        self.explored = np.full(len(self.people), -1, np.int32)

    def play(self) -> Chosen:
        """Fill all places."""
        count, with_matches = self.group.count, (self.lists.open_counts > 0).sum(axis=1)
        has_room = self._has_room(with_matches)
        left = count - has_room - with_matches
        hot = np.where(left >= 0, np.minimum(left, trending_count(count)), trending_count(count))
        tops = np.where(with_matches > 0, hot, count)
        self._walk(self.people, tops)
        if with_matches.any():
            self._open()
            self._explore(np.flatnonzero(has_room))
            self._take_turns()
            short = np.flatnonzero(self._left() > 0)
            self._walk(short, self._left()[short])
        return Chosen(trending=self.trending, for_you=self.for_you, explored=self.explored)

    def _left(self) -> Wide:
        filled = self.hot_counts + self.fit_counts + (self.explored >= 0)
        left: Wide = np.maximum(self.group.count - filled, 0)
        return left

    def _has_room(self, with_matches: Wide) -> Mask:
        """Say who gets a paper off the interests."""
        group = self.group
        if group.seeds is None or group.explores is None or group.count < EXPLORING_LEAST:
            return np.zeros(len(self.people), np.bool_)
        return group.explores & (with_matches > 0) & (with_matches < group.count)

    def _admit(self, rows: Wide, columns: Ints) -> tuple[Wide, Ints] | None:
        """Take one column for each of ``rows``; return whose limit an author has reached by it."""
        self.closed[rows, columns] = True
        author = self.field.busy[columns]
        self.author_counts[rows, author] += 1
        full = (author > 0) & (self.author_counts[rows, author] >= SAME_AUTHOR_LIMIT)
        if not full.any():
            return None
        self.closed[rows[full]] |= self.field.busy == author[full][:, None]
        return np.flatnonzero(full), author[full]

    def _walk(self, people: Wide, wanted: Wide) -> None:
        """Take the hottest that are open."""
        most = int(wanted.max(initial=0))
        hottest = self.field.hottest
        if not most or not len(hottest):
            return
        is_open = ~np.take(self.closed[people] if len(people) < len(self.people) else self.closed, hottest, 1)
        author_of = self.field.busy[hottest]
        every = np.arange(len(people))
        for step in range(most):
            first = is_open.argmax(axis=1)
            found = np.flatnonzero(is_open[every, first] & (step < wanted))
            if not len(found):
                break
            rows, columns = people[found], hottest[first[found]]
            self.trending[rows, self.hot_counts[rows]] = columns
            self.hot_counts[rows] += 1
            is_open[found, first[found]] = False
            if (full := self._admit(rows, columns)) is not None:
                is_open[found[full[0]]] &= author_of != full[1][:, None]

    def _open(self) -> None:
        """Let each interest take its best."""
        lists, group = self.lists, self.group
        for turn in self._seating().T:
            columns = lists.columns[self.people, turn]
            live = lists.eligible[self.people, turn] & ~_at(self.closed, columns)
            first = live.argmax(axis=1)
            if group.worse is not None:
                fine = live & ~_at(group.worse, columns)
                first = np.where(fine.any(axis=1), fine.argmax(axis=1), first)
            self._take(live[self.people, first], columns[self.people, first])

    def _seating(self) -> Wide:
        """Give the order in which the interests of each person open: followed authors', then by weight."""
        lists = self.lists
        keys = np.where(lists.open_counts > 0, lists.weights, np.float32(-1))
        numbers, turns = self.group.numbers, self.group.numbers.shape[1]
        if turns and self.field.table.firsts[numbers].any():
            live = lists.eligible[:, :turns] & ~_at(self.closed, lists.columns[:, :turns])
            first = live.argmax(axis=2)[:, :, None]
            best = np.take_along_axis(lists.columns[:, :turns], first, axis=2)[:, :, 0]
            found = np.take_along_axis(live, first, axis=2)[:, :, 0]
            keys[:, :turns] += np.float32(2) * (found & self.field.table.guaranteed(numbers, best))
        order: Wide = np.argsort(-keys, axis=1, kind="stable")
        return order

    def _take(self, found: Mask, columns: Ints) -> tuple[Wide, tuple[Wide, Ints] | None]:
        """Put one column into the list of each person for whom it was found, as long as places are left."""
        rows = np.flatnonzero(found & (self._left() > 0))
        taken = columns[rows]
        self.for_you[rows, self.fit_counts[rows]] = taken
        self.fit_counts[rows] += 1
        return rows, self._admit(rows, taken)

    def _explore(self, people: Wide) -> None:
        """Give one paper, by the day's seed, of the hottest that no interest matches."""
        hot = self.field.hottest[:HOT]
        people = people[self._left()[people] > 0]
        if not len(people) or not len(hot) or self.group.seeds is None:
            return
        numbers = self.group.numbers[people]
        fits = ~self.closed[people[:, None], hot] & ~self._hot_matches(numbers, hot)
        if self.group.own is not None:
            fits &= self.group.own[people[:, None], hot] <= 0
        if self.group.worse is not None:
            fits &= ~self.group.worse[people[:, None], hot]
        ranks = np.cumsum(fits, axis=1)
        many = np.minimum(ranks[:, -1], EXPLORED)
        drawn = (self.group.seeds[people] % np.maximum(many, 1).astype(np.uint64)).astype(np.int64)
        place = (ranks > drawn[:, None]).argmax(axis=1)
        found = many > 0
        rows, columns = people[found], hot[place[found]]
        self.explored[rows] = columns
        self._admit(rows, columns)

    def _hot_matches(self, numbers: Wide, hot: Ints) -> Mask:
        """Say which of the hottest any of a person's interests matches."""
        unique, position = np.unique(numbers, return_inverse=True)
        matches = np.zeros((len(unique), self.field.end + 1), np.bool_)
        for row, number in enumerate(unique.tolist()):
            matches[row, self.field.table.orders[number].columns] = True
        found: Mask = np.logical_or.reduce(matches[:, hot][position.reshape(numbers.shape)], axis=1)
        return found

    def _take_turns(self) -> None:
        """Fill the list by weight and place, likeness to what is chosen taking a share off."""
        wanted = self._left()
        people = np.flatnonzero(wanted > 0)
        if not len(people):
            return
        columns, value = self._shortlist(people)
        busy = self.field.busy[columns]
        every = np.arange(len(people))
        picks = np.concatenate([self.trending[people], self.for_you[people]], axis=1)
        alike, position = self.field.alike(np.concatenate([columns, picks], axis=1))
        position, before = position[:, : columns.shape[1]], position[:, columns.shape[1] :]
        cost = np.zeros(columns.shape, np.float32)
        for chosen in before.T:
            if (chosen < len(alike) - 1).any():
                np.maximum(cost, alike[chosen[:, None], position], out=cost)
        for _ in range(int(wanted.max())):
            best = (value * (1 - np.float32(LIKENESS_COST) * cost)).argmax(axis=1)
            is_found = (value[every, best] > 0) & (self._left()[people] > 0)
            if not is_found.any():
                break
            taken = columns[every, best]
            found = np.zeros(len(self.people), np.bool_)
            found[people] = is_found
            spread = np.full(len(self.people), -1, np.int32)
            spread[people] = taken
            rows, full = self._take(found, spread)
            value[(columns == taken[:, None]) & is_found[:, None]] = 0
            if full is not None:
                at = np.searchsorted(people, rows[full[0]])
                value[at] = np.where(busy[at] == full[1][:, None], 0, value[at])
            np.maximum(cost, alike[position[every, best][:, None], position], out=cost)

    def _shortlist(self, people: Wide) -> tuple[Ints, Floats]:
        """Give each person's columns with the highest keys, highest first; of equal keys the lower column.

        A column stands in it as often as interests match it: the first counts.
        """
        lists, end = self.lists, self.field.end
        columns = lists.columns[people]
        live = lists.eligible[people] & ~_at(self.closed[people], columns)
        is_fine = live
        if self.group.worse is not None:
            is_fine = live & ~_at(self.group.worse[people], columns)
        places = np.cumsum(is_fine, axis=2, dtype=np.float32)
        keys = lists.weights[people][:, :, None] / (2 * places + 1)
        keys = np.where(is_fine, keys, WORSE_SHARE * keys) * live
        entries = (keys.view(np.int32).astype(np.int64) << 32) | (end - columns)
        entries = entries.reshape(len(people), -1)
        size = min(pool_depth(self.group.count), entries.shape[1])
        if size < entries.shape[1]:
            entries = np.partition(entries, entries.shape[1] - size, axis=1)[:, -size:]
        entries = -np.sort(-entries, axis=1)
        found = (end - (entries & 0xFFFFFFFF)).astype(np.int32)
        return found, (entries >> 32).astype(np.int32).view(np.float32)


def _at(marks: Mask, columns: Ints) -> Mask:
    """Look up ``marks`` (people, columns) at ``columns`` (people, …)."""
    starts = np.arange(len(marks), dtype=np.int32) * np.int32(marks.shape[1])
    flat = columns + starts.reshape(-1, *[1] * (columns.ndim - 1))
    return marks.reshape(-1).take(flat)


def raise_keys(
    keys: Floats, columns: Ints, weight: float, closed: Mask, worse: Mask | None, *, guaranteed: Mask
) -> None:
    """Raise one person's ``keys`` of all columns by one interest's order: higher is earlier, 0 is no match.

    Its papers at places 0, 1, 2… weigh 1, 1/3, 1/5… of its weight, a share below 1; its first stands before
    anyone's second, and a followed author's before that.
    """
    is_open = ~closed[columns]
    is_fine = is_open if worse is None else is_open & ~worse[columns]
    places = np.maximum(np.cumsum(is_fine, dtype=np.float32) - 1, 0)
    share = np.float32(0.99 * weight) / (2 * places + 1)
    first = np.where(guaranteed, 2, 1) * (is_fine & (places == 0))
    found = np.where(is_fine, share + first, WORSE_SHARE * share)
    keys[columns] = np.maximum(keys[columns], np.where(is_open, found, 0))
