"""Small work done again and again by the loop of a worker that also takes tasks off the queues."""

from collections.abc import Callable
from typing import Any

from celery import bootsteps


def repeating_step(
    name: str, seconds: float, work: Callable[[], object], *, is_done_at_once: bool = False
) -> type[bootsteps.StartStopStep]:
    """Make the worker's step that does ``work`` every so many seconds; Celery tells steps apart by name."""
    own_name = name

    class Repeating(bootsteps.StartStopStep):  # type: ignore[misc]
        name = own_name
        requires = {"celery.worker.consumer.tasks:Tasks"}  # noqa: RUF012 - Celery's own form

        def __init__(self, consumer: Any, **options: Any) -> None:
            super().__init__(consumer, **options)
            self._timer: Any = None

        def start(self, consumer: Any) -> None:
            if is_done_at_once:
                work()
            self._timer = consumer.timer.call_repeatedly(seconds, work)

        def stop(self, consumer: Any) -> None:  # noqa: ARG002
            if self._timer is not None:
                self._timer.cancel()

    return Repeating
