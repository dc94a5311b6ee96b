"""Profiles in files: the fields of the form, and a key that is none is named."""

import json
from pathlib import Path
from typing import Any

import pytest

from service.papers.reading import UnreadableFile
from service.ranking.values import Interest, Profile
from service.subscribers.profile_reading import read_profile
from service.subscribers.topics import CATALOGUE

TOPIC = CATALOGUE[0]


def read(tmp_path: Path, given: Any) -> Profile:
    file = tmp_path / "me.json"
    file.write_text(json.dumps(given))
    return read_profile(file)


def test_everything(tmp_path: Path) -> None:
    profile = read(
        tmp_path,
        {
            "name": "Ann",
            "interests": [
                {
                    "name": "Mine",
                    "text": "LoRA for small models, not vision",
                    "phrases": ["adapters"],
                    "against": ["cs.CV"],
                    "categories": ["math.MP", "CS.*"],
                    "authors": ["Ada Lovelace"],
                    "examples": ["https://arxiv.org/abs/2401.01234v2"],
                    "mutes": ["crypto"],
                    "weight": 2,
                },
                {"topic": TOPIC.slug, "comment": "of the catalogue"},
            ],
            "liked": ["2401.00001v1"],
            "explore": False,
        },
    )

    assert profile.interests[0] == Interest(
        name="Mine",
        phrases=("adapters", "LoRA for small models"),
        against=("cs.CV", "vision"),
        categories=("math-ph", "cs.*"),
        authors=("Ada Lovelace",),
        examples=("2401.01234",),
        mutes=("crypto",),
        weight=2.0,
    )
    assert profile.interests[1].phrases == TOPIC.phrases
    assert (profile.liked, profile.explores) == (("2401.00001",), False)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"interest": []}, "interest is no field; did you mean 'interests'?"),
        ({"interests": [{"phrase": ["a"]}]}, r"interests\[0\].phrase is no field; did you mean 'phrases'?"),
        ({"interests": [{"zzz": 1}]}, r"interests\[0\].zzz is no field; there are name, text"),
        ({"interests": [{"text": "cs.ZZ"}]}, r"interests\[0\].text: arXiv has no category"),
        ({"interests": [{"text": 3}]}, r"interests\[0\].text is not text"),
        ({"interests": [{"topic": "none"}]}, r"interests\[0\].topic is none"),
        ({"explore": "no"}, "explore is not true or false"),
    ],
)
def test_what_is_off_is_named(tmp_path: Path, given: Any, says: str) -> None:
    with pytest.raises(UnreadableFile, match=says):
        read(tmp_path, given)
