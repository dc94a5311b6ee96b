"""Tells of a broker that is full or away in a few lines: Celery itself says it several times a second.

A line when it begins, at most one a minute with how often it was tried, a line when it is over.
"""

import logging
import time
from collections.abc import Callable

import structlog
from celery import bootsteps
from celery.worker.consumer.consumer import RestartFreqExceeded
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from service.spells import Trouble
from workers.repeating import repeating_step

CONSUMER = "celery.worker.consumer.consumer"
SPEAKERS = (CONSUMER, "kombu.asynchronous.hub")
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
        self._trouble = Trouble(peace=PEACE_SECONDS, monotonic=monotonic)

    def filter(self, record: logging.LogRecord) -> bool:
        """Let a record pass unless it tells of the broker's trouble."""
        error = _trouble_in(record)
        if error is None:
            return True
        spell = self._trouble.failed()
        if spell is not None and spell.failures == 1:
            log.warning("broker_away", error=type(error).__name__, problem=str(error)[:200])
        elif spell is not None:
            log.warning("broker_still_away", **spell._asdict())
        return False

    def look(self) -> None:
        """Say that it is over, if it is; to be called now and then while the broker is listened to."""
        if (spell := self._trouble.ended()) is not None:
            log.info("broker_back", **spell._asdict())


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
    return repeating_step("troubles", LOOK_SECONDS, troubles.look)
