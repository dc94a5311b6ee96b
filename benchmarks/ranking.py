"""What ranking costs: many people at once against a plain loop, both measured in the same run.

    python -m benchmarks.ranking [PEOPLE] [PAPERS]

Two crowds of people with three interests each: *topics* holds three of the catalogue's, *words* holds each
interest by an even chance in words of its own, drawn from 20,000 phrases, some far more popular than others.
People are made and chosen for a chunk at a time, so that memory shows what the choosing needs.

Papers are made of words by a fixed chance, so that nothing but the code decides. Times are of the processor,
not of the clock: other work on the machine disturbs them less. Only the ratios carry to other machines.
"""

import random
import resource
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from typing import TypeVar

from service.commands.output import progress_bar
from service.papers.trend import Sighting, trends
from service.ranking.corpus import Corpus
from service.ranking.matching import match
from service.ranking.selecting import CHUNK, choose
from service.ranking.text import words
from service.ranking.values import Candidate, Interest, Profile, Trend
from service.subscribers.topics import CATALOGUE

NOW = datetime(2026, 2, 13, 8, tzinfo=UTC)
LOOPED = 10  # people the plain loop is measured with; its cost grows in step
EXPLAINED = 8  # of as many chunks of people one gets its entries made
COUNT = 10
SEEN = 40  # of the candidates: four days of digests
OWN_PHRASES = 20_000
Result = TypeVar("Result")


def main() -> None:
    """Measure and print."""
    people, papers = (int(word) for word in (*sys.argv[1:3], *("100000", "1000")[len(sys.argv[1:3]) :]))
    chance = random.Random(20260213)
    made = make_papers(papers, chance)
    heat = {
        one.id: Trend(score=chance.random(), percentile=None, parts={}, version="b", reason="")
        for one in made
    }
    _, building = timed(lambda: Corpus.build(made).likeness)
    line(f"index {papers:,} papers", building)
    for name, own in (("topics", 0.0), ("words", 0.5)):
        crowd(name, make_interests(own, made, chance), people, made, heat)
    profiles = next(make_profiles(LOOPED, make_interests(0.5, made, chance), made, chance))
    _, looped = timed(lambda: [plain_choice(one, made, heat) for one in profiles])
    line(f"plain loop, {LOOPED} people", looped)
    print(f"  {1e6 * looped / LOOPED:,.0f} us a person")
    seen = make_sightings(27_667, chance)
    _, trending = timed(lambda: trends(seen, NOW))
    line(f"trend of {len({one.id for one in seen}):,} papers from {len(seen):,} sightings", trending)


@dataclass(frozen=True)
class Interests:
    """What a crowd chooses its interests from: all of a kind, with a share of their own words."""

    topics: list[Interest]
    own: list[Interest]
    popularity: list[float]  # of each of ``own``, added up
    share: float

    def three(self, chance: random.Random) -> tuple[Interest, ...]:
        """Draw three different ones."""
        chosen: list[Interest] = []
        while len(chosen) < 3:
            if chance.random() < self.share:
                one = chance.choices(self.own, cum_weights=self.popularity)[0]
            else:
                one = chance.choice(self.topics)
            if one not in chosen:
                chosen.append(one)
        return tuple(chosen)


def crowd(
    name: str, interests: Interests, people: int, made: Sequence[Candidate], heat: dict[str, Trend]
) -> None:
    """Measure choosing for a crowd, and print."""
    corpus = Corpus.build(made)
    _ = corpus.likeness, corpus.stem_postings, corpus.plain_postings
    chance = random.Random(7)
    chosen = explained = 0.0
    done = entries = 0
    held: set[Interest] = set()
    memories = []
    with progress_bar() as progress:
        for number, profiles in enumerate(make_profiles(people, interests, made, chance)):
            if interests.share:
                held.update(one for profile in profiles for one in profile.interests)
            counts, seeds = [COUNT] * len(profiles), range(done, done + len(profiles))
            one, cost = timed(
                lambda p=profiles, c=counts, s=seeds: [*choose(p, corpus, heat, counts=c, seeds=s)]
            )
            chosen += cost
            done += len(profiles)
            if number % EXPLAINED == 0:
                _, cost = timed(lambda made=one: [choices.selections() for choices in made])
                explained, entries = explained + cost, entries + len(profiles)
            memories.append(memory())
            progress(done, people, name)
    line(f"{name}: choose {COUNT} of {len(made):,} for {people:,} people", chosen)
    print(
        f"  {1e6 * chosen / people:.1f} us a person; then {1e6 * explained / entries:.1f} us for its entries"
    )
    print(
        f"  memory {memories[len(memories) // 10]:,.0f} MB after a tenth, {memories[-1]:,.0f} MB at the end"
    )
    if held:
        fresh = Corpus.build(made)
        _ = fresh.stem_postings, fresh.likeness
        some = sorted(held, key=lambda one: one.name)[:1000]
        _, matching = timed(lambda: [match(fresh, one) for one in some])
        print(f"  {len(held):,} different interests; of it, matching 1,000 of them once: {matching:.2f} s")


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
    """Make papers of 180 words each, with one to four phrases of the catalogue strewn in.

    The nth of the words is n times as rare as the first, as in any language (Zipf's law).
    """
    sounds = [f"{first}{second}" for first in "bdfgklmnprstvz" for second in ("an", "el", "ir", "os", "ut")]
    common = [f"{one}{two}" for one in sounds for two in sounds]
    chance.shuffle(common)
    rarity = [*accumulate(1 / (number + 10) for number in range(len(common)))]
    phrases = [phrase for topic in CATALOGUE for phrase in topic.phrases]
    made = []
    for number in range(count):
        text = chance.choices(common, cum_weights=rarity, k=180)
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


def make_interests(share: float, made: Sequence[Candidate], chance: random.Random) -> Interests:
    """Make the catalogue's topics and phrases of two words that stand in papers, the first most popular."""
    topics = [Interest(name=one.name, phrases=one.phrases, categories=one.categories) for one in CATALOGUE]
    texts = [paper.abstract.split() for paper in made]
    own = []
    for number in range(OWN_PHRASES if share else 1):
        text = chance.choice(texts)
        start = chance.randrange(len(text) - 1)
        own.append(Interest(name=f"own {number:05}", phrases=(" ".join(text[start : start + 2]),)))
    popularity = [*accumulate(1 / (number + 1) for number in range(len(own)))]
    return Interests(topics, own, popularity, share)


def make_profiles(
    count: int, interests: Interests, made: Sequence[Candidate], chance: random.Random
) -> Iterator[list[Profile]]:
    """Make people chunk by chunk, every fourth with a mute, each with papers seen."""
    ids = [one.id for one in made]
    for start in range(0, count, CHUNK):
        yield [
            Profile(
                interests=interests.three(chance),
                mutes=(chance.choice(("banana", "video", "survey")),) if chance.random() < 0.25 else (),
                seen=frozenset(chance.sample(ids, min(SEEN, len(ids)))),
            )
            for _ in range(min(CHUNK, count - start))
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
