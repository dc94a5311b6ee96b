"""arXiv: its calendar, its XML, its errors in the shape of feeds, and its terms of use."""

from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path

import httpx2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.papers.sources import Answer, Parsed, SourceUnavailable, UnusableAnswer, arxiv_atom
from service.papers.sources.arxiv import PAGE_SIZE, ArxivSource, known_codes
from service.papers.sources.arxiv_calendar import expected_feed_day, list_day

NOW = datetime(2026, 2, 13, 15, tzinfo=UTC)  # a Friday
NAMESPACES = (
    'xmlns="http://www.w3.org/2005/Atom" xmlns:arxiv="http://arxiv.org/schemas/atom" '
    'xmlns:opensearch="http://a9.com/-/spec/opensearch/1.1/" xmlns:dc="http://purl.org/dc/elements/1.1/"'
)
ERROR = (
    f"<feed {NAMESPACES}><title>arXiv</title><opensearch:totalResults>1</opensearch:totalResults><entry>"
    "<id>https://arxiv.org/api/errors#too_many</id><title>Error</title>"
    "<summary>start must be smaller than 30000</summary></entry></feed>"
)


def api_entry(number: int, **fields: str) -> str:
    given = {
        "title": f"Larks of kind {number}",
        "summary": "How larks sing.",
        "published": "2026-02-12T10:00:00Z",
        "extra": '<category term="cs.CL"/>',
    } | fields
    return (
        f"<entry><id>http://arxiv.org/abs/2602.{number:05}v2</id><title>{given['title']}</title>"
        f"<updated>2026-02-13T09:00:00Z</updated><published>{given['published']}</published>"
        f"<summary>{given['summary']}</summary><author><name>Ada Lark</name></author>{given['extra']}</entry>"
    )


def api_page(*entries: str, total: int | None = None) -> str:
    count = len(entries) if total is None else total
    return (
        f"<feed {NAMESPACES}><opensearch:totalResults>{count}</opensearch:totalResults>"
        f"{''.join(entries)}</feed>"
    )


def feed_item(number: int, kind: str = "new", day: str = "2026-02-13T00:00:00-05:00") -> str:
    return (
        f"<entry><id>oai:arXiv.org:2602.{number:05}v1</id><title>Wrens {number}</title>"
        f"<summary>arXiv:2602.{number:05}v1 Announce Type: {kind} \nAbstract: How wrens sing.</summary>"
        f'<category term="cs.SY"/><category term="eess.SY"/><published>{day}</published>'
        f"<arxiv:announce_type>{kind}</arxiv:announce_type>"
        r"<dc:creator>Andr\'e \L{}ark (MIT, USA), J. Wren, Jr., Mar\'{\i}a Nu\~nez</dc:creator></entry>"
    )


def feed(*items: str, title: str = "cs.SY updates on arXiv.org") -> str:
    return f"<feed {NAMESPACES}><title>{title}</title>{''.join(items)}</feed>"


def parse(text: str) -> Parsed:
    return arxiv_atom.parse(text.encode(), NOW)


class Arxiv:
    """Answers like arXiv; writes down what it was asked, and how long was waited before."""

    def __init__(self, answer: Callable[[int, httpx2.Request], httpx2.Response]) -> None:
        self.answer = answer
        self.asked: list[httpx2.URL] = []
        self.waits: list[float] = []

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        self.asked.append(request.url)
        return self.answer(len(self.asked), request)

    def source(self, *categories: str, include_cross: bool = False) -> ArxivSource:
        return ArxivSource(
            "https://export.arxiv.org/api/query",
            "https://rss.arxiv.org/atom",
            categories or ("cs.CL", "cs.SY"),
            httpx2.Client(transport=httpx2.MockTransport(self)),
            include_cross=include_cross,
            sleep=self.waits.append,
        )


def ok(text: str) -> httpx2.Response:
    return httpx2.Response(200, text=text)


def is_feed(request: httpx2.Request) -> bool:
    return request.url.host == "rss.arxiv.org"


