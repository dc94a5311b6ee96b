"""Collecting merges, counts, survives failing sources, and never knows more than the instant allows."""

import json
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx2
import pytest
from sqlalchemy import func, select

from service.config import Settings
from service.database import Database
from service.papers import shelf
from service.papers.collecting import SourceReport, collect
from service.papers.paper import Observation, Paper
from service.papers.sources import (
    Answer,
    Malformed,
    Parsed,
    SourceUnavailable,
    UnusableAnswer,
    open_fallback,
    open_sources,
)
from service.papers.sources.archive import ArchiveSource
from service.papers.sources.huggingface import HuggingFaceSource
from service.papers.storing import CHUNK
from service.papers.tables import ObservationRow, PaperRow, SourceRunRow

NOW = datetime(2026, 2, 13, 8, tzinfo=UTC)
HOUR = timedelta(hours=1)
TODAY = date(2026, 2, 13)


def a_paper(id_: str = "2602.00001", **fields: Any) -> Paper:
    return Paper(**{"id": id_, "title": f"Paper {id_}", "listed_on": TODAY, "source": "fake", **fields})


def an_observation(id_: str = "2602.00001", at: datetime = NOW, **fields: Any) -> Observation:
    return Observation(**{"paper_id": id_, "source": "fake", "observed_at": at, "upvotes": 3, **fields})


class FakeSource:
    """Says what it was given: parsed answers, or what goes wrong."""

    def __init__(self, *says: Parsed | Exception, name: str = "fake") -> None:
        self.name = name
        self.says = says

    def fetch(self, now: datetime) -> Iterator[Answer]:
        for number, said in enumerate(self.says):
            if isinstance(said, Exception) and not isinstance(said, UnusableAnswer):
                raise said
            yield Answer(origin=f"answer {number}", observed_at=now, records=(said,))

    def parse(self, answer: Answer) -> Parsed:
        (said,) = answer.records
        if isinstance(said, Exception):
            raise said
        assert isinstance(said, Parsed)
        return said


def told(papers: Sequence[Paper], observations: Sequence[Observation] = (), **others: Any) -> FakeSource:
    return FakeSource(Parsed(papers=tuple(papers), observations=tuple(observations), **others))


def the_paper(database: Database, id_: str = "2602.00001") -> PaperRow:
    with database.reading() as session:
        row = shelf.get_paper(session, id_)
    assert row is not None
    return row


def counts(database: Database) -> tuple[int, int]:
    with database.reading() as session:
        papers = session.scalar(select(func.count()).select_from(PaperRow))
        observations = session.scalar(select(func.count()).select_from(ObservationRow))
    return papers or 0, observations or 0


def test_a_paper_is_stored_with_its_observation_and_the_run_is_recorded(database: Database) -> None:
    paper = a_paper(
        abstract="A.", authors=("Ada Lark", "Zoë"), author_count=9, published_at=NOW - HOUR, summary="S.",
        keywords=("k",), categories=("cs.CL",), organization="Lab", submitted_by="ada",
        repository_url="https://github.com/e/l", project_url="https://e.org",
    )  # fmt: skip

    reports = collect(database, [told([paper], [an_observation(comments=1, stars=2)])], NOW)

    assert reports == [
        SourceReport(
            source="fake",
            outcome="ok",
            paper_count=1,
            new_count=1,
            observation_count=1,
            newest_listed_on=TODAY,
        )
    ]
    row = the_paper(database)
    for name in (
        "id",
        "title",
        "abstract",
        "author_count",
        "published_at",
        "listed_on",
        "summary",
        "organization",
    ):
        assert getattr(paper, name) == getattr(row, name)
    assert (row.authors, row.keywords, row.categories) == (["Ada Lark", "Zoë"], ["k"], ["cs.CL"])
    assert (row.upvotes, row.comments, row.stars, row.observed_at) == (3, 1, 2, NOW)
    assert (row.first_seen_at, row.updated_at, row.source) == (NOW, NOW, "fake")
    with database.reading() as session:
        assert shelf.observations_of(session, paper.id) == [an_observation(comments=1, stars=2)]
        run = session.scalars(select(SourceRunRow)).one()
    assert (run.source, run.outcome, run.started_at, run.new_count) == ("fake", "ok", NOW, 1)
    assert run.finished_at >= NOW


def test_the_same_again_is_quiet_and_changes_nothing(database: Database) -> None:
    source = told([a_paper()], [an_observation()])
    collect(database, [source], NOW)

    (report,) = collect(database, [source], NOW)

    assert (report.outcome, report.new_count, report.observation_count) == ("quiet", 0, 0)
    assert report.paper_count == 1
    assert counts(database) == (1, 1)


