"""The words of each mail: Jinja2 templates in templates/email/<kind>/, HTML styles set inline.

Values are data, never templates. A missing value is an error, not an empty place.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date, datetime
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, Literal

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template, select_autoescape
from markupsafe import Markup

from service.joiners import without_stray_joiners
from service.mail import styles
from service.mail.letters import Card, DigestLetter, Letter
from service.sentences import as_sentence

HTML_GOAL_BYTES = 90_000
HTML_LIMIT_BYTES = 102_000  # Gmail cuts there; the unsubscribe link would go
TEXT_COLUMNS = 76
SHARED_TEXTS = 4096  # cut or wrapped once, though a paper stands in thousands of mails
ABSTRACT_CHARACTERS = 900
ALL_ABSTRACTS_CHARACTERS = 18_000
REASONS_SHOWN = 2
# Tried in turn until the HTML is small enough: what of its length each abstract may show, then steps that
# each leave out what a reader misses least. With the last a paper is little more than a short title and its
# links: long titles in a far script must not cost anybody the whole digest.
ABSTRACT_SHARES = (1.0, 0.6, 0.35, 0.2, 0.0, -1.0, -2.0, -3.0, -4.0, -5.0)
FIRST_AUTHOR, NO_CODE, NO_SUMMARY, SHORT_TITLE, NO_REASONS = -1, -2, -3, -4, -5
_CONTROLS = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
)
_SENTENCE_END = re.compile(r"[.!?\u3002\uff01\uff1f]['\")\]]*(?:\s|$)")


Part = Literal["txt", "html"]


class TooLarge(ValueError):
    """The HTML would be clipped by the reader's mail program."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Imprint:
    """What the foot of each mail says of the sender."""

    name: str
    contact: str
    postal_address: str | None
    home_url: str
    host: str


@dataclass(frozen=True, slots=True)
class Rendered:
    """A mail's words: one line, written plain text, and HTML."""

    subject: str
    text: str
    html: str


def render(letter: Letter, imprint: Imprint) -> Rendered:
    """Turn a letter into words.

    Papers are shortened, all alike, until the HTML stays under 90 KB: their abstracts first.

    Raises:
        jinja2.UndefinedError: a template names what the letter does not have, or a value is None.
        TooLarge: even with the least of each paper the HTML is larger than a mail may be.
    """
    words = {field.name: getattr(letter, field.name) for field in fields(letter)} | {"imprint": imprint}
    html = ""
    for share in ABSTRACT_SHARES:
        html = _body(letter, words, "html", share)
        if len(html.encode("utf-8")) <= HTML_GOAL_BYTES:
            break
    check_size(len(html.encode("utf-8")))
    if isinstance(letter, DigestLetter):
        cards = letter.trending + letter.for_you
        subject = digest_subject(cards[0].title, len(cards))
    else:
        subject = fill(letter.kind, "subject.txt", words).strip()
    return Rendered(subject=subject, text=_body(letter, words, "txt", share), html=html)


def _body(letter: Letter, words: dict[str, Any], part: Part, share: float) -> str:
    if not isinstance(letter, DigestLetter):
        return fill(letter.kind, f"body.{part}", words).strip() + "\n"
    hot, own = len(letter.trending), len(letter.for_you)
    limit = abstract_limit(hot + own, share)

    def card(paper: Card, number: int) -> Markup:
        reasons = fill_reasons(part, paper.reasons)
        heading = write_heading(paper.title, number)
        written = fill_card(part, paper, limit, heading=heading, reasons=reasons, list_url=letter.list_url)
        return Markup(written)  # noqa: S704 - our own template's words

    phrases = personal_phrases(letter.interests, hot, own)[part == "html"]
    return page(part, words | phrases | {"card": card})


# -- the pieces of a digest, for whoever joins whole messages of them ---------------------------------------


def page(part: Part, words: Mapping[str, Any]) -> str:
    """Write a digest around its papers, which the function ``card`` among the words gives."""
    return fill("digest", f"body.{part}", words).strip() + "\n"


def fill_card(part: Part, paper: Card, limit: int, *, heading: str, reasons: str, list_url: str) -> str:
    """Write one paper; ``heading`` (shown in plain text) and ``reasons`` are what was written before."""
    words = {
        "paper": paper,
        "heading": heading,
        "abstract_limit": limit,
        "reasons": Markup(reasons),  # noqa: S704 - as above
        "list_url": list_url,
        "has_all_authors": limit > FIRST_AUTHOR,
        "has_code": limit > NO_CODE,
        "has_summary": limit > NO_SUMMARY,
        "has_long_title": limit > SHORT_TITLE,
        "has_reasons": limit > NO_REASONS,
    }
    return fill("digest", f"card.{part}", words)


def write_heading(title: str, number: int) -> str:
    """Write the title of a paper for plain text, with its ``number`` from 1. Its words begin with it."""
    return point(excerpt(title, 300), f"{number}. ")


def fill_reasons(part: Part, reasons: Sequence[str]) -> str:
    """Write why a paper was chosen."""
    return fill("digest", f"reasons.{part}", {"reasons": reasons[:REASONS_SHOWN]})


def personal_phrases(interests: Sequence[str], hot: int, own: int) -> tuple[dict[str, str], dict[str, str]]:
    """Return the page's words of one's own for text and HTML: opening and interests, not yet escaped.

    ``hot`` and ``own`` count the papers of the two lists.
    """
    if not own:
        opening = count(hot, "trending paper")
    elif not hot:
        opening = f"{count(own, 'paper')} chosen for you"
    else:
        opening = f"{count(hot, 'trending paper')} and {own} chosen for you"
    named = excerpt(present(", ".join(interests)), 300)
    opening += f": {excerpt(named, 120)}." if named else "."
    return (
        {"opening": wrap(opening), "interests": wrap(named, 3)},
        {"opening": opening, "interests": named},
    )


