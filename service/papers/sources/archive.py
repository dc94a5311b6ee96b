"""Recorded answers, read back as they became known: at an instant nothing of a later one is seen.

``path`` is a file or a folder (its own files, not those of folders in it). Read are answers of the Daily
Papers API, named ``<list date>__<who>__<UTC time>.json``, and the pair ``papers.jsonl`` (text, one paper a
line) and ``snapshots.jsonl`` (counts of a paper at an instant), each plain or ``.gz``.
"""

import gzip
import hashlib
import re
import zlib
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

from service.papers.sources import Answer, Parsed, SourceUnavailable, daily_papers, snapshots

MAXIMUM_BYTES = 64_000_000  # of one answer, unpacked
ANSWER_NAME = re.compile(
    r"(?P<day>\d{4}-\d{2}-\d{2})__.+__(?P<at>\d{4}-\d{2}-\d{2}T\d{6})(?P<zone>Z|[+-]\d{2}(?:\d{2})?)\.json(\.gz)?",
    re.ASCII,
)
UNREADABLE = (OSError, EOFError, zlib.error)


class ArchiveSource:
    """Recordings on disk; can leave out what an earlier run has read (``Resumable``)."""

    name = "archive"

    def __init__(self, path: Path) -> None:
        """Take the file or folder; it is looked at when asked for papers."""
        self._path = path

    def mark(self) -> str:
        """Name the recordings' present state by their files' names, sizes and times."""
        digest = hashlib.sha256()
        for path in self._files():
            state = path.stat()
            digest.update(f"{path.name}\0{state.st_size}\0{state.st_mtime_ns}\n".encode())
        return digest.hexdigest()[:32]

    def fetch(self, now: datetime) -> Iterator[Answer]:
        """Give what was recorded up to ``now``.

        Raises:
            SourceUnavailable: there are no recordings at the path.
        """
        return self.fetch_after(None, now)

    def fetch_after(self, since: datetime | None, now: datetime) -> Iterator[Answer]:
        """Give what was recorded after ``since`` and up to ``now``, the recorded answers oldest first."""
        files = self._files()
        pair = snapshots.find_pair(files)
        dated = {path: _recorded_at(path) for path in files if ".jsonl" not in path.suffixes}
        for path in [path for path, at in dated.items() if at is None and since is None]:
            yield Answer(
                origin=path.name, observed_at=now, failure="its name does not say when it was recorded"
            )
        for at, path in sorted((at, path) for path, at in dated.items() if at is not None):
            if at <= now and (since is None or at > since):
                yield _read(path, at)
        if pair is not None:
            yield from snapshots.read_pair(pair, since, now)

    def parse(self, answer: Answer) -> Parsed:
        """Read an answer, or a chunk of the pair."""
        if answer.records:
            return snapshots.parse_records(answer, self.name)
        context = daily_papers.Context(
            source=self.name, observed_at=answer.observed_at, listed_on=answer.listed_on
        )
        return daily_papers.parse_answer(answer.body, context, python_items=True)

    def _files(self) -> list[Path]:
        if self._path.is_file():
            # Either file of the pair stands for both.
            pair = snapshots.find_pair(self._path.parent.iterdir()) or ()
            return list(pair) if self._path in pair else [self._path]
        files = [
            path
            for path in (self._path.iterdir() if self._path.is_dir() else ())
            if path.name.endswith((".json", ".json.gz", ".jsonl", ".jsonl.gz"))
        ]
        if not files:
            raise SourceUnavailable(f"no recorded answers at {self._path} (see PAPERLARK_ARCHIVE_PATH)")
        return sorted(files)


def _recorded_at(path: Path) -> datetime | None:
    match = ANSWER_NAME.fullmatch(path.name)
    if match is None:
        return None
    zone = match["zone"].replace("Z", "+00")
    try:
        return datetime.strptime(f"{match['at']}{zone:0<5}", "%Y-%m-%dT%H%M%S%z").astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _read(path: Path, at: datetime) -> Answer:
    listed_on = _date(path.name[:10])
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            body = file.read(MAXIMUM_BYTES + 1)
    except UNREADABLE as error:
        return Answer(origin=path.name, observed_at=at, failure=f"can't be read: {error}")
    failure = f"is larger than {MAXIMUM_BYTES:,} bytes" if len(body) > MAXIMUM_BYTES else None
    return Answer(origin=path.name, observed_at=at, listed_on=listed_on, body=body, failure=failure)


def _date(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None
