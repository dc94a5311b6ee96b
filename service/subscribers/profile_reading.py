"""Reads a profile from a file: the interests of one person, with the fields that forms and API have."""

import difflib
import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from service.papers.cleaning import clean_line, paper_id
from service.papers.reading import UnreadableFile, text_of
from service.papers.taxonomy import fold_category
from service.ranking.values import Interest, Profile
from service.subscribers.fields import FieldError, find_paper_id, fold_archive
from service.subscribers.free_text import Understood, understand
from service.subscribers.profiles import fill_interest
from service.subscribers.topics import topic_by_name, topic_by_slug

PROFILE_FIELDS = ("interests", "mutes", "liked", "disliked", "seen", "explore")
INTEREST_FIELDS = (
    "name", "text", "topic", "phrases", "against", "categories", "authors", "examples", "mutes", "weight",
)  # fmt: skip
_NOTES = ("name", "id", "comment")  # what a person may write beside, for themselves


def read_profile(path: Path) -> Profile:
    """Read a profile; aliases of categories are folded, links become ids, ids lose their version.

    Raises:
        UnreadableFile: the file is no such profile; the message names the field, and keys there are none of.
    """
    try:
        given = json.loads(text_of(path))
    except (ValueError, RecursionError) as error:
        raise UnreadableFile(f"{path}: {error}") from None
    try:
        return _profile(given)
    except TypeError as error:
        raise UnreadableFile(f"{path}: {error}") from None


def _profile(given: object) -> Profile:
    if not isinstance(given, Mapping):
        raise TypeError("a profile is a JSON object with interests, liked, disliked, seen")
    _check_keys(given, PROFILE_FIELDS, "", allowed=_NOTES)
    interests = [] if given.get("interests") is None else given["interests"]
    if not isinstance(interests, list):
        raise TypeError("interests is not a list")
    explores = given.get("explore", True)
    if not isinstance(explores, bool):
        raise TypeError("explore is not true or false")
    return Profile(
        interests=tuple(_interest(one, f"interests[{place}]") for place, one in enumerate(interests)),
        mutes=_strings(given, "mutes"),
        liked=_ids(given, "liked"),
        disliked=_ids(given, "disliked"),
        seen=frozenset(_ids(given, "seen")),
        explores=explores,
    )


def _interest(given: object, where: str) -> Interest:
    if not isinstance(given, Mapping):
        raise TypeError(f"{where} is not an object")
    _check_keys(given, INTEREST_FIELDS, f"{where}.", allowed=("id", "comment"))
    weight = given.get("weight")
    weight = 1.0 if weight is None else weight
    if not isinstance(weight, int | float) or isinstance(weight, bool) or not 0 <= weight < math.inf:
        raise TypeError(f"{where}.weight is not a number of 0 or more")
    said, topic = _said(given, where), _topic(given, where)
    phrases = _joined(_strings(given, "phrases", where), said.phrases)
    categories = _joined(map(_category, _strings(given, "categories", where)), said.categories)
    authors = _joined(_strings(given, "authors", where), said.authors)
    name = given.get("name")
    if name is not None and not isinstance(name, str):
        raise TypeError(f"{where}.name is not text")
    interest = Interest(
        name=clean_line(name, 200) or next(iter((*phrases, *categories, *authors)), where),
        phrases=phrases,
        categories=categories,
        authors=authors,
        examples=_joined(_ids(given, "examples", where), said.examples),
        against=_joined(_strings(given, "against", where), said.against),
        mutes=_strings(given, "mutes", where),
        weight=float(weight),
    )
    return fill_interest(interest, topic)


def _check_keys(
    given: Mapping[str, Any], known: tuple[str, ...], where: str, *, allowed: tuple[str, ...]
) -> None:
    for key in given:
        if key not in known and key not in allowed and not key.startswith("_"):
            meant = difflib.get_close_matches(key.lower(), known, 1)
            hint = f"did you mean {meant[0]!r}?" if meant else f"there are {', '.join(known)}"
            raise TypeError(f"{where}{clean_line(key, 40)} is no field; {hint}")


def _said(given: Mapping[str, Any], where: str) -> Understood:
    text = given.get("text")
    if text is None:
        return Understood()
    if not isinstance(text, str):
        raise TypeError(f"{where}.text is not text")
    try:
        return understand(text)
    except FieldError as error:
        raise TypeError(f"{where}.text: {error}") from None


def _topic(given: Mapping[str, Any], where: str) -> str | None:
    topic = given.get("topic")
    if topic is None:
        return None
    found = topic_by_slug(topic) or topic_by_name(topic) if isinstance(topic, str) else None
    if found is None:
        raise TypeError(f"{where}.topic is none of the catalogue's")
    return found.slug


def _category(code: str) -> str:
    return fold_category(code) or (fold_archive(code) if code.endswith(".*") else None) or code


def _joined(*lists: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(one for each in lists for one in each))


def _strings(given: Mapping[str, Any], key: str, where: str = "") -> tuple[str, ...]:
    name = f"{where}.{key}" if where else key
    values = given.get(key)
    if values is None:
        return ()
    if not isinstance(values, list) or not all(isinstance(one, str) for one in values):
        raise TypeError(f"{name} is not a list of texts")
    return tuple(dict.fromkeys(one.strip() for one in values if one.strip()))


def _ids(given: Mapping[str, Any], key: str, where: str = "") -> tuple[str, ...]:
    return tuple(
        dict.fromkeys(paper_id(one) or find_paper_id(one) or one for one in _strings(given, key, where))
    )
