"""Tables of deliveries (one message to one recipient, over its attempts) and of suppressed addresses."""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Index, LargeBinary, SmallInteger, String, Text, text
from sqlalchemy.orm import Mapped, mapped_column

from service.database import Base, BigId

# Written out, not bound: SQLite uses a partial index only for the very words of its condition.
IS_OPEN = text("deliveries.finished_at is null")
IS_WAITING = text("deliveries.finished_at is null and deliveries.status in ('queued', 'deferred')")
IS_LEASED = text("deliveries.finished_at is null and deliveries.status in ('claimed', 'sending')")


class DeliveryRow(Base):
    """One message to one recipient. The status changes by compare-and-set only (service/mail/delivery.py)."""

    __tablename__ = "deliveries"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    nonce: Mapped[int] = mapped_column(BigId, unique=True)  # random; named by Message-ID and envelope sender
    kind: Mapped[str] = mapped_column(
        String(30)
    )  # digest, confirm, already_subscribed, goodbye, manage, alert
    queue: Mapped[str] = mapped_column(String(20))  # transactional or bulk
    status: Mapped[str] = mapped_column(String(20))
    subscriber_id: Mapped[int | None] = mapped_column(
        BigId, index=True
    )  # no foreign key: mail knows no subscribers
    digest_id: Mapped[int | None] = mapped_column(BigId, unique=True)
    parameters: Mapped[dict[str, Any]] = mapped_column(
        JSON, default=dict
    )  # ids and dates; never an address or token
    created_at: Mapped[datetime]
    next_at: Mapped[datetime]  # not before this instant
    expires_at: Mapped[datetime]  # not after this instant
    attempt_count: Mapped[int] = mapped_column(SmallInteger, default=0)
    # How many workers went down while they held it and had not begun to send it.
    lost_count: Mapped[int] = mapped_column(SmallInteger, default=0, server_default=text("0"))
    claimed_by: Mapped[str | None] = mapped_column(String(64))
    lease_until: Mapped[datetime | None]
    finished_at: Mapped[datetime | None]  # None while it is queued, deferred, claimed or sending
    reason: Mapped[str | None] = mapped_column(
        String(60)
    )  # a word: why failed, cancelled, deferred or unknown
    reply_code: Mapped[int | None] = mapped_column(SmallInteger)
    enhanced_code: Mapped[str | None] = mapped_column(String(12))
    reply_text: Mapped[str | None] = mapped_column(Text)  # truncated, control-stripped: remote input

    __table_args__ = (
        # Not by status or lease: what is claimed and begun then moves in no index (Postgres: a HOT update).
        Index(
            "ix_deliveries_open",
            "queue",
            "next_at",
            "id",
            postgresql_where=text("finished_at is null"),
            sqlite_where=text("finished_at is null"),
        ),
    )


class SuppressionRow(Base):
    """An address not to be mailed, as a keyed hash with its reason."""

    __tablename__ = "suppressions"

    address_key: Mapped[bytes] = mapped_column(LargeBinary(32), primary_key=True)
    reason: Mapped[str] = mapped_column(String(20))  # bounce, complaint, erased, operator
    since: Mapped[datetime]
    source: Mapped[str | None] = mapped_column(String(60))


class ReturnRow(Base):
    """One message or event that came back about a delivery: a bounce, a complaint, an answer. No address."""

    __tablename__ = "returns"

    id: Mapped[int] = mapped_column(BigId, primary_key=True)
    event_key: Mapped[bytes] = mapped_column(LargeBinary(32), unique=True)  # hash: the same comes twice
    received_at: Mapped[datetime] = mapped_column(index=True)
    source: Mapped[str] = mapped_column(String(20))  # mail, or the name of a provider
    kind: Mapped[str] = mapped_column(String(20))  # hard, soft, policy, complaint, delay, auto_reply, other
    status: Mapped[str | None] = mapped_column(String(12))  # RFC 3463
    delivery_id: Mapped[int | None] = mapped_column(BigId, index=True)
    subscriber_id: Mapped[int | None] = mapped_column(BigId, index=True)
    outcome: Mapped[str] = mapped_column(String(20))  # what was done about it


class UsedSignatureRow(Base):
    """A signature of a provider that was used: within its window of time it works no second time."""

    __tablename__ = "used_signatures"

    signature_key: Mapped[bytes] = mapped_column(LargeBinary(32), primary_key=True)
    used_at: Mapped[datetime] = mapped_column(index=True)


class AlertRow(Base):
    """When the operator was last told of something: one mail a day for each topic."""

    __tablename__ = "alerts"

    topic: Mapped[str] = mapped_column(String(60), primary_key=True)
    raised_at: Mapped[datetime]


class TallyRow(Base):
    """How digests fared at a destination within ten minutes: what the breaker judges by.

    Big providers by name; everybody else together, since a small domain may name its owner.
    """

    __tablename__ = "mail_tallies"

    scope: Mapped[str] = mapped_column(String(30), primary_key=True)
    slot: Mapped[datetime] = mapped_column(primary_key=True)  # its beginning
    sent: Mapped[int] = mapped_column(default=0)
    policy: Mapped[int] = mapped_column(default=0)  # refused for what we are or send (5.7.x)


class BreakerRow(Base):
    """Digests to a destination stopped because it refuses them; at most one of each is open."""

    __tablename__ = "breakers"

    id: Mapped[int] = mapped_column(primary_key=True)
    scope: Mapped[str] = mapped_column(String(30))  # as in the tallies; "*" is all
    cause: Mapped[str] = mapped_column(String(20))  # policy or complaints
    detail: Mapped[str] = mapped_column(String(200))
    opened_at: Mapped[datetime]
    retry_at: Mapped[datetime | None]  # when a few are let through; None: only by command
    try_count: Mapped[int] = mapped_column(SmallInteger, default=0)
    closed_at: Mapped[datetime | None]
    closed_by: Mapped[str | None] = mapped_column(String(20))  # probe or operator

    __table_args__ = (
        Index(
            "uq_breakers_open",
            "scope",
            unique=True,
            postgresql_where=text("closed_at is null"),
            sqlite_where=text("closed_at is null"),
        ),
    )
