"""The clock on the wall: rings for work each minute and does none itself. Two of them do no harm."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import structlog
from apscheduler.schedulers.background import BackgroundScheduler
from sqlalchemy import func, select

from service.bootstrap import Parts
from service.papers.tables import SourceRunRow

log = structlog.get_logger()

# APScheduler drops a job that is one second late by default; a tick is worth having however late.
GRACE_SECONDS = 3600
HEARTBEAT_MINUTES = 15
WATCH_SECONDS = 5.0
SLACK = timedelta(seconds=1)  # the clock is put right by fractions of a second all the time
COLLECT_PATIENCE = timedelta(minutes=10)  # a collection rung for may take so long before it leaves a trace


class Scheduler:
    """Ticks in a thread of its own. What is due is decided by those who are rung for, from SQL."""

    def __init__(self, parts: Parts, *, alive_file: Path | None = None) -> None:
        """Prepare the ticks; nothing runs before ``start``. Each tick touches ``alive_file``."""
        self._alive_file = alive_file
        self._parts = parts
        self._next_collect_ring = datetime.min.replace(tzinfo=UTC)
        self._ticker = BackgroundScheduler(
            timezone=UTC,
            job_defaults={"misfire_grace_time": GRACE_SECONDS, "coalesce": True, "max_instances": 1},
        )
        self._every: dict[str, timedelta] = {}  # by job
        self._stopped = threading.Event()
        now = datetime.now(UTC)
        self._add(self.tick, timedelta(minutes=1), now)
        self._add(self.ring_hourly, timedelta(hours=1), now)
        self._add(self.heartbeat, timedelta(minutes=HEARTBEAT_MINUTES), now)

    def _add(self, job: Callable[[], None], every: timedelta, first: datetime) -> None:
        added = self._ticker.add_job(job, "interval", seconds=every.total_seconds(), next_run_time=first)
        self._every[added.id] = every

    def start(self) -> None:
        """Start ticking, the first time at once."""
        self._ticker.start()
        threading.Thread(target=self._watch_the_clock, name="clock-watch", daemon=True).start()

    def stop(self) -> None:
        """Stop; a tick that runs is not waited for, it only rings."""
        self._stopped.set()
        self._ticker.shutdown(wait=False)

    def _watch_the_clock(self) -> None:
        while not self._stopped.wait(WATCH_SECONDS):
            self.mind_the_clock(datetime.now(UTC))

    def mind_the_clock(self, now: datetime) -> None:
        """Tick at once where the clock was set back.

        The ticker would wait until it shows the time it had before, for hours or days.
        """
        for job in self._ticker.get_jobs():
            if job.next_run_time is not None and job.next_run_time > now + self._every[job.id] + SLACK:
                log.warning(
                    "clock_set_back", at_least_seconds=round((job.next_run_time - now).total_seconds())
                )
                job.modify(next_run_time=now)

    def tick(self) -> None:
        """Ring for everything that may be due this minute."""
        if self._alive_file is not None:
            self._alive_file.touch()
        bell = self._parts.bell
        bell.ring("mail.sweep")
        bell.ring("mail.deliver", "transactional")
        bell.ring("digests.plan_due")
        bell.ring("mail.deliver", "bulk")
        if self._parts.settings.inbound_imap_url is not None:
            bell.ring("inbound.poll")
        now = self._parts.clock()
        # A ring that lies farther away than it could was set before the clock went back.
        is_quiet = now < self._next_collect_ring <= now + COLLECT_PATIENCE
        if not is_quiet and self.is_collection_due(now):
            bell.ring("papers.collect")
            self._next_collect_ring = now + COLLECT_PATIENCE

    def ring_hourly(self) -> None:
        """Ring for what is enough once an hour."""
        self._parts.bell.ring("subscribers.expire")

    def heartbeat(self) -> None:
        """Leave a line in the log: silence then means it is dead."""
        log.info("scheduler_alive")

    def is_collection_due(self, now: datetime) -> bool:
        """Return whether the last collection, however it ended, is an interval before ``now``, or never.

        One that began later than now was begun by a clock that ran ahead.
        """
        with self._parts.database.reading() as session:
            query = select(func.max(SourceRunRow.started_at)).where(SourceRunRow.started_at <= now)
            last = session.scalar(query)
        return last is None or last <= now - self._parts.settings.collect_interval
