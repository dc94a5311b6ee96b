"""Commands about digests: ``run-due``, ``preview``, ``accounting``, ``hold`` and ``release``."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from service.commands.output import (
    EXIT_FAILED,
    EXIT_PARTLY,
    EXIT_USAGE,
    JsonOption,
    fail,
    print_json,
    progress_bar,
    say,
    warn,
)
from service.commands.stopping import SIGNALLED, until_told

if TYPE_CHECKING:
    from service.bootstrap import Parts
    from service.digests.running import RunReport
    from service.mail.courier import Courier
    from service.mail.letters import DigestLetter
    from service.mail.templates import Rendered
    from service.ranking.values import Profile

AtOption = Annotated[
    str | None,
    typer.Option("--at", metavar="INSTANT", help="Do it as of this instant (UTC); without it, now."),
]
BOOKS = ("due", "sent", "deferred", "failed", "unknown", "queued", "cancelled")


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command("run-due")(run_due)
    app.command()(preview)
    app.command()(accounting)
    app.command()(hold)
    app.command()(release)


def run_due(at: AtOption = None, as_json: JsonOption = False) -> None:
    """Plan, rank and send every digest that is due, as the scheduler and the workers would.

    Digests that wait from earlier are sent too. Doing it again, or beside a running service, sends nothing
    twice. Mail goes to PAPERLARK_SMTP_URL, without it to the local mailbox. Prints the books of every issue
    date it touched.

    Ctrl-C or SIGTERM ends it at the next safe point, with 130 or 143; a second one at once.

    Leaves with 0 when all went out, 3 when some failed, wait on or are held, 1 when the relay can't be used.

    Examples:

      paperlark run-due

      paperlark run-due --at 2026-02-13T08:00:00Z --json
    """
    from service.digests import running
    from service.mail.pool import RelayUnavailable
    from service.subscribers.retention import expire

    now, parts = _open(at)
    with until_told() as told, _courier(parts) as courier, progress_bar() as progress:
        try:
            report = running.run_due(
                parts.database,
                now,
                settings=parts.settings,
                keyring=parts.keyring,
                composers=parts.composers,
                courier=courier,
                phrases=parts.phrase_vectors,
                should_stop=told,
                progress=progress,
            )
        except RelayUnavailable as unavailable:
            fail(str(unavailable))
    with parts.database.transaction() as session:
        expire(session, now)
    parts.database.close()
    _print_run(report, now, as_json=as_json)
    raise typer.Exit(_exit_code(report) if told.number is None else SIGNALLED + told.number)


def accounting(
    day: Annotated[str, typer.Option("--date", metavar="DATE", help="The issue date, as 2026-02-13.")],
    as_json: JsonOption = False,
) -> None:
    """Print what became of every digest of an issue date: each subscriber's own local date.

    "due" is the sum of all other numbers. What a worker is sending at this moment counts as queued.

    Leaves with 1 when the books do not add up.

    Examples:

      paperlark accounting --date 2026-02-13

      paperlark accounting --date 2026-02-13 --json
    """
    from service.digests.accounting import BooksOff, account
    from service.mail import state

    try:
        issue_date = date.fromisoformat(day)
    except ValueError:
        fail(f"--date: {day!r} is not a date; write it like 2026-02-13", EXIT_USAGE)
    now, parts = _open(None)
    try:
        with parts.database.reading() as session:
            books = account(session, issue_date).as_dict()
            hindered = state.look(session, now).hindered
    except BooksOff as off:
        fail(str(off))
    finally:
        parts.database.close()
    if as_json:
        print_json(books)
    else:
        _print_books(issue_date, books)
        for reason, count in hindered.items():
            say(f"Of all that is queued, {count} are {state.HINDRANCES[reason]}.")


def preview(
    *,
    address: Annotated[
        str | None, typer.Option("--address", help="Show the digest of the subscriber with this address.")
    ] = None,
    profile: Annotated[
        Path | None,
        typer.Option("--profile", metavar="FILE", help="Show the digest for the profile in a JSON file."),
    ] = None,
    count: Annotated[int, typer.Option("--papers", min=1, max=50, help="Papers for --profile.")] = 10,
    at: AtOption = None,
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="Write the HTML part to this file.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Show the digest somebody would get. Nothing is sent and nothing is remembered.

    Examples:

      paperlark preview --address you@example.org --html digest.html

      paperlark preview --profile profile.json --at 2026-02-13T08:00:00Z
    """
    from service.mail.message import sender_from
    from service.mail.templates import render

    if (address is None) == (profile is None):
        fail("give either --address or --profile", EXIT_USAGE)
    now, parts = _open(at)
    letter = _find_letter(parts, now, address=address, profile=profile, count=count)
    parts.database.close()
    if letter is None:
        fail("there is no paper to send: the digest would be empty and no mail go out")
    rendered = render(letter, sender_from(parts.settings).imprint)
    if html is not None:
        html.write_text(rendered.html)
    _print_preview(rendered, as_json=as_json)


def hold(
    reason: Annotated[
        str, typer.Option("--reason", help="Why, for whoever looks later.")
    ] = "by the operator",
    restored: Annotated[
        bool,
        typer.Option("--restored", help="The database was restored from a backup: part of it may be sent."),
    ] = False,
) -> None:
    """Hold all digests: none is planned or sent until "paperlark release". Confirmation mails still go.

    Do it before the service is started again on a database restored from a backup.

    Examples:

      paperlark hold --reason "moving to another relay"

      paperlark hold --restored
    """
    from service.digests import hold as holding

    now, parts = _open(None)
    kind = holding.Kind.RESTORE if restored else holding.Kind.OPERATOR
    with parts.database.transaction() as session:
        holding.place(session, now, kind=kind, reason=reason)
    parts.database.close()
    say("Digests are held. Release them with: paperlark release")


