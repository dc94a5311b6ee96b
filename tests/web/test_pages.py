"""The public pages: what a reader sees of a day, of sources in trouble, of hostile text."""

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from html.parser import HTMLParser

import pytest
from defusedxml import ElementTree

from service.clock import SettableClock
from service.config import Settings
from service.database import Database
from tests.web.conftest import Visitor, add_paper, add_run, make_visitor

HOSTILE = {
    "markup": "<img src=x onerror=alert(1)>",
    "template": "{{7*7}} {% raw %} {{ ''.__class__ }}",
    "attribute": '" onmouseover="alert(1)',
    "override": "evil\u202egnp.exe",
    "entity": "&lt;script&gt;alert(1)&lt;/script&gt;",
    "closing": "</title></script><script>alert(1)</script>",
}
PUBLIC = (
    "/",
    "/subscribe",
    "/subscribed",
    "/search",
    "/search?q=lark",
    "/about",
    "/privacy",
    "/manage",
    "/feed.atom",
)


class Tags(HTMLParser):
    """Collects the tags of a page with their attributes."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def of(self, *names: str) -> Iterator[dict[str, str | None]]:
        return (attributes for tag, attributes in self.found if tag in names)


@pytest.mark.parametrize(
    ("named", "count", "line"),
    [
        (2, 2, "A0, A1</p>"),
        (6, 10, "A4, A5 and 4 more</p>"),
        (20, 20, "A10, A11 and 8 more</p>"),
        (3, 2, "A1, A2</p>"),
    ],
)
def test_paper_page_says_how_many_authors_it_leaves_out(
    lite: Visitor, named: int, count: int, line: str
) -> None:
    add_paper(lite.parts.database, authors=[f"A{number}" for number in range(named)], author_count=count)
    assert line in lite.get("/papers/2602.00001").text


def test_front_page_shows_the_newest_day_best_voted_first(visitor: Visitor) -> None:
    database = visitor.parts.database
    add_paper(database, "2602.00001", title="Second by votes", upvotes=5)
    add_paper(database, "2602.00002", title="First by votes", upvotes=50, comments=1)
    add_paper(database, "2602.00003", title="Votes unknown", upvotes=None, comments=None)
    add_paper(database, "2602.00004", title="Of an earlier day", listed_on=date(2026, 2, 12))
    text = visitor.get("/").text
    assert "Get trending papers in your email inbox" in text
    assert "Friday 13 February 2026" in text
    order = [text.index(title) for title in ("First by votes", "Second by votes", "Votes unknown")]
    assert order == sorted(order)
    assert "Of an earlier day" not in text
    assert 'href="/day/2026-02-12"' in text
    assert "2 authors" in text
    assert "1 comment<" in text
    assert "0 comments" not in text  # unknown is not zero
    assert "12 Feb 2026" in text  # published


def test_days_lead_to_each_other(lite: Visitor) -> None:
    for day in (10, 11, 13):
        add_paper(
            lite.parts.database, f"2602.000{day}", listed_on=date(2026, 2, day), title=f"Paper of {day}"
        )
    text = lite.get("/day/2026-02-11").text
    assert "Paper of 11" in text
    assert 'href="/day/2026-02-13"' in text
    assert 'href="/day/2026-02-10"' in text
    assert lite.get("/?day=2026-02-11").headers["location"] == "/day/2026-02-11"
    assert lite.get("/day/2026-02-12").status_code == 404
    assert lite.get("/day/yesterday").status_code == 404


def test_long_abstract_unfolds_without_script(lite: Visitor) -> None:
    sentences = " ".join(f"This is sentence number {n} of a long abstract." for n in range(40))
    add_paper(lite.parts.database, abstract=sentences)
    text = re.sub(r"\s+", " ", lite.get("/").text)
    lead = re.search(r'<p class="abstract">(.*?) …</p>', text)
    rest = re.search(r"<details class=\"more\">.*?<p class=\"abstract\">… (.*?)</p>", text)
    assert lead
    assert rest
    assert f"{lead[1]} {rest[1]}" == sentences
    assert lead[1].endswith(".")


def test_failing_source_is_not_a_quiet_day(lite: Visitor, clock: SettableClock) -> None:
    add_paper(lite.parts.database)
    database = lite.parts.database
    site = make_visitor(database, lite.parts.settings.model_copy(update={"sources": ("huggingface",)}), clock)
    add_run(database, clock() - timedelta(hours=3), "ok")
    assert "can't be reached" not in site.get("/").text
    add_run(database, clock() - timedelta(hours=2), "failed", message="no route", newest_listed_on=None)
    add_run(database, clock() - timedelta(hours=1), "failed", message="no route", newest_listed_on=None)
    text = site.get("/").text
    assert "Hugging Face can't be reached</b> since" in text
    assert "13 Feb 2026, 06:00 UTC" in text


def test_weekend_is_a_quiet_day_and_no_fault(lite: Visitor, clock: SettableClock) -> None:
    add_paper(lite.parts.database)
    clock.now = datetime(2026, 2, 15, 12, tzinfo=UTC)  # Sunday
    database = lite.parts.database
    site = make_visitor(database, lite.parts.settings.model_copy(update={"sources": ("huggingface",)}), clock)
    add_run(database, clock() - timedelta(hours=1), "quiet")
    text = site.get("/").text
    assert "No newer list is out yet" in text
    assert "can't be reached" not in text


def test_source_that_went_stale_is_told(lite: Visitor, clock: SettableClock) -> None:
    add_paper(lite.parts.database)
    clock.now = datetime(2026, 2, 19, 13, tzinfo=UTC)
    database = lite.parts.database
    site = make_visitor(database, lite.parts.settings.model_copy(update={"sources": ("huggingface",)}), clock)
    for hours in (120, 48, 1):
        add_run(database, clock() - timedelta(hours=hours), "ok")
    assert "answers, but lists nothing new" in site.get("/").text


def test_demo_issue_is_called_one(lite: Visitor, clock: SettableClock) -> None:
    database = lite.parts.database
    site = make_visitor(database, lite.parts.settings.model_copy(update={"sources": ("huggingface",)}), clock)
    assert "has not been asked yet" in site.get("/").text
    add_paper(database, source="demo")
    add_run(database, clock(), "failed", newest_listed_on=None)
    text = site.get("/").text
    assert "This is the demo issue" in text
    assert "Hugging Face can't be reached" in text
    assert "the newest we have" not in text


@pytest.mark.trust(86)
@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_text_is_shown_and_does_nothing(lite: Visitor, kind: str) -> None:
    """Whatever a feed says is text: on every page, in the feed, in attributes (trust.md 86, 87)."""
    text = HOSTILE[kind]
    add_paper(
        lite.parts.database,
        title=text,
        abstract=f"{text} " * 60,
        summary=text,
        authors=[text],
        keywords=[text],
        organization=text,
        repository_url="javascript:alert(1)",
        project_url='https://example.org/"onclick=x',
    )
    for path in ("/", "/day/2026-02-13", "/papers/2602.00001", "/search?q=x"):
        page = lite.get(path).text
        tags = Tags(page)
        assert [a for a in tags.of("script") if not (a.get("src") or "").startswith("/static/")] == []
        assert [a for _, a in tags.found if any(name.startswith("on") for name in a)] == []
        assert {a["src"] for a in tags.of("img")} <= {
            a["src"] for a in Tags(lite.get("/about").text).of("img")
        }
        assert [a for a in tags.of("a", "form") if "javascript:" in str(a)] == []
        assert "49" not in re.sub(r"v=[0-9a-f]+", "", page) or kind != "template"
    feed = lite.get("/feed.atom")
    assert ElementTree.fromstring(feed.content).find(".//{*}entry/{*}title").text == text


def test_every_route_has_the_standing_headers(lite: Visitor) -> None:
    add_paper(lite.parts.database)
    paths = [
        *PUBLIC,
        "/papers/2602.00001",
        "/static/paperlark.css",
        "/api/v1/papers",
        "/api/v1/openapi.json",
        "/healthz",
        "/readyz",
        "/metrics",
        "/nothing",
        "/confirm/x",
        "/mailbox",
        "/robots.txt",
    ]
    for path in paths:
        headers = lite.get(path).headers
        policy = headers["content-security-policy"]
        assert policy.startswith("default-src 'none'"), path
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert "cache-control" in headers
        assert "set-cookie" not in headers


def test_pages_load_nothing_from_elsewhere_and_have_no_inline_code(lite: Visitor) -> None:
    add_paper(lite.parts.database)
    for path in (*PUBLIC[:-1], "/papers/2602.00001", "/nothing"):
        tags = Tags(lite.get(path).text)
        loaded = [a.get("src") or a.get("href") or "" for a in tags.of("script", "link", "img", "iframe")]
        assert all(address.startswith("/") for address in loaded), path
        assert [a for _, a in tags.found if "style" in a] == []
        assert list(tags.of("style")) == []


def test_pages_say_their_language_and_name_their_parts(lite: Visitor) -> None:
    add_paper(lite.parts.database)
    for path in (*PUBLIC[:-1], "/papers/2602.00001", "/nothing"):
        tags = Tags(lite.get(path).text)
        assert next(tags.of("html"))["lang"] == "en"
        for landmark in ("header", "nav", "main", "footer", "title", "h1"):
            assert len(list(tags.of(landmark))) >= 1, (path, landmark)
        assert len(list(tags.of("h1"))) == 1, path
        identifiers = [a["id"] for _, a in tags.found if "id" in a]
        assert len(identifiers) == len(set(identifiers)), path
        labelled = {a.get("for") for a in tags.of("label")}
        for field in tags.of("input", "select"):
            if field.get("type") not in {"hidden", "checkbox", "radio"}:
                assert field["id"] in labelled, (path, field)


def test_head_is_get_without_a_body(lite: Visitor) -> None:
    for path in (*PUBLIC, "/healthz", "/api/v1/topics", "/nothing"):
        got, headed = lite.get(path), lite.head(path)
        assert headed.status_code == got.status_code
        assert headed.content == b""
        if path != "/subscribe":  # its stamp makes each answer's compressed length its own
            assert headed.headers.get("content-type") == got.headers.get("content-type")


def test_reader_who_holds_the_page_gets_304(lite: Visitor, clock: SettableClock) -> None:
    add_paper(lite.parts.database)
    first = lite.get("/")
    held = {"If-None-Match": first.headers["etag"]}
    again = lite.get("/", headers=held)
    assert (again.status_code, again.content) == (304, b"")
    add_paper(lite.parts.database, "2602.00009", title="New in the meantime")
    assert lite.get("/", headers=held).status_code == 200
    assert first.headers["cache-control"] == "public, max-age=60"


def test_kept_page_is_made_anew_after_its_seconds(
    sqlite_database: Database, settings: Settings, clock: SettableClock
) -> None:
    visitor = make_visitor(sqlite_database, settings, clock, page_seconds=5)
    add_paper(sqlite_database, title="There from the start")
    first = visitor.get("/").text
    add_paper(sqlite_database, "2602.00002", title="Came later")
    assert "Came later" not in visitor.get("/").text
    clock.advance(timedelta(seconds=5))
    stamps = [re.search(r'name="stamp" value="([^"]+)"', text) for text in (first, visitor.get("/").text)]
    assert "Came later" in visitor.get("/").text
    assert stamps[0]
    assert stamps[1]
    assert stamps[0][1] != stamps[1][1]  # the form's stamp is each reader's own


def test_paper_page_shows_its_links_and_what_was_seen(lite: Visitor) -> None:
    add_paper(lite.parts.database, repository_url="https://github.com/lark/lark", withdrawn_at=None)
    text = lite.get("/papers/2602.00001").text
    assert "https://arxiv.org/abs/2602.00001" in text
    assert "https://github.com/lark/lark" in text
    assert lite.get("/papers/9999.99999").status_code == 404


def test_search_finds_by_title_author_and_keyword(visitor: Visitor) -> None:
    add_paper(visitor.parts.database, title="Sparse attention", authors=["Zoë Wren"], keywords=["routing"])
    add_paper(visitor.parts.database, "2602.00002", title="Something else", authors=[], keywords=[])
    for words in ("sparse", "ATTENTION sparse", "wren", "routing"):
        text = visitor.get("/search", params={"q": words}).text
        assert "Sparse attention" in text, words
        assert "Something else" not in text
    assert "No paper has all of these words" in visitor.get("/search?q=100%25_nothing").text
    assert visitor.get("/search", params={"q": "x" * 500}).status_code == 404


def test_feed_is_atom_with_the_newest_days(lite: Visitor) -> None:
    add_paper(lite.parts.database)
    answer = lite.get("/feed.atom")
    assert answer.headers["content-type"].startswith("application/atom+xml")
    feed = ElementTree.fromstring(answer.content)
    entry = feed.find("{*}entry")
    assert entry.find("{*}title").text == "A paper about larks"
    assert entry.find("{*}id").text == "http://127.0.0.1:8000/papers/2602.00001"
    assert datetime.fromisoformat(entry.find("{*}updated").text).tzinfo is not None


def test_errors_come_as_pages_in_our_style(lite: Visitor) -> None:
    assert "There is nothing here" in lite.get("/nothing").text
    wrong = lite.request("DELETE", "/about")
    assert wrong.status_code == 405
    assert "be done here" in wrong.text
    big = lite.post("/subscribe", content=b"x" * 200_000)
    assert big.status_code == 413
    assert "content-security-policy" in big.headers
    assert lite.post("/subscribe", data={f"f{n}": "x" for n in range(500)}).status_code == 400


def test_style_sheet_stays_small() -> None:
    from service.web.site import load_assets

    assets = load_assets()
    assert len(assets["paperlark.css"].body) < 20_000
    assert len(assets["timezone.js"].body) < 1_500
