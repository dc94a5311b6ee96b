"""answers of subscribers about papers

Revision ID: 5c1d0f3a7e29
Revises: 1ff3e76b5cca
"""

import sqlalchemy as sa
from alembic import op

import service.database

revision = "5c1d0f3a7e29"
down_revision = "1ff3e76b5cca"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    big_id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "answers",
        sa.Column("id", big_id, nullable=False),
        sa.Column("subscriber_id", big_id, nullable=False),
        sa.Column("paper_id", sa.String(length=64), nullable=False),
        sa.Column("is_liked", sa.Boolean(), nullable=False),
        sa.Column("at", service.database.UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["subscriber_id"],
            ["subscribers.id"],
            name=op.f("fk_answers_subscriber_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_answers")),
        sa.UniqueConstraint("subscriber_id", "paper_id", name=op.f("uq_answers_subscriber_id_paper_id")),
    )


def downgrade() -> None:
    """Undo."""
    op.drop_table("answers")
