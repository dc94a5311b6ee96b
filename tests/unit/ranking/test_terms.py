"""Terms are weighed as their formulas say, worked out again in plain Python."""

from collections import Counter
from itertools import pairwise
from math import log, log1p, sqrt

import pytest

from service.ranking.corpus import Corpus
from service.ranking.terms import LENGTH_SHARE, PAIR_WORTH, TERM_SATURATION
from service.ranking.text import words
from service.ranking.values import Candidate

TITLES = ("owl nest", "owl nest tree", "lark song", "lark", "owl of the tree", "wren")


def corpus() -> Corpus:
    papers = [Candidate(id=f"2601.{n:05}", title=title) for n, title in enumerate(TITLES[:5])]
    return Corpus.build(papers, examples=[Candidate(id="2501.00001", title=TITLES[5])])


def cells(title: str) -> Counter[tuple[str, ...]]:
    """Count words and pairs as a title holds them, three for each occurrence."""
    kept = [part.split() for part in title.split(" of the ")]
    found: Counter[tuple[str, ...]] = Counter()
    for part in kept:
        for word in part:
            found[(word,)] += 3
        for pair in pairwise(part):
            if sum(" ".join(pair) in other for other in TITLES) > 1:
                found[pair] += 3
    return found


def test_bm25_is_as_its_formula_says() -> None:
    rows = [cells(title) for title in TITLES[:5]]
    lengths = [sum(count for term, count in row.items() if len(term) == 1) for row in rows]
    mean = sum(lengths) / 5
    made = corpus()
    found = made.terms.matching(made.terms.of(words("the owl nest")))
    for place, row in enumerate(rows):
        expected = 0.0
        for term in [("owl",), ("nest",), ("owl", "nest")]:
            spread = sum(term in other for other in rows)
            damping = TERM_SATURATION * (1 - LENGTH_SHARE + LENGTH_SHARE * lengths[place] / mean)
            rarity = log1p((5 - spread + 0.5) / (spread + 0.5)) * (PAIR_WORTH if len(term) == 2 else 1)
            expected += rarity * row[term] * (TERM_SATURATION + 1) / (row[term] + damping)
        assert found[place] == pytest.approx(expected, rel=1e-5)


def test_likeness_is_the_cosine_of_tfidf() -> None:
    rows = [cells(title) for title in TITLES[:5]]

    def weighed(row: Counter[tuple[str, ...]]) -> dict[tuple[str, ...], float]:
        values = {
            term: log1p(count) * (log(6 / (1 + sum(term in one for one in rows))) + 0.1)
            for term, count in row.items()
        }
        norm = sqrt(sum(value**2 for value in values.values()))
        return {term: value / norm for term, value in values.items()}

    left = weighed(rows[0])
    for place, cosine in enumerate(corpus().terms.cosines(0)):
        right = weighed(rows[place])
        assert cosine == pytest.approx(sum(left[term] * right.get(term, 0) for term in left), abs=1e-5)


def test_no_pair_reaches_over_a_part_or_a_word_that_says_little() -> None:
    papers = [Candidate(id=f"2601.{n:05}", title="Owl", abstract="Nest of wood. A tree.") for n in range(3)]
    terms = Corpus.build(papers).terms
    assert [len(terms.of(words(text))) for text in ("owl nest", "nest of wood", "wood tree")] == [2, 2, 2]
    assert terms.of(words("of the")) == []
    assert terms.of(words("unheard")) == []


def test_papers_without_words_are_like_nothing() -> None:
    made = Corpus.build([Candidate(id="2601.00001", title="of the"), Candidate(id="2601.00002", title="owl")])
    assert made.terms.cosines(0).tolist() == [0.0, 0.0]
    assert Corpus.build([]).terms.matching([]).tolist() == []
