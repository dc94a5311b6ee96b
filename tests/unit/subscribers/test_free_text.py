"""What somebody writes in their own words: what is looked for, what counts against, said back truly."""

import unicodedata
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from service.subscribers.fields import FieldError
from service.subscribers.free_text import LONGEST_TEXT, Understood, as_text, understand


def parts(text: str) -> dict[str, tuple[str, ...]]:
    found = understand(text)
    return {name: value for name in Understood.__slots__ if (value := getattr(found, name))}


@pytest.mark.parametrize(
    ("text", "phrases", "against"),
    [
        (
            "LoRA fine-tuning for small models, not vision",
            ["LoRA fine-tuning for small models"],
            ["vision"],
        ),
        ("diffusion models but no images", ["diffusion models"], ["images"]),
        ("diffusion models without images or video", ["diffusion models"], ["images", "video"]),
        ("retrieval, except legal and medical", ["retrieval"], ["legal", "medical"]),
        ("agents -vision -audio", ["agents"], ["vision", "audio"]),
        ('agents -"tool use" memory', ["agents memory"], ["tool use"]),
        ("speech; not vision, audio, or robotics", ["speech"], ["vision", "audio", "robotics"]),
        ("not vision, but audio", ["audio"], ["vision"]),
        ("not vision, audio", ["audio"], ["vision"]),
        ("robots\nNOT drones\n", ["robots"], ["drones"]),
        ("speech, but no images, videos or music", ["speech"], ["images", "videos", "music"]),
        ("speech. Not vision. Robotics or drones", ["speech", "Robotics", "drones"], ["vision"]),
        ("speech, not vision; robotics or drones", ["speech", "robotics", "drones"], ["vision"]),
        ("speech, not vision, but robotics or drones", ["speech", "robotics", "drones"], ["vision"]),
        ("robotics or drones", ["robotics", "drones"], []),
        ("vision and language", ["vision and language"], []),
        ("machine translation and speech recognition", ["machine translation", "speech recognition"], []),
        ("I'm interested in papers about retrieval", ["retrieval"], []),
        ('"learning, not to forget" in robots', ["learning, not to forget", "in robots"], []),
        ("“chain of thought”, „ohne Worte“", ["chain of thought", "ohne Worte"], []),
        # Words that hold a "no" and refuse nothing.
        ("non-autoregressive decoding", ["non-autoregressive decoding"], []),
        ("learning without forgetting", ["learning without forgetting"], []),
        ("attention is not all you need", ["attention is not all you need"], []),
        ("NO sensors", ["NO sensors"], []),
        ("zero-shot, notation, nothingness", ["zero-shot", "notation", "nothingness"], []),
        # As others say it.
        ("Sprachmodelle, aber keine Bilder", ["Sprachmodelle"], ["Bilder"]),
        ("Sprachmodelle ohne Bilder", ["Sprachmodelle"], ["Bilder"]),
        ("modèles de langue sans vision", ["modèles de langue"], ["vision"]),
        ("modèles de langue, mais pas d'images", ["modèles de langue"], ["images"]),
        ("modelos de lenguaje, pero no visión", ["modelos de lenguaje"], ["visión"]),
        ("modelli senza visione", ["modelli"], ["visione"]),
        ("языковые модели, кроме зрения", ["языковые модели"], ["зрения"]),
        ("扩散模型，不要视频", ["扩散模型"], ["视频"]),  # noqa: RUF001
        ("画像生成、動画以外", ["画像生成"], ["動画"]),
    ],
)
def test_what_is_wanted_and_what_is_not(text: str, phrases: list[str], against: list[str]) -> None:
    found = understand(text)

    assert (list(found.phrases), list(found.against)) == (phrases, against)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("by Ada Lovelace", {"authors": ("Ada Lovelace",)}),
        ("papers by Ada Lovelace and J. von Neumann", {"authors": ("Ada Lovelace", "J. von Neumann")}),
        ("agents by Ada Lovelace et al.", {"phrases": ("agents",), "authors": ("Ada Lovelace",)}),
        ("explanation by example", {"phrases": ("explanation by example",)}),
        ("cs.CL, STAT.ml, stat.TH", {"categories": ("cs.CL", "stat.ML", "math.ST")}),
        ("anything in cs.*, not cs.CV", {"categories": ("cs.*",), "against": ("cs.CV",)}),
        (
            "https://arxiv.org/abs/2401.01234v3, like arXiv:2401.01235",
            {"examples": ("2401.01234", "2401.01235")},
        ),
        ("https://doi.org/10.48550/arXiv.2401.01234v2", {"examples": ("2401.01234",)}),
        ("hf.co/papers/2401.01234; alphaxiv.org/overview/2401.01234", {"examples": ("2401.01234",)}),
    ],
)
def test_other_things_than_words(text: str, expected: dict[str, Any]) -> None:
    assert parts(text) == expected


@pytest.mark.parametrize("text", ["", " ", ",;\n", "\u200b", '""', "—"])
def test_nothing_asks_for_nothing(text: str) -> None:
    assert understand(text) == Understood()


@pytest.mark.parametrize(
    ("text", "named"),
    [("cs.XX", "cs.XX"), ("agents, x", "x"), ("a" * 201, "commas"), ("a" * (LONGEST_TEXT + 1), "longer")],
)
def test_what_cannot_be_looked_for_is_named(text: str, named: str) -> None:
    with pytest.raises(FieldError, match=named):
        understand(text)


# fmt: off
OPERATORS = st.sampled_from([
    "not", "no", "or", "and", "but", "without", "nor", "except", "sans", "не", "ohne", "以外", "、", ",", ";",
    "-", '"', "“", "”", "'", "«", "»", "by", "papers", "about", "in", "for", "like", "et", "al.", "\n",
])
OTHERS = st.sampled_from([
    "vision", "-video", "Ada", "Lovelace", "cs.CL", "agents", "small", "2401.01234", "😀", "\x00", "\u202e",
])
# fmt: on
WORDS = OPERATORS | OTHERS
SENTENCES = st.lists(WORDS, max_size=14).map(" ".join) | st.text(max_size=80)


@settings(max_examples=300)
@given(SENTENCES)
@example('"-"a')
def test_what_was_understood_can_be_said_again(text: str) -> None:
    try:
        found = understand(text)
    except FieldError:
        return
    again = understand(as_text(found.phrases, found.against))

    assert (again.phrases, again.against) == (found.phrases, found.against)
    assert not again.authors
    assert not again.examples
    for phrase in (*found.phrases, *found.against, *found.authors):
        assert not any(unicodedata.category(sign)[0] == "C" for sign in phrase)


@given(st.lists(st.text("abcde -'not.,;\u3001", min_size=2, max_size=20), max_size=4))
def test_every_phrase_can_be_said(texts: list[str]) -> None:
    phrases = tuple({" ".join(text.split()): None for text in texts if sum(map(str.isalnum, text)) > 1})

    assert understand(as_text(phrases)).phrases == phrases
