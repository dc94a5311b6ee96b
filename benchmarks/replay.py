"""Replays recorded days through the whole path: collect, plan, rank, send, with the books checked after it.

    python -m benchmarks.replay [--days 1|7|all] [--from 2026-02-12] [--people 200] [--step 1]

Papers are the recorded ones of PAPERLARK_TEST_DATA (or ../shared/data), known only from the instant they were
recorded on; people live in many zones and care about many topics; mail goes to a relay that counts. Without
the recordings it says so and does nothing.
"""

import argparse
import io
import os
import random
import resource
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import structlog
from sqlalchemy import func, select

from service.bootstrap import Parts, open_parts
from service.config import Settings
from service.digests import running
from service.digests.accounting import account
from service.digests.tables import DigestRow
from service.mail.courier import open_courier
from service.mail.delivery import Outcome, Stage, Verdict
from service.mail.message import Parcel
from service.mail.tables import DeliveryRow
from service.migrations import prepare
from service.papers.collecting import collect
from service.papers.sources import open_sources
from service.papers.tables import ObservationRow, PaperRow
from service.ranking.muting import shows_muted
from service.subscribers.csv_reading import Line, read_csv
from service.subscribers.importing import import_lines
from service.subscribers.tables import SubscriberRow
from service.subscribers.topics import CATALOGUE

HOUR = timedelta(hours=1)
FIRST, LAST = date(2024, 5, 27), date(2026, 3, 11)
ZONES = (
    "Europe/Berlin", "America/New_York", "America/Los_Angeles", "Asia/Tokyo", "Asia/Kolkata", "UTC",
    "Australia/Lord_Howe", "Asia/Kathmandu", "America/Santiago", "Pacific/Auckland", "Africa/Lagos",
    "America/St_Johns",
)  # fmt: skip
COLLECT_EVERY = 6  # hours: the recordings were made a few times a day
MUTES = ("survey", "video", "benchmark", "speech", "agent")


@dataclass(slots=True)
class CountingRelay:
    """Takes every parcel, keeps its size alone."""

    count: int = 0
    sizes: int = 0

    async def ready(self) -> None:
        """Be there."""

    def admit(self, recipients: Sequence[str]) -> Sequence[float | None]:
        """Let all go."""
        return [None] * len(recipients)

    async def deliver(self, parcel: Parcel) -> Outcome:
        """Count."""
        self.count += 1
        self.sizes += len(parcel.data)
        return Outcome(verdict=Verdict.SENT, stage=Stage.DOT, code=250)

    async def close(self) -> None:
        """Do nothing."""


def main() -> None:
    """Replay and print a table."""
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--days", default="1", help="1, 7, any number, or all")
    words.add_argument("--from", dest="start", type=date.fromisoformat, default=date(2026, 2, 12))
    words.add_argument("--people", type=int, default=200)
    words.add_argument("--step", type=int, default=1, choices=range(1, 13), help="hours between two ticks")
    words.add_argument(
        "--database", help="a migrated database's URL; without it SQLite in a folder of its own"
    )
    chosen = words.parse_args()
    recorded = Path(os.environ.get("PAPERLARK_TEST_DATA") or Path(__file__).parents[2] / "shared" / "data")
    if not (recorded / "hf_daily").is_dir():
        print("The recordings are not here (set PAPERLARK_TEST_DATA to their folder): nothing to replay.")
        return
    start = FIRST if chosen.days == "all" else chosen.start
    days = (LAST - FIRST).days if chosen.days == "all" else int(chosen.days)
    structlog.configure(processors=[drop])
    with tempfile.TemporaryDirectory(prefix="paperlark-replay-") as folder:
        settings = Settings(
            environment="test",
            data_dir=Path(folder),
            database_url=chosen.database,
            sources="archive",
            archive_path=recorded / "hf_daily",
            secret_key="a-secret-for-replays-only-0123456789-abcdef",
        )
        prepare(settings)
        parts = open_parts(settings)
        replay(parts, start, days, chosen.people, timedelta(hours=chosen.step))
        parts.database.close()


