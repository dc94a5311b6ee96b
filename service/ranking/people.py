"""A chunk of people as arrays, and what each one's own answers say."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from service.ranking.answers import Answers
from service.ranking.corpus import Floats, Ints, Mask
from service.ranking.groups import Group


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class People:
    """A chunk of people as arrays."""

    counts: npt.NDArray[np.int64]
    closed: Mask
    numbers: npt.NDArray[np.int64]
    weights: Floats
    answers: Answers | None
    seeds: npt.NDArray[np.uint64] | None
    explores: Mask
    mutes: Sequence[tuple[str, ...]]

    def groups(self, most: int) -> Iterator[tuple[npt.NDArray[np.int64], Group]]:
        """Give ``most`` people at a time who want as many papers, apart from those who have answered."""
        answered = np.full(len(self.counts), -1, np.int64)
        if self.answers is not None:
            answered[self.answers.people] = np.arange(len(self.answers.people))
        for count in np.unique(self.counts[self.counts > 0]).tolist():
            for with_answers in (False, True):
                rows = np.flatnonzero((self.counts == count) & ((answered >= 0) == with_answers))
                for start in range(0, len(rows), most):
                    some = rows[start : start + most]
                    yield some, self._group(some, count, answered[some] if with_answers else None)

    def _group(
        self, rows: npt.NDArray[np.int64], count: int, answered: npt.NDArray[np.int64] | None
    ) -> Group:
        answers = self.answers if answered is not None else None
        return Group(
            count=count,
            closed=self.closed[rows],
            numbers=self.numbers[rows],
            weights=self.weights[rows],
            own=None if answers is None else answers.scores[answered],
            is_fused=None if answers is None else answers.is_fused[answered],
            worse=None if answers is None else np.pad(answers.worse[answered], ((0, 0), (0, 1))),
            seeds=None if self.seeds is None else self.seeds[rows],
            explores=self.explores[rows],
        )

    def own_shares(self, rows: npt.NDArray[np.int64], columns: Ints) -> npt.NDArray[np.float64]:
        """Say how answers hold papers: those of each person of ``rows``, who ascend, the one of ``columns``.

        0 where they don't speak for it; else larger the higher it stands by them.
        """
        shares = np.zeros(len(rows), np.float64)
        if self.answers is None:
            return shares
        starts = np.searchsorted(rows, self.answers.people).tolist()
        ends = np.searchsorted(rows, self.answers.people, side="right").tolist()
        for scores, start, end in zip(self.answers.scores, starts, ends, strict=True):
            own = scores[columns[start:end]]
            higher = np.count_nonzero(scores > own[:, None], axis=1)
            shares[start:end] = np.where(own > 0, 1 / (2.0 * higher + 1), 0)
        return shares

    def own_reasons(self, row: int) -> Callable[[int], tuple[str, ...]] | None:
        """Give what tells why a person's own answers speak for a paper; None where there are none."""
        if self.answers is None:
            return None
        at = int(np.searchsorted(self.answers.people, row))
        if at == len(self.answers.people) or self.answers.people[at] != row:
            return None
        return partial(self.answers.why, at)

    def of_one(self) -> tuple[Floats | None, Mask | None, bool]:
        """Give the answers of the first person: scores, what is worse, and whether orders are fused."""
        if self.answers is None or not len(self.answers.people):
            return None, None, False
        answers = self.answers
        return answers.scores[0], np.append(answers.worse[0], False), bool(answers.is_fused[0])
