"""The real model, where the extra is installed; and what is said where it is not, or is not what we know."""

import importlib.util
import json
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from structlog.testing import capture_logs

from service.config import Settings
from service.papers.embedding import EmbedderUnavailable, Vectors, find_embedder, open_embedder
from service.papers.embedding.minilm import VOCABULARY, WEIGHTS, MiniLm
from service.papers.embedding.phrases import FILE_NAME, PhraseVectors

ROOT = Path(__file__).parents[3]
PACKAGES = ("onnxruntime", WEIGHTS[0], VOCABULARY[0])


@pytest.fixture(scope="module")
def model() -> MiniLm:
    if absent := [name for name in PACKAGES if importlib.util.find_spec(name) is None]:
        pytest.skip(f"the extra embeddings is not installed ({', '.join(absent)}): the model is NOT tested")
    return MiniLm(threads=1)


def test_pieces_are_those_of_the_models_own_tokenizer(model: MiniLm) -> None:
    # From the reference implementation over the same vocabulary.
    text = "LoRA fine-tuning für Müller's Σχῆμα 中文: 3.5% ①"
    assert model._words.numbers(text, 128) == [
        101, 8840, 2527, 2986, 1011, 17372, 6519, 12304, 1005, 1055, 1173, 29737, 24824, 29728, 14608, 1746,
        1861, 1024, 1017, 1012, 1019, 1003, 100, 102,
    ]  # fmt: skip


def test_vectors_have_length_one_and_do_not_depend_on_their_company(model: MiniLm) -> None:
    texts = ["Larks.", "Video diffusion models with sparse attention. " * 20, "", "RAG"]
    together = model.embed(texts)

    assert (together.shape, together.dtype) == ((4, model.dimensions), np.dtype(np.float32))
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, atol=1e-5)
    alone = np.vstack([model.embed([text]) for text in texts])
    np.testing.assert_allclose((together * alone).sum(axis=1), 1, atol=1e-5)
    assert model.embed([]).shape == (0, model.dimensions)


def test_no_code_of_the_packages_that_carry_the_files_is_run(model: MiniLm) -> None:
    model.embed(["larks"])
    assert not {VOCABULARY[0], WEIGHTS[0], "tokenizers", "huggingface_hub"}.intersection(sys.modules)


def test_meaning_is_nearer_than_words(model: MiniLm) -> None:
    question, meant, same_word = model.embed(
        [
            "shrinking neural networks for phones",
            "Compressing deep models to run on mobile devices",
            "Networks of mobile phones in rural areas",
        ]
    )
    assert question @ meant > question @ same_word


def test_words_after_the_first_128_pieces_do_not_count(model: MiniLm) -> None:
    head = "attention " * 126
    one, other = model.embed([head + "larks", head + "volcanoes"])
    assert one @ other == pytest.approx(1, abs=1e-6)


def test_threads_share_one_model(model: MiniLm) -> None:
    found: list[Vectors] = []
    threads = [threading.Thread(target=lambda: found.append(model.embed(["larks"]))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4
    assert all(np.array_equal(each, found[0]) for each in found)


def test_other_weights_are_refused(model: MiniLm, tmp_path: Path) -> None:
    tampered = bytearray(model._weights.read_bytes())
    tampered[-1] ^= 1
    (tmp_path / "model.onnx").write_bytes(tampered)
    with pytest.raises(EmbedderUnavailable, match=r"model\.onnx is not the model we know"):
        MiniLm(weights=tmp_path / "model.onnx")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("not json", "holds no vocabulary"),
        ("[]", "holds no vocabulary"),
        ('{"model": {"vocab": {"[UNK]": 0, "lark": 1}}}', "is not the vocabulary we know"),
        ('{"model": {"vocab": {"[UNK]": "x", "lark": 1}}}', "holds no vocabulary"),
        (None, "can't be read"),
    ],
)
def test_another_vocabulary_is_refused(model: MiniLm, tmp_path: Path, content: str | None, said: str) -> None:
    if content is not None:
        (tmp_path / "tokenizer.json").write_text(content)
    with pytest.raises(EmbedderUnavailable, match=said):
        MiniLm(vocabulary=tmp_path / "tokenizer.json")


def test_numbers_out_of_order_are_refused(model: MiniLm, tmp_path: Path) -> None:
    words = {"b": 1, "a": 0}
    (tmp_path / "tokenizer.json").write_text(json.dumps({"model": {"vocab": words}}))
    with pytest.raises(EmbedderUnavailable, match="is not the vocabulary we know"):
        MiniLm(vocabulary=tmp_path / "tokenizer.json")


def test_turned_off_there_is_none_and_the_log_says_why(settings: Settings) -> None:
    off = settings.model_copy(update={"embeddings": "off"})
    with capture_logs() as lines:
        assert open_embedder(off) is None
    assert [(line["event"], line["reason"]) for line in lines] == [
        ("embeddings_unavailable", "PAPERLARK_EMBEDDINGS is off")
    ]
    with pytest.raises(EmbedderUnavailable):
        find_embedder(off)


