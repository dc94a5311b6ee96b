"""What a subscriber chose, and the one reader of it: web form, JSON API and CSV import share it. Pure."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeVar

from service.papers.taxonomy import CATEGORIES, fold_category
from service.subscribers import fields
from service.subscribers.fields import WEEKDAYS, FieldError, Raw
from service.subscribers.topics import topic_by_name, topic_by_slug

MAXIMUM_TOPICS = 30
MAXIMUM_WORDS = 30
MAXIMUM_CATEGORIES = 20
MAXIMUM_AUTHORS = 20
MAXIMUM_EXAMPLES = 20
MAXIMUM_MUTES = 50
SHORTEST_MUTE = 2  # one letter would mute everything

EXAMPLES_NAME = "Papers like your examples"

T = TypeVar("T")

_LIKE_A_CATEGORY = re.compile(
    r"(?:cs|econ|eess|math|stat|q-bio|q-fin|astro-ph|cond-mat|physics|nlin)\.[A-Za-z-]+"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class InterestDraft:
    """One interest as chosen. A catalogue topic carries its slug only: its phrases are the catalogue's."""

    name: str
    topic: str | None = None
    phrases: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    authors: tuple[str, ...] = ()
    examples: tuple[str, ...] = ()  # arXiv ids
    weight: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Preferences:
    """What, when and how much: hour is local, ``weekdays`` is a mask with Monday the lowest bit."""

    timezone: str = "UTC"
    send_hour: int = 8
    weekdays: int = fields.MONDAY_TO_FRIDAY
    paper_count: int = 10
    interests: tuple[InterestDraft, ...] = ()
    mutes: tuple[str, ...] = ()


class InvalidPreferences(ValueError):
    """Some fields can't be read. ``errors`` gives a sentence for the person by the field's name."""

    def __init__(self, errors: Mapping[str, str]) -> None:
        """Keep the sentences."""
        super().__init__("; ".join(f"{field}: {message}" for field, message in errors.items()))
        self.errors = dict(errors)


def read_preferences(form: Mapping[str, Raw]) -> Preferences:
    """Read ``timezone, hour, weekdays, papers, topics, words, categories, authors, examples, mutes``.

    A value is text or a list of texts (hour and papers may be numbers); a field that is missing or empty
    takes its default; other fields are left alone. ``topics`` takes slugs and names of the catalogue and
    arXiv categories; what is neither is words to look for.

    Raises:
        InvalidPreferences: with every field that is off, not only the first.
    """
    errors: dict[str, str] = {}

    def read(field: str, reader: Callable[[Raw], T], default: T) -> T:
        raw = form.get(field)
        if raw is None or raw in ("", [], ()) or (isinstance(raw, str) and not raw.strip()):
            return default
        try:
            return _read_text(reader, raw) if isinstance(raw, str) else reader(raw)
        except FieldError as error:
            errors[field] = str(error)
            return default

    none: tuple[InterestDraft, ...] = ()
    interests = (
        *read("topics", _read_topics, none),
        *read("words", _read_words, none),
        *read("categories", _read_categories, none),
        *read("authors", _read_authors, none),
        *read("examples", _read_examples, none),
    )
    preferences = Preferences(
        timezone=read("timezone", fields.read_timezone, "UTC"),
        send_hour=read("hour", fields.read_hour, 8),
        weekdays=read("weekdays", fields.read_weekdays, fields.MONDAY_TO_FRIDAY),
        paper_count=read("papers", fields.read_paper_count, 10),
        interests=tuple({draft.name.casefold(): draft for draft in reversed(interests)}.values())[::-1],
        mutes=read("mutes", _read_mutes, ()),
    )
    if errors:
        raise InvalidPreferences(errors)
    return preferences


def form_values(preferences: Preferences) -> dict[str, Any]:
    """Return the fields of :func:`read_preferences` that read as these preferences: lists and numbers."""
    interests = preferences.interests
    return {
        "timezone": preferences.timezone,
        "hour": preferences.send_hour,
        "weekdays": [
            day.lower() for number, day in enumerate(WEEKDAYS) if preferences.weekdays >> number & 1
        ],
        "papers": preferences.paper_count,
        "topics": [interest.topic for interest in interests if interest.topic],
        "words": [phrase for interest in interests if not interest.topic for phrase in interest.phrases],
        "categories": [code for interest in interests if not interest.topic for code in interest.categories],
        "authors": [author for interest in interests for author in interest.authors],
        "examples": [paper for interest in interests for paper in interest.examples],
        "mutes": list(preferences.mutes),
    }


