"""What ranking is given and gives back. Plain values; nothing here knows of databases or mail."""

from dataclasses import dataclass
from datetime import date


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A paper that may be chosen."""

    id: str
    title: str
    abstract: str = ""
    summary: str = ""
    keywords: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    authors: tuple[str, ...] = ()
    organization: str | None = None
    listed_on: date | None = None
    shown: tuple[str, ...] = ()  # other text a reader sees with it (submitter, links): mutes look there too


@dataclass(frozen=True, slots=True, kw_only=True)
class Interest:
    """A named thing somebody cares about. Any one of its fields is enough to match by."""

    name: str
    phrases: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    authors: tuple[str, ...] = ()
    examples: tuple[str, ...] = ()  # paper ids
    against: tuple[str, ...] = ()  # phrases that count against a paper, but don't mute it
    mutes: tuple[str, ...] = ()
    weight: float = 1.0
    library: bool = False  # the examples stand in a library the person uploaded, and reasons say so


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """All that ranking knows of one person. A mute of any interest holds for the whole list."""

    interests: tuple[Interest, ...] = ()
    mutes: tuple[str, ...] = ()
    liked: tuple[str, ...] = ()
    disliked: tuple[str, ...] = ()
    answer_days: tuple[float, ...] = ()  # since each answer, liked then disliked; empty: all of today
    seen: frozenset[str] = frozenset()
    explores: bool = True  # whether one paper off the interests may come, labelled as such


@dataclass(frozen=True, slots=True, kw_only=True)
class Trend:
    """How a paper trends, the same for everybody.

    ``score`` is in 0..1, higher is hotter; ``percentile`` is the share (0..1) of papers of the same age it
    is at or above, None where too few are known; ``parts`` are the addends of the score by name.
    """

    score: float
    percentile: float | None
    parts: dict[str, float]
    version: str
    reason: str  # a true sentence, such as "42 votes, 30 in the last day: top 5 % of papers of its age"
    forecast: float | None = None  # votes expected as its first day ends; None: that is over, or unknown


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranked:
    """A paper with its place's score, true reasons and the interest that chose it."""

    id: str
    score: float
    reasons: tuple[str, ...]
    interest: str | None = None
    is_exploration: bool = False  # off all interests, and labelled as such


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """The two lists of one person's digest, each best first, and one paper off the interests at most.

    No paper stands in two of them.
    """

    trending: tuple[Ranked, ...]
    for_you: tuple[Ranked, ...]
    exploration: Ranked | None = None

    @property
    def lists(self) -> tuple[tuple[str, tuple[Ranked, ...]], ...]:
        """The lists by name as they are shown: the paper off the interests stands last of all."""
        off = () if self.exploration is None else (self.exploration,)
        if not self.for_you:
            return ("trending", self.trending + off), ("for_you", ())
        return ("trending", self.trending), ("for_you", self.for_you + off)
