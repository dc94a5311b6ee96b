"""Digests joined from fragments: each paper rendered and encoded once, a person's own words on the fly.

Templates and words are those of service/mail/templates.py, whose ``render`` is the plain way to the same
message and the judge of this one. What a fragment is kept under is all that it shows: the frozen values.
"""

import re
import secrets
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from functools import lru_cache
from typing import NamedTuple

from markupsafe import Markup, escape

from service.keys import Keyring
from service.mail import templates
from service.mail.encoding import broken, quoted_printable
from service.mail.letters import Card, DigestLetter, Letter
from service.mail.message import Content, Press, Sender, part_head
from service.mail.templates import Part

# How much is kept. A card takes 3 KB of HTML and 1 KB of text, so all of it stays under 50 MB.
PAGES = 64
CARDS = 4096
ENTRIES = 4096
PHRASES = 4096
LISTS = 256

# Stands in a template's output where something is put in later. No paper can know it.
_MARK = f"\ue000{secrets.token_hex(12)}:{{}}\ue001"
_MARKED = re.compile(_MARK.format(r"(\w+)"))
_PLAIN_LINK = re.compile(r"[A-Za-z0-9:/._~-]+")
TEXT, HTML = 0, 1  # the parts in their order


class Fragment(NamedTuple):
    """A piece of text, transfer-encoded so that it may stand anywhere."""

    coded: bytes
    size: int  # octets of the text itself


class Linked(NamedTuple):
    """A piece of text with places for one and the same link: what lies between them, encoded."""

    pieces: tuple[bytes, ...]
    size: int  # octets of the text without the links


class Entry(NamedTuple):
    """One paper or several of a digest in both parts, with places for links to their reader's own pages."""

    text: tuple[bytes, ...]  # what lies between the places, encoded
    html: tuple[bytes, ...]
    size: int  # octets of the HTML without the links


class Phrases(NamedTuple):
    """The words of one's own that stand on a page: one reader's interests and how many papers there are."""

    text: tuple[bytes, ...]  # of PHRASES_SHOWN, encoded
    html: tuple[bytes, ...]
    sizes: tuple[int, ...]  # octets in the HTML


class Frame(NamedTuple):
    """A text with places for what is put in: an empty piece for each of ``slots``."""

    pieces: tuple[bytes, ...]
    slots: tuple[tuple[int, str], ...]  # index among the pieces, name
    size: int


class Outline(NamedTuple):
    """One part of a page, with places for its reader's own words; its papers stand between two halves."""

    before: tuple[bytes, ...]
    after: tuple[bytes, ...]
    words: tuple[tuple[int, str], ...]  # index among the pieces of both halves, name
    between: tuple[bytes, ...]  # what stands between the papers of the trending list
    gaps: tuple[
        bytes, ...
    ]  # behind the trending list as one and each paper of the other; nothing behind the last
    size: int


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
        hot, own = letter.trending, letter.for_you
        count = len(hot) + len(own)
        phrases = _phrases(letter.interests, len(hot), len(own))
        shape = _Shape(
            letter.issue_date, letter.is_first, letter.notice, len(hot), len(own), phrases.sizes[-1] > 0
        )
        page = self._pages(shape)
        (text_list, html_list), preferences, leaving = (
            _link(letter.list_url),
            _link(letter.preferences_url),
            _link(letter.unsubscribe_url),
        )
        rest = page.size_with((*phrases.sizes, preferences[HTML].size, leaving[HTML].size))
        for share in templates.ABSTRACT_SHARES:
            limit = templates.abstract_limit(count, share)
            entries = [page.list_of(hot, limit)] if hot else []
            entries += [_entry(card, number, limit) for number, card in enumerate(own, len(hot) + 1)]
            size = rest + sum([entry.size + (len(entry.html) - 1) * html_list.size for entry in entries])
            if size <= templates.HTML_GOAL_BYTES:
                break
        templates.check_size(size)
        between = f"--{boundary}\r\n".encode("ascii")
        pieces = page.fill(
            (
                between,
                between[:-2] + b"--\r\n",
                *phrases.text,
                preferences[TEXT].coded,
                leaving[TEXT].coded,
                *phrases.html,
                preferences[HTML].coded,
                leaving[HTML].coded,
            ),
            ([entry.text for entry in entries], [entry.html for entry in entries]),
            (text_list.coded, html_list.coded),
        )
        return Content(_subject((hot or own)[0].title, count), pieces, is_canonical=True)

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
        return _Page(_outline("txt", words, shape.hot), _outline("html", words, shape.hot))


