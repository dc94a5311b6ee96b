"""The doorbell on Celery: puts a task's name and ids on a queue, quickly or not at all."""

import threading
import time
from typing import Any

import structlog
from celery import Celery
from kombu.connection import Connection
from kombu.exceptions import ChannelError, OperationalError
from redis.exceptions import RedisError

from workers.queues import FULL, QUEUES, is_repeated, queue_for

CONNECT_SECONDS = 1.0
QUIET_SECONDS = 5.0  # after a failure the broker is left alone for so long: no request waits for it twice

log = structlog.get_logger()


class CeleryBell:
    """Rings through the broker. A ring that gets lost costs a minute: the next tick finds the rows."""

    def __init__(self, broker_url: str) -> None:
        """Prepare; the connection is made with the first ring."""
        self._app = Celery("paperlark-bell", broker=broker_url, set_as_current=False)
        self._app.conf.update(
            broker_connection_timeout=CONNECT_SECONDS,
            broker_transport_options={
                "socket_timeout": CONNECT_SECONDS,
                "socket_connect_timeout": CONNECT_SECONDS,
                "max_retries": 0,
                "retry_on_timeout": False,
                "polling_interval": 0.05,  # for memory://, whose settings are one process's own
            },
            task_serializer="json",
            accept_content=["json"],
            task_ignore_result=True,
            task_queues={name: {"exchange": name, "routing_key": name} for name in QUEUES},
        )
        self._lock = threading.Lock()
        self._away_until: float | None = None

    def ring(self, task: str, *arguments: int | str) -> None:
        """Ask for ``task``; never raises, and waits for about a second at most.

        Left out where enough rings wait in its queue that nobody has heard: queues can't pile up.
        """
        queue = queue_for(task, arguments)
        with self._lock:
            if self._away_until is not None and time.monotonic() < self._away_until:
                return
        try:
            with self._app.producer_pool.acquire(block=True) as producer:
                if not (is_repeated(task) and _unheard(producer.connection, queue) >= FULL):
                    self._app.send_task(task, args=arguments, queue=queue, retry=False, producer=producer)
        except (OperationalError, RedisError, OSError) as error:
            self._note_failure(error)
        else:
            self._note_success()

    def close(self) -> None:
        """Give back the connections."""
        self._app.close()

    def _note_failure(self, error: Exception) -> None:
        with self._lock:
            first = self._away_until is None
            self._away_until = time.monotonic() + QUIET_SECONDS
        if first:
            log.warning("broker_away", error=type(error).__name__)

    def _note_success(self) -> None:
        with self._lock:
            was_away, self._away_until = self._away_until is not None, None
        if was_away:
            log.info("broker_back")


def _unheard(connection: Connection, queue: str) -> int:
    channel: Any = connection.default_channel
    try:
        return int(channel.queue_declare(queue, passive=True).message_count)
    except ChannelError:
        return 0  # a queue without messages is none
