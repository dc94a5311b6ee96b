"""Reads arXiv's XML: pages of the query API, and the daily feed as Atom or RSS. Pure."""

import re
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime
from email.utils import parsedate_to_datetime
from xml.etree.ElementTree import Element, ParseError

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring

from service.papers.cleaning import (
    ABSTRACT_LENGTH,
    NAME_LENGTH,
    TITLE_LENGTH,
    clean_instant,
    clean_line,
    clean_lines,
    clean_url,
    paper_id,
)
from service.papers.paper import Paper
from service.papers.sources import Malformed, Parsed, UnusableAnswer
from service.papers.sources.arxiv_calendar import EASTERN, list_day
from service.papers.taxonomy import fold_category
from service.papers.tex import decode_accents, decode_name

AUTHORS_KEPT = 100
CATEGORIES_KEPT = 20
ATOM = "{http://www.w3.org/2005/Atom}"
ARXIV = "{http://arxiv.org/schemas/atom}"
CREATOR = "{http://purl.org/dc/elements/1.1/}creator"
TOTAL = "{http://a9.com/-/spec/opensearch/1.1/}totalResults"
KNOWN_TAGS = frozenset(
    {
        "id", "title", "updated", "link", "summary", "category", "published", "comment", "primary_category",
        "author", "journal_ref", "doi", "description", "guid", "pubDate", "announce_type", "rights",
        "creator", "DOI", "journal_reference",
    }
)  # fmt: skip
HEADER = re.compile(r"^\s*arXiv:\S+\s+Announce Type:\s*[\w-]+\s*(?:Abstract:\s*)?")
LINK = re.compile(r"https?://[^\s<>\"'{}|\\^`\]]+")
CODE_HOSTS = ("github.com", "gitlab.com", "codeberg.org", "bitbucket.org")
WITHDRAWN = re.compile(
    r"^withdrawn\b|\b(?:paper|article|submission|manuscript|preprint|work) (?:has been|was|is) withdrawn\b",
    re.I,
)
NOT_A_COMMA = re.compile(r"\([^()]*\)")
SUFFIXES = {"jr", "jr.", "sr", "sr.", "ii", "iii", "iv"}


def parse(body: bytes, observed_at: datetime, *, include_cross: bool = False) -> Parsed:
    """Read all new papers of an answer.

    Raises:
        UnusableAnswer: no XML, not a feed of arXiv's, or an error in the shape of a feed.
    """
    papers: dict[str, Paper] = {}
    malformed: list[Malformed] = []
    unknown: Counter[str] = Counter()
    wanted = {None, "new", "cross"} if include_cross else {None, "new"}
    for position, entry in enumerate(_entries(_read(body))):
        unknown.update(_local(child) for child in entry if _local(child) not in KNOWN_TAGS)
        if _text(entry, f"{ARXIV}announce_type") not in wanted:
            continue
        try:
            paper = _paper(entry, observed_at)
        except _NoPaper as problem:
            malformed.append(Malformed(position=position, reason=str(problem)))
        else:
            papers.setdefault(paper.id, paper)
    return Parsed(papers=tuple(papers.values()), malformed=tuple(malformed), unknown_keys=dict(unknown))


def count_entries(body: bytes) -> tuple[int, int]:
    """Return how many entries a page of the API has, and how many the query has in all.

    Raises:
        UnusableAnswer: as :func:`parse`.
    """
    root = _read(body)
    total = (root.findtext(TOTAL) or "").strip()
    if not (total.isascii() and total.isdigit()):
        raise UnusableAnswer("the page doesn't say how many papers there are")
    return len(list(_entries(root))), int(total[:9])


def staleness(body: bytes, expected: date) -> str | None:
    """Say so if no item of the feed is of the day that is expected; None for a feed in order or empty.

    The feed's own date tells only when it was built: on 2026-08-12 a fresh one held yesterday's papers.
    """
    try:
        days = [day for entry in _entries(_read(body)) if (day := _announced_on(entry))]
    except UnusableAnswer:
        return None  # reading it reports that already
    if not days or max(days) >= expected:
        return None
    return f"the feed still shows the papers of {max(days)}: it is stale, or {expected} is a holiday"


def complaint(body: bytes) -> str:
    """Return what an error page in the shape of a feed says, in a few words."""
    try:
        _read(body)
    except UnusableAnswer as error:
        return str(error)
    return "without a reason"


class _NoPaper(Exception):
    """An entry lacks what a paper must have."""


def _read(body: bytes) -> Element:
    try:
        root: Element = fromstring(body, forbid_dtd=True)
    except ParseError as error:
        raise UnusableAnswer(f"no well-formed XML: {error}" if body.strip() else "an empty answer") from error
    except (DefusedXmlException, ValueError, LookupError) as error:  # an encoding nobody knows, a DTD
        raise UnusableAnswer(f"XML that is not read: {type(error).__name__}") from error
    if _local(root) not in {"feed", "rss", "RDF"}:
        raise UnusableAnswer(f"<{_local(root)[:40]}> is no feed")
    title = _text(root, f"{ATOM}title") or _text(root, "channel/title") or ""
    if "Feed error" in title:
        raise UnusableAnswer(clean_line(title, 200))
    for entry in _entries(root):
        if _text(entry, f"{ATOM}title") == "Error" and "/api/errors" in (_text(entry, f"{ATOM}id") or ""):
            raise UnusableAnswer(f"arXiv says: {clean_line(_text(entry, f'{ATOM}summary'), 200)}")
    return root


