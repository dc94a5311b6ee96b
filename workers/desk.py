"""What tasks work with, opened once in each worker process and never before the fork."""

import os
import socket
import threading
from collections.abc import Callable

from service.bootstrap import Parts, open_parts
from service.config import Settings
from service.mail.courier import Courier
from workers.bell import CeleryBell
from workers.stopping import is_stopping


class Desk:
    """Opens parts when a task first asks; a process forked later opens its own."""

    def __init__(self, settings: Settings, broker_url: str) -> None:
        """Remember what to open."""
        self._settings = settings
        self._broker_url = broker_url
        self._lock = threading.Lock()
        self._owner = 0
        self._opened: OpenedDesk | None = None

    def open(self) -> "OpenedDesk":
        """Return this process's own desk."""
        with self._lock:
            if self._opened is None or self._owner != os.getpid():
                bell = CeleryBell(self._broker_url)
                self._opened = OpenedDesk(open_parts(self._settings, bell=bell))
                self._owner = os.getpid()
            return self._opened


class OpenedDesk:
    """One process's parts, and the turns its tasks take."""

    def __init__(self, parts: Parts) -> None:
        """Take the parts."""
        self.parts = parts
        self.worker = f"{socket.gethostname()}:{os.getpid()}"
        self._couriers: dict[str, Courier] = {}
        self._running: set[tuple[int | str, ...]] = set()
        self._asked_again: set[tuple[int | str, ...]] = set()
        self._lock = threading.Lock()

    def courier(self, queue: str) -> Courier:
        """Return the courier of a mail queue: one each, since a courier serves one event loop at a time."""
        with self._lock:
            if queue not in self._couriers:
                self._couriers[queue] = self.parts.open_courier()
            return self._couriers[queue]

    def take_turn(self, task: str, *arguments: int | str, work: Callable[[], bool]) -> None:
        """Do ``work`` unless another thread of this process is at it; ring again if work is left after it.

        ``work`` returns whether it stopped before the end. Who comes while it runs only leaves word: a tick
        must not wait behind its predecessor, and nothing queued in the meantime may wait for the next tick.
        """
        with self._lock:
            if (task, *arguments) in self._running:
                self._asked_again.add((task, *arguments))
                return
            self._running.add((task, *arguments))
        is_left = False
        try:
            is_left = work()
        finally:
            with self._lock:
                self._running.discard((task, *arguments))
                is_left |= (task, *arguments) in self._asked_again
                self._asked_again.discard((task, *arguments))
            if is_left and not is_stopping():
                self.parts.bell.ring(task, *arguments)
