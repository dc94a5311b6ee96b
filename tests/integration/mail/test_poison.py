"""A letter that takes its worker down is found out and set aside; all others go out once (trust 108, 114)."""

import os
import signal
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import update
from sqlalchemy.orm import Session

from service.clock import SettableClock
from service.database import Database
from service.keys import Keyring
from service.mail import outbox
from service.mail.composing import Claimed
from service.mail.courier import MemoryRelay, RelayCourier
from service.mail.delivery import Outcome, Stage, Status, Verdict
from service.mail.letters import Letter
from service.mail.message import Parcel, Press
from service.mail.sending import deliver_waiting
from service.mail.sweeping import sweep
from service.mail.tables import DeliveryRow
from tests.integration.mail.test_sending import DAY, SampleComposer, queue_digests, rows
from tests.unit.mail.letter_samples import a_sender

POISON = 7
COUNT = 60


class Deadly(SampleComposer):
    """Kills its process over one of the letters."""

    def compose(self, session: Session, deliveries: Sequence[Claimed], now: datetime) -> dict[int, Letter]:
        if any(delivery.subscriber_id == POISON for delivery in deliveries):
            os.kill(os.getpid(), signal.SIGKILL)
        return super().compose(session, deliveries, now)


class DeadlyPress(Press):
    """Kills its process over one of the messages."""

    def make(self, letter: Letter, *, nonce: int, at: datetime) -> Parcel:
        if letter.recipient.startswith(f"reader{POISON}@"):
            os.kill(os.getpid(), signal.SIGKILL)
        return super().make(letter, nonce=nonce, at=at)


def in_a_child(work: Callable[[], None]) -> int:
    """Do ``work`` in a process of its own; return how it ended, below zero by a signal."""
    pid = os.fork()
    if pid == 0:
        try:
            work()
            os._exit(0)
        finally:
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


@pytest.mark.trust(108, 114)
@pytest.mark.parametrize("where", ["compose", "prepare"])
def test_trust_108_a_deadly_letter_kills_four_workers_at_most_and_no_other_is_lost(
    database: Database, database_url: str, clock: SettableClock, keyring: Keyring, tmp_path: Path, where: str
) -> None:
    queue_digests(database, COUNT, clock(), expires_at=clock() + 3 * DAY)
    log = tmp_path / "taken"

    def take(parcel: Parcel) -> Outcome:
        with log.open("a") as file:
            file.write(f"{parcel.recipient}\n")
        return Outcome(verdict=Verdict.SENT, stage=Stage.DOT, code=250)

    def work() -> None:
        press = Press if where == "compose" else DeadlyPress
        deliver_waiting(
            Database(database_url),
            composers={"digest": Deadly() if where == "compose" else SampleComposer()},
            courier=RelayCourier(press=press(a_sender(), keyring), relay=MemoryRelay(take), window=20),
            clock=clock,
            queue=outbox.BULK,
            worker="w",
        )

    database.close()  # nothing open is shared with the children
    deaths = 0
    for _ in range(8):
        deaths += in_a_child(work) == -signal.SIGKILL
        clock.advance(timedelta(hours=1))
        with database.transaction() as session:
            swept = sweep(session, clock())
        database.close()
        if not swept.total and not any(row.status == Status.QUEUED for row in rows(database)):
            break
    # Once in company, once among a few, twice alone.
    assert deaths == 4
    ended = {row.subscriber_id: (row.status, row.reason) for row in rows(database)}
    assert ended.pop(POISON) == ("failed", "poison")
    taken = Counter(log.read_text().split())
    assert max(taken.values()) == 1
    # Where it strikes in mid-chunk, what was being sent at that moment is unknown: one window at most.
    unknown = [number for number, (status, _) in ended.items() if status == "unknown"]
    assert len(unknown) <= (0 if where == "compose" else 20)
    assert {status for status, _ in ended.values()} <= {"sent", "unknown"}
    assert all(
        taken[f"reader{number}@example.org"] == 1 for number, (status, _) in ended.items() if status == "sent"
    )


def test_who_was_lost_in_anothers_company_is_sent_late_among_a_few_then_alone(
    database: Database, clock: SettableClock, keyring: Keyring
) -> None:
    queue_digests(database, 6, clock())
    with database.transaction() as session:
        session.execute(update(DeliveryRow).where(DeliveryRow.subscriber_id <= 4).values(lost_count=1))
        session.execute(update(DeliveryRow).where(DeliveryRow.subscriber_id <= 2).values(lost_count=2))
    chunks: list[int] = []

    class Counting(SampleComposer):
        def compose(
            self, session: Session, deliveries: Sequence[Claimed], now: datetime
        ) -> dict[int, Letter]:
            chunks.append(len(deliveries))
            return super().compose(session, deliveries, now)

    relay = MemoryRelay()
    deliver_waiting(
        database,
        composers={"digest": Counting()},
        courier=RelayCourier(press=Press(a_sender(), keyring), relay=relay, window=20),
        clock=clock,
        queue=outbox.BULK,
        worker="w",
    )
    assert chunks == [2, 2, 1, 1]
    assert len(relay.parcels) == 6
