"""The papers to choose from, with their words indexed once for everybody."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from service.ranking.acronyms import Acronyms
from service.ranking.dense import Dense, Meanings
from service.ranking.recipe import WHOLE, Recipe
from service.ranking.terms import Terms, sum_rows
from service.ranking.text import plain, says_little, stem
from service.ranking.tokens import PART_WEIGHTS, Part, Tokens, TokenStore
from service.ranking.values import Candidate

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int32]
Mask = npt.NDArray[np.bool_]


class Postings:
    """Where each number occurs in a run."""

    def __init__(self, run: Ints, size: int) -> None:
        """Index ``run``, whose entries are below ``size``; negative ones are left out."""
        self.run = run
        order = np.argsort(run, kind="stable").astype(np.int32)
        skipped = int(np.count_nonzero(run < 0))
        self._order = order[skipped:]
        self._starts = np.append(0, np.cumsum(np.bincount(run[run >= 0], minlength=size)))

    def of(self, number: int) -> Ints:
        """Give the places of ``number``, ascending."""
        return self._order[self._starts[number] : self._starts[number + 1]]

    def phrase(self, numbers: Sequence[int]) -> Ints:
        """Give the places where ``numbers`` stand side by side."""
        places = self.of(numbers[0])
        for step, number in enumerate(numbers[1:], 1):
            places = places[places < len(self.run) - step]
            places = places[self.run[places + step] == number]
        return places


@dataclass(frozen=True, kw_only=True, eq=False)
class Corpus:
    """Candidates in the order of their ids, then the examples they are compared with; each paper once.

    All places in a list of tokens are of one long run over all papers. ``kept`` holds what others work out
    from this corpus and want to find again, such as an interest's scores.
    """

    papers: tuple[Candidate, ...]
    count: int  # how many of the papers are candidates
    index: dict[str, int]
    words: list[str]
    run: Ints  # word numbers; negative: a part begins
    paper_at: Ints
    part_at: npt.NDArray[np.int8]
    part_start: npt.NDArray[np.int64]  # where the part that each place belongs to begins
    meanings: Meanings | None = None
    recipe: Recipe = WHOLE
    kept: dict[Any, Any] = field(default_factory=dict)

    @classmethod
    def build(
        cls,
        candidates: Sequence[Candidate],
        *,
        examples: Sequence[Candidate] = (),
        vectors: TokenStore | None = None,
        meanings: Meanings | None = None,
    ) -> Self:
        """Index ``candidates``; ``examples`` are only compared with.

        Of two papers with one id the first counts. ``vectors`` keeps the tokens of papers met before;
        ``meanings`` are dense vectors, without which words alone are compared.
        """
        store = vectors if vectors is not None else TokenStore()
        chosen = {one.id: one for one in reversed(candidates)}
        others = {one.id: one for one in reversed(examples) if one.id not in chosen}
        papers = tuple(pool[id_] for pool in (chosen, others) for id_ in sorted(pool))
        run, paper_at = _join([store.tokens(paper) for paper in papers])
        words, run = _compact(list(store.numbers), run)
        starts = np.maximum.accumulate(np.where(run < 0, np.arange(len(run)), 0))
        return cls(
            papers=papers,
            count=len(chosen),
            index={paper.id: place for place, paper in enumerate(papers)},
            words=words,
            run=run,
            paper_at=paper_at,
            part_start=starts,
            part_at=(-run[starts]).astype(np.int8) if len(run) else np.empty(0, np.int8),
            meanings=meanings,
        )

    def matched_by(self, recipe: Recipe) -> Self:
        """Give the same papers, matched by another recipe; what does not depend on it is shared."""
        other = replace(self, recipe=recipe, kept={})
        other.__dict__.update(
            {name: getattr(self, name) for name in ("_stems", "terms", "acronyms", "likeness")}
        )
        if recipe.dense == self.recipe.dense:
            other.__dict__["dense"] = self.dense
        return other

    @property
    def candidates(self) -> tuple[Candidate, ...]:
        """The papers that may be chosen, in the order of their ids."""
        return self.papers[: self.count]

    @cached_property
    def weight_at(self) -> Floats:
        """What an occurrence at each place is worth; 0 where phrases don't look and in examples."""
        weights = np.zeros(max(Part) + 1, np.float32)
        for part, weight in PART_WEIGHTS.items():
            weights[part] = weight
        return np.where(self.paper_at < self.count, weights[self.part_at], np.float32(0))

    @cached_property
    def plain_numbers(self) -> dict[str, int]:
        """Numbers of the plain forms of words."""
        return self._plain[0]

    @cached_property
    def plain_postings(self) -> Postings:
        """Where plain forms occur, in any part."""
        return self._plain[1]

    @cached_property
    def stem_numbers(self) -> dict[str, int]:
        """Numbers of the stems of words."""
        return self._stems[0]

    @cached_property
    def stem_postings(self) -> Postings:
        """Where stems occur, in the parts that phrases look at."""
        return self._stems[1]

    @cached_property
    def _plain(self) -> tuple[dict[str, int], Postings]:
        numbers, run = _renumber(self.words, self.run, plain)
        return numbers, Postings(run, len(numbers))

    @cached_property
    def _stems(self) -> tuple[dict[str, int], Postings]:
        numbers, run = _renumber(self.words, self.run, stem)
        weights = [PART_WEIGHTS.get(Part(part), 0) if part else 0 for part in range(max(Part) + 1)]
        matched = np.array(weights)[self.part_at] > 0
        return numbers, Postings(np.where(matched | (run < 0), run, np.int32(-1)), len(numbers))

    @cached_property
    def lengths(self) -> Floats:
        """Weighted words in each candidate, as a share of the mean."""
        raw = np.bincount(self.paper_at, self.weight_at * (self.run >= 0), minlength=len(self.papers))
        lengths = raw[: self.count]
        return (
            (lengths / max(float(lengths.mean()), 1.0)).astype(np.float32)
            if self.count
            else lengths.astype(np.float32)
        )

    @cached_property
    def likeness(self) -> "Likeness":
        """TF-IDF vectors of all papers."""
        return Likeness.build(self)

    @cached_property
    def terms(self) -> Terms:
        """Words and pairs of words of all papers, weighed for likeness and for phrases."""
        return Terms.build(self)

    @cached_property
    def dense(self) -> Dense | None:
        """Dense vectors of all papers; None without any."""
        if self.meanings is None or not self.recipe.dense:
            return None
        return Dense.build(self.meanings, self.index, self.count)

    @cached_property
    def acronyms(self) -> Acronyms:
        """What short forms stand for in the candidates: what others gave as examples must change nothing."""
        return Acronyms.read(self.candidates)


