"""Which interests hold the chosen papers, the ones in which each stands highest: for many people at once."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from service.ranking.corpus import Ints
from service.ranking.groups import Wide
from service.ranking.orders import OrderTable
from service.ranking.people import People

OWN = -1  # the number of what a person's answers say
MOST_PLACES = 4_000_000  # of papers in interests, looked up at a time: bounds memory


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Held:
    """For each of some papers the numbers of the two interests in which it stands highest; 0 is none.

    ``shares`` is larger the higher it stands in the first of them.
    """

    firsts: Wide
    seconds: Wide
    shares: npt.NDArray[np.float64]


def held(table: OrderTable, people: People, rows: Wide, columns: Ints) -> Held:
    """Say how interests hold papers: those of each person of ``rows``, who ascend, the one of ``columns``."""
    found = Held(
        firsts=np.zeros(len(rows), np.int64),
        seconds=np.zeros(len(rows), np.int64),
        shares=np.zeros(len(rows), np.float64),
    )
    for part in _parts(table, people, rows):
        numbers, shares = _shares(table, people, rows[part], columns[part])
        every = np.arange(len(numbers))
        for given in (found.firsts, found.seconds):
            highest = shares.argmax(axis=1)  # of equal ones the first
            share = shares[every, highest]
            given[part] = np.where(share > 0, numbers[every, highest], 0)
            if given is found.firsts:
                found.shares[part] = share
            shares[every, highest] = 0
    return found


def _parts(table: OrderTable, people: People, rows: Wide) -> Iterator[slice]:
    """Part the rows, people by people, so that not too much is looked up at once."""
    step = max(MOST_PLACES // max(people.numbers.shape[1] * (table.end + 1), 1), 1)
    ends = np.searchsorted(rows, np.arange(0, len(people.numbers) + step, step)).tolist()
    return (slice(start, end) for start, end in pairwise(ends) if start < end)


def _shares(
    table: OrderTable, people: People, rows: Wide, columns: Ints
) -> tuple[Wide, npt.NDArray[np.float64]]:
    """Give the numbers of the interests for each paper, and the share of each; answers are last."""
    numbers = people.numbers[rows]
    known, position = np.unique(numbers, return_inverse=True)
    places = table.places(known)[position.reshape(numbers.shape), columns[:, None]]
    shares = np.where(places >= 0, people.weights[rows] / (2 * places + 1.0), 0.0)
    own = people.own_shares(rows, columns)
    return np.column_stack([numbers, np.full(len(rows), OWN)]), np.column_stack([shares, own])