def describe_schedule(preferences: Preferences) -> str:
    """Say when digests come, such as "at 08:00 (Europe/Berlin) on Monday to Friday"."""
    days = describe_weekdays(preferences.weekdays)
    return f"at {preferences.send_hour:02d}:00 ({preferences.timezone}) {days}"


def describe_weekdays(mask: int) -> str:
    """Say on which days, such as "every day", "on Monday to Friday" or "on Monday and Thursday"."""
    if mask == fields.EVERY_DAY:
        return "every day"
    if mask == fields.MONDAY_TO_FRIDAY:
        return "on Monday to Friday"
    days = [day for number, day in enumerate(WEEKDAYS) if mask >> number & 1]
    if len(days) == 1:
        return f"every {days[0]}"
    return f"on {', '.join(days[:-1])} and {days[-1]}"


def as_json(preferences: Preferences) -> dict[str, Any]:
    """Return the preferences as plain JSON values, for :func:`from_json`."""
    # Spelt out, since dataclasses.asdict would take a third of the time of a long import.
    return {
        "timezone": preferences.timezone,
        "send_hour": preferences.send_hour,
        "weekdays": preferences.weekdays,
        "paper_count": preferences.paper_count,
        "interests": [_draft_as_json(draft) for draft in preferences.interests],
        "mutes": list(preferences.mutes),
    }


def from_json(data: Mapping[str, Any]) -> Preferences:
    """Return the preferences kept by :func:`as_json`."""
    drafts: list[dict[str, Any]] = [
        {name: tuple(value) if isinstance(value, list) else value for name, value in draft.items()}
        for draft in data["interests"]
    ]
    return Preferences(
        **{
            **data,
            "interests": tuple(InterestDraft(**draft) for draft in drafts),
            "mutes": tuple(data["mutes"]),
        }
    )


@lru_cache(maxsize=16_384)  # the lines of a long list choose the same few things
def _read_text(reader: Callable[[Raw], T], text: str) -> T:
    return reader(text)


def _draft_as_json(draft: InterestDraft) -> dict[str, Any]:
    values = {
        "name": draft.name,
        "topic": draft.topic,
        "phrases": draft.phrases,
        "categories": draft.categories,
        "authors": draft.authors,
        "examples": draft.examples,
        "weight": draft.weight,
    }
    return {
        name: list(value) if isinstance(value, tuple) else value for name, value in values.items() if value
    }


def _read_topics(raw: Raw) -> tuple[InterestDraft, ...]:
    drafts: list[InterestDraft] = []
    for entry in fields.read_entries(raw, limit=MAXIMUM_TOPICS):
        known = _known_topic(entry)
        drafts += [known] if known else [_known_topic(term) or _words(term) for term in _terms(entry)]
    return tuple(drafts)


def _known_topic(entry: str) -> InterestDraft | None:
    topic = topic_by_slug(entry.lower()) or topic_by_name(entry)
    if topic:
        return InterestDraft(name=topic.name, topic=topic.slug)
    code = fold_category(entry)
    if code is None and _LIKE_A_CATEGORY.fullmatch(entry):
        raise FieldError(f"arXiv has no category “{entry}”; a category looks like cs.CL.")
    return _category(code) if code else None


def _read_words(raw: Raw) -> tuple[InterestDraft, ...]:
    return tuple(_words(term) for term in _terms(raw))


def _terms(raw: Raw) -> list[str]:
    return fields.read_terms(raw, limit=MAXIMUM_WORDS, shortest=2)


def _words(term: str) -> InterestDraft:
    return InterestDraft(name=term, phrases=(term,))


def _read_categories(raw: Raw) -> tuple[InterestDraft, ...]:
    codes = fields.read_codes(raw, limit=MAXIMUM_CATEGORIES, fold=fold_category)
    return tuple(_category(code) for code in codes)


def _category(code: str) -> InterestDraft:
    return InterestDraft(name=f"{code} ({CATEGORIES[code]})", categories=(code,))


def _read_authors(raw: Raw) -> tuple[InterestDraft, ...]:
    # A comma stands inside "Lovelace, Ada" as well as between authors: only the latter is meant here.
    return tuple(
        InterestDraft(name=f"By {author}", authors=(author,))
        for author in fields.read_terms(raw, limit=MAXIMUM_AUTHORS, shortest=2)
    )


def _read_examples(raw: Raw) -> tuple[InterestDraft, ...]:
    papers = fields.read_paper_ids(raw, limit=MAXIMUM_EXAMPLES)
    return (InterestDraft(name=EXAMPLES_NAME, examples=tuple(papers)),) if papers else ()


def _read_mutes(raw: Raw) -> tuple[str, ...]:
    return tuple(fields.read_terms(raw, limit=MAXIMUM_MUTES, shortest=SHORTEST_MUTE))
