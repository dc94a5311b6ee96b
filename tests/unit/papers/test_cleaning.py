"""Feed text is made plain at the door."""

import unicodedata
from datetime import UTC, date, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.joiners import MAY_JOIN, without_stray_joiners
from service.papers import cleaning
from service.papers.cleaning import clean_count, clean_instant, clean_line, clean_lines, clean_url, paper_id

NOW = datetime(2026, 2, 13, 8, tzinfo=UTC)


@pytest.mark.parametrize(
    ("raw", "clean"),
    [
        ("Comprehensive MCP\n  Use", "Comprehensive MCP Use"),
        ("One\r\nBcc: x@example.org", "One Bcc: x@example.org"),
        ("a\x00b\x85c\u2028d\u2029e\x7ff", "a b c d e f"),
        ("First part \\\\ second part", "First part second part"),
        ("First part\\\\[2pt] second\\newline third", "First part second third"),
        (r"$\\alpha$ and \newlineheight stay", r"$\\alpha$ and \newlineheight stay"),
        ("evil\u202etxt.exe\u2066!\u200b\ufeff", "eviltxt.exe!"),
        ("tag\U000e0041s and \ud800 surrogates", "tags and surrogates"),
        ("Do NOT Think That Much for 2+3=?", "Do NOT Think That Much for 2+3= ?"),
        ("e\u200b\u0301", "é"),
        ("e\u200d\u0301", "é"),
        ("pay\u200dpal\u200c \u200d", "paypal"),
        (None, ""),
        (5, ""),
        (["x"], ""),
    ],
)
def test_a_line_is_plain(raw: object, clean: str) -> None:
    assert clean == clean_line(raw, 200)


def test_an_encoded_word_can_no_longer_be_decoded() -> None:
    title = clean_line("=?utf-8?q?Attention=0AReply-To=3A_evil=40x=2Ecom?= is all you need", 200)

    assert "=?" not in title
    assert "?=" not in title
    assert title.endswith("is all you need")


@given(st.text(max_size=400), st.integers(10, 200))
def test_whatever_comes_a_line_is_one_line_without_anything_hidden(raw: str, length: int) -> None:
    line = clean_line(raw, length)

    assert len(line) <= length
    assert line == line.strip()
    assert "  " not in line
    assert "=?" not in line
    assert "?=" not in line
    assert not [c for c in line if unicodedata.category(c)[0] in "CZ" and c != " " and c not in MAY_JOIN]
    assert line == without_stray_joiners(line)
    line.encode()  # no lone surrogates


def test_a_long_text_is_cut_with_a_mark() -> None:
    cut = clean_line("word " * 1_000_000, 20)

    assert cut == "word word word word…"


def test_lines_come_once_and_not_too_many() -> None:
    assert clean_lines(["a", "b", None, " a ", {}, "c", "d"], 20, 3) == ("a", "b", "c")
    assert clean_lines("abc", 20, 3) == ()


@pytest.mark.parametrize("url", [
        "https://example.org/a?b=c#d", "http://example.org:8080/", "https://Ann-Lark.GitHub.io/lark_net",
        "https://my_lab.example.co.uk./x", "https://xn--bcher-kva.xn--p1ai/", "https://1.2.3.4.example.org/",
        "https://localhost.example.org/",
    ],
)  # fmt: skip
def test_a_web_address_is_kept(url: str) -> None:
    assert url == clean_url(f" {url} ")


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)", "data:text/html,x", "//example.org", "https:///path", "https://", "ftp://a.org",
        "https://user:pass@example.org", "https://example.org/a b", "https://example.org/\n x", "http://[::1",
        "https://example.org:99999/", 'https://example.org/"onload="x', "https://e.org/<b>", "x" * 600, None,
        "https://example.org/" + "a" * 600, 7, "https://ex\u202eample.org/",
    ],
)  # fmt: skip
def test_anything_else_is_no_address(url: object) -> None:
    assert clean_url(url) is None


@pytest.mark.trust(88)
@pytest.mark.parametrize(
    "host",
    [
        "169.254.169.254", "127.0.0.1:8000", "8.8.8.8", "8.8.8.8.", "[::1]", "[fe80::1%25eth0]", "2130706433",
        "0x7f.1", "0x7f000001", "127.0.0.%31", "0177.0.0.1", "a.b.7", "localhost", "LOCALHOST:8080", "router",
        "app.localhost", "printer.local", "metadata.google.internal", "nas.home.arpa", "wiki.corp.", "a..org",
        ".org", "example.org%2f", "local%68ost", "a.%6cocal",
    ],
)  # fmt: skip
def test_what_means_something_only_inside_a_network_is_no_address(host: str) -> None:
    assert clean_url(f"http://{host}/") is None


@pytest.mark.parametrize(
    ("value", "count"),
    [(0, 0), (7, 7), (3.0, 3), (3.5, None), (-1, None), (True, None), ("7", None), (None, None),
     (2**31, None), (float("nan"), None), (float("inf"), None), ([], None)],
)  # fmt: skip
def test_a_count_is_a_number_from_zero_and_absent_is_not_zero(value: object, count: int | None) -> None:
    assert clean_count(value) == count


@pytest.mark.parametrize(
    ("value", "instant"),
    [
        ("2026-02-10T03:55:12.777Z", datetime(2026, 2, 10, 3, 55, 12, 777000, UTC)),
        ("2026-02-10T03:55:12-05:00", datetime(2026, 2, 10, 8, 55, 12, tzinfo=UTC)),
        ("2026-02-10", datetime(2026, 2, 10, tzinfo=UTC)),
        ("2999-01-01", None), ("1970-01-01", None), ("0001-01-01T00:00:00+12:00", None),
        ("9999-12-31T23:59:59-12:00", None), ("yesterday", None), (1770000000, None), (None, None),
    ],
)  # fmt: skip
def test_an_instant_is_believed_only_between_arxivs_beginning_and_now(
    value: object, instant: datetime | None
) -> None:
    assert clean_instant(value, NOW) == instant


def test_a_day_is_that_of_the_instant_in_utc() -> None:
    assert cleaning.clean_date("2026-02-10T22:00:00-05:00", NOW) == date(2026, 2, 11)


@pytest.mark.parametrize(
    ("given_id", "id_"),
    [
        ("2609.17496v2", "2609.17496"), ("2609.17496", "2609.17496"), (" arXiv:0704.0001v1 ", "0704.0001"),
        ("astro-ph/0601001", "astro-ph/0601001"), ("astro-ph/0601001v3", "astro-ph/0601001"),
        ("math.GT/0309136", "math/0309136"), ("hello", None), ("2609.174", None), ("", None), (None, None),
        (2609.17496, None), ("2609.17496/../x", None), ("٢٦٠٩.١٧٤٩٦", None), ("1" * 5000, None),
    ],
)  # fmt: skip
def test_a_paper_is_named_by_its_id_without_version(given_id: object, id_: str | None) -> None:
    assert paper_id(given_id) == id_