class _Shape(NamedTuple):
    """What decides a digest's page, its papers and personal words left out."""

    issue_date: date
    is_first: bool
    notice: str | None
    hot: int  # papers in the trending list
    own: int  # papers in the personal list
    has_interests: bool


# What a page has places for beside its papers, in the order of values given to _Page.fill.
PHRASES_SHOWN = ("opening", "interests")
OWN_WORDS = (*PHRASES_SHOWN, "preferences_url", "unsubscribe_url")
BETWEEN, END, WORDS = 0, 1, 2


class _Page:
    """A page in both parts, from the first boundary to the last, with places for a reader's own."""

    def __init__(self, text: Outline, html: Outline) -> None:
        self._between, self._gaps = (text.between, html.between), (text.gaps, html.gaps)
        self._size = html.size
        names = [name for _, name in html.words]
        self._counts = tuple([names.count(name) for name in OWN_WORDS])
        self._pieces = [b"", *text.before, *text.after, b"", *html.before, *html.after, b""]
        behind = len(text.before) + len(text.after) + 2  # the first piece of the HTML
        self._words = (
            (0, BETWEEN),
            *[(1 + index, WORDS + OWN_WORDS.index(name)) for index, name in text.words],
            (behind - 1, BETWEEN),
            *[(behind + index, WORDS + len(OWN_WORDS) + OWN_WORDS.index(name)) for index, name in html.words],
            (len(self._pieces) - 1, END),
        )
        self._papers = 1 + len(text.before), behind + len(html.before)
        # Most readers of a day have the same trending list.
        self.list_of = lru_cache(LISTS)(self._make_list)

    def size_with(self, sizes: tuple[int, ...]) -> int:
        """Return the octets of the HTML without its papers, where each of OWN_WORDS has so many."""
        return self._size + sum([times * size for times, size in zip(self._counts, sizes, strict=True)])

    def fill(
        self,
        values: tuple[bytes, ...],
        papers: tuple[Sequence[Sequence[bytes]], Sequence[Sequence[bytes]]],
        links: tuple[bytes, bytes],
    ) -> list[bytes]:
        """Return the pieces with everything put in.

        ``values`` are the boundary before a part and that at the end, then OWN_WORDS for the text and for
        the HTML; ``papers`` and the link for their places are those of the text and of the HTML.
        """
        pieces = self._pieces.copy()
        for index, value in self._words:
            pieces[index] = values[value]
        for part in (HTML, TEXT):  # from behind, so that places in front stay where they are
            place = self._papers[part]
            pieces[place:place] = _linked(papers[part], self._gaps[part], links[part])
        return pieces

    def _make_list(self, cards: tuple[Card, ...], limit: int) -> Entry:
        """Join the trending list, which comes first; what stands between papers is counted with the page."""
        entries = [_entry(card, number, limit) for number, card in enumerate(cards, 1)]
        text, html = self._between
        return Entry(
            text=_strung([entry.text for entry in entries], text),
            html=_strung([entry.html for entry in entries], html),
            size=sum([entry.size for entry in entries]),
        )


def _linked(papers: Sequence[Sequence[bytes]], gaps: Sequence[bytes], link: bytes) -> list[bytes]:
    """Put the link into each place, and behind each paper its gap.

    Nothing is copied here: most of a message is shared with others. All papers at once, because a list
    for each costs three times as much.
    """
    pieces: list[bytes] = []
    for paper in papers:
        pieces += paper
    linked = [link] * (2 * len(pieces))
    linked[::2] = pieces
    end = -1
    for paper, gap in zip(papers, gaps, strict=True):
        end += 2 * len(paper)
        linked[end] = gap
    return linked


