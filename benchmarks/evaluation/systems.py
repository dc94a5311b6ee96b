"""Paperlark as a system under test: through its public ranking interface, whole and with parts left out."""

from collections.abc import Callable
from dataclasses import replace

from benchmarks.evaluation.baselines import Embed, model_text
from benchmarks.evaluation.cases import Case, World
from service.ranking.corpus import Corpus
from service.ranking.dense import Meanings
from service.ranking.recipe import WHOLE, Recipe
from service.ranking.selecting import rank
from service.ranking.tokens import TokenStore
from service.ranking.values import Candidate, Interest, Profile

Change = Callable[[Profile], Profile]


class Paperlark:
    """Paperlark's own order of a case's papers.

    ``embed`` turns texts into vectors; without it there are words alone. ``recipe`` and ``change`` say what
    is left out, of the matching and of what is known of the person.
    """

    def __init__(
        self,
        name: str,
        store: TokenStore,
        embed: Embed | None = None,
        *,
        recipe: Recipe = WHOLE,
        change: Change | None = None,
        is_asked: Callable[[Case], bool] = lambda _: True,
    ) -> None:
        self.name = name
        self._store = store
        self._embed = embed
        self._recipe = recipe
        self._change = change
        self._is_asked = is_asked

    def order(self, case: Case) -> list[str] | None:
        whole = profile_of(case)
        profile = self._change(whole) if self._change else whole
        if not self._is_asked(case) or (self._change and profile == whole):
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
            world.kept[key] = Corpus.build(
                world.papers,
                examples=missing,
                vectors=self._store,
                meanings=self._meanings((*world.papers, *missing)),
            )
        whole: Corpus = world.kept[key]  # type: ignore[assignment]
        if self._recipe == WHOLE:
            return whole
        if (key, self._recipe) not in world.kept:
            world.kept[key, self._recipe] = whole.matched_by(self._recipe)
        return world.kept[key, self._recipe]  # type: ignore[return-value]

    def _meanings(self, papers: tuple[Candidate, ...]) -> Meanings | None:
        if self._embed is None:
            return None
        rows = self._embed([model_text(paper) for paper in papers])
        return Meanings(ids=[paper.id for paper in papers], rows=rows, phrases=self._embed)


def profile_of(case: Case) -> Profile:
    """Make the profile of somebody who asks this: one interest, and what was said against."""
    interest = Interest(
        name=case.name,
        phrases=case.phrases,
        examples=tuple(paper.id for paper in case.examples),
        against=case.against,
    )
    return Profile(interests=(interest,), disliked=tuple(paper.id for paper in case.disliked))


def without_dislikes(profile: Profile) -> Profile:
    """Forget what was said against, by papers and by words."""
    interests = tuple(replace(one, against=()) for one in profile.interests)
    return replace(profile, disliked=(), interests=interests)


def as_liked(profile: Profile) -> Profile:
    """Take the examples as papers liked instead."""
    liked = tuple(id_ for one in profile.interests for id_ in one.examples)
    return replace(profile, interests=(), liked=liked) if liked else profile


def all_systems(store: TokenStore, embed: Embed | None) -> list[Paperlark]:
    """Give Paperlark whole, then with parts left out."""
    left_out = {
        "without acronyms": (Recipe(acronyms=False), lambda case: bool(case.phrases)),
        "without feedback of the best": (Recipe(feedback=False), lambda _: True),
        "without centring": (Recipe(centring=False), lambda _: True),
        "without authors": (Recipe(authors=False), lambda case: bool(case.examples)),
        "joined by reciprocal ranks": (Recipe(by_ranks=True), lambda _: True),
    }
    if embed is not None:
        left_out |= {
            "without dense vectors": (Recipe(dense=False), lambda _: True),
            "without words": (Recipe(lexical=False), lambda _: True),
            "without discriminant": (Recipe(contrast=False), lambda case: bool(case.examples)),
        }
    return [
        Paperlark("Paperlark", store, embed),
        Paperlark("without what was refused", store, embed, change=without_dislikes),
        Paperlark("examples as liked", store, embed, change=as_liked),
        *(
            Paperlark(name, store, embed, recipe=recipe, is_asked=is_asked)
            for name, (recipe, is_asked) in left_out.items()
        ),
    ]
