"""One interest as a person gives it: its name, its words, what counts against, its weight. Pure."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from service.papers.taxonomy import CATEGORIES, fold_category
from service.ranking.text import STOPWORDS
from service.ranking.text import words as split_words
from service.subscribers import fields, free_text
from service.subscribers.fields import FieldError, Raw, quoted
from service.subscribers.free_text import Understood, understand
from service.subscribers.topics import topic_by_name, topic_by_slug

MAXIMUM_INTERESTS = 20  # with a name of their own
MAXIMUM_CATEGORIES = 20
MAXIMUM_AUTHORS = 20
MAXIMUM_EXAMPLES = 20
MAXIMUM_MUTES = 50
SHORTEST_MUTE = 2  # one letter would mute everything
LONGEST_NAME = 80

EXAMPLES_NAME = "Papers like your examples"
FIELDS = (
    "name",
    "text",
    "topic",
    "phrases",
    "against",
    "categories",
    "authors",
    "examples",
    "mutes",
    "weight",
)

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
    against: tuple[str, ...] = ()  # phrases, or codes of categories
    mutes: tuple[str, ...] = ()
    weight: float = 1.0


class InvalidInterest(ValueError):
    """Some fields can't be read. ``errors`` gives a sentence for the person by the field's name."""

    def __init__(self, errors: Mapping[str, str]) -> None:
        """Keep the sentences."""
        super().__init__("; ".join(f"{field}: {message}" for field, message in errors.items()))
        self.errors = dict(errors)


def read_interest(given: Mapping[str, Any]) -> InterestDraft:
    """Read one interest with a name of its own.

    ``text`` is in the person's own words; what it asks for is added to ``phrases, against, categories,
    authors, examples``. ``topic`` is a slug of the catalogue, ``weight`` as in fields.read_weight. Without a
    ``name`` it is called by the first thing it looks for.

    Raises:
        InvalidInterest: with every field that is off; also where a key is misspelt, or nothing is looked for.
    """
    errors = {str(key)[:40]: _no_such_field(str(key)) for key in given if key not in FIELDS}

    def read(field: str, reader: Callable[[Any], T], default: T) -> T:
        raw = given.get(field)
        if raw is None or raw in ("", [], ()) or (isinstance(raw, str) and not raw.strip()):
            return default
        try:
            return reader(raw)
        except FieldError as error:
            errors[field] = str(error)
            return default

    none: tuple[str, ...] = ()
    said = read("text", _read_text, Understood())
    topic = read("topic", _read_topic, None)
    phrases = (*read("phrases", _read_phrases, none), *said.phrases)
    if topic is None and phrases and (known := topic_by_name(phrases[0])):
        topic, phrases = known.slug, phrases[1:]
    draft = InterestDraft(
        name=read("name", _read_name, ""),
        topic=topic,
        phrases=_each_once(phrases),
        against=_each_once((*read("against", _read_against, none), *said.against)),
        categories=_each_once((*read("categories", _read_categories, none), *said.categories)),
        authors=_each_once((*read("authors", _read_authors, none), *said.authors)),
        examples=_each_once((*read("examples", _read_examples, none), *said.examples)),
        mutes=read("mutes", read_mutes, none),
        weight=read("weight", fields.read_weight, 1.0),
    )
    if not errors and not _looks_for_something(draft):
        errors["text"] = (
            "Please say what to look for, too: so far this only says what counts against a paper."
            if draft.against
            else "Please say what to look for."
        )
    if errors:
        raise InvalidInterest(errors)
    return draft if draft.name else replace(draft, name=name_of(draft))


def draft_from_text(text: str) -> InterestDraft:
    """Read one interest in the person's own words.

    Raises:
        FieldError: nothing can be looked for by it.
    """
    known = known_topic(text)
    if known:
        return known
    try:
        return read_interest({"text": text})
    except InvalidInterest as error:
        raise FieldError(f"{quoted(text)}: {next(iter(error.errors.values()))}") from None


def draft_fields(draft: InterestDraft) -> dict[str, Any]:
    """Return the fields that :func:`read_interest` reads as this interest: texts, lists and a number."""
    values: dict[str, Any] = {
        "name": draft.name,
        "topic": draft.topic,
        "phrases": list(draft.phrases),
        "against": list(draft.against),
        "categories": list(draft.categories),
        "authors": list(draft.authors),
        "examples": list(draft.examples),
        "mutes": list(draft.mutes),
    }
    return {name: value for name, value in values.items() if value} | {"weight": draft.weight}


def plain_field(draft: InterestDraft) -> str | None:
    """Return the field an interest wholly stands in: topics, words, categories, authors or examples.

    None for one that says more than that.
    """
    if draft.topic:
        known = topic_by_slug(draft.topic)
        topic = InterestDraft(name=known.name if known else draft.name, topic=draft.topic)
        return "topics" if draft == topic else None
    for field, single, bare in (
        ("words", draft.phrases, InterestDraft(name=draft.name, phrases=(draft.name,))),
        ("categories", draft.categories, _bare_category(draft)),
        ("authors", draft.authors, InterestDraft(name=draft.name, authors=draft.authors[:1])),
        ("examples", draft.examples, InterestDraft(name=EXAMPLES_NAME, examples=draft.examples)),
    ):
        if single and draft == bare and (field != "authors" or draft.name == f"By {single[0]}"):
            return field if _fits(field, single[0]) else None
    return None


def describe(draft: InterestDraft) -> tuple[tuple[str, str], ...]:
    """Say what an interest was understood to mean: labels with what belongs to each."""
    topic = topic_by_slug(draft.topic) if draft.topic else None
    wanted = [*([f"the topic {topic.name}"] if topic else []), *(f"“{phrase}”" for phrase in draft.phrases)]
    lines = (
        ("looks for", ", ".join(wanted)),
        ("by", ", ".join(draft.authors)),
        ("in", ", ".join(_category_name(code) for code in draft.categories)),
        ("like", ", ".join(draft.examples)),
        ("counts against", ", ".join(_against_name(one) for one in draft.against)),
        ("never", ", ".join(draft.mutes)),
    )
    return tuple((label, text) for label, text in lines if text)


def name_of_ours(draft: InterestDraft) -> str | None:
    """Return what the catalogue or arXiv calls an interest; None where it holds words somebody typed."""
    if draft.topic:
        topic = topic_by_slug(draft.topic)
        return topic.name if topic else None
    if draft.categories and not (draft.phrases or draft.authors):
        return _category_name(draft.categories[0])
    return None


def text_of(draft: InterestDraft) -> str:
    """Say the words of an interest as its text box shows them; they read as the same again."""
    topic = topic_by_slug(draft.topic) if draft.topic else None
    return free_text.as_text(draft.phrases, draft.against, names=[topic.name] if topic else ())


def known_topic(entry: str) -> InterestDraft | None:
    """Return the catalogue's topic, or arXiv's category, that ``entry`` names; None if it names none.

    Raises:
        FieldError: it looks like a category that arXiv does not have.
    """
    topic = topic_by_slug(entry.lower()) or topic_by_name(entry)
    if topic:
        return InterestDraft(name=topic.name, topic=topic.slug)
    code = fold_category(entry) or (fields.fold_archive(entry) if entry.endswith(".*") else None)
    if code is None and _LIKE_A_CATEGORY.fullmatch(entry):
        raise FieldError(f"arXiv has no category “{entry}”; a category looks like cs.CL.")
    return category_draft(code) if code else None


def category_draft(code: str) -> InterestDraft:
    """Make the interest in one category, or in an archive such as "cs.*"."""
    return InterestDraft(name=_category_name(code), categories=(code,))


def read_mutes(raw: Raw) -> tuple[str, ...]:
    """Return words that keep a paper away.

    Raises:
        FieldError: one is too short, or stands in nearly every paper.
    """
    mutes = fields.read_terms(raw, limit=MAXIMUM_MUTES, shortest=SHORTEST_MUTE)
    for mute in mutes:
        parts = split_words(mute)
        if parts and STOPWORDS.issuperset(parts):
            raise FieldError(f"{quoted(mute)} stands in nearly every paper: muted, it would leave you none.")
    return tuple(mutes)


def name_of(draft: InterestDraft) -> str:
    """Name an interest by the first thing it looks for."""
    topic = topic_by_slug(draft.topic) if draft.topic else None
    if topic or draft.phrases:
        name = topic.name if topic else draft.phrases[0]
    elif draft.authors:
        name = f"By {draft.authors[0]}"
    elif draft.categories:
        name = _category_name(draft.categories[0])
    else:
        name = EXAMPLES_NAME
    return name if len(name) <= LONGEST_NAME else fields.clean_text(name[: LONGEST_NAME - 1]) + "…"


def _no_such_field(key: str) -> str:
    return f"There is no field {quoted(key)}; an interest has {', '.join(FIELDS)}."


def _looks_for_something(draft: InterestDraft) -> bool:
    return bool(draft.topic or draft.phrases or draft.categories or draft.authors or draft.examples)


def _read_text(raw: Raw) -> Understood:
    if not isinstance(raw, str):
        raise FieldError("This takes one text.")
    return understand(raw)


def _read_name(raw: Raw) -> str:
    if not isinstance(raw, str):
        raise FieldError("A name is a text.")
    name = fields.clean_text(raw)
    if len(name) > LONGEST_NAME:
        raise FieldError(f"A name has at most {LONGEST_NAME} characters.")
    return name


def _read_topic(raw: Raw) -> str | None:
    topic = topic_by_slug(raw.strip().lower()) or topic_by_name(raw) if isinstance(raw, str) else None
    if topic is None:
        raise FieldError(f"The catalogue has no topic {quoted(str(raw))}; see /api/v1/topics.")
    return topic.slug


def _read_phrases(raw: Raw) -> tuple[str, ...]:
    """Take phrases as they are: a list's entries whole, a text's parted by commas."""
    return _phrases(raw)


def _read_against(raw: Raw) -> tuple[str, ...]:
    return tuple(fold_category(one) or one if "." in one else one for one in _phrases(raw))


def _phrases(raw: Raw) -> tuple[str, ...]:
    if isinstance(raw, str):
        raw = fields.read_terms(raw, limit=free_text.MOST_PHRASES, shortest=2)
    found: list[str] = []
    for one in raw if isinstance(raw, list | tuple) else [raw]:
        if not isinstance(one, str):
            raise FieldError("This takes words, not numbers or lists of lists.")
        phrase = fields.clean_text(free_text.QUOTE_MARKS.sub(" ", one))
        if phrase:
            found.append(free_text.checked(phrase))
    if len(found) > free_text.MOST_PHRASES:
        raise FieldError(f"At most {free_text.MOST_PHRASES} can be chosen here.")
    return tuple(found)


def _read_categories(raw: Raw) -> tuple[str, ...]:
    return tuple(fields.read_codes(raw, limit=MAXIMUM_CATEGORIES, fold=fold_category))


def _read_authors(raw: Raw) -> tuple[str, ...]:
    return tuple(fields.read_terms(raw, limit=MAXIMUM_AUTHORS, shortest=2))


def _read_examples(raw: Raw) -> tuple[str, ...]:
    return tuple(fields.read_paper_ids(raw, limit=MAXIMUM_EXAMPLES))


def _each_once(texts: tuple[str, ...]) -> tuple[str, ...]:
    found: dict[str, str] = {}
    for text in texts:
        found.setdefault(text.casefold(), text)
    return tuple(found.values())


def _bare_category(draft: InterestDraft) -> InterestDraft | None:
    return category_draft(draft.categories[0]) if draft.categories else None


def _fits(field: str, value: str) -> bool:
    """Whether a value may stand in a list parted by commas; a longer phrase keeps its own place."""
    if field in {"categories", "examples"}:
        return True
    return len(value) <= fields.MAXIMUM_TERM and not re.search(r"[,;]", value)


def _category_name(code: str) -> str:
    return f"{code} ({CATEGORIES[code]})" if code in CATEGORIES else f"all of {code}"


def _against_name(one: str) -> str:
    return _category_name(one) if one in CATEGORIES or one.endswith(".*") else f"“{one}”"
