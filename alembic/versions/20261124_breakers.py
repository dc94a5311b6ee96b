"""how often a delivery was lost with its worker, how digests fared by destination, breakers

Revision ID: c41f7a90be35
Revises: b7d94e02c6a1
"""

import sqlalchemy as sa
from alembic import op

import service.database

revision = "c41f7a90be35"
down_revision = "b7d94e02c6a1"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    at = service.database.UtcDateTime(timezone=True)
    op.add_column(
        "deliveries", sa.Column("lost_count", sa.SmallInteger(), server_default=sa.text("0"), nullable=False)
    )
    op.create_table(
        "mail_tallies",
        sa.Column("scope", sa.String(length=30), nullable=False),
        sa.Column("slot", at, nullable=False),
        sa.Column("sent", sa.Integer(), nullable=False),
        sa.Column("policy", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("scope", "slot", name=op.f("pk_mail_tallies")),
    )
    op.create_table(
        "breakers",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("scope", sa.String(length=30), nullable=False),
        sa.Column("cause", sa.String(length=20), nullable=False),
        sa.Column("detail", sa.String(length=200), nullable=False),
        sa.Column("opened_at", at, nullable=False),
        sa.Column("retry_at", at, nullable=True),
        sa.Column("try_count", sa.SmallInteger(), nullable=False),
        sa.Column("closed_at", at, nullable=True),
        sa.Column("closed_by", sa.String(length=20), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_breakers")),
    )
    op.create_index(
        "uq_breakers_open",
        "breakers",
        ["scope"],
        unique=True,
        postgresql_where=sa.text("closed_at is null"),
        sqlite_where=sa.text("closed_at is null"),
    )


def downgrade() -> None:
    """Undo."""
    op.drop_table("breakers")
    op.drop_table("mail_tallies")
    op.drop_column("deliveries", "lost_count")
