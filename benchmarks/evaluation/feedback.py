"""``python -m benchmarks.evaluation.feedback``: what answers are worth, and from how many on they are.

Somebody cares for a curated list, or a section of one, and has answered papers until a day: the last of the
first ten items of the list were liked; what had most votes at the time but is not on the list, and what is on
the most similar other list, was refused by turns. What is asked for are the list's later papers, among all
that were listed later. Answers are as old as the papers they are about.
"""

import argparse
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date

from benchmarks.evaluation import baselines, cases
from benchmarks.evaluation.cases import Case
from benchmarks.evaluation.recorded import NoRecordedData, Recorded, open_recorded
from benchmarks.evaluation.report import peak_megabytes
from benchmarks.evaluation.running import run_cases
from benchmarks.evaluation.splitting import Side
from benchmarks.evaluation.systems import Paperlark
from benchmarks.evaluation.vectors import KeptVectors, cache_folder
from service.commands.output import progress_bar
from service.config import Settings
from service.papers.embedding import open_embedder
from service.papers.vectors import load_vectors
from service.ranking import answers, learning
from service.ranking.answers import Answering
from service.ranking.corpus import Corpus
from service.ranking.recipe import WHOLE, Recipe
from service.ranking.selecting import rank
from service.ranking.tokens import TokenStore
from service.ranking.values import Candidate, Interest, Profile

ABOUT = "later papers of curated lists, by answers given before"
MOST_PARTS = 4  # of one list: its name and its largest sections


@dataclass(frozen=True)
class Amount:
    """How many papers were answered."""

    liked: int
    disliked: int

    def __str__(self) -> str:
        return f"{self.liked} liked, {self.disliked} not"


AMOUNTS = tuple(Amount(*one) for one in ((1, 0), (3, 0), (3, 2), (3, 8), (5, 8), (10, 0), (10, 8), (10, 16)))


def from_answers(recorded: Recorded, amount: Amount) -> Iterator[Case]:
    """Ask for later papers of a list by the answers given before."""
    everything = list(cases.from_examples(recorded))
    counts: dict[str, int] = {}
    for case in everything:
        counts[case.group] = counts.get(case.group, 0) + 1
        if counts[case.group] > MOST_PARTS:
            continue
        liked = case.examples[-amount.liked :]
        refused = _refused(recorded, case, everything)[: amount.disliked]
        pool = case.pool - {paper.id for paper in refused}
        if len(refused) == amount.disliked:
            name = case.name.partition(": ")[2]
            yield replace(case, phrases=(name,), examples=liked, disliked=tuple(refused), pool=pool)


def _short(given: Iterator[Case]) -> Iterator[Case]:
    counts: dict[str, int] = {}
    for case in given:
        counts[case.group] = counts.get(case.group, 0) + 1
        if counts[case.group] <= MOST_PARTS:
            yield replace(case, phrases=(case.name.partition(": ")[2].partition(", not")[0],))


def _refused(recorded: Recorded, case: Case, everything: Sequence[Case]) -> list[Candidate]:
    listed = {item.id for item in recorded.lists[case.group]}
    before = [paper for paper in case.world.papers if paper.id not in case.pool and paper.id not in listed]
    hot = sorted(before, key=lambda paper: (-recorded.votes.get(paper.id, 0), paper.id))
    words = cases._title_words(case.examples)
    others = [one for one in everything if not cases._overlaps(case, one)]
    other = max(others, key=lambda one: (cases._likeness(cases._title_words(one.examples), words), one.name))
    near = [paper for paper in other.examples if paper.id not in listed]
    mixed = [paper for pair in zip(hot, near, strict=False) for paper in pair]
    return list({paper.id: paper for paper in (*mixed, *hot[: len(near) + 20])}.values())


