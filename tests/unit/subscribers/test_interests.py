"""Interests with a name of their own: what is read, said back, refused; nothing is lost on the way."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.subscribers.interests import (
    InterestDraft,
    InvalidInterest,
    describe,
    draft_fields,
    read_interest,
    text_of,
)
from service.subscribers.preferences import (
    InvalidPreferences,
    Preferences,
    as_json,
    form_values,
    from_json,
    read_preferences,
)
from service.subscribers.topics import CATALOGUE

TOPIC = CATALOGUE[0]


def refused(given_: Any) -> dict[str, str]:
    with pytest.raises(InvalidInterest) as refusal:
        read_interest(given_)
    return refusal.value.errors


def test_one_interest_with_everything() -> None:
    draft = read_interest(
        {
            "name": " My  field ",
            "text": "LoRA for small models, not vision, by Ada Lovelace",
            "phrases": ["adapters"],
            "against": ["cs.cv", "speech"],
            "categories": "cs.LG, stat.TH, cs",
            "authors": ["Ada Lovelace", "Alan Turing"],
            "examples": "https://arxiv.org/abs/2401.01234v2",
            "mutes": "crypto",
            "weight": "more",
        }
    )

    assert draft == InterestDraft(
        name="My field",
        phrases=("adapters", "LoRA for small models"),
        against=("cs.CV", "speech", "vision"),
        categories=("cs.LG", "math.ST", "cs.*"),
        authors=("Ada Lovelace", "Alan Turing"),
        examples=("2401.01234",),
        mutes=("crypto",),
        weight=2.0,
    )
    assert dict(describe(draft)) == {
        "looks for": "“adapters”, “LoRA for small models”",
        "by": "Ada Lovelace, Alan Turing",
        "in": "cs.LG (Machine Learning), math.ST (Statistics Theory), all of cs.*",
        "like": "2401.01234",
        "counts against": "cs.CV (Computer Vision and Pattern Recognition), “speech”, “vision”",
        "never": "crypto",
    }


def test_a_name_comes_from_the_first_thing_looked_for() -> None:
    assert read_interest({"text": "sparse autoencoders, not vision"}).name == "sparse autoencoders"
    assert read_interest({"authors": "Ada Lovelace"}).name == "By Ada Lovelace"
    assert len(read_interest({"phrases": ["x" * 200]}).name) == 80


def test_a_topic_of_the_catalogue_keeps_its_phrases_up_to_date() -> None:
    draft = read_interest({"text": f"{TOPIC.name}, not vision"})

    assert (draft.topic, draft.phrases, draft.against) == (TOPIC.slug, (), ("vision",))
    assert text_of(draft) == f"{TOPIC.name}, not vision"


@pytest.mark.parametrize(
    ("given_", "field", "words"),
    [
        ({}, "text", "what to look for"),
        ({"text": "not vision"}, "text", "too"),
        ({"name": "x"}, "text", "what to look for"),
        ({"phrase": ["a b"]}, "phrase", "no field “phrase”"),
        ({"text": "agents", "weight": -1}, "weight", "from 0 to 10"),
        ({"text": "agents", "weight": 11}, "weight", "from 0 to 10"),
        ({"text": "agents", "weight": "nan"}, "weight", "from 0 to 10"),
        ({"text": "agents", "weight": True}, "weight", "one value"),
        ({"text": ["agents"]}, "text", "one text"),
        ({"text": "agents", "name": "x" * 81}, "name", "80"),
        ({"text": "agents", "mutes": "the"}, "mutes", "nearly every paper"),
        ({"text": "agents", "mutes": "of the"}, "mutes", "nearly every paper"),
        ({"text": "agents", "mutes": "a"}, "mutes", "too short"),
        ({"text": "agents", "examples": "evil.example/1"}, "examples", "no arXiv paper"),
        ({"topic": "nothing"}, "topic", "no topic"),
        ({"phrases": "x" * 61}, "phrases", "longer"),
        ({"phrases": [["a"]]}, "phrases", "words"),
        ({"phrases": 3}, "phrases", "words"),
    ],
)
def test_what_is_off_is_named(given_: dict[str, Any], field: str, words: str) -> None:
    assert words in refused(given_)[field]


@pytest.mark.parametrize(
    ("given_", "weight"), [(0, 0.0), ("off", 0.0), ("Less", 0.5), (2.5, 2.5), ("3,5", 3.5)]
)
def test_weights(given_: Any, weight: float) -> None:
    assert read_interest({"text": "agents", "weight": given_}).weight == weight


def test_lines_of_the_one_box_are_interests() -> None:
    form = {"about": f"speech, not audio\nspeech, not music\r\nrobotics\n{TOPIC.name}\nby Ada Lovelace\n"}

    preferences = read_preferences(form)

    assert [draft.name for draft in preferences.interests] == [
        "speech", "speech (2)", "robotics", TOPIC.name, "By Ada Lovelace",
    ]  # fmt: skip
    values = form_values(preferences)
    assert (values["words"], values["topics"], values["authors"]) == (
        ["robotics"],
        [TOPIC.slug],
        ["Ada Lovelace"],
    )
    assert [one["name"] for one in values["interests"]] == ["speech", "speech (2)"]


def test_a_new_line_takes_no_name_of_an_interest_there_is() -> None:
    form = {"interests": [{"name": "Speech", "text": "speech, not audio"}], "about": "speech, not music"}

    assert [draft.name for draft in read_preferences(form).interests] == ["Speech", "speech (2)"]


@pytest.mark.parametrize(
    ("value", "error"),
    [
        ([{"text": "agents"}, {"text": ""}], "interests.1.text"),
        ([{"name": "a", "text": "agents"}, {"name": "A", "text": "robots"}], "interests.1.name"),
        ([{"text": "agents"}] * 21, "interests"),
        ("agents", "interests"),
        (["agents"], "interests"),
        ({"text": "agents"}, "interests"),
    ],
)
def test_errors_say_which_interest(value: Any, error: str) -> None:
    with pytest.raises(InvalidPreferences) as refusal:
        read_preferences({"interests": value})

    assert list(refusal.value.errors) == [error]


def test_exploring_is_on_unless_said_otherwise() -> None:
    assert read_preferences({}).explores
    assert not read_preferences({"explore": "no"}).explores
    assert not read_preferences({"explore": False}).explores
    with pytest.raises(InvalidPreferences, match="yes or no"):
        read_preferences({"explore": "perhaps"})


PHRASES = st.text(st.characters(codec="utf-8"), max_size=20) | st.sampled_from(
    ["agents", "vision", "not x", "a, b"]
)
LISTS = st.lists(PHRASES, max_size=3)
INTERESTS = st.fixed_dictionaries(
    {},
    optional={
        "name": PHRASES,
        "text": PHRASES,
        "topic": st.sampled_from([TOPIC.slug, "none", ""]),
        "phrases": LISTS,
        "against": LISTS,
        "categories": st.lists(st.sampled_from(["cs.CL", "math.MP", "cs.*"])),
        "authors": st.lists(st.sampled_from(["Ada Lovelace", "Li, Wei", "李伟"])),
        "examples": st.lists(st.sampled_from(["2401.01234v2", "math.GT/0309136"])),
        "mutes": LISTS,
        "weight": st.floats() | st.integers(-1, 11),
    },
)


@given(st.lists(INTERESTS, max_size=3))
def test_nothing_is_lost_on_the_way_through_form_and_database(interests: list[dict[str, Any]]) -> None:
    try:
        preferences = read_preferences({"interests": interests})
    except InvalidPreferences:
        return

    assert set(read_preferences(form_values(preferences)).interests) == set(preferences.interests)
    assert from_json(json.loads(json.dumps(as_json(preferences)))) == preferences
    assert isinstance(preferences, Preferences)


@given(INTERESTS)
def test_the_text_box_reads_as_what_it_shows(interest: dict[str, Any]) -> None:
    try:
        draft = read_interest(interest)
    except InvalidInterest:
        return
    shown = {
        name: value
        for name, value in draft_fields(draft).items()
        if name not in {"phrases", "against", "topic"}
    }

    again = read_interest({**shown, "text": text_of(draft)})

    assert again == draft
