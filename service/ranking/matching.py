"""How well papers fit an interest, and the reasons why. An interest is worked out once for everybody.

Order and truth are two questions. The order of all candidates comes from every signal there is (see
signals); a true match is what an exact rule admits, and what a reason can be given for.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from service.ranking.corpus import Corpus, Floats, Ints, Mask
from service.ranking.fusion import best, to_one
from service.ranking.membership import by_authors, category_key, in_categories, is_category
from service.ranking.names import may_be_same, parse_name
from service.ranking.phrases import Occurrences, as_written, find, rarity
from service.ranking.signals import by_examples, by_phrases, phrase_vectors, texts_of
from service.ranking.text import words
from service.ranking.values import Interest

LEAST_EVIDENCE = 1.0  # a phrase once side by side in the abstract, or close together in the title
LEAST_LIKENESS = 0.14  # cosine of words below which "similar to" would be a stretch
LEAST_DISLIKENESS = 0.18
LEAST_CLOSENESS = 0.45  # cosine of meaning of a phrase and a paper that is called close to it, if it also
LEAST_STANDING = 2.0  # stands out among the candidates: words such as "models" are close to half of them
LEAST_KINSHIP = 0.6  # cosine of meaning of two papers that are called similar
CATEGORY_WORTH = 0.25  # of the best match
AUTHOR_WORTH = 2.0
MAINLY_AGAINST = 2.0  # evidence: in the title, the keywords, or twice in the abstract
AGAINST_COST = 0.4  # of the best match, for a paper that speaks of what counts against it
AGAINST_FULL = 5.0  # standard score by what counts against at which all of the cost is due
PHRASES_NAMED = 3
KEPT_INTERESTS = 5_000
SLACK = 1e-4  # sums differ in the last digits


@dataclass(frozen=True, slots=True)
class Match:
    """One interest against all candidates: scores above 0 are true matches."""

    scores: Floats
    hints: Floats  # how well each fits, 0..1, in one order with the scores: orders papers that don't match
    by_author: Mask
    found: tuple[tuple[Occurrences, float], ...]  # each phrase with its rarity

    def columns(self) -> Ints:
        """Give the candidates best first, as far down as matches go.

        Those by a followed author stand first; then true matches and, among them, candidates that fit as well
        as the better half of these, though no rule admits them; at most as many as there are matches. Nothing
        can be said of why, but to put them behind all that anything can be said of would be a worse order.
        """
        is_true = self.scores > 0
        matched = np.flatnonzero(is_true)
        if not len(matched):
            return matched.astype(np.int32)
        others = best(np.where(is_true, np.float32(-1), self.hints), len(matched))
        near = others[self.hints[others] >= np.median(self.hints[matched])]
        chosen = np.concatenate([matched, near[~is_true[near]]])
        standing = self.hints[chosen] + np.float32(AUTHOR_WORTH) * self.by_author[chosen]
        return chosen[np.argsort(-standing, kind="stable")].astype(np.int32)


def match(corpus: Corpus, interest: Interest) -> Match:
    """Match ``interest``; what was worked out for the same one before is found again."""
    kept = corpus.kept.setdefault("matches", {})
    key = (interest.phrases, interest.categories, interest.authors, interest.examples, interest.against)
    # Put back at the end: what many ask for is kept, what was not asked for the longest goes.
    found: Match = kept.pop(key) if key in kept else _match(corpus, interest)
    if len(kept) >= KEPT_INTERESTS:
        del kept[next(iter(kept))]
    kept[key] = found
    return found


def _match(corpus: Corpus, interest: Interest) -> Match:
    found = tuple(_found(corpus, phrase) for phrase in interest.phrases)
    evidence = _evidence(corpus, [one for one, _ in found])
    opinions = [by_phrases(corpus, interest.phrases), by_examples(corpus, interest.examples)]
    fit = _together(corpus, [one for one in opinions if one is not None])
    listed = in_categories(corpus, interest.categories)
    fit = fit + np.float32(CATEGORY_WORTH) * listed.astype(np.float32)
    is_true = (evidence >= LEAST_EVIDENCE - SLACK) | listed | (closeness(corpus, interest.phrases) > 0)
    is_true |= is_similar(corpus, interest.examples)
    if interest.against and corpus.recipe.against:
        refused, cost = _against(corpus, interest)
        is_true &= ~refused
        fit = fit - cost
    fit = to_one(fit)
    by_author = by_authors(corpus, interest.authors)
    # Above 0 for every true match, even the last in order.
    scores = np.where(is_true, fit + np.float32(0.01), np.float32(0)) + np.float32(AUTHOR_WORTH) * by_author
    return Match(scores.astype(np.float32), fit, by_author, found)


def match_many(corpus: Corpus, interests: Sequence[Interest]) -> list[Match]:
    """Match several interests; what they say is turned into vectors in one go."""
    read_phrases(corpus, interests)
    return [match(corpus, one) for one in interests]


def read_phrases(corpus: Corpus, interests: Iterable[Interest]) -> None:
    """Have what ``interests`` say turned into vectors in one go, as far as that was not done before."""
    if corpus.dense is None or corpus.meanings is None:
        return
    known: set[str] = corpus.kept.setdefault("phrases_read", set())
    new = {phrase for one in interests for phrase in (*one.phrases, *one.against)} - known
    if texts := {text for phrase in new if words(phrase) for text in texts_of(corpus, phrase)}:
        corpus.meanings.phrases(sorted(texts))
    known |= new


def _found(corpus: Corpus, phrase: str) -> tuple[Occurrences, float]:
    occurrences = find(corpus, phrase)
    spread = int(np.count_nonzero(occurrences.evidence(corpus)))
    return occurrences, rarity(spread, corpus.count)


def _evidence(corpus: Corpus, found: Sequence[Occurrences]) -> Floats:
    summed: Floats = np.sum([one.evidence(corpus) for one in found] or [_none(corpus)], axis=0)
    return summed


def _together(corpus: Corpus, opinions: Sequence[Floats]) -> Floats:
    return to_one(np.sum(opinions, axis=0)) if opinions else _none(corpus)


def _none(corpus: Corpus) -> Floats:
    return np.zeros(corpus.count, np.float32)


def closeness(corpus: Corpus, phrases: Sequence[str]) -> Floats:
    """Give the cosine of meaning of each candidate and the phrase it is closest to.

    0 where it is close to none: the cosine is low, or does not stand out, or there are no vectors.
    """
    cosines = _meant(corpus, phrases)
    if cosines is None or (dense := corpus.dense) is None:
        return _none(corpus)
    known = cosines[:, dense.candidates_known]
    border = known.mean(axis=1) + LEAST_STANDING * known.std(axis=1)
    least = np.maximum(border, LEAST_CLOSENESS)[:, None]
    closest: Floats = np.where(cosines >= least, cosines, np.float32(0)).max(axis=0)
    return closest


def _meant(corpus: Corpus, phrases: Sequence[str]) -> Floats | None:
    """Give the cosine of meaning of each phrase with each candidate, shape (phrases, candidates)."""
    vectors = phrase_vectors(corpus, phrases)
    return None if vectors is None or corpus.dense is None else corpus.dense.cosines(vectors)


def is_similar(corpus: Corpus, examples: Sequence[str]) -> Mask:
    """Mark the candidates that are like one of ``examples``, by words or by meaning."""
    _, nearest = likeness(corpus, examples)
    found = nearest >= LEAST_LIKENESS
    if (dense := corpus.dense) is not None:
        places = [corpus.index[id_] for id_ in examples if id_ in corpus.index]
        if places:
            found |= (dense.cosines(dense.rows[places]) >= LEAST_KINSHIP).any(axis=0)
    return found


def _against(corpus: Corpus, interest: Interest) -> tuple[Mask, Floats]:
    """Mark the candidates that are mainly about what counts against them, and what each is to lose.

    Mainly about it is a paper that has it in its title, its keywords or twice in the abstract, one in such a
    category, and one nearer in meaning to it than to what is asked for.
    """
    phrases = [one for one in interest.against if not is_category(one)]
    evidence = np.max([find(corpus, one).evidence(corpus) for one in phrases] or [_none(corpus)], axis=0)
    refused = in_categories(corpus, [one for one in interest.against if is_category(one)])
    refused = refused | (evidence >= MAINLY_AGAINST - SLACK)
    close = closeness(corpus, phrases)
    asked = _meant(corpus, interest.phrases)
    refused |= (close > 0) & (close > (_none(corpus) if asked is None else asked.max(axis=0)))
    share = np.clip(evidence / np.float32(MAINLY_AGAINST), 0, 1)
    if (opinion := by_phrases(corpus, phrases)) is not None:
        share = np.maximum(share, np.clip(opinion / np.float32(AGAINST_FULL), 0, 1))
    return refused, np.float32(AGAINST_COST) * share + refused


def like_disliked(corpus: Corpus, liked: Sequence[str], disliked: Sequence[str]) -> Mask:
    """Mark the candidates that are more like something disliked than like anything liked."""
    _, near_liked = likeness(corpus, liked)
    _, near_disliked = likeness(corpus, disliked)
    return (near_disliked >= LEAST_DISLIKENESS) & (near_disliked > near_liked)


def likeness(corpus: Corpus, ids: Sequence[str]) -> tuple[Floats, Floats]:
    """Give each candidate's likeness to the papers ``ids``: to all taken together, and to the nearest."""
    rows = [cosines(corpus, id_) for id_ in dict.fromkeys(ids) if id_ in corpus.index]
    if not rows:
        return _none(corpus), _none(corpus)
    return np.mean(rows, axis=0, dtype=np.float32), np.max(rows, axis=0)


