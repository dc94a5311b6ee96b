"""A worker inside the serving process: for machines that have no broker to run."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from celery.worker import WorkController

from service.config import Settings
from workers import stopping
from workers.app import make_app
from workers.queues import QUEUES

STOP_SECONDS = 2.0


@contextmanager
def running_worker(settings: Settings, broker_url: str, *, threads: int) -> Iterator[None]:
    """Run a worker in a thread while the block lasts."""
    app = make_app(settings, broker_url)
    app.set_default()  # the pool's threads look their tasks up in the process's default application
    app.finalize()
    controller = WorkController(
        app=app,
        pool_cls="threads",
        concurrency=threads,
        queues=list(QUEUES),
        without_heartbeat=True,
        without_mingle=True,
        without_gossip=True,
    )
    thread = threading.Thread(target=controller.start, name="worker", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stopping.stop_all()
        controller.stop()
        thread.join(STOP_SECONDS)
