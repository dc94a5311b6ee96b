"""Reads the recorded pair: ``papers.jsonl`` holds texts, ``snapshots.jsonl`` what was seen of them and when.

The texts are the last ones seen. So a paper is known from its first snapshot on, and its AI keywords, AI
summary and repository only once a snapshot says that they were there.
"""

import gzip
import itertools
import json
import re
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from service.clock import parse_instant
from service.papers.cleaning import clean_count, paper_id
from service.papers.paper import Observation
from service.papers.sources import Answer, Malformed, Parsed, SourceUnavailable
from service.papers.sources.daily_papers import Context, Reader

CHUNK = 500  # papers in an answer
MAXIMUM_LINE = 4_000_000
SUFFIXES = (".jsonl", ".jsonl.gz")
# Most lines begin so: those of papers that are not wanted need not be decoded.
HEAD = re.compile(rb'\{"paper":\s*\{"id":\s*"([0-9]{4}\.[0-9]{4,5})"')
SNAPSHOT_HEAD = re.compile(
    rb'\{"id":\s*"([0-9]{4}\.[0-9]{4,5})",\s*(?:"list_date":[^,]{4,14},\s*)?"at":\s*"([0-9TZ:+.-]+)"'
)
COUNTS = frozenset({"upvotes", "numComments", "githubStars"})  # true at an instant that is not known
KEYWORDS = frozenset({"ai_keywords", "ai_summary", "ai_summary_model"})
NO_SNAPSHOT = "is not a snapshot with an arXiv id and a time"
REPOSITORY = frozenset({"githubRepo", "githubRepoAddedBy"})


class Snapshot(NamedTuple):
    """What one recording showed of a paper."""

    at: datetime
    upvotes: int | None
    comments: int | None
    stars: int | None
    has_keywords: bool
    has_repository: bool


class SnapshotLine(NamedTuple):
    """A line of a known instant, decoded only if its paper is wanted."""

    at: datetime
    position: int
    line: bytes


@dataclass(frozen=True, slots=True)
class Record:
    """A line of text, and all that was seen of its paper by the instant asked for, oldest first."""

    position: int
    item: Any
    snapshots: tuple[Snapshot, ...]
    since: datetime | None


def find_pair(files: Iterable[Path]) -> tuple[Path, Path] | None:
    """Find the two files among ``files``."""
    by_name = {path.name: path for path in files}
    texts, seen = (
        next((by_name[stem + suffix] for suffix in SUFFIXES if stem + suffix in by_name), None)
        for stem in ("papers", "snapshots")
    )
    return (texts, seen) if texts and seen else None


def read_pair(pair: tuple[Path, Path], since: datetime | None, now: datetime) -> Iterator[Answer]:
    """Give the papers seen in (``since``, ``now``] in chunks.

    Lines that can't be read are handed on as malformed; only without ``since``, so that they count once.

    Raises:
        SourceUnavailable: a file can't be read.
    """
    texts, seen = pair
    try:
        known, malformed = _read_snapshots(seen, now)
        records = _read_texts(texts, known, since)
        everything = itertools.chain(malformed if since is None else (), records)
        while chunk := tuple(itertools.islice(everything, CHUNK)):
            yield Answer(origin=texts.name, observed_at=now, records=chunk)
    except (OSError, EOFError, zlib.error) as error:
        raise SourceUnavailable(f"{texts.parent} can't be read: {error}") from error


def parse_records(answer: Answer, source: str) -> Parsed:
    """Read a chunk of the pair."""
    reader = Reader(Context(source=source, observed_at=answer.observed_at))
    for record in answer.records:
        if isinstance(record, Malformed):
            reader.malformed.append(record)
        elif paper := reader.read(record.position, _as_known(record)):
            reader.observations += [
                Observation(
                    paper_id=paper.id,
                    source=source,
                    observed_at=one.at,
                    upvotes=one.upvotes,
                    comments=one.comments,
                    stars=one.stars,
                )
                for one in record.snapshots
                if record.since is None or one.at > record.since
            ]
    return reader.parsed()


