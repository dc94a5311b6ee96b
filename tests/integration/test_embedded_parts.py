"""The parts that ``paperlark serve`` starts: broker, child processes, the folder's lock."""

import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from structlog.testing import capture_logs

from service.embedded.broker import Broker, find_valkey
from service.embedded.child import FIRST_PAUSE_SECONDS, HEALTHY_SECONDS, LONGEST_PAUSE_SECONDS, Child
from service.embedded.lock import AlreadyRunning, only_one


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    binary = find_valkey()
    assert binary is not None
    broker = Broker(binary, tmp_path / "broker")
    broker.start()
    yield broker
    broker.stop()


def ask(url: str, *command: str | int) -> Any:
    with redis.Redis.from_url(url, decode_responses=True) as client:
        return client.execute_command(*command)


def test_the_broker_keeps_what_it_has_over_a_crash(broker: Broker) -> None:
    ask(broker.url, "SET", "key", "value")
    ask(broker.url, "WAITAOF", 1, 0, 5000)
    assert broker.pid is not None
    os.kill(broker.pid, 9)
    while broker.is_running():
        pass

    url = broker.url
    broker.restart()

    assert broker.url == url
    assert ask(url, "GET", "key") == "value"


def test_the_broker_is_ours_alone(broker: Broker, tmp_path: Path) -> None:
    without_password = broker.url.split("://")[0] + "://" + broker.url.split("@")[1]
    with pytest.raises(redis.AuthenticationError):
        ask(without_password, "PING")
    assert (tmp_path / "broker" / "valkey.conf").stat().st_mode & 0o077 == 0
    assert (tmp_path / "broker").stat().st_mode & 0o077 == 0
    password = broker.url.split(":")[2].split("@")[0]
    assert password not in Path(f"/proc/{broker.pid}/cmdline").read_text()
    config = ask(broker.url, "CONFIG GET", "*")
    assert (config["bind"], config["appendonly"], config["maxmemory-policy"]) == (
        "127.0.0.1",
        "yes",
        "noeviction",
    )


def test_a_broker_left_over_from_before_is_stopped_first(broker: Broker, tmp_path: Path) -> None:
    ask(broker.url, "SET", "key", "value")
    second = Broker(find_valkey(), tmp_path / "broker")  # type: ignore[arg-type]
    second.start()
    try:
        assert not broker.is_running()
        assert ask(second.url, "GET", "key") == "value"
    finally:
        second.stop()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only Linux ends children with their parent")
def test_the_broker_ends_with_its_parent_even_when_that_is_killed(tmp_path: Path) -> None:
    program = (
        "import sys, time; from pathlib import Path\n"
        "from service.embedded.broker import Broker, find_valkey\n"
        "broker = Broker(find_valkey(), Path(sys.argv[1])); broker.start()\n"
        "print(broker.pid, flush=True); time.sleep(60)"
    )
    parent = subprocess.Popen([sys.executable, "-c", program, tmp_path], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    parent.kill()
    parent.communicate()

    wait_until(lambda: not Path(f"/proc/{pid}").exists())


def wait_until(condition: Callable[[], bool], seconds: float = 10) -> None:
    tries = threading.Event()
    for _ in range(int(seconds / 0.01)):
        if condition():
            return
        tries.wait(0.01)
    pytest.fail("it did not happen in time")


class Hours:
    """A clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def die_and_notice(child: Child) -> dict:
    wait_until(lambda: not child.is_running())
    with capture_logs() as logs:
        child.look_after()
    (entry,) = logs
    return entry


def test_a_child_that_dies_is_started_again_after_pauses_that_grow() -> None:
    hours = Hours()
    child = Child("worker", [sys.executable, "-c", "raise SystemExit(3)"], {}, monotonic=hours)
    child.start()
    pauses = []
    for _ in range(7):
        entry = die_and_notice(child)
        assert (entry["event"], entry["child"], entry["exit_code"]) == ("child_died", "worker", 3)
        pauses.append(entry["again_in_seconds"])
        first = child.pid
        child.look_after()
        assert child.pid == first  # not before its time
        hours.now += entry["again_in_seconds"]
        child.look_after()
        assert child.pid != first
    child.end()

    assert pauses == [1, 2, 4, 8, 16, LONGEST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS]


def test_a_child_that_lived_for_long_is_started_again_soon() -> None:
    hours = Hours()
    child = Child("worker", [sys.executable, "-c", ""], {}, monotonic=hours)
    child.start()
    for _ in range(3):
        hours.now += die_and_notice(child)["again_in_seconds"]
        child.look_after()
    hours.now += HEALTHY_SECONDS
    assert die_and_notice(child)["again_in_seconds"] == FIRST_PAUSE_SECONDS
    child.end()


def test_a_child_sees_the_end_of_its_parent_on_standard_input() -> None:
    program = (
        "import sys, time; from service.embedded.child import Child\n"
        "child = Child('c', [sys.executable, '-c', 'import os; os.read(0, 1)'], {}); child.start()\n"
        "print(child.pid, flush=True); time.sleep(60)"
    )
    parent = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    assert Path(f"/proc/{pid}").exists()
    parent.kill()
    parent.communicate()

    wait_until(lambda: not Path(f"/proc/{pid}").exists())


def test_a_folder_has_one_holder_and_is_free_when_that_is_killed(tmp_path: Path) -> None:
    program = (
        "import sys, time; from pathlib import Path; from service.embedded.lock import only_one\n"
        "with only_one(Path(sys.argv[1])): print('held', flush=True); time.sleep(60)"
    )
    holder = subprocess.Popen([sys.executable, "-c", program, tmp_path], stdout=subprocess.PIPE, text=True)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    with pytest.raises(AlreadyRunning, match=rf"process {holder.pid}\)"), only_one(tmp_path):
        pass

    holder.kill()
    holder.communicate()
    with only_one(tmp_path):
        assert int((tmp_path / "serve.lock").read_text()) == os.getpid()
