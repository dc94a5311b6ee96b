"""The shelf gives what pages, ranking and operators ask for."""

from datetime import UTC, date, datetime, timedelta
from math import log1p
from typing import Any

import pytest

from service.database import Database
from service.papers import shelf
from service.papers.shelf import SourceState
from service.papers.tables import ObservationRow, PaperRow, SourceRunRow
from service.papers.trend import Sighting
from service.ranking.values import Candidate

NOW = datetime(2026, 2, 13, 8, tzinfo=UTC)  # a Friday
HOUR = timedelta(hours=1)
TODAY = date(2026, 2, 13)


def a_row(id_: str, **fields: Any) -> PaperRow:
    defaults = {"title": f"Paper {id_}", "listed_on": TODAY, "first_seen_at": NOW, "updated_at": NOW}
    return PaperRow(**{"id": id_, "source": "huggingface", **defaults, **fields})


def a_run(at: datetime, outcome: str = "ok", newest: date | None = TODAY, **fields: Any) -> SourceRunRow:
    defaults = {"source": "huggingface", "started_at": at, "finished_at": at, "newest_listed_on": newest}
    return SourceRunRow(**{**defaults, "outcome": outcome, **fields})


def put(database: Database, *rows: object) -> None:
    with database.transaction() as session:
        session.add_all(rows)
        session.flush()


def state(database: Database, now: datetime) -> SourceState:
    with database.reading() as session:
        (only,) = shelf.source_states(session, now)
    return only


def test_days_come_newest_first_and_can_be_walked(database: Database) -> None:
    days = [TODAY - timedelta(days=back) for back in (0, 1, 4)]
    put(database, *(a_row(f"2602.0000{n}", listed_on=day) for n, day in enumerate([*days, None, TODAY])))

    with database.reading() as session:
        assert shelf.list_days(session) == days
        assert shelf.list_days(session, limit=1) == days[:1]
        assert shelf.list_days(session, before=days[0]) == days[1:]
        assert shelf.day_after(session, days[2]) == days[1]
        assert shelf.day_after(session, days[0]) is None


def test_the_papers_of_a_day_come_best_voted_first(database: Database) -> None:
    put(
        database,
        a_row("2602.00001", upvotes=3),
        a_row("2602.00002"),
        a_row("2602.00003", upvotes=30),
        a_row("2602.00004", upvotes=0),
        a_row("2602.00005", upvotes=99, withdrawn_at=NOW),
        a_row("2602.00006", upvotes=99, listed_on=TODAY - timedelta(days=1)),
    )

    with database.reading() as session:
        rows = shelf.papers_of_day(session, TODAY)
    assert [row.id[-1] for row in rows] == ["3", "1", "4", "2"]


def test_candidates_are_what_was_first_seen_in_the_window(database: Database) -> None:
    put(
        database,
        a_row("2602.00001", first_seen_at=NOW - 2 * HOUR),
        a_row("2602.00002", first_seen_at=NOW),
        a_row("2602.00003", first_seen_at=NOW - HOUR),
        a_row("2602.00004", first_seen_at=NOW + HOUR),
        a_row("2602.00005", withdrawn_at=NOW),
    )

    with database.reading() as session:
        rows = shelf.candidate_rows(session, since=NOW - 2 * HOUR, until=NOW)
    assert [row.id[-1] for row in rows] == ["3", "2"]


def test_a_row_becomes_the_value_ranking_works_with() -> None:
    row = a_row(
        "2602.00001", abstract="A.", summary=None, keywords=["k"], categories=["cs.CL"], authors=["Ada"],
        organization="Lab",
    )  # fmt: skip

    assert shelf.as_candidate(row) == Candidate(
        id="2602.00001", title="Paper 2602.00001", abstract="A.", summary="", keywords=("k",),
        categories=("cs.CL",), authors=("Ada",), organization="Lab", listed_on=TODAY,
    )  # fmt: skip