def replay(parts: Parts, start: date, days: int, people: int, step: timedelta) -> None:
    """Run every tick from ``start`` on, then look whether the promises were kept."""
    begin = datetime(start.year, start.month, start.day, tzinfo=UTC)
    # Ticks further apart than an hour would miss the short time that late hours have.
    import_people(parts, people, begin, hours=24 if step <= timedelta(hours=1) else 20 - step // HOUR)
    relay = CountingRelay()
    courier = open_courier(parts.settings, parts.keyring, relay=relay)
    sources = open_sources(parts.settings)
    spent: defaultdict[str, float] = defaultdict(float)
    for number, now in enumerate(ticks(begin, days, step)):
        if (now - begin) // HOUR % COLLECT_EVERY == 0:
            with timing(spent, "collect"):
                collect(parts.database, sources, now)
        with timing(spent, "plan and send"):
            running.run_due(
                parts.database,
                now,
                settings=parts.settings,
                keyring=parts.keyring,
                composers=parts.composers,
                courier=courier,
            )
        if number % 24 == 0:
            report_progress(now, begin, days, relay.count)
    sys.stderr.write("\r" + " " * 78 + "\r")
    print_table(parts, relay, spent, days, people)


def ticks(begin: datetime, days: int, step: timedelta) -> Iterator[datetime]:
    """Give the instants of the ticks: those of the days, and what is left of them round the globe."""
    now = begin
    while now < begin + timedelta(days=days):
        yield now
        now += step


def import_people(
    parts: Parts, count: int, now: datetime, *, hours: int, zones: Sequence[str] = ZONES
) -> None:
    """Import people as an operator would, from a list."""
    chance = random.Random(20260213)
    lines = ["email,timezone,hour,weekdays,topics,mutes,papers"]
    for number in range(count):
        topics = ";".join(topic.slug for topic in chance.sample(CATALOGUE, chance.randint(1, 4)))
        weekdays = chance.choice(("", "mon;tue;wed;thu;fri;sat;sun", "mon", "mon;wed;fri"))
        mute = chance.choice(("", "", *MUTES))
        row = (
            f"reader{number}@example.org",
            chance.choice(zones),
            str(chance.randrange(hours)),
            weekdays,
            topics,
            mute,
            str(chance.choice((3, 5, 10, 20))),
        )
        lines.append(",".join(row))
    read = list(read_csv(io.BytesIO("\n".join(lines).encode())))
    good = [line for line in read if isinstance(line, Line)]
    if len(good) != count:
        raise SystemExit(f"the list could not be read: {next(x for x in read if not isinstance(x, Line))}")
    with parts.database.transaction() as session:
        import_lines(session, parts.keyring, now, good, confirmed=True)


class timing:  # noqa: N801 - reads as a verb in a with statement
    """Adds up wall-clock seconds under a name."""

    def __init__(self, spent: dict[str, float], name: str) -> None:
        """Take where to add."""
        self._spent, self._name = spent, name

    def __enter__(self) -> None:
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    def __exit__(self, *_: object) -> None:
        self._spent[self._name] += time.perf_counter() - self._wall
        self._spent[f"{self._name}, processor"] += time.process_time() - self._cpu


def drop(*_: object) -> dict[str, object]:
    """Say nothing: the table says it."""
    raise structlog.DropEvent


def report_progress(now: datetime, begin: datetime, days: int, sent: int) -> None:
    """Write where we are."""
    done = (now - begin) / timedelta(days=days)
    sys.stderr.write(f"\r{now:%Y-%m-%d}  {done:4.0%}  {sent:,} digests sent")
    sys.stderr.flush()


def print_table(parts: Parts, relay: CountingRelay, spent: dict[str, float], days: int, people: int) -> None:
    """Print counts, costs and what the promises look like in the tables."""
    with parts.database.reading() as session:
        counts = {
            "papers": session.scalar(select(func.count()).select_from(PaperRow)),
            "observations": session.scalar(select(func.count()).select_from(ObservationRow)),
        }
        dates = list(session.scalars(select(DigestRow.issue_date).distinct()))
        books = [account(session, day) for day in dates]
        rows = session.execute(
            select(DigestRow.subscriber_id, DigestRow.selection)
            .join(DeliveryRow, DeliveryRow.digest_id == DigestRow.id)
            .where(DeliveryRow.status == "sent")
        ).all()
        titles = dict(session.execute(select(PaperRow.id, PaperRow.title)).all())
        mutes = dict(session.execute(select(SubscriberRow.id, SubscriberRow.mutes)).all())
    given = [(who, item["paper"]) for who, selection in rows for item in selection]
    skipped: Counter[str] = Counter()
    for one in books:
        skipped.update(one.skipped)
    shown = sum(shows_muted(titles[paper], mutes[who]) for who, paper in given if mutes[who])
    per_second = relay.count / max(spent["plan and send"], 1e-9)
    table = {
        "days, people": f"{days}, {people}",
        **{name: f"{count:,}" for name, count in counts.items()},
        "issue dates": f"{len(dates):,}",
        "digests due": f"{sum(one.due for one in books):,}",
        "  sent": f"{sum(one.sent for one in books):,}",
        "  skipped": ", ".join(f"{name} {count:,}" for name, count in sorted(skipped.items())) or "none",
        "  waiting at the end": f"{sum(one.queued + one.deferred for one in books):,}",
        "  failed, unknown": f"{sum(one.failed for one in books)}, {sum(one.unknown for one in books)}",
        "papers given": f"{len(given):,}",
        "papers given twice to one person": f"{len(given) - len(set(given))}",
        "muted words shown in titles": f"{shown}",
        "mean size of a mail": f"{relay.sizes / max(relay.count, 1) / 1024:.1f} KB",
        "collecting": f"{spent['collect']:.1f} s ({spent['collect, processor']:.1f} s processor)",
        "planning and sending": f"{spent['plan and send']:.1f} s"
        f" ({spent['plan and send, processor']:.1f} s processor), {per_second:.0f} digests/s",
        "most memory held": f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB",
    }
    width = max(map(len, table))
    for name, value in table.items():
        print(f"{name:<{width}}  {value}")


if __name__ == "__main__":
    main()
