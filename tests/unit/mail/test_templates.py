"""What readers see: HTML and written text of every mail (trust 8, 12 to 15, 30, 72, 75, 86, 87)."""

import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.mail import templates
from service.mail.letters import DigestLetter, Letter
from service.mail.templates import TooLarge, excerpt, render, wrap
from tests.unit.mail.letter_samples import a_card, a_digest, a_sender, every_letter

IMPRINT = a_sender().imprint
LETTERS = [pytest.param(letter, id=f"{letter.kind}-{index}") for index, letter in enumerate(every_letter())]
HOSTILE = [
    "<img src=x onerror=alert(1)>",
    "{{7*7}} {% include 'x' %} {{ ''.__class__ }}",
    '"><script>alert(1)</script>',
    "\u202egnp.exe \u2066x\u2069 \x00\x07 \ud800 \u2028",
    "</td></tr></table></body></html><!--[if mso]>",
    "&amp; &lt;b&gt; &nbsp;",
]


class Page(HTMLParser):
    """Collects what is asked of a page: tags, visible text, heading levels."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.visible: list[str] = []
        self._hidden = 0
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._hidden += tag in {"style", "title", "script"}

    def handle_endtag(self, tag: str) -> None:
        self._hidden -= tag in {"style", "title", "script"}

    def handle_data(self, data: str) -> None:
        if not self._hidden and data.strip():
            self.visible.append(" ".join(data.split()))

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]

    @property
    def text(self) -> str:
        return " ".join(self.visible)


def page_of(letter: Letter) -> Page:
    return Page(render(letter, IMPRINT).html)


@pytest.mark.trust(14)
@pytest.mark.parametrize("letter", LETTERS)
def test_trust_14_every_mail_has_the_frame_that_readers_and_screen_readers_need(letter: Letter) -> None:
    page = page_of(letter)
    (html,) = page.all("html")
    assert (html["lang"], html["dir"]) == ("en", "ltr")
    assert len(page.all("title")) == len(page.all("h1")) == 1
    assert all(table["role"] == "presentation" for table in page.all("table"))
    assert not page.all("script") + page.all("img") + page.all("link") + page.all("iframe")
    assert not [
        attributes for _, attributes in page.tags if any(name.startswith("on") for name in attributes)
    ]


@pytest.mark.trust(13, 75)
@pytest.mark.parametrize("letter", LETTERS)
def test_trust_13_and_75_nothing_is_hidden_and_nothing_is_fetched(letter: Letter) -> None:
    html = render(letter, IMPRINT).html
    assert not re.search(r"display:\s*none|font-size:\s*0|visibility:\s*hidden|url\(|@import|src=", html)


@pytest.mark.trust(14)
@pytest.mark.parametrize("letter", LETTERS)
def test_trust_14_no_text_is_smaller_than_14_pixels_and_dark_colours_are_kept(letter: Letter) -> None:
    html = render(letter, IMPRINT).html
    sizes = [int(size) for size in re.findall(r"font(?:-size)?:[^;\"]*?(\d+)px", html)]
    assert min(sizes) >= 14
    assert "prefers-color-scheme: dark" in html
    assert re.search(r"max-width:\s*600px", html)


@pytest.mark.trust(15)
@pytest.mark.parametrize("letter", LETTERS)
def test_trust_15_the_text_is_written_not_stripped(letter: Letter) -> None:
    text = render(letter, IMPRINT).text
    assert not re.search(r"<[a-z]|&[a-z]+;|\{\{|\{%|\bNone\b", text)
    lines = text.splitlines()
    assert all(len(line) <= 78 for line in lines if "://" not in line)
    assert all(line.split() == [line.strip()] for line in lines if "://" in line)
    assert "\n\n\n\n" not in text


@pytest.mark.trust(72)
@pytest.mark.parametrize("letter", LETTERS)
def test_trust_72_every_mail_says_who_sends_it(letter: Letter) -> None:
    rendered = render(letter, IMPRINT)
    for part in (Page(rendered.html).text, rendered.text):
        for words in ("Sent by Paperlark", "1 Lark Lane", "hello@example.org"):
            assert words in part


@pytest.mark.trust(14)
def test_trust_14_a_heading_and_links_of_their_own_for_each_paper() -> None:
    letter = a_digest(trending=3, for_you=2)
    page = page_of(letter)
    assert len(page.all("h2")) == 5
    named = [link for link in page.all("a") if "aria-label" in link]
    assert len({link["aria-label"] for link in named}) == len(named) == 25


@pytest.mark.trust(14)
def test_trust_14_what_a_link_is_called_begins_with_what_it_shows() -> None:
    # WCAG 2.2, 2.5.3: whoever speaks to the screen says what stands there.
    named = re.findall(r'<a [^>]*aria-label="([^"]*)"[^>]*>([^<]*)</a>', render(a_digest(), IMPRINT).html)
    assert len(named) == 30
    assert [label for label, shown in named if not label.startswith(shown)] == []


@pytest.mark.trust(13)
def test_trust_13_the_first_words_tell_what_is_inside() -> None:
    rendered = render(a_digest(trending=3, for_you=2), IMPRINT)
    for part in (Page(rendered.html).text, rendered.text):
        assert part.startswith("3 trending papers and 2 chosen for you: Language models, Reading.")


@pytest.mark.parametrize(
    ("trending", "for_you", "words"),
    [(1, 0, "1 trending paper."), (0, 1, "1 paper chosen for you."), (2, 0, "2 trending papers.")],
)
def test_lists_that_are_empty_are_not_mentioned(trending: int, for_you: int, words: str) -> None:
    rendered = render(a_digest(trending=trending, for_you=for_you, interests=()), IMPRINT)
    assert Page(rendered.html).text.startswith(words)
    assert rendered.text.startswith(words)
    assert ("FOR YOU" in rendered.text) == bool(for_you)
    assert rendered.subject.startswith("Taking notes")
    assert ("more paper" in rendered.subject) == (trending + for_you > 1)


@pytest.mark.trust(36, 72)
def test_trust_36_and_72_the_digest_shows_why_it_comes_and_how_to_leave_twice() -> None:
    letter = a_digest()
    rendered = render(letter, IMPRINT)
    page = Page(rendered.html)
    leaving = [link for link in page.all("a") if link["href"] == letter.unsubscribe_url]
    assert len(leaving) == 2
    assert "You get this mail because you asked for it" in page.text
    assert letter.preferences_url in rendered.html


def test_what_is_not_known_is_not_mentioned() -> None:
    bare = a_card(
        authors=(), author_count=0, abstract="", summary=None, listed_on=None, upvotes=None, comments=None,
        stars=None, repository_url=None, reasons=(),
    )  # fmt: skip
    rendered = render(replace(a_digest(for_you=0, interests=()), trending=(bare,)), IMPRINT)
    for part in (Page(rendered.html).text, rendered.text):
        assert not re.search(r"None|vote|star|comment|author|Code", part.partition("You get this mail")[0])


@pytest.mark.trust(86, 87)
@pytest.mark.parametrize("hostile", HOSTILE)
def test_trust_86_and_87_hostile_words_are_shown_not_obeyed(hostile: str) -> None:
    card = a_card(title=hostile, abstract=hostile, summary=hostile, authors=(hostile,), reasons=(hostile,))
    letter = replace(a_digest(for_you=0), trending=(card,), interests=(hostile,), notice=hostile)
    rendered = render(letter, IMPRINT)
    page = Page(rendered.html)
    tags = [name for name, _ in page.tags]
    assert not {"script", "img"} & set(tags)
    assert tags.count("h2") == tags.count("h1") == 1
    assert not re.search("[\x00-\x08\u202e\u2066\u2028\ud800]", rendered.html + rendered.text)
    shown = " ".join(re.sub("[\x00-\x08\u202e\u2066\u2069\u2028\ud800]", " ", hostile).split())
    assert shown in page.text
    assert shown in " ".join(rendered.text.split())
    rendered.html.encode("utf-8")


def the_longest_digest(abstract: str, title: str = "T") -> DigestLetter:
    cards = tuple(
        a_card(
            number,
            abstract=abstract,
            title=(title * 400)[:400],
            summary="s" * 400,
            authors=("Bartholomew Montgomery-Featherstonehaugh",) * 20,
            author_count=3000,
            reasons=("A long reason " * 30,) * 3,
        )
        for number in range(30)
    )
    interests = ("An interest of many words",) * 20
    return replace(a_digest(), trending=cards[:15], for_you=cards[15:], interests=interests)


@pytest.mark.trust(12)
@pytest.mark.parametrize("abstract", ["Words of an abstract. " * 2000, "漢字 " * 5000, "<&> " * 5000])
def test_trust_12_the_largest_digest_stays_below_the_size_that_is_cut(abstract: str) -> None:
    rendered = render(the_longest_digest(abstract), IMPRINT)
    assert len(rendered.html.encode()) <= 90_000
    assert Page(rendered.html).text.count("Details") == rendered.text.count("Details:") == 30


@pytest.mark.trust(12)
@pytest.mark.parametrize("sign", ["&", "大", "😀", '"'])
def test_trust_12_titles_of_costly_signs_are_shortened_rather_than_nothing_sent(sign: str) -> None:
    letter = the_longest_digest(sign * 5000, title=sign)
    rendered = render(letter, IMPRINT)
    assert len(rendered.html.encode()) <= 90_000
    assert Page(rendered.html).text.count("Details") == rendered.text.count("Details:") == 30
    assert set(re.findall(r'href="(http[^"]+)"', rendered.html)) == set(
        re.findall(r"https?://\S+", rendered.text)
    )


SHOWN = {
    "abstract": "An abstract.",
    "other authors": "Émile Post",
    "code": "https://github.com/example/notes-1",
    "summary": "A summary.",
    "long title": "end of the title",
    "first author": "Ada Byron",
    "reasons": "Matches",
}


@pytest.mark.trust(12)
def test_trust_12_a_paper_is_shortened_by_one_thing_after_the_other_its_reasons_last() -> None:
    card = a_card(
        title="A title " * 12 + "end of the title", abstract="An abstract.", summary="A summary.", reasons=()
    )
    seen = []
    for share in templates.ABSTRACT_SHARES:
        limit = templates.abstract_limit(30, share)
        both = [
            templates.fill_card(
                part, card, limit, heading="", list_url="https://digest.example.org/list/x",
                reasons=templates.fill_reasons(part, ("Matches “reading”: notes",)),
            )
            for part in ("html", "txt")
        ]  # fmt: skip
        html = both[0].partition("</h2>")
        assert len(re.findall(">(?:Read|Details|More like this|Not for me)<", html[2])) == 4
        assert SHOWN["reasons"] in both[1]  # nothing cuts the text
        assert (SHOWN["code"] in both[0]) == (SHOWN["code"] in both[1])
        seen.append([what for what, words in SHOWN.items() if words in both[0]])
    assert list(dict.fromkeys(map(tuple, seen))) == [
        tuple(SHOWN),
        tuple(SHOWN)[1:],
        tuple(SHOWN)[2:],
        tuple(SHOWN)[3:],
        tuple(SHOWN)[4:],
        tuple(SHOWN)[5:],
        (),
    ]


@pytest.mark.trust(12)
def test_trust_12_reasons_outlast_long_titles_in_a_costly_script() -> None:
    html = render(the_longest_digest("大" * 5000, title="大"), IMPRINT).html
    assert html.count('class="why"') == 60
    assert html.count("Bartholomew") == 30


@pytest.mark.trust(12)
def test_trust_12_what_cannot_be_made_small_enough_is_not_made() -> None:
    letter = the_longest_digest("x", title="&")
    with pytest.raises(TooLarge):
        render(replace(letter, for_you=letter.for_you * 3), IMPRINT)


@pytest.mark.trust(12)
def test_trust_12_thirty_usual_papers_are_well_below() -> None:
    html = render(a_digest(15, 15), IMPRINT).html
    assert len(html.encode()) <= 72_500


@pytest.mark.trust(30)
@pytest.mark.parametrize(
    "letter", [p for p in LETTERS if p.values[0].kind in {"confirm", "already_subscribed"}]
)
def test_trust_30_mails_about_consent_say_when_and_what_if_it_was_not_you(letter: Letter) -> None:
    rendered = render(letter, IMPRINT)
    for part in (Page(rendered.html).text, rendered.text):
        assert "12 February 2026, 17:05 UTC" in part
        assert "wasn't you, ignore this mail" in " ".join(part.split())
        assert "arxiv" not in part.lower()


def test_a_template_given_nothing_where_words_belong_fails() -> None:
    with pytest.raises(ValueError, match="None"):
        templates._environment().from_string("{{ value }}").render(value=None)


@given(st.text(max_size=400), st.integers(0, 120))
@settings(deadline=None)
def test_an_excerpt_is_a_beginning_no_longer_than_asked(text: str, limit: int) -> None:
    cut = excerpt(text, limit)
    whole = " ".join(text.split())
    assert len(cut) <= max(limit, 0) or whole == cut
    assert whole.startswith(cut.removesuffix("…").rstrip())


@pytest.mark.parametrize(
    ("limit", "wanted"),
    [
        (60, "One sentence here. Another one follows."),
        (38, "One sentence here. Another one…"),
        (28, "One sentence here. …"),
    ],
)
def test_an_excerpt_ends_after_a_sentence_or_a_word(limit: int, wanted: str) -> None:
    assert excerpt("One sentence here. Another one follows.", limit) == wanted


@pytest.mark.trust(15)
def test_trust_15_further_lines_of_titles_and_reasons_stand_under_the_first() -> None:
    card = a_card(title="Title " * 20, reasons=("Reason " * 20,))
    text = render(replace(a_digest(0, 0), trending=(card,) * 10), IMPRINT).text
    points = re.findall(r"^( *(?:\d+\.|\*) )\w.*\n( *)(?:Title|Reason)", text, re.MULTILINE)
    assert [len(mark) for mark, _ in points] == [len(margin) for _, margin in points] == [3, 5] * 9 + [4, 5]


def test_reasons_begin_in_upper_case_in_html_and_text_and_ids_stay() -> None:
    reasons = ("matches 'larks': song", "cs.LG is yours")
    for part, mark in (("html", ">"), ("txt", "* ")):
        written = templates.fill_reasons(part, reasons)
        assert f"{mark}Matches" in written
        assert f"{mark}cs.LG" in written


@pytest.mark.trust(15)
@given(st.text(max_size=200), st.sampled_from(["1. ", "10. ", "   * "]))
def test_trust_15_a_point_is_narrow_and_hangs_under_its_mark(text: str, mark: str) -> None:
    first, *others = templates.point(text, mark).splitlines() or [""]
    assert first.startswith(mark.rstrip())
    for line in others:
        assert line.startswith(" " * len(mark))
    assert max(map(len, [first, *others])) <= 76


@pytest.mark.trust(15)
@given(st.text(max_size=600), st.sampled_from([0, 3]))
@settings(deadline=None)
def test_trust_15_wrapped_lines_are_narrow_and_indented(text: str, indent: int) -> None:
    for line in wrap(text, indent).splitlines():
        assert len(line) <= 76
        assert line.startswith(" " * indent)