def cosines(corpus: Corpus, id_: str) -> Floats:
    """Give every candidate's TF-IDF cosine with the paper ``id_`` of the corpus."""
    kept = corpus.kept.setdefault("cosines", {})
    if id_ not in kept:
        kept[id_] = corpus.likeness.to(corpus.index[id_])[: corpus.count]
    return kept[id_]  # type: ignore[no-any-return]


def reasons(corpus: Corpus, interest: Interest, place: int) -> tuple[str, ...]:
    """Say why the candidate at ``place`` matches ``interest``; empty where it does not."""
    result = match(corpus, interest)
    if not result.scores[place]:
        return ()
    lines = []
    if result.by_author[place]:
        lines.append(f"by {_followed(corpus, interest, place)}, an author you follow")
    matched = _matched_words(corpus, result, place) or _matched_categories(corpus, interest, place)
    if matched:
        lines.append(f"matches '{interest.name}': {', '.join(matched[:PHRASES_NAMED])}")
    elif (phrase := nearest_phrase(corpus, interest.phrases, place)) is not None:
        lines.append(f"matches '{interest.name}': close in meaning to '{phrase}'")
    if (example := nearest_example(corpus, interest.examples, place)) is not None:
        whose = ", in your library" if interest.library else ""
        lines.append(f"similar to {corpus.papers[corpus.index[example]].title}{whose}")
    return tuple(lines)


