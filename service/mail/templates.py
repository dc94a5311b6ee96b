"""The words of each mail: Jinja2 templates in templates/email/<kind>/, HTML styles set inline.

Values are data, never templates. A missing value is an error, not an empty place.
"""

import re
import textwrap
from dataclasses import dataclass, fields
from datetime import date, datetime
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import css_inline
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from markupsafe import Markup

from service.mail.letters import Letter

HTML_GOAL_BYTES = 90_000
HTML_LIMIT_BYTES = 102_000  # Gmail cuts there; the unsubscribe link would go
TEXT_COLUMNS = 76
SHARED_TEXTS = 4096  # cut or wrapped once, though a paper stands in thousands of mails
ABSTRACT_CHARACTERS = 900
ALL_ABSTRACTS_CHARACTERS = 18_000
# Tried in turn until the HTML is small enough.
ABSTRACT_SHARES = (1.0, 0.6, 0.35, 0.0)
_CONTROLS = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
)
_SENTENCE_END = re.compile(r"[.!?\u3002\uff01\uff1f]['\")\]]*(?:\s|$)")


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

    Abstracts are shortened, all alike, until the HTML stays under 90 KB.

    Raises:
        jinja2.UndefinedError: a template names what the letter does not have, or a value is None.
        TooLarge: even without abstracts the HTML is larger than a mail may be.
    """
    words = {field.name: getattr(letter, field.name) for field in fields(letter)}
    html = ""
    for share in ABSTRACT_SHARES:
        context = {**words, "imprint": imprint, "abstract_limit": _abstract_limit(words, share)}
        html = _inliner().inline(_template(letter.kind, "body.html").render(context))
        if len(html.encode("utf-8")) <= HTML_GOAL_BYTES:
            break
    if len(html.encode("utf-8")) > HTML_LIMIT_BYTES:
        raise TooLarge(f"the HTML of a {letter.kind} mail has more than {HTML_LIMIT_BYTES} bytes")
    return Rendered(
        subject=_template(letter.kind, "subject.txt").render(context).strip(),
        text=_template(letter.kind, "body.txt").render(context).strip() + "\n",
        html=html,
    )


def _abstract_limit(words: dict[str, Any], share: float) -> int:
    count = len(words.get("trending", ())) + len(words.get("for_you", ()))
    return int(min(ABSTRACT_CHARACTERS, ALL_ABSTRACTS_CHARACTERS // max(count, 1)) * share)


@cache
def _template(kind: str, name: str) -> Any:
    return _environment().get_template(f"{kind}/{name}")


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_folder()),
        autoescape=select_autoescape(["html"], default=False),
        undefined=StrictUndefined,
        finalize=_present,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "excerpt": excerpt,
        "wrap": wrap,
        "day": day,
        "short_day": short_day,
        "moment": moment,
        "count": count,
        "byline": byline,
    }
    return environment


@cache
def _inliner() -> css_inline.CSSInliner:
    return css_inline.CSSInliner(load_remote_stylesheets=False, keep_style_tags=False)


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
    return _CONTROLS.sub(" ", value)


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


@lru_cache(maxsize=SHARED_TEXTS)
def wrap(value: str, indent: int = 0) -> str:
    """Wrap a text for the plain part, each line indented; long words are broken."""
    margin = " " * indent
    return textwrap.fill(
        " ".join(_CONTROLS.sub(" ", value).split()),
        width=TEXT_COLUMNS,
        initial_indent=margin,
        subsequent_indent=margin,
        break_on_hyphens=False,
    )


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


def byline(authors: tuple[str, ...], author_count: int) -> str:
    """Name the first three authors and how many more there are."""
    named = ", ".join(authors[:3])
    more = max(author_count, len(authors)) - min(len(authors), 3)
    if not named:
        return count(more, "author") if more else ""
    return f"{named} and {more} more" if more else named
