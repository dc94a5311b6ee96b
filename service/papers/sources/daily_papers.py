"""Reads the items of Hugging Face's Daily Papers, wherever the answer comes from. Pure.

Every field but id and title is optional, unknown keys are ignored (and counted), and what is absent is never
zero: the shape has grown ten times in two years. Field X is read as ``paper.X``, then as X beside it.
"""

import ast
import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, TypeVar
from urllib.parse import urlsplit

from service.papers import cleaning
from service.papers.cleaning import clean_line, clean_lines, clean_url
from service.papers.paper import Observation, Paper
from service.papers.sources import Malformed, Parsed, UnusableAnswer

AUTHORS_KEPT = 100
KEYWORDS_KEPT = 40
REPR_LENGTH = 500_000

ITEM_KEYS = frozenset(
    {
        "paper", "title", "summary", "publishedAt", "thumbnail", "numComments", "submittedBy", "organization",
        "isAuthorParticipating", "mediaUrl", "mediaUrls",
        "numMedia", "list_date", "list_date_estimated", "text_source",  # written by archives
    }
)  # fmt: skip
PAPER_KEYS = frozenset(
    {
        "id", "title", "summary", "authors", "publishedAt", "submittedOnDailyAt", "submittedOnDailyBy",
        "upvotes", "discussionId", "projectPage", "githubRepo", "githubRepoAddedBy", "githubStars",
        "ai_summary", "ai_keywords", "ai_summary_model", "organization", "withdrawnAt", "numComments",
        "thumbnail", "mediaUrl", "mediaUrls",
    }
)  # fmt: skip

Value = TypeVar("Value")


class MalformedItem(ValueError):
    """An item without what makes a paper; the message says what it lacks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What is known of all items of an answer: who gave it, when, and the list day asked for."""

    source: str
    observed_at: datetime
    listed_on: date | None = None


@dataclass(slots=True)
class Reader:
    """Collects what the items of an answer hold, one call for each item."""

    context: Context
    papers: list[Paper] = field(default_factory=list)
    observations: list[Observation] = field(default_factory=list)
    malformed: list[Malformed] = field(default_factory=list)
    unknown_keys: Counter[str] = field(default_factory=Counter)

    def read(self, position: int, item: object) -> Paper | None:
        """Read one item; what can't be read is noted with its reason."""
        try:
            paper, observation = read_item(item, self.context)
        except MalformedItem as error:
            self.malformed.append(Malformed(position=position, reason=str(error)))
            return None
        self.papers.append(paper)
        if observation is not None:
            self.observations.append(observation)
        self.unknown_keys.update(unknown_keys(item))
        return paper

    def parsed(self) -> Parsed:
        """Give what was read so far."""
        return Parsed(
            papers=tuple(self.papers),
            observations=tuple(self.observations),
            malformed=tuple(self.malformed),
            unknown_keys=dict(self.unknown_keys),
        )


def parse_answer(body: bytes, context: Context, *, python_items: bool = False) -> Parsed:
    """Read an answer of the Daily Papers API.

    ``python_items`` also takes items written as Python's ``repr`` in a string, as recorders once did.

    Raises:
        UnusableAnswer: the body is no list of items.
    """
    reader = Reader(context)
    for position, item in enumerate(_items(body)):
        reader.read(position, _from_repr(item) if python_items else item)
    return reader.parsed()


def _items(body: bytes) -> list[Any]:
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        looks = "an HTML page" if body.lstrip()[:1] == b"<" else "no JSON" if body.strip() else "empty"
        raise UnusableAnswer(f"the answer is {looks}, not a list of papers") from None
    if isinstance(answer, dict):  # envelopes of recorders: {status, date, count, data}
        if answer.get("status") == "no_data":
            return []
        if isinstance(answer.get("data"), list):
            return list(answer["data"])
        if said := clean_line(answer.get("error") or answer.get("message"), 200):
            raise UnusableAnswer(f"the source says: {said}")
    if not isinstance(answer, list):
        raise UnusableAnswer(f"the answer is a JSON {type(answer).__name__}, not a list of papers")
    return answer


def _from_repr(item: object) -> object:
    if not isinstance(item, str) or len(item) > REPR_LENGTH:
        return item
    try:
        return ast.literal_eval(item)  # reads literals, runs nothing
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return item


def read_item(item: object, context: Context) -> tuple[Paper, Observation | None]:
    """Read one item; the observation is None where the item shows no counts.

    Raises:
        MalformedItem: it has no arXiv id or no title.
    """
    if not isinstance(item, Mapping):
        raise MalformedItem(f"is a {type(item).__name__}, not an object")
    inner = item.get("paper")
    both = (inner, item) if isinstance(inner, Mapping) else (item,)
    id_ = _first(both, "id", cleaning.paper_id)
    if id_ is None:
        given = clean_line(str(both[0].get("id", ""))[:100], 60)
        raise MalformedItem(f"id {given!r} is no arXiv id" if given else "has no id")
    title = _first(both, "title", lambda value: clean_line(value, cleaning.TITLE_LENGTH))
    if not title:
        raise MalformedItem(f"{id_} has no title")
    return _paper(id_, title, both, context), _observation(id_, both, context)


