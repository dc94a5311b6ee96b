"""What people's own answers, liked and disliked, say of every candidate: worked out for a chunk at once."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from service.ranking import matching
from service.ranking.corpus import Corpus, Floats, Mask
from service.ranking.values import Profile


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
    if not people:
        return None
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
