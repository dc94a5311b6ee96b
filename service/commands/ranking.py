"""Commands that show the ranking at work: ``rank`` and ``trend``."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

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
    from service.config import Settings
    from service.papers.reading import Refused
    from service.papers.trend import Sighting
    from service.ranking.values import Candidate, Profile

SIGHTING_DAYS = 45  # the trend compares with papers of 30 days, seen up to some days later
REFUSED_NAMED = 20

AtOption = Annotated[
    str | None, typer.Option("--at", metavar="INSTANT", help="As of this instant (UTC); without it, now.")
]
LimitOption = Annotated[
    int | None, typer.Option("--limit", min=1, metavar="COUNT", help="Show only the first COUNT papers.")
]


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
    app.command()(rank)
    app.command()(trend)


def rank(
    profile: Annotated[
        Path, typer.Option("--profile", metavar="FILE", help="JSON of one person's interests.")
    ],
    candidates: Annotated[
        Path, typer.Option("--candidates", metavar="FILE", help="JSON lines of papers; may be gzipped.")
    ],
    at: AtOption = None,
    limit: LimitOption = None,
    as_json: JsonOption = False,
) -> None:
    """Order papers for one person, best first, each with its reasons.

    A profile is a JSON object with "interests", each with name, text (in one's own words), topic, phrases,
    categories, authors, examples, against, mutes and weight, with lists of ids as "liked", "disliked" and
    "seen", and with "mutes" and "explore"; every part may be missing, another key is refused. Candidates are
    items as the Daily Papers list gives them, one a line. Ids are looked up among them and in the database.
    Papers that are muted, seen, rated or examples are left out.

    With the extra "embeddings" each paper is read for its meaning as well, some 50 a second the first time;
    PAPERLARK_EMBEDDINGS=off leaves it at words.

    Leaves with 0 when every line was read, 3 when some were refused (each is named; the rest is ranked).

    Examples:

      paperlark rank --profile me.json --candidates papers.jsonl --at 2026-02-13T08:00Z

      paperlark rank --profile me.json --candidates papers.jsonl.gz --json
    """
    from service.commands.meanings import open_meanings
    from service.config import Settings
    from service.logs import configure_logging
    from service.papers.reading import UnreadableFile, read_candidates, read_traits
    from service.papers.trend import trends
    from service.papers.vectors import load_vectors, save_vectors
    from service.ranking import selecting
    from service.ranking.corpus import Corpus
    from service.subscribers.profile_reading import read_profile

    now = _instant(at)
    try:
        person = read_profile(profile)
        papers, sightings, refused = read_candidates(candidates, now)
    except UnreadableFile as error:
        fail(str(error), EXIT_USAGE)
    settings = Settings()
    configure_logging(settings.log_format)
    examples, seen_before = _from_database(settings, person, papers, now)
    store = load_vectors(settings.data_dir)
    with progress_bar() as progress:
        meanings = open_meanings(settings, [*papers, *examples], progress)
    corpus = Corpus.build(papers, examples=examples, vectors=store, meanings=meanings)
    seen = [*seen_before, *sightings]
    ranked = selecting.rank(person, corpus, trends(seen, now, traits=read_traits(candidates, seen, now)))
    try:
        save_vectors(store, settings.data_dir)
    except OSError as error:
        warn(f"paperlark: nothing is kept for the next time: {error.strerror}")
    titles = {paper.id: paper.title for paper in papers}
    shown = ranked[:limit]
    if as_json:
        print_json([{"id": one.id, "score": round(one.score, 6), "reasons": one.reasons} for one in shown])
    else:
        for one in shown:
            _say_paper(one.score, f"{one.id}  {titles[one.id]}", one.reasons)
    _leave(candidates, refused)


def trend(
    snapshots: Annotated[
        Path, typer.Option("--snapshots", metavar="FILE", help="JSON lines of counts; may be gzipped.")
    ],
    at: AtOption = None,
    limit: LimitOption = None,
    papers: Annotated[
        Path | None,
        typer.Option("--papers", metavar="FILE", help="JSON lines of the papers, for the forecast."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Order papers by how they trend, best first, with the parts of each score.

    Snapshots are {"id", "list_date", "at", "upvotes", "numComments", "githubStars"}, one a line; counts that
    are missing are unknown, not zero. Nothing seen after --at is looked at.

    Papers are items as the Daily Papers list gives them, one a line. With them the forecast of papers in
    their first day knows organizations, authors, submitters and hours of listing; else votes alone decide.

    Leaves with 0 when every line was read, 3 when some were refused (each is named; the rest is used).

    Examples:

      paperlark trend --snapshots snapshots.jsonl.gz --at 2026-02-13T08:00Z --limit 10

      paperlark trend --snapshots snapshots.jsonl --papers papers.jsonl --json
    """
    from service.papers.reading import UnreadableFile, read_snapshots, read_traits
    from service.papers.trend import trends

    now = _instant(at)
    try:
        sightings, refused = read_snapshots(snapshots)
        traits = read_traits(papers, sightings, now) if papers else {}
    except UnreadableFile as error:
        fail(str(error), EXIT_USAGE)
    found = trends(sightings, now, traits=traits)
    best = sorted(found.items(), key=lambda entry: (-entry[1].score, entry[0]))[:limit]
    if as_json:
        print_json([{"id": id_, "reasons": [one.reason], **_rounded(asdict(one))} for id_, one in best])
    else:
        for id_, one in best:
            parts = ", ".join(f"{name} {part:+.3f}" for name, part in one.parts.items())
            _say_paper(one.score, id_, [one.reason, parts])
    _leave(snapshots, refused)


def _instant(at: str | None) -> datetime:
    from service.clock import parse_instant, system_clock

    try:
        return parse_instant(at) if at else system_clock()
    except (ValueError, OverflowError) as error:
        fail(f"--at: {error}", EXIT_USAGE)


def _from_database(
    settings: "Settings", person: "Profile", papers: "Sequence[Candidate]", now: datetime
) -> "tuple[list[Candidate], list[Sighting]]":
    """Look up the papers a profile names, and what was seen lately; nothing where there is no database."""
    from sqlalchemy.exc import SQLAlchemyError

    from service.database import Database
    from service.papers import shelf

    if (
        settings.database_url is None
        and not Path(settings.sqlalchemy_url.removeprefix("sqlite:///")).exists()
    ):
        return [], []
    known = {paper.id for paper in papers}
    named = {*person.liked, *person.disliked, *(id_ for one in person.interests for id_ in one.examples)}
    database = Database(settings.sqlalchemy_url)
    try:
        with database.reading() as session:
            rows = shelf.papers_by_id(session, sorted(named - known))
            seen = shelf.sightings(session, since=now - timedelta(days=SIGHTING_DAYS), until=now)
            return [shelf.as_candidate(row) for row in rows.values()], seen
    except SQLAlchemyError as error:
        warn(f"paperlark: the database can't be read ({type(error).__name__}); going on without it")
        return [], []
    finally:
        database.close()


def _rounded(trend: dict[str, object]) -> dict[str, object]:
    trend.pop("reason")
    trend["score"] = round(float(trend["score"]), 6)  # type: ignore[arg-type]
    return trend


def _say_paper(score: float, name: str, lines: Sequence[str]) -> None:
    say(f"{score:6.3f}  {name}")
    for line in lines:
        say(f"        {line}")


def _leave(path: Path, refused: "Sequence[Refused]") -> None:
    for one in refused[:REFUSED_NAMED]:
        warn(f"{path}:{one.line}: {one.reason}")
    if len(refused) > REFUSED_NAMED:
        warn(f"{path}: {len(refused) - REFUSED_NAMED:,} more lines were refused")
    if refused:
        raise typer.Exit(EXIT_PARTLY)
