"""What was read out of texts is found again, and damage to it costs nothing but time."""

from pathlib import Path

import numpy as np
import pytest

from service.papers.vectors import FILE_NAME, load_vectors, save_vectors
from service.ranking.corpus import Corpus
from service.ranking.tokens import TokenStore, fingerprint
from service.ranking.values import Candidate

PAPERS = [
    Candidate(id="2601.00001", title="Owls at night", abstract="Übung macht den Meister", keywords=("owl",)),
    Candidate(id="2601.00002", title="", authors=("Ada Lark",)),
]


def test_kept_tokens_are_found_again(tmp_path: Path) -> None:
    store = TokenStore()
    built = Corpus.build(PAPERS, vectors=store)
    save_vectors(store, tmp_path / "new")
    again = load_vectors(tmp_path / "new")
    assert again.numbers == store.numbers
    rebuilt = Corpus.build(PAPERS, vectors=again)
    assert not again.is_changed
    assert rebuilt.words == built.words
    assert np.array_equal(rebuilt.run, built.run)
    assert [path.name for path in (tmp_path / "new").iterdir()] == [FILE_NAME]


def test_nothing_new_nothing_written(tmp_path: Path) -> None:
    save_vectors(TokenStore(), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_another_text_has_another_fingerprint() -> None:
    seen = {fingerprint(one) for one in PAPERS}
    seen.add(fingerprint(Candidate(id="2601.00001", title="Owls at", abstract="night")))
    seen.add(fingerprint(Candidate(id="2601.00001", title="Owls at night")))
    seen.add(fingerprint(Candidate(id="2601.00001", title="", keywords=("Owls at night",))))
    assert len(seen) == 5


@pytest.mark.parametrize("damage", ["empty", "cut", "noise", "flipped", "version", "other"])
def test_a_damaged_file_is_ignored_and_made_anew(tmp_path: Path, damage: str) -> None:
    store = TokenStore()
    expected = Corpus.build(PAPERS, vectors=store)
    save_vectors(store, tmp_path)
    path = tmp_path / FILE_NAME
    whole = path.read_bytes()
    if damage in {"version", "other"}:
        with np.load(path) as kept:
            arrays = dict(kept)
        arrays |= {"version": np.array(-1)} if damage == "version" else {"tokens": arrays["tokens"] + 99}
        np.savez(path, **arrays)
    else:
        half = len(whole) // 2
        flipped = whole[:half] + bytes([whole[half] ^ 255]) + whole[half + 1 :]
        path.write_bytes({"empty": b"", "cut": whole[:half], "noise": b"no zip", "flipped": flipped}[damage])
    found = load_vectors(tmp_path)
    assert found.runs == {}
    assert np.array_equal(Corpus.build(PAPERS, vectors=found).run, expected.run)
    save_vectors(found, tmp_path)
    assert len(load_vectors(tmp_path).runs) == len(PAPERS)
