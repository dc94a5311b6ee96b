"""Dense vectors of the papers of a run: read from the database once, made for what has no row there."""

from collections.abc import Sequence

import numpy as np
from sqlalchemy.orm import Session

from service.papers.embedding import Vectors
from service.papers.embedding.phrases import PhraseVectors
from service.papers.embedding.store import load_vectors, paper_text
from service.ranking.dense import Meanings
from service.ranking.values import Candidate

MOST_UNKNOWN = 50_000  # ids without a vector that are not asked for again


class RunVectors:
    """Vectors by paper id, kept while a run lasts: windows overlap."""

    def __init__(self, phrases: PhraseVectors) -> None:
        """Take the model's vectors of short texts; those of papers are read when first asked for."""
        self._phrases = phrases
        self._known: dict[str, Vectors] = {}
        self._without: set[str] = set()

    def load(self, session: Session, papers: Sequence[Candidate], items: Sequence[Candidate]) -> Meanings:
        """Give the vectors of ``papers`` as far as they are there, and of ``items`` of libraries.

        Papers that have none yet are compared by words until the background work has come to them. Items are
        no papers of ours: theirs are kept by their text among the phrases'.
        """
        wanted = [one.id for one in papers if one.id not in self._known and one.id not in self._without]
        found, rows = load_vectors(session, wanted, self._phrases.model)
        self._known.update(zip(found, rows, strict=True))
        if len(self._without) < MOST_UNKNOWN:
            self._without.update(set(wanted).difference(found))
        ids = [one.id for one in papers if one.id in self._known]
        vectors = [self._known[id_] for id_ in ids]
        texts = [paper_text(title=one.title, abstract=one.abstract, summary=one.summary) for one in items]
        if texts:
            ids += [one.id for one in items]
            vectors += list(self._phrases.of(texts))
        empty = np.empty((0, 0), np.float32)
        return Meanings(ids=ids, rows=np.array(vectors) if vectors else empty, phrases=self._phrases.of)
