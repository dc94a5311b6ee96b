"""A digest knows what papers mean where vectors are there, and goes by words where they are not."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from service.config import Settings
from service.database import Database
from service.digests.planning import plan_due
from service.keys import Keyring
from service.papers.embedding import Vectors
from service.papers.embedding.phrases import PhraseVectors
from service.papers.embedding.store import embed_missing
from tests import digest_world as world

FRIDAY = datetime(2026, 2, 13, tzinfo=UTC)
HOUR = timedelta(hours=1)
WORD = world.WORDS[1]  # of the first reader's interest


class Synonyms:
    """A model for which one other word means the same as the reader's."""

    model = "synonyms-1"
    dimensions = 3

    def __init__(self) -> None:
        self.asked: list[str] = []

    def embed(self, texts: Sequence[str]) -> Vectors:
        self.asked += texts
        rows = [
            [1.0, 0.0, 0.1] if "puppets" in text.lower() or text == WORD else [0.0, 1.0, len(text) % 7 / 50]
            for text in texts
        ]
        vectors = np.array(rows, np.float32)
        unit: Vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        return unit


def reasons_for(database: Database, paper: str) -> list[str]:
    (digest,) = world.digests(database)
    return [line for item in digest.selection if item["paper"] == paper for line in item["reasons"]]


def stock(database: Database, keyring: Keyring) -> str:
    """Papers of this morning, one of them of the reader's subject in other words."""
    world.add_papers(database, FRIDAY + 6 * HOUR, 20, title="Owls in the woods", abstract="They sing.")
    (paper,) = world.add_papers(
        database, FRIDAY + 6 * HOUR, 1, prefix="2602.9", title="On puppets", abstract="They act."
    )
    world.note_run(database, FRIDAY + 7 * HOUR)
    world.note_tick(database, FRIDAY)
    world.add_people(database, [world.a_person(1, keyring)])
    return paper


def test_a_paper_in_other_words_is_found_by_its_vector(
    database: Database, settings: Settings, keyring: Keyring, tmp_path: Path
) -> None:
    paper, model = stock(database, keyring), Synonyms()
    embed_missing(database, model)
    made = len(model.asked)
    plan_due(database, FRIDAY + 8 * HOUR, settings=settings, phrases=PhraseVectors(model, tmp_path))
    assert f"matches '{WORD.title()}': close in meaning to '{WORD}'" in reasons_for(database, paper)
    assert model.asked[made:] == [WORD]  # nothing but the phrase, once: papers have theirs


def test_papers_not_embedded_yet_and_no_model_leave_it_at_words(
    database: Database, settings: Settings, keyring: Keyring, tmp_path: Path
) -> None:
    stock(database, keyring)
    plan_due(database, FRIDAY + 8 * HOUR, settings=settings, phrases=PhraseVectors(Synonyms(), tmp_path))
    (digest,) = world.digests(database)
    assert digest.selection
    assert not any("close in meaning" in line for item in digest.selection for line in item["reasons"])


def test_without_the_extra_a_digest_is_made_of_words(
    database: Database, settings: Settings, keyring: Keyring
) -> None:
    stock(database, keyring)
    plan_due(database, FRIDAY + 8 * HOUR, settings=settings)
    (digest,) = world.digests(database)
    assert digest.selection
    assert not any("close in meaning" in line for item in digest.selection for line in item["reasons"])
