"""one index of what is not finished, in place of two by status; room beside each delivery

Revision ID: a7d3c1e94b52
Revises: e50b8d2f6c17
"""

import sqlalchemy as sa
from alembic import op

revision = "a7d3c1e94b52"
down_revision = "e50b8d2f6c17"
branch_labels = None
depends_on = None

OVER = "status in ('sent', 'failed', 'unknown', 'cancelled')"
WAITING = "status in ('queued', 'deferred')"
LEASED = "status in ('claimed', 'sending')"


def upgrade() -> None:
    """Apply."""
    # Claiming and beginning change neither finished_at nor any other column of an index: Postgres then writes
    # the row anew beside the old one, and none of five indexes hears of it.
    op.execute(f"UPDATE deliveries SET finished_at = next_at WHERE finished_at IS NULL AND {OVER}")  # noqa: S608
    # Whoever waits or is held and has an end all the same would be found by nobody any more.
    op.execute(f"UPDATE deliveries SET finished_at = NULL WHERE finished_at IS NOT NULL AND NOT {OVER}")  # noqa: S608
    op.drop_index("ix_deliveries_waiting", "deliveries")
    op.drop_index("ix_deliveries_leased", "deliveries")
    _index("ix_deliveries_open", ["queue", "next_at", "id"], "finished_at is null")
    if op.get_bind().dialect.name == "postgresql":
        op.execute("ALTER TABLE deliveries SET (fillfactor = 50)")


def downgrade() -> None:
    """Undo."""
    if op.get_bind().dialect.name == "postgresql":
        op.execute("ALTER TABLE deliveries RESET (fillfactor)")
    op.drop_index("ix_deliveries_open", "deliveries")
    _index("ix_deliveries_waiting", ["queue", "next_at", "id"], WAITING)
    _index("ix_deliveries_leased", ["lease_until"], LEASED)


def _index(name: str, columns: list[str], where: str) -> None:
    op.create_index(name, "deliveries", columns, postgresql_where=sa.text(where), sqlite_where=sa.text(where))
