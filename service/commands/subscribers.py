"""Commands about subscribers: ``subscribers import``, ``subscribers export``, ``subscribers erase``."""

import itertools
import json
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, BinaryIO

import typer

from service.commands.output import (
    EXIT_PARTLY,
    EXIT_USAGE,
    JsonOption,
    fail,
    print_json,
    progress_bar,
    say,
    warn,
)

if TYPE_CHECKING:
    from service.bootstrap import Parts
    from service.progress import Progress
    from service.subscribers.csv_reading import Line, Problem

subscribers = typer.Typer(
    help="Import, export and erase subscribers.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)

AddressArgument = Annotated[str, typer.Argument(metavar="ADDRESS", help="The subscriber's mail address.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(subscribers, name="subscribers")


@subscribers.command("import")
def import_command(
    file: Annotated[
        Path, typer.Argument(metavar="FILE.csv", help="The list; - reads standard input.", allow_dash=True)
    ],
    confirmed: Annotated[
        bool,
        typer.Option(
            "--confirmed", help="These people have confirmed already; no confirmation mail goes out."
        ),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Import subscribers from a CSV file whose first line names its columns, or from JSON lines.

    Columns: email, timezone, hour, weekdays, papers, about, topics, words, categories, authors, examples,
    interests, mutes, explore. All but email are optional; lists are parted by semicolons. about holds
    interests in one's own words, interests holds named ones as JSON. JSON lines have the same fields, or are
    what subscribers export wrote. Lines that can't be taken are reported with their number and reason, the
    rest is kept. Whoever has left, bounced, complained or been erased is never brought back.

    Without --confirmed everybody first gets a confirmation mail, one each second. Importing a file again
    adds only who is new. Exit code 2: there is no such file, or its first line does not name the columns;
    3: some lines were not taken.

    Examples:

      paperlark subscribers import people.csv

      paperlark subscribers import members.csv --confirmed --json
    """
    from service.subscribers.csv_reading import BadHeader

    name = "standard input" if str(file) == "-" else f"'{file}'"
    try:
        with _open(file) as opened, progress_bar() as progress:
            report = _import(_open_parts(), opened, progress, confirmed=confirmed)
    except BadHeader as error:
        fail(f"{name}: {error}; nothing was imported", EXIT_USAGE)
    except OSError as error:
        fail(
            f"{name} can't be read to its end: {error.strerror}; import it again, which adds only who is new"
        )
    if as_json:
        print_json(report)
    else:
        _say_report(report)
    if report["refused"] or report["suppressed"]:
        raise typer.Exit(EXIT_PARTLY)


@subscribers.command("export")
def export_command(
    address: Annotated[
        str | None, typer.Argument(metavar="[ADDRESS]", help="The subscriber's mail address.")
    ] = None,
    everybody: Annotated[
        bool, typer.Option("--all", help="Everybody, as JSON lines: one document a line.")
    ] = False,
) -> None:
    """Print everything kept of one subscriber, or of all, as JSON.

    Examples:

      paperlark subscribers export ann@example.org

      paperlark subscribers export --all > subscribers.jsonl
    """
    if (address is None) == (not everybody):
        fail("name an address, or say --all", code=2)
    parts = _open_parts()
    if address is not None:
        with parts.database.reading() as session:
            from service.subscribers.personal_data import export

            print_json(export(session, _find(session, address)))
        return
    for document in _export_all(parts):
        sys.stdout.write(json.dumps(document, ensure_ascii=False, default=str) + "\n")


@subscribers.command("erase")
def erase_command(address: AddressArgument, as_json: JsonOption = False) -> None:
    """Erase everything kept of a subscriber, for ever. A keyed hash stays, so that no import adds them again.

    Example:

      paperlark subscribers erase ann@example.org
    """
    from service.subscribers.addresses import parse_address
    from service.subscribers.personal_data import erase, scrub

    parts = _open_parts()
    with parts.database.transaction() as session:
        erase(session, parts.keyring, _find(session, address), parts.clock())
    scrub(parts.database, parse_address(address))
    if as_json:
        print_json({"erased": 1})
    else:
        say("Erased. Backups made before today still hold the address until they are overwritten.")


def _open_parts() -> "Parts":
    from service.bootstrap import open_parts
    from service.config import Settings
    from service.migrations import SchemaOutOfDate, prepare

    settings = Settings()
    try:
        prepare(settings)
    except SchemaOutOfDate as error:
        fail(str(error))
    return open_parts(settings)


def _open(file: Path) -> BinaryIO:
    if str(file) == "-":
        return sys.stdin.buffer
    try:
        return file.open("rb")
    except (FileNotFoundError, NotADirectoryError):
        fail(f"there is no file '{file}'", EXIT_USAGE)
    except IsADirectoryError:
        fail(f"'{file}' is a directory; name a CSV file in it", EXIT_USAGE)
    except OSError as error:
        fail(f"the file '{file}' can't be opened: {error.strerror}", EXIT_USAGE)


def _import(parts: "Parts", file: BinaryIO, progress: "Progress", *, confirmed: bool) -> dict[str, Any]:
    from service.subscribers.csv_reading import Line
    from service.subscribers.importing import CHUNK, MAIL_INTERVAL, import_lines

    total = _count_lines(file)
    problems: list[Problem] = []
    imported = read = 0
    lines = _read_lines(file)
    while chunk := list(itertools.islice(lines, CHUNK)):
        problems += [item for item in chunk if not isinstance(item, Line)]
        with parts.database.transaction() as session:
            done = import_lines(
                session,
                parts.keyring,
                parts.clock(),
                [item for item in chunk if isinstance(item, Line)],
                confirmed=confirmed,
                mails_before=imported,
            )
        imported += done.count
        problems += done.problems
        read += len(chunk)
        progress(read, total, "lines")
    mails = 0 if confirmed else imported
    counts = Counter({problem.number: problem.kind for problem in problems}.values())
    return {
        "lines": imported + sum(counts.values()),
        "imported": imported,
        "refused": counts["unreadable"],
        "suppressed": counts["suppressed"],
        "existing": counts["existing"],
        "duplicates": counts["duplicate"],
        "confirmation_mails": mails,
        "mailing_seconds": int(mails * MAIL_INTERVAL.total_seconds()),
        "problems": [
            {"line": each.number, "kind": each.kind, "field": each.field, "reason": each.reason}
            for each in sorted(problems, key=lambda problem: problem.number)
        ],
    }


def _read_lines(file: BinaryIO) -> "Iterator[Line | Problem]":
    """Read CSV or JSON lines, whichever the file begins like; a pipe is looked at without taking from it."""
    from service.subscribers.csv_reading import read_csv
    from service.subscribers.jsonl_reading import looks_like_json, read_json_lines

    peek = getattr(file, "peek", None)
    return read_json_lines(file) if peek and looks_like_json(peek(64)) else read_csv(file)


def _count_lines(file: BinaryIO) -> int | None:
    if not file.seekable():
        return None
    count = sum(block.count(b"\n") for block in iter(lambda: file.read(1 << 20), b""))
    file.seek(0)
    return count


def _say_report(report: dict[str, Any]) -> None:
    if not report["lines"]:
        say("There are no lines below the header; nothing was imported.")
        return
    for problem in report["problems"]:
        if problem["kind"] == "existing":
            continue  # a list imported again is mostly that; --json names them
        warn(f"line {problem['line']}: {problem['field']}: {problem['reason']}")
    say(
        f"{report['imported']} of {report['lines']} imported; {report['refused']} unreadable,"
        f" {report['suppressed']} suppressed, {report['existing']} there already,"
        f" {report['duplicates']} twice in the file."
    )
    if report["confirmation_mails"]:
        minutes = report["mailing_seconds"] // 60 + 1
        say(f"{report['confirmation_mails']} confirmation mails go out over about {minutes} min.")


def _export_all(parts: "Parts") -> Iterator[dict[str, Any]]:
    from sqlalchemy import select

    from service.subscribers.personal_data import export
    from service.subscribers.tables import SubscriberRow

    last = 0
    while True:
        with parts.database.reading() as session:
            ids = session.scalars(
                select(SubscriberRow.id).where(SubscriberRow.id > last).order_by(SubscriberRow.id).limit(500)
            ).all()
            yield from [export(session, subscriber_id) for subscriber_id in ids]
        if not ids:
            return
        last = ids[-1]


def _find(session: Any, address: str) -> int:
    from service.subscribers.addresses import InvalidAddress, parse_address
    from service.subscribers.storing import id_of

    try:
        subscriber_id = id_of(session, parse_address(address))
    except InvalidAddress as error:
        fail(str(error), code=2)
    if subscriber_id is None:
        fail("there is no subscriber with this address")
    return subscriber_id
