"""Interests take turns: papers chosen for many people at once, as arrays.

Rows are people, columns are candidates; nothing here knows of reasons or of the words of a paper. What is
chosen, step by step, for one person (``tests/unit/ranking/plain_choice.py`` is the same as a loop):

1. What trends takes its share, fewer where each interest can have a place by that.
2. The opening: each interest, a followed author's first, then the heaviest, takes its best paper.
3. One paper off the interests, for those who explore.
4. The rest by the divisors of Sainte-Laguë: the next place goes to the interest whose weight divided by
   1, 3, 5, 7… (one more step for each place it has) is highest. It takes the paper that fits it best, less
   what the paper has in common with those chosen for this person already (maximal marginal relevance,
   Carbonell and Goldstein 1998, with the mean likeness in place of the largest).
   Then each interest's papers, at the places it has taken, are put in its own order.
5. Where matches have run out, what trends fills up.

Over all of it at most SAME_AUTHOR_LIMIT papers have one first author.
"""

import numpy as np

from service.ranking.corpus import Floats, Ints, Mask
from service.ranking.filling import Filling
from service.ranking.groups import WORSE_SHARE, Chosen, Field, Group, lists_of, pool_depth


def choose(field: Field, group: Group) -> Chosen:
    """Choose for everybody in ``group``; its ``closed`` is left as it was."""
    depth = pool_depth(group.count)
    width = min(depth + depth // 2, field.end)
    return _choose(field, group, width)


def _choose(field: Field, group: Group, width: int) -> Chosen:
    """Choose among the first ``width`` columns of each order; for whom they don't do, among all."""
    lists = lists_of(field, group, width)
    people = np.arange(len(group.closed))
    deep = np.flatnonzero(lists.is_short)
    if not len(deep):
        return Filling(field, group, lists).play()
    chosen = [np.full((len(people), group.count), -1, np.int32) for _ in range(2)]
    explored = np.full(len(people), -1, np.int32)
    for rows, wide in ((np.setdiff1d(people, deep), width), (deep, field.end)):
        if len(rows):
            part = _choose(field, group.only(rows), wide)
            chosen[0][rows], chosen[1][rows], explored[rows] = part.trending, part.for_you, part.explored
    return Chosen(trending=chosen[0], for_you=chosen[1], explored=explored)


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
