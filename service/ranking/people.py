"""A chunk of people as arrays, and what each one's own answers say."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from service.ranking.answers import Answers
from service.ranking.corpus import Floats, Mask
from service.ranking.explaining import LIKED, Holder
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

    def own_holder(self, row: int, place: int) -> Holder | None:
        """Say how a person's own answers hold a paper; None where they don't speak for it."""
        if self.answers is None:
            return None
        at = int(np.searchsorted(self.answers.people, row))
        if at == len(self.answers.people) or self.answers.people[at] != row:
            return None
        scores, answers = self.answers.scores[at], self.answers
        if scores[place] <= 0:
            return None
        share = 1 / (2 * int(np.count_nonzero(scores > scores[place])) + 1)
        return Holder(-1, LIKED, share, lambda one: answers.why(at, one))

    def of_one(self) -> tuple[Floats | None, Mask | None, bool]:
        """Give the answers of the first person: scores, what is worse, and whether orders are fused."""
        if self.answers is None or not len(self.answers.people):
            return None, None, False
        answers = self.answers
        return answers.scores[0], np.append(answers.worse[0], False), bool(answers.is_fused[0])
