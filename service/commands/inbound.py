"""Commands for mail that comes back: ``inbound`` receives it, ``suppressions`` shows and changes the list."""

import signal
import sys
from collections import Counter
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from service.commands.messages import read_message
from service.commands.output import EXIT_PARTLY, EXIT_USAGE, JsonOption, fail, print_json, say, warn

if TYPE_CHECKING:
    from service.bootstrap import Parts

BATCH = 1000


class ListFormat(StrEnum):
    """How the list is written out."""

    CSV = "csv"
    JSONL = "jsonl"


suppressions = typer.Typer(
    help="Addresses that get no mail: they are kept as keyed hashes only.", no_args_is_help=True
)

AddressArgument = Annotated[str, typer.Argument(metavar="ADDRESS", help="The mail address.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(inbound)
    app.add_typer(suppressions, name="suppressions")


def inbound(
    once: Annotated[
        bool, typer.Option("--once", help="Fetch from the IMAP mailbox once, and leave.")
    ] = False,
    take: Annotated[
        list[Path] | None,
        typer.Option(
            "--take", help="Take in message files (- is standard input), and leave.", allow_dash=True
        ),
    ] = None,
) -> None:
    """Receive mail that comes back: bounces, complaints, unsubscribes by mail. Runs until a signal comes.

    Listens where PAPERLARK_INBOUND_LISTEN says, and takes mail to our own addresses only. The mailbox that
    PAPERLARK_INBOUND_IMAP_URL names is fetched each minute by a worker; --once does so now.

    Examples:

      PAPERLARK_INBOUND_LISTEN=lmtp://127.0.0.1:8024 paperlark inbound

      paperlark inbound --once

      paperlark inbound --take bounce.eml
    """
    from service.bootstrap import open_parts
    from service.logs import configure_logging

    parts = open_parts()
    configure_logging(parts.settings.log_format)
    if take:
        _take_files(parts, take)
    elif once:
        _poll_once(parts)
    else:
        _listen(parts)


def _take_files(parts: "Parts", files: list[Path]) -> None:
    untaken = 0
    for file in files:
        try:
            raw = read_message(file)
        except OSError as error:
            fail(f"{file} can't be read: {error.strerror}")
        done = parts.take_back(raw)
        untaken += done == "not_ours"
        say(f"{file}: {done}")
    if untaken:
        warn(f"{untaken} message(s) are to none of our addresses in {parts.settings.envelope_domain}")
        raise typer.Exit(EXIT_PARTLY)


def _poll_once(parts: "Parts") -> None:
    from service.inbound.polling import InboxUnavailable

    try:
        tally = parts.poll_inbox()
    except InboxUnavailable as problem:
        fail(f"{problem}. Check PAPERLARK_INBOUND_IMAP_URL")
    if tally is None:
        fail(
            "set PAPERLARK_INBOUND_IMAP_URL to the mailbox, such as imaps://user:password@host/INBOX",
            EXIT_USAGE,
        )
    say(f"{tally.taken} taken in, {tally.not_ours} flagged for whoever reads that mailbox.")


def _listen(parts: "Parts") -> None:
    import asyncio

    receiver = parts.make_receiver()
    if receiver is None:
        fail("set PAPERLARK_INBOUND_LISTEN to where mail comes in, such as lmtp://127.0.0.1:8024", EXIT_USAGE)

    async def run() -> None:
        stopped = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stopped.set)
        await receiver.start()
        say(f"Mail to {parts.settings.envelope_domain} comes in at {parts.settings.inbound_listen}.")
        await stopped.wait()
        await receiver.stop()

    try:
        asyncio.run(run())
    except OSError as error:
        fail(f"can't listen at {parts.settings.inbound_listen}: {error.strerror}")


@suppressions.command("list")
def list_suppressions(as_json: JsonOption = False) -> None:
    """Count the suppressed addresses by reason and source. Which they are is not kept."""
    from service.bootstrap import open_parts
    from service.mail.suppression import count_by_reason

    with open_parts().database.reading() as session:
        rows = count_by_reason(session)
    if as_json:
        print_json([{"reason": reason, "source": source, "count": count} for reason, source, count in rows])
        return
    for reason, source, count in rows:
        say(f"{count:>8}  {reason:<10}  {source or '-'}")
    say(f"{sum(count for _, _, count in rows):>8}  in all")


@suppressions.command("show")
def show_suppression(address: AddressArgument, as_json: JsonOption = False) -> None:
    """Say whether an address is suppressed, why and since when. Leaves with 1 if it is not."""
    from service.bootstrap import open_parts
    from service.mail.suppression import find

    parts = open_parts()
    with parts.database.reading() as session:
        found = find(session, _keys(parts, address))
        rows: list[dict[str, Any]] = [
            {"reason": row.reason, "since": row.since, "source": row.source} for row in found
        ]
    if as_json:
        print_json(rows)
    for row in rows if not as_json else ():
        say(f"{row['reason']} since {row['since']:%Y-%m-%d} ({row['source'] or 'no source'})")
    if not rows:
        fail("that address is not suppressed")


@suppressions.command("add")
def add_suppressions(
    address: Annotated[str | None, typer.Argument(metavar="ADDRESS", help="The mail address.")] = None,
    file: Annotated[
        Path | None,
        typer.Option("--file", help="Addresses, one a line; - is standard input.", allow_dash=True),
    ] = None,
) -> None:
    """Suppress an address, or a list of them from another system: no mail of any kind goes there.

    Examples:

      paperlark suppressions add somebody@example.org

      paperlark suppressions add --file unsubscribed.txt
    """
    from service.bootstrap import open_parts
    from service.subscribers.suppressing import forbid

    if (address is None) == (file is None):
        fail("give one address, or --file with one a line", EXIT_USAGE)
    parts = open_parts()
    lines = [address] if address is not None else _lines(file)
    added, unread = 0, 0
    for line in lines:
        try:
            with parts.database.transaction() as session:
                forbid(session, parts.keyring, line or "", parts.clock())
        except ValueError:
            unread += 1
        else:
            added += 1
    say(f"{added} suppressed.")
    if unread:
        warn(f"{unread} line(s) hold no mail address")
        raise typer.Exit(EXIT_PARTLY)


@suppressions.command("export")
def export_suppressions(
    format_: Annotated[
        ListFormat, typer.Option("--format", help="csv, or jsonl for a JSON object a line.")
    ] = ListFormat.CSV,
) -> None:
    """Write the list out: keyed hashes, reasons, dates, sources. No address is in it.

    Another installation recognises the hashes only if it has the same secret key, present or retired.

    Examples:

      paperlark suppressions export > suppressions.csv

      paperlark suppressions export --format jsonl | ssh other paperlark suppressions import -
    """
    from service.bootstrap import open_parts
    from service.mail.suppression import entries
    from service.mail.suppression_list import Entry, as_csv, as_json_lines, keys_of

    parts = open_parts()
    write = as_csv if format_ is ListFormat.CSV else as_json_lines
    with parts.database.reading() as session:
        found = (
            Entry(address_key=key, reason=reason, since=since, source=source)
            for key, reason, since, source in entries(session)
        )
        for line in write(found, keys_of(parts.keyring)):
            sys.stdout.write(line)


@suppressions.command("import")
def import_suppressions(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="What export wrote; - is standard input.", allow_dash=True)
    ],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only read it and say what would be done.")
    ] = False,
) -> None:
    """Add the entries of another installation's list, and cancel what waits for whom they name.

    Nothing is taken off; of two reasons for one address the graver stays. Lines made with a secret key that
    is not ours are refused: add it to PAPERLARK_RETIRED_SECRET_KEYS first. May be done again without harm.

    Example: paperlark suppressions import suppressions.csv
    """
    from service.bootstrap import open_parts
    from service.mail.suppression_list import NoEntry, keys_of, read
    from service.subscribers.suppressing import take_over

    parts = open_parts()
    now, known = parts.clock(), keys_of(parts.keyring)
    found, problems = [], Counter[str]()
    for line in _lines(file):
        try:
            entry = read(line, known=known, now=now)
        except NoEntry as problem:
            problems[str(problem)] += 1
        else:
            found += [entry] if entry is not None else []
    new = 0
    for start in range(0, 0 if dry_run else len(found), BATCH):
        with parts.database.transaction() as session:
            new += take_over(session, found[start : start + BATCH], now)
    say(f"{len(found)} read, nothing done." if dry_run else f"{len(found)} taken over, {new} of them new.")
    for reason, count in problems.most_common():
        warn(f"{count} line(s) not taken: {reason}")
    if problems:
        raise typer.Exit(EXIT_PARTLY)


@suppressions.command("remove")
def remove_suppression(
    address: AddressArgument,
    yes: Annotated[
        bool, typer.Option("--yes", help="Yes, mail may go to this address again, after a complaint too.")
    ] = False,
) -> None:
    """Take an address off the list. Its owner still has to confirm a subscription before anything is sent."""
    from service.bootstrap import open_parts
    from service.mail.suppression import release

    if not yes:
        fail("the list protects people from mail they don't want; if you are sure, say --yes", EXIT_USAGE)
    parts = open_parts()
    with parts.database.transaction() as session:
        released = release(session, _keys(parts, address))
    if not released:
        fail("that address is not suppressed")
    say("Taken off the list.")


def _keys(parts: "Parts", address: str) -> list[bytes]:
    from service.subscribers.addresses import InvalidAddress, parse_address

    try:
        return parts.keyring.address_keys(parse_address(address))
    except InvalidAddress as error:
        fail(str(error), EXIT_USAGE)


def _lines(file: Path | None) -> list[str]:
    try:
        text = sys.stdin.read() if str(file) == "-" else (file or Path()).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        fail(f"{file} can't be read: {error}")
    return [line for line in text.splitlines() if line.strip()]
