"""What ranking costs: many people at once against a plain loop, both measured in the same run.

    python -m benchmarks.ranking [PEOPLE] [PAPERS]

Papers are made of words by a fixed chance, so that nothing but the code decides. Times are of the processor,
not of the clock: other work on the machine disturbs them less. Only the ratios carry to other machines.
"""

import random
import resource
import sys
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from service.papers.trend import Sighting, trends
from service.ranking.corpus import Corpus
from service.ranking.selecting import select
from service.ranking.text import words
from service.ranking.values import Candidate, Interest, Profile, Trend
from service.subscribers.topics import CATALOGUE

NOW = datetime(2026, 2, 13, 8, tzinfo=UTC)
LOOPED = 10  # people the plain loop is measured with; its cost grows in step
COUNT = 10
Result = TypeVar("Result")


def main() -> None:
    """Measure and print."""
    people, papers = (int(word) for word in (*sys.argv[1:3], *("10000", "1000")[len(sys.argv[1:3]) :]))
    chance = random.Random(20260213)
    made = make_papers(papers, chance)
    heat = {
        one.id: Trend(score=chance.random(), percentile=None, parts={}, version="b", reason="")
        for one in made
    }
    profiles = make_profiles(people, [one.id for one in made], chance)

    corpus, building = timed(lambda: Corpus.build(made))
    line(f"index {papers:,} papers", building)
    before = memory()
    _, first = timed(lambda: select(profiles, corpus, heat, counts=[COUNT] * people))
    line(f"choose {COUNT} of {papers:,} for {people:,} people, first time", first)
    _, again = timed(lambda: select(profiles, corpus, heat, counts=[COUNT] * people))
    line("  again, interests known", again)
    print(f"  {1e6 * first / people:,.0f} us a person; memory grew by {memory() - before:,.0f} MB")
    _, looped = timed(lambda: [plain_choice(one, made, heat) for one in profiles[:LOOPED]])
    line(f"  plain loop, {LOOPED} people", looped)
    print(
        f"  ratio: {looped / LOOPED / (first / people):,.0f} times the plain loop's people in the same time"
    )

    seen = make_sightings(27_667, chance)
    _, trending = timed(lambda: trends(seen, NOW))
    line(f"trend of {len({one.id for one in seen}):,} papers from {len(seen):,} sightings", trending)


def plain_choice(profile: Profile, made: Sequence[Candidate], heat: dict[str, Trend]) -> list[str]:
    """Choose for one person as one would write it down first: every phrase in every paper, then sort."""
    scored = []
    for paper in made:
        text = " " + " ".join(words(f"{paper.title} {paper.abstract} {' '.join(paper.keywords)}")) + " "
        muted = any(f" {mute} " in text for mute in profile.mutes)
        if paper.id in profile.seen or muted:
            continue
        score = sum(
            text.count(f" {' '.join(words(phrase))} ") for one in profile.interests for phrase in one.phrases
        )
        scored.append((score, heat[paper.id].score, paper.id))
    return [id_ for *_, id_ in sorted(scored, reverse=True)[:COUNT]]


def make_papers(count: int, chance: random.Random) -> list[Candidate]:
    """Make papers of 180 common words each, with one to four phrases of the catalogue strewn in."""
    common = [
        f"{a}{b}{c}"
        for a in "bdfgklm"
        for b in ("an", "el", "ir", "os", "ut")
        for c in ("", "a", "ing", "er")
    ]
    phrases = [phrase for topic in CATALOGUE for phrase in topic.phrases]
    made = []
    for number in range(count):
        text = chance.choices(common, k=180)
        for phrase in chance.sample(phrases, chance.randint(1, 4)):
            text.insert(chance.randrange(len(text)), phrase)
        made.append(
            Candidate(
                id=f"2602.{number:05}",
                title=" ".join(chance.choices(text, k=9)),
                abstract=" ".join(text),
                keywords=tuple(chance.sample(phrases, 2)),
                authors=tuple(f"Given{chance.randrange(99)} Family{chance.randrange(999)}" for _ in range(6)),
            )
        )
    return made


def make_profiles(count: int, ids: list[str], chance: random.Random) -> list[Profile]:
    """Make people with three topics of the catalogue, every fourth with a mute, each with papers seen."""
    topics = [Interest(name=one.name, phrases=one.phrases, categories=one.categories) for one in CATALOGUE]
    return [
        Profile(
            interests=tuple(chance.sample(topics, 3)),
            mutes=("banana",) if chance.random() < 0.25 else (),
            seen=frozenset(chance.sample(ids, min(100, len(ids)))),
        )
        for _ in range(count)
    ]


def make_sightings(count: int, chance: random.Random) -> list[Sighting]:
    """Make three looks at each of a third as many papers, over 440 days."""
    seen = []
    for number in range(count // 3 + 1):
        listed = NOW - timedelta(days=number * 440 / (count / 3), hours=8)
        votes = 0
        for hours in (3, 8, 26):
            votes += int(chance.expovariate(0.1))
            at = listed + timedelta(hours=hours)
            seen.append(Sighting(id=f"p{number}", list_date=listed.date(), at=at, upvotes=votes))
    return seen[:count]


def timed(work: Callable[[], Result]) -> tuple[Result, float]:
    """Do ``work`` and give its result and the seconds of processor it took."""
    start = time.process_time()
    return work(), time.process_time() - start


def memory() -> float:
    """Give the most memory this process has held, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def line(what: str, seconds: float) -> None:
    """Print one measurement."""
    print(f"{what}: {seconds:.2f} s")


if __name__ == "__main__":
    main()
