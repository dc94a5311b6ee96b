"""Lists as JSON lines: what is read, what is told by line, and that what was exported comes in again."""

import io
import json
from typing import Any

import pytest

from service.subscribers.csv_reading import Line, Problem
from service.subscribers.jsonl_reading import looks_like_json, read_json_lines
from service.subscribers.preferences import form_values, read_preferences

WANTED = read_preferences(
    {
        "about": "LoRA for small models, not vision\nrobots",
        "interests": [{"name": "Mine", "authors": ["Ada Lovelace"], "examples": ["2401.01234"], "weight": 3}],
        "mutes": "crypto",
        "explore": False,
        "hour": 6,
        "weekdays": "sat",
    }
)


def read(*lines: Any) -> list[Line | Problem]:
    texts = [line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines]
    return list(read_json_lines(io.BytesIO(b"\n".join(texts))))


def test_fields_of_the_api() -> None:
    assert read({"email": "Ann@example.org", **form_values(WANTED)}, b"", {"address": "ben@example.org"}) == [
        Line(1, "ann@example.org", WANTED),
        Line(3, "ben@example.org", read_preferences({})),
    ]


def test_what_was_exported_comes_in_again() -> None:
    document = {
        "subscriber": {"address": "ann@example.org", "status": "active"},
        "preferences": form_values(WANTED),
        "libraries": [],
        "consent": [],
    }

    assert read(document) == [Line(1, "ann@example.org", WANTED)]


@pytest.mark.parametrize(
    ("line", "field", "words"),
    [
        (b"{", "line", "no JSON"),
        (b"[]", "line", "no JSON"),
        (b'{"email": "\xff"}', "line", "no JSON"),
        (b"[" * 100_000, "line", "no JSON"),
        ({}, "email", ""),
        ({"email": "nobody"}, "email", ""),
        ({"email": "a@example.org", "hour": 99}, "hour", "0 to 23"),
        ({"email": "a@example.org", "topcis": []}, "line", "'topcis'"),
        ({"email": "a@example.org", "interests": [{"text": ""}]}, "interests.0.text", "what to look for"),
    ],
)
def test_each_problem_names_its_line_and_the_rest_is_kept(line: Any, field: str, words: str) -> None:
    problem, good = read(line, {"email": "ben@example.org"})

    assert isinstance(problem, Problem)
    assert (problem.number, problem.field) == (1, field)
    assert words in problem.reason
    assert isinstance(good, Line)


def test_the_second_of_one_address_is_left_out() -> None:
    [_, second] = read({"email": "ann@example.org"}, {"email": "ANN@example.org"})

    assert second == Problem(2, "duplicate", "email", "same as line 1")


@pytest.mark.parametrize(
    ("start", "is_json"), [(b'{"a"', True), (b"\xef\xbb\xbf {", True), (b"email,{", False), (b"", False)]
)
def test_it_is_told_from_csv(start: bytes, is_json: bool) -> None:
    assert looks_like_json(start) is is_json