def _paper(id_: str, title: str, both: tuple[Mapping[str, Any], ...], context: Context) -> Paper:
    latest = context.observed_at
    authors = _first(both, "authors", _author_names) or ()
    listed = _first(both, "submittedOnDailyAt", lambda value: cleaning.clean_date(value, latest))
    listed = listed or _first(both, "list_date", lambda value: cleaning.clean_date(value, latest))
    withdrawn = _first(both, "withdrawnAt", lambda value: value or None)
    repository = _first(both, "githubRepo", clean_url)
    project = _first(both, "projectPage", clean_url)
    if project and not repository and urlsplit(project).hostname in {"github.com", "www.github.com"}:
        repository, project = project, None  # many give the repository as the project's page
    return Paper(
        id=id_,
        title=title,
        abstract=_first(both, "summary", lambda value: clean_line(value, cleaning.ABSTRACT_LENGTH)) or "",
        authors=authors[:AUTHORS_KEPT],
        author_count=len(authors),
        # The publishedAt beside "paper" is the same, off by a US time zone (docs/sources.md): not looked at.
        published_at=cleaning.clean_instant(both[0].get("publishedAt"), latest) if len(both) > 1 else None,
        listed_on=listed or context.listed_on,
        summary=_first(both, "ai_summary", lambda value: clean_line(value, cleaning.SUMMARY_LENGTH)) or None,
        keywords=_first(both, "ai_keywords", _keywords) or (),
        organization=_first(both, "organization", _name_of_organization),
        submitted_by=_first(both, "submittedBy", _name_of_user)
        or _first(both, "submittedOnDailyBy", _name_of_user),
        repository_url=repository,
        project_url=project,
        withdrawn_at=(cleaning.clean_instant(withdrawn, latest) or latest) if withdrawn else None,
        source=context.source,
    )


def _observation(id_: str, both: tuple[Mapping[str, Any], ...], context: Context) -> Observation | None:
    upvotes = _first(both, "upvotes", cleaning.clean_count)
    comments = _first(both[::-1], "numComments", cleaning.clean_count)  # its place is beside "paper"
    stars = _first(both, "githubStars", cleaning.clean_count)
    if upvotes is None and comments is None and stars is None:
        return None
    return Observation(
        paper_id=id_,
        source=context.source,
        observed_at=context.observed_at,
        upvotes=upvotes,
        comments=comments,
        stars=stars,
    )


def _first(
    places: Iterable[Mapping[str, Any]], key: str, read: Callable[[Any], Value | None]
) -> Value | None:
    """Read ``key`` in the first of ``places`` where something comes of it; a count of 0 is something."""
    for place in places:
        value = read(place[key]) if place.get(key) is not None else None
        if value not in (None, "", ()):
            return value
    return None


def _author_names(value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        return ()
    shown = (
        author.get("name") if isinstance(author, Mapping) else author
        for author in value
        if not (isinstance(author, Mapping) and author.get("hidden"))
    )
    return tuple(name for one in shown if (name := clean_line(one, cleaning.NAME_LENGTH)))


def _keywords(value: object) -> tuple[str, ...]:
    return clean_lines(value, cleaning.KEYWORD_LENGTH, KEYWORDS_KEPT)


def _name_of_organization(value: object) -> str | None:
    given = (value.get("fullname"), value.get("name")) if isinstance(value, Mapping) else (value,)
    return next((name for one in given if (name := clean_line(one, cleaning.NAME_LENGTH))), None)


def _name_of_user(value: object) -> str | None:
    """Name an account by its user name: ``name`` in submittedBy, ``user`` in submittedOnDailyBy."""
    if not isinstance(value, Mapping):
        return None
    given = (value.get("name"), value.get("user"))
    return next((name for one in given if (name := clean_line(one, cleaning.NAME_LENGTH))), None)


def unknown_keys(item: object) -> list[str]:
    """Name the keys of an item that we know nothing of, those inside as ``paper.<key>``."""
    if not isinstance(item, Mapping):
        return []
    inner = item.get("paper")
    if not isinstance(inner, Mapping):
        return [_named(key) for key in item.keys() - ITEM_KEYS - PAPER_KEYS]
    return [_named(key) for key in item.keys() - ITEM_KEYS] + [
        f"paper.{_named(key)}" for key in inner.keys() - PAPER_KEYS
    ]


def _named(key: object) -> str:
    return clean_line(str(key), 60) or "?"