def test_without_the_extra_there_is_none_and_the_log_says_what_to_install(tmp_path: Path) -> None:
    # A process of its own that can't find the packages, as where they are not installed.
    program = f"""
import importlib.machinery, sys
class Hidden(importlib.machinery.PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        if name.partition(".")[0] in {PACKAGES!r}:
            return None
        return super().find_spec(name, path, target)
sys.meta_path[:] = [Hidden if one is importlib.machinery.PathFinder else one for one in sys.meta_path]
from service.bootstrap import open_parts
from service.config import Settings
parts = open_parts(Settings(data_dir={str(tmp_path)!r}, sources="demo"))
print(parts.embedder, parts.phrase_vectors)
import workers.tasks
"""
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, timeout=60, check=False
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.splitlines()[-1] == "None None"
    assert (
        "onnxruntime is not installed; install Paperlark with its extra embeddings" in ran.stdout + ran.stderr
    )


# -- phrases -------------------------------------------------------------------------------------------


class CountingEmbedder:
    """Gives each text a direction of its own, and remembers what it was asked."""

    dimensions = 8

    def __init__(self, model: str = "counting-1") -> None:
        self.model = model
        self.asked: list[str] = []

    def embed(self, texts: Sequence[str]) -> Vectors:
        self.asked.extend(texts)
        rows = [np.random.default_rng(list(text.encode())).normal(size=self.dimensions) for text in texts]
        made: Vectors = np.array([row / np.linalg.norm(row) for row in rows], np.float32)
        return made


def test_a_phrase_is_embedded_once_whatever_its_case_and_spacing(tmp_path: Path) -> None:
    embedder = CountingEmbedder()
    phrases = PhraseVectors(embedder, tmp_path)

    first = phrases.of(["Video  diffusion", "larks", "video diffusion"])
    again = phrases.of(["LARKS"])

    assert embedder.asked == ["video diffusion", "larks"]
    assert (first.shape, first.dtype) == ((3, 8), np.dtype(np.float32))
    np.testing.assert_array_equal(first[0], first[2])
    np.testing.assert_array_equal(first[1], again[0])
    np.testing.assert_allclose(first[1], CountingEmbedder().embed(["larks"])[0], atol=1e-3)
    assert phrases.of([]).shape == (0, 8)


def test_the_next_process_finds_them_in_the_folder(tmp_path: Path) -> None:
    made = PhraseVectors(CountingEmbedder(), tmp_path).of(["larks", "owls"])
    embedder = CountingEmbedder()
    found = PhraseVectors(embedder, tmp_path).of(["owls", "larks"])

    assert embedder.asked == []
    np.testing.assert_array_equal(found, made[::-1])


def test_another_model_shares_nothing(tmp_path: Path) -> None:
    PhraseVectors(CountingEmbedder(), tmp_path).of(["larks"])
    embedder = CountingEmbedder("counting-2")
    PhraseVectors(embedder, tmp_path).of(["larks"])
    assert embedder.asked == ["larks"]


def test_the_file_holds_no_texts(tmp_path: Path) -> None:
    PhraseVectors(CountingEmbedder(), tmp_path).of(["a phrase somebody wrote"])
    assert b"somebody" not in (tmp_path / FILE_NAME).read_bytes()


@pytest.mark.parametrize(
    "content", [b"no database at all, but long enough to look at" * 40, b"SQLite format 3\0"]
)
def test_a_damaged_file_is_replaced_and_stops_nobody(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE_NAME).write_bytes(content)
    embedder = CountingEmbedder()
    with capture_logs() as lines:
        PhraseVectors(embedder, tmp_path).of(["larks"])
    assert embedder.asked == ["larks"]
    assert {line["event"] for line in lines} == {"phrase_vectors_ignored"}

    PhraseVectors(embedder, tmp_path).of(["larks"])
    PhraseVectors(embedder, tmp_path).of(["larks"])
    assert embedder.asked.count("larks") <= 2


def test_a_vector_of_the_wrong_size_is_made_anew(tmp_path: Path) -> None:
    PhraseVectors(CountingEmbedder(), tmp_path).of(["larks"])
    file = sqlite3.connect(tmp_path / FILE_NAME)
    with file:
        file.execute("UPDATE vectors SET vector = x'00'")
    file.close()
    embedder = CountingEmbedder()
    assert PhraseVectors(embedder, tmp_path).of(["larks"]).shape == (1, 8)
    assert embedder.asked == ["larks"]


def test_a_folder_that_cannot_be_written_only_costs_time(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file where the folder should be")
    embedder = CountingEmbedder()
    phrases = PhraseVectors(embedder, tmp_path / "data")
    assert phrases.of(["larks"]).shape == phrases.of(["larks"]).shape == (1, 8)
    assert embedder.asked == ["larks"]
