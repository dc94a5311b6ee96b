"""Whole systems as processes, as an operator starts them: for end-to-end tests."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import httpx2

from service.mailbox.server import running_mailbox
from service.mailbox.store import CaughtMail, MailboxStore
from tests.servers import free_port

START_SECONDS = 60  # generous: the machine may be busy with other tests
PATIENCE_SECONDS = 90
COMMAND = [sys.executable, "-m", "service.cli"]
ROOT = Path(__file__).parents[1]

Found = TypeVar("Found")


def wait_for(look: Callable[[], Found | None], what: str, seconds: float = PATIENCE_SECONDS) -> Found:
    """Look again and again until something is found; fail with ``what`` was not."""
    pause = threading.Event()
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := look():
            return found
        pause.wait(0.05)
    raise AssertionError(f"no {what} within {seconds} s")


def is_alive(pid: int) -> bool:
    """Return whether a process runs (a zombie does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def descendants(pid: int) -> dict[int, str]:
    """Return the command lines of a process and of all below it, by process id."""
    found = {}
    waiting = [pid]
    while waiting:
        one = waiting.pop()
        try:
            found[one] = Path(f"/proc/{one}/cmdline").read_text().replace("\0", " ").strip()
            for task in Path(f"/proc/{one}/task").iterdir():
                waiting += [int(child) for child in (task / "children").read_text().split()]
        except FileNotFoundError:
            continue
    return found


@dataclass
class System:
    """A running system: its pages, its mails, and the commands of its operator."""

    url: str
    store: MailboxStore
    environment: dict[str, str]
    log: Path
    processes: list[subprocess.Popen[str]] = field(default_factory=list)

    @property
    def pages(self) -> httpx2.Client:
        """Make a client for the pages; redirects are not followed."""
        return httpx2.Client(base_url=self.url, timeout=30, trust_env=False, verify=False)

    def mails(self, address: str) -> list[CaughtMail]:
        """Return what was caught for ``address``, oldest first."""
        return [mail for mail in self.store.mails() if address in mail.summary.recipients][::-1]

    def wait_for_mail(self, address: str, number: int) -> CaughtMail:
        """Wait for the mail of that number (from 1) to ``address``."""
        wait_for(
            lambda: len(self.mails(address)) >= number, f"mail {number} for {address}; log: {self.tail()}"
        )
        return self.mails(address)[number - 1]

    def command(self, *words: str, codes: tuple[int, ...] = (0,)) -> Any:
        """Run a command of the operator and return its JSON."""
        done = subprocess.run(
            [*COMMAND, *words, "--json"],
            env=self.environment,
            capture_output=True,
            text=True,
            cwd=ROOT,
            check=False,
        )
        assert done.returncode in codes, (
            f"{words}: {done.returncode}\n{done.stderr[-3000:]}\n{done.stdout[-2000:]}"
        )
        return json.loads(done.stdout)

    def tail(self) -> str:
        """Return the end of the log."""
        lines = self.log.read_text(errors="replace").splitlines()
        return "\n".join(line for line in lines if "http.request" not in line)[-3000:]

    def start(self, *words: str) -> subprocess.Popen[str]:
        """Start a process of the system."""
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                [*COMMAND, *words],
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                cwd=ROOT,
            )
        self.processes.append(process)
        return process

    def stop(self) -> None:
        """Stop every process, in order or else by force."""
        for process in self.processes:
            process.send_signal(signal.SIGINT)
        for process in self.processes:
            try:
                process.communicate(timeout=30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.communicate()


def environment(data_dir: Path, **settings: str) -> dict[str, str]:
    """Return an environment with these settings and no others."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PAPERLARK_")}
    settings = {"embeddings": "off"} | settings  # what is asked of whole systems needs no vectors
    given = {f"PAPERLARK_{name.upper()}": value for name, value in settings.items()}
    return {**kept, "PAPERLARK_DATA_DIR": str(data_dir), **given}


def new_embedded(folder: Path, **settings: str) -> System:
    """Describe a system that ``paperlark serve`` runs; it is not started."""
    url = f"http://127.0.0.1:{free_port()}"
    return System(
        url=url,
        store=MailboxStore(folder / "data" / "mailbox"),
        environment=environment(folder / "data", **{"base_url": url, "sources": "demo", **settings}),
        log=folder / "log",
    )


def start_serve(system: System) -> subprocess.Popen[str]:
    """Start ``paperlark serve`` and wait until it says that it answers."""
    process = system.start("serve")
    assert process.stdout is not None
    line = process.stdout.readline()
    assert system.url in line, f"{line!r}; log: {system.tail()}"
    return process


@contextmanager
def embedded(folder: Path, **settings: str) -> Iterator[System]:
    """Run everything from one command."""
    system = new_embedded(folder, **settings)
    try:
        start_serve(system)
        yield system
    finally:
        system.stop()


@contextmanager
def separate(folder: Path, database_url: str, redis_url: str, **settings: str) -> Iterator[System]:
    """Run web, workers and scheduler as processes of their own, with a mail catcher as the relay."""
    with ExitStack() as stack:
        store = MailboxStore(folder / "caught")
        port = free_port()
        url = f"http://127.0.0.1:{port}"
        system = System(
            url=url,
            store=store,
            environment=environment(
                folder / "data",
                database_url=database_url,
                redis_url=redis_url,
                smtp_url=stack.enter_context(running_mailbox(store)),
                base_url=url,
                **settings,
            ),
            log=folder / "log",
        )
        stack.callback(system.stop)
        system.start("web")
        system.start("worker", "--queues", "papers,digests", "--concurrency", "1")
        system.start("worker", "--queues", "mail.transactional,mail.bulk", "--concurrency", "2")
        system.start("scheduler")
        wait_for(lambda: _answers(url), f"answer; log: {system.tail()}", START_SECONDS)
        yield system


def _answers(url: str) -> bool:
    try:
        return httpx2.get(f"{url}/readyz", timeout=5, trust_env=False, verify=False).status_code == 200
    except httpx2.TransportError:
        return False


# -- recordings for the archive source ------------------------------------------------------------------


@dataclass(frozen=True)
class Recorded:
    """A paper in a recording."""

    id: str
    title: str
    at: datetime  # first seen
    upvotes: int = 5


def write_recordings(folder: Path, papers: list[Recorded]) -> None:
    """Write recordings such as the archive source reads; writing them again adds what is new."""
    folder.mkdir(exist_ok=True)
    texts = [
        {
            "paper": {
                "id": paper.id,
                "title": paper.title,
                "summary": f"{paper.title}. We study this in depth and report what we found.",
                "authors": [{"name": f"Author {paper.id}"}],
                "publishedAt": (paper.at - timedelta(days=1)).isoformat(),
            },
            "publishedAt": (paper.at - timedelta(days=1)).isoformat(),
            "list_date": paper.at.date().isoformat(),
        }
        for paper in papers
    ]
    seen = [
        {
            "id": paper.id,
            "list_date": paper.at.date().isoformat(),
            "at": (paper.at + timedelta(hours=hours)).astimezone(UTC).isoformat(),
            "upvotes": paper.upvotes * (hours + 1),
            "numComments": 1,
            "githubStars": 0,
        }
        for paper in papers
        for hours in (0, 1)
    ]
    for name, lines in (("papers", texts), ("snapshots", seen)):
        text = "".join(json.dumps(line) + "\n" for line in lines)
        (folder / f"{name}.jsonl").write_text(text)


# -- reading mails ---------------------------------------------------------------------------------------


def link_in(mail: CaughtMail, path: str) -> str:
    """Return the one link of the text part that leads below ``path``."""
    links = set(re.findall(rf"https?://\S+?{path}[\w-]+", mail.text or ""))
    assert len(links) == 1, f"{path}: {links} in {mail.text}"
    return links.pop()


def papers_in(mail: CaughtMail) -> list[str]:
    """Return the ids of the papers in a digest, in their order."""
    return list(dict.fromkeys(re.findall(r"/papers/(\d{4}\.\d{5})", mail.text or "")))


def header(mail: CaughtMail, name: str) -> str | None:
    """Return the one header of that name, None if there is none."""
    values = [value for found, value in mail.headers if found.lower() == name.lower()]
    assert len(values) <= 1, f"{name}: {values}"
    return values[0] if values else None
