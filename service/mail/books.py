"""What a run of mail writes down: claims, letters to be, results. Each step is one transaction, or two.

All of it is synchronous SQL and knows nothing of the wire; a run calls it in threads of its own. What a step
finds out is left in the object it was given, so that whoever was interrupted knows how far it came.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import structlog
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from service.clock import Clock
from service.database import FAILURES, Database
from service.mail import breaker, claiming, tallies
from service.mail.claiming import Result
from service.mail.composing import Claimed, Composer, Refusal
from service.mail.delivery import HELD_BACK, Status, tells_of_dead_address
from service.mail.letters import Letter
from service.mail.sweeping import OnUnsent
from service.mail.tables import DeliveryRow

logger = structlog.get_logger()

DIGEST = "digest"
STOPPED_SPREAD = timedelta(minutes=10)  # those who were stopped don't all come back at one instant

OnRefused = Callable[[Session, int, str], None]
"""Told, inside the recording transaction, of a subscriber whose address is dead, and the code saying so."""


OnBreak = Callable[[Session, Sequence[breaker.Open]], None]
"""Told, inside the same transaction, of destinations to which digests were just stopped."""


@dataclass(slots=True)
class Batch:
    """A chunk of deliveries that is being claimed and composed."""

    limit: int
    is_suspect: bool  # only those whose worker went down before it could send them
    claimed: Sequence[Claimed] = ()  # committed as ours
    letters: Sequence[tuple[Claimed, Letter]] = ()  # of those that may go
    probed: set[str] = field(default_factory=set)  # stopped destinations that are tried again
    counts: Counter[str] = field(default_factory=Counter)  # how the others ended


@dataclass(slots=True, kw_only=True)
class Entry:
    """What is written down together, in one transaction."""

    results: Sequence[Result] = ()
    beginning: Sequence[int] = ()  # ids of deliveries to be committed as sending
    unmade: Sequence[Claimed] = ()  # that could not be made into parcels
    renewed: Sequence[int] = ()  # ids whose lease is prolonged
    back: Sequence[Claimed] = ()  # to be given back
    back_at: datetime | None = None  # not before this instant
    postponed: Mapping[int, datetime] = field(default_factory=dict)  # for a limit
    put_off: Mapping[int, datetime] = field(default_factory=dict)  # for a stopped destination
    fares: Mapping[str, tallies.Tally] = field(default_factory=dict)  # by destination
    recovered: Sequence[str] = ()  # stopped destinations that take mail again
    # What came of it.
    begun: set[int] = field(default_factory=set)
    counts: Counter[str] = field(default_factory=Counter)
    opened: Sequence[breaker.Open] = ()  # destinations stopped by it
    is_written: bool = False

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to write."""
        return not (self.results or self.beginning or self._has_more)

    @property
    def is_usual(self) -> bool:
        """Whether all that landed was taken, and there is no more than that and what begins."""
        return bool(
            self.beginning
            and self.results
            and not self._has_more
            and all(result.step.status is Status.SENT for result in self.results)
        )

    @property
    def _has_more(self) -> bool:
        return bool(self.unmade or self.renewed or self.back or self.postponed or self.put_off or self.fares)


