"""Reads files a person hands over: candidates, snapshots. Names the lines that can't be read."""

import gzip
import json
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

from service.clock import parse_instant
from service.papers.cleaning import clean_count, clean_instant, clean_lines, paper_id
from service.papers.paper import Observation, Paper
from service.papers.sources.daily_papers import Context, MalformedItem, read_item
from service.papers.taxonomy import fold_category
from service.papers.traits import Earlier, Past, Traits, hour_told, last_of
from service.papers.trend import Sighting
from service.ranking.values import Candidate

MOST_LINE = 4_000_000  # characters


class UnreadableFile(ValueError):
    """A file that can't be used at all; the message says why."""


@dataclass(frozen=True, slots=True)
class Refused:
    """A line that was left out, counted from 1."""

    line: int
    reason: str


def read_candidates(path: Path, now: datetime) -> tuple[list[Candidate], list[Sighting], list[Refused]]:
    """Read papers in the Daily Papers item shape, one a line, and the counts they show as seen at ``now``.

    Raises:
        UnreadableFile: the file can't be opened or is no text.
    """
    context = Context(source="file", observed_at=now)
    candidates: list[Candidate] = []
    sightings: list[Sighting] = []
    refused: list[Refused] = []
    for number, item in _lines(path, refused):
        try:
            paper, seen = read_item(item, context)
        except MalformedItem as error:
            refused.append(Refused(number, str(error)))
            continue
        candidates.append(_candidate(paper, item))
        if seen is not None:
            sightings.append(_sighting(paper, seen))
    return candidates, sightings, sorted(refused, key=lambda one: one.line)


def read_snapshots(path: Path) -> tuple[list[Sighting], list[Refused]]:
    """Read what was seen of papers and when: ``id, list_date, at, upvotes, numComments, githubStars``.

    Raises:
        UnreadableFile: the file can't be opened or is no text.
    """
    sightings: list[Sighting] = []
    refused: list[Refused] = []
    for number, item in _lines(path, refused):
        try:
            sightings.append(_snapshot(item))
        except ValueError as error:
            refused.append(Refused(number, str(error)))
    return sightings, sorted(refused, key=lambda one: one.line)


def read_traits(path: Path, sightings: Sequence[Sighting], now: datetime) -> dict[str, Traits]:
    """Read what papers in the Daily Papers item shape tell for the trend; leave out lines that can't be read.

    How earlier papers of the same people fared is read from those of the file that ``sightings`` know.

    Raises:
        UnreadableFile: the file can't be opened or is no text.
    """
    context = Context(source="file", observed_at=now)
    told: dict[str, tuple[Paper, datetime | None]] = {}
    for _, item in _lines(path, []):
        try:
            paper, _ = read_item(item, context)
        except MalformedItem:
            continue
        inner = item.get("paper")
        listed = (inner if isinstance(inner, Mapping) else item).get("submittedOnDailyAt")
        told[paper.id] = paper, clean_instant(listed, now)
    days = {one.id: one.list_date for one in sightings if one.list_date}
    seen = sorted((one for one in sightings if one.at <= now), key=lambda one: one.at)
    earlier = {
        one.id: Earlier(
            list_date=days[one.id],
            votes=one.upvotes,
            submitter=told[one.id][0].submitted_by,
            last_author=last_of(told[one.id][0].authors, told[one.id][0].author_count),
        )
        for one in seen
        if one.upvotes is not None and one.id in told and one.id in days
    }
    young = {id_ for id_, day in days.items() if id_ in told and 0 <= (now.date() - day).days <= 1}
    pasts = {day: Past.of(earlier.values(), day) for day in {days[id_] for id_ in young}}
    return {id_: _traits(*told[id_], days[id_], pasts[days[id_]]) for id_ in sorted(young)}


def _traits(paper: Paper, listed_at: datetime | None, day: date, past: Past) -> Traits:
    last_author = last_of(paper.authors, paper.author_count)
    return Traits(
        listed_at=hour_told(listed_at, day),
        organization=paper.organization is not None,
        project_page=paper.project_url is not None,
        authors=paper.author_count or None,
        published_on=paper.published_at.date() if paper.published_at else None,
        submitter=past.submitters.get(paper.submitted_by or "", 0.0),
        last_author=past.last_authors.get(last_author or "", 0.0),
    )


def _candidate(paper: Paper, item: Any) -> Candidate:
    return Candidate(
        id=paper.id,
        title=paper.title,
        abstract=paper.abstract,
        summary=paper.summary or "",
        keywords=paper.keywords,
        categories=paper.categories or _categories(item),
        authors=paper.authors,
        organization=paper.organization,
        listed_on=paper.listed_on,
        shown=tuple(filter(None, (paper.submitted_by, paper.repository_url, paper.project_url))),
    )


def _categories(item: Any) -> tuple[str, ...]:
    inner = item.get("paper")
    given = (inner.get("categories") if isinstance(inner, Mapping) else None) or item.get("categories")
    codes = given.split() if isinstance(given, str) else given
    return tuple(dict.fromkeys(fold_category(one) or one for one in clean_lines(codes, 40, 40)))


def _sighting(paper: Paper, seen: Observation) -> Sighting:
    return Sighting(
        id=paper.id,
        list_date=paper.listed_on,
        at=seen.observed_at,
        upvotes=seen.upvotes,
        comments=seen.comments,
        stars=seen.stars,
        source=seen.source,
    )


def _snapshot(item: Any) -> Sighting:
    id_ = paper_id(item.get("id")) if isinstance(item, Mapping) else None
    if id_ is None:
        raise ValueError("is no snapshot with an arXiv id")
    counts = {name: clean_count(item.get(name)) for name in ("upvotes", "numComments", "githubStars")}
    for name, value in counts.items():
        if value is None and item.get(name) is not None:
            raise ValueError(f"{id_}: {name} is no count")
    try:
        listed = date.fromisoformat(item["list_date"][:10]) if item.get("list_date") else None
        at = parse_instant(item["at"])
    except (KeyError, ValueError, TypeError, AttributeError, OverflowError):
        raise ValueError(f"{id_}: 'at' or 'list_date' is no date") from None
    return Sighting(
        id=id_,
        list_date=listed,
        at=at,
        upvotes=counts["upvotes"],
        comments=counts["numComments"],
        stars=counts["githubStars"],
        source=item.get("src") if isinstance(item.get("src"), str) else None,
    )


def _lines(path: Path, refused: list[Refused]) -> Iterator[tuple[int, Any]]:
    """Decode each line that is not blank; what is no JSON is refused."""
    for number, line in enumerate(text_of(path).split("\n"), 1):
        if not line.strip():
            continue
        try:
            if len(line) > MOST_LINE:
                raise ValueError("too long")  # noqa: TRY301 - refused like any other bad line
            yield number, json.loads(line)
        except (ValueError, RecursionError):
            refused.append(Refused(number, "is too long" if len(line) > MOST_LINE else "is not JSON"))


def text_of(path: Path) -> str:
    """Return a file's text, unpacked if it is gzipped; what is no UTF-8 is carried along.

    Raises:
        UnreadableFile: it can't be opened, or is damaged.
    """
    try:
        data = path.read_bytes()
        if data[:2] == b"\x1f\x8b":
            data = gzip.decompress(data)
        return data.decode("utf-8-sig", "surrogateescape")
    except (OSError, EOFError, zlib.error) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else "is damaged"
        raise UnreadableFile(f"{path}: {reason}") from None
