"""Words and vectors together: what is close in meaning is found, said so, and pushed back where refused."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.ranking import matching
from service.ranking.corpus import Corpus, Floats
from service.ranking.dense import Meanings
from service.ranking.matching import match, match_many, reasons
from service.ranking.names import may_be_same, parse_name
from service.ranking.recipe import Recipe
from service.ranking.text import stem, words
from service.ranking.values import Candidate, Interest

SUBJECTS = ("owl", "lark", "wren", "night", "song", "nest", "egg", "wing", "video", "vote", "tree", "rain")
# Words of one subject lie on one axis: what a model has learnt of synonyms.
AXES = {word: axis for axis, word in enumerate(SUBJECTS)} | {"strix": 0, "alauda": 1, "film": 8, "films": 8}


def embed(texts: Sequence[str]) -> Floats:
    """Count the words of each subject."""
    rows = np.full((len(texts), len(SUBJECTS)), 0.01, np.float32)
    for row, text in zip(rows, texts, strict=True):
        for word in words(text):
            if (axis := AXES.get(word, AXES.get(stem(word)))) is not None:
                row[axis] += 1
    unit: Floats = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return unit


def a_corpus(
    *texts: str, examples: Sequence[Candidate] = (), leaving: Sequence[int] = (), **more: object
) -> Corpus:
    """Make a corpus of "title | abstract"; those of ``leaving`` have no vector yet."""
    papers = []
    for number, text in enumerate(texts, 1):
        title, _, abstract = text.partition("|")
        papers.append(
            Candidate(id=f"2601.{number:05}", title=title.strip(), abstract=abstract.strip(), **more)  # type: ignore[arg-type]
        )
    return corpus_of(papers, examples, leaving)


def corpus_of(
    papers: Sequence[Candidate], examples: Sequence[Candidate] = (), leaving: Sequence[int] = ()
) -> Corpus:
    known = [one for number, one in enumerate((*papers, *examples), 1) if number not in leaving]
    rows = embed([f"{one.title}. {one.abstract}" for one in known])
    return Corpus.build(
        papers,
        examples=examples,
        meanings=Meanings(ids=[one.id for one in known], rows=rows, phrases=embed),
    )


def true(corpus: Corpus, interest: Interest) -> list[int]:
    scores = match(corpus, interest).scores
    return [int(place) + 1 for place in (-scores).argsort(kind="stable") if scores[place] > 0]


OTHERS = [f"{word} {more}" for word in SUBJECTS[3:8] for more in ("rain", "tree", "vote")]


def test_what_is_close_in_meaning_matches_and_says_so() -> None:
    corpus = a_corpus("Strix in the dark", "The owl", *OTHERS)
    wish = Interest(name="Birds", phrases=("owl",))
    assert sorted(true(corpus, wish)) == [1, 2]
    assert reasons(corpus, wish, 0) == ("matches 'Birds': close in meaning to 'owl'",)
    assert reasons(corpus, wish, 1) == ("matches 'Birds': owl",)
    assert true(corpus.matched_by(Recipe(dense=False)), wish) == [2]


def test_a_meaning_that_does_not_stand_out_is_no_match() -> None:
    """Where every paper is about owls, being close to owls says nothing."""
    corpus = a_corpus(*["Strix in the dark"] * 9)
    assert true(corpus, Interest(name="Birds", phrases=("owl",))) == []


def test_examples_are_found_by_meaning_too() -> None:
    example = Candidate(id="2501.00001", title="Strix at dusk")
    corpus = a_corpus("Owl", *OTHERS, examples=[example])
    wish = Interest(name="Mine", examples=("2501.00001",))
    assert true(corpus, wish) == [1]
    assert reasons(corpus, wish, 0) == ("similar to Strix at dusk",)
    assert reasons(corpus, replace(wish, library=True), 0) == ("similar to Strix at dusk, in your library",)


def test_papers_without_a_vector_are_compared_by_words() -> None:
    texts = ("The owl of the woods", "Strix", *OTHERS)
    corpus = a_corpus(*texts, leaving=[1, 2])
    assert true(corpus, Interest(name="Birds", phrases=("owl",))) == [1]
    first = match(corpus, Interest(name="Birds", phrases=("owl",))).hints
    assert first[0] == 1.0
    none = a_corpus(*texts, leaving=range(1, len(texts) + 1))
    assert none.dense is None
    assert true(none, Interest(name="Birds", phrases=("owl",))) == [1]


def test_scores_and_hints_tell_one_order() -> None:
    corpus = a_corpus(
        "Owl owl | owl", "Strix | wren", "Owl | wren egg", *OTHERS, "Owl | owl", "Lark | owl egg"
    )
    found = match(corpus, Interest(name="Birds", phrases=("owl", "wren song")))
    matched = np.flatnonzero(found.scores > 0)
    assert len(matched) >= 4
    assert matched[np.argsort(-found.scores[matched])].tolist() == (
        matched[np.argsort(-found.hints[matched])].tolist()
    )


def test_phrases_become_vectors_once_for_everybody() -> None:
    asked: list[list[str]] = []

    def counted(texts: Sequence[str]) -> Floats:
        asked.append(list(texts))
        return embed(texts)

    papers = [Candidate(id=f"2601.{n:05}", title=text) for n, text in enumerate(OTHERS)]
    rows = embed(OTHERS)
    corpus = Corpus.build(
        papers, meanings=Meanings(ids=[one.id for one in papers], rows=rows, phrases=counted)
    )
    wishes = [Interest(name=f"{n}", phrases=("owl", "wren")) for n in range(9)]
    match_many(corpus, wishes)
    assert asked[0] == ["owl", "wren"]
    once = len(asked)
    match_many(corpus, wishes)
    assert len(asked) == once


@pytest.mark.parametrize("against", ["video", "film", "cs.CV"])
def test_what_counts_against_a_paper_takes_it_back(against: str) -> None:
    """Refused by words, by meaning or by category: no true match, and behind those that only don't match."""
    papers = [
        Candidate(id="2601.00001", title="Owl", abstract="Of the owl in the tree.", categories=("cs.CL",)),
        Candidate(id="2601.00002", title="Video of the owl", abstract="Video film.", categories=("cs.CV",)),
        *(Candidate(id=f"2602.{n:05}", title=text) for n, text in enumerate(OTHERS)),
    ]
    corpus = corpus_of(papers)
    wish = Interest(name="Birds", phrases=("owl",))
    assert set(true(corpus, wish)) == {1, 2}
    without = replace(wish, against=(against,))
    assert true(corpus, without) == [1]
    assert reasons(corpus, without, 1) == ()
    found = match(corpus, without)
    assert found.hints[1] == found.hints.min()
    assert true(corpus.matched_by(Recipe(against=False)), without) == true(corpus, wish)