@dataclass(frozen=True, slots=True, kw_only=True)
class Books:
    """The books of one run, kept under the name of its ``holder``."""

    database: Database
    composers: Mapping[str, Composer]
    clock: Clock
    queue: str
    holder: str
    on_unsent: OnUnsent | None
    on_refused: OnRefused | None
    on_break: OnBreak | None
    jitter: Callable[[], float]

    def anything_waits(self) -> bool:
        """Say whether anything could be claimed."""
        with self.database.reading() as session:
            return claiming.waits(session, queue=self.queue, kinds=self.composers, now=self.clock())

    # -- claiming ------------------------------------------------------------------------------------

    def claim(self, batch: Batch) -> None:
        """Claim deliveries, then compose them.

        The claim is committed first: a letter that takes its worker down leaves a trace by it. Consent is
        asked after it, and whoever leaves from then on is cancelled before their turn comes (claiming.begin).
        """
        with self.database.transaction() as session:
            claimed = claiming.claim(
                session,
                queue=self.queue,
                kinds=self.composers,
                holder=self.holder,
                now=self.clock(),
                limit=batch.limit,
                is_suspect=batch.is_suspect,
            )
        batch.claimed = claimed
        if claimed:
            with self.database.transaction() as session:
                letters = self._compose_claimed(session, batch)
            batch.letters = letters

    def _compose_claimed(self, session: Session, batch: Batch) -> list[tuple[Claimed, Letter]]:
        composed = self._compose(session, batch.claimed)
        refused: dict[str, list[Claimed]] = {}
        letters: list[tuple[Claimed, Letter]] = []
        for delivery in batch.claimed:
            said = composed.get(delivery.id)
            if said is None:
                refused.setdefault("", []).append(delivery)
            elif isinstance(said, Refusal):
                refused.setdefault(said.reason, []).append(delivery)
            else:
                letters.append((delivery, said))
        for reason, deliveries in refused.items():
            status = Status.CANCELLED if reason else Status.FAILED
            self._finish(session, batch.counts, deliveries, status, reason or "compose")
        return self._keep_from_stopped(session, batch, letters)

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
        except FAILURES:
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

    def _keep_from_stopped(
        self, session: Session, batch: Batch, letters: list[tuple[Claimed, Letter]]
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
                batch.probed.add(one.scope)
                going.append((delivery, letter))
            else:
                later = max(one.retry_at or now, now) + STOPPED_SPREAD * self.jitter()
                until[delivery.id] = later
        moved = claiming.postpone(session, until, holder=self.holder, reason=breaker.STOPPED)
        batch.counts["requeued"] += len(moved)
        return going

    # -- recording -----------------------------------------------------------------------------------

    def write(self, entry: Entry) -> None:
        """Write all of an entry, or nothing."""
        now, holder = self.clock(), self.holder
        if entry.is_usual and not self.database.is_sqlite:
            with self.database.statements() as connection:
                entry.begun = claiming.turn(
                    connection, entry.results, entry.beginning, holder=holder, now=now
                )
            entry.counts = Counter({Status.SENT.value: len(entry.results)})
            entry.is_written = True
            return
        counts = Counter[str]()
        with self.database.transaction() as session:
            self._record(session, counts, entry.results, now)
            if entry.unmade:
                self._finish(session, counts, entry.unmade, Status.FAILED, "render")
            begun = claiming.begin(session, entry.beginning, holder=holder, now=now)
            claiming.renew(session, entry.renewed, holder=holder, now=now)
            ids = [delivery.id for delivery in entry.back]
            counts["requeued"] += claiming.release(session, ids, holder=holder, next_at=entry.back_at)
            for until, reason in ((entry.postponed, HELD_BACK), (entry.put_off, breaker.STOPPED)):
                moved = claiming.postpone(session, until, holder=holder, reason=reason)
                counts["requeued"] += len(moved)
            opened = self._write_fares(session, entry, now)
        entry.begun, entry.counts, entry.opened = begun, counts, opened
        entry.is_written = True

    def _record(
        self, session: Session, counts: Counter[str], results: Sequence[Result], now: datetime
    ) -> None:
        if not results:
            return
        claiming.record(session, results, holder=self.holder, now=now)
        for status, count in Counter([result.step.status for result in results]).items():
            counts["requeued" if status is Status.QUEUED else status.value] += count
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

    def _write_fares(self, session: Session, entry: Entry, now: datetime) -> Sequence[breaker.Open]:
        """Write down how digests fared, and stop what is refused too often.

        Last in its transaction: others wait for these rows.
        """
        if not entry.fares:
            return ()
        tallies.add(session, now, entry.fares)
        if entry.recovered:
            breaker.close(session, now, by=breaker.PROBE, scopes=entry.recovered)
        if not any(tally.policy for tally in entry.fares.values()):
            return ()
        opened = breaker.judge(session, now)
        if opened and self.on_break is not None:
            self.on_break(session, opened)
        return opened

    def _finish(
        self,
        session: Session,
        counts: Counter[str],
        deliveries: Sequence[Claimed],
        status: Status,
        reason: str,
    ) -> None:
        ids = [delivery.id for delivery in deliveries]
        moved = claiming.finish(session, ids, status, reason, holder=self.holder, now=self.clock())
        counts[status.value] += len(moved)
        self._tell_unsent(session, [delivery for delivery in deliveries if delivery.id in moved])

    def _tell_unsent(self, session: Session, deliveries: Sequence[Claimed]) -> None:
        digests = [delivery.digest_id for delivery in deliveries if delivery.digest_id is not None]
        if digests and self.on_unsent is not None:
            self.on_unsent(session, digests)


def _refused_before(session: Session, result: Result) -> bool:
    statement = select(func.count()).where(
        DeliveryRow.subscriber_id == result.delivery.subscriber_id,
        DeliveryRow.id != result.delivery.id,
        DeliveryRow.status == Status.FAILED,
        DeliveryRow.reason == result.step.reason,
    )
    return bool(session.scalar(statement))
