"""What turns texts into vectors, as the rest of the system sees it."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import numpy.typing as npt

Vectors = npt.NDArray[np.float32]
"""Shape (texts, dimensions); each row has length 1, so that a product of rows is their cosine."""


class Embedder(Protocol):
    """Turns texts into vectors that lie close where the texts mean the same.

    Vectors of different ``model`` can't be compared. The same text always gives the same vector, but for
    the last digits.
    """

    @property
    def model(self) -> str:
        """Name and version, at most 64 characters; another one as soon as any vector would differ."""

    @property
    def dimensions(self) -> int:
        """Numbers in a vector."""

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return one row for each text, in their order; an empty text has one as well."""


class EmbedderUnavailable(Exception):
    """The model can't be used here; the message says why and what to do."""
