"""What Paperlark is measured against, each in the way its users run it, on the same text.

All text statistics are of the whole period, as they are for Paperlark: no system sees labels.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from functools import cache
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from benchmarks.evaluation.cases import Case, World
from service.papers.embedding.store import paper_text
from service.ranking.values import Candidate

Floats = npt.NDArray[np.float32]
Embed = Callable[[Sequence[str]], Floats]  # one row of length 1 for each text


class System(Protocol):
    """Something that puts the papers of a case in an order."""

    name: str

    def order(self, case: Case) -> list[str] | None:
        """Give the ids of the pool, best first; None where the system can't be asked this."""


class ByPaper:
    """Orders by a property of the papers alone: the same for everybody."""

    def __init__(self, name: str, key: Callable[[Candidate], Any]) -> None:
        self.name = name
        self._key = key

    def order(self, case: Case) -> list[str] | None:
        pool = [paper for paper in case.world.papers if paper.id in case.pool]
        if not any(paper.listed_on for paper in pool):
            return None  # of these nothing but the text is known: all would be tied, and their names decide
        return [paper.id for paper in sorted(pool, key=lambda one: (self._key(one), one.id), reverse=True)]


def newest_first() -> ByPaper:
    """The latest list day first."""
    return ByPaper("newest first", lambda paper: paper.listed_on or date.min)


def most_votes(votes: Mapping[str, int]) -> ByPaper:
    """The final votes, which no real system knows at the time: generous to this baseline."""
    return ByPaper("upvotes", lambda paper: votes.get(paper.id, 0))


class Bm25:
    """Okapi BM25 of the phrases' words over title, keywords, summary and abstract (k1 1.2, b 0.75)."""

    name = "BM25"

    def __init__(self, k1: float = 1.2, b: float = 0.75) -> None:
        self._k1, self._b = k1, b

    def order(self, case: Case) -> list[str] | None:
        if not case.phrases:
            return None
        vectorizer, counts = _counts(case.world)
        words = vectorizer.transform([" ".join(case.phrases)]).indices
        lengths = np.asarray(counts.sum(axis=1)).ravel()
        scores = np.zeros(counts.shape[0])
        for word in words:
            column = np.asarray(counts[:, [word]].todense()).ravel()
            spread = np.count_nonzero(column)
            rarity = np.log1p((len(column) - spread + 0.5) / (spread + 0.5))
            damping = self._k1 * (1 - self._b + self._b * lengths / lengths.mean())
            scores += rarity * column * (self._k1 + 1) / (column + damping)
        return _best_first(case, scores)


class TfidfCentroid:
    """Cosine with the mean TF-IDF vector of the examples, or with the phrases as one text."""

    name = "TF-IDF centroid"

    def order(self, case: Case) -> list[str]:
        vectorizer, rows = _sanity_features(case.world)
        texts = [text_of(paper) for paper in case.examples] or [" ".join(case.phrases)]
        return _best_first(case, np.asarray(rows @ vectorizer.transform(texts).mean(axis=0).T).ravel())


class SanitySvm:
    """arxiv-sanity-lite's way: one LinearSVC per tag; everything that is not tagged is a negative."""

    def __init__(self, strength: float = 0.01) -> None:
        self.name = f"SVM per tag (C={strength:g})"
        self._strength = strength

    def order(self, case: Case) -> list[str] | None:
        if not case.examples:
            return None
        import scipy.sparse
        from sklearn.svm import LinearSVC

        vectorizer, rows = _sanity_features(case.world)
        positives = vectorizer.transform([text_of(paper) for paper in case.examples])
        known = {paper.id for paper in case.examples}
        others = [place for place, paper in enumerate(case.world.papers) if paper.id not in known]
        features = scipy.sparse.vstack([positives, rows[others]]).tocsr()
        labels = np.arange(features.shape[0]) < positives.shape[0]
        model = LinearSVC(
            class_weight="balanced", max_iter=10_000, tol=1e-6, C=self._strength, random_state=0
        )
        model.fit(features, labels)
        return _best_first(case, model.decision_function(rows))


class DenseOnly:
    """Cosine of sentence vectors with the mean of the examples, or with the phrases as one text."""

    name = "dense only"

    def __init__(self, embed: Embed) -> None:
        self._embed = cache(lambda texts: embed(list(texts)))

    def order(self, case: Case) -> list[str]:
        rows = self._embed(tuple(map(model_text, case.world.papers)))
        texts = tuple(map(model_text, case.examples)) or (" ".join(case.phrases),)
        return _best_first(case, rows @ self._embed(texts).mean(axis=0))


def model_text(paper: Candidate) -> str:
    """Give what the model reads of a paper."""
    return paper_text(title=paper.title, abstract=paper.abstract, summary=paper.summary)


def text_of(paper: Candidate) -> str:
    """Join what the lexical baselines read; the same parts as Paperlark's phrases look at."""
    return " ".join([paper.title, paper.abstract, paper.summary, *paper.keywords])


def _best_first(case: Case, scores: npt.NDArray[Any]) -> list[str]:
    papers = case.world.papers
    return [papers[place].id for place in np.argsort(-scores, kind="stable") if papers[place].id in case.pool]


def _counts(world: World) -> tuple[Any, Any]:
    from sklearn.feature_extraction.text import CountVectorizer

    if "counts" not in world.kept:
        vectorizer = CountVectorizer(strip_accents="unicode", stop_words="english")
        counts = vectorizer.fit_transform([text_of(paper) for paper in world.papers])
        world.kept["counts"] = (vectorizer, counts.tocsc())
    return world.kept["counts"]  # type: ignore[return-value]


def _sanity_features(world: World) -> tuple[Any, Any]:
    """TF-IDF by the settings of arxiv-sanity-lite's compute.py: 20,000 words and pairs, in 5 papers or more.

    Words in more than 10 % of the papers are left out. It reads authors too; they are of no use here.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer

    if "tfidf" not in world.kept:
        vectorizer = TfidfVectorizer(
            strip_accents="unicode", stop_words="english", token_pattern=r"(?u)\b[a-zA-Z_][a-zA-Z0-9_]+\b",
            ngram_range=(1, 2), max_features=20_000, min_df=5, max_df=0.1,
            sublinear_tf=True, dtype=np.float32,
        )  # fmt: skip
        world.kept["tfidf"] = (
            vectorizer,
            vectorizer.fit_transform([text_of(paper) for paper in world.papers]),
        )
    return world.kept["tfidf"]  # type: ignore[return-value]