def digest_subject(first_title: str, paper_count: int) -> str:
    """Write the subject of a digest."""
    return fill("digest", "subject.txt", {"first_title": first_title, "more": paper_count - 1}).strip()


def abstract_limit(paper_count: int, share: float) -> int:
    """Return how many characters of each abstract a digest of so many papers shows.

    Below nothing it is a step that leaves out more than abstracts; see ABSTRACT_SHARES.
    """
    if share < 0:
        return int(share)
    return int(min(ABSTRACT_CHARACTERS, ALL_ABSTRACTS_CHARACTERS // max(paper_count, 1)) * share)


def check_size(html_octets: int) -> None:
    """Refuse what the reader's mail program would cut.

    Raises:
        TooLarge: it would.
    """
    if html_octets > HTML_LIMIT_BYTES:
        raise TooLarge(f"the HTML of a mail has more than {HTML_LIMIT_BYTES} bytes")


def present(value: str) -> str:
    """Take out signs that no mail should carry, and joiners that join nothing."""
    if value.isprintable():  # quick, and true of nearly all
        return value
    return without_stray_joiners(_CONTROLS.sub(" ", value))


def fill(kind: str, name: str, words: Mapping[str, Any]) -> str:
    """Fill in one template.

    Raises:
        jinja2.UndefinedError: it names what is not among the words.
        ValueError: a word it shows is None.
    """
    return str(_template(kind, name).render(words))


@cache
def _template(kind: str, name: str) -> Template:
    return _environment().get_template(f"{kind}/{name}")


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=_StyledLoader(_folder()),
        autoescape=select_autoescape(["html"], default=False),
        undefined=StrictUndefined,
        finalize=_present,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "as_sentence": as_sentence,
        "excerpt": excerpt,
        "wrap": wrap,
        "point": point,
        "day": day,
        "short_day": short_day,
        "moment": moment,
        "count": count,
        "byline": byline,
    }
    return environment


class _StyledLoader(FileSystemLoader):
    """Reads templates from a folder; the HTML ones with their styles set inline."""

    def get_source(self, environment: Environment, template: str) -> tuple[str, str, Callable[[], bool]]:
        source, name, is_fresh = super().get_source(environment, template)
        if template.endswith(".html"):
            css, _, _ = super().get_source(environment, "_base/styles.css")
            source = styles.inline(source, styles.read_sheet(css))
        return source, name, is_fresh


def _folder() -> Path:
    package = Path(__file__).parents[1]
    bundled = package / "_bundled" / "templates" / "email"
    return bundled if bundled.is_dir() else package.parent / "templates" / "email"


def _present(value: Any) -> Any:
    """Refuse None where words are wanted, and take out signs no mail should carry."""
    if value is None:
        raise ValueError("a template was given None where a value belongs")
    if isinstance(value, Markup) or not isinstance(value, str):
        return value
    return present(value)


@lru_cache(maxsize=SHARED_TEXTS)
def excerpt(value: str, limit: int) -> str:
    """Cut a text to at most ``limit`` characters, after a sentence where one ends late enough, or a word."""
    text = " ".join(value.split())
    if len(text) <= limit:
        return text
    if limit < 2:
        return ""
    head = text[: limit - 1]
    ends = [found.end() for found in _SENTENCE_END.finditer(head)]
    if ends and ends[-1] > limit * 0.6:
        return f"{head[: ends[-1]].rstrip()} …" if ends[-1] + 1 < limit else head[: ends[-1]].rstrip()
    cut = head.rfind(" ")
    return head[: cut if cut > limit * 0.5 else None].rstrip(" ,;:") + "…"


def wrap(value: str, indent: int = 0) -> str:
    """Wrap a text for the plain part, each line indented; words longer than a line are broken."""
    margin = " " * indent
    width = TEXT_COLUMNS - indent
    rest = " ".join(present(value).split())
    if len(rest) <= width:
        return margin + rest if rest else ""
    lines: list[str] = []
    while len(rest) > width:
        cut = rest.rfind(" ", 0, width + 1)
        lines.append(margin + rest[: cut if cut > 0 else width])
        rest = rest[cut + 1 if cut > 0 else width :]
    return "\n".join([*lines, margin + rest]) if rest else "\n".join(lines)


def point(value: str, mark: str) -> str:
    """Wrap a text for the plain part behind a mark, each further line under the first."""
    wrapped = wrap(value, len(mark))
    return mark + wrapped[len(mark) :] if wrapped else mark.rstrip()


def day(value: date) -> str:
    """Write a date for people: "Friday, 13 February"."""
    return f"{value:%A}, {value.day} {value:%B}"


def short_day(value: date) -> str:
    """Write a date for people, briefly: "13 February"."""
    return f"{value.day} {value:%B}"


def moment(value: datetime) -> str:
    """Write an instant for people, in UTC: "13 February 2026, 08:00 UTC"."""
    return f"{value.day} {value:%B %Y, %H:%M} UTC"


def count(number: int, one: str, many: str | None = None) -> str:
    """Write a number with its noun: "1 vote", "42 votes"."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def byline(authors: tuple[str, ...], author_count: int, shown: int = 3) -> str:
    """Name the first authors and how many more there are."""
    named = ", ".join(authors[:shown])
    more = max(author_count, len(authors)) - min(len(authors), shown)
    if not named:
        return count(more, "author") if more else ""
    return f"{named} and {more} more" if more else named
