"""A file touched again and again by what has to be running: its age tells whether that still happens."""

from pathlib import Path
from typing import Any

from celery import bootsteps

TOUCH_SECONDS = 15.0


def alive_step(path: Path) -> type[bootsteps.StartStopStep]:
    """Make the worker's step that touches ``path`` from the loop that also takes tasks off the queues."""

    class Alive(bootsteps.StartStopStep):  # type: ignore[misc]
        requires = {"celery.worker.consumer.tasks:Tasks"}  # noqa: RUF012 - Celery's own form

        def __init__(self, consumer: Any, **options: Any) -> None:
            super().__init__(consumer, **options)
            self._timer: Any = None

        def start(self, consumer: Any) -> None:
            path.touch()
            self._timer = consumer.timer.call_repeatedly(TOUCH_SECONDS, path.touch)

        def stop(self, consumer: Any) -> None:  # noqa: ARG002
            if self._timer is not None:
                self._timer.cancel()

    return Alive