@dataclass(frozen=True, kw_only=True, eq=False)
class Likeness:
    """TF-IDF of every paper, rows of length 1, as three columns sorted by paper."""

    paper: Ints
    term: Ints
    value: Floats
    starts: npt.NDArray[np.int64]
    terms: int

    @classmethod
    def build(cls, corpus: Corpus) -> "Likeness":
        """Weigh the stems of each paper; rarity is counted among the candidates alone."""
        stems = corpus.stem_postings.run
        size = len(corpus.stem_numbers)
        ignored = np.zeros(size + 1, bool)
        ignored[[number for word, number in corpus.stem_numbers.items() if says_little(word)]] = True
        used = np.flatnonzero((stems >= 0) & ~ignored[stems])
        weights = np.array([0.0, *(PART_WEIGHTS.get(part, 0.0) for part in Part)], np.float32)
        key = corpus.paper_at[used].astype(np.int64) * size + stems[used]
        cells, cell_of = np.unique(key, return_inverse=True)
        counts = np.bincount(cell_of, weights[corpus.part_at[used]])
        paper, term = (cells // max(size, 1)).astype(np.int32), (cells % max(size, 1)).astype(np.int32)
        spread = np.bincount(term[paper < corpus.count], minlength=size)
        rarity = np.log((1 + corpus.count) / (1 + spread)) + 0.1
        value = np.log1p(counts) * rarity[term]
        norms = np.sqrt(np.bincount(paper, value**2, minlength=len(corpus.papers)))
        value = (value / np.maximum(norms[paper], 1e-9)).astype(np.float32)
        starts = np.searchsorted(paper, np.arange(len(corpus.papers) + 1))
        return cls(paper=paper, term=term, value=value, starts=starts, terms=size)

    def to(self, place: int) -> Floats:
        """Give every paper's cosine with the paper at ``place``."""
        row = slice(self.starts[place], self.starts[place + 1])
        query = np.zeros(self.terms, np.float32)
        query[self.term[row]] = self.value[row]
        return sum_rows(self.value * query[self.term], self.starts)


def _join(runs: list[Tokens]) -> tuple[Ints, Ints]:
    if not runs:
        return np.empty(0, np.int32), np.empty(0, np.int32)
    sizes = [len(run) for run in runs]
    return np.concatenate(runs), np.repeat(np.arange(len(runs), dtype=np.int32), sizes)


def _compact(words: list[str], run: Ints) -> tuple[list[str], Ints]:
    """Keep the words that occur, numbered by the alphabet: results don't depend on what was met before."""
    present = np.flatnonzero(np.bincount(run[run >= 0], minlength=len(words)))
    kept = sorted((words[number], number) for number in present.tolist())
    table = np.zeros(len(words) + 1, np.int32)
    table[[number for _, number in kept]] = np.arange(len(kept), dtype=np.int32)
    return [word for word, _ in kept], np.where(run < 0, run, table[np.maximum(run, 0)])


def _renumber(words: list[str], run: Ints, form: Any) -> tuple[dict[str, int], Ints]:
    """Number the forms of words, and write ``run`` in those numbers; marks of parts stay negative."""
    numbers: dict[str, int] = {}
    table = np.array([numbers.setdefault(form(word), len(numbers)) for word in words] or [0], np.int32)
    return numbers, np.where(run < 0, np.int32(-1), table[np.maximum(run, 0)])
