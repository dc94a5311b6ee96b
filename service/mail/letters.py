"""What each mail says, as plain values: whoever sends fills one in, the templates turn it into text.

The folder ``templates/email/<kind>/`` holds the words of a kind; the letter's fields are its variables.
"""

from dataclasses import dataclass, field
from datetime import date, datetime
from typing import ClassVar, Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """A paper as a digest shows it. None means not known; the template then says nothing."""

    paper_id: str
    title: str
    url: str  # where the paper is read (arXiv)
    authors: tuple[str, ...]  # the first few
    author_count: int
    abstract: str  # may be cut, then ends in an ellipsis
    summary: str | None = None
    listed_on: date | None = None
    upvotes: int | None = None
    comments: int | None = None
    stars: int | None = None
    repository_url: str | None = None
    reasons: tuple[str, ...] = ()  # true sentences, the most telling first
    _hash: int = field(init=False, repr=False, compare=False, default=0)

    def __post_init__(self) -> None:
        """Work out the hash: a card is looked up by it in every mail it stands in."""
        shown = (
            self.paper_id,
            self.title,
            self.abstract,
            self.upvotes,
            self.comments,
            self.stars,
            self.reasons,
        )
        object.__setattr__(self, "_hash", hash(shown))

    def __hash__(self) -> int:
        """Return it."""
        return self._hash


@dataclass(frozen=True, slots=True, kw_only=True)
class DigestLetter:
    """One subscriber's digest."""

    kind: ClassVar[str] = "digest"
    recipient: str
    issue_date: date
    trending: tuple[Card, ...]
    for_you: tuple[Card, ...]
    interests: tuple[str, ...]  # names, to say why this mail comes
    is_first: bool = False
    notice: str | None = None  # one sentence on a source in trouble
    list_url: str  # the reader's own page; what leads to answers about a paper begins with it
    preferences_url: str
    unsubscribe_url: str
    unsubscribe_address: str | None = None  # where a mail program may write instead, if mail there is read


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfirmLetter:
    """Asks whether the address's owner wants the digests. Says nothing that promotes."""

    kind: ClassVar[str] = "confirm"
    recipient: str
    confirm_url: str
    requested_at: datetime
    expires_at: datetime
    interests: tuple[str, ...]
    schedule: str  # such as "at 08:00 (Europe/Berlin) on Monday to Friday; the first at once"


@dataclass(frozen=True, slots=True, kw_only=True)
class AlreadySubscribedLetter:
    """Tells the owner of an active address that somebody filled in the form with it again."""

    kind: ClassVar[str] = "already_subscribed"
    recipient: str
    requested_at: datetime
    preferences_url: str
    unsubscribe_url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GoodbyeLetter:
    """Tells that a subscription ended by a press on its page or link. Nothing follows it."""

    kind: ClassVar[str] = "goodbye"
    recipient: str
    left_at: datetime
    home_url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ManageLetter:
    """Carries a fresh link to export or erase everything about the subscriber."""

    kind: ClassVar[str] = "manage"
    recipient: str
    action: Literal["export", "erase"]
    url: str
    requested_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertLetter:
    """Tells the operator what needs a look."""

    kind: ClassVar[str] = "alert"
    recipient: str
    headline: str
    lines: tuple[str, ...]


Letter = DigestLetter | ConfirmLetter | AlreadySubscribedLetter | GoodbyeLetter | ManageLetter | AlertLetter
