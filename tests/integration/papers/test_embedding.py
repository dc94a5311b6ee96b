"""Vectors of papers are made once, made anew when text or model changes, and kept by chunks."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from service.bell import RecordingBell
from service.bootstrap import Parts
from service.clock import SettableClock
from service.config import Settings
from service.database import Database
from service.keys import Keyring
from service.papers.embedding import Vectors
from service.papers.embedding.store import (
    CHUNK,
    count_vectors,
    embed_missing,
    forget_others,
    load_vectors,
    missing,
)
from service.papers.paper import Observation, Paper
from service.papers.storing import batches, store
from workers.desk import OpenedDesk
from workers.tasks import collect_papers, embed_papers

NOW = datetime(2026, 2, 13, 8, tzinfo=UTC)


class FakeEmbedder:
    """Counts letters, and remembers what it was asked; ``meanwhile`` is called before each answer."""

    dimensions = 4

    def __init__(self, model: str = "letters-1", meanwhile: Callable[[], object] = lambda: None) -> None:
        self.model = model
        self.meanwhile = meanwhile
        self.asked: list[str] = []

    def embed(self, texts: Sequence[str]) -> Vectors:
        self.asked.extend(texts)
        self.meanwhile()
        counts = [[1.0 + text.count(letter) for letter in "aeio"] for text in texts]
        rows = np.array(counts, np.float32).reshape(len(texts), self.dimensions)
        made: Vectors = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        return made


def a_paper(number: int = 1, **fields: str) -> Paper:
    return Paper(**{"id": f"2602.{number:05d}", "title": f"Larks {number}", "source": "fake", **fields})


def put(database: Database, *papers: Paper, at: datetime = NOW) -> None:
    for batch in batches(
        papers, [Observation(paper_id=one.id, source="fake", observed_at=at) for one in papers]
    ):
        with database.transaction() as session:
            store(session, batch, at)


def is_missing(database: Database, embedder: FakeEmbedder, limit: int | None = None) -> list[str]:
    with database.reading() as session:
        return missing(session, embedder.model, limit)


@pytest.fixture
def embedder() -> FakeEmbedder:
    return FakeEmbedder()


def test_each_paper_is_embedded_once_and_found_again(database: Database, embedder: FakeEmbedder) -> None:
    put(database, a_paper(1, abstract="On singing."), a_paper(2, summary="Short."), a_paper(3))

    assert embed_missing(database, embedder) == 3
    assert embed_missing(database, embedder) == 0

    assert sorted(embedder.asked) == ["Larks 1. On singing.", "Larks 2. Short.", "Larks 3."]
    with database.reading() as session:
        ids, vectors = load_vectors(
            session, ["2602.00003", "unknown", "2602.00001", "2602.00003"], "letters-1"
        )
    assert ids == ["2602.00003", "2602.00001"]
    assert vectors.dtype == np.float32
    expected = FakeEmbedder().embed(["Larks 3.", "Larks 1. On singing."])
    np.testing.assert_allclose(vectors, expected, atol=1e-3)


def test_the_newest_papers_come_first(database: Database, embedder: FakeEmbedder) -> None:
    put(database, a_paper(1), at=NOW - timedelta(days=2))
    put(database, a_paper(2), at=NOW)
    put(database, a_paper(3), at=NOW - timedelta(days=1))

    assert is_missing(database, embedder) == ["2602.00002", "2602.00003", "2602.00001"]
    assert is_missing(database, embedder, limit=1) == ["2602.00002"]


def test_a_changed_text_is_embedded_anew_a_changed_count_is_not(
    database: Database, embedder: FakeEmbedder
) -> None:
    put(database, a_paper(1, abstract="Old."), a_paper(2, abstract="Stays."))
    embed_missing(database, embedder)

    put(database, a_paper(1, abstract="New."), a_paper(2, abstract="Stays."), at=NOW + timedelta(hours=1))

    assert is_missing(database, embedder) == ["2602.00001"]
    assert embed_missing(database, embedder) == 1
    assert embedder.asked[-1] == "Larks 1. New."
    with database.reading() as session:
        assert count_vectors(session) == {"letters-1": 2}


def test_an_abstract_that_comes_from_an_older_answer_is_noticed(
    database: Database, embedder: FakeEmbedder
) -> None:
    put(database, a_paper(1))
    embed_missing(database, embedder)
    put(database, a_paper(1, abstract="Known earlier."), at=NOW - timedelta(days=1))
    assert is_missing(database, embedder) == ["2602.00001"]


def test_another_model_embeds_all_and_the_vectors_of_the_first_can_be_forgotten(
    database: Database, embedder: FakeEmbedder
) -> None:
    put(database, a_paper(1), a_paper(2))
    embed_missing(database, embedder)
    other = FakeEmbedder("letters-2")

    with database.reading() as session:
        ids, vectors = load_vectors(session, ["2602.00001"], other.model)
    assert ids == []
    assert vectors.shape == (0, 0)
    assert embed_missing(database, other) == 2
    with database.transaction() as session:
        assert count_vectors(session) == {"letters-1": 2, "letters-2": 2}
        assert forget_others(session, other.model) == 2
        assert count_vectors(session) == {"letters-2": 2}


def test_long_work_tells_how_far_it_is_and_keeps_what_is_done_when_stopped(
    database: Database, embedder: FakeEmbedder
) -> None:
    put(database, *(a_paper(number) for number in range(2 * CHUNK + 1)))
    told: list[tuple[int, int | None, str]] = []

    count = embed_missing(
        database, embedder, progress=lambda *said: told.append(said), should_stop=lambda: len(told) == 1
    )
    assert count == CHUNK
    assert told == [(CHUNK, 2 * CHUNK + 1, "papers embedded")]

    assert embed_missing(database, embedder, progress=lambda *said: told.append(said)) == CHUNK + 1
    assert told[-1] == (CHUNK + 1, CHUNK + 1, "papers embedded")
    assert len(embedder.asked) == len(set(embedder.asked)) == 2 * CHUNK + 1


def test_two_at_it_share_the_work(database: Database) -> None:
    put(database, *(a_paper(number) for number in range(3 * CHUNK)))
    second = FakeEmbedder()
    # The second one comes while the first computes, so no transaction may be open then.
    first = FakeEmbedder(meanwhile=lambda: embed_missing(database, second))

    assert embed_missing(database, first) == CHUNK
    assert len(second.asked) == 3 * CHUNK
    assert is_missing(database, first) == []


def test_any_text_can_be_embedded(database: Database, embedder: FakeEmbedder) -> None:
    put(database, replace(a_paper(1), title="\ud7ff\U0010ffff 鳥 " * 500, abstract="x"))
    assert embed_missing(database, embedder) == 1
    assert embed_missing(database, embedder) == 0


# -- the task and the command --------------------------------------------------------------------------


class FakeParts(Parts):
    """Parts with an embedder that needs no model."""

    embedder = FakeEmbedder()  # type: ignore[assignment]


@pytest.fixture
def bell() -> RecordingBell:
    return RecordingBell()


@pytest.fixture
def desk(
    settings: Settings, sqlite_database: Database, keyring: Keyring, clock: SettableClock, bell: RecordingBell
) -> OpenedDesk:
    return OpenedDesk(
        FakeParts(settings=settings, database=sqlite_database, keyring=keyring, clock=clock, bell=bell)
    )


def test_after_a_collection_the_new_papers_are_embedded(desk: OpenedDesk, bell: RecordingBell) -> None:
    assert not collect_papers(desk)
    assert bell.rings == [("papers.embed",)]
    assert not embed_papers(desk)
    with desk.parts.database.reading() as session:
        assert missing(session, "letters-1") == []
        assert count_vectors(session)["letters-1"] > 0


def test_without_a_model_the_task_does_nothing(
    settings: Settings, sqlite_database: Database, keyring: Keyring, clock: SettableClock, bell: RecordingBell
) -> None:
    parts = Parts(settings=settings, database=sqlite_database, keyring=keyring, clock=clock, bell=bell)
    put(sqlite_database, a_paper(1))
    assert not embed_papers(OpenedDesk(parts))
    with sqlite_database.reading() as session:
        assert count_vectors(session) == {}


def embed_command(folder: Path, *arguments: str, embeddings: str) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ,
        "PAPERLARK_DATA_DIR": str(folder),
        "PAPERLARK_SOURCES": "demo",
        "PAPERLARK_EMBEDDINGS": embeddings,
    }
    command = [sys.executable, "-m", "service.cli", "embed", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120, check=False)


def test_the_command_says_what_is_lacking(tmp_path: Path) -> None:
    ran = embed_command(tmp_path, embeddings="off")
    assert ran.returncode == 1
    assert ran.stdout == ""
    assert "PAPERLARK_EMBEDDINGS is off" in ran.stderr


def test_the_command_embeds_with_the_real_model(sqlite_database: Database, tmp_path: Path) -> None:
    pytest.importorskip(
        "onnxruntime", reason="the extra embeddings is not installed: the model is NOT tested"
    )
    put(sqlite_database, a_paper(1, abstract="On singing."), a_paper(2))
    embed_missing(sqlite_database, FakeEmbedder())

    ran = embed_command(tmp_path, "--json", embeddings="auto")
    assert ran.returncode == 0, ran.stderr
    said = json.loads(ran.stdout)
    assert said == {
        "model": "all-MiniLM-L6-v2-int8-1",
        "embedded": 2,
        "forgotten": 0,
        "kept_by_model": {"all-MiniLM-L6-v2-int8-1": 2, "letters-1": 2},
    }
    with sqlite_database.reading() as session:
        ids, vectors = load_vectors(session, ["2602.00001", "2602.00002"], said["model"])
    assert len(ids) == 2
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-3)

    again = embed_command(tmp_path, "--forget-others", embeddings="auto")
    assert again.stdout.splitlines() == [
        "0 papers embedded by all-MiniLM-L6-v2-int8-1; 2 have their vector",
        "2 vectors of other models forgotten",
    ]
