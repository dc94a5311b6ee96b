"""Mail workers in processes of their own, as ``paperlark worker`` runs them: opened, then told to send."""

import contextlib
import multiprocessing
import time
from collections.abc import Iterator
from datetime import datetime
from multiprocessing.connection import Connection
from typing import NamedTuple

from benchmarks.stage.world import behave
from service.bootstrap import open_parts
from service.config import Settings
from service.digests.running import deliver
from service.mail.courier import open_courier
from service.mail.outbox import BULK

READY = "ready"


class Ring(NamedTuple):
    """Tells a worker that something waits at an instant; the last one asks what it did."""

    now: datetime
    is_last: bool = False


class Done(NamedTuple):
    """What workers did."""

    sent: int
    processor: float  # seconds


class Workers:
    """Several workers that send at the same time what waits."""

    def __init__(self, pipes: list[Connection]) -> None:
        """Take the ends that lead to them."""
        self._pipes = pipes

    def ring(self, now: datetime) -> None:
        """Let them send what waits, and go on."""
        for pipe in self._pipes:
            pipe.send(Ring(now))

    def finish(self, now: datetime) -> Done:
        """Let all send until nothing waits, and return what they did since this was asked last."""
        for pipe in self._pipes:
            pipe.send(Ring(now, is_last=True))
        done: list[Done] = [pipe.recv() for pipe in self._pipes]
        return Done(sum(one.sent for one in done), sum(one.processor for one in done))


@contextlib.contextmanager
def open_workers(settings: Settings, count: int) -> Iterator[Workers]:
    """Run ``count`` workers."""
    context = multiprocessing.get_context("spawn")
    pipes, processes = [], []
    for _ in range(count):
        ours, theirs = context.Pipe()
        process = context.Process(target=_work, args=(settings, theirs), daemon=True)
        process.start()
        assert ours.recv() == READY
        pipes.append(ours)
        processes.append(process)
    try:
        yield Workers(pipes)
    finally:
        for process in processes:
            process.terminate()
            process.join()


def _work(settings: Settings, pipe: Connection) -> None:
    behave()
    parts = open_parts(settings)
    courier = open_courier(settings, parts.keyring)
    pipe.send(READY)
    sent, began = 0, time.process_time()
    while True:
        ring: Ring = pipe.recv()
        while pipe.poll() and not ring.is_last:  # several rings are as good as one
            ring = pipe.recv()
        now = ring.now
        tally = deliver(
            parts.database,
            settings=settings,
            keyring=parts.keyring,
            composers=parts.composers,
            courier=courier,
            clock=lambda now=now: now,  # type: ignore[misc]
            queue=BULK,
            worker="bench",
        )
        sent += tally.sent
        if ring.is_last:
            pipe.send(Done(sent, time.process_time() - began))
            sent, began = 0, time.process_time()
