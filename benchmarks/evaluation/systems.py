"""Paperlark as a system under test: through its public ranking interface, whole and with parts left out."""

from collections.abc import Callable
from dataclasses import replace

from benchmarks.evaluation.cases import Case, World
from service.ranking.corpus import Corpus
from service.ranking.selecting import rank
from service.ranking.tokens import TokenStore
from service.ranking.values import Candidate, Interest, Profile

Change = Callable[[Profile], Profile]


class Paperlark:
    """Paperlark's own order of a case's papers; ``change`` is what is left out of the profile."""

    def __init__(self, name: str, store: TokenStore, change: Change | None = None) -> None:
        self.name = name
        self._store = store
        self._change = change

    def order(self, case: Case) -> list[str] | None:
        whole = profile_of(case)
        profile = self._change(whole) if self._change else whole
        if self._change and profile == whole:
            return None  # nothing of this case could be left out
        corpus = self._corpus(case.world, (*case.examples, *case.disliked))
        ranked = [one.id for one in rank(profile, corpus, {}) if one.id in case.pool]
        # What is left out as named by the person counts as placed last.
        return [*ranked, *sorted(case.pool.difference(ranked))]

    def _corpus(self, world: World, examples: tuple[Candidate, ...]) -> Corpus:
        known = {paper.id for paper in world.papers}
        missing = tuple(paper for paper in examples if paper.id not in known)
        key = (Corpus, tuple(paper.id for paper in missing))
        if key not in world.kept:
            world.kept[key] = Corpus.build(world.papers, examples=missing, vectors=self._store)
        return world.kept[key]  # type: ignore[return-value]


def profile_of(case: Case) -> Profile:
    """Make the profile of somebody who asks this: one interest, and what was said against."""
    interest = Interest(
        name=case.name, phrases=case.phrases, examples=tuple(paper.id for paper in case.examples)
    )
    return Profile(interests=(interest,), disliked=tuple(paper.id for paper in case.disliked))


def without_dislikes(profile: Profile) -> Profile:
    """Forget what was said against."""
    return replace(profile, disliked=())


def as_liked(profile: Profile) -> Profile:
    """Take the examples as papers liked instead."""
    liked = tuple(id_ for one in profile.interests for id_ in one.examples)
    return replace(profile, interests=(), liked=liked) if liked else profile


def all_systems(store: TokenStore) -> list[Paperlark]:
    """Give Paperlark whole, then with parts left out."""
    return [
        Paperlark("Paperlark", store),
        Paperlark("without what was refused", store, without_dislikes),
        Paperlark("examples as liked", store, as_liked),
    ]
