"""what comes back, used signatures, alerts

Revision ID: b7d94e02c6a1
Revises: 8e2b61c4d90f
"""

import sqlalchemy as sa
from alembic import op

import service.database

revision = "b7d94e02c6a1"
down_revision = "8e2b61c4d90f"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    big_id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    at = service.database.UtcDateTime(timezone=True)
    op.create_table(
        "returns",
        sa.Column("id", big_id, nullable=False),
        sa.Column("event_key", sa.LargeBinary(length=32), nullable=False),
        sa.Column("received_at", at, nullable=False),
        sa.Column("source", sa.String(length=20), nullable=False),
        sa.Column("kind", sa.String(length=20), nullable=False),
        sa.Column("status", sa.String(length=12), nullable=True),
        sa.Column("delivery_id", big_id, nullable=True),
        sa.Column("subscriber_id", big_id, nullable=True),
        sa.Column("outcome", sa.String(length=20), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_returns")),
        sa.UniqueConstraint("event_key", name=op.f("uq_returns_event_key")),
    )
    for column in ("received_at", "delivery_id", "subscriber_id"):
        op.create_index(op.f(f"ix_returns_{column}"), "returns", [column], unique=False)
    op.create_table(
        "used_signatures",
        sa.Column("signature_key", sa.LargeBinary(length=32), nullable=False),
        sa.Column("used_at", at, nullable=False),
        sa.PrimaryKeyConstraint("signature_key", name=op.f("pk_used_signatures")),
    )
    op.create_index(op.f("ix_used_signatures_used_at"), "used_signatures", ["used_at"], unique=False)
    op.create_table(
        "alerts",
        sa.Column("topic", sa.String(length=60), nullable=False),
        sa.Column("raised_at", at, nullable=False),
        sa.PrimaryKeyConstraint("topic", name=op.f("pk_alerts")),
    )


def downgrade() -> None:
    """Undo."""
    op.drop_table("alerts")
    op.drop_table("used_signatures")
    op.drop_table("returns")
