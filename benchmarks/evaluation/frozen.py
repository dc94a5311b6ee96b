"""A small set of our own making, frozen: the bundled issue's papers, judged by hand for made-up people.

Titles are facts, summaries and keywords were written for Paperlark. Every paper was judged for every interest
by its summary, so that nothing is missing; phrases are what a person would type, not the papers' keywords.
"""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import NamedTuple

from benchmarks.evaluation.cases import Case, World
from service.papers.paper import Paper
from service.papers.sources.demo import DemoSource
from service.ranking.values import Candidate

NOW = datetime(2026, 3, 12, 8, tzinfo=UTC)
EXAMPLES = 2


class Judged(NamedTuple):
    """An interest: what was typed, and the papers that fit, clearest first (numbers after ``2603.``)."""

    name: str
    phrases: tuple[str, ...]
    fitting: str


JUDGED = (
    Judged("Robots that grasp", ("robot manipulation", "dexterous hands"), "05312 05504 04639 02083"),
    Judged("Making videos", ("video generation",), "04379 00586 05449"),
    Judged("Smaller models", ("quantization", "compressing models"), "04800 02170 05168"),
    Judged("Faster answers", ("faster inference",), "06199 07475 05433 05168 08397"),
    Judged("AI safety", ("AI safety", "jailbreaks and red teaming"), "02482 05706 05494"),
    Judged(
        "RL for language models",
        ("reinforcement learning for language models", "verifiable rewards"),
        "04918 08660 04124 02604 04257 03379 07300 04304",
    ),
    Judged("Agents that program", ("coding agents", "software engineering"), "05344 03823 07169"),
    Judged("AI for science", ("AI for science", "scientific discovery"), "03756 03655 01193 07233 04124"),
    Judged("Scenes in 3D", ("3D reconstruction",), "03269 07660 04338 05449"),
    Judged("Reading documents", ("understanding documents", "document retrieval"), "01666 08655"),
    Judged("Pictures", ("image editing", "text-to-image"), "08589 02210 08652 06351"),
    Judged("Cars that drive", ("autonomous driving", "self-driving cars"), "07901 01847"),
    Judged("Agents that remember", ("memory for agents", "long-term memory"), "04257 03379 04639"),
    Judged("World models", ("world models",), "05438 04553 05449"),
    Judged("Cells and genes", ("single-cell biology", "genes", "drugs"), "07233 04736 03655"),
    Judged("Forecasting", ("time series", "forecasting"), "04791 05581"),
)
# What somebody likes, and what the same person refuses though it is close by.
REFUSED = (
    ("Robots that grasp", "Cars that drive"),
    ("Pictures", "Making videos"),
    ("Agents that program", "RL for language models"),
    ("Scenes in 3D", "Making videos"),
    ("AI for science", "Agents that program"),
)


def world() -> World:
    """Give the bundled issue's papers."""
    source = DemoSource()
    papers = (paper for answer in source.fetch(NOW) for paper in source.parse(answer).papers)
    return World("bundled issue", tuple(_candidate(paper) for paper in papers))


def by_phrases() -> Iterator[Case]:
    """Ask for every interest by what its person typed."""
    papers = world()
    pool = frozenset(paper.id for paper in papers.papers)
    for one in JUDGED:
        yield Case(one.name, one.name, papers, pool, frozenset(_ids(one)), phrases=one.phrases)


def by_examples() -> Iterator[Case]:
    """Ask for the rest of every interest by its two clearest papers."""
    papers = world()
    known = {paper.id: paper for paper in papers.papers}
    for one in JUDGED:
        examples, rest = _ids(one)[:EXAMPLES], _ids(one)[EXAMPLES:]
        if rest:
            yield Case(
                one.name, one.name, papers, frozenset(known.keys() - set(examples)), frozenset(rest),
                examples=tuple(known[id_] for id_ in examples),
            )  # fmt: skip


def with_dislikes() -> Iterator[Case]:
    """Ask for an interest of somebody who has refused the clearest paper of another."""
    judged = {one.name: _ids(one) for one in JUDGED}
    papers = world()
    known = {paper.id: paper for paper in papers.papers}
    for liked, refused in REFUSED:
        example, disliked = judged[liked][0], judged[refused][0]
        others = set(judged[refused]) - set(judged[liked]) - {disliked}
        yield Case(
            f"{liked}, not {refused}", liked, papers, frozenset(known.keys() - {example, disliked}),
            frozenset(judged[liked][1:]), examples=(known[example],), disliked=(known[disliked],),
            refused=frozenset(others),
        )  # fmt: skip


def _ids(one: Judged) -> list[str]:
    return [f"2603.{number}" for number in one.fitting.split()]


def _candidate(paper: Paper) -> Candidate:
    return Candidate(
        id=paper.id, title=paper.title, summary=paper.summary or "", keywords=paper.keywords,
        authors=paper.authors, listed_on=paper.listed_on,
    )  # fmt: skip
