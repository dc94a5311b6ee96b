"""What a digest costs from letter to relay, against honest plain ways, all measured in the same run by turns.

    python -m benchmarks.mail [--messages 5000] [--only making|carrying|far|whole] [--sqlite]

Messages are of ten papers and about 60 KB, the relay is on loopback: Postfix's smtp-sink where it is
installed, else that of the tests. CPU is that of the process that sends. Only ratios carry elsewhere.

smtp-source (Postfix) is looked for in POSTFIX_TOOLS, on PATH and in /usr/sbin; nodemailer by
Node.js (NODEMAILER: its folder). Rows that need what is not there are left out, which is said.
"""

import argparse
import asyncio
import contextlib
import gc
import resource
import shutil
import statistics
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy import select, update

from benchmarks.stage import plain_ways
from benchmarks.stage.papers import MadePapers
from benchmarks.stage.people import invite
from benchmarks.stage.relays import endpoint, find_tool, relay
from benchmarks.stage.turns import ROUNDS, Times, Way, by_turns, show, timed
from benchmarks.stage.workers import Workers, open_workers
from benchmarks.stage.world import (
    DAY,
    HOUR,
    Key,
    behave,
    make_settings,
    postgres,
    postgres_seconds,
)
from service.bootstrap import Parts, open_parts
from service.digests.planning import plan_due
from service.digests.running import deliver
from service.mail.composing import Claimed
from service.mail.courier import RelayCourier, open_courier
from service.mail.delivery import Status, Verdict
from service.mail.letters import DigestLetter
from service.mail.message import Parcel, Press
from service.mail.outbox import BULK
from service.mail.pool import Limits
from service.mail.tables import DeliveryRow
from service.mail.transport import SmtpRelay
from service.migrations import migrate
from service.papers.collecting import collect

CONNECTIONS = 16
FAR_CONNECTIONS = 256
FAR_SECONDS = 0.02
PLAIN_SHARE = 40  # the slow ways are measured with one message in so many
KEYS: dict[Key, str] = {"none": "unsigned", "ed25519": "Ed25519", "rsa": "RSA-2048"}
FIRST_HOUR = 4
LETTERS = 5000  # at most, for the ways that send what is made already
WORKERS = 2
BY_TWO = "{}, two workers"
# ratio of rates (ours of that key, to which way), and the least it must be; smtp-source by one process
GOALS = (
    ("rsa", "naive", 25), ("rsa", "nodemailer, raw", 1.2), ("rsa", "smtp-source", 0.5),
    ("none", "nodemailer, composing", 5), ("none", "nodemailer, raw", 1.8), ("none", "smtp-source", 0.8),
    ("ed25519", "nodemailer, composing", 5), ("ed25519", "nodemailer, raw", 1.8),
    ("ed25519", "smtp-source", 0.8),
)  # fmt: skip
CPU_GOALS: dict[Key, int] = {"none": 90, "ed25519": 140, "rsa": 380}


def main() -> None:
    """Measure and print."""
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--messages", type=int, default=5000, help="of each turn")
    words.add_argument("--only", choices=("making", "carrying", "far", "whole"))
    words.add_argument("--sqlite", action="store_true", help="record in SQLite, not in a Postgres begun here")
    chosen = words.parse_args()
    behave()
    say_what_is_missing()
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="paperlark-mail-")))
        url = None if chosen.sqlite else stack.enter_context(postgres())
        name, port = stack.enter_context(relay())
        world = stack.enter_context(open_world(folder, url, port, chosen.messages))
        size = statistics.mean(len(parcel.data) for parcel in world.parcels)
        print(f"{chosen.messages:,} messages of {size / 1000:.0f} KB a turn, to {name};"
              f" medians of {ROUNDS} turns; us of CPU a message")  # fmt: skip
        # Letters and parcels held for the plain ways are no garbage, nor is looking through them our work.
        gc.collect()
        gc.freeze()
        for section, measure in SECTIONS.items():
            if chosen.only in {None, section}:
                measure(world)
    print(f"\nmemory at most {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:,.0f} MB")


def say_what_is_missing() -> None:
    """Say which rows will not be there."""
    if find_tool("smtp-source") is None:
        print("Postfix's smtp-source and smtp-sink are not here: no comparison with them.")
    if shutil.which("node") is None or not plain_ways.nodemailer_is_here():
        print("Node.js with nodemailer is not here (NODEMAILER): no comparison with it.")


# -- the world ---------------------------------------------------------------------------------------------


@dataclass(slots=True)
class World:
    """Papers, people in groups that are due hour by hour, couriers by key, and letters for the plain ways."""

    parts: Parts
    port: int
    couriers: dict[Key, RelayCourier]
    workers: dict[Key, Workers]  # two of each key; none where SQLite lets one write at a time
    count: int
    letters: list[DigestLetter]
    parcels: list[Parcel]
    hours: Iterator[datetime]