def test_later_text_wins_and_what_is_known_is_never_lost(database: Database) -> None:
    first = a_paper(abstract="Old.", summary="S.", keywords=("k",), authors=("Ada",), author_count=1)
    later = a_paper(title="New title", organization="Lab")
    collect(database, [told([first], [an_observation(comments=2, stars=5)])], NOW)

    collect(database, [told([later], [an_observation(at=NOW + HOUR, upvotes=8)])], NOW + HOUR)

    row = the_paper(database)
    assert (row.title, row.abstract, row.summary, row.organization) == ("New title", "Old.", "S.", "Lab")
    assert (row.keywords, row.authors, row.author_count) == (["k"], ["Ada"], 1)
    assert (row.upvotes, row.comments, row.stars) == (8, 2, 5)
    assert (row.first_seen_at, row.updated_at, row.observed_at) == (NOW, NOW + HOUR, NOW + HOUR)


def test_what_is_read_late_fills_gaps_but_replaces_nothing(database: Database) -> None:
    collect(database, [told([a_paper(title="New")], [an_observation(stars=None)])], NOW)
    early = NOW - HOUR
    old = a_paper(title="Old", abstract="Only here.", listed_on=TODAY - timedelta(days=1))

    collect(database, [told([old], [an_observation(at=early, upvotes=1, stars=4)])], early)

    row = the_paper(database)
    assert (row.title, row.abstract) == ("New", "Only here.")
    assert (row.upvotes, row.stars, row.observed_at) == (3, 4, NOW)
    assert (row.first_seen_at, row.listed_on) == (early, TODAY - timedelta(days=1))


def test_only_a_changed_text_is_an_update(database: Database) -> None:
    paper = a_paper(keywords=("k",), published_at=NOW)
    collect(database, [told([paper], [an_observation()])], NOW)
    collect(database, [told([paper], [an_observation(at=NOW + HOUR)])], NOW + HOUR)

    assert the_paper(database).updated_at == NOW
    collect(database, [told([replace(paper, keywords=("j",))])], NOW + 2 * HOUR)
    assert the_paper(database).updated_at == NOW + 2 * HOUR


def test_one_answer_may_name_a_paper_twice_and_show_it_at_several_instants(database: Database) -> None:
    seen = [an_observation(at=NOW - n * HOUR, upvotes=10 - n) for n in (0, 2, 1)]
    strangers = [an_observation("2602.99999")]

    (report,) = collect(
        database, [told([a_paper(summary="S."), a_paper(title="T")], [*seen, *strangers])], NOW
    )

    row = the_paper(database)
    assert (row.title, row.summary, row.upvotes) == ("T", "S.", 10)
    assert (row.first_seen_at, row.observed_at) == (NOW - 2 * HOUR, NOW)
    assert (report.paper_count, report.new_count, report.observation_count) == (1, 1, 3)


def test_many_papers_are_stored_in_several_transactions(database: Database) -> None:
    papers = [a_paper(f"2602.{number:05}") for number in range(CHUNK + 5)]
    told_done: list[int] = []

    (report,) = collect(
        database,
        [told(papers, [an_observation(paper.id) for paper in papers])],
        NOW,
        progress=lambda done, total, what: told_done.append(done),
    )

    assert told_done == [CHUNK, CHUNK + 5]
    assert (report.new_count, report.observation_count) == (CHUNK + 5, CHUNK + 5)
    assert counts(database) == (CHUNK + 5, CHUNK + 5)


def test_a_failing_source_stops_no_other_and_is_seen_as_failing(database: Database) -> None:
    down = FakeSource(SourceUnavailable("host can't be reached"), name="down")
    broken = FakeSource(KeyError("a bug of ours"), name="broken")
    half = FakeSource(
        UnusableAnswer("an HTML page"), Parsed(papers=(a_paper(),)), SourceUnavailable("limited"), name="half"
    )

    reports = collect(database, [down, broken, half, told([a_paper("2602.00002")])], NOW)

    assert [report.outcome for report in reports] == ["failed", "failed", "partial", "ok"]
    assert [report.message for report in reports] == [
        "host can't be reached", "could not be read: KeyError", "limited; answer 0: an HTML page", None,
    ]  # fmt: skip
    assert counts(database)[0] == 2
    with database.reading() as session:
        states = {one.source: one.state for one in shelf.source_states(session, NOW)}
    assert states == {"down": "failing", "broken": "failing", "half": "ok", "fake": "ok"}