def test_asks_the_feed_and_then_every_page_three_seconds_apart() -> None:
    def answer(_: int, request: httpx2.Request) -> httpx2.Response:
        if is_feed(request):
            return ok(feed(feed_item(1)))
        start = int(request.url.params["start"])
        return ok(api_page(*(api_entry(start + n) for n in range(3)), total=6))

    arxiv = Arxiv(answer)
    source = arxiv.source()
    parsed = [source.parse(one) for one in source.fetch(NOW)]
    assert [len(one.papers) for one in parsed] == [1, 3, 3]
    assert not any(one.observations or one.malformed for one in parsed)
    assert arxiv.waits == [3, 3]
    assert str(arxiv.asked[0]) == "https://rss.arxiv.org/atom/cs.CL+eess.SY"
    query = arxiv.asked[1].params
    assert query["search_query"] == (
        "(cat:cs.CL OR cat:eess.SY) AND submittedDate:[202602091500 TO 202602131500]"
    )
    assert query["max_results"] == str(PAGE_SIZE)
    assert [url.params.get("start") for url in arxiv.asked[1:]] == ["0", "3"]


def test_an_empty_page_and_an_empty_body_in_mid_list_are_asked_for_again() -> None:
    pages = {2: api_page(total=2), 3: "", 4: api_page(api_entry(1), api_entry(2))}

    arxiv = Arxiv(lambda count, request: ok(feed()) if is_feed(request) else ok(pages[count]))
    answers = list(arxiv.source().fetch(NOW))
    assert [answer.failure for answer in answers] == [None, None]
    assert arxiv.waits == [3, 6, 6]


def test_a_page_that_stays_empty_is_a_failure_not_an_end() -> None:
    arxiv = Arxiv(lambda _, request: ok(feed()) if is_feed(request) else ok(api_page(total=9)))
    answers = list(arxiv.source().fetch(NOW))
    assert answers[-1].failure == "an empty page, although there are 9 papers"
    assert len(arxiv.asked) == 4


def test_a_limit_is_obeyed_and_ends_the_run_when_too_long() -> None:
    answers = {1: httpx2.Response(429, headers={"Retry-After": "20"}), 2: ok(feed()), 3: ok(api_page())}
    patient = Arxiv(lambda count, _: answers[count])
    assert len(list(patient.source().fetch(NOW))) == 2
    assert patient.waits == [20, 3]

    banned = Arxiv(lambda _, __: httpx2.Response(429, headers={"Retry-After": "3600"}))
    with pytest.raises(SourceUnavailable, match="429"):
        list(banned.source().fetch(NOW))
    assert len(banned.asked) == 1
    assert banned.waits == []


def test_a_feed_that_is_down_does_not_hide_the_api() -> None:
    def answer(_: int, request: httpx2.Request) -> httpx2.Response:
        if is_feed(request):
            raise httpx2.ConnectError("no route")
        return ok(api_page(api_entry(7)))

    answers = list(Arxiv(answer).source().fetch(NOW))
    assert answers[0].failure
    assert "no route" in answers[0].failure
    assert answers[1].failure is None


def test_a_refusal_is_told_in_arxivs_words() -> None:
    arxiv = Arxiv(lambda _, request: ok(feed()) if is_feed(request) else httpx2.Response(400, text=ERROR))
    with pytest.raises(SourceUnavailable, match=r"answered 400: .*start must be smaller than 30000"):
        list(arxiv.source().fetch(NOW))


def test_a_stale_feed_is_no_quiet_day() -> None:
    old = feed(feed_item(1, day="2026-02-12T00:00:00-05:00"))
    arxiv = Arxiv(lambda _, request: ok(old) if is_feed(request) else ok(api_page()))
    answers = list(arxiv.source().fetch(NOW))
    assert [bool(answer.failure) for answer in answers] == [False, True, False]
    assert "2026-02-12" in (answers[1].failure or "")


def test_unknown_categories_are_refused_and_archives_taken_whole() -> None:
    assert known_codes(["cs", "cs.sy", "eess.SY"]) == ["cs", "eess.SY"]
    with pytest.raises(SourceUnavailable, match=r"cs\.XX"):
        known_codes(["cs.XX"])
    with pytest.raises(SourceUnavailable):
        known_codes([])
    arxiv = Arxiv(lambda _, request: ok(feed()) if is_feed(request) else ok(api_page()))
    list(arxiv.source("hep-th", "q-bio").fetch(NOW))
    assert arxiv.asked[1].params["search_query"].startswith("(cat:hep-th OR cat:q-bio.*) AND")


