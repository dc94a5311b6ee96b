"""Words and pairs of words of every paper, weighed twice: by TF-IDF for likeness, by BM25 for phrases."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Self

import numpy as np
import numpy.typing as npt

from service.ranking.text import says_little, stem
from service.ranking.tokens import PART_WEIGHTS, Part

if TYPE_CHECKING:
    from service.ranking.corpus import Corpus

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int32]
Wide = npt.NDArray[np.int64]
Doubles = npt.NDArray[np.float64]

TERM_SATURATION = 1.2  # BM25's k1
LENGTH_SHARE = 0.4  # BM25's b: abstracts differ little in length
PAIR_WORTH = 0.5  # of a pair's BM25: its words count on their own as well
MOST_LEAST_SPREAD = 5  # papers that have to hold a term before likeness counts it, in a large corpus
SPREAD_SHARE = 2_000  # in a small one a term for so many papers


@dataclass(frozen=True, kw_only=True, eq=False)
class Terms:
    """One cell for each paper and term of it, sorted by paper; columns of equal length.

    Terms are stems, numbered as in the corpus, then pairs of stems that stand side by side in a part, of
    which no part is a word that says little. ``likeness`` are TF-IDF rows of length 1, ``worth`` is what BM25
    gives for the term. ``common`` is each candidate's likeness to the mean of all: what any paper has.
    """

    paper: Ints
    term: Ints
    likeness: Floats
    worth: Floats
    starts: Wide  # of each paper's cells, and the end
    by_term: Ints  # cells sorted by term
    term_starts: Wide
    pairs: Wide  # sorted: first stem * number of stems + second
    numbers: dict[str, int]  # of stems
    count: int  # candidates
    common: Floats

    @classmethod
    def build(cls, corpus: "Corpus") -> Self:
        """Count and weigh; how rare a term is, is counted among the candidates alone."""
        numbers, count = corpus.stem_numbers, corpus.count
        paper, term, counts, pairs = _cells(corpus)
        terms = len(numbers) + len(pairs)
        spread = np.bincount(term[paper < count], minlength=terms)
        lengths = np.bincount(paper, counts * (term < len(numbers)), minlength=len(corpus.papers))
        mean = max(float(lengths[:count].mean()) if count else 0.0, 1.0)
        likeness = _likeness(paper, counts, spread[term], count)
        damping = TERM_SATURATION * (1 - LENGTH_SHARE + LENGTH_SHARE * lengths / mean)
        worth = np.log1p((count - spread + 0.5) / (spread + 0.5))[term] * np.where(
            term < len(numbers), 1.0, PAIR_WORTH
        )
        worth = worth * counts * (TERM_SATURATION + 1) / (counts + damping[paper])
        by_term = np.argsort(term, kind="stable").astype(np.int32)
        candidates = paper < count
        centre = np.bincount(term[candidates], likeness[candidates], minlength=terms) / max(count, 1)
        common = np.bincount(paper[candidates], likeness[candidates] * centre[term[candidates]], count)
        return cls(
            paper=paper,
            term=term,
            likeness=likeness.astype(np.float32),
            worth=worth.astype(np.float32),
            starts=np.searchsorted(paper, np.arange(len(corpus.papers) + 1)),
            by_term=by_term,
            term_starts=np.append(0, np.cumsum(np.bincount(term, minlength=terms))),
            pairs=pairs,
            numbers=numbers,
            count=count,
            common=common[:count].astype(np.float32),
        )

    def of(self, written: Sequence[str]) -> list[int]:
        """Give the terms of folded words that stand side by side: their stems, then their pairs."""
        stems = [one for one in map(stem, written) if not says_little(one)]
        found = [self.numbers[one] for one in dict.fromkeys(stems) if one in self.numbers]
        seconds = [stem(word) for word in written]
        for first, second in pairwise(seconds):
            if says_little(first) or says_little(second):
                continue
            left, right = self.numbers.get(first), self.numbers.get(second)
            if left is None or right is None:
                continue
            key = left * len(self.numbers) + right
            at = int(np.searchsorted(self.pairs, key))
            if at < len(self.pairs) and self.pairs[at] == key:
                found.append(len(self.numbers) + at)
        return list(dict.fromkeys(found))

    def matching(self, terms: Sequence[int]) -> Floats:
        """Score every candidate by BM25 of ``terms``."""
        cells = [self.by_term[self.term_starts[one] : self.term_starts[one + 1]] for one in terms]
        if not cells:
            return np.zeros(self.count, np.float32)
        chosen = np.concatenate(cells)
        scores = np.bincount(self.paper[chosen], self.worth[chosen], minlength=self.count)
        return scores[: self.count].astype(np.float32)

    def cosines(self, place: int) -> Floats:
        """Give every candidate's TF-IDF cosine with the paper at ``place``."""
        return self._towards(np.array([place], np.int32), np.ones(1, np.float32))

    def towards(self, places: Ints, weights: Floats, *, less_common: bool = True) -> Floats:
        """Give every candidate's product with the weighted mean of papers, less what any paper has."""
        found = self._towards(places, weights / weights.sum())
        return found - self.common if less_common else found

    def _towards(self, places: Ints, weights: Floats) -> Floats:
        query = np.zeros(len(self.term_starts) - 1, np.float32)
        for place, weight in zip(places.tolist(), weights.tolist(), strict=True):
            row = slice(self.starts[place], self.starts[place + 1])
            query[self.term[row]] += np.float32(weight) * self.likeness[row]
        end = int(self.starts[self.count])
        return sum_rows(self.likeness[:end] * query[self.term[:end]], self.starts[: self.count + 1])


