"""What planning costs: people who are all due at once, over the bundled papers.

    python -m benchmarks.planning [--people 10000] [--database postgresql://…]

Prints digests planned a second, by the clock and by the processor, and the most memory held.
"""

import argparse
import resource
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import structlog

from benchmarks.replay import drop, import_people
from service.bootstrap import open_parts
from service.config import Settings
from service.digests.planning import plan_due
from service.migrations import migrate
from service.papers.collecting import collect
from service.papers.sources import open_sources

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)  # a Friday


def main() -> None:
    """Measure and print."""
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--people", type=int, default=10_000)
    words.add_argument(
        "--database", help="an empty Postgres database; without it SQLite in a folder of its own"
    )
    chosen = words.parse_args()
    structlog.configure(processors=[drop])
    with tempfile.TemporaryDirectory(prefix="paperlark-planning-") as folder:
        settings = Settings(
            environment="test", data_dir=Path(folder), database_url=chosen.database, sources="demo"
        )
        settings.data_dir.mkdir(exist_ok=True)
        migrate(settings.sqlalchemy_url)
        parts = open_parts(settings)
        collect(parts.database, open_sources(settings), NOW - timedelta(hours=1))
        import_people(parts, chosen.people, NOW - timedelta(hours=1), hours=12, zones=("UTC",))
        before = memory()
        wall, processor = time.perf_counter(), time.process_time()
        tally = plan_due(parts.database, NOW, settings=settings)
        wall, processor = time.perf_counter() - wall, time.process_time() - processor
        print(f"{tally.planned:,} digests planned of {chosen.people:,} people, skipped {tally.skipped or 0}")
        print(f"{wall:.1f} s, {tally.planned / wall:,.0f} a second by the clock")
        print(f"{processor:.1f} s, {tally.planned / processor:,.0f} a second of the processor")
        print(f"memory {memory():.0f} MB, grown by {memory() - before:.0f} MB")
        wall = time.perf_counter()
        plan_due(parts.database, NOW + timedelta(minutes=1), settings=settings)
        print(f"a tick with nothing left to do: {1000 * (time.perf_counter() - wall):.0f} ms")
        parts.database.close()


def memory() -> float:
    """Return the most memory held so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
