"""The papers that fill a list after each interest's first, by quota and by what they have in common."""

from typing import Any

import numpy as np
import numpy.typing as npt

from service.ranking.corpus import Floats, Ints, Mask
from service.ranking.groups import (
    LEAST_SPAN,
    WORSE_SHARE,
    Field,
    Group,
    Lists,
    Wide,
    marked,
    pool_depth,
)


class Shortlist:
    """Some columns of each person to fill the list from, with what each has in common with those chosen.

    Those with the highest weight, divided by 3, 5, 7… as they stand in their interest; of equal ones the
    lower column. A column stands in it as often as interests match it.
    """

    def __init__(
        self,
        field: Field,
        group: Group,
        lists: Lists,
        people: Wide,
        *,
        closed: Mask,
        chosen: Ints,
        seats: Ints,
    ) -> None:
        """Draw it up for ``people``: what is ``closed`` to them, ``chosen``, each interest's ``seats``."""
        self.people, self.every = people, np.arange(len(people))
        self.weights, self.cost = lists.weights[people], np.float32(field.likeness_cost)
        columns = lists.columns[people]
        is_live = lists.eligible[people] & ~marked(closed, columns)
        is_fine = is_live if group.worse is None else is_live & ~marked(group.worse[people], columns)
        places = np.cumsum(is_fine, axis=2, dtype=np.float32)
        keys = self.weights[:, :, None] / (2 * places + 1)
        keys = np.where(is_fine, keys, WORSE_SHARE * keys) * is_live
        at = self._highest(keys, field.end - columns, pool_depth(group.count))
        self.turns, self.places = at // columns.shape[2], at % columns.shape[2]
        self.columns = np.take_along_axis(flat(columns), at, axis=1)
        best, edge = (np.take_along_axis(one[people], self.turns, axis=1) for one in (lists.best, lists.edge))
        worths = np.take_along_axis(flat(lists.worths[people]), at, axis=1)
        self.worths = (worths - edge) / np.maximum(best - edge, np.float32(LEAST_SPAN))
        self.is_live = np.take_along_axis(flat(is_live), at, axis=1)
        self.is_fine = np.take_along_axis(flat(is_fine), at, axis=1)
        self.busy = field.busy[self.columns]
        self.seats = seats
        self.alike, position = field.alike(np.concatenate([self.columns, chosen], axis=1))
        self.position, before = position[:, : self.columns.shape[1]], position[:, self.columns.shape[1] :]
        self.common = np.zeros(self.columns.shape, np.float32)
        for one in before.T:
            if (one < len(self.alike) - 1).any():
                self.common += self.alike[one[:, None], self.position]
        self.counts = np.count_nonzero(chosen >= 0, axis=1).astype(np.float32)

    @staticmethod
    def _highest(keys: Floats, ties: Ints, size: int) -> Wide:
        """Give the places of each row's ``size`` highest keys, of equal ones by the higher ``ties``."""
        keys, ties = flat(keys), flat(ties)
        width = keys.shape[1]
        tie_bits, place_bits = int(ties.max(initial=0)).bit_length(), width.bit_length()
        bits = tie_bits + place_bits
        high = keys.view(np.int32).astype(np.int64) >> max(bits - 32, 0)  # as floats, so their bits
        entries = high << bits | ties.astype(np.int64) << place_bits | (width - np.arange(width))
        size = min(size, width)
        if size < width:
            entries = np.partition(entries, width - size, axis=1)[:, -size:]
        entries = -np.sort(-entries, axis=1)
        found: Wide = width - (entries & ((1 << place_bits) - 1))
        return found

    def best(self, wanted: Mask) -> tuple[Wide, Mask]:
        """Give the place of each person's next paper, and for whom there is one."""
        usable = self.is_live & self.is_fine
        usable |= self.is_live & ~usable.any(axis=1, keepdims=True)
        people, turns = self.weights.shape
        quotas = np.zeros((people, turns), np.float32)
        for turn in range(turns):
            has = np.logical_or.reduce(usable & (self.turns == turn), axis=1)
            quotas[:, turn] = self.weights[:, turn] / (2 * self.seats[:, turn] + 1) * has
        usable &= self.turns == quotas.argmax(axis=1)[:, None]
        value = self.worths - self.cost * (self.common / np.maximum(self.counts, 1)[:, None])
        best: Wide = np.where(usable, value, -np.inf).argmax(axis=1)
        return best, wanted & usable[self.every, best]

    def take(self, best: Wide, found: Mask) -> None:
        """Count the papers just taken in, by those for whom they were ``found``."""
        taken = self.columns[self.every, best]
        self.is_live &= ~((self.columns == taken[:, None]) & found[:, None])
        self.seats[self.every[found], self.turns[self.every, best][found]] += 1
        self.counts += found
        self.common += self.alike[self.position[self.every, best][:, None], self.position]

    def close(self, rows: Wide, authors: Ints) -> None:
        """Leave out the papers of authors who stand twice already."""
        self.is_live[rows] &= self.busy[rows] != authors[:, None]


def flat(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    flat: npt.NDArray[Any] = array.reshape(len(array), -1)
    return flat
