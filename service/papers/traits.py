"""What is public of a paper beside its counts, and how earlier papers of the same people fared. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from math import log1p

PAST_DAYS = 365
SETTLED = timedelta(days=2)  # after its list day the votes on a paper tell how it fared
DOUBT = 3.0  # papers' worth of doubt about somebody's past

# What the forecast reads, in this order; each is 0 for a usual paper, or where nothing is known.
FEATURES = ("organization", "project_page", "authors", "age_at_listing", "submitter", "last_author")
USUAL_AUTHORS = 8
USUAL_DAYS = 2
MOST_DAYS = 14


@dataclass(frozen=True, slots=True, kw_only=True)
class Traits:
    """What is known of a paper at an instant. None means unknown; the pasts are 0 for people without one."""

    listed_at: datetime | None = None  # where the source tells the hour, not the day alone
    organization: bool = False
    project_page: bool = False
    authors: int | None = None
    published_on: date | None = None
    submitter: float = 0.0  # how papers of the same submitter fared, see Past
    last_author: float = 0.0  # and those with the same last author: most often the head of the group


@dataclass(frozen=True, slots=True, kw_only=True)
class Earlier:
    """A paper of an earlier list day with the votes it was last seen with."""

    list_date: date
    votes: int
    submitter: str | None
    last_author: str | None


@dataclass(frozen=True, slots=True)
class Past:
    """How people's papers fared: the mean of ln(1 + votes) less that of all papers of the same day.

    It is drawn to 0 where it rests on few papers: the sum is divided by their number and three more.
    """

    submitters: Mapping[str, float] = field(default_factory=dict)
    last_authors: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def of(cls, papers: Iterable[Earlier], today: date) -> "Past":
        """Work it out from the papers listed in the year that ended two days before ``today``."""
        first, last = today - timedelta(days=PAST_DAYS), today - SETTLED
        days: dict[date, list[Earlier]] = defaultdict(list)
        for paper in papers:
            if first <= paper.list_date <= last:
                days[paper.list_date].append(paper)
        submitters: dict[str, list[float]] = defaultdict(list)
        last_authors: dict[str, list[float]] = defaultdict(list)
        for _, listed in sorted(days.items()):
            middle = sum(log1p(one.votes) for one in listed) / len(listed)
            for one in listed:
                better = log1p(one.votes) - middle
                if one.submitter:
                    submitters[one.submitter].append(better)
                if one.last_author:
                    last_authors[one.last_author].append(better)
        return cls(_shrunk(submitters), _shrunk(last_authors))


def features(traits: Traits | None, list_date: date) -> tuple[float, ...]:
    """Give the numbers the forecast weighs, one for each of FEATURES."""
    if traits is None:
        return (0.0,) * len(FEATURES)
    authors, days = 0.0, 0.0
    if traits.authors:
        authors = log1p(traits.authors) - log1p(USUAL_AUTHORS)
    if traits.published_on is not None:
        age = min(max((list_date - traits.published_on).days, 0), MOST_DAYS)
        days = log1p(age) - log1p(USUAL_DAYS)
    return (
        float(traits.organization), float(traits.project_page), authors, days,
        traits.submitter, traits.last_author,
    )  # fmt: skip


def hour_told(listed_at: datetime | None, list_date: date) -> datetime | None:
    """Give the instant of listing if the source told its hour: one of the list day, not cut to midnight."""
    if listed_at is None or listed_at.date() != list_date or listed_at.time() == time():
        return None
    return listed_at


def last_of(authors: Iterable[str], count: int | None = None) -> str | None:
    """Name the last author; None where the list was cut (``count`` tells how many there really are)."""
    named = list(authors)
    return named[-1] if named and (count is None or count <= len(named)) else None


def _shrunk(values: Mapping[str, list[float]]) -> dict[str, float]:
    return {name: sum(each) / (len(each) + DOUBT) for name, each in values.items()}
