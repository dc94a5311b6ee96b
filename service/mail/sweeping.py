"""The sweep: finds deliveries whose worker died or whose time is up, each minute, from SQL alone."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import and_, or_, select, update
from sqlalchemy.orm import Session
from sqlalchemy.sql.elements import ColumnElement, TextClause

from service.mail.delivery import Status
from service.mail.tables import IS_LEASED, IS_OPEN, IS_WAITING, DeliveryRow

# A worker that goes down takes all it held along. These are then made a few at a time, and those that are
# lost once more each alone (claiming.claim); the one that takes its worker down twice alone is set aside.
LOST_OFTEN = 2
LOST_AT_MOST = 3
# No lease is so long: who gave it looked at a clock that ran ahead.
NO_LEASE = timedelta(days=1)

OnUnsent = Callable[[Session, Sequence[int]], None]
"""Told, inside the same transaction, of digests that will not be mailed: their papers are free again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepTally:
    """How many deliveries a sweep moved."""

    requeued: int  # the worker died before it sent anything
    unknown: int  # the worker died while sending
    expired: int  # their time was up
    poisoned: int  # took their workers down again and again

    @property
    def total(self) -> int:
        """All that were moved."""
        return self.requeued + self.unknown + self.expired + self.poisoned


def sweep(session: Session, now: datetime, *, on_unsent: OnUnsent | None = None) -> SweepTally:
    """Move on what is stuck: lapsed claims to queued, lapsed sendings to unknown, late ones to failed."""
    lapsed = and_(IS_LEASED, or_(DeliveryRow.lease_until < now, DeliveryRow.lease_until > now + NO_LEASE))
    late = and_(IS_WAITING, DeliveryRow.expires_at <= now)
    # One look over all that is open: mostly there is nothing.
    if session.scalar(select(DeliveryRow.id).where(IS_OPEN, or_(lapsed, late)).limit(1)) is None:
        return SweepTally(requeued=0, unknown=0, expired=0, poisoned=0)
    unknown = _move(
        session, [DeliveryRow.status == Status.SENDING, lapsed], Status.UNKNOWN, now, "worker_lost"
    )
    lost = [DeliveryRow.status == Status.CLAIMED, lapsed]
    poisoned = _move(session, [*lost, DeliveryRow.lost_count >= LOST_AT_MOST], Status.FAILED, now, "poison")
    requeued = _move(session, lost, Status.QUEUED, now, "worker_lost", lost_count=DeliveryRow.lost_count + 1)
    expired = _move(
        session,
        [late],
        Status.FAILED,
        now,
        "expired",
    )
    unsent = [digest_id for digest_id in (*poisoned, *expired) if digest_id is not None]
    if unsent and on_unsent is not None:
        on_unsent(session, unsent)
    return SweepTally(
        requeued=len(requeued), unknown=len(unknown), expired=len(expired), poisoned=len(poisoned)
    )


def _move(
    session: Session,
    conditions: Sequence[ColumnElement[bool] | TextClause],
    status: Status,
    now: datetime,
    reason: str,
    **values: Any,
) -> list[int | None]:
    """Move the rows that meet ``conditions``; return the digest id (or None) of each."""
    if status is Status.QUEUED:
        values |= {"claimed_by": None, "lease_until": None}
    elif status is not Status.UNKNOWN:  # an unknown keeps its worker's name: late evidence may come from it
        values |= {"claimed_by": None, "lease_until": None, "finished_at": now}
    else:
        values |= {"lease_until": None, "finished_at": now}
    statement = (
        update(DeliveryRow)
        .where(*conditions)
        .values(status=status, reason=reason, **values)
        .returning(DeliveryRow.digest_id)
        .execution_options(synchronize_session=False)
    )
    return list(session.scalars(statement))