def test_papers_are_found_by_id_many_at_once(database: Database) -> None:
    put(database, a_row("2602.00001"), a_row("2602.00002"))

    with database.reading() as session:
        found = shelf.papers_by_id(session, ["2602.00002", "2602.09999", *(f"x{n}" for n in range(12_000))])
        assert shelf.get_paper(session, "2602.09999") is None
    assert list(found) == ["2602.00002"]


def test_sightings_of_a_window_come_oldest_first_with_their_list_day(database: Database) -> None:
    put(database, a_row("2602.00001"))
    put(
        database,
        *(
            ObservationRow(
                paper_id="2602.00001", observed_at=NOW - n * HOUR, source="huggingface", upvotes=9 - n
            )
            for n in range(4)
        ),
    )

    with database.reading() as session:
        seen = shelf.sightings(session, since=NOW - 3 * HOUR, until=NOW - HOUR)
    assert seen == [
        Sighting(id="2602.00001", list_date=TODAY, at=NOW - n * HOUR, upvotes=9 - n, source="huggingface")
        for n in (2, 1)
    ]


def test_traits_tell_of_papers_in_their_first_day_and_of_their_people(database: Database) -> None:
    """Only what was known by the instant: later papers, later looks and papers without votes say nothing."""
    ann = {"authors": ["Bob Berg", "Ann Ahn"], "author_count": 2, "submitted_by": "ann"}
    long_ago = TODAY - timedelta(days=9)
    put(
        database,
        a_row("2602.00001", organization="Lab", project_url="https://x.example", published_at=NOW, **ann),
        a_row("2602.00002", listed_on=TODAY - timedelta(days=1), authors=["Ann Ahn"], author_count=120),
        a_row("2602.00003", first_seen_at=NOW + HOUR),
        a_row("2602.00004", listed_on=None),
        a_row("2601.00001", listed_on=long_ago, upvotes=99, observed_at=NOW + HOUR, **ann),
        a_row("2601.00002", listed_on=long_ago, upvotes=0, observed_at=NOW, submitted_by="eve"),
        a_row("2601.00003", listed_on=long_ago, upvotes=None),
        a_row("2601.00004", listed_on=TODAY - timedelta(days=1), upvotes=500, observed_at=NOW, **ann),
    )
    looks = ((NOW - HOUR, 9), (NOW + HOUR, 99))
    put(
        database,
        *(
            ObservationRow(paper_id="2601.00001", observed_at=at, source="huggingface", upvotes=votes)
            for at, votes in looks
        ),
    )
    with database.reading() as session:
        found = shelf.traits(session, NOW)
        earlier = shelf.traits(session, NOW - 2 * HOUR)
        assert shelf.traits(session, NOW - timedelta(days=3)) == {}
        assert shelf.newest_look_at(session, NOW) == NOW - HOUR
        assert shelf.newest_look_at(session, NOW - HOUR * 2) is None

    assert set(found) == {"2602.00001", "2602.00002", "2601.00004"}
    better = (log1p(9) - 0) / 2 / 4  # above the mean of the two of its day; three papers' worth of doubt
    assert found["2602.00001"].submitter == pytest.approx(better)
    assert found["2602.00001"].last_author == pytest.approx(better)
    assert found["2602.00001"].organization
    assert found["2602.00001"].project_page
    assert found["2602.00001"].authors == 2
    assert found["2602.00001"].published_on == TODAY
    assert found["2602.00002"].last_author == 0  # its list of authors was cut: the last is not known
    assert not found["2602.00002"].organization
    assert earlier == {}  # nothing was first seen by then


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("larks", ["2602.00002", "2602.00001"]),
        ("LARKS quiet", ["2602.00001"]),
        ("zoë", ["2602.00001"]),
        ("ornithology", ["2602.00002"]),
        ("100%", ["2602.00002"]),
        ("0_", []),
        ("2602.00001v3", ["2602.00001"]),
        ("2602.99999", []),
        ("", []),
    ],
)
def test_search_wants_every_word_and_takes_signs_as_they_are(
    database: Database, words: str, found: list[str]
) -> None:
    put(
        database,
        a_row("2602.00001", title="Quiet larks", authors=["Zoë Lark"], listed_on=TODAY - timedelta(days=1)),
        a_row("2602.00002", title="Birds", abstract="Larks at 100% volume", keywords=["ornithology"]),
    )

    with database.reading() as session:
        assert found == [row.id for row in shelf.search(session, words)]


