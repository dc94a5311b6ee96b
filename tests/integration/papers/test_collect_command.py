"""``paperlark collect``: words for people, JSON for machines, exit codes that mean something."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ITEM = {"paper": {"id": "2602.00001", "title": "Larks", "upvotes": 4}}


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    folder = tmp_path / "recordings"
    folder.mkdir()
    (folder / "2026-02-12__who__2026-02-12T080000Z.json").write_text(json.dumps([ITEM, {}]))
    return folder


def collect(
    folder: Path, archive: Path, *arguments: str, sources: str = "archive"
) -> subprocess.CompletedProcess[str]:
    environment = {
        **os.environ,
        "PAPERLARK_DATA_DIR": str(folder / "data"),
        "PAPERLARK_SOURCES": sources,
        "PAPERLARK_ARCHIVE_PATH": str(archive),
    }
    command = [sys.executable, "-m", "service.cli", "collect", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


def test_a_table_for_people(tmp_path: Path, archive: Path) -> None:
    ran = collect(tmp_path, archive, "--at", "2026-02-13T08:00:00Z")

    assert ran.returncode == 0, ran.stderr
    heading, row, message = ran.stdout.splitlines()
    assert heading.split() == [
        "source",
        "outcome",
        "papers",
        "new",
        "observations",
        "malformed",
        "newest",
        "list",
    ]
    assert row.split() == ["archive", "ok", "1", "1", "1", "1", "2026-02-12"]
    assert message == "archive: 1 item could not be read"
    assert "has no id" in ran.stderr


def test_json_for_machines_and_nothing_of_later(tmp_path: Path, archive: Path) -> None:
    ran = collect(tmp_path, archive, "--json", "--at", "2026-02-12T07:59:59Z")

    assert ran.returncode == 0, ran.stderr
    said = json.loads(ran.stdout)
    assert said["at"] == "2026-02-12T07:59:59+00:00"
    assert [(one["source"], one["outcome"], one["paper_count"]) for one in said["sources"]] == [
        ("archive", "quiet", 0)
    ]


def test_exit_codes_tell_some_from_all(tmp_path: Path, archive: Path) -> None:
    missing = archive / "missing"

    assert collect(tmp_path, missing).returncode == 1
    partly = collect(tmp_path, missing, sources="archive,demo")
    assert partly.returncode == 3
    assert "no recorded answers" in partly.stdout
    off = collect(tmp_path, archive, "--at", "yesterday")
    assert (off.returncode, off.stdout) == (2, "")
    assert "2026-02-13T08:00:00Z" in off.stderr
