"""Addresses that get no more mail, kept as keyed hashes: enough to recognise one, not to know it."""

from collections.abc import Iterable, Iterator
from datetime import datetime

from sqlalchemy import delete, func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from service.bulk import among
from service.mail.tables import SuppressionRow

# From the mildest to the gravest: what is said later never makes light of what was said before.
GRAVITY = ("erased", "bounce", "operator", "complaint")


def suppress(
    session: Session, address_key: bytes, reason: str, now: datetime, source: str | None = None
) -> None:
    """Put an address on the list; of several reasons the gravest stays.

    ``reason`` is bounce, complaint, erased or operator; ``source`` names what told us ("rcpt", "dsn").

    Raises:
        ValueError: the reason is none of these.
    """
    if reason not in GRAVITY:
        raise ValueError(f"no reason to suppress an address: {reason!r}")
    dialect = session.get_bind().dialect.name
    make_insert = postgresql.insert if dialect == "postgresql" else sqlite.insert
    row = {"reason": reason, "since": now, "source": source}
    session.execute(
        make_insert(SuppressionRow)
        .values(address_key=address_key, **row)
        .on_conflict_do_update(
            index_elements=["address_key"],
            set_=row,
            where=SuppressionRow.reason.in_(GRAVITY[: GRAVITY.index(reason)]),
        )
    )


def suppressed(session: Session, keys: Iterable[bytes]) -> set[bytes]:
    """Return those of ``keys`` that are on the list. Ask with the keys of every secret, retired ones too."""
    wanted = list(keys)
    if not wanted:
        return set()
    is_wanted = among(session, SuppressionRow.address_key, wanted)
    found = session.scalars(select(SuppressionRow.address_key).where(is_wanted))
    return {bytes(key) for key in found}


def count_by_reason(session: Session) -> list[tuple[str, str | None, int]]:
    """Return how many addresses are on the list, by reason and source."""
    statement = (
        select(SuppressionRow.reason, SuppressionRow.source, func.count())
        .group_by(SuppressionRow.reason, SuppressionRow.source)
        .order_by(SuppressionRow.reason, SuppressionRow.source)
    )
    return [(reason, source, count) for reason, source, count in session.execute(statement)]


def entries(session: Session) -> Iterator[tuple[bytes, str, datetime, str | None]]:
    """Give hash, reason, date and source of all entries, the oldest first, a thousand at a time."""
    columns = (SuppressionRow.address_key, SuppressionRow.reason, SuppressionRow.since, SuppressionRow.source)
    statement = select(*columns).order_by(SuppressionRow.since, SuppressionRow.address_key)
    for address_key, reason, since, source in session.execute(statement.execution_options(yield_per=1000)):
        yield bytes(address_key), reason, since, source


def find(session: Session, keys: Iterable[bytes]) -> list[SuppressionRow]:
    """Return the entries of an address, asked with the keys of every secret."""
    return list(session.scalars(select(SuppressionRow).where(SuppressionRow.address_key.in_(list(keys)))))


def release(session: Session, keys: Iterable[bytes]) -> bool:
    """Take an address off the list, whatever the reason: only ever on an operator's word."""
    found = session.execute(delete(SuppressionRow).where(SuppressionRow.address_key.in_(list(keys))))
    return bool(found.rowcount)  # type: ignore[attr-defined]
