"""The steps of a tick: sweep, plan, send. Workers do one at a time, ``paperlark run-due`` all of them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from service.clock import Clock
from service.config import Settings
from service.database import Database
from service.digests import composing, hold, ledger, skipping
from service.digests.accounting import Accounting, account
from service.digests.planning import PlanTally, plan_due
from service.digests.tables import DigestRow
from service.keys import Keyring
from service.mail import breaker, claiming, tallies
from service.mail.composing import Composer
from service.mail.courier import Courier
from service.mail.outbox import BULK, TRANSACTIONAL
from service.mail.sending import Tally, deliver_waiting
from service.mail.sweeping import SweepTally, sweep
from service.mail.tables import DeliveryRow
from service.papers.embedding.phrases import PhraseVectors
from service.progress import Progress, no_progress
from service.subscribers.leaving import stop
from service.subscribers.status import Event

BEHIND_UTC, AHEAD_OF_UTC = timedelta(hours=12), timedelta(hours=14)  # the zones farthest from UTC


@dataclass(frozen=True, slots=True, kw_only=True)
class RunReport:
    """What one run did, and the books of every issue date it touched."""

    planned: PlanTally
    sent: dict[str, Tally] = field(default_factory=dict)  # by queue
    accounting: dict[date, Accounting] = field(default_factory=dict)


def run_due(
    database: Database,
    now: datetime,
    *,
    settings: Settings,
    keyring: Keyring,
    composers: Mapping[str, Composer],
    courier: Courier,
    phrases: PhraseVectors | None = None,
    worker: str = "run-due",
    should_stop: Callable[[], bool] = lambda: False,
    progress: Progress = no_progress,
) -> RunReport:
    """Plan and send everything due at ``now``, as scheduler and workers would; the clock stands still."""
    sweep_deliveries(database, now)
    planned = plan_due(
        database, now, settings=settings, phrases=phrases, should_stop=should_stop, progress=progress
    )
    sent = {
        queue: deliver(
            database,
            settings=settings,
            keyring=keyring,
            composers=composers,
            courier=courier,
            clock=lambda: now,
            queue=queue,
            worker=worker,
            should_stop=should_stop,
        )
        for queue in (TRANSACTIONAL, BULK)
    }
    with database.reading() as session:
        books = {day: account(session, day) for day in _dates_touched(session, now)}
    return RunReport(planned=planned, sent=sent, accounting=books)


def deliver(
    database: Database,
    *,
    settings: Settings,
    keyring: Keyring,
    composers: Mapping[str, Composer],
    courier: Courier,
    clock: Clock,
    queue: str,
    worker: str,
    should_stop: Callable[[], bool] = lambda: False,
) -> Tally:
    """Send what waits in ``queue``; digests wait on while a hold stands.

    The mark beside the database is raised before and after: a dump taken at any time between is then known
    for an old one. Where it can't be written digests wait too. Whose mailbox refuses for good is suppressed.
    """
    others = {kind: one for kind, one in composers.items() if kind not in composing.KINDS}
    if hold.check(database, settings.data_dir, clock()) is not None:
        composers = others
    with database.reading() as session:
        if not claiming.waits(session, queue=queue, kinds=list(composers), now=clock()):
            return Tally()

    def stop_dead(session: Session, subscriber_id: int, _code: str) -> None:
        stop(session, keyring, subscriber_id, Event.BOUNCE, now=clock(), source="rcpt")

    if not _raise_mark(database, settings):
        composers = others
    try:
        return deliver_waiting(
            database,
            composers=composers,
            courier=courier,
            clock=clock,
            queue=queue,
            worker=worker,
            should_stop=should_stop,
            on_unsent=ledger.release,
            on_refused=stop_dead,
            on_break=lambda session, opened: _hold_all(session, opened, clock()),
        )
    finally:
        _raise_mark(database, settings)


def sweep_deliveries(database: Database, now: datetime) -> SweepTally:
    """Move on stuck deliveries; papers of digests that will not go out come back. Judge the breakers."""
    with database.transaction() as session:
        tally = sweep(session, now, on_unsent=ledger.release)
    with database.transaction() as session:
        _hold_all(session, breaker.judge(session, now), now)
        tallies.forget_old(session, now)
    return tally


def _hold_all(session: Session, opened: Sequence[breaker.Open], now: datetime) -> None:
    """Hold all digests where the breaker for all was opened."""
    for one in opened:
        if one.scope == breaker.ALL:
            hold.place(session, now, kind=hold.Kind.BREAKER, reason=one.detail)


def _raise_mark(database: Database, settings: Settings) -> bool:
    with database.transaction() as session:
        mark = hold.advance(session)
    return hold.write_mark(settings.data_dir, mark)


def _dates_touched(session: Session, now: datetime) -> list[date]:
    """Return the issue dates that have digests and are today somewhere, or were worked on at ``now``."""
    lately = DigestRow.issue_date.between(now.date() - timedelta(days=9), now.date() + timedelta(days=2))
    is_today = DigestRow.issue_date.between((now - BEHIND_UTC).date(), (now + AHEAD_OF_UTC).date())
    query = (
        select(DigestRow.issue_date)
        .join(DeliveryRow, DeliveryRow.digest_id == DigestRow.id, isouter=True)
        .where(lately, or_(is_today, DigestRow.planned_at == now, DeliveryRow.finished_at == now))
        .distinct()
        .order_by(DigestRow.issue_date)
    )
    return list(session.scalars(query))


def release(database: Database, now: datetime, *, settings: Settings, is_catch_up: bool) -> tuple[int, int]:
    """Release the hold, close every breaker; return how many digests were marked done, deliveries cancelled.

    With ``is_catch_up`` what is still within its time goes out with the next tick. Without it, as after a
    restore, every digest that was due until now is marked done and every one that waits is cancelled: it may
    have been sent already.
    """
    marked = cancelled = 0
    if not is_catch_up:
        marked = skipping.mark_done(database, now)
    with database.transaction() as session:
        if not is_catch_up:
            cancelled = hold.cancel_waiting_digests(session, now)
        breaker.close(session, now, by=breaker.OPERATOR)
        mark = hold.lift(session, settings.data_dir, now)
    hold.write_mark(settings.data_dir, mark)
    return marked, cancelled
