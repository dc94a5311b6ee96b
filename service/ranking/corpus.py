"""The papers to choose from, with their words indexed once for everybody."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from service.ranking.values import Candidate


@dataclass(frozen=True, slots=True, kw_only=True)
class Corpus:
    """Candidates and examples, each paper once."""

    candidates: tuple[Candidate, ...]
    examples: tuple[Candidate, ...] = ()

    @classmethod
    def build(
        cls, candidates: Sequence[Candidate], *, examples: Sequence[Candidate] = (), vectors: object = None
    ) -> Self:
        """Index ``candidates``; ``examples`` are only compared with. The first of two with one id counts."""
        kept = {one.id: one for one in reversed(candidates)}
        return cls(candidates=tuple(kept[id_] for id_ in sorted(kept)), examples=tuple(examples))