def _entries(root: Element) -> Iterator[Element]:
    yield from root.iter(f"{ATOM}entry")
    yield from root.iter("item")


def _local(element: Element) -> str:
    return str(element.tag).rpartition("}")[2]


def _text(element: Element, *paths: str) -> str | None:
    for path in paths:
        found = element.findtext(path)
        if found and found.strip():
            return found.strip()
    return None


def _paper(entry: Element, observed_at: datetime) -> Paper:
    given = _text(entry, f"{ATOM}id", "guid", "link") or ""
    id_ = paper_id(re.sub(r"^(?:https?://[^/]+/abs/|oai:arXiv\.org:)", "", given))
    if id_ is None:
        raise _NoPaper(f"no arXiv id: {clean_line(given, 80)!r}")
    title = clean_line(decode_accents(_text(entry, f"{ATOM}title", "title") or ""), TITLE_LENGTH)
    if not title:
        raise _NoPaper(f"{id_} has no title")
    described = _text(entry, f"{ATOM}summary", "description") or ""
    abstract = clean_line(HEADER.sub("", described, count=1), ABSTRACT_LENGTH)
    comment = _text(entry, f"{ARXIV}comment") or ""
    announced_on = _announced_on(entry)
    published = None if announced_on else clean_instant(_text(entry, f"{ATOM}published"), observed_at)
    authors = _authors(entry)
    code, project = _links(f"{comment} {abstract}")
    return Paper(
        id=id_,
        title=title,
        abstract=abstract,
        authors=clean_lines(authors, NAME_LENGTH, AUTHORS_KEPT),
        author_count=len(authors),
        published_at=published,
        listed_on=announced_on or _estimated(published, observed_at),
        categories=_categories(entry),
        repository_url=code,
        project_url=project,
        withdrawn_at=_withdrawn_at(entry, comment, abstract, observed_at),
        source="arxiv",
    )


def _announced_on(entry: Element) -> date | None:
    """Return the day of the announcement; only the daily feed gives one (its entries have a type)."""
    if _text(entry, f"{ARXIV}announce_type") is None:
        return None
    text = _text(entry, f"{ATOM}published", "pubDate") or ""
    try:
        instant = datetime.fromisoformat(text) if text[:4].isdigit() else parsedate_to_datetime(text)
    except (ValueError, TypeError, OverflowError):
        return None
    # A date of midnight Eastern time; without an offset it is that already.
    return (instant.astimezone(EASTERN) if instant.tzinfo else instant).date()


def _estimated(published: datetime | None, observed_at: datetime) -> date | None:
    """The API names no announcement: the calendar does. What is there has been announced by now."""
    return min(list_day(published), observed_at.astimezone(UTC).date()) if published else None


def _withdrawn_at(entry: Element, comment: str, abstract: str, observed_at: datetime) -> datetime | None:
    if not (WITHDRAWN.search(comment) or WITHDRAWN.search(abstract[:200])):
        return None
    return clean_instant(_text(entry, f"{ATOM}updated"), observed_at) or observed_at


def _authors(entry: Element) -> list[str]:
    names = [name.text or "" for name in entry.iterfind(f"{ATOM}author/{ATOM}name")]
    if creator := _text(entry, CREATOR):
        names = creator_names(creator)
    return [name for name in map(decode_name, names) if name]


def creator_names(text: str) -> list[str]:
    """Split the feed's one string of authors; affiliations in parentheses go, "Jr." stays with its name."""
    while (shorter := NOT_A_COMMA.sub("", text)) != text:
        text = shorter
    names: list[str] = []
    for part in re.split(r",| and ", text):
        name = part.strip()
        if name.lower() in SUFFIXES and names:
            names[-1] += f" {name}"
        elif name:
            names.append(name)
    return names


def _categories(entry: Element) -> tuple[str, ...]:
    primary = entry.find(f"{ARXIV}primary_category")
    named = [] if primary is None else [primary.get("term", "")]
    named += [one.get("term", "") for one in entry.iterfind(f"{ATOM}category")]
    named += [one.text or "" for one in entry.iterfind("category")]
    folded = (fold_category(code) for code in named)
    return tuple(dict.fromkeys(code for code in folded if code))[:CATEGORIES_KEPT]


def _links(text: str) -> tuple[str | None, str | None]:
    """Return the first link to a code host and the first other one, from comment and abstract."""
    code = other = None
    for found in LINK.findall(text):
        url = clean_url(found.rstrip(".,;:!?)*$"))
        if url is None:
            continue
        host = url.split("/")[2].lower().removeprefix("www.")
        if host in CODE_HOSTS:
            code = code or url
        else:
            other = other or url
    return code, other
