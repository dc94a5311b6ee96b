"""Vectors of the short texts people write, computed once: kept in this process and in the data folder.

The file is a convenience: it may be deleted at any time, and where it can't be used all is computed anew. It
holds hashes and vectors, no texts and nobody's name.
"""

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import TypeVar

import numpy as np
import structlog

from service.folders import make_file, make_folder
from service.papers.embedding.embedder import Embedder, Vectors
from service.papers.embedding.store import KEPT_AS, text_hash

FILE_NAME = "phrase_vectors.sqlite3"
MOST_KEPT = 100_000  # in the file, about 90 MB; the oldest go
MOST_REMEMBERED = 20_000  # in the process, about 16 MB
KEYS_AT_ONCE = 500
WAIT_SECONDS = 5.0
DAMAGED = {sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT}

Result = TypeVar("Result")

log = structlog.get_logger()


class PhraseVectors:
    """Gives vectors of phrases; safe to use from several threads and processes over one folder."""

    def __init__(self, embedder: Embedder, folder: Path) -> None:
        """Take the model and the folder for the file; neither is touched before the first phrase."""
        self._embedder = embedder
        self._path = folder / FILE_NAME
        self._remembered: dict[bytes, bytes] = {}

    @property
    def model(self) -> str:
        """The model that makes the vectors."""
        return self._embedder.model

    def of(self, phrases: Sequence[str]) -> Vectors:
        """Return one row for each phrase, in their order. Case and spacing make no difference."""
        if not phrases:
            return np.empty((0, self._embedder.dimensions), np.float32)
        texts = {text_hash(text): text for text in map(_plain, phrases)}
        known = {key: self._remembered[key] for key in list(texts) if key in self._remembered}
        known |= self._read([key for key in texts if key not in known])
        if unknown := [key for key in texts if key not in known]:
            made = self._embedder.embed([texts[key] for key in unknown]).astype(KEPT_AS)
            added = {key: vector.tobytes() for key, vector in zip(unknown, made, strict=True)}
            self._write(added)
            known |= added
        self._remember(known)
        numbers = np.frombuffer(b"".join(known[text_hash(_plain(phrase))] for phrase in phrases), KEPT_AS)
        return numbers.reshape(len(phrases), self._embedder.dimensions).astype(np.float32)

    def _remember(self, known: Mapping[bytes, bytes]) -> None:
        # Replaced whole, never changed: other threads read it.
        together = {**self._remembered, **known}
        self._remembered = dict(islice(together.items(), max(len(together) - MOST_REMEMBERED, 0), None))

    def _read(self, keys: Sequence[bytes]) -> dict[bytes, bytes]:
        def read(file: sqlite3.Connection) -> dict[bytes, bytes]:
            found: dict[bytes, bytes] = {}
            for start in range(0, len(keys), KEYS_AT_ONCE):
                some = keys[start : start + KEYS_AT_ONCE]
                places = ",".join("?" * len(some))
                query = f"SELECT key, vector FROM vectors WHERE model = ? AND key IN ({places})"  # noqa: S608
                found.update(file.execute(query, (self.model, *some)).fetchall())
            return found

        found = self._use_file(read) if keys and self._path.exists() else None
        size = self._embedder.dimensions * KEPT_AS.itemsize
        return {key: vector for key, vector in (found or {}).items() if len(vector) == size}

    def _write(self, added: Mapping[bytes, bytes]) -> None:
        def write(file: sqlite3.Connection) -> None:
            rows = ((self.model, *item) for item in added.items())
            with file:
                file.executemany("INSERT OR REPLACE INTO vectors VALUES (?, ?, ?)", rows)
                oldest = "DELETE FROM vectors WHERE rowid <= (SELECT max(rowid) FROM vectors) - ?"
                file.execute(oldest, (MOST_KEPT,))

        self._use_file(write)

    def _use_file(self, work: Callable[[sqlite3.Connection], Result]) -> Result | None:
        """Open the file for one use; what goes wrong with it is logged, and None returned."""
        try:
            make_folder(self._path.parent)
            make_file(self._path)
            with closing(sqlite3.connect(self._path, timeout=WAIT_SECONDS)) as file:
                file.execute(
                    "CREATE TABLE IF NOT EXISTS vectors"
                    " (model TEXT NOT NULL, key BLOB NOT NULL, vector BLOB NOT NULL, UNIQUE (model, key))"
                )
                return work(file)
        except (sqlite3.Error, OSError) as error:
            log.warning("phrase_vectors_ignored", file=FILE_NAME, error=type(error).__name__)
            if getattr(error, "sqlite_errorcode", None) in DAMAGED:
                self._path.unlink(missing_ok=True)
            return None


def _plain(phrase: str) -> str:
    return " ".join(phrase.lower().split())
