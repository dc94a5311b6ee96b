"""A model of each person's own, learned from what they liked and what they did not: many people at once.

A weighted logistic regression for each person (Scholar Inbox's way: explicit answers with weights that decay,
and papers of the day as faint negatives that nobody spoke of). The loss of a person is

    |w|^2 / 2 + C * sum_i c_i * log(1 + exp(-y_i * w.x_i))

over the answered papers and the background, y_i = 1 for what was liked and -1 for all else. The weights c of
what was liked add up to 1, those of what was refused to NEGATIVE_WEIGHT, those of the background to
BACKGROUND_WEIGHT. Only products x_i.x_j are needed (the kernel trick), so papers are compared by all their
words and, where there are vectors, by meaning, and nothing is hashed or projected. The minimum is found by a
fixed number of Nesterov's steps (Introductory Lectures on Convex Optimization, 2.2.1, strongly convex), each
a few products of matrices for a whole block of people.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from zlib import crc32

import numpy as np
import numpy.typing as npt

from service.ranking.corpus import Corpus, Floats
from service.ranking.signals import term_cosines
from service.ranking.values import Profile

LEAST_LIKED, LEAST_DISLIKED = 3, 2  # answers from which on a model is of use (docs/evaluation.md)
LIKED_ALONE = 20  # from so many on it is of use without any that were not liked
STRENGTH = 10.0  # C: how much the answers count against keeping to the middle
NEGATIVE_WEIGHT = 0.5
BACKGROUND_WEIGHT = 0.5
BACKGROUND = 100  # papers that stand for all that nobody spoke of
DECAY = 0.01  # of an answer's weight, each day
MEANING = 0.25  # share of the vectors' likeness in the likeness of two papers, where there are vectors
BIAS = 1.0  # what any two papers have in common: lets the model be for or against everything
STEPS = 40
MOST_ANSWERS = 500  # of one person
WORDS_NAMED, PAPERS_NAMED = 10, 5
BLOCK_NUMBERS = 1 << 20  # in one block's products: 4 MB, near the processor

Places = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Given:
    """One person's answers as places in a corpus, with signs (1 liked, -1 not) and weights c."""

    places: Places
    signs: Floats
    weights: Floats

    @classmethod
    def of(cls, corpus: Corpus, profile: Profile) -> "Given":
        """Read the answers of ``profile``; the examples of interests count as liked today.

        Papers the corpus does not know are left out. An answer's weight is exp(-DECAY * its days).
        """
        answers = [*profile.liked, *profile.disliked]
        days = profile.answer_days or (0.0,) * len(answers)
        signs = [1.0] * len(profile.liked) + [-1.0] * len(profile.disliked)
        told = {
            id_: (sign, day)
            for id_, sign, day in zip(answers, signs, days, strict=True)
            if id_ in corpus.index
        }
        for one in profile.interests:
            for id_ in one.examples:
                if id_ in corpus.index:
                    told.setdefault(id_, (1.0, 0.0))
        newest = sorted(told.items(), key=lambda entry: (entry[1][1], entry[0]))[:MOST_ANSWERS]
        places = np.array([corpus.index[id_] for id_, _ in newest], np.int64)
        side = np.array([sign for _, (sign, _) in newest], np.float32)
        weights = np.exp(-DECAY * np.array([day for _, (_, day) in newest], np.float32))
        for sign, total in ((1, 1.0), (-1, NEGATIVE_WEIGHT)):
            weights[side == sign] *= total / max(float(weights[side == sign].sum()), 1e-9)
        return cls(places, side, weights.astype(np.float32))


@dataclass(frozen=True, slots=True, eq=False)
class Model:
    """What was learned of a block of people: how much each paper counts for them.

    ``own`` has a row for each person and columns for their answered papers (0 beyond the last), ``others``
    for the background. A score of a paper is the sum of its products with these, times the amounts.
    """

    own: Floats
    others: Floats


def is_enough(profile: Profile) -> bool:
    """Say whether there are answers enough to learn from; the examples of interests count as liked."""
    liked = len(set(profile.liked).union(*(one.examples for one in profile.interests)))
    return liked >= LIKED_ALONE or (liked >= LEAST_LIKED and len(profile.disliked) >= LEAST_DISLIKED)


