"""Digests joined from fragments: each paper rendered and encoded once, a person's own words on the fly.

Templates and words are those of service/mail/templates.py, whose ``render`` is the plain way to the same
message and the judge of this one. What a fragment is kept under is all that it shows: the frozen values.
"""

import re
import secrets
from dataclasses import replace
from datetime import date
from functools import lru_cache
from typing import NamedTuple

from markupsafe import Markup, escape

from service.keys import Keyring
from service.mail import templates
from service.mail.encoding import quoted_printable
from service.mail.letters import Card, DigestLetter, Letter
from service.mail.message import Content, Press, Sender, part_head
from service.mail.templates import Part

# How much is kept. A card takes 3 KB of HTML and 1 KB of text, so all of it stays under 40 MB.
PAGES = 64
CARDS = 4096
ENTRIES = 4096
PHRASES = 4096

# Stands in a template's output where something is put in later. No paper can know it.
_MARK = f"\ue000{secrets.token_hex(12)}:{{}}\ue001"
_MARKED = re.compile(_MARK.format(r"(\w+)"))
TEXT, HTML = 0, 1  # the parts in their order


class Fragment(NamedTuple):
    """A piece of text, transfer-encoded so that it may stand anywhere."""

    coded: bytes
    size: int  # octets of the text itself


_BothParts = tuple[dict[str, Fragment], dict[str, Fragment]]


class Linked(NamedTuple):
    """A piece of text with places for one and the same link: what lies between them, encoded."""

    pieces: tuple[bytes, ...]
    size: int  # octets of the text without the links

    def with_link(self, link: Fragment) -> Fragment:
        """Return the piece with the link in all its places."""
        return Fragment(link.coded.join(self.pieces), self.size + (len(self.pieces) - 1) * link.size)


class Entry(NamedTuple):
    """One paper of a digest in both parts, with places for links to its reader's own pages."""

    text: Linked
    html: Linked


class Frame(NamedTuple):
    """A text with places for what is put in: an empty piece for each of ``slots``."""

    pieces: tuple[bytes, ...]
    slots: tuple[tuple[int, str], ...]  # index among the pieces, name
    size: int

    def fill(self, values: dict[str, Fragment]) -> list[bytes]:
        """Return the pieces with every slot filled."""
        pieces = list(self.pieces)
        for index, name in self.slots:
            pieces[index] = values[name].coded
        return pieces

    def size_with(self, values: dict[str, Fragment]) -> int:
        """Return the octets of the whole text."""
        return self.size + sum([values[name].size for _, name in self.slots])


class AssemblyPress(Press):
    """Makes digests from kept fragments, and all other mails the plain way."""

    def __init__(self, sender: Sender, keyring: Keyring) -> None:
        """Take the sender and the keys that sign envelope senders."""
        super().__init__(sender, keyring)
        self._pages = lru_cache(PAGES)(self._make_page)

    def content(self, letter: Letter, boundary: str) -> Content:
        """Return subject and body.

        Raises:
            service.mail.templates.TooLarge: the mail would be clipped by its reader.
        """
        if not isinstance(letter, DigestLetter):
            return super().content(letter, boundary)
        cards = letter.trending + letter.for_you
        phrases = _phrases(letter.interests, len(letter.trending), len(letter.for_you))
        preferences, leaving = _link(letter.preferences_url), _link(letter.unsubscribe_url)
        own_text, own_html = _link(letter.list_url)
        text, html = (
            {"preferences_url": preferences[part], "unsubscribe_url": leaving[part], **phrases[part]}
            for part in (TEXT, HTML)
        )
        page = self._pages(
            _Shape(
                letter.issue_date,
                letter.is_first,
                letter.notice,
                len(letter.trending),
                len(letter.for_you),
                html["interests"].size > 0,
            )
        )
        for share in templates.ABSTRACT_SHARES:
            limit = templates.abstract_limit(len(cards), share)
            for number, name in enumerate(page.cards):
                entry = _entry(cards[number], number + 1, limit)
                text[name], html[name] = entry.text.with_link(own_text), entry.html.with_link(own_html)
            size = page.html.size_with(html)
            if size <= templates.HTML_GOAL_BYTES:
                break
        templates.check_size(size)
        between = f"--{boundary}\r\n".encode("ascii")
        pieces = [between, *page.text.fill(text), between, *page.html.fill(html), between[:-2], b"--\r\n"]
        return Content(_subject(cards[0].title, len(cards)), b"".join(pieces), is_canonical=True)

    def _make_page(self, shape: "_Shape") -> "_Page":
        """Render the page that all digests of one shape have in common."""
        words = {
            "issue_date": shape.issue_date,
            "is_first": shape.is_first,
            "notice": shape.notice,
            "trending": (None,) * shape.hot,
            "for_you": (None,) * shape.own,
            "imprint": self.sender.imprint,
            "card": lambda _card, number: _mark(f"card{number}"),
            "opening": _mark("opening"),
            "interests": _mark("interests") if shape.has_interests else "",
            "preferences_url": _mark("preferences_url"),
            "unsubscribe_url": _mark("unsubscribe_url"),
        }
        return _Page(
            text=_page_frame("txt", words),
            html=_page_frame("html", words),
            cards=tuple([f"card{number}" for number in range(1, shape.hot + shape.own + 1)]),
        )


