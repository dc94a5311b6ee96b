"""What each person must not get: muted, given before, or named by themselves."""

from collections.abc import Sequence
from itertools import chain
from operator import attrgetter

import numpy as np
import numpy.typing as npt

from service.ranking.corpus import Corpus, Mask
from service.ranking.muting import muted
from service.ranking.values import Profile

KEPT_COMBINATIONS = 2_000
_EXAMPLES = attrgetter("examples")


def mutes_of(profile: Profile) -> tuple[str, ...]:
    """Give every mute of a person: those of any interest hold for the whole list."""
    mutes = profile.mutes
    for one in profile.interests:
        if one.mutes:
            mutes += one.mutes
    return mutes


def hidden(corpus: Corpus, profiles: Sequence[Profile], mutes: Sequence[tuple[str, ...]]) -> Mask:
    """Mark what each person must not get, (people, candidates + 1); the last column, no paper, is marked.

    ``mutes`` are everybody's, as :func:`mutes_of` gives them.
    """
    end = corpus.count
    closed = np.zeros((len(profiles), end + 1), np.bool_)
    _mark(closed, corpus, [profile.seen for profile in profiles])
    for row, (profile, muted_by) in enumerate(zip(profiles, mutes, strict=True)):
        if muted_by:
            closed[row, :end] |= _muted(corpus, muted_by)
        if profile.liked or profile.disliked or any(map(_EXAMPLES, profile.interests)):
            _mark(closed[row : row + 1], corpus, [named_by(profile)])
    closed[:, end] = True
    return closed


def named_by(profile: Profile) -> set[str]:
    """Give the papers that a person has named: examples, liked, disliked."""
    named = {id_ for one in profile.interests for id_ in one.examples}
    return named.union(profile.liked, profile.disliked)


def _mark(closed: Mask, corpus: Corpus, known: Sequence[frozenset[str] | set[str]]) -> None:
    """Mark the papers with the ids ``known`` to each row; ids that are no candidates mark the last column."""
    counts = [len(ids) for ids in known]
    end = corpus.count
    find = corpus.index.get
    places = np.fromiter([find(id_, end) for id_ in chain.from_iterable(known)], np.int64, sum(counts))
    closed[np.repeat(np.arange(len(known)), counts), np.minimum(places, end)] = True


def _muted(corpus: Corpus, mutes: tuple[str, ...]) -> npt.NDArray[np.bool_]:
    kept = corpus.kept.setdefault("combinations of mutes", {})
    if mutes not in kept:
        if len(kept) >= KEPT_COMBINATIONS:
            kept.clear()
        kept[mutes] = muted(corpus, mutes)
    return kept[mutes]  # type: ignore[no-any-return]
