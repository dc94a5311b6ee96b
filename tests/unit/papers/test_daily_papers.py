"""Items of Daily Papers are read as docs/sources.md describes them, and none is lost without a word."""

import contextlib
import json
from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.papers.paper import Observation, Paper
from service.papers.sources import Parsed, UnusableAnswer
from service.papers.sources.daily_papers import Context, MalformedItem, parse_answer, read_item

NOW = datetime(2026, 3, 6, 8, tzinfo=UTC)
CONTEXT = Context(source="huggingface", observed_at=NOW, listed_on=date(2026, 3, 6))


def an_item(paper: Mapping[str, Any] | None = None, **outer: Any) -> dict[str, Any]:
    """Make an item as the API gives it, with other or further keys."""
    inner = {
        "id": "2602.23229",
        "title": "Larks  over\n paper",
        "summary": "We watch\nlarks.",
        "authors": [
            {"name": "Ada Lark", "hidden": False},
            {"name": "No Body", "hidden": True},
            {"name": "B. Ird"},
        ],
        "publishedAt": "2026-02-26T17:08:18.000Z",
        "submittedOnDailyAt": "2026-03-06T03:55:12.777Z",
        "submittedOnDailyBy": {"user": "inner-name"},
        "upvotes": 10,
        "githubRepo": "https://github.com/example/lark",
        "githubStars": 9,
        "projectPage": "https://lark.example.org",
        "ai_summary": "Larks are watched.",
        "ai_keywords": ["larks", "watching"],
        "organization": {"name": "lark-lab", "fullname": "Lark Lab"},
        **(paper or {}),
    }
    return {
        "paper": inner,
        "publishedAt": "2026-02-26T12:08:18.000Z",
        "title": "Larks over paper",
        "numComments": 1,
        "submittedBy": {"name": "ornithologist"},
        **outer,
    }


def read(item: object) -> Paper:
    return read_item(item, CONTEXT)[0]


def seen(item: object) -> Observation | None:
    return read_item(item, CONTEXT)[1]


def test_an_item_is_read_whole() -> None:
    assert read(an_item()) == Paper(
        id="2602.23229",
        title="Larks over paper",
        abstract="We watch larks.",
        authors=("Ada Lark", "B. Ird"),
        author_count=2,
        published_at=datetime(2026, 2, 26, 17, 8, 18, tzinfo=UTC),
        listed_on=date(2026, 3, 6),
        summary="Larks are watched.",
        keywords=("larks", "watching"),
        organization="Lark Lab",
        submitted_by="ornithologist",
        repository_url="https://github.com/example/lark",
        project_url="https://lark.example.org",
        source="huggingface",
    )
    assert seen(an_item()) == Observation(
        paper_id="2602.23229", source="huggingface", observed_at=NOW, upvotes=10, comments=1, stars=9
    )


def test_an_id_and_a_title_are_enough_and_what_is_absent_is_not_zero() -> None:
    paper, observation = read_item({"paper": {"id": "2602.23229", "title": "T"}}, CONTEXT)

    assert paper == Paper(id="2602.23229", title="T", listed_on=date(2026, 3, 6), source="huggingface")
    assert observation is None


def test_a_zero_is_a_zero() -> None:
    observation = seen(an_item({"upvotes": 0, "githubStars": None}, numComments=0))

    assert observation is not None
    assert (observation.upvotes, observation.comments, observation.stars) == (0, 0, None)


def test_the_inner_field_goes_first_but_for_comments() -> None:
    item = an_item({"numComments": 5}, upvotes=99, title="Outer", summary="Outer")

    observation = seen(item)
    assert observation is not None
    assert (observation.upvotes, observation.comments) == (10, 1)
    assert (read(item).title, read(item).abstract) == ("Larks over paper", "We watch larks.")


