"""Tables of subscribers, their interests, the tokens sent to them and the log of their consent."""

from datetime import datetime
from typing import Any

from sqlalchemy import (
    JSON,
    ForeignKey,
    Index,
    LargeBinary,
    SmallInteger,
    String,
    Text,
    UniqueConstraint,
    text,
    true,
)
from sqlalchemy.orm import Mapped, mapped_column

from service.database import Base, BigId


class SubscriberRow(Base):
    """A person named by one address. An erased subscriber has no row."""

    __tablename__ = "subscribers"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    public_id: Mapped[int] = mapped_column(BigId, unique=True)  # random; what tokens name
    address: Mapped[str] = mapped_column(String(254), unique=True)  # normalised; where mail goes
    address_key: Mapped[bytes] = mapped_column(LargeBinary(32), index=True)
    status: Mapped[str] = mapped_column(String(20))  # pending, active, unsubscribed, bounced, complained
    timezone: Mapped[str] = mapped_column(String(64), default="UTC")
    send_hour: Mapped[int] = mapped_column(SmallInteger, default=8)  # local, 0 to 23
    weekdays: Mapped[int] = mapped_column(SmallInteger, default=0b0011111)  # bit 0 is Monday
    paper_count: Mapped[int] = mapped_column(SmallInteger, default=10)
    mutes: Mapped[list[str]] = mapped_column(JSON, default=list)
    # Whether a paper outside the interests may come; set by the database where older code leaves it out.
    explores: Mapped[bool] = mapped_column(default=True, server_default=true())
    token_version: Mapped[int] = mapped_column(default=0)  # raised to void preference links
    created_at: Mapped[datetime]
    updated_at: Mapped[datetime]
    confirmed_at: Mapped[datetime | None]
    left_at: Mapped[datetime | None]
    paused_until: Mapped[datetime | None]
    last_digest_at: Mapped[datetime | None]  # when the last mailed digest was planned
    # Raised by each digest to be mailed: of two planners that chose papers at once, one finds it changed.
    digest_count: Mapped[int] = mapped_column(default=0, server_default=text("0"))

    __table_args__ = (
        Index(None, "status", "timezone", "send_hour"),
        {"postgresql_with": {"fillfactor": 50}},  # each digest writes the row anew: beside the old one
    )


class InterestRow(Base):
    """One named interest of a subscriber."""

    __tablename__ = "interests"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    subscriber_id: Mapped[int] = mapped_column(ForeignKey("subscribers.id", ondelete="CASCADE"), index=True)
    position: Mapped[int] = mapped_column(SmallInteger, default=0)
    name: Mapped[str] = mapped_column(String(120))
    topic: Mapped[str | None] = mapped_column(
        String(64)
    )  # slug of the catalogue's topic, if it came from there
    phrases: Mapped[list[str]] = mapped_column(JSON, default=list)
    categories: Mapped[list[str]] = mapped_column(JSON, default=list)
    authors: Mapped[list[str]] = mapped_column(JSON, default=list)
    examples: Mapped[list[str]] = mapped_column(JSON, default=list)
    against: Mapped[list[str]] = mapped_column(JSON, default=list, server_default="[]")
    mutes: Mapped[list[str]] = mapped_column(JSON, default=list)
    weight: Mapped[float] = mapped_column(default=1.0)


class AnswerRow(Base):
    """What a subscriber said of a paper: more like it, or not for them. The last word on each counts."""

    __tablename__ = "answers"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    subscriber_id: Mapped[int] = mapped_column(ForeignKey("subscribers.id", ondelete="CASCADE"))
    paper_id: Mapped[str] = mapped_column(String(64))
    is_liked: Mapped[bool]
    at: Mapped[datetime]

    __table_args__ = (UniqueConstraint("subscriber_id", "paper_id"),)


class TokenRow(Base):
    """A token that expires and works once; only its hash is kept."""

    __tablename__ = "tokens"

    nonce: Mapped[int] = mapped_column(BigId, primary_key=True, autoincrement=False)  # what the token names
    purpose: Mapped[str] = mapped_column(String(20))
    subscriber_id: Mapped[int] = mapped_column(ForeignKey("subscribers.id", ondelete="CASCADE"), index=True)
    token_hash: Mapped[bytes] = mapped_column(LargeBinary(32), unique=True)
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    used_at: Mapped[datetime | None]
    requested: Mapped[dict[str, Any] | None] = mapped_column(JSON)  # the preferences confirming will apply


class SignUpMailRow(Base):
    """One mail sent because somebody asked for it: what the limits count. Kept for 30 days, hashes only."""

    __tablename__ = "sign_up_mails"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    at: Mapped[datetime] = mapped_column(index=True)
    kind: Mapped[str] = mapped_column(String(20))  # sign_up, link, own_link: each has limits of its own
    limit_key: Mapped[bytes] = mapped_column(LargeBinary(32))  # of the address without plus-tag and dots
    domain_key: Mapped[bytes] = mapped_column(LargeBinary(32))
    network: Mapped[str | None] = mapped_column(String(64))  # truncated; None: not to be limited

    __table_args__ = (
        Index(None, "limit_key", "at"),
        Index(None, "domain_key", "at"),
        Index(None, "network", "at"),
    )


class ConsentEventRow(Base):
    """One event in the log of consent. Rows are added, never changed; the address is only a keyed hash.

    Triggers of the first migration refuse to delete a row or to change what happened. What may still be
    taken away is what names a person: ``subscriber_id``, ``network``, ``user_agent`` and ``details``.
    """

    __tablename__ = "consent_events"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    subscriber_id: Mapped[int | None] = mapped_column(
        BigId
    )  # no foreign key: the log outlives the person's row
    address_key: Mapped[bytes] = mapped_column(LargeBinary(32), index=True)
    kind: Mapped[str] = mapped_column(String(30))
    at: Mapped[datetime]
    wording: Mapped[str | None] = mapped_column(String(40))  # version of the text the person saw
    form: Mapped[str | None] = mapped_column(String(200))  # which form or interface
    message_id: Mapped[str | None] = mapped_column(String(200))
    token_hash: Mapped[bytes | None] = mapped_column(LargeBinary(32))
    network: Mapped[str | None] = mapped_column(String(64))  # truncated: /24 or /64
    user_agent: Mapped[str | None] = mapped_column(Text)
    details: Mapped[dict[str, Any]] = mapped_column(JSON, default=dict)

    __table_args__ = (Index(None, "kind", "at"),)
