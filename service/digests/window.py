"""The papers a digest may choose from: the same for everybody whose window is as long, indexed once a run."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy.orm import Session

from service.digests.due import Due
from service.digests.vectors import RunVectors
from service.papers import shelf
from service.papers.embedding.phrases import PhraseVectors
from service.papers.trend import trends
from service.ranking.corpus import Corpus
from service.ranking.tokens import TokenStore, fingerprint
from service.ranking.values import Candidate, Trend
from service.subscribers.libraries import keeping

SHORTEST_DAYS = 4  # rolling: a weekend without lists is not an empty Monday
LONGEST_DAYS = 14
TREND_DAYS = 31  # how far back the trend compares with papers of the same age
FAR_FUTURE = datetime(9999, 1, 1, tzinfo=UTC)

DEMO_NOTICE = (
    "This is the demo issue that comes with Paperlark: real papers of March 2026, their list days and votes"
    " moved to the present."
)
SOURCE_NAMES = {"huggingface": "Hugging Face", "arxiv": "arXiv", "archive": "The archive"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """The candidates first seen in (``start``, now], ready to rank."""

    start: datetime
    corpus: Corpus
    counts: Mapping[str, tuple[int | None, int | None, int | None]]  # upvotes, comments, stars by paper


class Shelves:
    """What one planning run knows of the papers at its instant, loaded when first asked for."""

    def __init__(self, now: datetime, *, patience: timedelta, phrases: PhraseVectors | None = None) -> None:
        """Look at the papers as known at ``now``; sources silent for longer than ``patience`` are out.

        With ``phrases`` meaning counts beside words.
        """
        self.now = now
        self._patience = patience
        self._trends: dict[str, Trend] | None = None
        self._silent: bool | None = None
        self._newest: datetime | None = None
        self._notice: str | None = None
        self._windows: dict[int, Window] = {}
        self._examples: dict[str, Candidate | None] = {}
        self._items: dict[str, Candidate] = {}  # of libraries, those of the present chunk of people alone
        self._tokens = TokenStore()  # windows overlap: each paper is read once
        self._vectors = RunVectors(phrases) if phrases else None

    def has_news_since(self, session: Session, instant: datetime | None) -> bool:
        """Say whether a paper was first seen after ``instant`` (None: whether there is any at all)."""
        self._look(session)
        if self._newest is None:
            return False
        return instant is None or self._newest > instant

    def is_outage(self, session: Session) -> bool:
        """Say whether no source has answered for long: then nothing new does not mean no papers."""
        self._look(session)
        return bool(self._silent)

    def notice(self, session: Session) -> str | None:
        """Return a sentence on the sources that fail at this moment, or on the demo that stands in."""
        self._look(session)
        return self._notice

    def days_for(self, session: Session, due: Due) -> int:
        """Return how many days back the digest of ``due`` reaches.

        A first digest reaches back from the newest paper there is: who has just confirmed gets one even when
        the sources have been out, or the demo is old.
        """
        return self.rolling_days(session) if due.is_first else window_days(self.now, due.last_digest_at)

    def rolling_days(self, session: Session) -> int:
        """Return how many days back the digest of somebody reaches who has had none."""
        self._look(session)
        age = self.now - (self._newest or self.now)
        return SHORTEST_DAYS + math.ceil(age / timedelta(days=1))

    def trends(self, session: Session) -> dict[str, Trend]:
        """Return how the papers trend, the same for everybody."""
        if self._trends is None:
            self._look(session)
            since = (self._newest or self.now) - timedelta(days=TREND_DAYS)
            seen = shelf.sightings(session, since=since, until=self.now)
            self._trends = trends(seen, self.now, traits=shelf.traits(session, self.now))
        return self._trends

    def window(self, session: Session, days: int, examples: Iterable[str]) -> Window:
        """Return the window of ``days``, able to compare with the papers that ``examples`` name.

        It is indexed again when examples come that it doesn't know; most are known by the second chunk.
        """
        named = set(examples)
        items = {id_ for id_ in named if id_.startswith(keeping.PREFIX)}
        fresh = self._load_examples(session, named - items) | self._load_items(session, items)
        if fresh or days not in self._windows:
            if fresh:
                self._windows.clear()
            self._windows[days] = self._build(session, days)
        return self._windows[days]

    def _build(self, session: Session, days: int) -> Window:
        start = self.now - timedelta(days=days)
        rows = shelf.candidate_rows(session, since=start, until=self.now)
        candidates = [shelf.as_candidate(row) for row in rows]
        known = [candidate for candidate in self._examples.values() if candidate is not None]
        items = list(self._items.values())
        return Window(
            start=start,
            corpus=Corpus.build(
                candidates,
                examples=[*known, *items],
                vectors=self._tokens,
                meanings=self._vectors.load(session, [*candidates, *known], items) if self._vectors else None,
            ),
            counts={row.id: (row.upvotes, row.comments, row.stars) for row in rows},
        )

    def _load_examples(self, session: Session, examples: Iterable[str]) -> bool:
        """Load the examples not looked for yet; say whether any was found."""
        unknown = sorted(set(examples) - self._examples.keys())
        if not unknown:
            return False
        found = shelf.papers_by_id(session, unknown)
        self._examples |= {id_: shelf.as_candidate(found[id_]) if id_ in found else None for id_ in unknown}
        return bool(found)

    def _load_items(self, session: Session, wanted: set[str]) -> bool:
        """Load items of libraries in place of those of the chunk before; say whether there were others.

        They are nobody else's: kept for all chunks of a run, they would fill the memory.
        """
        if wanted <= self._items.keys():
            return False
        for item in self._items.values():
            self._tokens.runs.pop(fingerprint(item), None)
        self._items = keeping.load_items(session, wanted)
        return True

    def _look(self, session: Session) -> None:
        if self._silent is not None:
            return
        # A run later than our instant means that we look at the past: no outage to wait out.
        answered_at = shelf.last_success_at(session, FAR_FUTURE)
        self._silent = answered_at is None or answered_at < self.now - self._patience
        self._newest = shelf.newest_seen_at(session, self.now)
        self._notice = _notice(shelf.source_states(session, self.now), is_demo=shelf.is_demo(session))


def window_days(now: datetime, last_digest_at: datetime | None) -> int:
    """Return how many days back a digest at ``now`` reaches, after one planned at ``last_digest_at``.

    At least four; as far as the last digest for who gets them weekly or comes back from a pause; at most
    fourteen. What lies before the last digest and was not in it may still come; what was in it is seen.
    """
    if last_digest_at is None:
        return SHORTEST_DAYS
    days = math.ceil((now - last_digest_at) / timedelta(days=1))
    return min(max(days, SHORTEST_DAYS), LONGEST_DAYS)


def _notice(states: Iterable[shelf.SourceState], *, is_demo: bool) -> str | None:
    if is_demo:
        return DEMO_NOTICE
    failing = [state for state in states if state.state == "failing" and state.since is not None]
    if not failing:
        return None
    names = [SOURCE_NAMES.get(state.source, state.source) for state in failing]
    since = min(state.since for state in failing if state.since is not None)
    have = "has" if len(names) == 1 else "have"
    return (
        f"{' and '.join(names)} {have} not answered since {since:%d %B %Y, %H:%M} UTC: "
        "papers of that time may be missing."
    )
