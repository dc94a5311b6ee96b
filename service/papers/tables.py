"""Tables of papers, of what was observed of them, and of how each source fared."""

from datetime import date, datetime
from typing import Any

from sqlalchemy import JSON, Date, ForeignKey, Index, LargeBinary, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from service.database import Base, BigId


class PaperRow(Base):
    """One paper; fields as in :class:`service.papers.paper.Paper`."""

    __tablename__ = "papers"

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    title: Mapped[str] = mapped_column(Text)
    abstract: Mapped[str] = mapped_column(Text, default="")
    authors: Mapped[list[str]] = mapped_column(JSON, default=list)
    author_count: Mapped[int] = mapped_column(default=0)
    published_at: Mapped[datetime | None]
    listed_on: Mapped[date | None] = mapped_column(Date)
    first_seen_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    summary: Mapped[str | None] = mapped_column(Text)
    keywords: Mapped[list[str]] = mapped_column(JSON, default=list)
    categories: Mapped[list[str]] = mapped_column(JSON, default=list)
    organization: Mapped[str | None] = mapped_column(String(200))
    submitted_by: Mapped[str | None] = mapped_column(String(200))
    repository_url: Mapped[str | None] = mapped_column(Text)
    project_url: Mapped[str | None] = mapped_column(Text)
    withdrawn_at: Mapped[datetime | None]
    source: Mapped[str] = mapped_column(String(20))
    # The newest counts, so that a page needs no look at the observations. None: never seen.
    upvotes: Mapped[int | None]
    comments: Mapped[int | None]
    stars: Mapped[int | None]
    observed_at: Mapped[datetime | None]

    __table_args__ = (Index(None, "listed_on"), Index(None, "first_seen_at"))


class ObservationRow(Base):
    """One sighting of a paper's counts; never changed once written."""

    __tablename__ = "observations"

    paper_id: Mapped[str] = mapped_column(ForeignKey("papers.id", ondelete="CASCADE"), primary_key=True)
    observed_at: Mapped[datetime] = mapped_column(primary_key=True)
    source: Mapped[str] = mapped_column(String(20), primary_key=True)
    upvotes: Mapped[int | None]
    comments: Mapped[int | None]
    stars: Mapped[int | None]

    __table_args__ = (Index(None, "observed_at"),)


class PaperVectorRow(Base):
    """What one model made of a paper's text."""

    __tablename__ = "paper_vectors"

    paper_id: Mapped[str] = mapped_column(ForeignKey("papers.id", ondelete="CASCADE"), primary_key=True)
    model: Mapped[str] = mapped_column(String(64), primary_key=True)
    text_hash: Mapped[bytes] = mapped_column(LargeBinary(16))  # of the text that was read
    vector: Mapped[bytes] = mapped_column(LargeBinary)  # length 1; numbers of 16 bits, little-endian


class SourceRunRow(Base):
    """One attempt at one source: how a failing source is told from a quiet day."""

    __tablename__ = "source_runs"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    source: Mapped[str] = mapped_column(String(20))
    started_at: Mapped[datetime]
    finished_at: Mapped[datetime]
    outcome: Mapped[str] = mapped_column(String(20))  # ok, quiet, partial, failed
    paper_count: Mapped[int] = mapped_column(default=0)
    new_count: Mapped[int] = mapped_column(default=0)
    observation_count: Mapped[int] = mapped_column(default=0)
    malformed_count: Mapped[int] = mapped_column(default=0)
    newest_listed_on: Mapped[date | None] = mapped_column(Date)
    message: Mapped[str | None] = mapped_column(Text)
    details: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)

    __table_args__ = (Index(None, "source", "started_at"),)
