"""The commands that bring papers in and read their texts: ``collect``, ``embed``."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

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

if TYPE_CHECKING:
    from service.papers.collecting import SourceReport

LIVE_SOURCES = frozenset({"huggingface", "arxiv"})
COLUMNS = ("source", "outcome", "papers", "new", "observations", "malformed", "newest list")

AtOption = Annotated[
    str | None,
    typer.Option("--at", metavar="INSTANT", help="Collect as of this instant (UTC); without it, now."),
]


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command()(collect)
    app.command()(embed)


def collect(at: AtOption = None, as_json: JsonOption = False) -> None:
    """Bring papers, votes, comments and stars from the sources of PAPERLARK_SOURCES.

    Doing it again adds only what is new. With the archive as source, --at replays the past: nothing that
    became known later is stored.

    Leaves with 0 when every source answered, 3 when some of it could not be had, 1 when all of it failed.

    Examples:

      paperlark collect

      PAPERLARK_SOURCES=archive PAPERLARK_ARCHIVE_PATH=recordings paperlark collect --at 2026-02-13T08:00Z

      paperlark collect --json
    """
    from service.bootstrap import open_parts
    from service.clock import parse_instant
    from service.config import Settings
    from service.logs import configure_logging
    from service.migrations import prepare
    from service.papers import collecting
    from service.papers.sources import open_fallback, open_sources

    settings = Settings()
    configure_logging(settings.log_format)
    try:
        given = parse_instant(at) if at else None
    except (ValueError, OverflowError) as error:
        fail(f"--at: {error}", EXIT_USAGE)
    if given and (live := LIVE_SOURCES.intersection(settings.sources)):
        warn(
            f"{' and '.join(sorted(live))} can only tell of the present; it is stored as of {given:%Y-%m-%d}"
        )
    prepare(settings)
    parts = open_parts(settings)
    now = given or parts.clock()
    with progress_bar() as progress:
        reports = collecting.collect(
            parts.database, open_sources(settings), now, fallback=open_fallback(settings), progress=progress
        )
    parts.database.close()
    _print(reports, as_json=as_json, now=now.isoformat())
    raise typer.Exit(exit_code(reports))


def embed(
    forget_others: Annotated[
        bool, typer.Option("--forget-others", help="Delete the vectors of models no longer used.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Turn the texts of papers into vectors, newest papers first.

    Workers do this by themselves after each collection. Papers that have their vector are left alone; it may
    be stopped at any time and goes on where it was. Needs the extra "embeddings".

    Examples:

      paperlark embed

      paperlark embed --forget-others --json
    """
    from service.bootstrap import open_parts
    from service.config import Settings
    from service.logs import configure_logging
    from service.papers.embedding import EmbedderUnavailable, find_embedder, store

    settings = Settings()
    configure_logging(settings.log_format)
    try:
        embedder = find_embedder(settings)
    except EmbedderUnavailable as error:
        fail(str(error))
    parts = open_parts(settings)
    with progress_bar() as progress:
        count = store.embed_missing(parts.database, embedder, progress=progress)
    with parts.database.transaction() as session:
        forgotten = store.forget_others(session, embedder.model) if forget_others else 0
        counts = store.count_vectors(session)
    parts.database.close()
    if as_json:
        print_json(
            {"model": embedder.model, "embedded": count, "forgotten": forgotten, "kept_by_model": counts}
        )
        return
    say(f"{count:,} papers embedded by {embedder.model}; {counts.get(embedder.model, 0):,} have their vector")
    if forget_others:
        say(f"{forgotten:,} vectors of other models forgotten")
    elif others := sum(counts.values()) - counts.get(embedder.model, 0):
        say(f"{others:,} vectors of other models are no longer used; --forget-others deletes them")


def exit_code(reports: Sequence["SourceReport"]) -> int:
    """Return 0 if every source answered, 1 if none did, 3 in between."""
    outcomes = {report.outcome for report in reports}
    if outcomes == {"failed"}:
        return EXIT_FAILED
    return EXIT_PARTLY if outcomes & {"failed", "partial"} else 0


def _print(reports: Sequence["SourceReport"], *, as_json: bool, now: str) -> None:
    if as_json:
        from dataclasses import asdict

        print_json({"at": now, "sources": [asdict(report) for report in reports]})
        return
    rows = [COLUMNS, *map(_cells, reports)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        # Words to the left, numbers to the right.
        cells = [
            cell.rjust(width) if 2 <= place <= 5 else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        say("  ".join(cells).rstrip())
    for report in reports:
        if report.message:
            say(f"{report.source}: {report.message}")


def _cells(report: "SourceReport") -> tuple[str, ...]:
    counts = (report.paper_count, report.new_count, report.observation_count, report.malformed_count)
    newest = report.newest_listed_on
    return (report.source, report.outcome, *(f"{n:,}" for n in counts), newest.isoformat() if newest else "-")
