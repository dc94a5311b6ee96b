"""Brings papers from the sources to the shelf, and records how each source fared.

Answers are fetched one by one, with no transaction open, and stored in transactions of a few hundred papers.
"""

import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date, datetime, timedelta
from typing import Any, Literal

import structlog
from sqlalchemy import exists, select

from service.database import Database
from service.papers.sources import (
    Answer,
    Malformed,
    Parsed,
    Resumable,
    Source,
    SourceUnavailable,
    UnusableAnswer,
)
from service.papers.storing import DEMO, batches, store
from service.papers.tables import PaperRow, SourceRunRow
from service.progress import Progress, no_progress

Outcome = Literal["ok", "quiet", "partial", "failed"]

MALFORMED_LOGGED = 20  # of one run; all are counted
KEYS_KEPT = 30
log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceReport:
    """How one source fared in one run.

    "quiet": it answered, and there was nothing we did not have. "partial": some of its answers could not be
    had or used. Malformed items alone are no failure, unless all are. ``paper_count`` counts the papers it
    named, ``new_count`` and ``observation_count`` what was not known before.
    """

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
    """Fetch, parse and store what ``sources`` know at ``now``; one report each.

    A source that fails is reported and recorded, and stops no other. When all fail and there is no paper but
    those of the demo, ``fallback`` is asked too, so that a first look has something to show. Running it
    twice, or twice at once, does no harm.
    """
    reports = [_collect_one(database, source, now, progress) for source in sources]
    if fallback is not None and all(report.outcome == "failed" for report in reports):
        with database.reading() as session:
            has_papers = session.scalar(select(exists().where(PaperRow.source != DEMO)))
        if not has_papers:
            reports.append(_collect_one(database, fallback, now, progress))
    return reports


def _collect_one(database: Database, source: Source, now: datetime, progress: Progress) -> SourceReport:
    began = time.monotonic()  # a duration, not an hour: a replay of the past takes time as well
    run = _Run(source.name)
    for answer, parsed in _read_all(database, source, now, run):
        for batch in batches(parsed.papers, parsed.observations):
            with database.transaction() as session:
                stored = store(session, batch, answer.observed_at)
            run.new_count += stored.papers
            run.observation_count += stored.observations
            run.note_papers((paper.id, paper.listed_on) for paper in batch.papers)
            progress(len(run.paper_ids), None, f"papers from {source.name}")
    report = run.report()
    _record(database, report, run, now, now + timedelta(seconds=time.monotonic() - began))
    return report


def _read_all(
    database: Database, source: Source, now: datetime, run: "_Run"
) -> Iterator[tuple[Answer, Parsed]]:
    """Fetch and parse; whatever goes wrong with the source ends in ``run``, not in the caller."""
    answers: Iterator[Answer] | None = None
    while True:
        try:
            answers = _answers(database, source, now, run) if answers is None else answers
            answer = next(answers)
            parsed = run.take(answer, source)
        except StopIteration:
            return
        except SourceUnavailable as error:
            run.give_up(str(error))
            return
        except Exception as error:
            # A source is other people's data and our reading of it: neither may stop the others.
            log.exception("papers.source_crashed", source=source.name)
            run.give_up(f"could not be read: {type(error).__name__}")
            return
        if parsed is not None:
            yield answer, parsed


def _answers(database: Database, source: Source, now: datetime, run: "_Run") -> Iterator[Answer]:
    """Fetch; from sources that can resume only what the last complete run over the same has not read."""
    if not isinstance(source, Resumable):
        return source.fetch(now)
    run.mark = source.mark()
    run.through = now
    with database.reading() as session:
        newest_first = select(SourceRunRow.details).where(SourceRunRow.source == source.name)
        details: Mapping[str, Any]
        for details in session.scalars(newest_first.order_by(SourceRunRow.id.desc()).limit(20)):
            if details.get("mark") == run.mark and details.get("through"):
                since = datetime.fromisoformat(details["through"])
                run.through = max(since, now)
                return source.fetch_after(since, now)
    return source.fetch(now)


