"""Sends what waits: claims a chunk, makes its parcels, commits small windows as "sending", records results.

SQL work is synchronous and short; the relay is spoken to in an event loop that runs only in between, so no
transaction is ever open during network calls. A killed worker leaves at most one window unknown.
"""

import asyncio
import random
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import structlog
from sqlalchemy import func, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from service.clock import Clock
from service.database import Database
from service.mail import claiming
from service.mail.claiming import Result
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

CHUNK = 200

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
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
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
            runner=runner,
        )
        try:
            return run.all_waiting(limit)
        finally:
            runner.run(courier.close())


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


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
    runner: asyncio.Runner
    counts: dict[str, int] = field(default_factory=dict)
    problem: str | None = None

    def all_waiting(self, limit: int | None) -> Tally:
        taken = 0
        while self.problem is None and not self.should_stop():
            chunk = CHUNK if limit is None else min(CHUNK, limit - taken)
            if chunk <= 0 or not self._anything_waits() or not self._relay_is_ready():
                break
            claimed, letters = self._claim(chunk)
            taken += len(claimed)
            if not claimed:
                break
            self._send(letters)
        return Tally(**self.counts, relay_problem=self.problem)

    def _anything_waits(self) -> bool:
        now = self.clock()
        with self.database.reading() as session:
            return claiming.waits(session, queue=self.queue, kinds=self.composers, now=now)

    def _relay_is_ready(self) -> bool:
        # Asked before anything is claimed: a dead relay must not churn through the queue.
        try:
            self.runner.run(self.courier.ready())
        except RelayUnavailable as unavailable:
            self._note_problem(str(unavailable))
            return False
        return True

    def _note_problem(self, problem: str) -> None:
        if self.problem is None:
            self.problem = problem
            logger.error("relay_unavailable", queue=self.queue, problem=problem)

    # -- claiming ------------------------------------------------------------------------------------

    def _claim(self, limit: int) -> tuple[list[Claimed], list[tuple[Claimed, Letter]]]:
        """Claim a chunk and compose it in one transaction: consent is checked where the claim is made."""
        now = self.clock()
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
        return claimed, letters

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

    def _send(self, letters: Sequence[tuple[Claimed, Letter]]) -> None:
        """Send the letters window by window; one commit records a window and begins the next."""
        results: list[Result] = []
        size = self.courier.window
        for start in range(0, len(letters), size):
            if self.problem is not None or self.should_stop():
                self._turn(results, {}, give_back=letters[start:])
                return
            parcels, unmade = self._prepare(letters[start : start + size])
            rest = letters[start + size :]
            begun = self._turn(results, parcels, unmade=unmade, hold=rest)
            try:
                results = self._deliver(begun)
            except BaseException:
                self._turn((), {}, give_back=rest)
                raise
        self._turn(results, {})

    def _prepare(
        self, letters: Sequence[tuple[Claimed, Letter]]
    ) -> tuple[dict[int, tuple[Claimed, Parcel]], list[Claimed]]:
        parcels: dict[int, tuple[Claimed, Parcel]] = {}
        unmade: list[Claimed] = []
        for delivery, letter in letters:
            try:
                parcels[delivery.id] = delivery, self.courier.prepare(delivery, letter, self.clock())
            except Exception:
                logger.exception("render_failed", delivery=delivery.id, kind=delivery.kind)
                unmade.append(delivery)
        return parcels, unmade

    def _turn(
        self,
        results: Sequence[Result],
        parcels: Mapping[int, tuple[Claimed, Parcel]],
        *,
        unmade: Sequence[Claimed] = (),
        hold: Sequence[tuple[Claimed, Letter]] = (),
        give_back: Sequence[tuple[Claimed, Letter]] = (),
    ) -> list[tuple[Claimed, Parcel]]:
        """Commit one turn of the window; return the parcels that may go out now."""
        now = self.clock()
        with self.database.transaction() as session:
            self._record(session, results)
            if unmade:
                self._finish(session, unmade, Status.FAILED, "render")
            begun = claiming.begin(session, list(parcels), holder=self.holder, now=now)
            claiming.renew(session, [delivery.id for delivery, _ in hold], holder=self.holder, now=now)
            later = now + RELAY_BACKOFF * (1 + self.jitter()) if self.problem else None
            ids = [delivery.id for delivery, _ in give_back]
            self._count("requeued", claiming.release(session, ids, holder=self.holder, next_at=later))
        return [parcels[delivery_id] for delivery_id in parcels if delivery_id in begun]

    def _deliver(self, begun: Sequence[tuple[Claimed, Parcel]]) -> list[Result]:
        outcomes: dict[int, Outcome] = {}
        try:
            self.runner.run(self._carry(begun, outcomes))
        except BaseException:
            # Interrupted: write down what is known; the rest becomes unknown when its lease lapses.
            self._turn(self._results(begun, outcomes), {})
            raise
        return self._results(begun, outcomes)

    async def _carry(self, begun: Sequence[tuple[Claimed, Parcel]], outcomes: dict[int, Outcome]) -> None:
        async def carry(delivery: Claimed, parcel: Parcel) -> None:
            try:
                outcomes[delivery.id] = await self.courier.deliver(parcel)
            except Exception:
                # A fault of ours in mid-transaction: the message may be out, so it must not go again.
                logger.exception("courier_failed", delivery=delivery.id)
                outcomes[delivery.id] = Outcome(verdict=Verdict.UNKNOWN, stage=Stage.DOT)

        await asyncio.gather(*(carry(delivery, parcel) for delivery, parcel in begun))

    def _results(
        self, begun: Sequence[tuple[Claimed, Parcel]], outcomes: Mapping[int, Outcome]
    ) -> list[Result]:
        now = self.clock()
        results = []
        for delivery, _ in begun:
            outcome = outcomes.get(delivery.id)
            if outcome is None:
                continue
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