@contextlib.contextmanager
def open_world(folder: Path, url: str | None, port: int, count: int) -> Iterator[World]:
    """Collect, import, and plan the digests of a first group, which only the plain ways send."""
    settings = make_settings(folder, url, port, "none", CONNECTIONS)
    migrate(settings.sqlalchemy_url)
    parts = open_parts(settings)
    collect(parts.database, [MadePapers()], DAY)
    instants = [DAY + number * HOUR for number in range(48) if number % 24 >= FIRST_HOUR][
        : 1 + len(KEYS) * (2 if url else 1) * (1 + ROUNDS)
    ]
    for group, now in enumerate(instants):
        size = min(count, LETTERS) if group == 0 else count
        weekday = f"{now:%a}".lower()
        invite(parts, size, DAY, hour=now.hour, weekday=weekday, first=group * count)
    now = instants[0]
    letters = plan_letters(parts, now)
    couriers = {
        key: open_courier(make_settings(folder, url, port, key, CONNECTIONS), parts.keyring) for key in KEYS
    }
    press = couriers["none"].press
    parcels = [press.make(letter, nonce=number, at=now) for number, letter in enumerate(letters)]
    with contextlib.ExitStack() as stack:
        workers = {
            key: stack.enter_context(
                open_workers(make_settings(folder, url, port, key, CONNECTIONS), WORKERS)
            )
            for key in (KEYS if url else ())
        }
        yield World(parts, port, couriers, workers, count, letters, parcels, iter(instants[1:]))
    parts.database.close()


def plan_letters(parts: Parts, now: datetime) -> list[DigestLetter]:
    """Plan who is due, take the letters, and put the deliveries aside."""
    plan_due(parts.database, now, settings=parts.settings)
    with parts.database.transaction() as session:
        rows = session.scalars(select(DeliveryRow).where(DeliveryRow.status == Status.QUEUED))
        claimed = [
            Claimed(
                id=row.id, nonce=row.nonce, kind=row.kind, subscriber_id=row.subscriber_id,
                digest_id=row.digest_id, attempt=1, created_at=row.created_at, expires_at=row.expires_at,
                parameters=row.parameters,
            )
            for row in rows
        ]  # fmt: skip
        said = parts.composers["digest"].compose(session, claimed, now)
        session.execute(update(DeliveryRow).values(status=Status.CANCELLED, finished_at=now))
    return [letter for letter in said.values() if isinstance(letter, DigestLetter)]


# -- sections ----------------------------------------------------------------------------------------------


def making(world: World) -> None:
    """Measure letters to bytes."""
    print("\nletter to bytes")
    some = world.letters[::PLAIN_SHARE]
    plain = Press(world.couriers["none"].press.sender, world.parts.keyring)
    ways: dict[str, Way] = {
        "EmailMessage, quoted-printable": lambda: make_all(
            lambda letter: plain_ways.email_message(letter, plain.sender).as_bytes(), some
        ),
        "plain way": lambda: make_all(make_by(plain), some),
    }
    for key, name in KEYS.items():
        ways[f"joined, {name}"] = lambda key=key: make_all(  # type: ignore[misc]
            make_by(world.couriers[key].press), world.letters
        )
    show(by_turns(ways), baseline="plain way")


def make_all(make: Callable[[DigestLetter], object], letters: Sequence[DigestLetter]) -> Times:
    """Make every letter and keep none."""

    def work() -> None:
        for letter in letters:
            make(letter)

    return timed(work, len(letters))


def make_by(press: Press) -> Callable[[DigestLetter], object]:
    """Return what makes a parcel of a letter."""
    return lambda letter: press.make(letter, nonce=hash(letter.recipient) % 2**62, at=DAY)


def carrying(world: World) -> None:
    """Measure ready bytes to the relay."""
    print(f"\nready bytes to the relay, {CONNECTIONS} connections")
    parcels, port, tenth = world.parcels, world.port, world.parcels[::10]
    ways: dict[str, Way] = {
        "aiosmtplib, a connection each": lambda: plain_ways.fresh_connections(port, tenth, CONNECTIONS),
        "aiosmtplib, reused": lambda: plain_ways.reused_connections(port, parcels, CONNECTIONS),
        "nodemailer, raw": lambda: nodemailer(world, "raw"),
        "smtp-source": lambda: smtp_source(world),
        "ours": lambda: our_relay(port, parcels, CONNECTIONS),
    }
    show(by_turns(ways), baseline="aiosmtplib, reused")


