"""Sends what waits: claims a chunk, makes its parcels, commits small windows as "sending", records results.

A window goes in two lanes, half of it each: while one half is on the wire the lane makes the next, and
commits it together with the results that have come in. So what is committed as sending and not yet recorded
is never more than one window, and that is what a killed worker leaves unknown. What is written down
(service/mail/books.py) is written in threads of its own: neither the wire nor the making of parcels waits for
the database.
"""

import asyncio
import contextlib
import contextvars
import functools
import heapq
import random
import secrets
from collections import Counter, deque
from collections.abc import Callable, Collection, Coroutine, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from time import monotonic
from types import MappingProxyType
from typing import Any, TypeVar

import structlog

from service.clock import Clock
from service.database import FAILURES, Database
from service.mail import breaker, tallies
from service.mail.books import DIGEST, STOPPED_SPREAD, Batch, Books, Entry, OnBreak, OnRefused
from service.mail.claiming import CLAIM_LEASE, Result
from service.mail.composing import Claimed, Composer
from service.mail.courier import Courier
from service.mail.delivery import RELAY_BACKOFF, Outcome, Stage, Status, Step, Verdict, step_after
from service.mail.letters import Letter
from service.mail.message import Parcel
from service.mail.outbox import BULK
from service.mail.pool import RelayUnavailable
from service.mail.sweeping import OnUnsent
from service.mail.transport import Handover

logger = structlog.get_logger()

CHUNK = 500
ENOUGH = CHUNK // 2  # held and not begun: the next chunk is claimed while these go out
RENEW_AFTER = CLAIM_LEASE / 3  # what is claimed and waits for its window
SUSPECTS = 16  # made together the first time: most are innocent
SUSPECTS_IN_A_ROW = 50
WAIT_HERE_SECONDS = 20.0  # for a limit; who has to wait longer waits in the queue
WAITING_AT_MOST = 2000
REST_SECONDS = 0.5  # then look whether to stop, and for what came in meanwhile
TALLY_SECONDS = 5.0
AT_A_TIME = 8  # parcels made before the wire is looked after again
# After the database has failed, what is known is offered to it again: two minutes all together, less than a
# task may take, and longer than a server takes to start again.
PATIENCE_SECONDS = (0.2, 0.8, 2.0, 4.0, 8.0, 15.0, 30.0, 30.0, 30.0)
HEAR_OUT_SECONDS = 30.0  # after a fault: half of what a task has left when its time is up

NOTHING_SENT = Outcome(verdict=Verdict.HELD, stage=Stage.CONNECT)
MAY_BE_SENT = Outcome(verdict=Verdict.UNKNOWN, stage=Stage.DOT)
NONE: Mapping[int, tuple[Claimed, Parcel]] = MappingProxyType({})
T = TypeVar("T")


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
    hear_out: float = HEAR_OUT_SECONDS,
) -> Tally:
    """Send the waiting deliveries of ``queue`` until none is left, ``limit`` is reached, or told to stop.

    ``worker`` names this worker in the rows it holds; each run adds a random part of its own. What is passed
    in to be called with a session is called in another thread.

    Raises:
        sqlalchemy.exc.DBAPIError, sqlalchemy.exc.TimeoutError: the database failed. No more is sent then;
            what was on the wire is heard out and written down as soon as the database takes it, within the
            pauses of ``patience``.
        Exception: a fault of ours, or what a signal's handler raised. What is known is written down; the wire
            is heard out for ``hear_out`` seconds, or not at all where somebody may wait for ever then.
    """
    books = Books(
        database=database,
        composers=composers,
        clock=clock,
        queue=queue,
        holder=f"{worker[:40]}/{secrets.token_hex(6)}",
        on_unsent=on_unsent,
        on_refused=on_refused,
        on_break=on_break,
        jitter=jitter,
    )
    # SQLite has one writer: who composes in a transaction of their own would only keep the others waiting.
    threads = ThreadPoolExecutor(1 if database.is_sqlite else 2, "paperlark-books")
    with threads, asyncio.Runner(loop_factory=loop_factory) as runner:
        run = _Run(
            books=books,
            threads=threads,
            courier=courier,
            clock=clock,
            queue=queue,
            should_stop=should_stop,
            jitter=jitter,
            hear_out=hear_out,
        )
        try:
            return runner.run(run.attended(run.all_waiting(limit)))
        except FAILURES:
            try:
                runner.run(run.attended(run.outlast(patience)))
            finally:
                run.save_what_is_known()
            raise
        except BaseException:
            run.save_what_is_known()
            raise
        finally:
            try:
                runner.run(run.attended(courier.close()))
            except BaseException:  # interrupted: what stays open the next run would take for its own
                runner.run(run.attended(courier.close()))
                raise


