"""What speaks for each candidate, by an interest's phrases and by its examples, joined into one opinion.

Every signal is a number for each candidate; they are joined as standard scores (see fusion). Where there are
dense vectors they speak beside the words, where there are none the words speak alone.
"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from service.ranking.corpus import Corpus, Floats, Ints
from service.ranking.fusion import best, joined, nearest_mean, standard, standard_where
from service.ranking.names import parse_name
from service.ranking.text import words

Wide = npt.NDArray[np.int64]

# All chosen on the tuning half (docs/evaluation.md).
AUTHOR_WORTH = 0.1  # of the same author as an example, beside likeness
NEAREST = 3  # examples whose likeness counts once more: an interest may have several sides
APART_EXAMPLES = 10  # of so many, what sets them apart from all other papers weighs as much as likeness
FEEDBACK = 10  # of the best papers lend their words and meaning to the interest, the first the most
FEEDBACK_SHARE = 100  # in a small corpus one for so many candidates
MOST_KEPT = 4_000  # candidates among which each one's likeness to all others is kept: 64 MB at most
PHRASE_FEEDBACK_WORTH = 1.5  # a phrase says little, so that its best papers say more
EXAMPLE_FEEDBACK_WORTH = 0.25


def by_phrases(corpus: Corpus, phrases: Sequence[str]) -> Floats | None:
    """Give standard scores by the words and the meaning of ``phrases``; None where they say nothing."""
    recipe = corpus.recipe
    lexical = standard(_words(corpus, phrases))
    parts = [lexical] if recipe.lexical else []
    if (meant := meaning(corpus, phrases)) is not None and corpus.dense is not None:
        parts.append(standard_where(meant, corpus.dense.candidates_known, lexical))
    return _settled(corpus, parts, PHRASE_FEEDBACK_WORTH)


def _words(corpus: Corpus, phrases: Sequence[str]) -> Floats:
    """Score candidates by BM25 of the words and pairs of words, short forms spelled out as well."""
    terms: list[int] = []
    for phrase in phrases:
        written = words(phrase)
        terms += corpus.terms.of(written)
        if corpus.recipe.acronyms:
            terms += corpus.terms.of(corpus.acronyms.spelled_out(written))
    return corpus.terms.matching(list(dict.fromkeys(terms)))


def meaning(corpus: Corpus, phrases: Sequence[str]) -> Floats | None:
    """Give each candidate's likeness in meaning to the phrase it is nearest to; None without vectors."""
    vectors = phrase_vectors(corpus, phrases)
    if vectors is None or corpus.dense is None:
        return None
    papers = corpus.dense.centred if corpus.recipe.centring else corpus.dense.rows
    nearest: Floats = (vectors @ papers[: corpus.count].T).max(axis=0)
    return nearest


def phrase_vectors(corpus: Corpus, phrases: Sequence[str]) -> Floats | None:
    """Give a vector of length 1 for each phrase that has words: the mean of it as written and spelled out."""
    phrases = [phrase for phrase in phrases if words(phrase)]
    if corpus.dense is None or corpus.meanings is None or not phrases:
        return None
    texts = [text for phrase in phrases for text in texts_of(corpus, phrase)]
    pairs = corpus.meanings.phrases(texts).reshape(len(phrases), 2, -1).sum(axis=1)
    unit: Floats = pairs / np.maximum(np.linalg.norm(pairs, axis=1, keepdims=True), 1e-6)
    return unit


def texts_of(corpus: Corpus, phrase: str) -> tuple[str, str]:
    """Give a phrase as written and with its short forms spelled out; twice the same where it has none."""
    written = words(phrase)
    spelled = corpus.acronyms.spelled_out(written) if corpus.recipe.acronyms else written
    return phrase, phrase if spelled == written else " ".join(spelled)


def by_examples(corpus: Corpus, examples: Sequence[str]) -> Floats | None:
    """Give standard scores by likeness to ``examples`` and their authors; None where none is known."""
    places = np.array([corpus.index[id_] for id_ in dict.fromkeys(examples) if id_ in corpus.index], np.int64)
    if not len(places):
        return None
    recipe = corpus.recipe
    rows = np.array([term_cosines(corpus, place) for place in places.tolist()])
    centre = rows.mean(axis=0) - (corpus.terms.common if recipe.centring else 0)
    alike = [standard(centre), standard(nearest_mean(rows, NEAREST))]
    parts = alike if recipe.lexical else []
    parts = parts + _meanings(corpus, places, standard(np.sum(alike, axis=0)))
    beside = np.float32(AUTHOR_WORTH) * standard(_authors(corpus, places)) if recipe.authors else None
    return _settled(corpus, parts, EXAMPLE_FEEDBACK_WORTH, beside=beside, known=places)