def far(world: World) -> None:
    """Measure ready bytes to a relay far away."""
    with relay(delay=FAR_SECONDS) as (_, port):
        print(f"\nready bytes to a relay that answers after {1000 * FAR_SECONDS:.0f} ms,"
              f" {FAR_CONNECTIONS} connections")  # fmt: skip
        parcels = (world.parcels * (1 + 8 * FAR_CONNECTIONS // len(world.parcels)))[: 8 * FAR_CONNECTIONS]
        ways: dict[str, Way] = {
            "aiosmtplib, reused": lambda: plain_ways.reused_connections(port, parcels, FAR_CONNECTIONS),
            "ours": lambda: our_relay(port, parcels, FAR_CONNECTIONS),
        }
        medians = by_turns(ways)
    show(medians, baseline="aiosmtplib, reused")
    print_goal("ours to aiosmtplib", medians["aiosmtplib, reused"].wall / medians["ours"].wall, 4)


def our_relay(port: int, parcels: Sequence[Parcel], connections: int) -> Times:
    """Send by Paperlark's own relay."""

    async def work() -> None:
        ours = SmtpRelay(
            endpoint(port), helo_name="bench.example.org", limits=Limits(connections=connections)
        )
        outcomes = await asyncio.gather(*(ours.deliver(parcel) for parcel in parcels))
        await ours.close()
        assert {outcome.verdict for outcome in outcomes} == {Verdict.SENT}

    return plain_ways.run(work(), len(parcels))


def nodemailer(world: World, mode: str) -> Times | None:
    """Let nodemailer send some of the messages, again and again."""
    sender = world.couriers["none"].press.sender
    some = [
        (parcel, plain_ways.email_message(letter, sender))
        for parcel, letter in zip(world.parcels[:50], world.letters[:50], strict=True)
    ]
    return plain_ways.nodemailer(world.port, some, mode, max(len(world.letters) // 2, 300), CONNECTIONS)


def smtp_source(world: World) -> Times | None:
    """Let Postfix's load generator send as much."""
    size = round(statistics.mean(len(parcel.data) for parcel in world.parcels))
    return plain_ways.smtp_source(world.port, size, max(2 * len(world.letters), 1000), CONNECTIONS)


def whole(world: World) -> None:
    """Measure everything: who is due, ranked, frozen, composed, joined, signed, sent, recorded."""
    where = "SQLite" if world.parts.database.is_sqlite else "Postgres"
    print(
        f"\nthe whole way: planned, ranked, joined, signed, sent, recorded in {where};"
        " one process where not said"
    )
    sender, database = world.couriers["none"].press.sender, world.parts.database
    some = world.letters[::PLAIN_SHARE]
    by_server: list[float] = []
    ways: dict[str, Way] = {
        "naive": lambda: plain_ways.naive(
            world.port, some, sender=sender, database=database, lanes=CONNECTIONS
        ),
        "nodemailer, composing": lambda: nodemailer(world, "compose"),
        "nodemailer, raw": lambda: nodemailer(world, "raw"),
        "smtp-source": lambda: smtp_source(world),
    }
    for key, name in KEYS.items():
        ways[name] = lambda key=key: the_whole_way(world, key, by_server)  # type: ignore[misc]
    for key, workers in world.workers.items():
        ways[BY_TWO.format(KEYS[key])] = lambda workers=workers: by_workers(world, workers)  # type: ignore[misc]
    medians = by_turns(ways)
    show(medians, baseline="naive")
    if not database.is_sqlite:
        print(f"  (Postgres itself: {1e6 * statistics.median(by_server):,.0f} us of CPU a message)")
    for key, limit in CPU_GOALS.items():
        print_goal(f"CPU a message, {KEYS[key]}", 1e6 * medians[KEYS[key]].processor, limit, is_most=True)
    for key, other, least in GOALS:
        for name in (KEYS[key], BY_TWO.format(KEYS[key])):
            if other in medians and name in medians:
                print_goal(f"{name} to {other}", medians[other].wall / medians[name].wall, least)


def the_whole_way(world: World, key: Key, by_server: list[float]) -> Times:
    """Plan the digests of the next group, and then send them."""
    now = next(world.hours)
    counts = []

    def work() -> None:
        plan_due(world.parts.database, now, settings=world.parts.settings)
        tally = deliver(
            world.parts.database,
            settings=world.parts.settings,
            keyring=world.parts.keyring,
            composers=world.parts.composers,
            courier=world.couriers[key],
            clock=lambda: now,
            queue=BULK,
            worker="bench",
        )
        counts.append(tally.sent)

    before = postgres_seconds()
    times = timed(work, world.count)
    by_server.append((postgres_seconds() - before) / world.count)
    assert counts == [world.count], counts
    return times


def by_workers(world: World, workers: Workers) -> Times:
    """Plan the digests of the next group; two workers send them from the first chunk on."""
    now, done = next(world.hours), []

    def work() -> None:
        plan_due(
            world.parts.database,
            now,
            settings=world.parts.settings,
            progress=lambda *_: workers.ring(now),
        )
        done.append(workers.finish(now))

    times = timed(work, world.count)
    assert [one.sent for one in done] == [world.count], done
    return times._replace(processor=times.processor + done[0].processor / world.count)


def print_goal(name: str, value: float, goal: float, *, is_most: bool = False) -> None:
    """Print a figure beside its goal."""
    is_met = value <= goal if is_most else value >= goal
    print(f"    {name:<42}{value:>10,.1f}  goal {'<=' if is_most else '>='} {goal:g}"
          f"{'' if is_met else '   missed'}")  # fmt: skip


SECTIONS: dict[str, Callable[[World], None]] = {
    "making": making,
    "carrying": carrying,
    "far": far,
    "whole": whole,
}


if __name__ == "__main__":
    main()
