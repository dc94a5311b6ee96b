"""kill -9 while digests go out, ten times over: nobody gets two, nobody is forgotten, losses are counted.

The judge is a sink that writes down what it accepts before it says so; it survives the kills. Some come at
random, the others at a named point of the conversation, where the sink itself pulls the trigger; before some,
the broker forgets everything. ``PAPERLARK_TEST_KILLS=200`` makes it two hundred kills; it takes a while.
"""

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO

import pytest
import redis
from sqlalchemy import update

from service.config import Settings
from service.database import make_engine
from service.mail.claiming import SENDING_LEASE
from service.mail.courier import WINDOW
from service.mail.tables import DeliveryRow
from tests.servers import free_port
from tests.sink import POINTS
from workers.bell import CeleryBell

KILLS = int(os.environ.get("PAPERLARK_TEST_KILLS", "10"))
PEOPLE = 500 + 120 * KILLS
CONCURRENCY = 2
PATIENCE_SECONDS = 120
LOCAL_HOUR = 9


@dataclass(slots=True)
class Stage:
    """A system set up in a folder of its own, with the sink that judges it."""

    environment: dict[str, str]
    log: Path
    trap: Path
    diary: IO[bytes]  # what the processes say, for whoever looks into a failure

    def accepted(self) -> list[str]:
        """Return the recipient of each message the sink took, in order."""
        return [line.partition("\t")[0] for line in self.log.read_text().splitlines()]

    def run(self, *words: str, codes: tuple[int, ...] = (0,)) -> str:
        """Run a command to its end and return what it printed."""
        done = subprocess.run(
            [sys.executable, "-m", "service.cli", *words],
            check=False,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=300 + PEOPLE // 10,
        )
        assert done.returncode in codes, f"{words} left with {done.returncode}:\n{done.stderr[-3000:]}"
        return done.stdout

    def start(self, *words: str) -> subprocess.Popen[bytes]:
        """Start a command as the head of a process group of its own."""
        return subprocess.Popen(
            [sys.executable, "-m", "service.cli", *words],
            env=self.environment,
            stdout=self.diary,
            stderr=self.diary,
            start_new_session=True,
        )

    def let_leases_lapse(self) -> None:
        """Do to the rows of the dead what a quarter of an hour would."""
        engine = make_engine(Settings(**self.settings()).sqlalchemy_url)
        with engine.begin() as connection:
            lapsed = update(DeliveryRow).where(DeliveryRow.status.in_(["claimed", "sending"]))
            connection.execute(lapsed.values(lease_until=datetime(2000, 1, 1, tzinfo=UTC)))
        engine.dispose()

    def kill_at(self, point: str, count: int, process: subprocess.Popen[bytes], *, group: bool) -> None:
        """Let the sink kill a process (or its group) when ``point`` comes by for the ``count``th time."""
        draft = self.trap.with_suffix(".draft")
        draft.write_text(f"{point} {count} {-process.pid if group else process.pid}")
        draft.rename(self.trap)
        try:
            assert process.wait(PATIENCE_SECONDS) == -signal.SIGKILL
        except subprocess.TimeoutExpired:
            raise AssertionError(f"the point {point!r} never came by") from None

    def settings(self) -> dict[str, str]:
        """Return the settings of the environment by field name."""
        prefix = "PAPERLARK_"
        return {
            name.removeprefix(prefix).lower(): value
            for name, value in self.environment.items()
            if name.startswith(prefix)
        }

    def wait_for(self, count: int) -> bool:
        """Wait until the sink has taken ``count`` messages; say whether it has."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            if self.log.read_bytes().count(b"\n") >= count:
                return True
            time.sleep(0.02)  # the machine is for those who are watched, not for the watcher
        return False


def morning_zone() -> str:
    """Return a zone where it is between nine and ten in the morning: everybody is due all test long."""
    ahead = (LOCAL_HOUR - datetime.now(UTC).hour + 11) % 24 - 11
    return f"Etc/GMT{-ahead:+d}" if ahead else "Etc/UTC"  # the sign of Etc/GMT is that of POSIX: reversed


@contextlib.contextmanager
def sink(folder: Path) -> Iterator[tuple[str, Path, Path]]:
    """Run a sink that takes its time with each message; gives its relay URL, its log and its trap."""
    log, trap = folder / "accepted.log", folder / "trap"
    log.touch()
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.sink", "--log", str(log), "--delay", "0.02", "--trap", str(trap)],
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    )
    try:
        port = int(process.stdout.readline())
        yield f"smtp://127.0.0.1:{port}?starttls=never", log, trap
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.fixture
def make_stage(tmp_path: Path) -> Iterator[Callable[..., Stage]]:
    """Give a function that sets up a stage, its papers collected and its subscribers confirmed."""
    with contextlib.ExitStack() as stack:

        def make(**settings: str) -> Stage:
            relay, log, trap = stack.enter_context(sink(tmp_path))
            environment = {
                **{name: value for name, value in os.environ.items() if not name.startswith("PAPERLARK_")},
                "PAPERLARK_DATA_DIR": str(tmp_path / "data"),
                "PAPERLARK_SOURCES": "demo",
                "PAPERLARK_SMTP_URL": relay,
                "PAPERLARK_BASE_URL": f"http://127.0.0.1:{free_port()}",
                **settings,
            }
            stage = Stage(environment, log, trap, stack.enter_context((tmp_path / "diary.log").open("wb")))
            stage.run("migrate")
            stage.run("collect")
            people = tmp_path / "people.csv"
            lines = [f"reader{n}@example.org,{morning_zone()},{LOCAL_HOUR},daily" for n in range(PEOPLE)]
            people.write_text("\n".join(["email,timezone,hour,weekdays", *lines, ""]))
            stage.run("subscribers", "import", str(people), "--confirmed")
            return stage

        yield make


def judge(stage: Stage, kills: int) -> None:
    """Let the dust settle, as time would, and hold the sink's word against ours."""
    issue_date = (datetime.now(UTC) + _offset()).date().isoformat()
    later = datetime.now(UTC) + SENDING_LEASE + timedelta(minutes=5)
    stage.run("run-due", "--at", later.isoformat(), "--json")
    books = json.loads(stage.run("accounting", "--date", issue_date, "--json"))
    copies = Counter(stage.accepted())
    print(f"{kills} kills: {books}; {PEOPLE - len(copies)} never arrived")  # for whoever asks (-rP)

    assert {reader: count for reader, count in copies.items() if count > 1} == {}
    assert {
        name: books[name] for name in ("due", "deferred", "failed", "queued", "cancelled", "skipped")
    } == {"due": PEOPLE, "deferred": 0, "failed": 0, "queued": 0, "cancelled": 0, "skipped": {}}
    assert books["sent"] + books["unknown"] == PEOPLE
    lost = PEOPLE - len(copies)
    assert 0 <= lost <= books["unknown"] <= kills * WINDOW * CONCURRENCY


