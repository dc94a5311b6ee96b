"""Sends what waits: claims a chunk, makes its parcels, commits small windows as "sending", records results.

A window goes in two halves: while one is on the wire the next is made and committed, in the same transaction
that records the one before. So what is committed as sending and not yet recorded is never more than one
window, and that is what a killed worker leaves unknown. SQL work is synchronous and short: no transaction is
ever open while an answer is waited for.
"""

import asyncio
import heapq
import random
import secrets
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from time import monotonic

import structlog
from sqlalchemy import func, select
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from service.clock import Clock
from service.database import Database
from service.mail import breaker, claiming, tallies
from service.mail.claiming import CLAIM_LEASE, Result
from service.mail.composing import Claimed, Composer, Refusal
from service.mail.courier import Courier
from service.mail.delivery import (
    HELD_BACK,
    RELAY_BACKOFF,
    Outcome,
    Stage,
    Status,
    Step,
    Verdict,
    step_after,
    tells_of_dead_address,
)
from service.mail.letters import Letter
from service.mail.message import Parcel
from service.mail.outbox import BULK
from service.mail.pool import RelayUnavailable
from service.mail.sweeping import OnUnsent
from service.mail.tables import DeliveryRow

logger = structlog.get_logger()

CHUNK = 500
RENEW_AFTER = CLAIM_LEASE / 3  # what is claimed and waits for its window
SUSPECTS = 16  # made together the first time: most are innocent
SUSPECTS_IN_A_ROW = 50
DIGEST = "digest"
WAIT_HERE_SECONDS = 20.0  # for a limit; who has to wait longer waits in the queue
WAITING_AT_MOST = 2000
REST_SECONDS = 0.5  # then look whether to stop, and for what came in meanwhile
TALLY_SECONDS = 5.0
# After the database has failed, what is known is offered to it again: two minutes all together, less than a
# task may take, and longer than a server takes to start again.
PATIENCE_SECONDS = (0.2, 0.8, 2.0, 4.0, 8.0, 15.0, 30.0, 30.0, 30.0)
STOPPED_SPREAD = timedelta(minutes=10)  # those who were stopped don't all come back at one instant

NOTHING_SENT = Outcome(verdict=Verdict.HELD, stage=Stage.CONNECT)

OnRefused = Callable[[Session, int, str], None]
"""Told, inside the recording transaction, of a subscriber whose address is dead, and the code saying so."""


OnBreak = Callable[[Session, Sequence[breaker.Open]], None]
"""Told, inside the same transaction, of destinations to which digests were just stopped."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """How many deliveries ended in which way during one run."""

    sent: int = 0
    deferred: int = 0
    failed: int = 0
    unknown: int = 0
    cancelled: int = 0
    requeued: int = 0  # given back: the relay was away, a limit was reached, or the worker stopped
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
    on_break: OnBreak | None = None,
    jitter: Callable[[], float] = random.random,
    patience: Iterable[float] = PATIENCE_SECONDS,
) -> Tally:
    """Send the waiting deliveries of ``queue`` until none is left, ``limit`` is reached, or told to stop.

    ``worker`` names this worker in the rows it holds; each run adds a random part of its own.

    Raises:
        sqlalchemy.exc.DBAPIError: the database failed. No more is sent then; what was on the wire is
            heard out and written down as soon as the database takes it, within the pauses of ``patience``.
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
            on_break=on_break,
            jitter=jitter,
        )
        try:
            return runner.run(run.all_waiting(limit))
        except DBAPIError:
            try:
                runner.run(run.outlast(patience))
            finally:
                run.save_what_is_known()
            raise
        except BaseException:
            run.save_what_is_known()
            raise
        finally:
            runner.run(courier.close())


def loop_factory() -> asyncio.AbstractEventLoop:
    """Make the event loop a run of mail lives in.

    Python's own: uvloop keeps what a signal's handler raises, such as a task's time limit, to itself.
    """
    return asyncio.SelectorEventLoop()


