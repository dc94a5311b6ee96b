"""Sends what waits: claims a chunk, makes its parcels, commits small windows as "sending", records results.

A window goes in two halves: while one is on the wire the next is made and committed, in the same transaction
that records the one before. So what is committed as sending and not yet recorded is never more than one
window, and that is what a killed worker leaves unknown. SQL work is synchronous and short: no transaction is
ever open while an answer is waited for.
"""

import asyncio
import random
import secrets
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import structlog
from sqlalchemy import func, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from service.clock import Clock
from service.database import Database
from service.mail import claiming
from service.mail.claiming import CLAIM_LEASE, Result
from service.mail.composing import Claimed, Composer, Refusal
from service.mail.courier import Courier
from service.mail.delivery import (
    RELAY_BACKOFF,
    Outcome,
    Stage,
    Status,
    Verdict,
    step_after,
    tells_of_dead_address,
)
from service.mail.letters import Letter
from service.mail.message import Parcel
from service.mail.pool import RelayUnavailable
from service.mail.sweeping import OnUnsent
from service.mail.tables import DeliveryRow

logger = structlog.get_logger()

CHUNK = 500
RENEW_AFTER = CLAIM_LEASE / 3  # what is claimed and waits for its window

OnRefused = Callable[[Session, int, str], None]
"""Told, inside the recording transaction, of a subscriber whose address is dead, and the code saying so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """How many deliveries ended in which way during one run."""

    sent: int = 0
    deferred: int = 0
    failed: int = 0
    unknown: int = 0
    cancelled: int = 0
    requeued: int = 0  # given back because the relay was away or the worker stopped
    relay_problem: str | None = None  # why no more was sent


def deliver_waiting(
    database: Database,
    *,
    composers: Mapping[str, Composer],
    courier: Courier,
    clock: Clock,
    queue: str,
    worker: str,
    limit: int | None = None,
    should_stop: Callable[[], bool] = lambda: False,
    on_unsent: OnUnsent | None = None,
    on_refused: OnRefused | None = None,
    jitter: Callable[[], float] = random.random,
) -> Tally:
    """Send the waiting deliveries of ``queue`` until none is left, ``limit`` is reached, or told to stop.

    ``worker`` names this worker in the rows it holds; each run adds a random part of its own.
    """
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        run = _Run(
            database=database,
            composers=composers,
            courier=courier,
            clock=clock,
            queue=queue,
            holder=f"{worker[:40]}/{secrets.token_hex(6)}",
            should_stop=should_stop,
            on_unsent=on_unsent,
            on_refused=on_refused,
            jitter=jitter,
        )
        try:
            return runner.run(run.all_waiting(limit))
        except BaseException:
            run.save_what_is_known()
            raise
        finally:
            runner.run(courier.close())


def loop_factory() -> asyncio.AbstractEventLoop:
    """Make the event loop a run of mail lives in.

    Python's own: uvloop's close() waits for every handle of the loop, and was seen to wait for ever.
    """
    return asyncio.SelectorEventLoop()


@dataclass(frozen=True, slots=True)
class _Flight:
    """Half a window on its way: deliveries committed as sending, each with the future of its outcome."""

    futures: Sequence[tuple[Claimed, asyncio.Future[Outcome]]]

    def outcomes(self) -> Iterator[tuple[Claimed, Outcome]]:
        """Give what is known by now. A fault of ours counts as unknown: the message may be out."""
        for delivery, future in self.futures:
            if not future.done() or future.cancelled():
                continue
            error = future.exception()
            if error is None:
                yield delivery, future.result()
            elif isinstance(error, Exception):
                logger.error("courier_failed", delivery=delivery.id, exc_info=error)
                yield delivery, Outcome(verdict=Verdict.UNKNOWN, stage=Stage.DOT)


@dataclass(slots=True, kw_only=True)
class _Run:
    database: Database
    composers: Mapping[str, Composer]
    courier: Courier
    clock: Clock
    queue: str
    holder: str
    should_stop: Callable[[], bool]
    on_unsent: OnUnsent | None
    on_refused: OnRefused | None
    jitter: Callable[[], float]
    counts: dict[str, int] = field(default_factory=dict)
    problem: str | None = None
    held: deque[tuple[Claimed, Letter]] = field(default_factory=deque)  # claimed, not begun
    flights: deque[_Flight] = field(default_factory=deque)
    results: list[Result] = field(default_factory=list)  # of landed flights, not yet recorded
    renewed_at: datetime | None = None
    is_over: bool = False

    async def all_waiting(self, limit: int | None) -> Tally:
        """Send; the next chunk is claimed while the last window of the one before is on the wire."""
        taken = 0
        while self._goes_on():
            chunk = CHUNK if limit is None else min(CHUNK, limit - taken)
            if chunk <= 0 or not self._anything_waits() or not await self._relay_is_ready():
                break
            claimed = self._claim(chunk)
            taken += claimed
            if not claimed:
                break
            await self._send_held()
        await self._land(0)
        if self.results:
            self._turn({})
        return Tally(**self.counts, relay_problem=self.problem)

    def save_what_is_known(self) -> None:
        """Write down, when interrupted, what is known; the rest becomes unknown when its lease lapses."""
        self.is_over = True
        for flight in self.flights:
            self.results += self._results(flight)
            for _, future in flight.futures:
                future.cancel()  # nothing leaves once the books are closed
        self.flights.clear()
        self._turn({}, give_back=self._take_held(len(self.held)))

    def _goes_on(self) -> bool:
        return not self.is_over and self.problem is None and not self.should_stop()

    def _anything_waits(self) -> bool:
        now = self.clock()
        with self.database.reading() as session:
            return claiming.waits(session, queue=self.queue, kinds=self.composers, now=now)

    async def _relay_is_ready(self) -> bool:
        # Asked before anything is claimed: a dead relay must not churn through the queue.
        try:
            await self.courier.ready()
        except RelayUnavailable as unavailable:
            self._note_problem(str(unavailable))
            return False
        return True

    def _note_problem(self, problem: str) -> None:
        if self.problem is None:
            self.problem = problem
            logger.error("relay_unavailable", queue=self.queue, problem=problem)

    # -- claiming ------------------------------------------------------------------------------------

    def _claim(self, limit: int) -> int:
        """Claim a chunk and compose it in one transaction: consent is checked where the claim is made.

        Returns how many were claimed; those with a letter are held.
        """
        now = self.renewed_at = self.clock()
        with self.database.transaction() as session:
            claimed = claiming.claim(
                session, queue=self.queue, kinds=self.composers, holder=self.holder, now=now, limit=limit
            )
            composed = self._compose(session, claimed)
            refused: dict[str, list[Claimed]] = {}
            letters: list[tuple[Claimed, Letter]] = []
            for delivery in claimed:
                said = composed.get(delivery.id)
                if said is None:
                    refused.setdefault("", []).append(delivery)
                elif isinstance(said, Refusal):
                    refused.setdefault(said.reason, []).append(delivery)
                else:
                    letters.append((delivery, said))
            for reason, deliveries in refused.items():
                status = Status.CANCELLED if reason else Status.FAILED
                self._finish(session, deliveries, status, reason or "compose")
        self.held.extend(letters)
        return len(claimed)

    def _compose(self, session: Session, claimed: Sequence[Claimed]) -> dict[int, Letter | Refusal]:
        composed: dict[int, Letter | Refusal] = {}
        for kind in sorted({delivery.kind for delivery in claimed}):
            of_kind = [delivery for delivery in claimed if delivery.kind == kind]
            composed |= self._compose_kind(session, self.composers[kind], of_kind)
        return composed

    def _compose_kind(
        self, session: Session, composer: Composer, deliveries: Sequence[Claimed]
    ) -> dict[int, Letter | Refusal]:
        """Compose together; if that fails, one by one, so that one bad row harms no other."""
        try:
            with session.begin_nested():
                return dict(composer.compose(session, deliveries, self.clock()))
        except DBAPIError:
            raise
        except Exception:
            ids = [delivery.id for delivery in deliveries]
            logger.exception("compose_failed", deliveries=ids if len(ids) == 1 else len(ids))
            if len(deliveries) == 1:
                return {}
        composed: dict[int, Letter | Refusal] = {}
        for delivery in deliveries:
            composed |= self._compose_kind(session, composer, [delivery])
        return composed

    def _finish(self, session: Session, deliveries: Sequence[Claimed], status: Status, reason: str) -> None:
        ids = [delivery.id for delivery in deliveries]
        moved = claiming.finish(session, ids, status, reason, holder=self.holder, now=self.clock())
        self._count(status, len(moved))
        self._tell_unsent(session, [delivery for delivery in deliveries if delivery.id in moved])

    def _tell_unsent(self, session: Session, deliveries: Sequence[Claimed]) -> None:
        digests = [delivery.digest_id for delivery in deliveries if delivery.digest_id is not None]
        if digests and self.on_unsent is not None:
            self.on_unsent(session, digests)

    # -- sending -------------------------------------------------------------------------------------

    async def _send_held(self) -> None:
        """Send what is held by halves of a window; one commit records one and begins the one after next."""
        flights = 2 if self.courier.window > 1 else 1
        while self.held and self._goes_on():
            parcels, unmade = self._prepare(self._take_held(self.courier.window // flights))
            await self._land(flights - 1)
            begun = self._turn(parcels, unmade=unmade)
            self.flights.append(_Flight([(one, self._launch(parcel)) for one, parcel in begun]))
            await asyncio.sleep(0)  # the first bytes leave before the next parcels are made
        if self.held:
            await self._land(0)
            self._turn({}, give_back=self._take_held(len(self.held)))

    def _take_held(self, count: int) -> list[tuple[Claimed, Letter]]:
        return [self.held.popleft() for _ in range(min(count, len(self.held)))]

    def _prepare(
        self, letters: Sequence[tuple[Claimed, Letter]]
    ) -> tuple[dict[int, tuple[Claimed, Parcel]], list[Claimed]]:
        parcels: dict[int, tuple[Claimed, Parcel]] = {}
        unmade: list[Claimed] = []
        at = self.clock()
        for delivery, letter in letters:
            try:
                parcels[delivery.id] = delivery, self.courier.prepare(delivery, letter, at)
            except Exception:
                logger.exception("render_failed", delivery=delivery.id, kind=delivery.kind)
                unmade.append(delivery)
        return parcels, unmade

    def _launch(self, parcel: Parcel) -> asyncio.Future[Outcome]:
        return asyncio.ensure_future(self.courier.deliver(parcel))

    async def _land(self, remaining: int) -> None:
        """Wait for the oldest flights until only ``remaining`` are out."""
        while len(self.flights) > remaining:
            if waiting := [future for _, future in self.flights[0].futures if not future.done()]:
                await asyncio.wait(waiting)
            self.results += self._results(self.flights.popleft())

    def _turn(
        self,
        parcels: Mapping[int, tuple[Claimed, Parcel]],
        *,
        unmade: Sequence[Claimed] = (),
        give_back: Sequence[tuple[Claimed, Letter]] = (),
    ) -> list[tuple[Claimed, Parcel]]:
        """Commit one turn of the window, with what has landed; return the parcels that may go out now."""
        now = self.clock()
        with self.database.transaction() as session:
            self._record(session, self.results)
            if unmade:
                self._finish(session, unmade, Status.FAILED, "render")
            begun = claiming.begin(session, list(parcels), holder=self.holder, now=now)
            if self.held and (self.renewed_at is None or now - self.renewed_at >= RENEW_AFTER):
                ids = [delivery.id for delivery, _ in self.held]
                claiming.renew(session, ids, holder=self.holder, now=now)
                self.renewed_at = now
            later = now + RELAY_BACKOFF * (1 + self.jitter()) if self.problem else None
            ids = [delivery.id for delivery, _ in give_back]
            self._count("requeued", claiming.release(session, ids, holder=self.holder, next_at=later))
        self.results.clear()
        return [parcels[delivery_id] for delivery_id in parcels if delivery_id in begun]

    def _results(self, flight: _Flight) -> list[Result]:
        now = self.clock()
        results = []
        for delivery, outcome in flight.outcomes():
            step = step_after(
                outcome,
                attempt=delivery.attempt,
                created_at=delivery.created_at,
                expires_at=delivery.expires_at,
                now=now,
                jitter=self.jitter(),
            )
            if outcome.verdict is Verdict.UNREACHABLE:
                self._note_problem(outcome.text or "no connection")
            results.append(Result(delivery=delivery, outcome=outcome, step=step))
        return results

    # -- recording -----------------------------------------------------------------------------------

    def _record(self, session: Session, results: Sequence[Result]) -> None:
        if not results:
            return
        claiming.record(session, results, holder=self.holder, now=self.clock())
        for result in results:
            self._count("requeued" if result.step.status is Status.QUEUED else result.step.status, 1)
            self._tell_refused(session, result)
        self._tell_unsent(
            session, [result.delivery for result in results if result.step.status is Status.FAILED]
        )

    def _tell_refused(self, session: Session, result: Result) -> None:
        dead = tells_of_dead_address(result.outcome)
        subscriber_id = result.delivery.subscriber_id
        if dead is False or subscriber_id is None or self.on_refused is None:
            return
        if dead is None and not _refused_before(session, result):
            return
        self.on_refused(session, subscriber_id, result.outcome.enhanced or str(result.outcome.code))

    def _count(self, what: str, by: int) -> None:
        self.counts[str(what)] = self.counts.get(str(what), 0) + by


def _refused_before(session: Session, result: Result) -> bool:
    statement = select(func.count()).where(
        DeliveryRow.subscriber_id == result.delivery.subscriber_id,
        DeliveryRow.id != result.delivery.id,
        DeliveryRow.status == Status.FAILED,
        DeliveryRow.reason == result.step.reason,
    )
    return bool(session.scalar(statement))
