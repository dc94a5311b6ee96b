"""the ledger without a foreign key and a second index, selections as text, room beside each subscriber

Revision ID: e50b8d2f6c17
Revises: c41f7a90be35
"""

import sqlalchemy as sa
from alembic import op

revision = "e50b8d2f6c17"
down_revision = "c41f7a90be35"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    # Looking ten papers of one digest up for their subscriber took longer than entering them. What a foreign
    # key would see to, a trigger does: who is erased leaves nothing.
    with op.batch_alter_table("seen_papers") as table:
        table.drop_constraint(op.f("fk_seen_papers_subscriber_id"), type_="foreignkey")
        table.drop_index(op.f("ix_seen_papers_digest_id"))
    if op.get_bind().dialect.name == "postgresql":
        _forget_seen_postgresql()
        # As JSON each would be parsed once more by a server that never looks into it.
        op.execute("ALTER TABLE digests ALTER COLUMN selection TYPE text USING selection::text")
        if _has_lz4():
            op.execute("ALTER TABLE digests ALTER COLUMN selection SET COMPRESSION lz4")
        # Every row is written anew with every digest: beside the old one no index hears of it.
        op.execute("ALTER TABLE subscribers SET (fillfactor = 50)")
    else:
        op.execute(
            "CREATE TRIGGER subscribers_forget_seen AFTER DELETE ON subscribers"
            " BEGIN DELETE FROM seen_papers WHERE subscriber_id = OLD.id; END"
        )
        with op.batch_alter_table("digests") as table:
            table.alter_column("selection", type_=sa.Text(), existing_type=sa.JSON(), existing_nullable=False)


def _forget_seen_postgresql() -> None:
    op.execute(
        "CREATE FUNCTION forget_seen() RETURNS trigger LANGUAGE plpgsql AS $$"
        " BEGIN DELETE FROM seen_papers WHERE subscriber_id = OLD.id; RETURN NULL; END $$"
    )
    op.execute(
        "CREATE TRIGGER subscribers_forget_seen AFTER DELETE ON subscribers"
        " FOR EACH ROW EXECUTE FUNCTION forget_seen()"
    )


def _has_lz4() -> bool:
    known = "SELECT 'lz4' = ANY (enumvals) FROM pg_settings WHERE name = 'default_toast_compression'"
    return bool(op.get_bind().scalar(sa.text(known)))


def downgrade() -> None:
    """Undo."""
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP TRIGGER subscribers_forget_seen ON subscribers")
        op.execute("DROP FUNCTION forget_seen()")
        op.execute("ALTER TABLE digests ALTER COLUMN selection TYPE json USING selection::json")
        op.execute("ALTER TABLE subscribers RESET (fillfactor)")
    else:
        op.execute("DROP TRIGGER subscribers_forget_seen")
        with op.batch_alter_table("digests") as table:
            table.alter_column("selection", type_=sa.JSON(), existing_type=sa.Text(), existing_nullable=False)
    with op.batch_alter_table("seen_papers") as table:
        table.create_index(op.f("ix_seen_papers_digest_id"), ["digest_id"], unique=False)
        table.create_foreign_key(
            op.f("fk_seen_papers_subscriber_id"),
            "subscribers",
            ["subscriber_id"],
            ["id"],
            ondelete="CASCADE",
        )
