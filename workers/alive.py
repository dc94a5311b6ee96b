"""A file touched again and again by what has to be running: its age tells whether that still happens."""

from pathlib import Path

from celery import bootsteps

from workers.repeating import repeating_step

TOUCH_SECONDS = 15.0


def alive_step(path: Path) -> type[bootsteps.StartStopStep]:
    """Make the worker's step that touches ``path`` from the loop that also takes tasks off the queues."""
    return repeating_step("alive", TOUCH_SECONDS, path.touch, is_done_at_once=True)