def loop_factory() -> asyncio.AbstractEventLoop:
    """Make the event loop a run of mail lives in.

    Python's own: uvloop keeps what a signal's handler raises, such as a task's time limit, to itself.
    """
    return asyncio.SelectorEventLoop()


@dataclass(slots=True, eq=False)
class _Lane:
    """Half a window: what is made into parcels, and what is on the wire, each with its outcome to come."""

    in_hand: list[Claimed] = field(default_factory=list)  # perhaps committed as sending; not a byte has left
    flight: Sequence[tuple[Claimed, str, asyncio.Future[Outcome]]] = ()
    is_idle: bool = False

    def under_way(self) -> list[asyncio.Future[Outcome]]:
        """Return what has no outcome yet."""
        return [future for *_, future in self.flight if not future.done()]

    def fault(self) -> Exception | None:
        """Return what the courier raised, if it did: it never does, but for a fault of ours."""
        ended = (future for *_, future in self.flight if future.done() and not future.cancelled())
        return next((error for one in ended if isinstance(error := one.exception(), Exception)), None)

    def outcomes(self) -> Iterator[tuple[Claimed, str, Outcome]]:
        """Give what is known by now. After a fault of ours the message may be out, unless it can tell."""
        for delivery, recipient, future in self.flight:
            if not future.done() or future.cancelled():
                continue
            error = future.exception()
            if error is None:
                yield delivery, recipient, future.result()
            elif isinstance(error, Exception):
                logger.error("courier_failed", delivery=delivery.id, exc_info=error)
                yield delivery, recipient, NOTHING_SENT if _is_unwritten(future) else MAY_BE_SENT

    def give_up(self) -> None:
        """Let nothing leave any more; what certainly has not left is in hand again."""
        for delivery, _, future in self.flight:
            if future.cancel() and _is_unwritten(future):
                self.in_hand.append(delivery)


def _is_unwritten(future: asyncio.Future[Outcome]) -> bool:
    return isinstance(future, Handover) and not future.is_written