def scores(corpus: Corpus, profiles: Sequence[Profile]) -> Floats:
    """Give each person's score of every candidate: above 0 is more like what was liked than like all else.

    Shape (people, candidates). Everybody is learned from, however few the answers.
    """
    result = np.zeros((len(profiles), corpus.count), np.float32)
    if not corpus.count:
        return result
    given = [Given.of(corpus, profile) for profile in profiles]
    background = background_of(corpus)
    others = np.array([products(corpus, place) for place in background.tolist()])
    for rows in _blocks(given):
        model = train(corpus, [given[row] for row in rows], background, others[:, background])
        result[rows] = model.others @ others
        for row, amounts in zip(rows, model.own, strict=True):
            for place, amount in zip(given[row].places.tolist(), amounts.tolist(), strict=False):
                result[row] += np.float32(amount) * products(corpus, place)
    return result


def train(corpus: Corpus, block: Sequence[Given], background: Places, apart: Floats) -> Model:
    """Learn from the answers of a block of people; ``apart`` are the products of the ``background``."""
    size = max((len(one.places) for one in block), default=0)
    told = np.zeros((len(block), size), np.float32)
    own = np.zeros((len(block), size, size), np.float32)
    crossed = np.zeros((len(block), size, len(background)), np.float32)
    silent = np.full((len(block), len(background)), BACKGROUND_WEIGHT / max(len(background), 1), np.float32)
    for row, one in enumerate(block):
        count = len(one.places)
        told[row, :count] = one.signs * one.weights
        own[row, :count, :count] = among(corpus, one.places)
        for at, place in enumerate(one.places.tolist()):
            crossed[row, at] = products(corpus, place)[background]
        silent[row, np.isin(background, one.places)] = 0  # who spoke of a paper is not silent on it
    return solve(own, crossed, apart, told, silent)


def solve(own: Floats, crossed: Floats, apart: Floats, told: Floats, silent: Floats) -> Model:
    """Minimize the loss of each person of a block.

    ``own`` (people, m, m) are the products of each one's answered papers, ``crossed`` (people, m, b) those
    with the background, ``apart`` (b, b) those of the background. ``told`` (people, m) are signs times
    weights, 0 where a person has fewer than m; ``silent`` (people, b) the weights of the background.
    """
    pull, push = np.float32(STRENGTH) * told, np.float32(-STRENGTH) * silent
    sign = np.sign(told)
    # No eigenvalue of a matrix is above its largest sum of a row: the steepest slope's bound of each person.
    rows = np.abs(own) @ np.abs(told)[:, :, None] + np.abs(crossed) @ silent[:, :, None]
    columns = np.abs(crossed).swapaxes(1, 2) @ np.abs(told)[:, :, None]
    columns = columns[:, :, 0] + silent @ np.abs(apart)
    steepest = np.maximum(rows.max(axis=(1, 2), initial=0), columns.max(axis=1, initial=0))
    steepest = (1 + STRENGTH / 4 * steepest).astype(np.float32)[:, None]
    step, drive = 1 / steepest, (np.sqrt(steepest) - 1) / (np.sqrt(steepest) + 1)
    first, second = np.zeros_like(pull), np.zeros_like(push)
    ahead_first, ahead_second = first, second
    for _ in range(STEPS):
        value = (own @ ahead_first[:, :, None] + crossed @ ahead_second[:, :, None])[:, :, 0]
        other = (ahead_first[:, None, :] @ crossed)[:, 0] + ahead_second @ apart
        new_first = ahead_first - step * (ahead_first - pull * _chance(-sign * value))
        new_second = ahead_second - step * (ahead_second - push * _chance(other))
        ahead_first = new_first + drive * (new_first - first)
        ahead_second = new_second + drive * (new_second - second)
        first, second = new_first, new_second
    return Model(first, second)


def background_of(corpus: Corpus) -> Places:
    """Give the places of the candidates that stand for all that nobody spoke of: by chance, but the same."""
    codes = np.array([crc32(paper.id.encode()) for paper in corpus.candidates], np.int64)
    return np.sort(np.argsort(codes, kind="stable")[:BACKGROUND])


def products(corpus: Corpus, place: int) -> Floats:
    """Give the products of the paper at ``place`` with all candidates; kept, since many answer the same."""
    kept = corpus.kept.setdefault("products", {})
    if place not in kept:
        found = term_cosines(corpus, place) + np.float32(0)
        if (dense := corpus.dense) is not None:
            found *= np.float32(1 - MEANING)
            found += np.float32(MEANING) * (dense.centred[: corpus.count] @ dense.centred[place])
        kept[place] = found + np.float32(BIAS)
    return kept[place]  # type: ignore[no-any-return]


