"""The documents say what is: settings, commands, metrics and links in them exist."""

import importlib.util
import re
import runpy
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from service.cli import COMMAND_MODULES
from service.config import Settings

ROOT = Path(__file__).parents[2]
PAGES = sorted([*(ROOT / "docs").rglob("*.md"), *ROOT.glob("*.md")])
EACH_PAGE = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
# Put together, so that this file does not find itself.
MACHINE_PATH = re.compile("(?<![\\w.])/" + "(?:work|root|Users)/[a-z]|(?<![\\w.])/home/" + r"\w+/")
PACKAGE_HOST = re.compile(r"(?:files\.pythonhosted|(?:test\.)?pypi|registry\.npmjs|proxy\.golang)" + r"\.org")
COMMAND = re.compile(r"(?<![\w/.-])paperlark((?: [a-z][a-z-]+)+)")


def _tracked() -> list[Path]:
    listed = subprocess.run(["git", "-C", str(ROOT), "ls-files", "-z"], capture_output=True, check=False)
    if listed.returncode:
        pytest.skip("no git checkout: the tracked files are not known")
    paths = (ROOT / name for name in listed.stdout.decode().split("\0") if name)
    return [path for path in paths if path.is_file()]


def _texts(page: Path) -> Iterator[str]:
    """Give what stands in code spans and blocks of a page."""
    text = page.read_text(encoding="utf-8")
    for block in re.findall(r"^```.*?^```", text, re.M | re.S):
        yield from block.splitlines()
    yield from re.findall(r"^ {4}.*$", text, re.M)
    yield from re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```", "", text, flags=re.M | re.S))


@pytest.fixture(scope="module")
def commands() -> Any:
    """The command line as Typer builds it: groups have ``commands`` by name."""
    app = typer.Typer()
    for name in COMMAND_MODULES:
        if importlib.util.find_spec(f"service.commands.{name}") is None:
            continue
        importlib.import_module(f"service.commands.{name}").register(app)
    return typer.main.get_command(app)


def test_settings_page_has_every_setting_as_it_is() -> None:
    page = ROOT / "docs" / "settings.md"
    script = runpy.run_path(str(ROOT / "docs" / "settings_table.py"))
    assert script["page"](page.read_text(encoding="utf-8")) == page.read_text(encoding="utf-8"), (
        "write it anew: python docs/settings_table.py"
    )
    assert all(field.description for field in Settings.model_fields.values())


@EACH_PAGE
def test_settings_named_in_documents_exist(page: Path) -> None:
    named = set(re.findall(r"PAPERLARK_([A-Z_]+)", page.read_text(encoding="utf-8")))
    known = {name.upper() for name in Settings.model_fields} | {"TEST_DATA"}
    # docker-compose.yml has passwords of its own.
    assert named - known - {"POSTGRES_PASSWORD", "REDIS_PASSWORD"} == set()


@EACH_PAGE
def test_commands_named_in_documents_exist(page: Path, commands: Any) -> None:
    for text in _texts(page):
        for found in COMMAND.findall(text):
            group = commands
            for word in found.split():
                if not hasattr(group, "commands"):
                    break  # an argument of the command
                assert word in group.commands, f"{page.name}: paperlark{found}"
                group = group.commands[word]


@EACH_PAGE
def test_links_between_documents_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)", page.read_text(encoding="utf-8")):
        if not target.startswith(("http://", "https://")):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


@EACH_PAGE
def test_files_named_in_documents_exist(page: Path) -> None:
    for text in _texts(page):
        for name in re.findall(
            r"(?<![\w/.-])((?:service|workers|templates|docs|tests|alembic)/[\w./-]+)", text
        ):
            assert (ROOT / name.rstrip(".")).exists(), f"{page.name}: {name}"


def test_metrics_named_in_operations_are_those_there_are() -> None:
    described = set(
        re.findall(r"`(paperlark_\w+)", (ROOT / "docs" / "operations.md").read_text(encoding="utf-8"))
    )
    source = (ROOT / "service" / "web" / "metrics.py").read_text(encoding="utf-8")
    assert described == set(re.findall(r'"(paperlark_\w+)"', source))


def test_tracked_files_name_no_package_host_and_no_path_of_a_machine() -> None:
    for path in _tracked():
        text = path.read_bytes().decode("utf-8", "replace")
        for pattern in (PACKAGE_HOST, MACHINE_PATH):
            found = pattern.search(text)
            assert found is None, f"{path.relative_to(ROOT)}: {found and found[0]}"


def test_tracked_files_are_text_of_ours() -> None:
    forbidden = {".eml", ".jsonl", ".db", ".sqlite3", ".png", ".gz", ".mbox", ".onnx", ".zip"}
    assert [path.name for path in _tracked() if path.suffix in forbidden] == []


def test_alembic_folder_is_no_package() -> None:
    # It would stand in for the library of that name wherever the checkout is on the path.
    assert list((ROOT / "alembic").rglob("__init__.py")) == []


def test_decisions_are_numbered_and_have_their_parts() -> None:
    pages = sorted((ROOT / "docs" / "decisions").glob("*.md"))
    assert [int(page.name[:4]) for page in pages] == list(range(1, len(pages) + 1))
    for page in pages:
        text = page.read_text(encoding="utf-8")
        assert text.startswith(f"# {int(page.name[:4])}. ")
        for part in ("## Context", "## Decision", "## Consequences", "## Instead of"):
            assert part in text, f"{page.name}: {part}"
        assert len(text.splitlines()) <= 60
