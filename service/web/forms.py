"""The sign-up and preference forms: what they offer, what was typed, when one was shown."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from importlib.resources import files
from typing import Any, Literal

from starlette.datastructures import FormData

from service.keys import Keyring, Purpose
from service.papers.taxonomy import CATEGORIES
from service.subscribers.fields import MAXIMUM_PAPERS, WEEKDAYS, Raw
from service.subscribers.preferences import Preferences, form_values
from service.subscribers.topics import CATALOGUE, Topic, topic_by_slug

WORDING = "web-2026-11"  # raise it whenever the words of templates/web/_form.html about what arrives change
HONEYPOT = "nickname_note"  # people never see this field; programs that fill in everything do

LIST_FIELDS = ("topics", "weekdays")
TEXT_FIELDS = ("words", "categories", "authors", "examples", "mutes")  # lists typed with commas between
SINGLE_FIELDS = ("address", "timezone", "hour", "papers")

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

    @property
    def guesses_zone(self) -> bool:
        """Whether the browser may put its own time zone in: only while nobody has chosen one."""
        return not self.values.get("timezone")

    @property
    def opens_more(self) -> bool:
        """Whether the folded part holds something that must be seen."""
        return bool(set(self.errors) - {"address", "topics"})

    def text(self, name: str) -> str:
        """Return a field's value as it stands in a text input."""
        value = self.values.get(name) or ""
        return value if isinstance(value, str) else ", ".join(str(part) for part in value)

    def chosen(self, name: str, option: str) -> bool:
        """Whether an option of a list field is ticked."""
        return option in (self.values.get(name) or ())


def blank_form(*, stamp: str) -> FormView:
    """Make the form as a newcomer sees it: no topic, no time zone, Monday to Friday at eight, ten papers."""
    values = {**form_values(Preferences()), "timezone": ""}
    return FormView(values=values, stamp=stamp)


def filled_form(preferences: Preferences) -> FormView:
    """Make the form that shows a subscriber's present preferences."""
    return FormView(values=form_values(preferences))


def typed_form(form: FormData) -> dict[str, Raw]:
    """Return what was typed, by field: lists for tick boxes, text for the rest; all else is left out."""
    typed: dict[str, Raw] = {}
    for name in LIST_FIELDS:
        typed[name] = [value for value in form.getlist(name) if isinstance(value, str)]
    for name in (*TEXT_FIELDS, *SINGLE_FIELDS):
        value = form.get(name)
        typed[name] = value if isinstance(value, str) else ""
    return typed


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
