"""Reads the recorded data: papers, what was seen of them, curated lists, libraries."""

import gzip
import json
import os
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from service.papers.reading import read_candidates, read_snapshots
from service.papers.trend import Sighting
from service.ranking.values import Candidate

VARIABLE = "PAPERLARK_TEST_DATA"


class NoRecordedData(Exception):
    """The recorded data is not on this machine; the message says where it was looked for."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A paper of a curated list."""

    id: str
    added: date | None  # None: not known
    heading: str


@dataclass(frozen=True, slots=True)
class Saved:
    """An item of somebody's library; ``paper`` has a title and an abstract only."""

    paper: Candidate
    added: date
    arxiv_id: str | None


@dataclass(frozen=True)
class Recorded:
    """The folder of recorded data; each part is read when first asked for."""

    folder: Path

    @cached_property
    def papers(self) -> dict[str, Candidate]:
        """Daily Papers by id, in the order of the archive."""
        path = self.folder / "hf_daily" / "papers.jsonl.gz"
        candidates, _, _ = read_candidates(path, datetime(2026, 12, 31, tzinfo=UTC))
        # The day of the archive's file is known where the item does not say it.
        listed = {id_: _day(item.get("list_date")) for id_, item in self.items.items()}
        return {one.id: replace(one, listed_on=one.listed_on or listed.get(one.id)) for one in candidates}

    @cached_property
    def items(self) -> dict[str, dict[str, Any]]:
        """The archive's own items by paper id."""
        return {item["paper"]["id"]: item for item in _lines(self.folder / "hf_daily" / "papers.jsonl.gz")}

    @cached_property
    def sightings(self) -> list[Sighting]:
        """What was seen of Daily Papers, oldest first."""
        seen, _ = read_snapshots(self.folder / "hf_daily" / "snapshots.jsonl.gz")
        return sorted(seen, key=lambda one: one.at)

    @cached_property
    def lists(self) -> dict[str, list[Listed]]:
        """Curated lists by repository, each in the order of adding; papers of the archive alone."""
        lists: dict[str, list[Listed]] = {}
        for one in _lines(self.folder / "topics" / "curated_lists.jsonl"):
            items = [
                Listed(item["id"], _day(item.get("added")), item.get("section") or "")
                for item in one["items"]
                if item["id"] in self.papers and self.papers[item["id"]].listed_on
            ]
            lists[one["list"]] = sorted(
                items, key=lambda item: (item.added or date.max, self.day(item.id), item.id)
            )
        return lists

    @cached_property
    def libraries(self) -> dict[str, list[Saved]]:
        """Libraries by person, in the order of adding; items without an abstract or a date are left out."""
        libraries: dict[str, list[Saved]] = defaultdict(list)
        for number, item in enumerate(_lines(self.folder / "libraries" / "zotero_users.jsonl.gz")):
            if not (item.get("abstract") and item.get("title") and item.get("added")):
                continue
            id_ = item.get("arxiv_id") or f"{item['user']}-{number}"
            paper = Candidate(id=id_, title=item["title"], abstract=item["abstract"])
            saved = Saved(paper, date.fromisoformat(item["added"][:10]), item.get("arxiv_id"))
            libraries[item["user"]].append(saved)
        return {user: sorted(items, key=lambda one: one.added) for user, items in libraries.items()}

    @cached_property
    def votes(self) -> dict[str, int]:
        """The last known votes of each paper."""
        return {one.id: one.upvotes for one in self.sightings if one.upvotes is not None}

    def day(self, id_: str) -> date:
        """Give the day a paper was listed; the earliest date where that is not known."""
        return self.papers[id_].listed_on or date.min


def open_recorded() -> Recorded:
    """Find the recorded data.

    Raises:
        NoRecordedData: it is not here.
    """
    given = os.environ.get(VARIABLE)
    folder = Path(given) if given else Path(__file__).parents[3] / "shared" / "data"
    if not (folder / "hf_daily" / "papers.jsonl.gz").is_file():
        raise NoRecordedData(f"no recorded data in {folder} (set {VARIABLE} to its folder)")
    return Recorded(folder)


def _day(text: str | None) -> date | None:
    return date.fromisoformat(text[:10]) if text else None


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    with gzip.open(path, "rt") if path.suffix == ".gz" else path.open() as file:
        for line in file:
            yield json.loads(line)