def test_malformed_items_are_counted_and_the_rest_is_kept(database: Database) -> None:
    malformed = (Malformed(position=3, reason="has no id"),)

    (some,) = collect(database, [told([a_paper()], malformed=malformed)], NOW)
    (all_,) = collect(database, [told([], malformed=malformed)], NOW)

    assert (some.outcome, some.malformed_count) == ("ok", 1)
    assert (all_.outcome, all_.message) == ("failed", "1 item could not be read")


def test_keys_we_do_not_know_are_kept_with_the_run(database: Database) -> None:
    collect(database, [told([a_paper()], unknown_keys={"paper.novelty": 2})], NOW)

    with database.reading() as session:
        assert session.scalars(select(SourceRunRow.details)).one() == {"unknown_keys": {"paper.novelty": 2}}


def test_two_collections_at_once_do_no_harm(database: Database) -> None:
    papers = [a_paper(f"2602.{number:05}") for number in range(300)]
    seen = [an_observation(paper.id) for paper in papers]
    reports: list[SourceReport] = []
    barrier = threading.Barrier(2)

    def run(order: int) -> None:
        source = told(papers[::order], seen[::order])
        barrier.wait()
        reports.extend(collect(database, [source], NOW))

    threads = [threading.Thread(target=run, args=(order,)) for order in (1, -1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert counts(database) == (300, 300)
    assert sum(report.observation_count for report in reports) == 300
    assert {report.outcome for report in reports} <= {"ok", "quiet"}


def test_the_demo_stands_in_only_while_nothing_else_is_there(sqlite_database: Database) -> None:
    database = sqlite_database
    down = FakeSource(SourceUnavailable("no network"), name="huggingface")
    demo = FakeSource(
        Parsed(
            papers=(a_paper(source="demo", summary="Ours."), a_paper("2602.00009", source="demo")),
            observations=(an_observation(source="demo", at=NOW - HOUR, stars=9),),
        ),
        name="demo",
    )

    first = collect(database, [down], NOW, fallback=demo)
    assert [(one.source, one.outcome) for one in first] == [("huggingface", "failed"), ("demo", "ok")]
    with database.reading() as session:
        assert {one.source: one.state for one in shelf.source_states(session, NOW)} == {
            "huggingface": "failing", "demo": "ok",
        }  # fmt: skip
        assert len(shelf.papers_of_day(session, TODAY)) == 2
        assert len(shelf.sightings(session, since=NOW - 5 * HOUR, until=NOW)) == 1

    real = told([a_paper(source="huggingface")], [an_observation(source="huggingface", at=NOW + HOUR)])
    collect(database, [real], NOW + HOUR, fallback=demo)
    later = NOW + 2 * HOUR
    assert len(collect(database, [down], later, fallback=demo)) == 1  # an outage is shown as one
    collect(database, [demo], later)  # and a demo that is asked for changes no real paper
    with database.reading() as session:
        assert [row.id for row in shelf.papers_of_day(session, TODAY)] == ["2602.00001"]
        assert [row.id for row in shelf.candidate_rows(session, since=NOW - 9 * HOUR, until=later)] == [
            "2602.00001"
        ]
        assert [one.source for one in shelf.sightings(session, since=NOW - 9 * HOUR, until=later)] == [
            "huggingface"
        ]
        assert shelf.search(session, "paper") == [shelf.get_paper(session, "2602.00001")]
    row = the_paper(database)
    assert (row.source, row.upvotes, row.stars) == ("huggingface", 3, None)
    assert row.first_seen_at == NOW - HOUR  # the demo's: who got it then must not get it again as new


def test_a_fallback_is_for_a_first_look_only(tmp_path: Path) -> None:
    plain = Settings(data_dir=tmp_path)
    named = Settings(data_dir=tmp_path, sources=("huggingface",))

    assert getattr(open_fallback(plain), "name", None) == "demo"
    assert open_fallback(named) is None


def test_sources_are_opened_by_name_in_order(tmp_path: Path) -> None:
    names = ("archive", "demo", "huggingface", "arxiv", "archive")
    settings = Settings(data_dir=tmp_path, sources=names, archive_path=tmp_path)

    assert [source.name for source in open_sources(settings)] == ["archive", "demo", "huggingface", "arxiv"]


def test_polling_turns_votes_into_a_curve(database: Database) -> None:
    votes = iter(range(100))

    def answer(request: httpx2.Request) -> httpx2.Response:
        if request.url.params["date"] != "2026-02-12":
            return httpx2.Response(200, json=[])
        return httpx2.Response(
            200, json=[{"paper": {"id": "2602.00001", "title": "T", "upvotes": next(votes)}}]
        )

    source = HuggingFaceSource("https://hf.example", transport=httpx2.MockTransport(answer))
    for hours in range(3):
        (report,) = collect(database, [source], NOW + hours * HOUR)
        assert (report.outcome, report.newest_listed_on) == ("ok", date(2026, 2, 12))

    with database.reading() as session:
        curve = shelf.observations_of(session, "2602.00001")
    assert [(one.observed_at, one.upvotes) for one in curve] == [(NOW + n * HOUR, n) for n in range(3)]


def test_days_without_papers_are_quiet(database: Database) -> None:
    empty = httpx2.MockTransport(lambda request: httpx2.Response(200, json=[]))

    (report,) = collect(database, [HuggingFaceSource("https://hf.example", transport=empty)], NOW)

    assert (report.outcome, report.message) == ("quiet", "nothing new")


def write_archive(folder: Path, snapshots: list[dict[str, Any]]) -> ArchiveSource:
    ids = sorted({one["id"] for one in snapshots})
    texts = [{"paper": {"id": id_, "title": id_}, "list_date": "2026-02-12"} for id_ in ids]
    for name, lines in (("papers", texts), ("snapshots", snapshots)):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return ArchiveSource(folder)


def test_a_replay_adds_only_what_became_known(database: Database, tmp_path: Path) -> None:
    snapshots = [
        {"id": f"2602.0000{n % 3}", "at": (NOW + n * HOUR).isoformat(), "upvotes": n} for n in range(9)
    ]
    archive = write_archive(tmp_path, snapshots)
    added = []
    for hours in (-1, 2, 2, 5, 3, 20, 21):
        (report,) = collect(database, [archive], NOW + hours * HOUR)
        added.append((report.outcome, report.new_count, report.observation_count))

    assert added == [
        ("quiet", 0, 0), ("ok", 3, 3), ("quiet", 0, 0), ("ok", 0, 3), ("quiet", 0, 0), ("ok", 0, 3),
        ("quiet", 0, 0),
    ]  # fmt: skip
    row = the_paper(database, "2602.00001")
    assert (row.first_seen_at, row.observed_at, row.upvotes) == (NOW + HOUR, NOW + 7 * HOUR, 7)


def test_recordings_that_were_added_later_are_read_from_the_start(
    sqlite_database: Database, tmp_path: Path
) -> None:
    first = {"id": "2602.00001", "at": NOW.isoformat(), "upvotes": 5}
    collect(sqlite_database, [write_archive(tmp_path, [first])], NOW)
    earlier = {"id": "2602.00001", "at": (NOW - HOUR).isoformat(), "upvotes": 2}

    (report,) = collect(sqlite_database, [write_archive(tmp_path, [first, earlier])], NOW)

    assert (report.outcome, report.observation_count) == ("ok", 1)
    row = the_paper(sqlite_database)
    assert (row.first_seen_at, row.observed_at, row.upvotes) == (NOW - HOUR, NOW, 5)


@pytest.mark.data
def test_a_real_week_day_by_day_is_the_same_as_at_once(
    recorded_data: Path, sqlite_database: Database, tmp_path: Path
) -> None:
    archive = ArchiveSource(recorded_data / "hf_daily")
    start = datetime(2025, 6, 16, 8, tzinfo=UTC)
    known: list[tuple[int, int]] = []
    for days in range(7):
        collect(sqlite_database, [archive], start + timedelta(days=days))
        known.append(counts(sqlite_database))

    assert known == sorted(known)
    with sqlite_database.reading() as session:
        newest = session.scalar(select(func.max(ObservationRow.observed_at)))
        first_seen = dict(session.execute(select(PaperRow.id, PaperRow.first_seen_at)).all())
        earliest = select(ObservationRow.paper_id, func.min(ObservationRow.observed_at))
        observed = session.execute(earliest.group_by(ObservationRow.paper_id))
        assert first_seen == dict(observed.all())
    assert newest is not None
    assert newest <= start + timedelta(days=6)
    parsed = [archive.parse(answer) for answer in archive.fetch(start + timedelta(days=6))]
    assert known[-1] == (sum(len(one.papers) for one in parsed), sum(len(one.observations) for one in parsed))