def test_an_entry_of_the_api_becomes_a_paper() -> None:
    extra = (
        '<arxiv:primary_category term="cs.LG"/><category term="cs.NA"/><category term="cs.LG"/>'
        '<category term="68T05"/><arxiv:comment>9 pages. Code: https://github.com/lark/sings. '
        "Site: https://lark.github.io/sings/</arxiv:comment>"
    )
    (paper,) = parse(api_page(api_entry(12, title=r"On the Poincar\'e  map of $\'x$", extra=extra))).papers
    assert paper.id == "2602.00012"
    assert paper.title == r"On the Poincaré map of $\'x$"
    assert paper.authors == ("Ada Lark",)
    assert paper.author_count == 1
    assert paper.published_at == datetime(2026, 2, 12, 10, tzinfo=UTC)
    assert paper.listed_on == date(2026, 2, 13)
    assert paper.categories == ("cs.LG", "math.NA")
    assert paper.repository_url == "https://github.com/lark/sings"
    assert paper.project_url == "https://lark.github.io/sings/"
    assert paper.withdrawn_at is None


def test_a_withdrawn_paper_is_marked() -> None:
    extra = "<arxiv:comment>This paper has been withdrawn by the author: error in Lemma 2</arxiv:comment>"
    (paper,) = parse(api_page(api_entry(1, extra=extra))).papers
    assert paper.withdrawn_at == datetime(2026, 2, 13, 9, tzinfo=UTC)
    (other,) = parse(api_page(api_entry(1, summary="On models that were withdrawn from sale."))).papers
    assert other.withdrawn_at is None


def test_the_feed_gives_new_papers_only() -> None:
    text = feed(*(feed_item(n, kind) for n, kind in enumerate(["new", "cross", "replace", "replace-cross"])))
    parsed = parse(text)
    assert [paper.id for paper in parsed.papers] == ["2602.00000"]
    assert parsed.malformed == ()
    paper = parsed.papers[0]
    assert paper.authors == ("André Łark", "J. Wren Jr.", "María Nuñez")
    assert paper.abstract == "How wrens sing."
    assert paper.listed_on == date(2026, 2, 13)
    assert paper.published_at is None  # the feed doesn't say when a paper was sent in
    assert paper.categories == ("eess.SY",)
    with_cross = arxiv_atom.parse(text.encode(), NOW, include_cross=True)
    assert [paper.id for paper in with_cross.papers] == ["2602.00000", "2602.00001"]


def test_rss_is_read_like_atom() -> None:
    text = (
        '<rss version="2.0" xmlns:arxiv="http://arxiv.org/schemas/atom" '
        'xmlns:dc="http://purl.org/dc/elements/1.1/"><channel><title>cs.AI updates</title><item>'
        "<title>Robins</title><link>https://arxiv.org/abs/2602.00099</link>"
        "<description>arXiv:2602.00099v1 Announce Type: new \nAbstract: How robins sing.</description>"
        '<guid isPermaLink="false">oai:arXiv.org:2602.00099v1</guid><category>cs.AI</category>'
        "<pubDate>Fri, 13 Feb 2026 00:00:00 -0500</pubDate><arxiv:announce_type>new</arxiv:announce_type>"
        "<dc:creator>Rob In</dc:creator></item></channel></rss>"
    )
    (paper,) = parse(text).papers
    assert (paper.id, paper.listed_on, paper.abstract) == (
        "2602.00099",
        date(2026, 2, 13),
        "How robins sing.",
    )
    assert (paper.authors, paper.categories) == (("Rob In",), ("cs.AI",))


def test_entries_without_an_id_or_a_title_are_malformed_and_the_rest_is_kept() -> None:
    broken = "<entry><id>http://arxiv.org/abs/nonsense</id><title>x</title></entry>"
    parsed = parse(api_page(broken, api_entry(1, title=" "), api_entry(2), api_entry(2), total=4))
    assert [paper.id for paper in parsed.papers] == ["2602.00002"]
    assert [one.position for one in parsed.malformed] == [0, 1]
    assert "nonsense" in parsed.malformed[0].reason


def test_unknown_elements_are_counted() -> None:
    parsed = parse(api_page(api_entry(1, extra="<arxiv:novelty>9</arxiv:novelty>")))
    assert parsed.unknown_keys == {"novelty": 1}
    assert len(parsed.papers) == 1


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Rate exceeded.",
        "<html><body>503</body></html>",
        ERROR,
        feed(title="Feed error for query: cs.XX"),
        '<!DOCTYPE x [<!ENTITY a "b">]><feed xmlns="http://www.w3.org/2005/Atom">&a;</feed>',
        '<?xml version="1.0" encoding="klingon"?><feed/>',
        api_page(api_entry(1))[:-20],
    ],
)
def test_what_is_no_feed_is_refused(text: str) -> None:
    with pytest.raises(UnusableAnswer):
        parse(text)


