"""One reader of preferences for form, JSON and CSV: what is understood, what is refused, in which words."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.subscribers.preferences import (
    InterestDraft,
    InvalidPreferences,
    Preferences,
    as_json,
    describe_schedule,
    form_values,
    from_json,
    read_preferences,
)
from service.subscribers.topics import CATALOGUE

TOPIC, OTHER = CATALOGUE[0], CATALOGUE[1]


def names(form: dict[str, Any]) -> list[str]:
    return [interest.name for interest in read_preferences(form).interests]


def error_of(field: str, value: Any) -> str:
    with pytest.raises(InvalidPreferences) as refusal:
        read_preferences({field: value})
    assert [field] == list(refusal.value.errors)
    return refusal.value.errors[field]


@pytest.mark.parametrize(
    "empty", [{}, {"topics": "", "hour": " ", "weekdays": [], "other": "x", "mutes": None}]
)
def test_what_is_left_out_takes_its_default(empty: dict[str, Any]) -> None:
    assert read_preferences(empty) == Preferences(
        timezone="UTC", send_hour=8, weekdays=0b0011111, paper_count=10, interests=(), mutes=()
    )


@pytest.mark.parametrize("zone", ["Europe/Berlin", "europe/berlin", " Europe/Berlin "])
def test_a_zone_is_kept_in_the_databases_spelling(zone: str) -> None:
    assert read_preferences({"timezone": zone}).timezone == "Europe/Berlin"


@pytest.mark.parametrize(
    "zone", ["Berlin", "+02:00", "posix/UTC", "localtime", "../etc/passwd", 3, ["UTC"], True]
)
def test_what_is_no_zone_is_refused(zone: Any) -> None:
    assert error_of("timezone", zone)


@pytest.mark.parametrize(("raw", "hour"), [("0", 0), (23, 23), ("07", 7), ("07:00", 7), (0, 0)])
def test_hours(raw: Any, hour: int) -> None:
    assert hour == read_preferences({"hour": raw}).send_hour


@pytest.mark.parametrize("raw", ["24", -1, "7:30", "8.5", 8.5, "noon", "\u0667", True, [8]])
def test_what_is_no_whole_hour_is_refused(raw: Any) -> None:
    assert error_of("hour", raw)


@pytest.mark.parametrize(
    ("raw", "mask"),
    [
        ("daily", 0b1111111),
        ("weekdays", 0b0011111),
        ("weekly:monday", 0b0000001),
        ("weekly:Sun", 0b1000000),
        ("mon;wed;fri", 0b0010101),
        ("Tuesdays, Thursdays", 0b0001010),
        (["saturday", "sun"], 0b1100000),
        (["mon", "monday"], 0b0000001),
    ],
)
def test_weekdays(raw: Any, mask: int) -> None:
    assert mask == read_preferences({"weekdays": raw}).weekdays


@pytest.mark.parametrize("raw", ["m", "day", "someday", "weekly", "weekly:", 3, [1, 2], [["mon"]]])
def test_what_names_no_day_is_refused(raw: Any) -> None:
    assert error_of("weekdays", raw)


@pytest.mark.parametrize("raw", ["0", 31, "ten", -3, 10**9, 2.5])
def test_the_number_of_papers_has_bounds(raw: Any) -> None:
    assert "1 to 30" in error_of("papers", raw) or "one value" in error_of("papers", raw)


def test_topics_are_catalogue_entries_categories_or_words() -> None:
    form = {"topics": f"{TOPIC.slug};{OTHER.name.upper()}; cs.cl ;protein folding, quantum  error correction"}

    assert read_preferences(form).interests == (
        InterestDraft(name=TOPIC.name, topic=TOPIC.slug),
        InterestDraft(name=OTHER.name, topic=OTHER.slug),
        InterestDraft(name="cs.CL (Computation and Language)", categories=("cs.CL",)),
        InterestDraft(name="protein folding", phrases=("protein folding",)),
        InterestDraft(name="quantum error correction", phrases=("quantum error correction",)),
    )


def test_each_free_word_is_an_interest_of_its_own_and_counts_once() -> None:
    assert names({"words": "state space model; Mamba,mamba\nlinear attention\r\n"}) == [
        "state space model",
        "Mamba",
        "linear attention",
    ]


def test_aliases_of_categories_are_folded_and_unknown_ones_named() -> None:
    assert read_preferences({"categories": "math.MP"}).interests[0].categories == ("math-ph",)
    assert "“cs.ZZ”" in error_of("categories", "cs.CL, cs.ZZ")
    assert "“cs.ZZ”" in error_of("topics", "cs.ZZ")


def test_examples_are_ids_or_links_without_version() -> None:
    raw = [
        "2401.01234v3", "https://arxiv.org/abs/2401.01235", "arxiv.org/pdf/2401.01236v1.pdf",
        "https://huggingface.co/papers/2401.01237?ref=x", "arXiv:cs/0112017", "2401.01234",
    ]  # fmt: skip

    examples = read_preferences({"examples": raw}).interests[0].examples
    assert examples == ("2401.01234", "2401.01235", "2401.01236", "2401.01237", "cs/0112017")


@pytest.mark.parametrize("raw", ["https://evil.example/2401.01234", "12345", "javascript:alert(1)"])
def test_what_is_no_arxiv_paper_is_refused(raw: str) -> None:
    assert error_of("examples", raw)


def test_text_is_composed_and_loses_hidden_signs() -> None:
    assert names({"words": "Schro\u0308dinger\u202e\u200b\x00 bridge"}) == ["Schrödinger bridge"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("words", "x" * 61),
        ("words", ",".join(f"word {number}" for number in range(31))),
        ("words", "?!"),
        ("mutes", "a"),
        ("mutes", ";".join(f"mute {number}" for number in range(51))),
        ("authors", "x" * 61),
        ("topics", ";".join(f"topic {number}" for number in range(31))),
        ("examples", ";".join(f"2401.{number:05}" for number in range(21))),
    ],
)
def test_too_long_too_many_or_too_little_is_refused(field: str, value: str) -> None:
    assert error_of(field, value)


def test_every_field_that_is_off_is_named_at_once() -> None:
    with pytest.raises(InvalidPreferences) as refusal:
        read_preferences({"timezone": "Nowhere", "hour": "99", "papers": "5", "categories": "zz.ZZ"})

    assert {"timezone", "hour", "categories"} == set(refusal.value.errors)


def test_the_form_filled_in_again_reads_the_same() -> None:
    form = {
        "timezone": "Asia/Kathmandu",
        "hour": 6,
        "weekdays": "weekly:sat",
        "papers": 3,
        "mutes": "crypto; nft",
        "topics": [TOPIC.slug],
        "words": "mamba",
        "categories": "cs.LG",
        "authors": "Ada Lovelace",
        "examples": "2401.01234",
    }
    preferences = read_preferences(form)

    assert preferences == read_preferences(form_values(preferences))
    assert preferences == from_json(json.loads(json.dumps(as_json(preferences))))


@pytest.mark.parametrize(
    ("mask", "days"),
    [
        (0b1111111, "every day"),
        (0b0011111, "on Monday to Friday"),
        (0b0000100, "every Wednesday"),
        (0b1000011, "on Monday, Tuesday and Sunday"),
    ],
)
def test_the_schedule_in_words(mask: int, days: str) -> None:
    preferences = Preferences(timezone="Europe/Berlin", send_hour=7, weekdays=mask)

    assert f"at 07:00 (Europe/Berlin) {days}" == describe_schedule(preferences)


FIELDS = (
    "timezone",
    "hour",
    "weekdays",
    "papers",
    "topics",
    "words",
    "categories",
    "authors",
    "examples",
    "mutes",
)
VALUES = st.one_of(st.text(max_size=30), st.integers(), st.none(), st.lists(st.text(max_size=10), max_size=3))


@given(st.dictionaries(st.sampled_from(FIELDS), VALUES))
def test_any_form_is_read_or_refused_by_field(form: dict[str, Any]) -> None:
    try:
        preferences, refused = read_preferences(form), set()
    except InvalidPreferences as refusal:
        preferences, refused = Preferences(), set(refusal.errors)

    assert refused <= set(form)
    assert preferences == from_json(json.loads(json.dumps(as_json(preferences))))
    assert 0 < preferences.weekdays < 128
