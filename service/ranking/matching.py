"""How well papers fit an interest, and the reasons why. An interest is worked out once for everybody."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from service.ranking.corpus import Corpus, Floats, Mask
from service.ranking.names import Name, may_be_same, parse_name
from service.ranking.phrases import Occurrences, as_written, find, loose_words, rarity, saturate
from service.ranking.values import Interest

LEAST_EVIDENCE = 1.0  # a phrase once side by side in the abstract, or close together in the title
LEAST_LIKENESS = 0.14  # cosine below which "similar to" would be a stretch
LEAST_DISLIKENESS = 0.18
DISLIKED_SHARE = 0.5  # of the weight of what was liked
CATEGORY_WORTH = 0.25  # of the best lexical match
AUTHOR_WORTH = 2.0
PHRASES_NAMED = 3
KEPT_INTERESTS = 5_000


@dataclass(frozen=True, slots=True)
class Match:
    """One interest against all candidates: scores above 0 are true matches."""

    scores: Floats
    hints: Floats  # single words in common, 0..1: orders papers that don't match
    by_author: Mask
    found: tuple[tuple[Occurrences, float], ...]  # each phrase with its rarity


def match(corpus: Corpus, interest: Interest) -> Match:
    """Match ``interest``; what was worked out for the same one before is found again."""
    kept = corpus.kept.setdefault("matches", {})
    key = (interest.phrases, interest.categories, interest.authors, interest.examples)
    if key not in kept:
        if len(kept) >= KEPT_INTERESTS:
            kept.clear()
        kept[key] = _match(corpus, interest)
    return kept[key]  # type: ignore[no-any-return]


def _match(corpus: Corpus, interest: Interest) -> Match:
    found: list[tuple[Occurrences, float]] = []
    lexical, evidence = np.zeros(corpus.count, np.float32), np.zeros(corpus.count, np.float32)
    for phrase in interest.phrases:
        occurrences = find(corpus, phrase)
        weight = occurrences.evidence(corpus)
        found.append((occurrences, rarity(int(np.count_nonzero(weight)), corpus.count)))
        evidence += weight
        lexical += np.float32(found[-1][1]) * saturate(weight, corpus.lengths)
    lexical = np.where(evidence >= LEAST_EVIDENCE - 1e-4, lexical, np.float32(0))
    alike, nearest = likeness(corpus, interest.examples)
    alike = np.where(nearest >= LEAST_LIKENESS, alike, np.float32(0))
    by_author = _by_author(corpus, interest.authors)
    scores = _to_one(lexical) + _to_one(alike) + CATEGORY_WORTH * in_categories(corpus, interest.categories)
    hints = _to_one(loose_words(corpus, interest.phrases))
    scores = np.where(scores > 0, scores + np.float32(0.01) * hints, 0) + AUTHOR_WORTH * by_author
    return Match(scores.astype(np.float32), hints, by_author, tuple(found))


def match_liked(corpus: Corpus, liked: Sequence[str], disliked: Sequence[str]) -> Match:
    """Match one person's answers (Rocchio): like what was liked, less what was not."""
    towards, nearest = likeness(corpus, liked)
    away, _ = likeness(corpus, disliked)
    scores = np.where(nearest >= LEAST_LIKENESS, towards - np.float32(DISLIKED_SHARE) * away, np.float32(0))
    nobody = np.zeros(corpus.count, bool)
    return Match(np.maximum(scores, 0), _to_one(towards), nobody, ())


def like_disliked(corpus: Corpus, liked: Sequence[str], disliked: Sequence[str]) -> Mask:
    """Mark the candidates that are more like something disliked than like anything liked."""
    _, near_liked = likeness(corpus, liked)
    _, near_disliked = likeness(corpus, disliked)
    return (near_disliked >= LEAST_DISLIKENESS) & (near_disliked > near_liked)


def likeness(corpus: Corpus, ids: Sequence[str]) -> tuple[Floats, Floats]:
    """Give each candidate's likeness to the papers ``ids``: to all taken together, and to the nearest."""
    rows = [cosines(corpus, id_) for id_ in dict.fromkeys(ids) if id_ in corpus.index]
    if not rows:
        return np.zeros(corpus.count, np.float32), np.zeros(corpus.count, np.float32)
    return np.mean(rows, axis=0, dtype=np.float32), np.max(rows, axis=0)