def _strung(texts: Sequence[tuple[bytes, ...]], between: Sequence[bytes]) -> tuple[bytes, ...]:
    pieces = list(texts[0])
    for text, apart in zip(texts[1:], between, strict=True):
        pieces[-1] += apart + text[0]
        pieces += text[1:]
    return tuple(pieces)


def _mark(name: str) -> Markup:
    return Markup(_MARK.format(name))  # noqa: S704 - made here


def _outline(part: Part, words: dict[str, object], hot: int) -> Outline:
    """Render a part of a page and take it apart; the first ``hot`` papers become one."""
    frame = _frame(templates.page(part, words))
    pieces = [part_head(part) + frame.pieces[0], *frame.pieces[1:]]
    cards = [index for index, name in frame.slots if name.startswith("card")]
    first, last = cards[0], cards[-1]
    gaps = [pieces[index + 1] for index in cards[:-1]]  # one piece: no word of one's own stands there
    gone = last + 1 - first
    return Outline(
        before=tuple(pieces[:first]),
        after=tuple(pieces[last + 1 :]),
        words=tuple(
            [
                (index if index < first else index - gone, name)
                for index, name in frame.slots
                if index not in cards
            ]
        ),
        between=tuple(gaps[: max(hot - 1, 0)]),
        gaps=(*gaps[max(hot - 1, 0) :], b""),
        size=frame.size,
    )


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
    text, html = _unnumbered(card, limit)
    heading = quoted_printable(templates.write_heading(card.title, number))
    return Entry((heading + text.pieces[0], *text.pieces[1:]), html.pieces, html.size)


@lru_cache(ENTRIES)
def _unnumbered(card: Card, limit: int) -> tuple[Linked, Linked]:
    reasons, bare = card.reasons[: templates.REASONS_SHOWN], replace(card, reasons=())
    return (
        _filled(_card("txt", bare, limit), {"heading": _NOTHING, "reasons": _reasons("txt", reasons)}),
        _filled(_card("html", bare, limit), {"reasons": _reasons("html", reasons)}),
    )


_NOTHING = Fragment(b"", 0)


def _filled(frame: Frame, values: dict[str, Fragment]) -> Linked:
    """Put in what there is, and leave the places of the links open."""
    pieces = list(frame.pieces)
    open_places = [index for index, name in frame.slots if name == "list_url"]
    size = frame.size
    for index, name in frame.slots:
        if name in values:
            pieces[index], size = values[name].coded, size + values[name].size
    starts = [0, *(index + 1 for index in open_places)]
    ends = [*open_places, len(pieces)]
    between = [b"".join(pieces[start:end]) for start, end in zip(starts, ends, strict=True)]
    return Linked(tuple(between), size)


@lru_cache(CARDS)
def _card(part: Part, paper: Card, limit: int) -> Frame:
    marks = {name: _mark(name) for name in ("heading", "reasons", "list_url")}
    return _frame(templates.fill_card(part, paper, limit, **marks))


@lru_cache(PHRASES)
def _reasons(part: Part, reasons: tuple[str, ...]) -> Fragment:
    return _fragment(templates.fill_reasons(part, reasons))


@lru_cache(PHRASES)
def _phrases(interests: tuple[str, ...], hot: int, own: int) -> Phrases:
    text, html = templates.personal_phrases(interests, hot, own)
    shown = [str(escape(html[name])) for name in PHRASES_SHOWN]
    return Phrases(
        text=tuple([quoted_printable(text[name]) for name in PHRASES_SHOWN]),
        html=tuple([quoted_printable(phrase) for phrase in shown]),
        sizes=tuple([len(phrase.encode("utf-8")) for phrase in shown]),
    )


def _link(link: str) -> tuple[Fragment, Fragment]:
    if _PLAIN_LINK.fullmatch(link):  # nothing to escape
        both = Fragment(broken(link) or quoted_printable(link), len(link))
        return both, both
    link = templates.present(link)
    text = _fragment(link)
    shown = str(escape(link))
    return text, text if shown == link else _fragment(shown)


@lru_cache(PHRASES)
def _subject(first_title: str, paper_count: int) -> str:
    return templates.digest_subject(first_title, paper_count)