@dataclass(frozen=True, slots=True)
class _Flight:
    """Half a window on its way: deliveries committed as sending, to whom, each with its outcome to come."""

    futures: Sequence[tuple[Claimed, str, asyncio.Future[Outcome]]]

    def outcomes(self) -> Iterator[tuple[Claimed, str, Outcome]]:
        """Give what is known by now. A fault of ours counts as unknown: the message may be out."""
        for delivery, recipient, future in self.futures:
            if not future.done() or future.cancelled():
                continue
            error = future.exception()
            if error is None:
                yield delivery, recipient, future.result()
            elif isinstance(error, Exception):
                logger.error("courier_failed", delivery=delivery.id, exc_info=error)
                yield delivery, recipient, Outcome(verdict=Verdict.UNKNOWN, stage=Stage.DOT)


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
    on_break: OnBreak | None
    jitter: Callable[[], float]
    counts: dict[str, int] = field(default_factory=dict)
    problem: str | None = None
    claimed: list[Claimed] = field(default_factory=list)  # being composed
    held: deque[tuple[Claimed, Letter]] = field(default_factory=deque)  # composed, not begun
    in_hand: list[Claimed] = field(default_factory=list)  # being made into parcels, or made and not begun
    waiting: list[tuple[float, int, Claimed, Letter]] = field(default_factory=list)  # for a limit, by when
    postponed: dict[int, datetime] = field(default_factory=dict)  # to be given back until then
    fared: dict[str, tallies.Tally] = field(default_factory=dict)  # by destination, not yet written down
    written_at: float = 0.0
    put_off: dict[int, datetime] = field(default_factory=dict)  # the same, for stopped destinations
    stopped: set[str] = field(default_factory=set)  # destinations stopped in mid-run
    probed: set[str] = field(default_factory=set)  # stopped destinations that are tried again
    flights: deque[_Flight] = field(default_factory=deque)
    results: list[Result] = field(default_factory=list)  # of landed flights, not yet recorded
    suspects_first: int = 0  # so many are claimed before others are looked for again
    renewed_at: datetime | None = None
    is_over: bool = False
    is_closed: bool = False  # interrupted, and all that was known is written down

    async def all_waiting(self, limit: int | None) -> Tally:
        """Send; the next chunk is claimed while the last window of the one before is on the wire."""
        taken = 0
        while self._goes_on():
            chunk = CHUNK if limit is None else min(CHUNK, limit - taken)
            claimed = 0
            if chunk > 0 and len(self.waiting) < WAITING_AT_MOST and self._anything_waits():
                if not await self._relay_is_ready():
                    break
                claimed = self._claim_chunk(chunk) or await self._claim_suspects(chunk)
                taken += claimed
            if not (claimed or self.waiting):
                break
            if not claimed:
                await self._rest()
            await self._send_held()
        await self._land(0)
        self._turn({}, give_back=self._take_back())
        return Tally(**self.counts, relay_problem=self.problem)

    def save_what_is_known(self) -> None:
        """Write down, when interrupted, what is known; the rest becomes unknown when its lease lapses.

        May be tried again when the database fails.
        """
        self.is_over = True
        for flight in self.flights:
            self.results += self._results(flight)
            for _, _, future in flight.futures:
                future.cancel()  # nothing leaves once the books are closed
        self.flights.clear()
        # What was in hand may be committed as sending all the same, and not a byte of it has left.
        self.results += [Result(one, NOTHING_SENT, Step(Status.QUEUED)) for one in self.in_hand]
        self.claimed, self.in_hand = self._take_back(), []
        self._turn({}, give_back=self.claimed)
        self.claimed = []
        self.is_closed = True

    async def outlast(self, pauses: Iterable[float]) -> None:
        """Hear out what is on the wire, then offer what is known to the database until it takes it."""
        self.is_over = True
        await self._land(0)
        for pause in pauses:
            try:
                self.save_what_is_known()
            except DBAPIError as error:
                logger.warning(
                    "results_not_recorded", known=len(self.results), problem=type(error.orig).__name__
                )
                await asyncio.sleep(pause)
            else:
                return

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

    def _claim_chunk(self, limit: int) -> int:
        """Claim a chunk; where none is left but suspects, ask again only after a number of these."""
        if self.suspects_first > 0:
            self.suspects_first -= 1
            return 0
        count = self._claim(limit)
        self.suspects_first = 0 if count else SUSPECTS_IN_A_ROW
        return count

    def _claim(self, limit: int, *, is_suspect: bool = False) -> int:
        """Claim a chunk, then compose it; return how many were claimed. Those with a letter are held.

        The claim is committed first: a letter that takes its worker down leaves a trace by it. Consent is
        asked after it, and whoever leaves from then on is cancelled before their turn comes (claiming.begin).
        """
        now = self.renewed_at = self.clock()
        with self.database.transaction() as session:
            self.claimed = claiming.claim(
                session,
                queue=self.queue,
                kinds=self.composers,
                holder=self.holder,
                now=now,
                limit=limit,
                is_suspect=is_suspect,
            )
        count = len(self.claimed)
        if count:
            with self.database.transaction() as session:
                letters = self._compose_claimed(session, self.claimed)
            self.held.extend(letters)
        self.claimed = []
        return count

    async def _claim_suspects(self, limit: int) -> int:
        """Claim a few that may take us down, once all that was sent before them is written down."""
        await self._land(0)
        self._turn({})
        return self._claim(min(SUSPECTS, limit), is_suspect=True)

    def _compose_claimed(self, session: Session, claimed: Sequence[Claimed]) -> list[tuple[Claimed, Letter]]:
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
        return self._keep_from_stopped(session, letters)

    def _keep_from_stopped(
        self, session: Session, letters: list[tuple[Claimed, Letter]]
    ) -> list[tuple[Claimed, Letter]]:
        """Put off digests to destinations that were stopped; let a few through where it is time to try."""
        stopped = breaker.standing(session)
        if not stopped:
            return letters
        now, going = self.clock(), []
        until: dict[int, datetime] = {}
        probes: dict[str, int] = {}
        for delivery, letter in letters:
            one = stopped.get(tallies.scope_of(letter.recipient)) if delivery.kind == DIGEST else None
            if one is None:
                going.append((delivery, letter))
                continue
            if one.scope not in probes:
                probes[one.scope] = breaker.PROBES if breaker.try_again(session, one, now) else 0
            if probes[one.scope] > 0:
                probes[one.scope] -= 1
                self.probed.add(one.scope)
                going.append((delivery, letter))
            else:
                later = max(one.retry_at or now, now) + STOPPED_SPREAD * self.jitter()
                until[delivery.id] = later
        moved = claiming.postpone(session, until, holder=self.holder, reason=breaker.STOPPED)
        self._count("requeued", len(moved))
        return going

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
        while self._goes_on() and (going := self._admit(self.courier.window // flights)) is not None:
            if not (going or self.postponed or self.put_off):
                continue
            self.in_hand = [delivery for delivery, _ in going]
            parcels, unmade = self._prepare(going)
            await self._land(flights - 1)
            begun = self._turn(parcels, unmade=unmade)
            self.in_hand = []
            if begun:
                self.flights.append(
                    _Flight([(one, parcel.recipient, self._launch(parcel)) for one, parcel in begun])
                )
            await asyncio.sleep(0)  # the first bytes leave before the next parcels are made

    def _admit(self, count: int) -> list[tuple[Claimed, Letter]] | None:
        """Take up to ``count`` letters whose turn it is; None if none is there.

        Of these, those that a limit holds back wait here if it is for a short while, else in the queue.
        """
        now = asyncio.get_running_loop().time()
        asked: list[tuple[Claimed, Letter]] = []
        while self.waiting and self.waiting[0][0] <= now and len(asked) < count:
            asked.append(heapq.heappop(self.waiting)[2:])
        asked += self._take_held(count - len(asked))
        if not asked:
            return None
        if self.stopped:
            asked = self._put_off(asked)
        going = []
        waits = self.courier.admit([letter.recipient for _, letter in asked])
        for (delivery, letter), wait in zip(asked, waits, strict=True):
            if wait is None:
                going.append((delivery, letter))
            elif wait <= WAIT_HERE_SECONDS and len(self.waiting) < WAITING_AT_MOST:
                heapq.heappush(self.waiting, (now + wait, delivery.id, delivery, letter))
            else:
                self.postponed[delivery.id] = self.clock() + timedelta(seconds=wait)
        return going

    def _put_off(self, letters: Sequence[tuple[Claimed, Letter]]) -> list[tuple[Claimed, Letter]]:
        """Take out the digests whose destination was stopped after they were composed."""
        going = []
        for delivery, letter in letters:
            if delivery.kind == DIGEST and tallies.scope_of(letter.recipient) in self.stopped:
                later = breaker.FIRST_PAUSE + STOPPED_SPREAD * self.jitter()
                self.put_off[delivery.id] = self.clock() + later
            else:
                going.append((delivery, letter))
        return going

    async def _rest(self) -> None:
        """Record what landed, then wait for the first of those that wait for a limit; not for long."""
        await self._land(0)
        self._turn({})
        wait = self.waiting[0][0] - asyncio.get_running_loop().time()
        await asyncio.sleep(min(max(wait, 0.0), REST_SECONDS))

    def _take_held(self, count: int) -> list[tuple[Claimed, Letter]]:
        return [self.held.popleft() for _ in range(min(count, len(self.held)))]

    def _take_back(self) -> list[Claimed]:
        """Take all that is claimed and will not be begun."""
        back = [
            *self.claimed,
            *self.in_hand,
            *(one for one, _ in self.held),
            *(one for *_, one, _ in self.waiting),
        ]
        self.claimed, self.in_hand = [], []
        self.held.clear()
        self.waiting.clear()
        return back

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
        while len(self.flights) > remaining and not self.is_closed:
            if waiting := [future for *_, future in self.flights[0].futures if not future.done()]:
                await asyncio.wait(waiting)
            if self.flights:  # none if we were interrupted meanwhile, and the books are closed
                self.results += self._results(self.flights.popleft())

    def _turn(
        self,
        parcels: Mapping[int, tuple[Claimed, Parcel]],
        *,
        unmade: Sequence[Claimed] = (),
        give_back: Sequence[Claimed] = (),
    ) -> list[tuple[Claimed, Parcel]]:
        """Commit one turn of the window, with what has landed; return the parcels that may go out now."""
        late = self.postponed or self.put_off
        if self.is_closed or not (self.results or parcels or unmade or give_back or late or self.fared):
            return []
        now = self.clock()
        with self.database.transaction() as session:
            self._record(session, self.results)
            if unmade:
                self._finish(session, unmade, Status.FAILED, "render")
            begun = claiming.begin(session, list(parcels), holder=self.holder, now=now)
            if self.renewed_at is None or now - self.renewed_at >= RENEW_AFTER:
                held = (*self.held, *(entry[2:] for entry in self.waiting))
                claiming.renew(session, [one.id for one, _ in held], holder=self.holder, now=now)
                self.renewed_at = now
            later = now + RELAY_BACKOFF * (1 + self.jitter()) if self.problem else None
            ids = [delivery.id for delivery in give_back]
            self._count("requeued", claiming.release(session, ids, holder=self.holder, next_at=later))
            for until, reason in ((self.postponed, HELD_BACK), (self.put_off, breaker.STOPPED)):
                moved = claiming.postpone(session, until, holder=self.holder, reason=reason)
                self._count("requeued", len(moved))
            self._write_tallies(session, now, is_last=bool(give_back) or not parcels)
        self.results.clear()
        self.postponed.clear()
        self.put_off.clear()
        return [parcels[delivery_id] for delivery_id in parcels if delivery_id in begun]

    def _write_tallies(self, session: Session, now: datetime, *, is_last: bool) -> None:
        """Write down how digests fared, a few times a minute, and at once what speaks against us.

        Last in its transaction: others wait for these rows.
        """
        refused = any(tally.policy for tally in self.fared.values())
        since = monotonic() - self.written_at
        if not self.fared or not (refused or is_last or since >= TALLY_SECONDS):
            return
        tallies.add(session, now, self.fared)
        recovered = [
            scope
            for scope in self.probed & self.fared.keys()
            if self.fared[scope].sent and not self.fared[scope].policy
        ]
        if recovered:
            breaker.close(session, now, by=breaker.PROBE, scopes=recovered)
            self.probed.difference_update(recovered)
        self.fared, self.written_at = {}, monotonic()
        if refused and (opened := breaker.judge(session, now)):
            self.stopped.update(one.scope for one in opened)
            self.is_over |= any(one.scope == breaker.ALL for one in opened) and self.queue == BULK
            if self.on_break is not None:
                self.on_break(session, opened)

    def _results(self, flight: _Flight) -> list[Result]:
        now = self.clock()
        results = []
        for delivery, recipient, outcome in flight.outcomes():
            if delivery.kind == DIGEST:
                self._note_fare(recipient, outcome)
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

    def _note_fare(self, recipient: str, outcome: Outcome) -> None:
        is_refused = outcome.is_against_policy
        if not (is_refused or outcome.verdict is Verdict.SENT):
            return
        names_nobody = is_refused and outcome.stage in {Stage.CONNECT, Stage.MAIL}
        scope = tallies.ALL if names_nobody else tallies.scope_of(recipient)
        tally = self.fared.get(scope) or self.fared.setdefault(scope, tallies.Tally())
        tally.policy += is_refused
        tally.sent += not is_refused

    # -- recording -----------------------------------------------------------------------------------

    def _record(self, session: Session, results: Sequence[Result]) -> None:
        if not results:
            return
        claiming.record(session, results, holder=self.holder, now=self.clock())
        for status, count in Counter([result.step.status for result in results]).items():
            self._count("requeued" if status is Status.QUEUED else status, count)
        failed = [result for result in results if result.step.status is Status.FAILED]
        for result in failed:
            self._tell_refused(session, result)
        self._tell_unsent(session, [result.delivery for result in failed])

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
