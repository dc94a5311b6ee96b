"""What people's own answers, liked and disliked, say of every candidate: worked out for a chunk at once."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from service.ranking import learning, matching
from service.ranking.corpus import Corpus, Floats, Mask
from service.ranking.values import Profile

WORSE_BELOW = 0.0  # a model's score below which what is like something refused comes last


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Answers:
    """Scores of all candidates by their own answers, for those people who have given any.

    ``people`` are rows of the chunk that was asked for. ``scores`` has shape (len(people), candidates): above
    0 is what they would like, and may be chosen for that alone. ``worse`` marks what is to come last. Where
    ``is_fused``, each interest's own order is fused with the scores by reciprocal rank. ``why`` says in true
    sentences why a candidate is scored above 0, for a row of ``people`` and a place.
    """

    people: npt.NDArray[np.int64]  # ascending
    scores: Floats
    worse: Mask
    is_fused: Mask
    why: Callable[[int, int], tuple[str, ...]]


Answering = Callable[[Corpus, Sequence[Profile]], Answers | None]


def by_likeness(corpus: Corpus, profiles: Sequence[Profile]) -> Answers | None:
    """Judge by likeness to what was liked, less what was not (Rocchio); None where nobody answered."""
    people = [row for row, profile in enumerate(profiles) if profile.liked or profile.disliked]
    return _by_likeness(corpus, profiles, people) if people else None


def by_learning(
    corpus: Corpus,
    profiles: Sequence[Profile],
    *,
    is_enough: Callable[[Profile], bool] = learning.is_enough,
) -> Answers | None:
    """Judge by a model of one's own where there are answers enough for one, else by likeness.

    The model orders, and is fused with each interest. What it is for may be chosen for that alone where the
    paper is like one that was liked, which is the reason told; what it is against comes last where the paper
    is like one that was not.
    """
    found = by_likeness(corpus, profiles)
    if found is None:
        return None
    taught = np.array([is_enough(profiles[person]) for person in found.people.tolist()], np.bool_)
    if not taught.any():
        return found
    rows = np.flatnonzero(taught)
    learned = learning.scores(corpus, [profiles[person] for person in found.people[rows].tolist()])
    for row, values in zip(rows.tolist(), learned, strict=True):
        profile = profiles[int(found.people[row])]
        _, near_liked = matching.likeness(corpus, profile.liked)
        _, near_disliked = matching.likeness(corpus, profile.disliked)
        chance = _chance(values)
        is_fit = (values > 0) & (near_liked >= matching.LEAST_LIKENESS)
        # All that may not be chosen for this alone is at most 0, in the model's order.
        found.scores[row] = np.where(is_fit, chance, chance - 1)
        found.worse[row] = (near_disliked >= matching.LEAST_DISLIKENESS) & (values < WORSE_BELOW)
    return replace(found, is_fused=taught)


def _chance(values: npt.NDArray[Any]) -> Floats:
    chance: Floats = (np.tanh(values * np.float32(0.5)) + 1) * np.float32(0.5)
    return chance


def _by_likeness(corpus: Corpus, profiles: Sequence[Profile], people: list[int]) -> Answers:
    scores = np.zeros((len(people), corpus.count), np.float32)
    worse = np.zeros(scores.shape, np.bool_)
    for row, person in enumerate(people):
        liked, disliked = profiles[person].liked, profiles[person].disliked
        if liked:
            scores[row] = matching.match_liked(corpus, liked, disliked).scores
        if disliked:
            worse[row] = matching.like_disliked(corpus, liked, disliked)

    def why(row: int, place: int) -> tuple[str, ...]:
        nearest = matching.nearest_example(corpus, profiles[people[row]].liked, place)
        title = corpus.papers[corpus.index[nearest]].title if nearest else ""
        return (f"similar to {title}, which you liked",) if nearest else ()

    is_fused = np.zeros(len(people), np.bool_)
    return Answers(people=np.array(people), scores=scores, worse=worse, is_fused=is_fused, why=why)