def cosines(corpus: Corpus, id_: str) -> Floats:
    """Give every candidate's TF-IDF cosine with the paper ``id_`` of the corpus."""
    kept = corpus.kept.setdefault("cosines", {})
    if id_ not in kept:
        kept[id_] = corpus.likeness.to(corpus.index[id_])[: corpus.count]
    return kept[id_]  # type: ignore[no-any-return]


def in_categories(corpus: Corpus, categories: Sequence[str]) -> Mask:
    """Mark the candidates in one of ``categories``; an archive ("cs", "cs.*") holds all of its own."""
    found = np.zeros(corpus.count, bool)
    members = corpus.kept.get("categories")
    if members is None:
        members = corpus.kept["categories"] = _members(corpus)
    for category in categories:
        found[members.get(_archive(category), [])] = True
    return found


def reasons(corpus: Corpus, interest: Interest, place: int) -> tuple[str, ...]:
    """Say why the candidate at ``place`` matches ``interest``; empty where it does not."""
    result = match(corpus, interest)
    if not result.scores[place]:
        return ()
    paper, lines = corpus.papers[place], []
    if result.by_author[place]:
        followed = [parse_name(one) for one in interest.authors]
        names = [
            one for one in paper.authors if any(may_be_same(parse_name(one), other) for other in followed)
        ]
        lines.append(f"by {names[0]}, an author you follow")
    matched = _matched_words(corpus, result, place)
    if not matched:
        wanted = {_archive(one) for one in interest.categories}
        matched = [one for one in paper.categories if {_archive(one), _archive(one.split(".")[0])} & wanted]
    if matched:
        lines.append(f"matches '{interest.name}': {', '.join(matched[:PHRASES_NAMED])}")
    if (example := nearest_example(corpus, interest.examples, place)) is not None:
        lines.append(f"similar to {corpus.papers[corpus.index[example]].title}")
    return tuple(lines)


def nearest_example(corpus: Corpus, ids: Sequence[str], place: int) -> str | None:
    """Give the one of ``ids`` that the candidate at ``place`` is most like, if it is like any."""
    near = [(float(cosines(corpus, id_)[place]), id_) for id_ in ids if id_ in corpus.index]
    best = max(near, default=(0.0, ""))
    return best[1] if best[0] >= LEAST_LIKENESS else None


def _matched_words(corpus: Corpus, result: Match, place: int) -> list[str]:
    """Give the matching words, those of the weightiest phrase first."""
    weighed = [
        (-worth * evidence, number, occurrences, evidence)
        for number, (occurrences, worth) in enumerate(result.found)
        if (evidence := occurrences.evidence_in(corpus, place)) > 0
    ]
    if sum(evidence for *_, evidence in weighed) < LEAST_EVIDENCE - 1e-4:  # sums differ in the last digits
        return []
    texts = (as_written(corpus, one, place) for _, _, one, _ in sorted(weighed, key=lambda entry: entry[:2]))
    return list(dict.fromkeys(text for text in texts if text))


def _to_one(scores: Floats) -> Floats:
    highest = float(scores.max(initial=0.0))
    return scores / np.float32(highest) if highest > 0 else scores


def _archive(category: str) -> str:
    return category.strip().lower().removesuffix(".*")


def _members(corpus: Corpus) -> dict[str, list[int]]:
    members: dict[str, list[int]] = {}
    for place, paper in enumerate(corpus.candidates):
        codes = {_archive(one) for one in paper.categories}
        for code in codes | {one.split(".")[0] for one in codes}:
            members.setdefault(code, []).append(place)
    return members


def _by_author(corpus: Corpus, authors: Sequence[str]) -> Mask:
    found = np.zeros(corpus.count, bool)
    if not authors:
        return found
    families = corpus.kept.get("authors")
    if families is None:
        families = corpus.kept["authors"] = _families(corpus)
    for author in authors:
        name = parse_name(author)
        for place, other in families.get(name[-1:], ()):
            if may_be_same(name, other):
                found[place] = True
    return found


def _families(corpus: Corpus) -> dict[Name, list[tuple[int, Name]]]:
    families: dict[Name, list[tuple[int, Name]]] = {}
    for place, paper in enumerate(corpus.candidates):
        for author in paper.authors:
            name = parse_name(author)
            families.setdefault(name[-1:], []).append((place, name))
    return families
