"""Keeps what ranking reads out of papers' texts in the data folder, so that it is read out once.

The file is a convenience: where it is missing, damaged or of another version, everything is read anew.
"""

import os
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import structlog

from service.folders import make_folder
from service.ranking.tokens import TOKENS_VERSION, TokenStore

FILE_NAME = "tokens.npz"
MOST_PAPERS = 50_000  # beyond it, only what the present run used is kept
KEY_BYTES = 16

log = structlog.get_logger()


def load_vectors(folder: Path) -> TokenStore:
    """Load the kept tokens of ``folder``; an empty store where there is nothing usable."""
    path = folder / FILE_NAME
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as kept:
            return _store(kept)
    except FileNotFoundError:
        return TokenStore()
    except (OSError, ValueError, KeyError, IndexError, EOFError, zipfile.BadZipFile, NotImplementedError):
        log.warning("kept_tokens_ignored", file=FILE_NAME)
        return TokenStore()


def save_vectors(store: TokenStore, folder: Path) -> None:
    """Keep ``store`` in ``folder`` if it met new papers. Readers see the old file or the new one, whole.

    Raises:
        OSError: the folder can't be written.
    """
    if not store.is_changed:
        return
    runs = store.runs
    if len(runs) > MOST_PAPERS:
        runs = {key: run for key, run in runs.items() if key in store.used}
    make_folder(folder)
    descriptor, name = tempfile.mkstemp(dir=folder, prefix=FILE_NAME, suffix=".new")
    try:
        with os.fdopen(descriptor, "wb") as file:
            np.savez(
                file,
                version=np.array(TOKENS_VERSION),
                words=np.frombuffer("\n".join(store.numbers).encode(), np.uint8),
                keys=np.frombuffer(b"".join(runs), np.uint8),
                sizes=np.array([len(run) for run in runs.values()], np.int64),
                tokens=np.concatenate(list(runs.values())),
            )
        Path(name).replace(folder / FILE_NAME)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    store.is_changed = False


def _store(kept: np.lib.npyio.NpzFile) -> TokenStore:
    """Check and take apart a loaded file.

    Raises:
        ValueError: another version, or parts that don't fit together.
    """
    if int(kept["version"]) != TOKENS_VERSION:
        raise ValueError("another version")
    words = kept["words"].tobytes().decode().split("\n")
    keys, sizes, tokens = kept["keys"].tobytes(), kept["sizes"], kept["tokens"]
    fits = len(keys) == KEY_BYTES * len(sizes) and tokens.dtype == np.int32 and sizes.sum() == len(tokens)
    if not fits or len(set(words)) != len(words) or tokens.max(initial=0) >= len(words):
        raise ValueError("parts that don't fit together")
    runs = np.split(tokens, np.cumsum(sizes)[:-1])
    names = (keys[start : start + KEY_BYTES] for start in range(0, len(keys), KEY_BYTES))
    return TokenStore(
        numbers={word: number for number, word in enumerate(words)}, runs=dict(zip(names, runs, strict=True))
    )
