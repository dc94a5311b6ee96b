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
from service.ranking.values import Profile

LEAST_LIKED, LEAST_DISLIKED = 3, 8  # answers below which nothing is learned
STRENGTH = 10.0  # C: how much the answers count against keeping to the middle
NEGATIVE_WEIGHT = 0.5
BACKGROUND_WEIGHT = 0.5
BACKGROUND = 100  # papers that stand for all that nobody spoke of
DECAY = 0.01  # of an answer's weight, each day
MEANING = 0.25  # share of the vectors' likeness in the likeness of two papers, where there are vectors
BIAS = 1.0  # what any two papers have in common: lets the model be for or against everything
STEPS = 40
MOST_ANSWERS = 500  # of one person
BLOCK_NUMBERS = 1 << 22  # in one block's products: 16 MB
MOST_ROWS = 2_048  # answered papers of one block, all people together
ROWS_AT_ONCE = 32

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
    """Say whether there are answers enough to learn from."""
    return len(profile.liked) >= LEAST_LIKED and len(profile.disliked) >= LEAST_DISLIKED


def scores(corpus: Corpus, profiles: Sequence[Profile]) -> Floats:
    """Give each person's score of every candidate: above 0 is more like what was liked than like all else.

    Shape (people, candidates). Everybody is learned from, however few the answers.
    """
    result = np.zeros((len(profiles), corpus.count), np.float32)
    if not corpus.count:
        return result
    given = [Given.of(corpus, profile) for profile in profiles]
    background = background_of(corpus)
    for rows in _blocks(given):
        block = [given[row] for row in rows]
        answered = np.unique(np.concatenate([one.places for one in block]))
        known = np.concatenate([answered, background])
        products = likeness(corpus, known, np.concatenate([np.arange(corpus.count), answered]))
        own, others = products[: len(answered)], products[len(answered) :]
        model = train(block, answered, background, own[:, corpus.count :], others)
        amounts = np.zeros((len(block), len(answered)), np.float32)
        for row, one in enumerate(block):
            amounts[row, np.searchsorted(answered, one.places)] = model.own[row, : len(one.places)]
        result[rows] = amounts @ own[:, : corpus.count] + model.others @ others[:, : corpus.count]
    return result


def train(
    block: Sequence[Given], answered: Places, background: Places, among: Floats, others: Floats
) -> Model:
    """Learn from the answers of a block of people.

    ``among`` holds the products of the papers ``answered`` (ascending) with each other, ``others`` those of
    the background with all candidates, then with ``answered``.
    """
    size = max((len(one.places) for one in block), default=0)
    where = np.zeros((len(block), size), np.int64)
    signs, weights = np.zeros((2, len(block), size), np.float32)
    for row, one in enumerate(block):
        where[row, : len(one.places)] = np.searchsorted(answered, one.places)
        signs[row, : len(one.places)] = one.signs
        weights[row, : len(one.places)] = one.weights
    crossed = others[:, others.shape[1] - len(answered) :].T
    apart = others[:, background]
    # A paper somebody spoke of is no background to them.
    spoken = np.zeros((len(block), len(answered)), np.bool_)
    np.put_along_axis(spoken, where, weights > 0, axis=1)
    met = np.isin(background, answered)
    silent = np.full((len(block), len(background)), BACKGROUND_WEIGHT / max(len(background), 1), np.float32)
    silent[:, met] *= ~spoken[:, np.searchsorted(answered, background[met])]
    return solve(among[where[:, :, None], where[:, None, :]], crossed[where], apart, signs * weights, silent)


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


def likeness(corpus: Corpus, rows: Places, columns: Places) -> Floats:
    """Give the products of papers: of words, of meaning where there are vectors, and BIAS."""
    products = words_in_common(corpus, rows, columns)
    vectors = meaning(corpus)
    if vectors is not None:
        products *= np.float32(1 - MEANING)
        products += np.float32(MEANING) * (vectors[rows] @ vectors[columns].T)
    return products + np.float32(BIAS)


def meaning(corpus: Corpus) -> Floats | None:
    """Give the vectors of all papers less what the candidates have in common, of length 1; None without any.

    All sentence vectors lean to one side: without that, every two papers seem alike.
    """
    vectors: Floats | None = getattr(corpus, "meaning", None)
    if vectors is None or not corpus.count:
        return None
    kept = corpus.kept.get("learning")
    if kept is None:
        known = np.any(vectors != 0, axis=1)
        among = vectors[: corpus.count][known[: corpus.count]]
        centred = np.where(known[:, None], vectors - (among.mean(axis=0) if len(among) else 0), 0)
        lengths = np.linalg.norm(centred, axis=1, keepdims=True)
        kept = corpus.kept["learning"] = (centred / np.maximum(lengths, 1e-9)).astype(np.float32)
    return kept  # type: ignore[no-any-return]


def words_in_common(corpus: Corpus, rows: Places, columns: Places) -> Floats:
    """Give the TF-IDF cosines of the papers at ``rows`` with those at ``columns``."""
    table = corpus.likeness
    entries, starts = _entries(table.starts, columns)
    terms, values = table.term[entries], table.value[entries]
    found = np.zeros((len(rows), len(columns)), np.float32)
    filled = np.flatnonzero(np.diff(np.append(starts, len(entries))))
    if not len(filled):
        return found
    asked = np.zeros((table.terms, ROWS_AT_ONCE), np.float32)
    for start in range(0, len(rows), ROWS_AT_ONCE):
        some = rows[start : start + ROWS_AT_ONCE]
        at, firsts = _entries(table.starts, some)
        number = np.repeat(np.arange(len(some)), np.diff(np.append(firsts, len(at))))
        asked[table.term[at], number] = table.value[at]
        products = asked[terms, : len(some)] * values[:, None]
        found[start : start + len(some), filled] = np.add.reduceat(products, starts[filled], axis=0).T
        asked[table.term[at], number] = 0
    return found


def _entries(starts: Places, places: Places) -> tuple[Places, Places]:
    """Give the entries of the papers at ``places``, one after the other, and where each paper's begin."""
    sizes = starts[places + 1] - starts[places]
    firsts = np.cumsum(sizes) - sizes
    return np.arange(int(sizes.sum())) + np.repeat(starts[places] - firsts, sizes), firsts


def _blocks(given: Sequence[Given]) -> Iterator[list[int]]:
    """Part people into blocks of like many answers, small enough to be worked out at once."""
    order = sorted(range(len(given)), key=lambda row: len(given[row].places))
    block: list[int] = []
    union: set[int] = set()
    for row in order:
        size = max(len(given[row].places), 1)
        joined = union.union(given[row].places.tolist())
        numbers = (len(block) + 1) * size * (size + BACKGROUND)
        if block and (numbers > BLOCK_NUMBERS or len(joined) > MOST_ROWS):
            yield block
            block, joined = [], set(given[row].places.tolist())
        block.append(row)
        union = joined
    if block:
        yield block


def _chance(values: npt.NDArray[Any]) -> Floats:
    """Give 1 / (1 + exp(-value)) without overflow."""
    chance: Floats = (np.tanh(values * np.float32(0.5)) + 1) * np.float32(0.5)
    return chance
