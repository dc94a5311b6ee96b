"""The learned model is the minimum it claims to be, in any company, and what is said of it is true."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.ranking import learning, matching
from service.ranking.answers import by_learning, by_likeness
from service.ranking.corpus import Corpus
from service.ranking.dense import Meanings
from service.ranking.learning import Given
from service.ranking.selecting import rank, select
from service.ranking.values import Candidate, Interest, Profile

SUBJECTS = {
    "owls": ["owl", "owlet", "nocturnal", "hooting", "talon", "barn", "feathers", "prey"],
    "trains": ["railway", "locomotive", "carriage", "timetable", "signal", "track", "steam"],
    "soup": ["broth", "ladle", "simmer", "leek", "onion", "stock", "spoon"],
}
PLAIN = ["study", "method", "result", "model", "data", "approach", "problem", "measure"]


def a_corpus(seed: int = 1, each: int = 30, *, dense: bool = False) -> Corpus:
    """Papers on three subjects, named by them, with words of their own and some that all have."""
    rng = np.random.default_rng(seed)
    papers = [
        Candidate(
            id=f"{subject}-{number:02}",
            title=" ".join(rng.choice(words, 3)),
            abstract=" ".join([*rng.choice(words, 12), *rng.choice(PLAIN, 20)]),
        )
        for subject, words in SUBJECTS.items()
        for number in range(each)
    ]
    if not dense:
        return Corpus.build(papers)
    base = {subject: rng.normal(size=16) for subject in SUBJECTS}
    rows = np.array([base[paper.id.partition("-")[0]] + rng.normal(size=16) for paper in papers])
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    meanings = Meanings(
        ids=[paper.id for paper in papers],
        rows=rows.astype(np.float32),
        phrases=lambda texts: np.zeros((len(texts), 16), np.float32),
    )
    return Corpus.build(papers, meanings=meanings)


def a_reader(**changes: object) -> Profile:
    """Somebody who likes owls and has seen enough of trains."""
    reader = Profile(
        liked=tuple(f"owls-{number:02}" for number in range(5)),
        disliked=tuple(f"trains-{number:02}" for number in range(8)),
    )
    return replace(reader, **changes)  # type: ignore[arg-type]


def minimum(features: np.ndarray, signs: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Find w by Newton's method in double precision: the plain way."""
    w = np.zeros(features.shape[1])
    for _ in range(60):
        margin = signs * (features @ w)
        fall = 1 / (1 + np.exp(margin))
        gradient = w - learning.STRENGTH * features.T @ (weights * signs * fall)
        curve = learning.STRENGTH * weights * fall * (1 - fall)
        w = w - np.linalg.solve(np.eye(len(w)) + features.T @ (curve[:, None] * features), gradient)
    return w


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    people=st.integers(1, 4),
    size=st.integers(1, 12),
    background=st.integers(0, 9),
    lean=st.floats(0, 3),
)
def test_a_block_reaches_the_minimum_of_each_person(
    seed: int, people: int, size: int, background: int, lean: float
) -> None:
    """Against Newton's method in the space of the features themselves."""
    rng = np.random.default_rng(seed)

    def unit(*shape: int) -> np.ndarray:
        rows = rng.normal(size=(*shape, 7)) + lean
        return rows / np.linalg.norm(rows, axis=-1, keepdims=True)

    mine, theirs = unit(people, size), unit(background)
    signs = np.where(rng.random((people, size)) < 0.5, 1.0, -1.0)
    signs[:, size // 2 :] *= rng.random((people, size - size // 2)) < 0.8  # some answered less often
    told = signs * rng.dirichlet(np.ones(size), people)
    silent = np.full((people, background), 0.5 / max(background, 1))
    bias = learning.BIAS
    own, crossed, apart = mine @ mine.swapaxes(1, 2), mine @ theirs.T, theirs @ theirs.T
    single = [(part + bias).astype(np.float32) for part in (own, crossed, apart)]
    model = learning.solve(*single, told.astype(np.float32), silent.astype(np.float32))
    for row in range(people):
        features = np.hstack([np.vstack([mine[row], theirs]), np.full((size + background, 1), np.sqrt(bias))])
        sides = np.concatenate([np.sign(told[row]), -np.ones(background)])
        weights = np.concatenate([np.abs(told[row]), silent[row]])
        right = features @ minimum(features, sides, weights)
        products = features @ features.T
        found = products @ np.concatenate([model.own[row], model.others[row]])
        assert np.abs(found - right).max() < 2e-3


def test_what_the_corpus_knows_is_the_kernel_of_its_features() -> None:
    """Products one by one, all at once and among themselves are the same numbers."""
    for corpus in (a_corpus(), a_corpus(dense=True)):
        places = np.array([3, 40, 7, 88])
        rows = np.array([learning.products(corpus, place) for place in places.tolist()])
        assert np.allclose(rows[:, places], learning.among(corpus, places), atol=1e-5)
        assert np.allclose(np.diag(rows[:, places]), 1 + learning.BIAS, atol=1e-4)


@pytest.mark.parametrize("dense", [False, True])
def test_the_liked_subject_is_in_front_and_the_refused_one_behind(dense: bool) -> None:
    corpus = a_corpus(dense=dense)
    [scores] = learning.scores(corpus, [a_reader()])
    mean = {
        subject: np.mean([scores[corpus.index[f"{subject}-{number:02}"]] for number in range(8, 30)])
        for subject in SUBJECTS
    }
    assert mean["owls"] > mean["soup"] > mean["trains"]
    order = [one.id.partition("-")[0] for one in rank(a_reader(), corpus, {})]
    assert order[:25] == ["owls"] * 25
    assert "trains" not in order[: len(order) - 25]


def test_company_makes_no_difference() -> None:
    """Alone or among others with more answers and other blocks: the same to the last visible digit."""
    corpus = a_corpus()
    people = [
        a_reader(),
        a_reader(liked=tuple(f"soup-{number:02}" for number in range(25))),
        a_reader(disliked=("soup-01",), answer_days=(400.0, 3.0, 2.0, 1.0, 0.0, 9.0)),
        Profile(),
    ] * 3
    together = learning.scores(corpus, people)
    for row, person in enumerate(people):
        assert np.allclose(learning.scores(corpus, [person])[0], together[row], atol=1e-5)


def test_answers_fade_by_the_day_and_keep_their_balance() -> None:
    corpus = a_corpus()
    days = (0.0, 100.0, 0.0, 0.0, 0.0, *(0.0,) * 7, 50.0)
    found = Given.of(corpus, a_reader(answer_days=days))
    weight = dict(zip([corpus.papers[place].id for place in found.places], found.weights, strict=True))
    assert weight["owls-01"] / weight["owls-00"] == pytest.approx(np.exp(-1.0), rel=1e-5)
    assert weight["trains-07"] / weight["trains-00"] == pytest.approx(np.exp(-0.5), rel=1e-5)
    assert found.weights[found.signs > 0].sum() == pytest.approx(1)
    assert found.weights[found.signs < 0].sum() == pytest.approx(learning.NEGATIVE_WEIGHT)


def test_a_paper_somebody_spoke_of_is_no_background_to_them() -> None:
    corpus = a_corpus()
    background = learning.background_of(corpus)
    spoken = [corpus.papers[place].id for place in background[:4].tolist()]
    with_them = Given.of(corpus, a_reader(liked=tuple(spoken), disliked=()))
    apart = np.array([learning.products(corpus, place) for place in background.tolist()])[:, background]
    model = learning.train(corpus, [with_them], background, apart)
    assert (model.others[0, :4] == 0).all()
    assert (model.others[0, 4:] < 0).all()


def test_few_unknown_and_no_answers_are_no_trouble() -> None:
    corpus, empty = a_corpus(), Corpus.build([])
    strangers = a_reader(liked=("x", "y", "z"), disliked=tuple("abcdefgh"))
    assert np.isfinite(learning.scores(corpus, [strangers, Profile()])).all()
    assert by_learning(corpus, [Profile()]) is None
    assert rank(strangers, corpus, {})
    assert rank(a_reader(), empty, {}) == []
    assert learning.explain(empty, a_reader()) is None
    both = a_reader(liked=("owls-01", "owls-01", "trains-01"), disliked=("trains-01",) * 8)
    assert np.isfinite(learning.scores(corpus, [both])).all()


def test_from_how_many_answers_on_is_learned() -> None:
    liked, disliked = a_reader().liked, a_reader().disliked
    assert learning.is_enough(a_reader(liked=liked[: learning.LEAST_LIKED]))
    assert not learning.is_enough(a_reader(liked=liked[: learning.LEAST_LIKED - 1]))
    assert not learning.is_enough(a_reader(disliked=disliked[: learning.LEAST_DISLIKED - 1]))
    many = tuple(f"soup-{number:02}" for number in range(learning.LIKED_ALONE))
    assert learning.is_enough(a_reader(liked=many, disliked=()))
    assert learning.is_enough(a_reader(liked=(), interests=(Interest(name="my papers", examples=liked),)))


@settings(max_examples=15, deadline=None)
@given(
    liked=st.lists(st.integers(0, 89), min_size=1, max_size=12, unique=True),
    disliked=st.lists(st.integers(0, 89), max_size=12, unique=True),
    dense=st.booleans(),
)
def test_what_is_chosen_for_answers_is_like_the_liked_paper_that_is_named(
    liked: list[int], disliked: list[int], dense: bool
) -> None:
    """Every reason is worked out again: the paper named was liked, and none of the liked is nearer."""
    corpus = a_corpus(dense=dense)
    ids = [paper.id for paper in corpus.papers]
    person = Profile(liked=tuple(ids[one] for one in liked), disliked=tuple(ids[one] for one in disliked))
    titles = {corpus.papers[corpus.index[id_]].title for id_ in person.liked}
    [chosen] = select([person], corpus, {}, counts=[10])
    assert not {one.id for one in chosen.for_you} & {*person.liked, *person.disliked}
    for one in chosen.for_you:
        place = corpus.index[one.id]
        [line] = [line for line in one.reasons if line.endswith(", which you liked")]
        named = line.removeprefix("similar to ").removesuffix(", which you liked")
        assert named in titles
        near = {id_: float(matching.cosines(corpus, id_)[place]) for id_ in person.liked}
        if max(near.values()) >= matching.LEAST_LIKENESS:
            assert named in {
                corpus.papers[corpus.index[id_]].title for id_ in near if near[id_] == max(near.values())
            }
        else:
            assert dense


def test_learning_joins_where_there_is_enough_and_likeness_speaks_where_not() -> None:
    corpus = a_corpus()
    few = a_reader(liked=("owls-01",), disliked=())
    found = by_learning(corpus, [few, a_reader(), Profile()])
    assert found is not None
    assert found.people.tolist() == [0, 1]
    assert found.is_fused.tolist() == [False, True]
    plain = by_likeness(corpus, [few])
    assert plain is not None
    assert np.array_equal(found.scores[0], plain.scores[0])
    assert (found.scores[1] > 0).sum() < corpus.count / 2


def test_the_words_named_weigh_most_and_were_read_in_answered_papers() -> None:
    corpus = a_corpus()
    learned = learning.explain(corpus, a_reader())
    assert learned is not None
    assert learning.explain(corpus, a_reader(disliked=())) is None
    for named, side, others in (
        (learned.words_for, "owls", "trains"),
        (learned.words_against, "trains", "owls"),
    ):
        assert named
        words = {word for name in named for word in name.split()}
        assert words & set(SUBJECTS[side])
        assert not words & set(SUBJECTS[others])
    assert set(learned.papers) <= {*a_reader().liked, *a_reader().disliked}
    # Again from what was learned: no word read in a liked paper weighs more than the first named.
    reader, background = Given.of(corpus, a_reader()), learning.background_of(corpus)
    apart = np.array([learning.products(corpus, place) for place in background.tolist()])[:, background]
    model = learning.train(corpus, [reader], background, apart)
    weights = learning.term_weights(
        corpus,
        np.concatenate([reader.places, background]),
        np.concatenate([model.own[0, : len(reader.places)], model.others[0]]),
    )
    liked = reader.places[reader.signs > 0]
    said = {
        term
        for place in liked
        for term in corpus.terms.term[corpus.terms.starts[place] : corpus.terms.starts[place + 1]]
    }
    heaviest = max(said, key=lambda term: weights[term])
    first = corpus.terms.of(learned.words_for[0].split())[-1]
    assert weights[first] == pytest.approx(weights[heaviest])