def test_a_mention_of_what_counts_against_costs_but_does_not_mute() -> None:
    papers = [
        Candidate(id="2601.00001", title="Owl owl", abstract="Unlike in video, we listen."),
        Candidate(id="2601.00002", title="Owl owl", abstract="Unlike in eggs, we listen."),
        *(Candidate(id=f"2602.{n:05}", title=text) for n, text in enumerate(OTHERS)),
    ]
    corpus = corpus_of(papers)
    assert true(corpus, Interest(name="Birds", phrases=("owl",), against=("video",))) == [2, 1]


def test_a_followed_author_comes_whatever_counts_against_the_subject() -> None:
    papers = [Candidate(id="2601.00001", title="Video of owls", authors=("Ada Lark",))]
    wish = Interest(name="Ada", authors=("Ada Lark",), phrases=("owl",), against=("video",))
    assert true(corpus_of(papers), wish) == [1]


PHRASE = st.lists(st.sampled_from([*SUBJECTS, "strix", "film"]), min_size=1, max_size=2).map(" ".join)
IDS = [f"2601.{number:05}" for number in range(14)]


@st.composite
def corpora(draw: st.DrawFn) -> Corpus:
    def text(most: int) -> str:
        return " ".join(draw(st.lists(st.sampled_from([*AXES]), min_size=1, max_size=most)))

    papers = [
        Candidate(
            id=id_,
            title=text(3),
            abstract=text(8),
            authors=tuple(draw(st.lists(st.sampled_from(["Ada Lark", "Bo Wren"]), max_size=1))),
            categories=tuple(draw(st.lists(st.sampled_from(["cs.CV", "cs.CL"]), max_size=1))),
        )
        for id_ in draw(st.lists(st.sampled_from(IDS), min_size=2, max_size=12, unique=True))
    ]
    leaving = draw(st.lists(st.integers(1, len(papers)), max_size=3))
    return corpus_of(papers[:-1], papers[-1:], leaving)