def test_the_outer_field_stands_in_for_a_missing_or_unusable_inner_one() -> None:
    item = an_item(
        {"title": None, "summary": 7, "upvotes": "many"}, title="Outer", summary="Outside", upvotes=3
    )

    assert (read(item).title, read(item).abstract) == ("Outer", "Outside")
    observation = seen(item)
    assert observation is not None
    assert observation.upvotes == 3


def test_the_outer_publication_time_is_never_believed() -> None:
    assert read(an_item({"publishedAt": None})).published_at is None


def test_the_list_day_is_the_day_asked_for_where_the_item_does_not_say() -> None:
    assert read(an_item({"submittedOnDailyAt": None})).listed_on == date(2026, 3, 6)
    assert read(an_item({"submittedOnDailyAt": "2999-01-01"})).listed_on == date(2026, 3, 6)
    assert read(an_item({"submittedOnDailyAt": "2026-03-04T00:00:00Z"})).listed_on == date(2026, 3, 4)


def test_a_project_page_at_github_is_the_repository_where_none_is_given() -> None:
    paper = read(an_item({"githubRepo": None, "projectPage": "https://github.com/example/page"}))

    assert (paper.repository_url, paper.project_url) == ("https://github.com/example/page", None)


def test_the_submitter_is_read_in_either_spelling() -> None:
    item = an_item()
    del item["submittedBy"]

    assert read(item).submitted_by == "inner-name"


def test_a_very_long_list_of_authors_is_cut_but_counted() -> None:
    paper = read(an_item({"authors": [{"name": f"Author {n}"} for n in range(664)]}))

    assert (len(paper.authors), paper.author_count) == (100, 664)


def test_a_withdrawn_paper_is_marked() -> None:
    assert read(an_item({"withdrawnAt": "2026-03-05T00:00:00Z"})).withdrawn_at == datetime(
        2026, 3, 5, tzinfo=UTC
    )
    assert read(an_item({"withdrawnAt": True})).withdrawn_at == NOW
    assert read(an_item({"withdrawnAt": None})).withdrawn_at is None


def test_hostile_text_and_addresses_do_no_harm() -> None:
    paper = read(
        an_item(
            {
                "title": "=?utf-8?q?x=0AReply-To=3A_evil?= \u202e {{7*7}} <img src=x onerror=alert(1)>",
                "projectPage": "javascript:alert(1)",
                "githubRepo": "https://user@github.com/x",
                "summary": "a" * 1_000_000,
                "upvotes": 10**30,
            }
        )
    )

    assert "=?" not in paper.title
    assert "\u202e" not in paper.title
    assert (paper.project_url, paper.repository_url) == (None, None)
    assert len(paper.abstract) <= 10_000


@pytest.mark.parametrize(
    ("item", "reason"),
    [
        ({}, "has no id"),
        ({"paper": {"title": "T"}}, "has no id"),
        ({"paper": {"id": "../../etc", "title": "T"}}, "id '../../etc' is no arXiv id"),
        ({"paper": {"id": "2602.23229"}}, "2602.23229 has no title"),
        ({"paper": {"id": "2602.23229", "title": " \u200b\n"}}, "2602.23229 has no title"),
        (7, "is a int, not an object"),
        (None, "is a NoneType, not an object"),
        ("{'paper': {}}", "is a str, not an object"),
    ],
)
def test_what_makes_no_paper_is_refused_with_a_reason(item: object, reason: str) -> None:
    with pytest.raises(MalformedItem) as error:
        read_item(item, CONTEXT)

    assert reason == str(error.value)


def test_a_malformed_item_is_counted_with_its_place_and_the_rest_is_kept() -> None:
    parsed = parse_answer(
        json.dumps([an_item(), {"paper": {}}, an_item({"id": "2602.00001"})]).encode(), CONTEXT
    )

    assert [paper.id for paper in parsed.papers] == ["2602.23229", "2602.00001"]
    assert [(one.position, one.reason) for one in parsed.malformed] == [(1, "has no id")]