FRAGMENTS = st.sampled_from(
    [
        "<entry>", "</entry>", "<id>http://arxiv.org/abs/2602.00001v1</id>", "<title>", "</title>", "&", "<",
        "]]>", "<published>9999-99-99</published>", "<published>0001-01-01T00:00:00+23:59</published>",
        "<arxiv:announce_type>new</arxiv:announce_type>", "<pubDate>Fri, 32 Foo 99999</pubDate>", r"\'",
        r"{\'{\i}", "<dc:creator>((</dc:creator>", "<summary>https://[::/</summary>", "\x00", "\ud7ff",
        '<category term=""/>',
    ]
)  # fmt: skip


@given(st.one_of(st.binary(max_size=300), st.lists(FRAGMENTS, max_size=12).map(lambda x: feed(*x).encode())))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    source = Arxiv(lambda _, __: ok("")).source()
    try:
        parsed = source.parse(Answer(origin="x", observed_at=NOW, body=body))
    except UnusableAnswer:
        return
    assert isinstance(parsed, Parsed)
    assert all(paper.id and paper.title for paper in parsed.papers)


@pytest.mark.parametrize(
    ("submitted", "day"),
    [
        ("2026-02-10T18:59:00+00:00", date(2026, 2, 11)),  # Tuesday 13:59 Eastern: that evening
        ("2026-02-10T19:00:00+00:00", date(2026, 2, 12)),  # 14:00: with Wednesday's
        ("2026-02-13T18:00:00+00:00", date(2026, 2, 16)),  # Friday 13:00: announced on Sunday evening
        ("2026-02-13T20:00:00+00:00", date(2026, 2, 17)),  # Friday 15:00: announced on Monday evening
        ("2026-02-15T12:00:00+00:00", date(2026, 2, 17)),  # Sunday
        ("2026-07-14T17:59:00+00:00", date(2026, 7, 15)),  # summer time
    ],
)
def test_calendar_of_announcements(submitted: str, day: date) -> None:
    assert list_day(datetime.fromisoformat(submitted)) == day


@pytest.mark.parametrize(
    ("now", "day"),
    [
        (datetime(2026, 2, 13, 10, tzinfo=UTC), date(2026, 2, 12)),  # Friday 05:00 Eastern: being built
        (datetime(2026, 2, 13, 12, tzinfo=UTC), date(2026, 2, 13)),
        (datetime(2026, 2, 15, 12, tzinfo=UTC), date(2026, 2, 13)),
    ],
)
def test_newest_list_day_to_expect(now: datetime, day: date) -> None:
    assert expected_feed_day(now) == day


@pytest.mark.data
def test_recorded_answers_of_the_api(recorded_data: Path) -> None:
    papers = {}
    folder = recorded_data / "reference" / "arxiv_fixtures" / "api_atom"
    at = datetime(2026, 4, 13, tzinfo=UTC)
    for path in sorted(folder.glob("*.http200.xml")):
        parsed = arxiv_atom.parse(path.read_bytes(), at)
        count, total = arxiv_atom.count_entries(path.read_bytes())
        assert len(parsed.papers) == count <= max(total, count)
        assert parsed.malformed == ()
        assert parsed.unknown_keys == {}
        papers |= {paper.id: paper for paper in parsed.papers}
    assert len(papers) > 90
    assert {"astro-ph/0601001", "quant-ph/0201082", "1605.08386"} <= set(papers)
    assert all(paper.authors and paper.abstract for paper in papers.values())
    # "astro-ph" alone has not been an active category since it was divided in 2009.
    assert [paper.id for paper in papers.values() if not paper.categories] == ["astro-ph/0601001"]
    assert all("v" not in id_.rpartition("/")[2] for id_ in papers)
    with pytest.raises(UnusableAnswer, match="incorrect id format for abc"):
        arxiv_atom.parse(next(folder.glob("*.http400.xml")).read_bytes(), at)


@pytest.mark.data
def test_recorded_feed_that_was_cut_off_is_refused(recorded_data: Path) -> None:
    path = recorded_data / "reference" / "arxiv_fixtures" / "rss_spec" / "real_truncated_cs.AI_2025-09-18.xml"
    with pytest.raises(UnusableAnswer, match="no well-formed XML"):
        arxiv_atom.parse(path.read_bytes(), datetime(2025, 9, 18, 12, tzinfo=UTC))
