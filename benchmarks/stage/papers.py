"""Papers of the usual lengths, made up: enough of the catalogue's words that interests find their own."""

import random
from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta

from service.papers.paper import Observation, Paper
from service.papers.sources import Answer, Parsed
from service.subscribers.topics import CATALOGUE

DAYS = 12
A_DAY = 60
AUTHORS = ("Ada Byron", "Émile Post", "周杰", "Grace Hopper", "Jorge Juan", "Žofia Kielan", "Alan Turing")


class MadePapers:
    """A source of sixty papers a day, the same for the same seed; a few sightings of each."""

    name = "archive"

    def __init__(self, seed: int = 20260213) -> None:
        """Take the seed."""
        self._chance = random.Random(seed)
        chance = self._chance
        self._words = [
            "".join(chance.choices("aeioubdfgklmnprst", k=chance.randint(2, 10))) for _ in range(1500)
        ]

    def fetch(self, now: datetime) -> Iterator[Answer]:
        """Give one answer for each of the last days."""
        for back in range(DAYS, 0, -1):
            day = (now - timedelta(days=back)).date()
            yield Answer(
                origin=f"made list of {day}",
                observed_at=datetime.combine(day, time(18), UTC),
                listed_on=day,
                records=tuple(range(A_DAY)),
            )

    def parse(self, answer: Answer) -> Parsed:
        """Make the papers of a day."""
        papers, observations = [], []
        for number in answer.records:
            paper = self._paper(answer, number)
            papers.append(paper)
            votes = int(self._chance.paretovariate(1.2)) + 1
            observations += [
                Observation(
                    paper_id=paper.id,
                    source=self.name,
                    observed_at=answer.observed_at + timedelta(hours=hours),
                    upvotes=votes * hours // 4,
                    comments=votes // 9,
                    stars=votes * 7,
                )
                for hours in (0, 4, 12)
            ]
        return Parsed(papers=tuple(papers), observations=tuple(observations))

    def _paper(self, answer: Answer, number: int) -> Paper:
        chance, day = self._chance, answer.listed_on
        topics = chance.sample(CATALOGUE, 2)
        phrases = [chance.choice(topic.phrases) for topic in topics if topic.phrases]
        sentences = [self._sentence(18) for _ in range(9)]
        for phrase in phrases:
            place = chance.randrange(len(sentences))
            sentences[place] = f"{sentences[place][:-1]} {phrase}."
        assert day is not None
        return Paper(
            id=f"{day:%y%m}.{day.day:02}{number:03}",
            title=f"{self._sentence(7)[:-1]} {chance.choice(phrases or ['model'])}",
            abstract=" ".join(sentences),
            authors=tuple(chance.sample(AUTHORS, 3)),
            author_count=chance.randint(3, 12),
            published_at=datetime.combine(day, time(), UTC),
            listed_on=day,
            summary=self._sentence(14),
            keywords=tuple(phrases),
            repository_url=f"https://github.com/example/code-{number}",
            source=self.name,
        )

    def _sentence(self, count: int) -> str:
        return " ".join(self._chance.choices(self._words, k=count)).capitalize() + "."
