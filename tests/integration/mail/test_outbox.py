"""Queueing, cancelling, sweeping and the suppression list (trust 24, 46, 66, 74, 104, 108)."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select, text, update
from sqlalchemy.orm import Session

from service.clock import SettableClock
from service.database import Database
from service.mail import outbox
from service.mail.delivery import Status
from service.mail.suppression import suppress, suppressed
from service.mail.sweeping import LOST_AT_MOST, SweepTally, sweep
from service.mail.tables import IS_WAITING, DeliveryRow, SuppressionRow

DAY = timedelta(days=1)


def a_delivery(session: Session, now: datetime, status: Status = Status.QUEUED, **values: Any) -> int:
    queued = {"kind": "digest", "queue": outbox.BULK, "now": now, "expires_at": now + DAY}
    delivery_id = outbox.queue(
        session, **(queued | {k: values.pop(k) for k in list(values) if k in KEYWORDS})
    )
    session.execute(update(DeliveryRow).where(DeliveryRow.id == delivery_id).values(status=status, **values))
    return delivery_id


KEYWORDS = {"subscriber_id", "digest_id", "expires_at"}


def state(session: Session, delivery_id: int) -> tuple[str, str | None]:
    row = session.get_one(DeliveryRow, delivery_id, populate_existing=True)
    return row.status, row.reason


def test_a_queued_delivery_waits_with_a_nonce_of_its_own(database: Database, clock: SettableClock) -> None:
    with database.transaction() as session:
        outbox.queue(
            session,
            kind="confirm",
            queue=outbox.TRANSACTIONAL,
            now=clock(),
            expires_at=clock() + DAY,
            subscriber_id=3,
            parameters={"token": 12},
        )
        a_delivery(session, clock())
    with database.reading() as session:
        first, second = session.scalars(select(DeliveryRow).order_by(DeliveryRow.id)).all()
    assert (first.status, first.kind, first.parameters, first.next_at) == (
        "queued",
        "confirm",
        {"token": 12},
        clock(),
    )
    assert first.nonce != second.nonce


def test_many_are_queued_at_once_and_none_is_no_statement(database: Database, clock: SettableClock) -> None:
    row = {"kind": "digest", "queue": outbox.BULK, "now": clock(), "expires_at": clock() + DAY}
    with database.transaction() as session:
        outbox.queue_many(session, [])
        outbox.queue_many(session, [row | {"subscriber_id": n, "digest_id": n} for n in range(1000)])
    with database.reading() as session:
        nonces = session.scalars(select(DeliveryRow.nonce)).all()
    assert len(set(nonces)) == 1000


def test_an_unknown_queue_is_refused(sqlite_database: Database, clock: SettableClock) -> None:
    with pytest.raises(ValueError, match="express"), sqlite_database.transaction() as session:
        outbox.queue(session, kind="digest", queue="express", now=clock(), expires_at=clock())


@pytest.mark.trust(24)
def test_trust_24_cancelling_reaches_all_that_is_not_on_its_way(
    database: Database, clock: SettableClock
) -> None:
    with database.transaction() as session:
        ids = {status: a_delivery(session, clock(), status, subscriber_id=1) for status in Status}
        other = a_delivery(session, clock(), subscriber_id=2)
        assert outbox.cancel_waiting(session, subscriber_id=1, reason="unsubscribed", now=clock()) == 3
        after = {status: state(session, delivery_id)[0] for status, delivery_id in ids.items()}
        assert state(session, other) == ("queued", None)
    stopped = {Status.QUEUED, Status.DEFERRED, Status.CLAIMED}
    assert after == {status: "cancelled" if status in stopped else status for status in Status}


@pytest.mark.trust(46, 104, 108)
def test_trust_46_104_and_108_the_sweep_moves_what_is_stuck_and_nothing_else(
    database: Database, clock: SettableClock
) -> None:
    now = clock()
    past, future = now - timedelta(seconds=1), now + timedelta(minutes=5)
    with database.transaction() as session:
        held = {"claimed_by": "w", "lease_until": future}
        lost = {"claimed_by": "w", "lease_until": past}
        expected = {
            a_delivery(session, now, Status.CLAIMED, **held): ("claimed", None),
            a_delivery(session, now, Status.CLAIMED, **lost): ("queued", "worker_lost"),
            a_delivery(session, now, Status.CLAIMED, lost_count=LOST_AT_MOST, digest_id=7, **lost): (
                "failed",
                "poison",
            ),
            a_delivery(session, now, Status.SENDING, **held): ("sending", None),
            a_delivery(session, now, Status.SENDING, digest_id=8, **lost): ("unknown", "worker_lost"),
            a_delivery(session, now): ("queued", None),
            a_delivery(session, now, expires_at=past, digest_id=9): ("failed", "expired"),
            a_delivery(session, now, Status.DEFERRED, expires_at=past): ("failed", "expired"),
            a_delivery(session, now, Status.SENT, expires_at=past): ("sent", None),
            a_delivery(session, now, Status.UNKNOWN, expires_at=past): ("unknown", None),
        }
        freed: list[int] = []
        tally = sweep(session, now, on_unsent=lambda session, ids: freed.extend(ids))
        assert tally == SweepTally(requeued=1, unknown=1, expired=2, poisoned=1)
        assert {delivery_id: state(session, delivery_id) for delivery_id in expected} == expected
        assert sorted(freed) == [7, 9]  # an unknown may have arrived: its papers stay seen
        assert sweep(session, now).total == 0


@pytest.mark.trust(108)
def test_trust_108_what_is_lost_with_its_worker_is_set_aside_the_fourth_time(
    database: Database, clock: SettableClock
) -> None:
    """Once in company, once among a few, twice alone; what was tried before counts for nothing in this."""
    with database.transaction() as session:
        lost = a_delivery(session, clock(), attempt_count=7, digest_id=5)
        said = []
        for _ in range(LOST_AT_MOST + 1):
            session.execute(
                update(DeliveryRow).values(
                    status=Status.CLAIMED, claimed_by="w", lease_until=clock() - timedelta(seconds=1)
                )
            )
            sweep(session, clock())
            row = session.get_one(DeliveryRow, lost, populate_existing=True)
            said.append((row.status, row.reason, row.lost_count, row.attempt_count))
    assert said == [
        ("queued", "worker_lost", 1, 7),
        ("queued", "worker_lost", 2, 7),
        ("queued", "worker_lost", 3, 7),
        ("failed", "poison", 3, 7),
    ]


@pytest.mark.trust(66, 74)
def test_trust_66_and_74_the_suppression_list_knows_keys_and_keeps_the_first_reason(
    database: Database, clock: SettableClock
) -> None:
    with database.transaction() as session:
        suppress(session, b"a" * 32, "complaint", clock(), "arf")
        suppress(session, b"a" * 32, "bounce", clock(), "dsn")
        suppress(session, b"b" * 32, "erased", clock())
        assert suppressed(session, [b"a" * 32, b"c" * 32]) == {b"a" * 32}
        assert suppressed(session, []) == set()
        assert session.get_one(SuppressionRow, b"a" * 32).reason == "complaint"


def test_the_claim_uses_the_index_of_open_rows(sqlite_database: Database, clock: SettableClock) -> None:
    statement = (
        f"explain query plan select id from deliveries where {IS_WAITING} "
        "and queue = 'bulk' and kind in ('digest') and next_at <= '2030' order by next_at, id limit 5"
    )
    with sqlite_database.reading() as session:
        plan = " ".join(row[3] for row in session.execute(text(statement)))
    assert "ix_deliveries_open" in plan
    assert "TEMP B-TREE" not in plan
