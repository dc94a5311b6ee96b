"""A morning on which everything goes wrong once, with real processes: nothing doubled or silently lost.

While a worker sends, the database crashes twice, and the broker is full, away, and forgets everything. Nobody
looks after the worker meanwhile.
"""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
import redis

from service.embedded.broker import Broker, find_valkey
from service.mail.courier import WINDOW
from tests import servers
from tests.e2e.test_kills import LOCAL_HOUR, _offset, morning_zone
from tests.systems import ROOT, wait_for
from workers.bell import CeleryBell

PEOPLE, CONCURRENCY = 700, 2


class Sink:
    """The relay; what it took it has written down."""

    def __init__(self, folder: Path) -> None:
        self.log, self.port = folder / "accepted.log", servers.free_port()
        self.log.touch()
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        words = ["--log", str(self.log), "--port", str(self.port), "--delay", "0.02"]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.sink", *words], stdout=subprocess.PIPE, cwd=ROOT
        )
        assert self._process.stdout is not None
        self._process.stdout.readline()

    def kill(self) -> None:
        if self._process is not None and self._process.stdout is not None:
            self._process.kill()
            self._process.wait()
            self._process.stdout.close()

    @property
    def accepted(self) -> list[str]:
        return [line.partition("\t")[0] for line in self.log.read_text().splitlines()]


@pytest.fixture
def database_url() -> Iterator[str]:
    """A Postgres of this test's own, which it may crash."""
    with servers.postgres() as server:
        with psycopg.connect(f"{server}/postgres", autocommit=True) as connection:
            connection.execute("CREATE DATABASE paperlark")
            # As a server does unless told otherwise; for tests that crash nothing ours is told to be quicker.
            connection.execute("ALTER DATABASE paperlark SET synchronous_commit = on")
        yield f"{server}/paperlark"


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    binary = find_valkey()
    assert binary is not None
    made = Broker(binary, tmp_path / "broker")
    made.start()
    yield made
    made.stop()


@pytest.fixture
def sink(tmp_path: Path) -> Iterator[Sink]:
    made = Sink(tmp_path)
    made.start()
    yield made
    made.kill()


def connect(database_url: str) -> psycopg.Connection[Any]:
    """Connect as soon as the server takes somebody in."""

    def look() -> psycopg.Connection[Any] | None:
        with contextlib.suppress(psycopg.OperationalError):
            return psycopg.connect(database_url)
        return None

    return wait_for(look, "database")


def crash(database_url: str) -> None:
    """Kill one of the server's processes at work: it then drops all connections and recovers."""
    with connect(database_url) as connection:
        connection.autocommit = True
        others = "datname = current_database() AND pid <> pg_backend_pid()"
        query = f"SELECT pid FROM pg_stat_activity WHERE {others}"
        (pid,) = wait_for(lambda: connection.execute(query).fetchone(), "connection of the worker's")
        os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(psycopg.Error):
            connection.execute("SELECT pg_sleep(30)")  # until we are dropped as well


def full(broker: Broker, *, is_full: bool) -> None:
    with redis.Redis.from_url(broker.url) as client:
        client.config_set("maxmemory", "1" if is_full else "256mb")


