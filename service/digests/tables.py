"""Tables of digests, frozen when planned, and of what planning remembers."""

from datetime import date, datetime
from typing import Any

from sqlalchemy import Date, ForeignKey, Index, String, Text, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from service.database import Base, BigId
from service.selections import Selected


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
    selection: Mapped[list[dict[str, Any]]] = mapped_column(Selected, default=list)  # in the order mailed
    # The ledger: ids of the papers given, with blanks between. Whose digest stands gets none of them again;
    # None where it was skipped, failed, or its person is gone.
    papers: Mapped[str | None] = mapped_column(Text)

    __table_args__ = (
        UniqueConstraint("subscriber_id", "issue_date"),
        Index(None, "issue_date", "outcome"),
    )


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