def sum_rows(values: Floats, starts: Wide) -> Floats:
    """Sum ``values`` by row; row ``n`` begins at ``starts[n]`` and may be empty."""
    sums = np.zeros(len(starts) - 1, np.float32)
    filled = np.flatnonzero(starts[:-1] < starts[1:])
    if len(filled):
        sums[filled] = np.add.reduceat(values, starts[filled])
    return sums


def _cells(corpus: "Corpus") -> tuple[Ints, Ints, Doubles, Wide]:
    """Count terms by paper, weighed by the part they stand in; and give the keys of the pairs."""
    stems = corpus.stem_postings.run
    size = len(corpus.stem_numbers)
    telling = np.ones(size + 1, np.bool_)
    telling[[number for word, number in corpus.stem_numbers.items() if says_little(word)]] = False
    is_used = (stems >= 0) & telling[stems]
    weights = np.array([0.0, *(PART_WEIGHTS.get(part, 0.0) for part in Part)], np.float32)
    used = np.flatnonzero(is_used)
    # Marks between parts are negative: no pair reaches over them.
    first = np.flatnonzero(is_used[:-1] & is_used[1:]) if len(stems) > 1 else np.empty(0, np.int64)
    pair = stems[first].astype(np.int64) * size + stems[first + 1]
    pairs, number = np.unique(pair, return_inverse=True)
    number, pairs = _held_by_two(number, pairs, corpus.paper_at[first])
    kept = number >= 0
    first, number = first[kept], number[kept]
    place = np.concatenate([used, first])
    term = np.concatenate([stems[used].astype(np.int64), size + number])
    terms = size + len(pairs)
    cells, cell_of = np.unique(corpus.paper_at[place].astype(np.int64) * terms + term, return_inverse=True)
    counts = np.bincount(cell_of, weights[corpus.part_at[place]], minlength=len(cells)).astype(np.float64)
    terms = max(terms, 1)
    return (cells // terms).astype(np.int32), (cells % terms).astype(np.int32), counts, pairs


def _held_by_two(number: Wide, pairs: Wide, paper: Ints) -> tuple[Wide, Wide]:
    """Keep the pairs that stand in two papers or more; -1 for the others."""
    holders = np.unique(number * (int(paper.max(initial=0)) + 1) + paper)
    spread = np.bincount(holders // (int(paper.max(initial=0)) + 1), minlength=len(pairs))
    kept = spread > 1
    table = np.where(kept, np.cumsum(kept) - 1, -1)
    return table[number], pairs[kept]


def _likeness(
    paper: Ints, counts: npt.NDArray[np.float64], spread: npt.NDArray[np.int64], count: int
) -> npt.NDArray[np.float64]:
    """Weigh cells by TF-IDF, rows of length 1; terms of fewer papers than it takes count nothing."""
    least = min(max(count // SPREAD_SHARE, 1), MOST_LEAST_SPREAD)
    rarity = np.where(spread >= least, np.log((1 + count) / (1 + spread)) + 0.1, 0.0)
    value = np.log1p(counts) * rarity
    norms = np.sqrt(np.bincount(paper, value**2))
    scaled: npt.NDArray[np.float64] = value / np.maximum(norms[paper], 1e-9)
    return scaled
