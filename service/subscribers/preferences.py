"""What a subscriber chose, and the one reader of it: web form, JSON API and CSV import share it. Pure."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, TypeVar

from service.papers.taxonomy import fold_category
from service.subscribers import fields
from service.subscribers.fields import WEEKDAYS, FieldError, Raw
from service.subscribers.interests import (
    EXAMPLES_NAME,
    MAXIMUM_AUTHORS,
    MAXIMUM_CATEGORIES,
    MAXIMUM_EXAMPLES,
    MAXIMUM_INTERESTS,
    MAXIMUM_MUTES,
    InterestDraft,
    InvalidInterest,
    category_draft,
    draft_fields,
    draft_from_text,
    known_topic,
    plain_field,
    read_interest,
    read_mutes,
)

__all__ = [
    "EXAMPLES_NAME",
    "MAXIMUM_MUTES",
    "InterestDraft",
    "InvalidPreferences",
    "Preferences",
    "as_json",
    "describe_schedule",
    "describe_weekdays",
    "form_values",
    "from_json",
    "read_preferences",
]

MAXIMUM_TOPICS = 30
MAXIMUM_WORDS = 30

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Preferences:
    """What, when and how much: hour is local, ``weekdays`` is a mask with Monday the lowest bit."""

    timezone: str = "UTC"
    send_hour: int = 8
    weekdays: int = fields.MONDAY_TO_FRIDAY
    paper_count: int = 10
    interests: tuple[InterestDraft, ...] = ()
    mutes: tuple[str, ...] = ()
    explores: bool = True  # one paper outside the interests may come, and is said to be one


class InvalidPreferences(ValueError):
    """Some fields can't be read. ``errors`` gives a sentence for the person by the field's name."""

    def __init__(self, errors: Mapping[str, str]) -> None:
        """Keep the sentences."""
        super().__init__("; ".join(f"{field}: {message}" for field, message in errors.items()))
        self.errors = dict(errors)


def read_preferences(form: Mapping[str, Any]) -> Preferences:
    """Read what was chosen, by field; other fields are left alone.

    =====================================  ==========================================================
    timezone, hour, weekdays, papers       when and how much
    about                                  interests in the person's own words, one a line
    topics                                 slugs and names of the catalogue, arXiv categories, words
    words, categories, authors, examples   what to look for; each word, category and author by itself
    interests                              named ones: a list of mappings, see interests.read_interest
    mutes, explore                         what never comes; whether something else may
    =====================================  ==========================================================

    A value is text or a list of texts (hour and papers may be numbers, explore a truth value); a field that
    is missing or empty takes its default.

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
    named = _read_interests(form.get("interests"), errors)
    interests = (
        *named,
        *_with_names_of_their_own(read("about", _read_about, none), named),
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
        mutes=read("mutes", read_mutes, ()),
        explores=read("explore", fields.read_flag, True),
    )
    if errors:
        raise InvalidPreferences(errors)
    return preferences


def form_values(preferences: Preferences) -> dict[str, Any]:
    """Return the fields of :func:`read_preferences` that read as these preferences: lists and numbers.

    An interest that is a topic, word, category, author or example and nothing else stands in that field's
    list; the others stand in ``interests``.
    """
    lists: dict[str, list[Any]] = {
        name: [] for name in ("topics", "words", "categories", "authors", "examples", "interests")
    }
    for draft in preferences.interests:
        field = plain_field(draft)
        if field is None or (field == "examples" and lists["examples"]):
            lists["interests"].append(draft_fields(draft))
        else:
            lists[field] += [draft.topic] if field == "topics" else getattr(draft, _FIELD_OF[field])
    return {
        "timezone": preferences.timezone,
        "hour": preferences.send_hour,
        "weekdays": [
            day.lower() for number, day in enumerate(WEEKDAYS) if preferences.weekdays >> number & 1
        ],
        "papers": preferences.paper_count,
        **lists,
        "mutes": list(preferences.mutes),
        "explore": preferences.explores,
    }


