"""Tables of the libraries people upload: personal data, handed out and erased with the rest."""

from datetime import datetime

from sqlalchemy import ForeignKey, Index, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from service.database import Base, BigId


class LibraryRow(Base):
    """One uploaded library: an interest by itself, in papers like its items."""

    __tablename__ = "libraries"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    subscriber_id: Mapped[int] = mapped_column(ForeignKey("subscribers.id", ondelete="CASCADE"), index=True)
    name: Mapped[str] = mapped_column(String(80))
    format: Mapped[str] = mapped_column(String(20))  # what it was read as
    item_count: Mapped[int]
    weight: Mapped[float] = mapped_column(default=1.0)
    uploaded_at: Mapped[datetime]


class LibraryItemRow(Base):
    """One work of a library. ``position`` counts from the latest, 0: ranking takes the first ones."""

    __tablename__ = "library_items"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    library_id: Mapped[int] = mapped_column(ForeignKey("libraries.id", ondelete="CASCADE"))
    position: Mapped[int]
    title: Mapped[str] = mapped_column(Text)
    abstract: Mapped[str] = mapped_column(Text, default="")
    paper_id: Mapped[str | None] = mapped_column(String(64))  # arXiv's; the paper may be unknown here

    __table_args__ = (Index(None, "library_id", "position"),)