def test_unknown_keys_are_ignored_but_named() -> None:
    items = [an_item({"novelty": 1}, shiny=[]), an_item({"novelty": 2})]

    assert parse_answer(json.dumps(items).encode(), CONTEXT).unknown_keys == {"paper.novelty": 2, "shiny": 1}
    assert parse_answer(json.dumps([an_item()]).encode(), CONTEXT).unknown_keys == {}


@pytest.mark.parametrize(
    "body", [b"[]", b'{"status": "no_data", "message": "none"}', b'{"status":"success","data":[]}']
)
def test_an_answer_without_papers_is_no_error(body: bytes) -> None:
    assert parse_answer(body, CONTEXT).papers == ()


def test_a_recorders_envelope_is_opened() -> None:
    body = json.dumps({"status": "success", "date": "2025-01-10", "count": 1, "data": [an_item()]}).encode()

    assert [paper.id for paper in parse_answer(body, CONTEXT).papers] == ["2602.23229"]


def test_items_in_pythons_spelling_are_read_only_where_asked_for() -> None:
    body = json.dumps([repr(an_item()), "__import__('os').abort()", "[" * 5_000]).encode()

    assert len(parse_answer(body, CONTEXT).malformed) == 3
    parsed = parse_answer(body, CONTEXT, python_items=True)
    assert [paper.id for paper in parsed.papers] == ["2602.23229"]
    assert [one.position for one in parsed.malformed] == [1, 2]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"<!doctype html><h1>Busy", "the answer is an HTML page, not a list of papers"),
        (b"", "the answer is empty, not a list of papers"),
        (b"{", "the answer is no JSON, not a list of papers"),
        (b"[" * 100_000, "the answer is no JSON, not a list of papers"),
        (b"\xff\xfe", "the answer is no JSON, not a list of papers"),
        (b"1", "the answer is a JSON int, not a list of papers"),
        (b'"x"', "the answer is a JSON str, not a list of papers"),
        (b'{"error": "date must be valid"}', "the source says: date must be valid"),
    ],
)
def test_an_answer_that_is_no_list_is_of_no_use(body: bytes, reason: str) -> None:
    with pytest.raises(UnusableAnswer) as error:
        parse_answer(body, CONTEXT)

    assert reason == str(error.value)


scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
anything = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
)
KEYS = st.sampled_from(
    [
        "id", "title", "summary", "authors", "publishedAt", "submittedOnDailyAt", "upvotes", "numComments",
        "githubStars", "githubRepo", "projectPage", "ai_keywords", "ai_summary", "organization",
        "submittedBy", "withdrawnAt", "paper",
    ]
)  # fmt: skip
ids = st.sampled_from(["2602.23229", "2602.23229v2", "astro-ph/0601001"])
papers = st.dictionaries(KEYS, anything, max_size=8) | st.builds(
    lambda some, id_, title: {**some, "id": id_, "title": title},
    st.dictionaries(KEYS, anything, max_size=8),
    ids,
    st.text(min_size=1, max_size=10),
)
items = anything | st.builds(
    lambda some, paper: {**some, "paper": paper},
    st.dictionaries(KEYS, anything, max_size=6),
    papers | anything,
)


@given(st.lists(items, max_size=5))
def test_every_item_is_a_paper_or_counted(drawn: list[Any]) -> None:
    body = json.dumps(drawn).encode()

    for python_items in (False, True):
        parsed = parse_answer(body, CONTEXT, python_items=python_items)

        assert len(drawn) == len(parsed.papers) + len(parsed.malformed)
        assert {one.paper_id for one in parsed.observations} <= {paper.id for paper in parsed.papers}
        assert all(paper.title and paper.id for paper in parsed.papers)


@given(anything.map(json.dumps).map(str.encode) | st.binary(max_size=200))
def test_any_body_is_read_or_refused(body: bytes) -> None:
    with contextlib.suppress(UnusableAnswer):
        assert isinstance(parse_answer(body, CONTEXT), Parsed)
