"""The JSON API: the same papers and guards as the pages, errors that name the field."""

from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import insert, select

from service.clock import SettableClock
from service.mail.tables import DeliveryRow
from service.papers.tables import ObservationRow
from service.subscribers.tables import ConsentEventRow
from tests.web.conftest import ADDRESS, Visitor, add_paper, add_run

WHO = "who@example.net"


def test_subscribing_is_the_form_s_sign_up(visitor: Visitor) -> None:
    answer = visitor.post(
        "/api/v1/subscriptions",
        json={
            "address": ADDRESS,
            "topics": ["llm-agents"],
            "mutes": ["blockchain"],
            "timezone": "Asia/Tokyo",
            "hour": 6,
            "papers": 4,
            "weekdays": ["monday", "thursday"],
        },
    )
    assert answer.status_code == 202
    assert answer.json()["status"] == "accepted"
    assert visitor.rings == [("mail.deliver", "transactional")]
    assert visitor.post(f"/confirm/{visitor.confirm_token()}").status_code == 200
    row = visitor.subscriber()
    assert row is not None
    assert (row.timezone, row.send_hour, row.paper_count, row.weekdays) == ("Asia/Tokyo", 6, 4, 0b0001001)
    with visitor.parts.database.reading() as session:
        forms = session.scalars(select(ConsentEventRow.form).order_by(ConsentEventRow.id)).all()
    assert forms == ["/api/v1/subscriptions", "/confirm"]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"address": "nobody"}, "address"),
        ({}, "address"),
        ({"address": WHO, "timezone": "Mars/Base"}, "timezone"),
        ({"address": WHO, "hour": 24}, "hour"),
        ({"address": WHO, "papers": 0}, "papers"),
        ({"address": WHO, "categories": ["cs.XX"]}, "categories"),
        ({"address": WHO, "weekdays": ["someday"]}, "weekdays"),
        ({"address": WHO, "topcis": ["llm-agents"]}, "topcis"),
    ],
)
def test_errors_name_the_field_and_store_nothing(lite: Visitor, body: dict[str, object], field: str) -> None:
    before = lite.dump()
    answer = lite.post("/api/v1/subscriptions", json=body)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    assert [error["field"] for error in answer.json()["errors"]] == [field]
    assert WHO not in answer.text
    assert lite.dump() == before


@pytest.mark.parametrize("content", ["{", '{"address": ann}', ""])
def test_broken_json_is_called_so(lite: Visitor, content: str) -> None:
    headers = {"Content-Type": "application/json"}
    answer = lite.post("/api/v1/subscriptions", content=content, headers=headers)
    assert answer.status_code == 422
    [error] = answer.json()["errors"]
    assert error["field"] == "body"
    assert error["message"] == ("is not valid JSON" if content else "Field required")


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", None])
def test_only_json_is_taken_for_json(lite: Visitor, content_type: str | None) -> None:
    """A form on another site can send these without asking first; JSON it can't."""
    headers = {"Content-Type": content_type} if content_type else {}
    answer = lite.post("/api/v1/subscriptions", content='{"address": "ann@example.org"}', headers=headers)
    assert answer.status_code == 422
    with lite.parts.database.reading() as session:
        assert session.scalars(select(DeliveryRow)).all() == []


def test_papers_of_a_day_with_their_trend(visitor: Visitor, clock: SettableClock) -> None:
    database = visitor.parts.database
    for number in range(3):
        add_paper(database, f"2602.0000{number}", upvotes=number)
    add_paper(database, "2602.00009", listed_on=date(2026, 2, 12))
    seen = clock() - timedelta(hours=1)
    with database.transaction() as session:
        rows = [
            {"paper_id": "2602.00002", "observed_at": seen - timedelta(hours=hours), "source": "huggingface"}
            | {"upvotes": 2 - hours, "comments": None, "stars": None}
            for hours in range(2)
        ]
        session.execute(insert(ObservationRow), rows)
    answer = visitor.get("/api/v1/papers", params={"limit": 2}).json()
    assert answer["day"] == "2026-02-13"
    assert [paper["id"] for paper in answer["papers"]] == ["2602.00002", "2602.00001"]
    trend = answer["papers"][0]["trend"]
    assert 0 <= trend["score"] <= 1
    assert trend["reason"]
    assert answer["papers"][1]["trend"] is None
    assert (
        visitor.get("/api/v1/papers", params={"day": "2026-02-12"}).json()["papers"][0]["id"] == "2602.00009"
    )
    one = visitor.get("/api/v1/papers/2602.00002").json()
    assert [o["upvotes"] for o in one["observations"]] == [1, 2]
    assert one["page_url"] == "http://127.0.0.1:8000/papers/2602.00002"
    assert one["observations"][0]["comments"] is None


def test_days_topics_categories_and_sources(lite: Visitor, clock: SettableClock) -> None:
    add_paper(lite.parts.database)
    add_run(lite.parts.database, clock(), source="demo")
    assert lite.get("/api/v1/days").json() == ["2026-02-13"]
    assert lite.get("/api/v1/days", params={"before": "2026-02-13"}).json() == []
    assert {"slug", "name", "group", "description", "phrases", "categories"} == set(
        lite.get("/api/v1/topics").json()[0]
    )
    assert lite.get("/api/v1/categories").json()["cs.CL"] == "Computation and Language"
    assert lite.get("/api/v1/sources").json()[0]["state"] == "ok"


def test_what_is_missing_or_malformed_is_a_problem(lite: Visitor) -> None:
    for path, status in (
        ("/api/v1/papers/none", 404),
        ("/api/v1/nothing", 404),
        ("/api/v1/papers?day=soon", 422),
        ("/api/v1/papers?limit=0", 422),
    ):
        answer = lite.get(path)
        assert answer.status_code == status
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["status"] == status
    assert lite.put("/api/v1/papers").status_code == 405


def test_description_is_public_and_whole(lite: Visitor) -> None:
    description = lite.get("/api/v1/openapi.json").json()
    assert set(description["paths"]) == {
        "/api/v1/subscriptions",
        "/api/v1/preferences",
        "/api/v1/preview",
        "/api/v1/libraries",
        "/api/v1/libraries/{library_id}",
        "/api/v1/papers",
        "/api/v1/papers/{paper_id}",
        "/api/v1/days",
        "/api/v1/topics",
        "/api/v1/categories",
        "/api/v1/sources",
        "/api/v1/answers",
        "/api/v1/answers/{paper_id}",
    }
    assert lite.get("/docs").status_code == 404


def test_naive_instants_never_leave(lite: Visitor) -> None:
    add_paper(lite.parts.database, published_at=datetime(2026, 2, 12, 5, tzinfo=UTC))
    assert lite.get("/api/v1/papers").json()["papers"][0]["published_at"] == "2026-02-12T05:00:00Z"
