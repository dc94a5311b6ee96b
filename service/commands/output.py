"""How commands speak: words for people, JSON for machines, a bar while work is long."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any, NoReturn

import typer

from service.progress import Progress, no_progress

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, for machines.")]

EXIT_FAILED = 1  # the work could not be done
EXIT_USAGE = 2  # the call's words are off (typer's own code)
EXIT_PARTLY = 3  # done in part: what was left is named


def print_json(data: Any) -> None:
    """Print ``data`` as JSON on standard output; dates and instants as ISO 8601."""
    json.dump(data, sys.stdout, ensure_ascii=False, indent=2, default=str)
    sys.stdout.write("\n")


def say(line: str) -> None:
    """Print a line for people on standard output."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()  # at once, also into a pipe: "serve" says where it is and then stays silent


def warn(line: str) -> None:
    """Print a line on standard error, which JSON output does not use."""
    sys.stderr.write(line + "\n")


def fail(message: str, code: int = EXIT_FAILED) -> NoReturn:
    """Say what happened and what to do on standard error, and leave with ``code``."""
    sys.stderr.write(f"paperlark: {message}\n")
    raise typer.Exit(code)


@contextmanager
def progress_bar() -> Iterator[Progress]:
    """Give a progress callback: a bar on a terminal's standard error, nothing elsewhere."""
    if not sys.stderr.isatty():
        yield no_progress
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=None)

        def report(done: int, total: int | None, what: str) -> None:
            bar.update(task, completed=done, total=total, description=what)

        yield report