@pytest.mark.trust(102, 104, 105)
@pytest.mark.timeout(300)
def test_a_morning_of_outages(tmp_path: Path, database_url: str, broker: Broker, sink: Sink) -> None:
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("PAPERLARK_")},
        "PAPERLARK_DATA_DIR": str(tmp_path / "data"),
        "PAPERLARK_SOURCES": "demo",
        "PAPERLARK_SMTP_URL": f"smtp://127.0.0.1:{sink.port}?starttls=never",
        "PAPERLARK_BASE_URL": "http://127.0.0.1:8000",
        "PAPERLARK_DATABASE_URL": database_url,
        "PAPERLARK_REDIS_URL": broker.url,
    }
    command = [sys.executable, "-m", "service.cli"]

    def run(*words: str) -> str:
        return subprocess.run(
            [*command, *words], check=True, env=environment, capture_output=True, text=True, cwd=ROOT
        ).stdout

    run("migrate")
    run("collect")
    people = [f"reader{n}@example.org,{morning_zone()},{LOCAL_HOUR},daily" for n in range(PEOPLE)]
    (tmp_path / "people.csv").write_text("\n".join(["email,timezone,hour,weekdays", *people, ""]))
    run("subscribers", "import", str(tmp_path / "people.csv"), "--confirmed")

    with (tmp_path / "diary.log").open("wb") as diary:
        worker = subprocess.Popen(
            [*command, "worker", "--concurrency", str(CONCURRENCY)],
            env=environment, stdout=diary, stderr=diary, cwd=ROOT,
        )  # fmt: skip
    bell = CeleryBell(broker.url)

    def goes_on(more: int) -> Callable[[], bool]:
        """Ring as the scheduler would, only oftener, until ``more`` mails went out."""
        until = len(sink.accepted) + more

        def look() -> bool:
            for ring in (("mail.sweep",), ("digests.plan_due",), ("mail.deliver", "bulk")):
                bell.ring(*ring)
            return len(sink.accepted) >= until

        return look

    def books() -> dict[str, int]:
        day = (datetime.now(UTC) + _offset()).date().isoformat()
        return json.loads(run("accounting", "--date", day, "--json"))

    def sends(more: int = 60) -> None:
        wait_for(goes_on(more), f"mail; diary: {(tmp_path / 'diary.log').read_text()[-3000:]}")

    try:
        sends()
        crash(database_url)
        sends()
        full(broker, is_full=True)
        crash(database_url)
        full(broker, is_full=False)
        sends()
        broker.stop()
        broker.restart()
        sends()
        with redis.Redis.from_url(broker.url) as client:
            client.flushall()
        wait_for(lambda: goes_on(PEOPLE)() or _is_over(database_url), "end", seconds=120)
        assert worker.poll() is None, (tmp_path / "diary.log").read_text()[-3000:]
    finally:
        bell.close()
        worker.terminate()
        worker.wait(60)

    copies, found = Counter(sink.accepted), books()
    assert [reader for reader, count in copies.items() if count > 1] == []
    assert found["due"] == found["sent"] + found["unknown"] == PEOPLE
    # Nothing at all, unless the database was away for longer than a worker keeps what it knows.
    assert PEOPLE - len(copies) <= found["unknown"] <= 2 * WINDOW * CONCURRENCY
    told = (tmp_path / "diary.log").read_text()
    assert "example.org" not in told
    for event in ("digests_planned", "mail_delivered"):
        assert re.search(rf"\[info *\] {event} ", told), event
    assert not re.search(r"\[info *\].*\[(?:celery|kombu)", told)  # each task would make two lines


def test_a_full_broker_fills_no_log(tmp_path: Path, broker: Broker) -> None:
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("PAPERLARK_")},
        "PAPERLARK_DATA_DIR": str(tmp_path / "data"),
        "PAPERLARK_REDIS_URL": broker.url,
    }
    command = [sys.executable, "-m", "service.cli"]
    subprocess.run([*command, "migrate"], check=True, env=environment, cwd=ROOT)
    full(broker, is_full=True)
    bell = CeleryBell(broker.url)
    with redis.Redis.from_url(broker.url) as client, (tmp_path / "diary.log").open("wb") as diary:

        def refused(times: int) -> bool:
            return client.info("errorstats").get("errorstat_OOM", {"count": 0})["count"] >= times

        def heard() -> bool:
            bell.ring("mail.sweep")
            return client.llen("mail.transactional") == 0

        worker = subprocess.Popen(
            [*command, "worker", "--concurrency", "1"], env=environment, stdout=diary, stderr=diary, cwd=ROOT
        )
        try:
            wait_for(lambda: refused(30), "tries")
            full(broker, is_full=False)
            wait_for(lambda: client.info("clients")["blocked_clients"] > 0, "worker that listens")
            wait_for(heard, "worker that takes tasks")
        finally:
            bell.close()
            worker.terminate()
            worker.wait(60)
    told = [line for line in (tmp_path / "diary.log").read_text().splitlines() if line.strip()]
    assert sum("broker_away" in line for line in told) == 1
    assert len(told) <= 3, told


def _is_over(database_url: str) -> bool:
    """Say whether nothing waits."""
    with connect(database_url) as connection:
        waiting = "status IN ('queued', 'deferred', 'claimed', 'sending')"
        (count,) = connection.execute(f"SELECT count(*) FROM deliveries WHERE {waiting}").fetchone() or (1,)
    return count == 0
