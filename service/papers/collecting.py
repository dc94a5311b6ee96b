"""Brings papers from the sources to the shelf, and records how each source fared."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal

from service.database import Database
from service.papers.sources import Source
from service.progress import Progress, no_progress

Outcome = Literal["ok", "quiet", "partial", "failed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceReport:
    """How one source fared in one run. "quiet": it answered, and there was nothing we did not have."""

    source: str
    outcome: Outcome
    paper_count: int = 0
    new_count: int = 0
    observation_count: int = 0
    malformed_count: int = 0
    newest_listed_on: date | None = None
    message: str | None = None


def collect(
    database: Database,
    sources: Sequence[Source],
    now: datetime,
    *,
    fallback: Source | None = None,
    progress: Progress = no_progress,
) -> list[SourceReport]:
    """Fetch, parse and store what ``sources`` know at ``now``; one report each."""
    raise NotImplementedError
