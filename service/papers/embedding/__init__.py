"""Dense vectors of texts, where the extra ``embeddings`` is installed. All else works without them."""

import structlog

from service.config import Settings
from service.papers.embedding.embedder import Embedder, EmbedderUnavailable, Vectors
from service.papers.embedding.minilm import MiniLm

__all__ = ["Embedder", "EmbedderUnavailable", "Vectors", "find_embedder", "open_embedder"]

log = structlog.get_logger()


def open_embedder(settings: Settings) -> Embedder | None:
    """Open the model; None, and a line in the log that says why, where there is none to open."""
    try:
        return find_embedder(settings)
    except EmbedderUnavailable as error:
        log.info("embeddings_unavailable", reason=str(error))
        return None


def find_embedder(settings: Settings) -> Embedder:
    """Open the model. Cheap: its weights are read when the first text is embedded.

    Raises:
        EmbedderUnavailable: it is turned off, not installed or damaged.
    """
    if settings.embeddings == "off":
        raise EmbedderUnavailable("PAPERLARK_EMBEDDINGS is off")
    return MiniLm(threads=settings.embedding_threads)