def _offset() -> timedelta:
    ahead = (LOCAL_HOUR - datetime.now(UTC).hour + 11) % 24 - 11
    return timedelta(hours=ahead)


@dataclass(frozen=True, slots=True)
class Kill:
    """One kill: where, after how much, and whether the broker has forgotten everything before it."""

    point: str | None  # None: at random
    count: int
    forget: bool


def plan(chance: random.Random) -> list[Kill]:
    """Plan the kills: at random and at each point in turn, every other one with a forgetful broker."""
    kills = []
    for number in range(KILLS):
        point = (None, *POINTS)[number % (1 + len(POINTS))]
        count = 1 if point in ("connect", "ehlo") else chance.randint(1, 60)
        kills.append(Kill(point, count, forget=number % 2 == 1))
    return kills


def carry_out(
    stage: Stage, kill: Kill, process: subprocess.Popen[bytes], *, group: bool, forget: Callable[[], None]
) -> None:
    """Kill a process that sends; at the latest when its time is up it is dead all the same."""
    before = len(stage.accepted())
    try:
        if kill.forget and kill.count > 1:
            assert stage.wait_for(before + 1), "no digest went out"
            forget()
        if kill.point is not None:
            stage.kill_at(kill.point, kill.count, process, group=group)
        else:
            assert stage.wait_for(before + kill.count), "no digest went out"
    finally:
        stage.trap.unlink(missing_ok=True)
        with contextlib.suppress(ProcessLookupError):
            (os.killpg if group else os.kill)(process.pid, signal.SIGKILL)
        process.wait()
    time.sleep(0.3)  # what the dead wrote to their sockets may still arrive
    stage.let_leases_lapse()


@pytest.mark.trust(102, 104, 105)
@pytest.mark.timeout(600 + 60 * KILLS)
def test_killing_the_whole_process_tree(make_stage: Callable[..., Stage]) -> None:
    """One process tree, SQLite, our own broker: only the head is killed, the kernel takes the rest."""
    stage = make_stage()
    kills = plan(random.Random(7))
    for kill in kills:
        tree = stage.start("serve")
        carry_out(stage, kill, tree, group=False, forget=lambda: forget_all(broker_of(stage)))
    assert len(stage.accepted()) < PEOPLE, "it was over before the last kill: nothing was tested"
    judge(stage, len(kills))


@pytest.mark.trust(102, 104, 105)
@pytest.mark.timeout(600 + 60 * KILLS)
def test_killing_the_worker(make_stage: Callable[..., Stage], postgres_url: str, redis_url: str) -> None:
    """Processes of their own, Postgres, Valkey: the worker with all its children is killed."""
    stage = make_stage(PAPERLARK_DATABASE_URL=postgres_url, PAPERLARK_REDIS_URL=redis_url)
    kills, bell = plan(random.Random(11)), CeleryBell(redis_url)
    for kill in kills:
        worker = stage.start("worker", "--concurrency", str(CONCURRENCY))
        bell.ring("mail.sweep")
        bell.ring("digests.plan_due")
        bell.ring("mail.deliver", "bulk")
        bell.ring("mail.deliver", "bulk")
        carry_out(stage, kill, worker, group=True, forget=lambda: forget_all(redis_url))
    bell.close()
    assert len(stage.accepted()) < PEOPLE, "it was over before the last kill: nothing was tested"
    judge(stage, len(kills))


def forget_all(broker_url: str) -> None:
    """Empty the broker; it may just be starting, while the worker of a dead tree still sends its last."""
    with redis.Redis.from_url(broker_url) as broker:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                broker.flushall()
            except redis.ConnectionError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)
            else:
                return


def broker_of(stage: Stage) -> str:
    """Return the URL of the broker that a process tree runs for itself."""
    file = Path(stage.environment["PAPERLARK_DATA_DIR"]) / "broker" / "valkey.conf"
    words = dict(line.split(" ", 1) for line in file.read_text().splitlines())
    return f"redis://:{words['requirepass']}@127.0.0.1:{words['port']}/0"
