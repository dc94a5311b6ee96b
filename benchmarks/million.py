"""The whole way at a size: people planned, ranked, signed, sent to a sink, recorded; the books checked.

    python -m benchmarks.million [--people 5000] [--key ed25519|rsa|none] [--postgres | --database URL]

``--people 1000000`` is the long run. Papers and people are made up, everybody gets ten papers at the same
hour. The relay is Postfix's smtp-sink where it is installed. Cost and memory are those of the one process
that plans and sends, printed by tenths: neither may grow. CPU of a Postgres begun here stands beside it.
"""

import argparse
import contextlib
import gc
import resource
import sys
import tempfile
import time
from collections.abc import Awaitable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.stage.papers import MadePapers
from benchmarks.stage.people import invite
from benchmarks.stage.relays import relay
from benchmarks.stage.world import (
    DAY,
    HOUR,
    behave,
    make_settings,
    postgres,
    postgres_seconds,
    resident,
)
from service.bootstrap import Parts, open_parts
from service.digests.accounting import account
from service.digests.planning import plan_due
from service.digests.running import deliver
from service.mail.courier import Relay, open_courier
from service.mail.delivery import Outcome
from service.mail.message import Parcel
from service.mail.outbox import BULK
from service.migrations import migrate
from service.papers.collecting import collect

NOW = DAY + 12 * HOUR
TENTHS = 10


def main() -> None:
    """Run, print, and fail where the books are off."""
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--people", type=int, default=5_000)
    words.add_argument("--key", choices=("ed25519", "rsa", "none"), default="ed25519")
    words.add_argument("--connections", type=int, default=16)
    where = words.add_mutually_exclusive_group()
    where.add_argument("--postgres", action="store_true", help="begin a Postgres for this run")
    where.add_argument("--database", help="an empty Postgres database; without it SQLite")
    chosen = words.parse_args()
    behave()
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="paperlark-million-")))
        url = stack.enter_context(postgres()) if chosen.postgres else chosen.database
        name, port = stack.enter_context(relay())
        settings = make_settings(folder, url, port, chosen.key, chosen.connections)
        migrate(settings.sqlalchemy_url)
        parts = open_parts(settings)
        print(
            f"{chosen.people:,} people, {'Postgres' if url else 'SQLite'}, signed by {chosen.key}, to {name}"
        )
        run(parts, chosen.people)
        parts.database.close()


@dataclass(slots=True)
class Gauge:
    """Reads what this process has spent each time a tenth is done."""

    total: int
    rows: list[tuple[int, float, float, float]] = field(default_factory=list)
    began: tuple[int, float, float] = (0, 0.0, 0.0)

    def start(self) -> None:
        """Begin to count."""
        self.began = (0, time.process_time(), time.perf_counter())

    def reached(self, done: int, *, always: bool = False) -> None:
        """Note a row when a tenth more is done."""
        count, processor, wall = self.began
        if done - count < self.total / TENTHS and not (always and done > count):
            return
        now = (done, time.process_time(), time.perf_counter())
        share = done - count
        self.rows.append((done, (now[1] - processor) / share, (now[2] - wall) / share, resident()))
        self.began = now


def run(parts: Parts, people: int) -> None:
    """Collect, invite, plan, send, and look at the books."""
    collect(parts.database, [MadePapers()], NOW - HOUR)
    began = time.perf_counter()
    invite(parts, people, NOW - HOUR, hour=NOW.hour, progress=_show)
    print(f"imported in {time.perf_counter() - began:,.0f} s; {resident():,.0f} MB held")
    with spending() as whole:
        planning, sending = Gauge(people), Gauge(people)
        with spending() as planned:
            planning.start()
            tally = plan_due(
                parts.database,
                NOW,
                settings=parts.settings,
                progress=lambda done, _total, _name: planning.reached(done),
            )
            planning.reached(tally.planned, always=True)
        with spending() as sent:
            sending.start()
            count = send(parts, sending)
    with parts.database.reading() as session:
        books = account(session, NOW.date())
    report("planned", planning, planned, people)
    report("sent", sending, sent, people)
    print(
        f"the whole way: {1e6 * whole.processor / people:,.0f} us of CPU a digest,"
        f" {people / whole.wall:,.0f}/s; Postgres {1e6 * whole.postgres / people:,.0f} us"
    )
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"memory at most {most:,.0f} MB (import included)")
    others = ("sent", "deferred", "failed", "unknown", "queued", "cancelled")
    sums = " + ".join(f"{name} {getattr(books, name):,}" for name in others)
    print(f"books: due {books.due:,} = {sums} + skipped {sum(books.skipped.values()):,}")
    if not people == books.due == books.accounted or books.sent != count:
        raise SystemExit("the books are off")


class CountingRelay:
    """Passes everything on, and tells the gauge how far it has come."""

    def __init__(self, relay: Relay, gauge: Gauge) -> None:
        """Take what does the work."""
        self.relay, self.gauge, self.count = relay, gauge, 0
        self.ready, self.admit, self.close = relay.ready, relay.admit, relay.close

    def deliver(self, parcel: Parcel) -> Awaitable[Outcome]:
        """Count and pass on."""
        self.count += 1
        self.gauge.reached(self.count)
        return self.relay.deliver(parcel)


def send(parts: Parts, gauge: Gauge) -> int:
    """Send everything that waits; return how many were sent."""
    courier = open_courier(parts.settings, parts.keyring)
    courier.relay = CountingRelay(courier.relay, gauge)
    tally = deliver(
        parts.database,
        settings=parts.settings,
        keyring=parts.keyring,
        composers=parts.composers,
        courier=courier,
        clock=lambda: NOW,
        queue=BULK,
        worker="million",
    )
    gauge.reached(tally.sent, always=True)
    return tally.sent


@dataclass(slots=True)
class Spent:
    """Seconds of this process, of the clock, and of the Postgres begun here."""

    processor: float = 0
    wall: float = 0
    postgres: float = 0


@contextlib.contextmanager
def spending() -> Iterator[Spent]:
    """Measure a block."""
    gc.collect()
    spent = Spent()
    processor, wall, postgres = time.process_time(), time.perf_counter(), postgres_seconds()
    yield spent
    spent.processor = time.process_time() - processor
    spent.wall = time.perf_counter() - wall
    spent.postgres = postgres_seconds() - postgres


def report(name: str, gauge: Gauge, spent: Spent, people: int) -> None:
    """Print the tenths."""
    print(f"{name}: {1e6 * spent.processor / people:,.0f} us of CPU a digest, {people / spent.wall:,.0f}/s;"
          f" Postgres {1e6 * spent.postgres / people:,.0f} us")  # fmt: skip
    for done, processor, wall, memory in gauge.rows:
        print(f"  {done:>10,}{1e6 * processor:>8,.0f} us CPU{1e6 * wall:>8,.0f} us{memory:>8,.0f} MB")


def _show(done: int, total: int | None, name: str) -> None:
    sys.stderr.write(f"\r{done:,} of {total or 0:,} {name}")
    if done == total:
        sys.stderr.write("\n")


if __name__ == "__main__":
    main()
