"""digests keep the papers they gave; a count of each person's digests in place of the ledger's rows

Revision ID: b9e2f4067a31
Revises: a7d3c1e94b52
"""

import json
from collections.abc import Iterator

import sqlalchemy as sa
from alembic import op

revision = "b9e2f4067a31"
down_revision = "a7d3c1e94b52"
branch_labels = None
depends_on = None

PAGE = 5_000
FIELDS = ("paper", "list", "score", "reasons", "interest", "upvotes", "comments", "stars", "is_exploration")

DIGESTS = sa.table(
    "digests",
    sa.column("id", sa.BigInteger),
    sa.column("subscriber_id", sa.BigInteger),
    sa.column("selection", sa.Text),
    sa.column("papers", sa.Text),
)


def upgrade() -> None:
    """Apply."""
    op.add_column("digests", sa.Column("papers", sa.Text(), nullable=True))
    op.add_column(
        "subscribers", sa.Column("digest_count", sa.Integer(), server_default=sa.text("0"), nullable=False)
    )
    if _is_postgres():
        op.execute(
            "UPDATE digests SET papers = given.papers"
            " FROM (SELECT digest_id, string_agg(paper_id, ' ') AS papers"
            " FROM seen_papers GROUP BY digest_id) AS given"
            " WHERE given.digest_id = digests.id"
        )
        op.execute("DROP TRIGGER subscribers_forget_seen ON subscribers")
        op.execute("DROP FUNCTION forget_seen()")
    else:
        # Without an index on digest_id each digest by itself would read the whole ledger.
        op.execute(
            "CREATE TEMP TABLE given AS SELECT digest_id, group_concat(paper_id, ' ') AS papers"
            " FROM seen_papers GROUP BY digest_id"
        )
        op.execute("CREATE UNIQUE INDEX temp.given_by_digest ON given (digest_id)")
        op.execute(
            "UPDATE digests SET papers = (SELECT papers FROM given WHERE given.digest_id = digests.id)"
        )
        op.execute("DROP TABLE temp.given")
        op.execute("DROP TRIGGER subscribers_forget_seen")
    op.drop_table("seen_papers")


def downgrade() -> None:
    """Undo."""
    seen = op.create_table(
        "seen_papers",
        sa.Column("subscriber_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("paper_id", sa.String(length=64), nullable=False),
        sa.Column("digest_id", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("subscriber_id", "paper_id", name=op.f("pk_seen_papers")),
    )
    for page in _pages():
        rows = {
            (subscriber_id, paper): digest_id
            for digest_id, subscriber_id, _, papers in page
            if subscriber_id is not None
            for paper in (papers or "").split()
        }
        op.bulk_insert(
            seen,
            [
                {"subscriber_id": subscriber_id, "paper_id": paper, "digest_id": digest_id}
                for (subscriber_id, paper), digest_id in rows.items()
            ],
        )
        named = [{"key": id_, "lines": _with_names(selection)} for id_, _, selection, _ in page]
        op.get_bind().execute(
            sa.update(DIGESTS)
            .where(DIGESTS.c.id == sa.bindparam("key"))
            .values(selection=sa.bindparam("lines")),
            named,
        )
    op.drop_column("digests", "papers")
    op.drop_column("subscribers", "digest_count")
    if _is_postgres():
        op.execute(
            "CREATE FUNCTION forget_seen() RETURNS trigger LANGUAGE plpgsql AS $$"
            " BEGIN DELETE FROM seen_papers WHERE subscriber_id = OLD.id; RETURN NULL; END $$"
        )
        op.execute(
            "CREATE TRIGGER subscribers_forget_seen AFTER DELETE ON subscribers"
            " FOR EACH ROW EXECUTE FUNCTION forget_seen()"
        )
    else:
        op.execute(
            "CREATE TRIGGER subscribers_forget_seen AFTER DELETE ON subscribers"
            " BEGIN DELETE FROM seen_papers WHERE subscriber_id = OLD.id; END"
        )


def _is_postgres() -> bool:
    return op.get_bind().dialect.name == "postgresql"


def _pages() -> Iterator[list[sa.Row[tuple[int, int | None, str, str | None]]]]:
    columns = (DIGESTS.c.id, DIGESTS.c.subscriber_id, DIGESTS.c.selection, DIGESTS.c.papers)
    last = 0
    while True:
        query = sa.select(*columns).where(DIGESTS.c.id > last).order_by(DIGESTS.c.id).limit(PAGE)
        page = list(op.get_bind().execute(query))
        if not page:
            return
        yield page
        last = page[-1][0]


def _with_names(selection: str) -> str:
    """Write a selection as earlier code reads it: a mapping a line."""
    items = [
        item if isinstance(item, dict) else dict(zip(FIELDS, item, strict=False))
        for item in json.loads(selection)
    ]
    return "[\n" + ",\n".join(map(json.dumps, items)) + "\n]" if items else "[]"