class _Shape(NamedTuple):
    """What decides a digest's page, its papers and personal words left out."""

    issue_date: date
    is_first: bool
    notice: str | None
    hot: int  # papers in the trending list
    own: int  # papers in the personal list
    has_interests: bool


class _Page(NamedTuple):
    """A shape's page in both parts, and the names of the places of its papers in order."""

    text: Frame
    html: Frame
    cards: tuple[str, ...]


def _mark(name: str) -> Markup:
    return Markup(_MARK.format(name))  # noqa: S704 - made here


def _page_frame(part: Part, words: dict[str, object]) -> Frame:
    frame = _frame(templates.page(part, words))
    return frame._replace(pieces=(part_head(part) + frame.pieces[0], *frame.pieces[1:]))


def _frame(text: str) -> Frame:
    """Encode what stands between the marks of a text."""
    pieces = _MARKED.split(text)  # text, name, text, name, ..., text
    return Frame(
        pieces=tuple([b"" if index % 2 else quoted_printable(piece) for index, piece in enumerate(pieces)]),
        slots=tuple([(index, pieces[index]) for index in range(1, len(pieces), 2)]),
        size=sum([len(piece.encode("utf-8")) for piece in pieces[::2]]),
    )


def _fragment(text: str) -> Fragment:
    return Fragment(quoted_printable(text), len(text.encode("utf-8")))


@lru_cache(ENTRIES)
def _entry(card: Card, number: int, limit: int) -> Entry:
    reasons, bare = card.reasons[: templates.REASONS_SHOWN], replace(card, reasons=())
    return Entry(
        text=_filled(_card("txt", bare, number, limit), _reasons("txt", reasons)),
        html=_filled(_card("html", bare, 0, limit), _reasons("html", reasons)),  # where no number is shown
    )


def _filled(frame: Frame, reasons: Fragment) -> Linked:
    """Put the reasons in, and leave the places of the links open."""
    pieces = list(frame.pieces)
    open_places = [index for index, name in frame.slots if name == "list_url"]
    size = frame.size
    for index, name in frame.slots:
        if name == "reasons":
            pieces[index], size = reasons.coded, size + reasons.size
    starts = [0, *(index + 1 for index in open_places)]
    ends = [*open_places, len(pieces)]
    between = [b"".join(pieces[start:end]) for start, end in zip(starts, ends, strict=True)]
    return Linked(tuple(between), size)


@lru_cache(CARDS)
def _card(part: Part, paper: Card, number: int, limit: int) -> Frame:
    marks = {name: _mark(name) for name in ("reasons", "list_url")}
    return _frame(templates.fill_card(part, paper, number, limit, **marks))


@lru_cache(PHRASES)
def _reasons(part: Part, reasons: tuple[str, ...]) -> Fragment:
    return _fragment(templates.fill_reasons(part, reasons))


@lru_cache(PHRASES)
def _phrases(interests: tuple[str, ...], hot: int, own: int) -> _BothParts:
    text, html = templates.personal_phrases(interests, hot, own)
    return (
        {name: _fragment(phrase) for name, phrase in text.items()},
        {name: _fragment(str(escape(phrase))) for name, phrase in html.items()},
    )


def _link(link: str) -> tuple[Fragment, Fragment]:
    link = templates.present(link)
    text = _fragment(link)
    shown = str(escape(link))
    return text, text if shown == link else _fragment(shown)


@lru_cache(PHRASES)
def _subject(first_title: str, paper_count: int) -> str:
    return templates.digest_subject(first_title, paper_count)