class Reader(Paperlark):
    """Paperlark for somebody with these answers; ``interest`` makes what they chose besides."""

    def __init__(
        self,
        name: str,
        store: TokenStore,
        embed: baselines.Embed | None,
        answering: Answering,
        interest: Callable[[Case], Interest] | None = None,
        *,
        recipe: Recipe = WHOLE,
    ) -> None:
        super().__init__(name, store, embed, recipe=recipe)
        self._answering, self._interest = answering, interest

    def order(self, case: Case) -> list[str]:
        corpus = self._corpus(case.world, (*case.examples, *case.disliked))
        ranked = rank(profile_of(case, self._interest), corpus, {}, answering=self._answering)
        first = [one.id for one in ranked if one.id in case.pool]
        return [*first, *sorted(case.pool.difference(first))]


def profile_of(case: Case, interest: Callable[[Case], Interest] | None) -> Profile:
    """Make the profile of somebody who has answered as the case says."""
    cutoff = max((one.listed_on or date.min) for one in case.examples)
    answered = (*case.examples, *case.disliked)
    days = [max((cutoff - (one.listed_on or cutoff)).days, 0) for one in answered]
    return Profile(
        interests=(interest(case),) if interest else (),
        liked=tuple(one.id for one in case.examples),
        disliked=tuple(one.id for one in case.disliked),
        answer_days=tuple(map(float, days)),
    )


def by_phrase(case: Case) -> Interest:
    """Choose the list's subject as an interest."""
    return Interest(name=case.name, phrases=case.phrases)


def silent(_corpus: Corpus, _profiles: Sequence[Profile]) -> None:
    """Learn nothing from answers."""


def however_few(corpus: Corpus, profiles: Sequence[Profile]) -> answers.Answers | None:
    """Learn from any number of answers."""
    return answers.by_learning(corpus, profiles, is_enough=lambda _: True)


def systems(store: TokenStore, embed: baselines.Embed | None) -> list[baselines.System]:
    """Give what is compared: learned and not, with an interest and without, and the baselines."""
    return [
        Reader("Paperlark", store, embed, however_few),
        Reader("without learning", store, embed, answers.by_likeness),
        Reader("without dense vectors", store, embed, however_few, recipe=Recipe(dense=False)),
        Reader("with a phrase", store, embed, however_few, by_phrase),
        Reader("the same without learning", store, embed, answers.by_likeness, by_phrase),
        Reader("the phrase alone", store, embed, silent, by_phrase),
        baselines.TfidfCentroid(),
        baselines.SanitySvm(0.01),
        baselines.SanitySvm(0.1),
        *([baselines.DenseOnly(embed)] if embed else []),
    ]


def main(words: Sequence[str] | None = None) -> int:
    """Print a table for each number of answers."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.evaluation.feedback", description=__doc__)
    parser.add_argument("--split", choices=("report", "tuning", "all"), default="report")
    names = [*(f"answers: {amount}" for amount in AMOUNTS), "refused"]
    parser.add_argument("--task", action="append", choices=names, help="only this; may be repeated")
    chosen = parser.parse_args(words)
    side: Side | None = None if chosen.split == "all" else chosen.split
    try:
        recorded = open_recorded()
    except NoRecordedData as error:
        sys.stderr.write(f"evaluation: {error}; nothing was measured\n")
        return 2
    os.environ.setdefault("PAPERLARK_ENVIRONMENT", "test")
    store = load_vectors(cache_folder())
    with progress_bar() as progress:
        embedder = open_embedder(Settings())
        embed = KeptVectors(embedder, cache_folder(), progress).embed if embedder else None
        asked = systems(store, embed)
        questions = [(f"answers: {amount}", from_answers(recorded, amount)) for amount in AMOUNTS]
        questions.append(("refused", _short(cases.against_dislikes(recorded))))
        for name, asked_for in questions:
            if chosen.task and name not in chosen.task:
                continue
            task = run_cases(name, ABOUT, list(asked_for), asked, side=side, progress=progress)
            sys.stdout.write("\n".join(task.lines()) + "\n\n")
            sys.stdout.flush()
    sys.stdout.write(f"split: {chosen.split}; learned from {learning.LEAST_LIKED} liked and ")
    sys.stdout.write(f"{learning.LEAST_DISLIKED} not on; at most {peak_megabytes():,} MB\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
