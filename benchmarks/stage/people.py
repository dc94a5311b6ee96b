"""People by the thousand: active, each with interests of their own, all due at the same hour."""

import random
from collections.abc import Iterator
from datetime import datetime

from service.bootstrap import Parts
from service.progress import Progress, no_progress
from service.subscribers.csv_reading import Line
from service.subscribers.importing import CHUNK, import_lines
from service.subscribers.preferences import Preferences, read_preferences
from service.subscribers.topics import CATALOGUE

KINDS_OF_READER = 5000
MUTES = ("", "", "", "survey", "video", "speech")


def invite(
    parts: Parts,
    count: int,
    now: datetime,
    *,
    hour: int,
    weekday: str = "daily",
    papers: int = 10,
    first: int = 0,
    progress: Progress = no_progress,
) -> None:
    """Import people, numbered from ``first``, who get ``papers`` papers at ``hour`` UTC on that day."""
    chance = random.Random(20260213 + first)
    kinds = [_kind(chance, hour, weekday, papers) for _ in range(min(KINDS_OF_READER, count))]
    for start in range(0, count, CHUNK):
        lines = list(_lines(chance, kinds, range(first + start, first + min(start + CHUNK, count))))
        with parts.database.transaction() as session:
            import_lines(session, parts.keyring, now, lines, confirmed=True)
        progress(start + len(lines), count, "people imported")


def _lines(chance: random.Random, kinds: list[Preferences], numbers: range) -> Iterator[Line]:
    for number in numbers:
        yield Line(number + 2, f"reader{number}@example.org", chance.choice(kinds))


def _kind(chance: random.Random, hour: int, weekday: str, papers: int) -> Preferences:
    return read_preferences(
        {
            "timezone": "UTC",
            "hour": hour,
            "weekdays": weekday,
            "papers": papers,
            "topics": [topic.slug for topic in chance.sample(CATALOGUE, chance.randint(1, 4))],
            "mutes": chance.choice(MUTES),
        }
    )
