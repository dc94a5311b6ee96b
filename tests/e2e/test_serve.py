"""``paperlark serve`` as a process: it starts, looks after its parts, and leaves nothing behind."""

import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from tests import systems
from tests.systems import COMMAND, ROOT, System, descendants, is_alive, start_serve, wait_for

STOP_SECONDS = 3.0
pytestmark = pytest.mark.skipif(not Path("/proc/self").exists(), reason="looks at processes through /proc")


@pytest.fixture
def system(tmp_path: Path) -> Iterator[System]:
    system = systems.new_embedded(tmp_path)
    yield system
    system.stop()


def part(tree: dict[int, str], name: str) -> int:
    (pid,) = [pid for pid, command in tree.items() if name in command]
    return pid


def wait_for_parts(serve: subprocess.Popen[str]) -> dict[int, str]:
    """Wait until the whole tree runs: pages, broker, worker."""

    def look() -> dict[int, str] | None:
        tree = descendants(serve.pid)
        commands = " ".join(tree.values())  # a child just forked still bears its parent's
        return tree if "valkey-server" in commands and " worker " in commands else None

    return wait_for(look, "tree of three processes")


def wait_for_worker(system: System) -> None:
    """Wait until the worker has worked: the demo's papers are on the page."""
    with system.pages as pages:
        wait_for(lambda: "/papers/" in pages.get("/").text, "paper on the page")


def test_ctrl_c_stops_every_process_within_three_seconds(system: System) -> None:
    serve = start_serve(system)
    with system.pages as pages:
        assert pages.get("/").status_code == 200  # it answers when it says so
        assert pages.get("/mailbox").status_code == 200
    tree = wait_for_parts(serve)
    wait_for_worker(system)

    began = time.monotonic()
    serve.send_signal(signal.SIGINT)
    code = serve.wait(timeout=30)
    took = time.monotonic() - began

    assert code == 0
    assert not [command for pid, command in tree.items() if is_alive(pid)]
    assert took < STOP_SECONDS, system.tail()
    assert "Traceback" not in system.log.read_text()


def test_a_killed_parent_leaves_no_orphans_and_the_folder_is_free(system: System) -> None:
    serve = start_serve(system)
    tree = wait_for_parts(serve)
    wait_for_worker(system)

    serve.kill()
    serve.wait()
    wait_for(lambda: not [pid for pid in tree if is_alive(pid)], "end of all children", 15)

    start_serve(system)
    wait_for_worker(system)


def test_it_says_so_when_the_folder_or_the_port_is_taken(system: System, tmp_path: Path) -> None:
    start_serve(system)
    same_folder = run_to_its_end(system.environment, "serve", "--port", str(systems.free_port()))
    assert same_folder.returncode == 1
    assert re.search(r"already runs on .*data \(process \d+\)", same_folder.stderr)

    port = system.url.rpartition(":")[2]
    other_folder = systems.environment(tmp_path / "other", base_url=system.url)
    same_port = run_to_its_end(other_folder, "serve")
    assert same_port.returncode == 1
    assert f"127.0.0.1:{port}" in same_port.stderr
    assert "--port" in same_port.stderr


def run_to_its_end(environment: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *words], env=environment, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.trust(105)
def test_parts_that_die_are_started_again_and_a_forgetful_broker_loses_nothing(system: System) -> None:
    serve = start_serve(system)
    tree = wait_for_parts(serve)
    wait_for_worker(system)

    broker_url = read_broker_url(Path(system.environment["PAPERLARK_DATA_DIR"]))
    with redis.Redis.from_url(broker_url) as broker:
        broker.flushall()
    subscribe(system, "after-flush@example.org")
    system.wait_for_mail("after-flush@example.org", 1)

    worker = part(tree, " worker ")
    os.kill(worker, signal.SIGKILL)
    subscribe(system, "after-worker@example.org")
    system.wait_for_mail("after-worker@example.org", 1)
    assert "child_died" in system.log.read_text()

    os.kill(part(tree, "valkey-server"), signal.SIGKILL)
    wait_for(lambda: part_or_none(descendants(serve.pid), "valkey-server", tree), "new broker")
    assert read_broker_url(Path(system.environment["PAPERLARK_DATA_DIR"])) == broker_url

    assert "@example.org" not in system.log.read_text()


def part_or_none(tree: dict[int, str], name: str, before: dict[int, str]) -> int | None:
    return next((pid for pid, command in tree.items() if name in command and pid not in before), None)


def read_broker_url(data_dir: Path) -> str:
    words = dict(
        line.split(" ", 1) for line in (data_dir / "broker" / "valkey.conf").read_text().splitlines()
    )
    return f"redis://:{words['requirepass']}@127.0.0.1:{words['port']}/0"


def subscribe(system: System, address: str) -> None:
    with system.pages as pages:
        stamp = re.search(r'name="stamp" value="([^"]+)"', pages.get("/").text)
        assert stamp is not None
        answer = pages.post(
            "/subscribe", data={"address": address, "stamp": stamp[1], "words": "robots", "timezone": "UTC"}
        )
    assert answer.status_code == 303, answer.text


def test_a_request_in_flight_does_not_hold_up_the_end(system: System) -> None:
    serve = start_serve(system)
    port = int(system.url.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port)) as idle:
        idle.sendall(b"GET / HTTP/1.1\r\n")  # and never the rest
        began = time.monotonic()
        serve.send_signal(signal.SIGTERM)
        assert serve.wait(timeout=30) == 0
        assert time.monotonic() - began < STOP_SECONDS, system.tail()