@dataclass(slots=True)
class _Run:
    """What happened in one run over one source, as it goes."""

    source: str
    paper_ids: set[str] = field(default_factory=set)
    new_count: int = 0
    observation_count: int = 0
    malformed_count: int = 0
    newest_listed_on: date | None = None
    usable_count: int = 0
    unusable: list[str] = field(default_factory=list)
    gave_up: str | None = None
    unknown_keys: Counter[str] = field(default_factory=Counter)
    mark: str | None = None
    through: datetime | None = None

    def take(self, answer: Answer, source: Source) -> Parsed | None:
        """Parse an answer and count what it holds; None if it is of no use."""
        reason = answer.failure
        try:
            parsed = None if reason else source.parse(answer)
        except UnusableAnswer as error:
            parsed, reason = None, str(error)
        if parsed is None:
            log.warning("papers.answer_unusable", source=self.source, origin=answer.origin, reason=reason)
            self.unusable.append(f"{answer.origin}: {reason}")
            return None
        self.usable_count += 1
        self.unknown_keys.update(parsed.unknown_keys)
        for item in parsed.malformed:
            self._note_malformed(answer, item)
        return parsed

    def _note_malformed(self, answer: Answer, item: Malformed) -> None:
        self.malformed_count += 1
        if self.malformed_count <= MALFORMED_LOGGED:
            log.warning(
                "papers.item_malformed",
                source=self.source,
                origin=answer.origin,
                position=item.position,
                reason=item.reason,
            )

    def note_papers(self, papers: Iterator[tuple[str, date | None]]) -> None:
        """Remember which papers were named and the newest list day."""
        for id_, listed_on in papers:
            self.paper_ids.add(id_)
            if listed_on is not None and (self.newest_listed_on is None or listed_on > self.newest_listed_on):
                self.newest_listed_on = listed_on

    def give_up(self, reason: str) -> None:
        """End the run before the source had told all."""
        log.warning("papers.source_given_up", source=self.source, reason=reason)
        self.gave_up = reason

    def report(self) -> SourceReport:
        """Judge the run."""
        outcome = self._outcome()
        return SourceReport(
            source=self.source,
            outcome=outcome,
            paper_count=len(self.paper_ids),
            new_count=self.new_count,
            observation_count=self.observation_count,
            malformed_count=self.malformed_count,
            newest_listed_on=self.newest_listed_on,
            message=self._message(outcome),
        )

    def _outcome(self) -> Outcome:
        troubled = self.gave_up is not None or bool(self.unusable)
        if (troubled and not self.usable_count) or (self.malformed_count and not self.paper_ids):
            return "failed"
        if troubled:
            return "partial"
        return "ok" if self.new_count or self.observation_count else "quiet"

    def _message(self, outcome: Outcome) -> str | None:
        said = [self.gave_up] if self.gave_up else []
        if self.unusable:
            more = f" (and {len(self.unusable) - 1} more answers)" if len(self.unusable) > 1 else ""
            said.append(f"{self.unusable[0]}{more}")
        if self.malformed_count:
            items = "1 item" if self.malformed_count == 1 else f"{self.malformed_count} items"
            said.append(f"{items} could not be read")
        if outcome == "quiet" and not said:
            said.append("nothing new")
        return "; ".join(said) or None

    def details(self) -> dict[str, Any]:
        """Give what later runs and operators may want to know."""
        details: dict[str, Any] = {}
        if self.unusable:
            details["unusable"] = self.unusable[:KEYS_KEPT]
        if self.unknown_keys:
            details["unknown_keys"] = dict(self.unknown_keys.most_common(KEYS_KEPT))
        if self.mark and self.through and self.gave_up is None:
            details |= {"mark": self.mark, "through": self.through.isoformat()}
        return details


def _record(
    database: Database, report: SourceReport, run: _Run, started_at: datetime, finished_at: datetime
) -> None:
    if run.unknown_keys:
        # Ignored, but the first sign that a source's contract is changing.
        keys = dict(run.unknown_keys.most_common(KEYS_KEPT))
        log.info("papers.unknown_keys", source=run.source, keys=keys)
    with database.transaction() as session:
        session.add(
            SourceRunRow(
                **asdict(report), started_at=started_at, finished_at=finished_at, details=run.details()
            )
        )
