"""The places of a group of people, filled step by step (:mod:`service.ranking.turns` tells the steps)."""

from typing import Any

import numpy as np

from service.ranking.corpus import Ints, Mask
from service.ranking.groups import (
    EXPLORED,
    EXPLORING_LEAST,
    HOT,
    SAME_AUTHOR_LIMIT,
    Chosen,
    Field,
    Group,
    Lists,
    Wide,
    marked,
    trending_count,
)
from service.ranking.shortlist import Shortlist


class Filling:
    """The places of a group of people, filled step by step."""

    def __init__(self, field: Field, group: Group, lists: Lists) -> None:
        self.field, self.group, self.lists = field, group, lists
        self.closed = group.closed.copy()
        self.people = np.arange(len(group.closed))
        self.author_counts = np.zeros((len(self.people), int(field.busy.max(initial=0)) + 1), np.int16)
        shape = (len(self.people), group.count)
        self.trending, self.for_you = np.full(shape, -1, np.int32), np.full(shape, -1, np.int32)
        self.hot_counts = np.zeros(len(self.people), np.int64)
        self.fit_counts = np.zeros(len(self.people), np.int64)
        self.explored = np.full(len(self.people), -1, np.int32)
        self.seats = np.zeros(lists.weights.shape, np.int32)
        self.takers = np.full(shape, lists.weights.shape[1], np.int32)  # the interest that took each paper
        self.standing = np.zeros(shape, np.int32)  # and where it stands in that

    def play(self) -> Chosen:
        """Fill all places."""
        count, with_matches = self.group.count, self._claims()
        has_room = self._has_room(with_matches)
        left = count - has_room - with_matches
        hot = np.where(left >= 0, np.minimum(left, trending_count(count)), trending_count(count))
        tops = np.where(with_matches > 0, hot, count)
        self._walk(self.people, tops)
        if with_matches.any():
            self._open()
            self._explore(np.flatnonzero(has_room))
            self._take_turns()
            self._arrange()
            short = np.flatnonzero(self._left() > 0)
            self._walk(short, self._left()[short])
        return Chosen(trending=self.trending, for_you=self.for_you, explored=self.explored)

    def _claims(self) -> Wide:
        """Count each person's interests with papers: what was learned of them claims a place after all."""
        has = self.lists.open_counts > 0
        stated = has[:, : self.group.numbers.shape[1]].sum(axis=1)
        every = has.sum(axis=1)
        claims: Wide = np.where((every <= self.group.count) | (stated == 0), every, stated)
        return claims

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
            live = lists.eligible[self.people, turn] & ~marked(self.closed, columns)
            first = live.argmax(axis=1)
            if group.worse is not None:
                fine = live & ~marked(group.worse, columns)
                first = np.where(fine.any(axis=1), fine.argmax(axis=1), first)
            self._take(live[self.people, first], columns[self.people, first], turn, first)

    def _seating(self) -> Wide:
        """Give the order in which the interests of each person open.

        Followed authors' first, then by weight, and at last what their answers say.
        """
        lists = self.lists
        keys = np.where(lists.open_counts > 0, lists.weights, np.float32(-1))
        numbers, turns = self.group.numbers, self.group.numbers.shape[1]
        keys[:, turns:] = np.where(keys[:, turns:] > 0, np.float32(-0.5), keys[:, turns:])
        if turns and self.field.table.firsts[numbers].any():
            live = lists.eligible[:, :turns] & ~marked(self.closed, lists.columns[:, :turns])
            first = live.argmax(axis=2)[:, :, None]
            best = np.take_along_axis(lists.columns[:, :turns], first, axis=2)[:, :, 0]
            found = np.take_along_axis(live, first, axis=2)[:, :, 0]
            keys[:, :turns] += np.float32(2) * (found & self.field.table.guaranteed(numbers, best))
        order: Wide = np.argsort(-keys, axis=1, kind="stable")
        return order

    def _take(
        self, found: Mask, columns: Ints, turns: Wide, places: Wide
    ) -> tuple[Wide, tuple[Wide, Ints] | None]:
        """Put one column into the list of each person for whom it was found, as long as places are left.

        It is taken by the interest ``turns``, where it stands at ``places``.
        """
        rows = np.flatnonzero(found & (self._left() > 0))
        taken, at = columns[rows], self.fit_counts[rows]
        self.for_you[rows, at] = taken
        self.takers[rows, at] = turns[rows]
        self.standing[rows, at] = places[rows]
        if self.group.worse is not None:
            self.standing[rows, at] += self.group.worse[rows, taken] * (self.field.end + 1)
        self.seats[rows, turns[rows]] += 1
        self.fit_counts[rows] += 1
        return rows, self._admit(rows, taken)

    def _arrange(self) -> None:
        """Put each interest's papers, at the places it has, in its own order: the best fitting first."""
        slots = np.argsort(self.takers, axis=1, kind="stable")
        best = np.lexsort((self.standing, self.takers), axis=1)
        np.put_along_axis(self.for_you, slots, np.take_along_axis(self.for_you, best, axis=1), axis=1)

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
        matches = self.field.table.places(unique)[:, hot] >= 0
        found: Mask = np.logical_or.reduce(matches[position.reshape(numbers.shape)], axis=1)
        return found

    def _take_turns(self) -> None:
        """Fill the list by the divisors of Sainte-Laguë, what is like those chosen later."""
        people = np.flatnonzero(self._left() > 0)
        if not len(people):
            return
        short = Shortlist(
            self.field,
            self.group,
            self.lists,
            people,
            closed=self.closed[people],
            chosen=self.for_you[people],
            seats=self.seats[people],
        )
        for _ in range(int(self._left().max())):
            best, is_found = short.best(self._left()[people] > 0)
            if not is_found.any():
                break
            found = np.zeros(len(self.people), np.bool_)
            found[people] = is_found
            columns, turns, places = (
                self._spread(people, one[short.every, best])
                for one in (short.columns, short.turns, short.places)
            )
            rows, full = self._take(found, columns, turns, places)
            short.take(best, is_found)
            if full is not None:
                short.close(np.searchsorted(people, rows[full[0]]), full[1])

    def _spread(self, people: Wide, values: Any) -> Any:
        """Give values of some people to all, -1 to the others."""
        spread = np.full(len(self.people), -1, values.dtype)
        spread[people] = values
        return spread
