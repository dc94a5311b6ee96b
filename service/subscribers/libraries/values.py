"""What a library holds once it is read. Pure."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from service.papers.cleaning import ABSTRACT_LENGTH, TITLE_LENGTH, clean_line, paper_id
from service.papers.tex import decode_accents

MOST_BYTES = 4 * 1024 * 1024  # of a file; 2,000 entries with abstracts are about 3.5 MB of BibTeX
MOST_ITEMS = 2_000  # kept of one library, the latest
MOST_ENTRIES = 20_000  # read of one file; what follows is named as left out
SHORTEST_TITLE = 3

# arXiv's ids where something says that they are: "arXiv:2401.01234v2", ".../abs/2401.01234", DBLP's "abs/".
_ARXIV = re.compile(
    r"(?:arxiv(?:\.org)?|\babs|\bpdf|huggingface\.co/papers|hf\.co/papers)[\s.:/]*(?:(?:abs|pdf|html|arxiv)[:/.])?"
    r"\s*([0-9]{4}\.[0-9]{4,5}|[a-z-]{2,12}(?:\.[A-Z]{2})?/[0-9]{7})(?![0-9])",
    re.IGNORECASE,
)
_YEAR = re.compile(r"(?<!\d)(?:19|20)\d\d(?!\d)")
_DAY = re.compile(r"(?<!\d)((?:19|20)\d\d-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d)?)?)")
_COMMAND = re.compile(r"\\(?:[a-zA-Z]+\*?|.)\s*")
_ESCAPED = re.compile(r"\\([&%$#_{}])")
_TAG = re.compile(r"</?[a-zA-Z][^<>]{0,200}>")


class UnreadableLibrary(ValueError):
    """A file can't be used at all; the message is a sentence for the person."""


@dataclass(frozen=True, slots=True)
class Problem:
    """An entry, or a part of the file, that was left out."""

    where: str  # such as "line 12" or "entry 3"
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One work. ``paper_id`` is arXiv's; ``added`` sorts by time, "" where nothing tells it."""

    title: str
    abstract: str = ""
    paper_id: str | None = None
    added: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Library:
    """What was read: the latest items first, and what could not be."""

    format: str
    items: tuple[Item, ...]
    problems: tuple[Problem, ...] = ()
    repeated: int = 0  # entries of a work that another entry names, too
    left_out: int = 0  # older items beyond MOST_ITEMS

    @property
    def abstract_count(self) -> int:
        """How many items have an abstract."""
        return sum(bool(item.abstract) for item in self.items)


def make_item(
    title: str,
    *,
    abstract: str = "",
    places: Iterable[str] = (),
    eprint: str = "",
    added: str = "",
    tex: bool,
) -> Item:
    """Make an item of raw texts; ``places`` are where an arXiv id may stand, ``tex`` says that TeX is meant.

    Raises:
        ValueError: it has no title; the message says so.
    """
    plain = _without_tex if tex else _without_tags
    clean = clean_line(plain(title), TITLE_LENGTH)
    if len(clean) < SHORTEST_TITLE:
        raise ValueError("has no title")
    return Item(
        title=clean,
        abstract=clean_line(plain(abstract), ABSTRACT_LENGTH),
        paper_id=paper_id(eprint.strip()) or find_arxiv_id(places),
        added=sort_key(added),
    )


def find_arxiv_id(texts: Iterable[str]) -> str | None:
    """Return the first arXiv id that one of ``texts`` names, without version."""
    for text in texts:
        if found := _ARXIV.search(text[:2_000]):
            return paper_id(found[1])
    return None


def sort_key(text: str) -> str:
    """Return a key by which later times sort after earlier ones: a day where there is one, else a year."""
    found = _DAY.search(text[:100]) or _YEAR.search(text[:100])
    return found[0].replace("T", " ") if found else ""


def gather(format_: str, items: Iterable[Item], problems: Iterable[Problem]) -> Library:
    """Put the latest items first, each work once; of two with one time the one further down is the later."""
    unique: dict[str, Item] = {}
    count = 0
    for item in items:
        count += 1
        key = item.paper_id or "".join(filter(str.isalnum, item.title.casefold()))
        kept = unique.get(key)
        if kept is None or (item.abstract and not kept.abstract):
            unique.pop(key, None)
            unique[key] = item
    latest = list(unique.values())[::-1]
    latest.sort(key=lambda item: item.added, reverse=True)
    return Library(
        format=format_,
        items=tuple(latest[:MOST_ITEMS]),
        problems=tuple(problems),
        repeated=count - len(unique),
        left_out=max(0, len(latest) - MOST_ITEMS),
    )


def first_of(fields: Mapping[str, str], names: Iterable[str]) -> str:
    """Return the first of the named fields that says something, or ""."""
    return next((value for name in names if (value := fields.get(name, "").strip())), "")


def _without_tex(text: str) -> str:
    text = decode_accents(text.replace("~", " ")) if "\\" in text else text.replace("~", " ")
    text = _ESCAPED.sub(r"\1", text.replace("\\\\", " "))
    text = _COMMAND.sub("", text) if "\\" in text else text
    return (
        text.replace("{", "")
        .replace("}", "")
        .replace("$", "")
        .replace("---", "\u2014")
        .replace("--", "\u2013")
    )


def _without_tags(text: str) -> str:
    """Take out HTML marks, which Zotero keeps in titles."""
    return _TAG.sub("", text) if "<" in text else text
