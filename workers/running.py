"""Runs a worker or a scheduler as this process, until a signal comes."""

import logging
import os
import signal
import threading
import time
import warnings
from collections.abc import Sequence
from pathlib import Path

from celery import signals
from celery.apps.worker import Worker
from celery.exceptions import CPendingDeprecationWarning, SecurityWarning
from celery.utils.log import get_multiprocessing_logger

from service.bootstrap import Parts
from service.config import Settings
from workers.alive import alive_step
from workers.app import make_app
from workers.scheduler import Scheduler
from workers.troubles import Troubles, troubles_step

PARTING_SECONDS = 5.0  # what is left to us once our parent is gone


def run_worker(
    settings: Settings,
    broker_url: str,
    queues: Sequence[str],
    *,
    concurrency: int,
    pool: str,
    with_parent: bool = False,
    alive_file: Path | None = None,
) -> int:
    """Serve the queues until told to stop; return the exit code."""
    # Celery warns of root because pickled tasks could do anything then; ours are JSON, names and ids.
    warnings.filterwarnings("ignore", category=SecurityWarning)
    # Where somebody listens to this Celery leaves the log alone: it would set the root to its own level.
    signals.setup_logging.connect(_set_up_logging, weak=False)
    app = make_app(settings, broker_url)
    app.steps["consumer"].add(troubles_step(Troubles()))
    if alive_file is not None:
        app.steps["consumer"].add(alive_step(alive_file))
    if with_parent:
        threading.Thread(target=_leave_with_parent, name="with-parent", daemon=True).start()
    worker = Worker(
        app=app,
        hostname=f"worker-{os.getpid()}@{os.uname().nodename}",
        queues=list(queues),
        pool_cls=pool,
        concurrency=concurrency,
        loglevel="WARNING",
        # Workers need not know of each other: SQL is where they meet.
        without_heartbeat=True,
        without_mingle=True,
        without_gossip=True,
        quiet=True,
    )
    # Once it has set up its own filters: each lost connection would warn of a default to come. Ours is set.
    warnings.filterwarnings("ignore", category=CPendingDeprecationWarning)
    worker.start()
    code = int(worker.exitcode or 0)
    if with_parent:
        # Who waits for Ctrl-C to be done need not watch the interpreter take itself apart: all is committed.
        logging.shutdown()
        os._exit(code)
    return code


def run_scheduler(parts: Parts, *, alive_file: Path | None = None) -> None:
    """Tick until SIGTERM or Ctrl-C; each tick touches ``alive_file``."""
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda _number, _frame: stop.set())
    scheduler = Scheduler(parts, alive_file=alive_file)
    scheduler.start()
    stop.wait()
    scheduler.stop()


def _set_up_logging(**_options: object) -> None:
    """Leave all as it was set up, and let the pool's errors go the way of all lines."""
    pool = get_multiprocessing_logger()
    pool.setLevel(logging.ERROR)
    pool.propagate = True


def _leave_with_parent() -> None:
    """Stop in order when standard input ends: our parent holds its other end, and is gone."""
    while os.read(0, 1):  # not sys.stdin, whose lock a waiting thread would hold at our exit
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(PARTING_SECONDS)
    os._exit(1)
