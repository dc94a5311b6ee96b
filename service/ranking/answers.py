"""What people's own answers, liked and disliked, say of every candidate: worked out for a chunk at once."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from service.ranking import learning, matching
from service.ranking.corpus import Corpus, Floats, Mask
from service.ranking.fusion import standard, to_one
from service.ranking.signals import by_examples
from service.ranking.values import Profile

TRUSTED = 20  # papers liked from which on the model counts as much as likeness
LEAST_SCORE = np.float32(0.01)


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
    """Judge by likeness to what was liked; last comes what is nearer to something that was not.

    None where nobody answered.
    """
    people = [row for row, profile in enumerate(profiles) if profile.liked or profile.disliked]
    if not people:
        return None
    scores = np.zeros((len(people), corpus.count), np.float32)
    worse = np.zeros(scores.shape, np.bool_)
    for row, person in enumerate(people):
        liked, disliked = profiles[person].liked, profiles[person].disliked
        if (alike := by_examples(corpus, liked)) is not None:
            scores[row] = np.where(matching.is_similar(corpus, liked), to_one(alike) + LEAST_SCORE, 0)
        if disliked:
            worse[row] = matching.like_disliked(corpus, liked, disliked)

    def why(row: int, place: int) -> tuple[str, ...]:
        nearest = matching.nearest_example(corpus, profiles[people[row]].liked, place)
        title = corpus.papers[corpus.index[nearest]].title if nearest else ""
        return (f"similar to {title}, which you liked",) if nearest else ()

    is_fused = np.zeros(len(people), np.bool_)
    return Answers(people=np.array(people), scores=scores, worse=worse, is_fused=is_fused, why=why)


def by_learning(
    corpus: Corpus,
    profiles: Sequence[Profile],
    *,
    is_enough: Callable[[Profile], bool] = learning.is_enough,
) -> Answers | None:
    """Judge by a model of one's own where there are answers enough for one, else by likeness.

    The model's order, joined with the likeness to what was liked, is fused with each interest's. A paper that
    the model is for may be chosen for that alone where it is like one that was liked, which is the reason
    told; one that it is against comes last where it is like one that was not.
    """
    found = by_likeness(corpus, profiles)
    if found is None or not corpus.count:
        return found
    taught = np.array([is_enough(profiles[person]) for person in found.people.tolist()], np.bool_)
    rows = np.flatnonzero(taught)
    if not len(rows):
        return found
    learned = learning.scores(corpus, [profiles[person] for person in found.people[rows].tolist()])
    for row, values in zip(rows.tolist(), learned, strict=True):
        profile = profiles[int(found.people[row])]
        order = to_one(_joined(corpus, profile, values))
        is_fit = (values > 0) & matching.is_similar(corpus, profile.liked)
        # All that may not be chosen for this alone is at most 0, in the same order.
        found.scores[row] = np.where(is_fit, order + LEAST_SCORE, order - 1)
        _, near = matching.likeness(corpus, profile.disliked)
        found.worse[row] = (near >= matching.LEAST_DISLIKENESS) & (values < 0)
    return replace(found, is_fused=taught)


def _joined(corpus: Corpus, profile: Profile, values: Floats) -> Floats:
    """Join the model with the likeness to all that was liked; from few answers little can be learned."""
    liked = tuple(
        dict.fromkeys((*profile.liked, *(id_ for one in profile.interests for id_ in one.examples)))
    )
    share = np.float32(min(len(liked) / TRUSTED, 1))
    alike = by_examples(corpus, liked)
    return share * standard(values) + alike if alike is not None else values
