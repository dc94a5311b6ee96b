"""The commands about digests, as somebody types them."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import typer
from click.testing import Result
from sqlalchemy import func, select, update
from typer.testing import CliRunner

from service.commands import digests as commands
from service.database import Database
from service.keys import Keyring
from service.mail.tables import DeliveryRow
from service.mailbox.store import MailboxStore
from tests import digest_world as world
from tests.conftest import SECRET
from tests.relays import scripted_relay

FRIDAY = datetime(2026, 2, 13, tzinfo=UTC)
HOUR = timedelta(hours=1)
AT = "2026-02-13T08:00:00Z"


class Shell:
    """Runs commands against a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._environment = {
            "PAPERLARK_DATA_DIR": str(folder),
            "PAPERLARK_SOURCES": "demo",
            "PAPERLARK_SECRET_KEY": SECRET,
            "PAPERLARK_ENVIRONMENT": "test",
        }
        self._app = typer.Typer()
        commands.register(self._app)

    def __call__(self, *words: str, code: int = 0) -> Result:
        result = CliRunner().invoke(self._app, list(words), env=self._environment)
        assert result.exit_code == code, (result.output, result.exception)
        return result

    def start(self, *words: str, **settings: str) -> subprocess.Popen[str]:
        """Start a command as a process of its own."""
        return subprocess.Popen(
            [sys.executable, "-m", "service.cli", *words],
            env=os.environ | self._environment | settings,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def json(self, *words: str, code: int = 0) -> dict:
        return json.loads(self(*words, "--json", code=code).stdout)

    def mails(self) -> int:
        return MailboxStore(self.folder / "mailbox").count()


@pytest.fixture
def shell(tmp_path: Path, sqlite_database: Database, keyring: Keyring) -> Shell:
    world.add_papers(sqlite_database, FRIDAY + 6 * HOUR, 30)
    world.note_run(sqlite_database, FRIDAY + 7 * HOUR)
    world.note_tick(sqlite_database, FRIDAY)
    world.add_people(sqlite_database, [world.a_person(n, keyring) for n in (1, 2, 3)])
    return Shell(tmp_path)


def test_run_due_sends_to_the_local_mailbox_and_prints_the_books(shell: Shell) -> None:
    report = shell.json("run-due", "--at", AT)
    assert report["accounting"] == {
        "2026-02-13": {
            "due": 3, "sent": 3, "deferred": 0, "failed": 0, "unknown": 0, "queued": 0, "cancelled": 0,
            "skipped": {},
        }
    }  # fmt: skip
    assert report["planned"] == {"digests": 3, "skipped": {}}
    assert shell.mails() == 3

    again = shell.json("run-due", "--at", AT)
    assert again["planned"]["digests"] == 0
    assert shell.mails() == 3
    assert shell.json("accounting", "--date", "2026-02-13") == report["accounting"]["2026-02-13"]
    assert "due 3, sent 3" in shell("accounting", "--date", "2026-02-13").stdout


def test_what_waits_from_an_earlier_run_is_not_told_as_done(shell: Shell, sqlite_database: Database) -> None:
    shell("run-due", "--at", AT)
    with sqlite_database.transaction() as session:
        session.execute(
            update(DeliveryRow)
            .where(DeliveryRow.id == select(func.min(DeliveryRow.id)).scalar_subquery())
            .values(status="deferred", next_at=FRIDAY + 9 * HOUR)
        )

    report = shell.json("run-due", "--at", "2026-02-13T08:05:00Z", code=3)
    assert report["accounting"]["2026-02-13"]["deferred"] == 1


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_who_stops_a_run_has_no_unknowns_of_it(
    shell: Shell, sqlite_database: Database, keyring: Keyring, number: signal.Signals
) -> None:
    """The relay has a message and has not answered yet when the word to stop comes."""
    world.add_people(sqlite_database, [world.a_person(n, keyring) for n in range(10, 210)])
    running: list[subprocess.Popen[str]] = []

    def script(stage: str, _connection: int, _message: int) -> None:
        if stage == "dot" and running:
            running.pop().send_signal(number)
            time.sleep(0.5)

    with scripted_relay(script) as relay:
        url = f"smtp://127.0.0.1:{relay.port}?starttls=never"
        process = shell.start("run-due", "--at", AT, PAPERLARK_SMTP_URL=url)
        running.append(process)
        out, err = process.communicate(timeout=60)
    assert process.returncode == 128 + number, err
    assert "Stopping" in err
    with sqlite_database.reading() as session:
        statuses = Counter(session.scalars(select(DeliveryRow.status)))
    assert statuses.keys() == {"sent", "queued"}
    assert statuses["sent"] == len(relay.accepted)
    assert f"sent {statuses['sent']}," in out


def test_an_instant_or_date_that_is_none_is_refused(shell: Shell) -> None:
    shell("run-due", "--at", "tomorrow", code=2)
    shell("accounting", "--date", "13.02.2026", code=2)
    shell("preview", code=2)


def test_a_date_without_digests_has_empty_books(shell: Shell) -> None:
    books = shell.json("accounting", "--date", "2001-01-01")
    assert books.pop("skipped") == {}
    assert set(books.values()) == {0}


def test_preview_prints_the_text_and_writes_the_html(shell: Shell, tmp_path: Path) -> None:
    page = tmp_path / "digest.html"
    result = shell("preview", "--address", "Reader1@Example.org", "--at", AT, "--html", str(page))
    assert result.stdout.startswith("Subject: On ")
    assert "https://arxiv.org/abs/2602.13" in result.stdout
    assert page.read_text().lstrip().lower().startswith("<!doctype html")
    assert shell.mails() == 0

    profile = tmp_path / "profile.json"
    profile.write_text(json.dumps({"interests": [{"name": "Robots", "phrases": ["robotics"]}], "seen": []}))
    shown = shell.json("preview", "--profile", str(profile), "--at", AT, "--papers", "3")
    assert "robotics" in shown["text"]

    shell("preview", "--address", "nobody@example.org", "--at", AT, code=1)
    profile.write_text("[1, 2]")
    shell("preview", "--profile", str(profile), "--at", AT, code=2)
    shell("preview", "--address", "reader1@example.org", "--at", "2020-01-01", code=1)


def test_a_hold_keeps_digests_until_the_release(shell: Shell) -> None:
    shell("release", code=1)
    shell("hold", "--reason", "moving")
    held = shell.json("run-due", "--at", AT, code=3)
    assert held["held"]
    assert shell.mails() == 0

    assert shell.json("release") == {"marked_done": 0, "cancelled": 0}
    shell("run-due", "--at", AT)
    assert shell.mails() == 3


def test_after_a_restore_the_release_marks_what_was_due_as_done(
    shell: Shell, sqlite_database: Database
) -> None:
    world.note_tick(sqlite_database, datetime.now(UTC) - timedelta(hours=30))
    shell("hold", "--restored")
    released = shell.json("release")
    assert released["marked_done"] >= 3
    assert {outcome for _, _, outcome in world.outcomes(sqlite_database)} == {"held"}
