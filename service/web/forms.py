"""The sign-up and preference forms: what they offer, what was typed, when one was shown."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from importlib.resources import files
from typing import Any, Literal

from starlette.datastructures import FormData

from service.keys import Keyring, Purpose
from service.papers.taxonomy import CATEGORIES
from service.subscribers.fields import MAXIMUM_PAPERS, WEEKDAYS
from service.subscribers.interests import (
    MAXIMUM_INTERESTS,
    InterestDraft,
    InvalidInterest,
    describe,
    draft_fields,
    read_interest,
    text_of,
)
from service.subscribers.preferences import Preferences, form_values
from service.subscribers.topics import CATALOGUE, Topic, topic_by_slug

WORDING = "web-2026-11"  # raise it whenever the words of templates/web/_form.html about what arrives change
HONEYPOT = "nickname_note"  # people never see this field; programs that fill in everything do

LIST_FIELDS = ("topics", "weekdays")
TEXT_FIELDS = ("words", "categories", "authors", "examples", "mutes")  # lists typed with commas between
SINGLE_FIELDS = ("address", "timezone", "hour", "papers", "about")
INTEREST_FIELDS = ("name", "text", "categories", "authors", "examples", "mutes", "weight")
WEIGHTS = (("0.5", "less"), ("1", "normal"), ("2", "more"), ("0", "off for now"))

_INTEREST_FIELD = re.compile(rf"interest-(\d{{1,3}})-({'|'.join(INTEREST_FIELDS)})", re.ASCII)

OLDEST_STAMP = timedelta(days=3)
StampState = Literal["good", "early", "late", "forged"]

# Shown without opening anything; the rest of the catalogue stands in groups below.
FIRST_TOPICS = (
    "llm-reasoning", "llm-agents", "retrieval-rag", "interpretability", "vision-language-models",
    "image-generation", "video-generation", "reinforcement-learning",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class FormView:
    """A form as the template shows it: values and errors by field name."""

    values: Mapping[str, Any]
    errors: Mapping[str, str] = field(default_factory=dict)
    stamp: str = ""
    message: str = ""
    is_stepped: bool = False  # an interest was added or taken out of the form, and nothing was saved

    @property
    def guesses_zone(self) -> bool:
        """Whether the browser may put its own time zone in: only while nobody has chosen one."""
        return not self.values.get("timezone")

    @property
    def opens_more(self) -> bool:
        """Whether the folded part holds something that must be seen."""
        return (
            bool(set(self.errors) - {"address", "topics", "about"})
            or self.is_stepped
            or bool(self.values.get("interests"))
        )

    @property
    def explores(self) -> bool:
        """Whether a paper outside the interests may come."""
        return self.values.get("explore") in (True, None)

    @property
    def blocks(self) -> list["Block"]:
        """The interests with a name of their own, in their order."""
        return [
            Block(number=number, values=values, errors=self.errors)
            for number, values in enumerate(self.values.get("interests") or ())
        ]

    def text(self, name: str) -> str:
        """Return a field's value as it stands in a text input."""
        return _in_one_line(self.values.get(name))

    def chosen(self, name: str, option: str) -> bool:
        """Whether an option of a list field is ticked."""
        return option in (self.values.get(name) or ())


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """The part of a form that shows one interest with a name of its own."""

    number: int
    values: Mapping[str, Any]
    errors: Mapping[str, str]

    def id(self, name: str) -> str:
        """Return the name and id of a field."""
        return f"interest-{self.number}-{name}"

    def error(self, name: str) -> str:
        """Return what is wrong with a field, or ""."""
        return self.errors.get(f"interests.{self.number}.{name}", "")

    def text(self, name: str) -> str:
        """Return a field's value as it stands in a text input."""
        return _in_one_line(self.values.get(name))

    @property
    def is_new(self) -> bool:
        """Whether nothing was filled in yet."""
        return not any(self.text(name) for name in INTEREST_FIELDS if name != "weight")

    @property
    def opens_more(self) -> bool:
        """Whether the folded part holds something that must be seen."""
        folded = ("categories", "authors", "examples", "mutes", "weight")
        return any(self.error(name) for name in folded) or any(self.text(name) for name in folded[:-1])

    @property
    def weights(self) -> list[tuple[str, str, bool]]:
        """The weights to choose from: value, words, whether it is the present one."""
        present = self.text("weight") or "1"
        present = present.removesuffix(".0")
        known = [value for value, _ in WEIGHTS]
        offered = WEIGHTS if present in known else (*WEIGHTS, (present, f"{present} times as much"))
        return [(value, words, value == present) for value, words in offered]

    @property
    def understood(self) -> tuple[tuple[str, str], ...]:
        """What the interest means, in words; nothing where it can't be read."""
        try:
            return describe(read_interest(self.values))
        except InvalidInterest:
            return ()


