"""Dense vectors for the papers of a file: made once for each text, and kept."""

from collections.abc import Sequence

import numpy as np

from service.config import Settings
from service.papers.embedding import Vectors, open_embedder
from service.papers.embedding.phrases import PhraseVectors
from service.papers.embedding.store import paper_text
from service.progress import Progress
from service.ranking.dense import Meanings
from service.ranking.values import Candidate

CHUNK = 64  # texts between two words of progress; what is made is kept


def open_meanings(settings: Settings, papers: Sequence[Candidate], progress: Progress) -> Meanings | None:
    """Give the vectors of ``papers`` and of phrases; None where there is no model.

    Made at some 50 papers a second, once for each text: they are kept in the data folder.
    """
    embedder = open_embedder(settings)
    if embedder is None:
        return None
    phrases = PhraseVectors(embedder, settings.data_dir)
    texts = [paper_text(title=one.title, abstract=one.abstract, summary=one.summary) for one in papers]
    rows: list[Vectors] = []
    for start in range(0, len(texts), CHUNK):
        progress(start, len(texts), "reading papers")
        rows.append(phrases.of(texts[start : start + CHUNK]))
    vectors = np.concatenate(rows) if rows else np.empty((0, embedder.dimensions), np.float32)
    return Meanings(ids=[one.id for one in papers], rows=vectors, phrases=phrases.of)
