"""What a paper is to us, and what was seen of it at a moment. Plain values, made clean at the door."""

from dataclasses import dataclass
from datetime import date, datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Paper:
    """A research paper, named by its arXiv id without version.

    Text fields are single lines without control or bidirectional-override characters; URLs are http(s) with
    a host. None or an empty tuple means "not known", never "zero".
    """

    id: str
    title: str
    abstract: str = ""
    authors: tuple[str, ...] = ()
    author_count: int = 0  # may exceed len(authors): very long lists are cut
    published_at: datetime | None = None
    listed_on: date | None = None  # the source's own list day
    summary: str | None = None  # one sentence, the source's
    keywords: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()  # arXiv categories, aliases folded
    organization: str | None = None
    submitted_by: str | None = None
    repository_url: str | None = None
    project_url: str | None = None
    withdrawn_at: datetime | None = None
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """Votes, comments and stars of a paper as one source showed them at one instant.

    None means the source did not say, which is not zero.
    """

    paper_id: str
    source: str
    observed_at: datetime
    upvotes: int | None = None
    comments: int | None = None
    stars: int | None = None
