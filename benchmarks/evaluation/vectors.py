"""Dense vectors of the evaluation's texts, kept between runs: a whole archive takes minutes."""

import os
import tempfile
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path

import numpy as np

from service.papers.embedding import Embedder, Vectors
from service.progress import Progress, no_progress

CHUNK = 256  # texts between two words of progress
SAVED_AT_ONCE = 2_048


def cache_folder() -> Path:
    """Give the folder for what is dear to compute: never in the repository."""
    data = os.environ.get("PAPERLARK_DATA_DIR")
    return (Path(data) if data else Path(tempfile.gettempdir()) / "paperlark") / "evaluation"


class KeptVectors:
    """An embedder that remembers, in memory and in a file named by the model."""

    def __init__(self, embedder: Embedder, folder: Path, progress: Progress = no_progress) -> None:
        self._embedder = embedder
        self._path = folder / f"{embedder.model}.npz"
        self._progress = progress
        self._known: dict[str, Vectors] = {}
        self._unsaved = 0
        if self._path.is_file():
            with np.load(self._path, allow_pickle=False) as kept:
                self._known = dict(zip(kept["keys"].tolist(), kept["vectors"], strict=True))

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return one row for each text; those met before are not computed again."""
        keys = [sha256(text.encode()).hexdigest()[:32] for text in texts]
        new = list(
            {key: text for key, text in zip(keys, texts, strict=True) if key not in self._known}.items()
        )
        for start in range(0, len(new), CHUNK):
            self._progress(start, len(new), "embedding texts")
            chunk = new[start : start + CHUNK]
            vectors = self._embedder.embed([text for _, text in chunk])
            self._known.update(zip((key for key, _ in chunk), vectors, strict=True))
            self._unsaved += len(chunk)
            if self._unsaved >= SAVED_AT_ONCE or (start + CHUNK >= len(new) and len(new) > CHUNK):
                self._save()
        return np.array([self._known[key] for key in keys], np.float32)

    def _save(self) -> None:
        self._unsaved = 0
        self._path.parent.mkdir(parents=True, exist_ok=True)
        partial = self._path.with_suffix(f".{os.getpid()}.npz")  # another run may save at the same time
        np.savez(partial, keys=np.array(list(self._known)), vectors=np.array(list(self._known.values())))
        partial.replace(self._path)