def term_cosines(corpus: Corpus, place: int) -> Floats:
    """Give every candidate's cosine, by words and pairs of words, with the paper at ``place``."""
    kept = corpus.kept.setdefault("term_cosines", {})
    if place not in kept:
        kept[place] = corpus.terms.cosines(place)
    return kept[place]  # type: ignore[no-any-return]


def _meanings(corpus: Corpus, places: Wide, otherwise: Floats) -> list[Floats]:
    dense = corpus.dense
    if dense is None or not len(places := places[dense.known[places]]):
        return []
    papers = dense.centred if corpus.recipe.centring else dense.rows
    rows = papers[places] @ papers[: corpus.count].T
    apart = dense.apart[: corpus.count] @ (dense.rows[places].mean(axis=0) - dense.mean)
    alike = [
        standard_where(scores, dense.candidates_known, otherwise)
        for scores in (rows.mean(axis=0), nearest_mean(rows, NEAREST), apart)
    ]
    # What sets examples apart is the surer the more there are, as any mean is: by the root of their number.
    alike[-1] *= np.float32(np.sqrt(len(places) / APART_EXAMPLES))
    return alike if corpus.recipe.contrast else alike[:-1]


def _authors(corpus: Corpus, places: Wide) -> Floats:
    """Score candidates by the authors they share with the papers at ``places``, by how rare they are."""
    holders = corpus.kept.get("papers_of")
    if holders is None:
        holders = corpus.kept["papers_of"] = _papers_of(corpus)
    shared = np.zeros(corpus.count, np.float32)
    for name in {parse_name(author) for place in places.tolist() for author in corpus.papers[place].authors}:
        if (found := holders.get(name)) is not None:
            shared[found] += np.log((1 + corpus.count) / (1 + len(found)))
    return np.log1p(shared)


def _papers_of(corpus: Corpus) -> dict[tuple[str, ...], list[int]]:
    holders: dict[tuple[str, ...], list[int]] = {}
    for place, paper in enumerate(corpus.candidates):
        for name in {parse_name(author) for author in paper.authors}:
            holders.setdefault(name, []).append(place)
    return holders


def _settled(
    corpus: Corpus,
    parts: list[Floats],
    worth: float,
    *,
    beside: Floats | None = None,
    known: Wide | None = None,
) -> Floats | None:
    """Join ``parts``, then let the best papers by them speak for the interest as well.

    Those already ``known`` have spoken: the examples themselves.
    """
    if not parts:
        return None
    recipe = corpus.recipe
    whole = joined(parts, by_ranks=recipe.by_ranks)
    if beside is not None:
        whole = standard(whole + beside)
    count = min(FEEDBACK, corpus.count // FEEDBACK_SHARE)
    if not recipe.feedback or not count or not whole.any():
        return whole
    new = whole.copy()
    if known is not None:
        new[known[known < corpus.count]] = -np.inf
    fed = joined(_like(corpus, best(new, count)), by_ranks=recipe.by_ranks)
    return standard(whole + np.float32(worth) * fed)


def _like(corpus: Corpus, places: Ints) -> list[Floats]:
    """Give candidates' likeness to the papers at ``places``, best first, by words and by meaning."""
    recipe, dense = corpus.recipe, corpus.dense
    weights = (1 / np.log2(np.arange(len(places)) + 2)).astype(np.float32)
    alike = standard(_towards(corpus, places, weights))
    parts = [alike] if recipe.lexical else []
    if dense is not None and dense.known[places].any():
        papers = dense.centred if recipe.centring else dense.rows
        scores = papers[: corpus.count] @ (weights @ papers[places])
        parts.append(standard_where(scores, dense.candidates_known, alike))
    return parts


def _towards(corpus: Corpus, places: Ints, weights: Floats) -> Floats:
    """Give candidates' likeness by words to the weighted mean of the papers at ``places``.

    The same papers lend their words to many interests: from the likeness of each, worked out once, it is a
    sum of a few rows.
    """
    is_centred = corpus.recipe.centring
    if corpus.count > MOST_KEPT:
        return corpus.terms.towards(places, weights, less_common=is_centred)
    rows = np.array([term_cosines(corpus, place) for place in places.tolist()])
    found: Floats = (weights / weights.sum()) @ rows
    return found - corpus.terms.common if is_centred else found
