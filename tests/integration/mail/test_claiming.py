"""The edges of a delivery's life that are taken together, in one statement, do what each does alone."""

from datetime import timedelta

import pytest
from sqlalchemy import select, update

from service.clock import SettableClock
from service.database import Database
from service.mail import claiming, outbox
from service.mail.claiming import SENDING_LEASE, Result
from service.mail.composing import Claimed
from service.mail.delivery import Outcome, Stage, Status, Step, Verdict
from service.mail.tables import DeliveryRow
from tests.integration.mail.test_sending import queue_digests

HOLDER = "w"


def take(database: Database, clock: SettableClock, count: int) -> list[Claimed]:
    queue_digests(database, count, clock())
    with database.transaction() as session:
        return claiming.claim(
            session, queue=outbox.BULK, kinds=["digest"], holder=HOLDER, now=clock(), limit=count
        )


def was_sent(delivery: Claimed, text: str) -> Result:
    outcome = Outcome(verdict=Verdict.SENT, stage=Stage.DOT, code=250, enhanced="2.0.0", text=text)
    return Result(delivery, outcome, Step(Status.SENT))


def stored(database: Database) -> dict[int, DeliveryRow]:
    with database.reading() as session:
        return {row.id: row for row in session.scalars(select(DeliveryRow))}


@pytest.mark.trust(104)
@pytest.mark.parametrize("texts", [("ok", "ok"), ("queued as 1", "queued as 2")])
def test_a_turn_records_what_was_sent_and_begins_what_is_still_ours(
    postgres_database: Database, clock: SettableClock, texts: tuple[str, str]
) -> None:
    database = postgres_database
    first, second, third, left, late = take(database, clock, 5)
    with database.transaction() as session:
        ids = [first.id, second.id]
        assert claiming.begin(session, ids, holder=HOLDER, now=clock()) == set(ids)
    with database.transaction() as session:
        outbox.cancel_waiting(
            session, subscriber_id=left.subscriber_id or 0, reason="unsubscribed", now=clock()
        )
        session.execute(update(DeliveryRow).where(DeliveryRow.id == late.id).values(expires_at=clock()))
    clock.advance(timedelta(seconds=3))
    with database.statements() as connection:
        begun = claiming.turn(
            connection,
            [was_sent(first, texts[0]), was_sent(second, texts[1])],
            [third.id, left.id, late.id],
            holder=HOLDER,
            now=clock(),
        )
    assert begun == {third.id}
    found = stored(database)
    for delivery, text in zip((first, second), texts, strict=True):
        row = found[delivery.id]
        assert (row.status, row.reply_text, row.finished_at) == ("sent", text, clock())
        assert (row.attempt_count, row.claimed_by, row.lease_until) == (1, None, None)
    row = found[third.id]
    assert (row.status, row.attempt_count, row.claimed_by) == ("sending", 1, HOLDER)
    assert row.lease_until == clock() + SENDING_LEASE
    assert [found[one.id].status for one in (left, late)] == ["cancelled", "claimed"]


@pytest.mark.trust(103, 104)
def test_a_turn_of_one_who_holds_nothing_any_more_moves_nothing(
    postgres_database: Database, clock: SettableClock
) -> None:
    database = postgres_database
    first, second = take(database, clock, 2)
    with database.transaction() as session:
        claiming.begin(session, [first.id], holder=HOLDER, now=clock())
    before = {id_: row.status for id_, row in stored(database).items()}
    with database.statements() as connection:
        begun = claiming.turn(connection, [was_sent(first, "ok")], [second.id], holder="another", now=clock())
    assert begun == set()
    assert {id_: row.status for id_, row in stored(database).items()} == before
