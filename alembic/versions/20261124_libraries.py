"""what counts against a paper, a switch for exploring, libraries people upload

Revision ID: 8e2b61c4d90f
Revises: 5c1d0f3a7e29
"""

import sqlalchemy as sa
from alembic import op

import service.database

revision = "8e2b61c4d90f"
down_revision = "5c1d0f3a7e29"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    big_id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    # Plain ALTER TABLE, also on SQLite: to write "subscribers" anew would take what hangs on its rows along.
    op.add_column(
        "subscribers", sa.Column("explores", sa.Boolean(), server_default=sa.true(), nullable=False)
    )
    op.add_column("interests", sa.Column("against", sa.JSON(), server_default="[]", nullable=False))
    op.create_table(
        "libraries",
        sa.Column("id", big_id, nullable=False),
        sa.Column("subscriber_id", big_id, nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("format", sa.String(length=20), nullable=False),
        sa.Column("item_count", sa.Integer(), nullable=False),
        sa.Column("weight", sa.Double(), nullable=False),
        sa.Column("uploaded_at", service.database.UtcDateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["subscriber_id"],
            ["subscribers.id"],
            name=op.f("fk_libraries_subscriber_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_libraries")),
    )
    op.create_index(op.f("ix_libraries_subscriber_id"), "libraries", ["subscriber_id"], unique=False)
    op.create_table(
        "library_items",
        sa.Column("id", big_id, nullable=False),
        sa.Column("library_id", big_id, nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("abstract", sa.Text(), nullable=False),
        sa.Column("paper_id", sa.String(length=64), nullable=True),
        sa.ForeignKeyConstraint(
            ["library_id"], ["libraries.id"], name=op.f("fk_library_items_library_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_library_items")),
    )
    op.create_index(
        op.f("ix_library_items_library_id_position"),
        "library_items",
        ["library_id", "position"],
        unique=False,
    )


def downgrade() -> None:
    """Undo."""
    op.drop_table("library_items")
    op.drop_table("libraries")
    op.drop_column("interests", "against")
    op.drop_column("subscribers", "explores")