def _as_known(record: Record) -> Any:
    """Leave out of the text what no snapshot has seen yet."""
    hidden = COUNTS
    if not any(one.has_keywords for one in record.snapshots):
        hidden |= KEYWORDS
    if not any(one.has_repository for one in record.snapshots):
        hidden |= REPOSITORY
    item = {key: value for key, value in record.item.items() if key not in hidden}
    item["paper"] = {key: value for key, value in record.item["paper"].items() if key not in hidden}
    return item


def _read_texts(
    path: Path, known: Mapping[str, list[SnapshotLine]], since: datetime | None
) -> Iterator[Record | Malformed]:
    wanted = {id_ for id_, seen in known.items() if since is None or any(one.at > since for one in seen)}
    for position, line in enumerate(_lines(path)):
        head = HEAD.match(line)
        if head and head[1].decode() not in wanted:
            continue
        item = _decode(line)
        inner = item.get("paper") if isinstance(item, Mapping) else None
        id_ = paper_id(inner.get("id")) if isinstance(inner, Mapping) else None
        if id_ is None and since is None:
            yield Malformed(position=position, reason="is not a paper with an arXiv id")
        if id_ in wanted:
            wanted.discard(id_)
            snapshots, malformed = _decode_snapshots(known[id_])
            yield from malformed if since is None else ()
            yield Record(position, item, snapshots, since)
    for id_ in sorted(wanted):
        yield Malformed(position=-1, reason=f"{id_} has snapshots but no text")


def _read_snapshots(path: Path, now: datetime) -> tuple[dict[str, list[SnapshotLine]], list[Malformed]]:
    """Give the snapshots up to ``now`` by paper, not yet decoded where that can be put off."""
    known: dict[str, list[SnapshotLine]] = {}
    malformed: list[Malformed] = []
    instants: dict[str, datetime] = {}  # a recording has one for all its papers
    for position, line in enumerate(_lines(path)):
        id_, at = _snapshot_head(line, instants)
        if id_ is None or at is None:
            malformed.append(Malformed(position=position, reason=NO_SNAPSHOT))
        elif at <= now:
            known.setdefault(id_, []).append(SnapshotLine(at, position, line))
    return known, malformed


def _snapshot_head(line: bytes, instants: dict[str, datetime]) -> tuple[str | None, datetime | None]:
    if head := SNAPSHOT_HEAD.match(line):
        return head[1].decode(), _instant(head[2].decode(), instants)
    item = _decode(line)
    if not isinstance(item, Mapping):
        return None, None
    return paper_id(item.get("id")), _instant(item.get("at"), instants)


def _decode_snapshots(lines: Iterable[SnapshotLine]) -> tuple[tuple[Snapshot, ...], list[Malformed]]:
    snapshots: list[Snapshot] = []
    malformed: list[Malformed] = []
    for at, position, line in sorted(lines):
        item = _decode(line)
        if isinstance(item, Mapping):
            snapshots.append(_snapshot(item, at))
        else:
            malformed.append(Malformed(position=position, reason=NO_SNAPSHOT))
    return tuple(snapshots), malformed


def _snapshot(item: Mapping[str, Any], at: datetime) -> Snapshot:
    return Snapshot(
        at,
        clean_count(item.get("upvotes")),
        clean_count(item.get("numComments")),
        clean_count(item.get("githubStars")),
        bool(item.get("hasKw")),
        bool(item.get("hasRepo")),
    )


def _instant(value: object, seen: dict[str, datetime]) -> datetime | None:
    if not isinstance(value, str):
        return None
    if value not in seen:
        try:
            seen[value] = parse_instant(value)
        except (ValueError, OverflowError):
            return None
    return seen[value]


def _decode(line: bytes) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None


def _lines(path: Path) -> Iterator[bytes]:
    """Give the lines that are not blank; of a line that is too long only a part, which can't be decoded."""
    with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
        while line := file.readline(MAXIMUM_LINE):
            if line.strip():
                yield line
