"""Papers as runs of word numbers, made once for each paper's text and kept for the next time."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import IntEnum
from hashlib import blake2b

import numpy as np
import numpy.typing as npt

from service.ranking.text import words
from service.ranking.values import Candidate

TOKENS_VERSION = 1  # raise when words or marks change: kept tokens are then made anew

Tokens = npt.NDArray[np.int32]


class Part(IntEnum):
    """Parts of a paper; in a run of tokens a part begins with its negative number."""

    TITLE = 1
    ABSTRACT = 2
    SUMMARY = 3
    KEYWORD = 4
    AUTHOR = 5
    CATEGORY = 6
    OTHER = 7


# A word in the title says more than one in the abstract; parts that are missing are not matched by phrases.
PART_WEIGHTS = {Part.TITLE: 3.0, Part.KEYWORD: 2.0, Part.SUMMARY: 1.5, Part.ABSTRACT: 1.0}


@dataclass(slots=True)
class TokenStore:
    """Word numbers and the tokens of papers by fingerprint; grows as it meets new text."""

    numbers: dict[str, int] = field(default_factory=dict)
    runs: dict[bytes, Tokens] = field(default_factory=dict)
    used: set[bytes] = field(default_factory=set)
    is_changed: bool = False

    def tokens(self, paper: Candidate) -> Tokens:
        """Give the tokens of ``paper``: for each part its mark, then the numbers of its words."""
        key = fingerprint(paper)
        self.used.add(key)
        run = self.runs.get(key)
        if run is None:
            run = self.runs[key] = self._read(paper)
            self.is_changed = True
        return run

    def _read(self, paper: Candidate) -> Tokens:
        numbers = self.numbers
        run: list[int] = []
        for part, text in parts(paper):
            run.append(-part)
            run.extend([numbers.setdefault(word, len(numbers)) for word in words(text)])
        return np.array(run, np.int32)


def fingerprint(paper: Candidate) -> bytes:
    """Name a paper's text: another text, another fingerprint."""
    marked = "\x1e".join(f"{int(part)}\x1f{text}" for part, text in parts(paper))
    return blake2b(marked.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def parts(paper: Candidate) -> Iterator[tuple[Part, str]]:
    """Give every text a reader may see of ``paper``, each with the part it belongs to."""
    yield Part.TITLE, paper.title
    yield Part.ABSTRACT, paper.abstract
    yield Part.SUMMARY, paper.summary
    for part, texts in (
        (Part.KEYWORD, paper.keywords),
        (Part.AUTHOR, paper.authors),
        (Part.CATEGORY, paper.categories),
        (Part.OTHER, (paper.id, paper.organization or "", *paper.shown)),
    ):
        for text in texts:
            yield part, text