def nearest_phrase(corpus: Corpus, phrases: Sequence[str], place: int) -> str | None:
    """Give the one of ``phrases`` that the candidate at ``place`` is closest to in meaning, if to any."""
    near = [(float(closeness(corpus, [one])[place]), one) for one in phrases]
    closest = max(near, default=(0.0, ""), key=lambda entry: entry[0])
    return closest[1] if closest[0] > 0 else None


def nearest_example(corpus: Corpus, ids: Sequence[str], place: int) -> str | None:
    """Give the one of ``ids`` that the candidate at ``place`` is most like, if it is like any.

    Like by its words; where it is like none by words, by meaning.
    """
    near = [(float(cosines(corpus, id_)[place]), id_) for id_ in ids if id_ in corpus.index]
    nearest = max(near, default=(0.0, ""))
    if nearest[0] >= LEAST_LIKENESS or not near or (dense := corpus.dense) is None:
        return nearest[1] if nearest[0] >= LEAST_LIKENESS else None
    near = [(float(dense.rows[corpus.index[id_]] @ dense.rows[place]), id_) for _, id_ in near]
    nearest = max(near)
    return nearest[1] if nearest[0] >= LEAST_KINSHIP - SLACK else None


def _followed(corpus: Corpus, interest: Interest, place: int) -> str:
    followed = [parse_name(one) for one in interest.authors]
    names = corpus.papers[place].authors
    return next(one for one in names if any(may_be_same(parse_name(one), other) for other in followed))


def _matched_categories(corpus: Corpus, interest: Interest, place: int) -> list[str]:
    wanted = {category_key(one) for one in interest.categories}
    return [
        one
        for one in corpus.papers[place].categories
        if {category_key(one), category_key(one.split(".")[0])} & wanted
    ]


def _matched_words(corpus: Corpus, result: Match, place: int) -> list[str]:
    """Give the matching words, those of the weightiest phrase first."""
    weighed = [
        (-worth * evidence, number, occurrences, evidence)
        for number, (occurrences, worth) in enumerate(result.found)
        if (evidence := occurrences.evidence_in(corpus, place)) > 0
    ]
    if sum(evidence for *_, evidence in weighed) < LEAST_EVIDENCE - SLACK:
        return []
    texts = (as_written(corpus, one, place) for _, _, one, _ in sorted(weighed, key=lambda entry: entry[:2]))
    return list(dict.fromkeys(text for text in texts if text))