def _in_one_line(value: Any) -> str:
    if value is None:
        return ""
    return ", ".join(str(part) for part in value) if isinstance(value, list | tuple) else str(value)


def blank_form(*, stamp: str) -> FormView:
    """Make the form as a newcomer sees it: no topic, no time zone, Monday to Friday at eight, ten papers."""
    values = {**form_values(Preferences()), "timezone": ""}
    return FormView(values=values, stamp=stamp)


def filled_form(preferences: Preferences) -> FormView:
    """Make the form that shows a subscriber's present preferences."""
    values = form_values(preferences)
    named = {draft.name: draft for draft in preferences.interests}
    values["interests"] = [_block_values(named[one["name"]]) for one in values["interests"]]
    return FormView(values=values)


def _block_values(draft: InterestDraft) -> dict[str, Any]:
    """Return the fields of a block: what the words say stands in its text box."""
    values = draft_fields(draft)
    return {"text": text_of(draft)} | {name: values[name] for name in INTEREST_FIELDS if name in values}


def typed_form(form: FormData) -> dict[str, Any]:
    """Return what was typed, by field: lists for tick boxes, text for the rest; all else is left out.

    ``interests`` are those that say anything, in their order.
    """
    typed: dict[str, Any] = {}
    for name in LIST_FIELDS:
        typed[name] = [value for value in form.getlist(name) if isinstance(value, str)]
    for name in (*TEXT_FIELDS, *SINGLE_FIELDS):
        value = form.get(name)
        typed[name] = value if isinstance(value, str) else ""
    typed["explore"] = "no" if form.get("explore") == "no" else None  # a box that is not ticked is not sent
    typed["interests"] = [block for _, block in typed_interests(form) if not is_blank(block)]
    return typed


def typed_interests(form: FormData) -> list[tuple[int, dict[str, str]]]:
    """Return the interests with a name of their own, blank ones too, each with its number in the form."""
    blocks: dict[int, dict[str, str]] = {}
    for name, value in form.multi_items():
        if isinstance(value, str) and (found := _INTEREST_FIELD.fullmatch(name)):
            blocks.setdefault(int(found[1]), {})[found[2]] = value
    return sorted(blocks.items())


def is_blank(block: Mapping[str, str]) -> bool:
    """Say whether nothing was filled in of an interest."""
    return not any(value.strip() for name, value in block.items() if name != "weight")


def new_stamp(keyring: Keyring, now: datetime) -> str:
    """Return a signed note of when the form was shown."""
    return keyring.sign(Purpose.FORM, int(now.timestamp() * 1000))


def check_stamp(keyring: Keyring, stamp: Any, now: datetime, *, minimum_seconds: float) -> StampState:
    """Say whether a stamp is ours and of an age at which people send forms."""
    shown_at = keyring.verify(Purpose.FORM, stamp) if isinstance(stamp, str) else None
    if shown_at is None:
        return "forged"
    age = now - datetime.fromtimestamp(shown_at / 1000, UTC)
    if age < timedelta(seconds=minimum_seconds):
        return "early"
    return "late" if age > OLDEST_STAMP else "good"


def choices() -> dict[str, Any]:
    """Return what the forms offer, for the templates."""
    return {
        "first_topics": tuple(topic for topic in map(topic_by_slug, FIRST_TOPICS) if topic),
        "topic_count": len(CATALOGUE),
        "first_slugs": FIRST_TOPICS,
        "topic_groups": topic_groups(),
        "zone_groups": zone_groups(),
        "category_codes": CATEGORIES,
        "weekdays": WEEKDAYS,
        "maximum_papers": MAXIMUM_PAPERS,
        "maximum_interests": MAXIMUM_INTERESTS,
        "honeypot": HONEYPOT,
    }


@lru_cache(maxsize=1)
def topic_groups() -> dict[str, tuple[Topic, ...]]:
    """Return the catalogue by group, in its own order."""
    groups: dict[str, list[Topic]] = {}
    for topic in CATALOGUE:
        groups.setdefault(topic.group, []).append(topic)
    return {name: tuple(topics) for name, topics in groups.items()}


@lru_cache(maxsize=1)
def zone_groups() -> dict[str, tuple[str, ...]]:
    """Return the zones of tzdata's list of places, by continent; old aliases are read but not offered."""
    table = (files("tzdata") / "zoneinfo" / "zone.tab").read_text()
    names = sorted(line.split("\t")[2].strip() for line in table.splitlines() if line and line[0] != "#")
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(name.partition("/")[0], []).append(name)
    return {group: tuple(zones) for group, zones in groups.items()}