def test_a_source_is_judged_by_its_last_runs(database: Database) -> None:
    put(
        database,
        a_run(NOW - 3 * HOUR),
        a_run(NOW - 2 * HOUR, "failed", None, message="host can't be reached"),
        a_run(NOW - HOUR, "failed", None, message="still not"),
        a_run(NOW, "partial"),
        a_run(NOW + HOUR, "quiet", None, message="nothing new"),
    )

    assert state(database, NOW - 3 * HOUR).state == "ok"
    failing = state(database, NOW - HOUR)
    assert (failing.state, failing.since, failing.message) == ("failing", NOW - 2 * HOUR, "still not")
    assert failing.newest_listed_on == TODAY
    assert state(database, NOW).state == "ok"
    assert state(database, NOW + HOUR).state == "quiet"
    with database.reading() as session:
        assert shelf.last_success_at(session, NOW - HOUR) == NOW - 3 * HOUR
        assert shelf.last_success_at(session, NOW - 4 * HOUR) is None
        assert shelf.last_success_at(session, NOW + HOUR) == NOW + HOUR


def test_a_source_that_never_ran_is_named_where_it_is_asked_for(database: Database) -> None:
    put(database, a_run(NOW), a_run(NOW, source="demo"))

    with database.reading() as session:
        assert [one.source for one in shelf.source_states(session, NOW)] == ["demo", "huggingface"]
        named = shelf.source_states(session, NOW, names=("arxiv", "huggingface"))
    assert [(one.source, one.state) for one in named] == [("arxiv", "never"), ("huggingface", "ok")]


@pytest.mark.parametrize(
    ("newest", "now", "judged"),
    [
        # Monday's list is the newest. Weekdays count once their list should have appeared, at noon.
        (date(2026, 2, 9), datetime(2026, 2, 10, 23, tzinfo=UTC), "ok"),
        (date(2026, 2, 9), datetime(2026, 2, 11, 8, tzinfo=UTC), "ok"),
        (date(2026, 2, 9), datetime(2026, 2, 11, 12, tzinfo=UTC), "stale"),
        # Friday's: the weekend has no lists.
        (date(2026, 2, 6), datetime(2026, 2, 9, 13, tzinfo=UTC), "ok"),
        (date(2026, 2, 6), datetime(2026, 2, 10, 11, tzinfo=UTC), "ok"),
        (date(2026, 2, 6), datetime(2026, 2, 10, 13, tzinfo=UTC), "stale"),
        (date(2025, 2, 6), datetime(2026, 2, 10, 13, tzinfo=UTC), "stale"),
    ],
)
def test_a_source_that_answers_but_lists_nothing_newer_is_stale(
    sqlite_database: Database, newest: date, now: datetime, judged: str
) -> None:
    rose_at = now - timedelta(days=2)
    put(sqlite_database, a_run(rose_at, newest=newest), a_run(now - HOUR, newest=newest))

    seen = state(sqlite_database, now)

    assert (seen.state, seen.newest_listed_on) == (judged, newest)
    if judged == "stale":
        assert seen.since == rose_at
        assert str(newest) in str(seen.message)


def test_a_failing_source_is_failing_however_old_its_lists(sqlite_database: Database) -> None:
    put(
        sqlite_database,
        a_run(NOW - timedelta(days=9), newest=TODAY - timedelta(days=9)),
        a_run(NOW, "failed", None, message="down"),
    )

    assert state(sqlite_database, NOW).state == "failing"