def release(
    catch_up: Annotated[
        bool | None,
        typer.Option(
            "--catch-up/--mark-done",
            help="Send what is still within its time, or count it as done. Default: done after a restore.",
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Release the hold on digests, and let them go again to destinations where the breaker stopped them.

    After a restore every digest that was due until now is marked as done and never sent, for it may have gone
    out before the backup was put back. Otherwise what is still within its time comes with the next minute.

    Examples:

      paperlark release

      paperlark release --catch-up
    """
    from service.digests import hold as holding
    from service.digests import running
    from service.mail import breaker

    now, parts = _open(None)
    present = holding.check(parts.database, parts.settings.data_dir, now)
    with parts.database.reading() as session:
        stopped = breaker.standing(session)
    if present is None and not stopped:
        fail("nothing is held or stopped")
    may_be_sent = present is not None and present.kind is holding.Kind.RESTORE
    is_catch_up = not may_be_sent if catch_up is None else catch_up
    marked, cancelled = running.release(parts.database, now, settings=parts.settings, is_catch_up=is_catch_up)
    parts.database.close()
    if as_json:
        breakers = {"breakers": sorted(stopped)} if stopped else {}
        print_json({"marked_done": marked, "cancelled": cancelled} | breakers)
    else:
        say(f"Released: {marked} digests marked as done, {cancelled} waiting ones cancelled.")


def _open(at: str | None) -> tuple[datetime, "Parts"]:
    from service.bootstrap import open_parts
    from service.clock import parse_instant
    from service.config import Settings
    from service.logs import configure_logging
    from service.migrations import prepare

    settings = Settings()
    configure_logging(settings.log_format)
    try:
        given = parse_instant(at) if at else None
    except (ValueError, OverflowError) as error:
        fail(f"--at: {error}", EXIT_USAGE)
    prepare(settings)
    parts = open_parts(settings)
    return given or parts.clock(), parts


@contextmanager
def _courier(parts: "Parts") -> Iterator["Courier"]:
    """Give the way to the relay, or to a local mailbox of our own while the block lasts."""
    if not parts.settings.embedded_mailbox:
        yield parts.open_courier()
        return
    from service.endpoints import SmtpEndpoint
    from service.mailbox.server import running_mailbox
    from service.mailbox.store import MailboxStore

    with running_mailbox(MailboxStore(parts.settings.data_dir / "mailbox")) as url:
        yield parts.open_courier(SmtpEndpoint(url))


def _print_run(report: "RunReport", now: datetime, *, as_json: bool) -> None:
    books = {str(day): one.as_dict() for day, one in report.accounting.items()}
    if as_json:
        planned = {"digests": report.planned.planned, "skipped": report.planned.skipped}
        sent = {queue: asdict(tally) for queue, tally in report.sent.items()}
        held = report.planned.is_held
        print_json(
            {"at": now.isoformat(), "held": held, "planned": planned, "sent": sent, "accounting": books}
        )
        return
    if report.planned.is_held:
        warn("Digests are held: see 'paperlark release'.")
    for problem in {tally.relay_problem for tally in report.sent.values() if tally.relay_problem}:
        warn(f"The relay: {problem}")
    say(f"{report.planned.planned} digests planned at {now:%Y-%m-%d %H:%M} UTC.")
    if not books:
        say("Nothing was due.")
    for day, one in books.items():
        _print_books(date.fromisoformat(day), one)


def _print_books(day: date, books: Mapping[str, Any]) -> None:
    numbers = ", ".join(f"{name} {books[name]}" for name in BOOKS)
    skipped = ", ".join(f"{reason} {count}" for reason, count in books["skipped"].items()) or "none"
    say(f"{day}: {numbers}; skipped: {skipped}")


def _exit_code(report: "RunReport") -> int:
    tallies = list(report.sent.values())
    if any(tally.relay_problem for tally in tallies):
        return EXIT_FAILED
    undone = any(tally.failed or tally.unknown or tally.deferred or tally.requeued for tally in tallies)
    waits = any(books.deferred or books.queued for books in report.accounting.values())
    return EXIT_PARTLY if undone or waits or report.planned.is_held else 0


def _find_letter(
    parts: "Parts", now: datetime, *, address: str | None, profile: Path | None, count: int
) -> "DigestLetter | None":
    from service.digests.planning import patience
    from service.digests.previewing import preview_profile, preview_subscriber
    from service.subscribers.addresses import InvalidAddress, parse_address

    limit = patience(parts.settings)
    with parts.database.reading() as session:
        if profile is not None:
            wanted = _read_profile(profile)
            return preview_profile(
                session,
                wanted,
                now,
                count=count,
                links=parts.links,
                patience=limit,
                phrases=parts.phrase_vectors,
            )
        try:
            known = parse_address(address or "")
            return preview_subscriber(
                session, known, now, links=parts.links, patience=limit, phrases=parts.phrase_vectors
            )
        except (InvalidAddress, LookupError) as error:
            fail(str(error))


def _read_profile(path: Path) -> "Profile":
    """Read a profile as ``rank --profile`` takes it."""
    from service.papers.reading import UnreadableFile
    from service.subscribers.profile_reading import read_profile

    try:
        return read_profile(path)
    except UnreadableFile as error:
        fail(f"--profile: {error}", EXIT_USAGE)


def _print_preview(rendered: "Rendered", *, as_json: bool) -> None:
    if as_json:
        print_json(asdict(rendered))
    else:
        say(f"Subject: {rendered.subject}\n\n{rendered.text}")
