"""The books of an issue date: what became of every digest that was due."""

from dataclasses import asdict, dataclass, field
from datetime import date
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from service.digests.tables import DigestRow
from service.mail.tables import DeliveryRow

MAILED = "mailed"
SKIPPED = "skipped"

# A delivery that a worker holds or is sending has not gone out yet: in the books it is queued.
_COLUMN = {"claimed": "queued", "sending": "queued"}


class BooksOff(RuntimeError):
    """The counts do not add up: a digest was to be mailed and has no delivery, or one of no known status."""


@dataclass(slots=True, kw_only=True)
class Accounting:
    """Counts of digests by what became of them; ``due`` is the sum of all the others."""

    due: int = 0
    sent: int = 0
    deferred: int = 0
    failed: int = 0
    unknown: int = 0
    queued: int = 0
    cancelled: int = 0
    skipped: dict[str, int] = field(default_factory=dict)

    @property
    def accounted(self) -> int:
        """Return the sum of all outcomes."""
        mailed = self.sent + self.deferred + self.failed + self.unknown + self.queued + self.cancelled
        return mailed + sum(self.skipped.values())

    def as_dict(self) -> dict[str, Any]:
        """Return the counts for JSON."""
        return asdict(self)


def account(session: Session, issue_date: date) -> Accounting:
    """Count the digests of ``issue_date``, each subscriber's own local date.

    Raises:
        BooksOff: the outcomes do not add up to the digests that were due.
    """
    books = Accounting(
        due=session.scalars(select(func.count()).where(DigestRow.issue_date == issue_date)).one()
    )
    outcomes = (
        select(DigestRow.outcome, DigestRow.skip_reason, DeliveryRow.status, func.count())
        .join(DeliveryRow, DeliveryRow.digest_id == DigestRow.id, isouter=True)
        .where(DigestRow.issue_date == issue_date)
        .group_by(DigestRow.outcome, DigestRow.skip_reason, DeliveryRow.status)
        .order_by(DigestRow.skip_reason)
    )
    for outcome, reason, status, count in session.execute(outcomes):
        if outcome == SKIPPED:
            books.skipped[reason or "unnamed"] = books.skipped.get(reason or "unnamed", 0) + count
        else:
            _add(books, status, count)
    if books.accounted != books.due:
        raise BooksOff(f"{books.due} digests were due on {issue_date}, {books.accounted} are accounted for")
    return books


def _add(books: Accounting, status: str | None, count: int) -> None:
    column = _COLUMN.get(status or "", status)
    if column not in {"sent", "deferred", "failed", "unknown", "queued", "cancelled"}:
        raise BooksOff(f"{count} digests have a delivery of status {status!r}")
    setattr(books, column, getattr(books, column) + count)
