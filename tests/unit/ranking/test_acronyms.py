"""Short forms are read where papers explain them, and stand for the long ones."""

import pytest

from service.ranking.acronyms import KNOWN, Acronyms
from service.ranking.corpus import Corpus
from service.ranking.matching import match, reasons
from service.ranking.text import STOPWORDS, words
from service.ranking.values import Candidate, Interest


def a_paper(number: int, title: str, abstract: str = "") -> Candidate:
    return Candidate(id=f"2601.{number:05}", title=title, abstract=abstract)


def read(*abstracts: str) -> Acronyms:
    return Acronyms.read([a_paper(number, "Owls", text) for number, text in enumerate(abstracts)])


def test_what_two_papers_explain_alike_is_known() -> None:
    found = read(
        "Owl Nest Mapping (ONM) is new.", "We use owl nest mappings (ONMs).", "One Night More (ONM)."
    )
    assert found.spelled_out(words("ONM for trees")) == words("owl nest mapping for trees")
    assert found.spelled_out(words("ONMs")) == words("owl nest mapping")
    assert list(found.shortened(words("fast owl-nest mapping"))) == [["fast", "onm"]]


@pytest.mark.parametrize(
    "text",
    [
        "owl nests (ONM)",
        "(ONM) owl nest mapping",
        "owl nest mapping ONM",
        "owl nest mapping [ONM]",
        "any long list (ALL)",
        "wood and stone (WAS)",
    ],
)
def test_what_does_not_fit_its_letters_is_no_short_form(text: str) -> None:
    assert read(text, text).long == {short: tuple(form.split()) for short, form in KNOWN.items()}


def test_one_paper_alone_explains_nothing() -> None:
    assert "onm" not in read("Owl nest mapping (ONM), and again owl nest mapping (ONM).").long


def test_the_everyday_ones_fit_their_letters_and_need_no_paper() -> None:
    for short, form in KNOWN.items():
        assert short not in STOPWORDS
        assert len(form.split()) >= 2
        assert words(form) == form.split()
    assert read().spelled_out(["llm", "agent"]) == ["large", "language", "model", "agent"]


def test_phrases_find_both_ways_of_writing() -> None:
    papers = [
        a_paper(1, "Agents with large language models"),
        a_paper(2, "LLMs that act"),
        a_paper(3, "Owls"),
        a_paper(4, "Larks"),
    ]
    corpus = Corpus.build(papers)
    for phrase in ("LLM", "large language models"):
        wish = Interest(name="Words", phrases=(phrase,))
        assert [bool(score) for score in match(corpus, wish).scores] == [True, True, False, False], phrase
    assert reasons(corpus, Interest(name="Words", phrases=("LLM",)), 0) == (
        "matches 'Words': large language models",
    )
    assert reasons(corpus, Interest(name="Words", phrases=("large language model",)), 1) == (
        "matches 'Words': llms",
    )


def test_papers_that_others_named_change_no_short_form() -> None:
    papers = [a_paper(1, "Zero-shot TTS"), a_paper(2, "Owls")]
    named = [a_paper(number, "Test time scaling (TTS)", "Test time scaling (TTS).") for number in (8, 9)]
    interest = Interest(name="speech", phrases=("text-to-speech",))
    alone, beside = (match(Corpus.build(papers, examples=known), interest) for known in ([], named))
    assert alone.scores[0] > 0
    assert beside.scores.tolist() == alone.scores.tolist()
