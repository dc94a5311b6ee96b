"""The way into the mail: whoever has something to say queues a delivery inside their own transaction."""

import secrets
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import insert, update
from sqlalchemy.orm import Session

from service.bulk import Columns, insert_columns
from service.mail.delivery import CANCELLABLE, Status
from service.mail.tables import DeliveryRow

TRANSACTIONAL = "transactional"  # somebody waits for it: confirmations, links asked for, alerts
BULK = "bulk"  # digests

_DELIVERIES = DeliveryRow.metadata.tables[DeliveryRow.__tablename__]
_QUEUES = frozenset({TRANSACTIONAL, BULK})
_KEYWORDS = (
    "kind", "queue", "now", "expires_at", "subscriber_id", "digest_id", "parameters", "next_at", "nonce",
)  # fmt: skip
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
    columns = _columns(
        {
            "kind": [kind],
            "queue": [queue],
            "now": [now],
            "expires_at": [expires_at],
            "subscriber_id": [subscriber_id],
            "digest_id": [digest_id],
            "parameters": [parameters],
            "next_at": [next_at],
        }
    )
    row = {name: value for name, [value] in columns.items()}
    return session.execute(insert(DeliveryRow).values(row).returning(DeliveryRow.id)).scalar_one()


def queue_many(session: Session, rows: Sequence[Mapping[str, Any]]) -> None:
    """Queue many deliveries by one INSERT; each row has the keywords of :func:`queue` as keys.

    A row may bring a ``nonce`` of its own (0 to 2**63-1, hard to guess): the Message-ID comes from it.
    """
    queue_columns(session, {name: [row.get(name) for row in rows] for name in _KEYWORDS})


def queue_columns(session: Session, columns: Columns) -> None:
    """Queue many deliveries as :func:`queue_many` does, given by column."""
    insert_columns(session, _DELIVERIES, _columns(columns))


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


def _columns(given: Columns) -> Columns:
    now = given["now"]
    none = [None] * len(now)
    for queue in set(given["queue"]) - _QUEUES:
        raise ValueError(f"no such mail queue: {queue!r}")
    return {
        "nonce": [nonce or secrets.randbits(NONCE_BITS) for nonce in given.get("nonce", none)],
        "kind": given["kind"],
        "queue": given["queue"],
        "status": [Status.QUEUED.value] * len(now),
        "subscriber_id": given.get("subscriber_id", none),
        "digest_id": given.get("digest_id", none),
        "parameters": [parameters or {} for parameters in given.get("parameters", none)],
        "created_at": now,
        "next_at": [at or begun for at, begun in zip(given.get("next_at", none), now, strict=True)],
        "expires_at": given["expires_at"],
        "attempt_count": [0] * len(now),
    }
