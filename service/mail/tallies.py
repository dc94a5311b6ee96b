"""Counts how digests fare at each destination, in slots of ten minutes, for the breaker and the figures."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import delete, func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from service.endpoints import PROVIDERS, destination
from service.mail.tables import TallyRow

SLOT = timedelta(minutes=10)
KEPT = timedelta(days=30)
ALL = "*"  # of what is refused before anybody is named (MAIL): it is about the sender alone
OTHERS = "other"


@dataclass(slots=True)
class Tally:
    """Digests taken, and refused for what we are or send."""

    sent: int = 0
    policy: int = 0

    def __bool__(self) -> bool:
        """Whether there is anything to count."""
        return bool(self.sent or self.policy)


def scope_of(address: str) -> str:
    """Return under which name an address's servers are counted here: a big provider's, or all others'."""
    name = destination(address)
    return name if name in PROVIDERS else OTHERS


def slot_of(now: datetime) -> datetime:
    """Return the beginning of the slot an instant lies in."""
    seconds = int(now.timestamp())
    return datetime.fromtimestamp(seconds - seconds % int(SLOT.total_seconds()), UTC)


def add(session: Session, now: datetime, counts: Mapping[str, Tally]) -> None:
    """Add counts by scope. Ordered by name: two workers never wait for each other crosswise."""
    rows = [
        {"scope": scope, "slot": slot_of(now), "sent": tally.sent, "policy": tally.policy}
        for scope, tally in sorted(counts.items())
        if tally
    ]
    make_insert = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    for row in rows:
        statement = make_insert(TallyRow).values(row)
        session.execute(
            statement.on_conflict_do_update(
                index_elements=["scope", "slot"],
                set_={
                    "sent": TallyRow.sent + statement.excluded.sent,
                    "policy": TallyRow.policy + statement.excluded.policy,
                },
            )
        )


def since(session: Session, start: datetime) -> dict[str, Tally]:
    """Return the counts by scope of all slots that began at ``start`` or later."""
    rows = session.execute(
        select(TallyRow.scope, func.sum(TallyRow.sent), func.sum(TallyRow.policy))
        .where(TallyRow.slot >= start)
        .group_by(TallyRow.scope)
    )
    return {scope: Tally(sent=int(sent), policy=int(policy)) for scope, sent, policy in rows}


def forget_old(session: Session, now: datetime) -> None:
    """Delete what is too old to be asked for."""
    session.execute(delete(TallyRow).where(TallyRow.slot < now - KEPT))