_FIELD_OF = {
    "words": "phrases",
    "categories": "categories",
    "authors": "authors",
    "examples": "examples",
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
        "explores": preferences.explores,
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
        "against": draft.against,
        "mutes": draft.mutes,
        "weight": draft.weight,
    }
    return {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in values.items()
        if value or name == "weight"  # a weight of 0 is one
    }


def _read_interests(raw: Any, errors: dict[str, str]) -> tuple[InterestDraft, ...]:
    """Read the named interests; each error is named such as ``interests.0.text``."""
    if raw is None or raw in ("", [], ()):
        return ()
    if not isinstance(raw, list | tuple) or not all(isinstance(one, Mapping) for one in raw):
        errors["interests"] = "This takes a list of interests, each with fields of its own."
        return ()
    if len(raw) > MAXIMUM_INTERESTS:
        errors["interests"] = f"At most {MAXIMUM_INTERESTS} interests can have a name of their own."
        return ()
    drafts: dict[str, InterestDraft] = {}
    for place, one in enumerate(raw):
        try:
            draft = read_interest(one)
        except InvalidInterest as error:
            errors |= {f"interests.{place}.{field}": message for field, message in error.errors.items()}
            continue
        if drafts.setdefault(draft.name.casefold(), draft) != draft:
            errors[f"interests.{place}.name"] = f"Two interests are called “{draft.name}”."
    return tuple(drafts.values())


def _read_about(raw: Raw) -> tuple[InterestDraft, ...]:
    return tuple(map(draft_from_text, fields.read_lines(raw, limit=MAXIMUM_INTERESTS)))


def _with_names_of_their_own(
    drafts: Iterable[InterestDraft], named: Iterable[InterestDraft]
) -> tuple[InterestDraft, ...]:
    """Number the names that are taken: they come from the first words, and two wishes may begin alike."""
    taken = {draft.name.casefold(): draft for draft in named}
    result = []
    for draft in drafts:
        name, number = draft.name, 2
        while name.casefold() in taken and replace(taken[name.casefold()], name=draft.name) != draft:
            name, number = f"{draft.name} ({number})", number + 1
        taken[name.casefold()] = draft
        result.append(replace(draft, name=name))
    return tuple(result)


def _read_topics(raw: Raw) -> tuple[InterestDraft, ...]:
    drafts: list[InterestDraft] = []
    for entry in fields.read_entries(raw, limit=MAXIMUM_TOPICS):
        known = known_topic(entry)
        drafts += [known] if known else [known_topic(term) or _words(term) for term in _terms(entry)]
    return tuple(drafts)


def _read_words(raw: Raw) -> tuple[InterestDraft, ...]:
    return tuple(_words(term) for term in _terms(raw))


def _terms(raw: Raw) -> list[str]:
    return fields.read_terms(raw, limit=MAXIMUM_WORDS, shortest=2)


def _words(term: str) -> InterestDraft:
    return InterestDraft(name=term, phrases=(term,))


def _read_categories(raw: Raw) -> tuple[InterestDraft, ...]:
    codes = fields.read_codes(raw, limit=MAXIMUM_CATEGORIES, fold=fold_category)
    return tuple(category_draft(code) for code in codes)


def _read_authors(raw: Raw) -> tuple[InterestDraft, ...]:
    # A comma stands inside "Lovelace, Ada" as well as between authors: only the latter is meant here.
    return tuple(
        InterestDraft(name=f"By {author}", authors=(author,))
        for author in fields.read_terms(raw, limit=MAXIMUM_AUTHORS, shortest=2)
    )


def _read_examples(raw: Raw) -> tuple[InterestDraft, ...]:
    papers = fields.read_paper_ids(raw, limit=MAXIMUM_EXAMPLES)
    return (InterestDraft(name=EXAMPLES_NAME, examples=tuple(papers)),) if papers else ()