WISHES = st.builds(
    Interest,
    name=PHRASE,
    phrases=st.lists(PHRASE, max_size=2).map(tuple),
    categories=st.lists(st.sampled_from(["cs.CV", "cs.*"]), max_size=1).map(tuple),
    authors=st.lists(st.sampled_from(["Lark, A.", "Bo Wren"]), max_size=1).map(tuple),
    examples=st.lists(st.sampled_from(IDS), max_size=2).map(tuple),
    against=st.lists(st.one_of(PHRASE, st.just("cs.CV")), max_size=1).map(tuple),
)


@settings(deadline=None)
@given(corpora(), WISHES)
def test_every_true_match_has_reasons_and_every_reason_is_true(corpus: Corpus, wish: Interest) -> None:
    found = match(corpus, wish)
    for place in range(corpus.count):
        lines = reasons(corpus, wish, place)
        assert bool(lines) == bool(found.scores[place] > 0)
        for line in lines:
            assert is_so(corpus, wish, place, line), line


def is_so(corpus: Corpus, wish: Interest, place: int, line: str) -> bool:
    """Check a reason anew, from the texts and the vectors themselves."""
    paper = corpus.papers[place]
    if line.startswith("by "):
        name = line.removeprefix("by ").removesuffix(", an author you follow")
        return name in paper.authors and any(
            may_be_same(parse_name(one), parse_name(name)) for one in wish.authors
        )
    if line.startswith("similar to "):
        title = line.removeprefix("similar to ")
        examples = [corpus.papers[corpus.index[one]] for one in wish.examples if one in corpus.index]
        return any(one.title == title and are_similar(corpus, paper, one) for one in examples)
    said = line.removeprefix(f"matches '{wish.name}': ")
    if said.startswith("close in meaning to '"):
        return is_close(corpus, place, said.removeprefix("close in meaning to '").removesuffix("'"))
    text = f"{paper.title} {paper.abstract}".split()
    return all(
        set(one.replace(" … ", " ").split()) <= {*text, *map(stem, text)} or one in paper.categories
        for one in said.split(", ")
    )


def are_similar(corpus: Corpus, paper: Candidate, other: Candidate) -> bool:
    by_words = matching.cosines(corpus, other.id)[corpus.index[paper.id]]
    left, right = embed([f"{one.title}. {one.abstract}" for one in (paper, other)])
    return bool(by_words >= matching.LEAST_LIKENESS or left @ right >= matching.LEAST_KINSHIP - 1e-4)


def is_close(corpus: Corpus, place: int, phrase: str) -> bool:
    (asked,) = embed([phrase])
    dense = corpus.dense
    assert dense is not None
    known = [number for number in range(corpus.count) if dense.known[number]]
    texts = [f"{one.title}. {one.abstract}" for one in corpus.candidates]
    cosines = {number: float(embed([texts[number]])[0] @ asked) for number in known}
    values = np.array(list(cosines.values()))
    border = max(matching.LEAST_CLOSENESS, values.mean() + matching.LEAST_STANDING * values.std())
    return cosines[place] >= border - 1e-4


def test_what_no_rule_admits_may_stand_among_matches_but_never_outnumbers_them() -> None:
    corpus = a_corpus("Owl | wren wren egg egg song", *OTHERS, "Woods of strix strix strix rain", leaving=[1])
    found = match(corpus, Interest(name="Birds", phrases=("owl",)))
    columns = found.columns().tolist()
    matched = np.flatnonzero(found.scores > 0).tolist()
    assert set(matched) <= set(columns)
    assert len(columns) <= 2 * len(matched)
    assert found.hints[columns].tolist() == sorted(found.hints[columns].tolist(), reverse=True)
    nothing = match(corpus, Interest(name="Birds", phrases=("tern",)))
    assert nothing.columns().tolist() == []
