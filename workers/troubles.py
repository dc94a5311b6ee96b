"""Tells of a broker that is full or away in a few lines: Celery itself says it several times a second.

A line when it begins, at most one a minute with how often it was tried, a line when it is over.
"""

import logging
import time
from collections.abc import Callable
from typing import Any

import structlog
from celery import bootsteps
from celery.worker.consumer.consumer import RestartFreqExceeded
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

CONSUMER = "celery.worker.consumer.consumer"
SPEAKERS = (CONSUMER, "kombu.asynchronous.hub")
EVERY_SECONDS = 60.0
# Kombu looks for lost tasks twice a minute, and waits as long between two tries at most: who has failed at
# neither for longer is over it.
PEACE_SECONDS = 45.0
LOOK_SECONDS = 15.0

log = structlog.get_logger()


class Troubles(logging.Filter):
    """Takes out of the log what Celery says of the broker, and says it shorter."""

    def __init__(self, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        """Begin without any trouble."""
        super().__init__()
        self._monotonic = monotonic
        self._began_at: float | None = None
        self._last_at = self._told_at = 0.0
        self._count = 0

    def filter(self, record: logging.LogRecord) -> bool:
        """Let a record pass unless it tells of the broker's trouble."""
        error = _trouble_in(record)
        if error is None:
            return True
        now = self._monotonic()
        self._last_at = now
        self._count += 1
        if self._began_at is None:
            self._began_at = self._told_at = now
            log.warning("broker_away", error=type(error).__name__, problem=str(error)[:200])
        elif now - self._told_at >= EVERY_SECONDS:
            self._told_at = now
            log.warning("broker_still_away", seconds=round(now - self._began_at), failures=self._count)
        return False

    def look(self) -> None:
        """Say that it is over, if it is; to be called now and then while the broker is listened to."""
        if self._began_at is None or self._monotonic() - self._last_at < PEACE_SECONDS:
            return
        seconds = round(self._last_at - self._began_at)
        log.info("broker_back", seconds=seconds, failures=self._count)
        self._began_at, self._count = None, 0


def _trouble_in(record: logging.LogRecord) -> BaseException | None:
    """Return the error a record speaks of, if it is one of the broker's."""
    said = record.args if isinstance(record.args, tuple) else ()
    kinds: tuple[type[Exception], ...] = (RedisError, OperationalError, RestartFreqExceeded)
    if record.name == CONSUMER:  # the loop's timers have other errors of the system as well
        kinds += (OSError,)
    return next((one for one in said if isinstance(one, kinds)), None)


def troubles_step(troubles: Troubles) -> type[bootsteps.StartStopStep]:
    """Make the worker's step that listens to Celery, and looks from its loop whether trouble is over."""
    for name in SPEAKERS:
        logging.getLogger(name).addFilter(troubles)

    class Looking(bootsteps.StartStopStep):  # type: ignore[misc]
        requires = {"celery.worker.consumer.tasks:Tasks"}  # noqa: RUF012 - Celery's own form

        def __init__(self, consumer: Any, **options: Any) -> None:
            super().__init__(consumer, **options)
            self._timer: Any = None

        def start(self, consumer: Any) -> None:
            self._timer = consumer.timer.call_repeatedly(LOOK_SECONDS, troubles.look)

        def stop(self, consumer: Any) -> None:  # noqa: ARG002
            if self._timer is not None:
                self._timer.cancel()

    return Looking
