"""What learning from answers costs: many people at once, against a loop of scikit-learn in the same run.

    python -m benchmarks.learning [PEOPLE]

Everybody has liked 10 of 3,000 made-up papers and refused 14; 1,000 are candidates. scikit-learn is given the
same weighted papers as dense rows of 1,500 numbers, which is kind to it: ours compares whole texts. CPU time.
"""

import resource
import sys
import time
from collections.abc import Callable

import numpy as np

from service.ranking import learning
from service.ranking.corpus import Corpus
from service.ranking.dense import Meanings
from service.ranking.values import Candidate, Profile

PAPERS, CANDIDATES, WORDS, WIDTH = 3_000, 1_000, 6_000, 1_500
LOOP_SHARE = 20  # the slow way is measured with one person in so many


def main() -> None:
    """Measure and print."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 2_000
    rng = np.random.default_rng(20260213)
    corpus = make_corpus(rng)
    people = [make_person(rng, corpus) for _ in range(count)]
    print(f"{count:,} people, {CANDIDATES:,} candidates; ms of CPU a person")
    first = timed(lambda: learning.scores(corpus, people)) / count
    again = timed(lambda: learning.scores(corpus, people)) / count
    print(f"  ours, papers compared for the first time {1e3 * first:8.2f}")
    print(f"  ours, papers compared before             {1e3 * again:8.2f}")
    some = people[::LOOP_SHARE]
    loop = timed(lambda: [by_scikit(corpus, person) for person in some]) / len(some)
    print(f"  scikit-learn, one by one     {1e3 * loop:8.2f}   {loop / first:.0f}, {loop / again:.0f} x")
    print(f"memory at most {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:,.0f} MB")


def timed(work: Callable[[], object]) -> float:
    """Return the seconds of the processor that ``work`` takes."""
    started = time.process_time()
    work()
    return time.process_time() - started


def by_scikit(corpus: Corpus, person: Profile) -> np.ndarray:
    """Fit one person's model and score every candidate."""
    from sklearn.linear_model import LogisticRegression

    given, background = learning.Given.of(corpus, person), learning.background_of(corpus)
    rows = _FEATURES[np.concatenate([given.places, background])]
    faint = np.full(len(background), learning.BACKGROUND_WEIGHT / len(background))
    labels = np.concatenate([given.signs > 0, np.zeros(len(background), bool)])
    model = LogisticRegression(C=learning.STRENGTH, max_iter=300)
    model.fit(rows, labels, sample_weight=np.concatenate([given.weights, faint]))
    scores: np.ndarray = model.decision_function(_FEATURES[: corpus.count])
    return scores


_FEATURES = np.random.default_rng(1).normal(size=(PAPERS, WIDTH)).astype(np.float32) / np.sqrt(WIDTH)


def make_corpus(rng: np.random.Generator) -> Corpus:
    """Make papers of the usual lengths, their words as rare as words are."""
    words = ["".join(rng.choice(list("abcdefghijklmnop"), 6)) for _ in range(WORDS)]
    chance = 1 / np.arange(1, WORDS + 1)
    chance /= chance.sum()
    papers = [
        Candidate(
            id=f"2602.{number:05}",
            title=" ".join(rng.choice(words, 9, p=chance)),
            abstract=" ".join(rng.choice(words, 170, p=chance)),
        )
        for number in range(PAPERS)
    ]
    rows = rng.normal(size=(PAPERS, 384)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    meanings = Meanings(
        ids=[paper.id for paper in papers],
        rows=rows,
        phrases=lambda texts: np.zeros((len(texts), 384), np.float32),
    )
    corpus = Corpus.build(papers[:CANDIDATES], examples=papers[CANDIDATES:], meanings=meanings)
    learning.products(corpus, 0)  # what is indexed once is indexed
    return corpus


def make_person(rng: np.random.Generator, corpus: Corpus) -> Profile:
    """Make somebody who has answered 24 papers."""
    ids = [corpus.papers[place].id for place in rng.choice(PAPERS, 24, replace=False).tolist()]
    return Profile(liked=tuple(ids[:10]), disliked=tuple(ids[10:]))


if __name__ == "__main__":
    main()
