"""Where a phrase stands in the papers: its words side by side, close together, or most of many."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from service.ranking.corpus import Corpus, Floats, Ints
from service.ranking.text import STOPWORDS, stem, words

NEAR_WORDS = 8  # words of a phrase this close together still mean something
NEAR_WORTH = 0.35  # of what they are worth side by side
LONG_PHRASE = 5  # from this many words on it is a description: most of it must be there, anywhere
LEAST_COVER = 0.6  # share of a description's words, by rarity
DESCRIPTION_WORTH = 1.5
# Written together, apart or with a hyphen: "pre-training", "finetuning".
_PREFIXES = (
    "pre",
    "post",
    "fine",
    "multi",
    "non",
    "semi",
    "self",
    "anti",
    "meta",
    "inter",
    "cross",
    "co",
    "re",
)

_NONE: Ints = np.empty(0, np.int32)


@dataclass(frozen=True, slots=True)
class Occurrences:
    """One phrase in a corpus. Places are of its first word, or of its rarest where words are only near."""

    phrase: str
    content: tuple[str, ...]  # stems of its words that mean something
    exact: Ints
    sizes: Ints  # words that each exact place spans
    near: Ints
    covered: Floats | None  # of a description: the share that each candidate has, 0 below LEAST_COVER

    def evidence(self, corpus: Corpus) -> Floats:
        """Weigh the occurrences in each candidate; one side by side in the abstract is 1."""
        exact, near = _weigh(corpus, self.exact), _weigh(corpus, self.near)
        evidence = exact + np.float32(NEAR_WORTH) * np.maximum(near - exact, 0)
        covered = np.float32(DESCRIPTION_WORTH) * self.covered if self.covered is not None else evidence
        most: Floats = np.maximum(evidence, covered).astype(np.float32)
        return most

    def evidence_in(self, corpus: Corpus, place: int) -> float:
        """Weigh the occurrences in one candidate."""
        exact, near = (
            float(corpus.weight_at[places[corpus.paper_at[places] == place]].sum())
            for places in (self.exact, self.near)
        )
        evidence = exact + NEAR_WORTH * max(near - exact, 0.0)
        return (
            evidence
            if self.covered is None
            else max(evidence, DESCRIPTION_WORTH * float(self.covered[place]))
        )


def find(corpus: Corpus, phrase: str) -> Occurrences:
    """Find ``phrase`` in the candidates' titles, keywords, summaries and abstracts."""
    stems = [stem(word) for word in words(phrase)]
    content = tuple(dict.fromkeys(one for one in stems if one not in STOPWORDS))
    starts, sizes = [_NONE], [_NONE]
    for spelling in _all_spellings(corpus, words(phrase)):
        numbers = [corpus.stem_numbers.get(one, -1) for one in spelling]
        if numbers and min(numbers) >= 0:
            starts.append(corpus.stem_postings.phrase(numbers))
            sizes.append(np.full(len(starts[-1]), len(numbers), np.int32))
    exact, first = np.unique(np.concatenate(starts), return_index=True)
    return Occurrences(
        phrase=phrase,
        content=content,
        exact=exact,
        sizes=np.concatenate(sizes)[first],
        near=_near(corpus, content) if 1 < len(content) < LONG_PHRASE else _NONE,
        covered=_covered(corpus, content) if len(content) >= LONG_PHRASE else None,
    )


def rarity(spread: float, count: int) -> float:
    """BM25's weight of something that ``spread`` of ``count`` papers have."""
    return float(np.log1p((count - spread + 0.5) / (spread + 0.5)))


def as_written(corpus: Corpus, found: Occurrences, place: int) -> str | None:
    """Give the words of the candidate at ``place`` that match; None where nothing does.

    Words side by side are given as the paper has them, or as the phrase where that says the same; words only
    near each other are parted by an ellipsis.
    """
    here = np.flatnonzero(corpus.paper_at[found.exact] == place)
    if len(here):
        spans = [
            [corpus.words[number] for number in corpus.run[start : start + size].tolist()]
            for start, size in zip(found.exact[here].tolist(), found.sizes[here].tolist(), strict=True)
        ]
        return found.phrase.strip() if words(found.phrase) in spans else " ".join(spans[0])
    is_near = bool(np.any(corpus.paper_at[found.near] == place))
    if not is_near and (found.covered is None or not found.covered[place]):
        return None
    return " … ".join(_first_forms(corpus, found.content, place))


def _first_forms(corpus: Corpus, content: Sequence[str], place: int) -> Iterator[str]:
    for one in content:
        number = corpus.stem_numbers.get(one)
        if number is not None:
            places = corpus.stem_postings.of(number)
            places = places[corpus.paper_at[places] == place]
            if len(places):
                yield corpus.words[int(corpus.run[places[0]])]


def _all_spellings(corpus: Corpus, written: list[str]) -> Iterator[list[str]]:
    """Give the stems of a phrase as it may be written: short forms spelled out, long ones short."""
    yield from _spellings(written)
    if corpus.recipe.acronyms:
        for other in (corpus.acronyms.spelled_out(written), *corpus.acronyms.shortened(written)):
            if other != written:
                yield [stem(word) for word in other]


def _spellings(written: list[str]) -> Iterator[list[str]]:
    """Give the stems of a phrase, and again with each common prefix written the other way."""
    yield [stem(word) for word in written]
    for place, word in enumerate(written):
        before, after = written[:place], written[place + 1 :]
        if word in _PREFIXES and after:
            yield [stem(one) for one in [*before, word + after[0], *after[1:]]]
        for prefix in _PREFIXES:
            if word.startswith(prefix) and len(word) >= len(prefix) + 5:
                yield [stem(one) for one in [*before, prefix, word[len(prefix) :], *after]]


def _weigh(corpus: Corpus, places: Ints) -> Floats:
    papers = corpus.paper_at[places]
    sums = np.bincount(papers, corpus.weight_at[places], minlength=len(corpus.papers))
    return sums[: corpus.count].astype(np.float32)


def _near(corpus: Corpus, content: Sequence[str]) -> Ints:
    """Give the places of the rarest word around which all the others stand, within one part."""
    numbers = [corpus.stem_numbers.get(one, -1) for one in content]
    if min(numbers) < 0:
        return _NONE
    anchors, *others = sorted((corpus.stem_postings.of(number) for number in numbers), key=len)
    for places in others:
        if not len(anchors) or not len(places):
            return _NONE
        after = np.searchsorted(places, anchors)
        close = np.zeros(len(anchors), bool)
        for neighbour in (np.minimum(after, len(places) - 1), np.maximum(after - 1, 0)):
            other = places[neighbour]
            close |= (np.abs(other - anchors) <= NEAR_WORDS) & (
                corpus.part_start[other] == corpus.part_start[anchors]
            )
        anchors = anchors[close]
    return anchors


def _covered(corpus: Corpus, content: Sequence[str]) -> Floats:
    have, whole = np.zeros(corpus.count, np.float32), 0.0
    for one in content:
        number = corpus.stem_numbers.get(one)
        present = None if number is None else _weigh(corpus, corpus.stem_postings.of(number)) > 0
        worth = rarity(0 if present is None else int(np.count_nonzero(present)), corpus.count)
        whole += worth
        if present is not None:
            have += np.float32(worth) * present
    share = have / np.float32(max(whole, 1e-9))
    return np.where(share >= LEAST_COVER, share, np.float32(0))
