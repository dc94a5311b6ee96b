"""Tables of digests, frozen when planned, and of the papers each subscriber has been given."""

from datetime import date, datetime
from typing import Any

from sqlalchemy import Date, ForeignKey, Index, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from service.bulk import JsonInText
from service.database import Base, BigId


class DigestRow(Base):
    """One subscriber's digest for one local date. At most one row for each pair, whatever crashes.

    Erasing a subscriber leaves the row without subscriber and selection: the books still add up.
    """

    __tablename__ = "digests"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    subscriber_id: Mapped[int | None] = mapped_column(ForeignKey("subscribers.id", ondelete="SET NULL"))
    issue_date: Mapped[date] = mapped_column(Date)  # the subscriber's local date
    due_at: Mapped[datetime]
    planned_at: Mapped[datetime]
    is_first: Mapped[bool] = mapped_column(default=False)  # sent right after confirming, not by schedule
    outcome: Mapped[str] = mapped_column(String(20))  # mailed (a delivery exists) or skipped
    skip_reason: Mapped[str | None] = mapped_column(
        String(30)
    )  # empty, missed, source_outage, held, too_soon
    window_start: Mapped[datetime | None]
    formula: Mapped[str | None] = mapped_column(String(40))  # version of the ranking
    # [{"paper", "list": "trending"|"for_you", "score", "reasons": [..], "interest", "upvotes", "comments",
    # "stars"}], in the order mailed; the counts are those the reasons speak of. One off the interests has
    # "is_exploration": true beside it
    selection: Mapped[list[dict[str, Any]]] = mapped_column(JsonInText, default=list)

    __table_args__ = (
        UniqueConstraint("subscriber_id", "issue_date"),
        Index(None, "issue_date", "outcome"),
    )


class SeenPaperRow(Base):
    """The ledger that keeps a paper from being mailed twice to one person.

    Rows come with a digest of the same person, in its transaction: the digest's foreign key keeps the person
    there until both are committed. A trigger on ``subscribers`` takes the rows of who is erased.
    """

    __tablename__ = "seen_papers"

    subscriber_id: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=False)
    paper_id: Mapped[str] = mapped_column(String(64), primary_key=True)
    digest_id: Mapped[int] = mapped_column(BigId)


class HoldRow(Base):
    """A hold on sending, set by the operator or by the guard after a restore; at most one is unreleased."""

    __tablename__ = "holds"

    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(String(20))  # operator or restore
    since: Mapped[datetime]
    reason: Mapped[str] = mapped_column(String(200))
    released_at: Mapped[datetime | None]


class PlannerRow(Base):
    """What planning remembers of itself; one row, with id 1."""

    __tablename__ = "planner"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    database_id: Mapped[str] = mapped_column(String(32))  # random: tells this database from any other
    generation: Mapped[int] = mapped_column(BigId, default=0)  # raised by every step that plans or sends
    ticked_at: Mapped[datetime | None]  # the instant the last complete planning looked at