@dataclass(slots=True, kw_only=True)
class _Run:
    books: Books
    threads: ThreadPoolExecutor
    courier: Courier
    clock: Clock
    queue: str
    should_stop: Callable[[], bool]
    jitter: Callable[[], float]
    hear_out: float
    counts: Counter[str] = field(default_factory=Counter)
    problem: str | None = None
    batch: Batch | None = None  # being claimed and composed
    held: deque[tuple[Claimed, Letter]] = field(default_factory=deque)  # composed, not begun
    waiting: list[tuple[float, int, Claimed, Letter]] = field(default_factory=list)  # for a limit, by when
    lanes: list[_Lane] = field(default_factory=list)
    results: list[Result] = field(default_factory=list)  # landed, not yet recorded
    back: list[Claimed] = field(default_factory=list)  # to be given back
    postponed: dict[int, datetime] = field(default_factory=dict)  # to be given back until then
    put_off: dict[int, datetime] = field(default_factory=dict)  # the same, for stopped destinations
    fared: dict[str, tallies.Tally] = field(default_factory=dict)  # by destination, not yet written down
    entry: Entry | None = None  # being written
    pen: asyncio.Lock = field(default_factory=asyncio.Lock)  # one writes at a time
    written_at: float = 0.0
    stopped: set[str] = field(default_factory=set)  # destinations stopped in mid-run
    probed: set[str] = field(default_factory=set)  # stopped destinations that are tried again
    suspects_first: int = 0  # so many are claimed before others are looked for again
    renewed_at: datetime | None = None
    change: asyncio.Event = field(default_factory=asyncio.Event)
    is_fed: bool = False  # no more will be claimed
    is_over: bool = False
    is_closed: bool = False  # interrupted: only save_what_is_known writes any more
    fault: BaseException | None = None  # raised where nobody hears of it but the event loop

    async def attended(self, work: Coroutine[Any, Any, T]) -> T:
        """Do ``work``; give it up when anything is raised in a callback of the event loop, or told to it.

        The loop keeps such an exception, a task's time limit too, to itself. Somebody may not have been told
        then what they wait for, and would wait for ever.
        """
        task = asyncio.current_task()

        def note(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
            loop.default_exception_handler(context)
            error = context.get("exception")
            if error is not None and "future" not in context and not isinstance(error, OSError):
                self.fault = self.fault or error
                if task is None or not task.cancel():
                    loop.stop()  # it is done, and just that was to be told

        asyncio.get_running_loop().set_exception_handler(note)
        try:
            return await work
        except asyncio.CancelledError:
            if self.fault is None:
                raise
            raise self.fault from None

    async def all_waiting(self, limit: int | None) -> Tally:
        """Send; chunks are claimed ahead of the lanes."""
        self.lanes = [_Lane() for _ in range(min(2, self.courier.window))]
        share = self.courier.window // len(self.lanes)
        tasks = [asyncio.create_task(self._feed(limit))]
        tasks += [asyncio.create_task(self._send(lane, share)) for lane in self.lanes]
        ended, others = await asyncio.wait(tasks, return_when=asyncio.FIRST_EXCEPTION)
        faults = [fault for task in ended if (fault := task.exception()) is not None]
        if faults and not self.is_closed:
            await self._hear_out(others, None if isinstance(faults[0], FAILURES) else self.hear_out)
        if self.is_closed:  # what was raised has been told already
            return Tally()
        if faults:
            raise faults[0]
        self._take_back()
        await self._write()
        return Tally(**self.counts, relay_problem=self.problem)

    async def _hear_out(self, tasks: Collection[asyncio.Task[None]], seconds: float | None) -> None:
        """Begin no more, and wait for what is on the wire."""
        self.is_over = True
        self._tell()
        waiting: set[asyncio.Future[Any]] = {*tasks, *self._under_way()}
        if waiting:
            ended, _ = await asyncio.wait(waiting, timeout=seconds)
            for one in ended:
                one.exception()  # looked at: only the first is raised

    def save_what_is_known(self) -> None:
        """Write down, when interrupted, what is known; what may be out becomes unknown when its lease lapses.

        May be tried again when the database fails.
        """
        self.is_over = self.is_closed = True
        self.threads.shutdown(cancel_futures=True)
        self._settle()
        for lane in self.lanes:
            lane.give_up()
            self.results += self._results(lane)
            lane.flight = ()
            # It may be committed as sending all the same, and nothing of it has left.
            self.results += [Result(one, NOTHING_SENT, Step(Status.QUEUED)) for one in lane.in_hand]
        self._take_back()
        entry = self._open_entry((), ())
        if not entry.is_empty:
            self.books.write(entry)
        self._settle()

    async def outlast(self, pauses: Iterable[float]) -> None:
        """Hear out what is on the wire, then offer what is known to the database until it takes it."""
        self.is_over = True
        if waiting := self._under_way():
            await asyncio.wait(waiting)
        for pause in pauses:
            try:
                self.save_what_is_known()
            except FAILURES as error:
                problem = type(getattr(error, "orig", None) or error).__name__
                logger.warning("results_not_recorded", known=len(self.results), problem=problem)
                await asyncio.sleep(pause)
            else:
                return

    def _under_way(self) -> list[asyncio.Future[Outcome]]:
        return [future for lane in self.lanes for future in lane.under_way()]

    def _goes_on(self) -> bool:
        return not self.is_over and self.problem is None and not self.should_stop()

    def _note_problem(self, problem: str) -> None:
        if self.problem is None:
            self.problem = problem
            logger.error("relay_unavailable", queue=self.queue, problem=problem)

    def _tell(self) -> None:
        """Tell whoever waits that something has changed."""
        self.change.set()
        self.change = asyncio.Event()

    async def _until(self, is_so: Callable[[], bool]) -> None:
        while not (is_so() or self.is_closed):
            await self.change.wait()

    async def _aside(self, work: Callable[..., T], *given: object) -> T:
        """Do SQL work in a thread of its own."""
        context = contextvars.copy_context()
        return await asyncio.get_running_loop().run_in_executor(
            self.threads, functools.partial(context.run, work, *given)
        )

    # -- claiming ------------------------------------------------------------------------------------

    async def _feed(self, limit: int | None) -> None:
        """Claim a chunk whenever little is held, until nothing waits any more and all is written down."""
        taken = 0
        try:
            while self._goes_on():
                await self._until(lambda: self._has_room() or not self._goes_on())
                chunk = CHUNK if limit is None else min(CHUNK, limit - taken)
                has_room = chunk > 0 and len(self.waiting) < WAITING_AT_MOST
                if has_room and await self._aside(self.books.anything_waits):
                    if not await self._relay_is_ready():
                        return
                    if claimed := await self._claim_next(chunk):
                        taken += claimed
                        continue
                if self._is_done():
                    return
                await self._until(lambda: self._has_time() or not self._goes_on())
                await self._rest()
        finally:
            self.is_fed = True
            self._tell()

    async def _relay_is_ready(self) -> bool:
        # Asked before anything is claimed: a dead relay must not churn through the queue.
        if any(lane.flight for lane in self.lanes):
            return True  # or that will show
        try:
            await self.courier.ready()
        except RelayUnavailable as unavailable:
            self._note_problem(str(unavailable))
            return False
        return True

    async def _claim_next(self, limit: int) -> int:
        """Claim a chunk; where none is left but suspects, ask again only after a number of these.

        Suspects may take us down: all that was sent before them is written down first.
        """
        count = 0 if self.suspects_first else await self._claim(limit, is_suspect=False)
        if count or not self._is_idle():
            return count
        count = await self._claim(min(SUSPECTS, limit), is_suspect=True)
        self.suspects_first = (self.suspects_first or SUSPECTS_IN_A_ROW) - 1 if count else 0
        return count

    async def _claim(self, limit: int, *, is_suspect: bool) -> int:
        """Claim and compose; return how many were claimed. Those with a letter are held."""
        self.renewed_at = self.renewed_at or self.clock()
        batch = self.batch = Batch(limit, is_suspect)
        await self._aside(self.books.claim, batch)
        if self.is_closed:
            return 0
        self.batch = None
        self.held.extend(batch.letters)
        self.probed |= batch.probed
        self.counts.update(batch.counts)
        self._tell()
        return len(batch.claimed)

    def _has_room(self) -> bool:
        # What comes of the few that go to a stopped destination says whether the others may follow.
        return self._is_idle() or (len(self.held) <= ENOUGH and not self.probed)

    def _is_idle(self) -> bool:
        """Say whether all that was claimed is sent and written down, but for what waits for a limit."""
        return not self.held and all(lane.is_idle for lane in self.lanes)

    def _is_done(self) -> bool:
        return self._is_idle() and not self.waiting

    def _has_time(self) -> bool:
        """Say whether a lane could send more, be the other one kept by a relay that is slow to answer."""
        return not self.held and any(lane.is_idle for lane in self.lanes)

    async def _rest(self) -> None:
        """Wait for the first of those that wait for a limit, or until all is done; not for long."""
        wait = REST_SECONDS
        if self.waiting:
            wait = min(wait, max(0.0, self.waiting[0][0] - asyncio.get_running_loop().time()))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait):
                await self._until(lambda: self._is_done() or not self._goes_on())
        self._tell()

    # -- sending -------------------------------------------------------------------------------------

    async def _send(self, lane: _Lane, count: int) -> None:
        """Send up to ``count`` at a time; while they are on the wire the next are made."""
        try:
            while not self.is_closed:
                parcels, unmade = await self._make(lane, count)
                await self._land(lane)
                if not (parcels or unmade):
                    await self._write()
                    if not await self._work_comes(lane):
                        return
                elif not self._goes_on():
                    return  # what is in hand is given back
                else:
                    begun = await self._write(parcels, unmade=unmade)
                    if self.is_closed:
                        return
                    self._launch(lane, begun)
        finally:
            lane.is_idle = True
            self._tell()

    async def _work_comes(self, lane: _Lane) -> bool:
        """Wait for something to send; False if nothing will come."""
        lane.is_idle = True
        self._tell()
        await self._until(lambda: self._has_work() or self.is_fed or not self._goes_on())
        lane.is_idle = False
        return self._has_work() and self._goes_on()

    def _has_work(self) -> bool:
        now = asyncio.get_running_loop().time()
        return bool(self.held) or bool(self.waiting and self.waiting[0][0] <= now)

    async def _make(self, lane: _Lane, count: int) -> tuple[dict[int, tuple[Claimed, Parcel]], list[Claimed]]:
        """Make parcels of up to ``count`` letters; return them, and what could not be made into any."""
        parcels: dict[int, tuple[Claimed, Parcel]] = {}
        unmade: list[Claimed] = []
        if not self._goes_on():
            return parcels, unmade
        letters = self._admit(lane, count)
        at = self.clock()
        for start in range(0, len(letters), AT_A_TIME):
            for delivery, letter in letters[start : start + AT_A_TIME]:
                try:
                    parcels[delivery.id] = delivery, self.courier.prepare(delivery, letter, at)
                except Exception:
                    # A fault of the letter's comes again; else it was an interruption, a task's time limit.
                    if self._can_be_made(delivery, letter, at):
                        raise
                    logger.exception("render_failed", delivery=delivery.id, kind=delivery.kind)
                    unmade.append(delivery)
            await asyncio.sleep(0)
            if self.is_closed:
                return {}, []
        return parcels, unmade

    def _can_be_made(self, delivery: Claimed, letter: Letter, at: datetime) -> bool:
        try:
            self.courier.prepare(delivery, letter, at)
        except Exception:  # noqa: BLE001 - it is told by whoever asks
            return False
        return True

    def _admit(self, lane: _Lane, count: int) -> list[tuple[Claimed, Letter]]:
        """Take up to ``count`` letters in hand whose turn it is; none only if there is none.

        Of those that a limit holds back some wait here, if it is for a short while, the others in the queue.
        """
        now = asyncio.get_running_loop().time()
        going: list[tuple[Claimed, Letter]] = []
        while not going and (asked := self._take(lane, count, now)):
            if self.stopped:
                asked = self._put_off(asked)
            waits = self.courier.admit([letter.recipient for _, letter in asked])
            for (delivery, letter), wait in zip(asked, waits, strict=True):
                if wait is None:
                    going.append((delivery, letter))
                elif wait <= WAIT_HERE_SECONDS and len(self.waiting) < WAITING_AT_MOST:
                    heapq.heappush(self.waiting, (now + wait, delivery.id, delivery, letter))
                else:
                    self.postponed[delivery.id] = self.clock() + timedelta(seconds=wait)
        lane.in_hand = [delivery for delivery, _ in going]
        return going

    def _take(self, lane: _Lane, count: int, now: float) -> list[tuple[Claimed, Letter]]:
        # In hand before it is gone from where it was: whoever is interrupted in between gives it back.
        taken: list[tuple[Claimed, Letter]] = []
        while self.waiting and self.waiting[0][0] <= now and len(taken) < count:
            taken.append(self.waiting[0][2:])
            lane.in_hand.append(taken[-1][0])
            heapq.heappop(self.waiting)
        for _ in range(min(count - len(taken), len(self.held))):
            taken.append(self.held[0])
            lane.in_hand.append(taken[-1][0])
            self.held.popleft()
        if len(self.held) <= ENOUGH:
            self._tell()
        return taken

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

    def _launch(self, lane: _Lane, begun: Sequence[tuple[Claimed, Parcel]]) -> None:
        # Each out of hand before it is on its way: whoever is interrupted gives back what is in hand.
        lane.flight = flight = []
        lane.in_hand = [delivery for delivery, _ in begun]
        for delivery, parcel in begun:
            del lane.in_hand[0]
            future = asyncio.ensure_future(self.courier.deliver(parcel))
            flight.append((delivery, parcel.recipient, future))

    async def _land(self, lane: _Lane) -> None:
        """Wait until all that a lane has on the wire has its outcome.

        Raises:
            Exception: what a courier raised, as soon as it did. It never does, but for a fault of ours.
        """
        if waiting := lane.under_way():
            await asyncio.wait(waiting, return_when=asyncio.FIRST_EXCEPTION)
        if self.is_closed:
            return
        if (fault := lane.fault()) is not None:
            raise fault
        self.results += self._results(lane)
        lane.flight = ()

    def _results(self, lane: _Lane) -> list[Result]:
        now = self.clock()
        results = []
        for delivery, recipient, outcome in lane.outcomes():
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

    # -- writing -------------------------------------------------------------------------------------

    async def _write(
        self, parcels: Mapping[int, tuple[Claimed, Parcel]] = NONE, *, unmade: Sequence[Claimed] = ()
    ) -> list[tuple[Claimed, Parcel]]:
        """Commit half a window, with all that has landed; return the parcels that may go out now."""
        async with self.pen:
            if self.is_closed:
                return []
            entry = self._open_entry(parcels, unmade)
            try:
                if not entry.is_empty:
                    await self._aside(self.books.write, entry)
            finally:
                if not self.is_closed:
                    self._settle()
        return [parcels[delivery_id] for delivery_id in parcels if delivery_id in entry.begun]

    def _open_entry(self, parcels: Collection[int], unmade: Sequence[Claimed]) -> Entry:
        """Take all there is to be written."""
        now = self.clock()
        fares = self._take_fares(is_last=not parcels)
        self.entry = entry = Entry(
            results=self.results,
            beginning=[*parcels],
            unmade=unmade,
            renewed=self._take_worn(parcels, now),
            back=self.back,
            back_at=now + RELAY_BACKOFF * (1 + self.jitter()) if self.problem else None,
            postponed=self.postponed,
            put_off=self.put_off,
            fares=fares,
            recovered=[
                scope for scope in self.probed & fares.keys() if fares[scope].sent and not fares[scope].policy
            ],
        )
        self.results, self.back, self.postponed, self.put_off = [], [], {}, {}
        return entry

    def _settle(self) -> None:
        """Note what came of the entry; what was not written is there to be written again."""
        entry, self.entry = self.entry, None
        if entry is None:
            return
        if entry.is_written:
            self.counts.update(entry.counts)
            self.probed.difference_update(entry.recovered)
            self.stopped.update(one.scope for one in entry.opened)
            self.is_over |= self.queue == BULK and any(one.scope == breaker.ALL for one in entry.opened)
            return
        self.results = [*entry.results, *self.results]
        self.back = [*entry.back, *self.back]
        self.postponed = {**entry.postponed, **self.postponed}
        self.put_off = {**entry.put_off, **self.put_off}
        for scope, tally in entry.fares.items():
            own = self.fared.setdefault(scope, tallies.Tally())
            own.sent, own.policy = own.sent + tally.sent, own.policy + tally.policy

    def _take_fares(self, *, is_last: bool) -> dict[str, tallies.Tally]:
        """Take how digests fared a few times a minute, and at once what speaks against us."""
        refused = any(tally.policy for tally in self.fared.values())
        if not (refused or is_last or monotonic() - self.written_at >= TALLY_SECONDS):
            return {}
        fares, self.fared = self.fared, {}
        if fares:
            self.written_at = monotonic()
        return fares

    def _take_worn(self, beginning: Collection[int], now: datetime) -> list[int]:
        """Return what is claimed and will not be begun now, if it is time to prolong its lease."""
        if self.renewed_at is None or now - self.renewed_at < RENEW_AFTER:
            return []
        self.renewed_at = now
        return [one.id for one in self._claimed() if one.id not in beginning]

    def _claimed(self) -> Iterator[Claimed]:
        """Give all that is claimed, or committed as sending but not on its way."""
        yield from self.batch.claimed if self.batch else ()
        for lane in self.lanes:
            yield from lane.in_hand
        yield from (one for one, _ in self.held)
        yield from (one for *_, one, _ in self.waiting)

    def _take_back(self) -> None:
        """Let all be given back that is claimed and will not be begun."""
        self.back += self._claimed()
        self.batch = None
        for lane in self.lanes:
            lane.in_hand = []
        self.held.clear()
        self.waiting.clear()
