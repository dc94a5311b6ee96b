"""A bundled issue of real papers, so that a first run needs no network.

It is placed once. The first collect sets its newest list day on the last weekday that is over at that moment
and the other days on the weekdays before it; votes, comments and stars keep their distance in time from the
list day, so that every recorded sighting lies in the past. Later collects add nothing (the run is "quiet"): a
demo that moved along would show the same papers as new every morning. Publication dates stay the true ones.
"""

from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta

from service.papers.paper import Observation, Paper
from service.papers.sources import Answer, Parsed
from service.papers.sources.demo_issue import ISSUE, Entry

ISSUE_YEAR = 2026
SETTLED = timedelta(minutes=30)  # the last sightings of a list day were written down just after its midnight


class DemoSource:
    """The bundled issue as a source (``Resumable``); it never fails."""

    name = "demo"

    def fetch(self, now: datetime) -> Iterator[Answer]:
        """Give one answer for each list day of the issue, as placed at ``now``."""
        true_days = sorted(ISSUE)
        for true_day, day in zip(true_days, placed_days(now, len(true_days)), strict=True):
            yield Answer(
                origin=f"bundled list of {true_day}",
                observed_at=now,
                listed_on=day,
                records=tuple((true_day, entry) for entry in ISSUE[true_day]),
            )

    def parse(self, answer: Answer) -> Parsed:
        """Read the entries of an answer; every sighting moves with its list day."""
        papers: list[Paper] = []
        observations: list[Observation] = []
        day = answer.listed_on or answer.observed_at.date()
        for true_day, entry in answer.records:
            papers.append(_paper(entry, day))
            observations += _observations(entry, day - date.fromisoformat(true_day))
        return Parsed(papers=tuple(papers), observations=tuple(observations))

    def mark(self) -> str:
        """Name the issue: a new one would be placed anew."""
        return f"issue of {max(ISSUE)}"

    def fetch_after(self, since: datetime, now: datetime) -> Iterator[Answer]:  # noqa: ARG002 - the protocol's
        """Give nothing: the issue was placed whole by the first collect."""
        return iter(())


def placed_days(now: datetime, count: int) -> Sequence[date]:
    """Return the last ``count`` weekdays (UTC) that are over at ``now``, oldest first."""
    days: list[date] = []
    day = (now - SETTLED).astimezone(UTC).date()
    while len(days) < count:
        day -= timedelta(days=1)
        if day.weekday() < 5:
            days.append(day)
    return days[::-1]


def _paper(entry: Entry, day: date) -> Paper:
    return Paper(
        id=entry.id,
        title=entry.title,
        authors=tuple(entry.authors.split(", ")),
        author_count=entry.author_count,
        published_at=datetime.combine(date.fromisoformat(entry.published), time(), UTC),
        listed_on=day,
        summary=entry.summary,
        keywords=tuple(entry.keywords.split(", ")),
        repository_url=entry.repository_url,
        source=DemoSource.name,
    )


def _observations(entry: Entry, shift: timedelta) -> Iterator[Observation]:
    for sight in entry.sights.split(", "):
        at, upvotes, comments, stars = sight.split()
        yield Observation(
            paper_id=entry.id,
            source=DemoSource.name,
            observed_at=datetime.fromisoformat(f"{ISSUE_YEAR}-{at}").replace(tzinfo=UTC) + shift,
            upvotes=_count(upvotes),
            comments=_count(comments),
            stars=_count(stars),
        )


def _count(text: str) -> int | None:
    return None if text == "-" else int(text)
