"""The page that explains the trend, and the parts as a program gets them."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import insert

from service.clock import SettableClock
from service.database import Database
from service.papers.forecast import FITTED
from service.papers.tables import ObservationRow
from service.papers.traits import FEATURES
from service.papers.trend import FORECAST_PARTS, TREND_VERSION, WEIGHTS
from tests.web.conftest import Visitor, add_paper

TODAY = date(2026, 2, 13)


def add_looks(database: Database, paper_id: str, *looks: tuple[datetime, int]) -> None:
    rows = [
        {"paper_id": paper_id, "observed_at": at, "source": "huggingface", "upvotes": votes}
        | {"comments": None, "stars": None}
        for at, votes in looks
    ]
    with database.transaction() as session:
        session.execute(insert(ObservationRow), rows)


def add_history(database: Database) -> None:
    """Thirty papers of two days before, with their votes after eight hours and after a day."""
    start = datetime(2026, 2, 11, tzinfo=UTC)
    for number in range(30):
        id_ = f"2601.000{number:02}"
        add_paper(database, id_, listed_on=start.date(), upvotes=3 * number, observed_at=start)
        looks = ((timedelta(hours=8), 2 * number), (timedelta(hours=26), 3 * number))
        add_looks(database, id_, *((start + after, votes) for after, votes in looks))


def add_day(database: Database, now: datetime) -> None:
    """Six papers of the day; the first by votes is a plain one, the second an organization's."""
    fields: list[dict[str, Any]] = [{}, {"organization": "Lark Lab", "project_url": "https://lark.example"}]
    for number in range(6):
        id_ = f"2602.0000{number}"
        add_paper(
            database, id_, title=f"Paper {number}", upvotes=20 - number, **fields[number % 2], authors=[]
        )
        add_looks(database, id_, (now - timedelta(minutes=30), 20 - number))


@pytest.fixture
def busy(visitor: Visitor, clock: SettableClock) -> Visitor:
    add_history(visitor.parts.database)
    add_day(visitor.parts.database, clock())
    return visitor


def test_the_page_works_the_papers_of_the_day_out(busy: Visitor) -> None:
    text = busy.get("/trending").text
    assert TREND_VERSION in text
    assert "Worked out: the papers of Friday 13 February 2026" in text
    assert "Of 6 papers: the first three by trend" in text
    assert "votes expected as its first day ends" in text
    for number in range(3):
        trend = busy.get(f"/api/v1/papers/2602.0000{number}").json()["trend"]
        assert f"<td>{trend['score']:.3f}</td>" in text
    assert text.count('class="worked"') == 5
    assert busy.get("/").text.count('href="/trending"') == 1
    page = busy.get("/papers/2602.00001").text
    assert 'href="/trending"' in page
    assert "An organization is named" in page


def test_every_part_has_a_name_and_is_described(lite: Visitor) -> None:
    site = lite.app.state.site  # type: ignore[attr-defined]
    names = site.templates.get_template("_trend.html").module.NAMES
    assert set(names) == {*WEIGHTS, *FORECAST_PARTS, "age"}
    schema = lite.get("/api/v1/openapi.json").json()["components"]["schemas"]["TrendPart"]["properties"]
    for name in names:
        assert name in schema["parts"]["description"]
    assert {"score", "percentile", "forecast", "parts", "reason", "version"} == set(schema)
    assert set(FITTED.weights) == set(FEATURES)


def test_a_program_gets_parts_that_add_up(busy: Visitor) -> None:
    papers = busy.get("/api/v1/papers").json()["papers"]
    assert len(papers) == 6
    for paper in papers:
        trend = paper["trend"]
        assert sum(trend["parts"].values()) == pytest.approx(trend["score"], abs=1e-6)
        assert trend["forecast"] > paper["upvotes"]
        assert trend["version"] == TREND_VERSION
    plain, lab = papers[0]["trend"], papers[1]["trend"]
    assert {"organization", "project_page"} <= set(lab["parts"])
    assert not {"organization", "project_page"} & set(plain["parts"])
    older = busy.get("/api/v1/papers/2601.00029").json()["trend"]
    assert older["forecast"] is None
    assert older["parts"]["age"] < 0


def test_the_page_says_so_when_nothing_was_seen(lite: Visitor) -> None:
    assert "No votes have been seen yet." in lite.get("/trending").text
    add_paper(lite.parts.database)
    assert "No votes have been seen yet." in lite.get("/trending").text


def test_a_newer_look_is_in_the_trends_within_a_minute(lite: Visitor, clock: SettableClock) -> None:
    add_paper(lite.parts.database, "2602.00001")
    add_looks(lite.parts.database, "2602.00001", (clock(), 3))

    def reason() -> str:
        return str(lite.get("/api/v1/papers/2602.00001").json()["trend"]["reason"])

    assert reason().startswith("3 votes")
    add_looks(lite.parts.database, "2602.00001", (clock() + timedelta(seconds=30), 5))
    clock.advance(timedelta(seconds=61))
    assert reason().startswith("5 votes")
