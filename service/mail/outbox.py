"""The way into the mail: whoever has something to say queues a delivery inside their own transaction."""

import secrets
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import insert, update
from sqlalchemy.orm import Session

from service.bulk import insert_many
from service.mail.delivery import CANCELLABLE, Status
from service.mail.tables import DeliveryRow

TRANSACTIONAL = "transactional"  # somebody waits for it: confirmations, links asked for, alerts
BULK = "bulk"  # digests

_DELIVERIES = DeliveryRow.metadata.tables[DeliveryRow.__tablename__]
_QUEUES = frozenset({TRANSACTIONAL, BULK})
NONCE_BITS = 63


def queue(
    session: Session,
    *,
    kind: str,
    queue: str,
    now: datetime,
    expires_at: datetime,
    subscriber_id: int | None = None,
    digest_id: int | None = None,
    parameters: Mapping[str, Any] | None = None,
    next_at: datetime | None = None,
) -> int:
    """Queue one delivery and return its id; it goes out between ``next_at`` (now) and ``expires_at``.

    ``parameters`` hold ids and dates, never an address or a token.
    """
    row = _values(
        {
            "kind": kind,
            "queue": queue,
            "now": now,
            "expires_at": expires_at,
            "subscriber_id": subscriber_id,
            "digest_id": digest_id,
            "parameters": parameters,
            "next_at": next_at,
        }
    )
    return session.execute(insert(DeliveryRow).values(row).returning(DeliveryRow.id)).scalar_one()


def queue_many(session: Session, rows: Sequence[Mapping[str, Any]]) -> None:
    """Queue many deliveries by one INSERT; each row has the keywords of :func:`queue` as keys.

    A row may bring a ``nonce`` of its own (0 to 2**63-1, hard to guess): the Message-ID comes from it.
    """
    insert_many(session, _DELIVERIES, [_values(row) for row in rows])


def cancel_waiting(
    session: Session, *, subscriber_id: int, reason: str, now: datetime, keeping: Collection[str] = ()
) -> int:
    """Cancel what still waits for a subscriber, even if a worker holds it; return how many.

    ``keeping`` names kinds that may go nevertheless.
    What is being sent at this moment can't be called back.
    """
    result = session.execute(
        update(DeliveryRow)
        .where(
            DeliveryRow.subscriber_id == subscriber_id,
            DeliveryRow.status.in_(CANCELLABLE),
            DeliveryRow.kind.not_in(keeping),
        )
        .values(status=Status.CANCELLED, reason=reason, finished_at=now, claimed_by=None, lease_until=None)
        .execution_options(synchronize_session=False)
    )
    return int(result.rowcount)  # type: ignore[attr-defined]


def _values(row: Mapping[str, Any]) -> dict[str, Any]:
    if row["queue"] not in _QUEUES:
        raise ValueError(f"no such mail queue: {row['queue']!r}")
    return {
        "nonce": row.get("nonce") or secrets.randbits(NONCE_BITS),
        "kind": row["kind"],
        "queue": row["queue"],
        "status": Status.QUEUED.value,
        "subscriber_id": row.get("subscriber_id"),
        "digest_id": row.get("digest_id"),
        "parameters": dict(row.get("parameters") or {}),
        "created_at": row["now"],
        "next_at": row.get("next_at") or row["now"],
        "expires_at": row["expires_at"],
        "attempt_count": 0,
    }