def among(corpus: Corpus, places: Places) -> Floats:
    """Give the products of some papers with each other."""
    terms = corpus.terms
    sizes = terms.starts[places + 1] - terms.starts[places]
    firsts = np.cumsum(sizes) - sizes
    cells = np.arange(int(sizes.sum())) + np.repeat(terms.starts[places] - firsts, sizes)
    used, column = np.unique(terms.term[cells], return_inverse=True)
    rows = np.zeros((len(places), len(used)), np.float32)
    rows[np.repeat(np.arange(len(places)), sizes), column] = terms.likeness[cells]
    found: Floats = rows @ rows.T
    if (dense := corpus.dense) is not None:
        found *= np.float32(1 - MEANING)
        found += np.float32(MEANING) * (dense.centred[places] @ dense.centred[places].T)
    return found + np.float32(BIAS)


def _blocks(given: Sequence[Given]) -> Iterator[list[int]]:
    """Part people into blocks of like many answers, small enough to be worked out at once."""
    order = sorted(range(len(given)), key=lambda row: len(given[row].places))
    block: list[int] = []
    for row in order:
        size = max(len(given[row].places), 1)
        if block and (len(block) + 1) * size * (size + BACKGROUND) > BLOCK_NUMBERS:
            yield block
            block = []
        block.append(row)
    if block:
        yield block


def _chance(values: npt.NDArray[Any]) -> Floats:
    """Give 1 / (1 + exp(-value)) without overflow."""
    chance: Floats = (np.tanh(values * np.float32(0.5)) + 1) * np.float32(0.5)
    return chance


# -- what was learned, in words -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Learned:
    """What weighs most in somebody's model, the heaviest first.

    ``words_for`` occur in a paper that was liked, ``words_against`` in one that was not; ``papers`` are ids.
    """

    words_for: tuple[str, ...]
    words_against: tuple[str, ...]
    papers: tuple[str, ...]


def explain(corpus: Corpus, profile: Profile) -> Learned | None:
    """Say what weighs most in the model of ``profile``; None where there are not answers enough for one."""
    if not is_enough(profile) or not corpus.count:
        return None
    given, background = Given.of(corpus, profile), background_of(corpus)
    apart = np.array([products(corpus, place) for place in background.tolist()])[:, background]
    model = train(corpus, [given], background, apart)
    amounts = np.concatenate([model.own[0, : len(given.places)], model.others[0]])
    weights = term_weights(corpus, np.concatenate([given.places, background]), amounts)
    said = {sign: _terms_in(corpus, given.places[given.signs == sign]) for sign in (1, -1)}
    heaviest = np.argsort(-np.abs(amounts[: len(given.places)]), kind="stable")[:PAPERS_NAMED]
    return Learned(
        words_for=_names(corpus, weights, said[1]),
        words_against=_names(corpus, -weights, said[-1]),
        papers=tuple(corpus.papers[given.places[one]].id for one in heaviest.tolist()),
    )


def term_weights(corpus: Corpus, places: Places, amounts: Floats) -> Floats:
    """Give the weight of each word and pair of words in a model: its part of w, the meaning aside."""
    terms = corpus.terms
    weights = np.zeros(len(terms.term_starts) - 1, np.float32)
    for place, amount in zip(places.tolist(), amounts.tolist(), strict=True):
        cells = slice(terms.starts[place], terms.starts[place + 1])
        weights[terms.term[cells]] += np.float32(amount) * terms.likeness[cells]
    return weights


def _terms_in(corpus: Corpus, places: Places) -> Places:
    terms = corpus.terms
    cells = [terms.term[terms.starts[place] : terms.starts[place + 1]] for place in places.tolist()]
    return np.unique(np.concatenate(cells)).astype(np.int64) if cells else np.empty(0, np.int64)


def _names(corpus: Corpus, weights: Floats, said: Places) -> tuple[str, ...]:
    """Name the terms of ``said`` with the highest weights above 0, as they are mostly written."""
    heaviest = said[np.argsort(-weights[said], kind="stable")][: 3 * WORDS_NAMED]
    named: list[str] = []
    for term in heaviest[weights[heaviest] > 0].tolist():
        name = _name(corpus, term)
        if not any(name in other or other in name for other in named):  # a pair and its words are one thing
            named.append(name)
    return tuple(named[:WORDS_NAMED])


def _name(corpus: Corpus, term: int) -> str:
    terms, size = corpus.terms, len(corpus.stem_numbers)
    stems = [term] if term < size else list(divmod(int(terms.pairs[term - size]), size))
    return " ".join(_written(corpus, stem) for stem in stems)


def _written(corpus: Corpus, stem: int) -> str:
    numbers = corpus.run[corpus.stem_postings.of(stem)]
    return corpus.words[int(np.bincount(numbers).argmax())]
