"""Outages made to measure: a disk that is full when told to, and a database server cut off at a commit."""

import contextlib
import resource
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import event
from sqlalchemy.engine import Connection, make_url

from service.database import Database

# -- a full disk -----------------------------------------------------------------------------------------


class Disk:
    """A folder on a disk that can be filled and freed."""

    def __init__(self, folder: Path, fill: Callable[[], None], free: Callable[[], None]) -> None:
        self.folder, self.fill, self.free = folder, fill, free

    def pauses(self) -> Iterator[float]:
        """Give pauses of no length, in the third of which it is freed."""
        yield from (0.0, 0.0)
        self.free()
        yield 0.0

    def fill_at_commit(self, database: Database, number: int) -> None:
        """Fill it just before the commit of that number from now (from 1) that has something to write."""
        left = [number]

        def count(connection: Connection) -> None:
            if connection.connection.dbapi_connection.total_changes == connection.info.get("changes", 0):
                return
            connection.info["changes"] = connection.connection.dbapi_connection.total_changes
            left[0] -= 1
            if left[0] == 0:
                self.fill()

        event.listen(database.engine, "commit", count)


@contextmanager
def small_disk(folder: Path, megabytes: int = 8) -> Iterator[Disk]:
    """Mount a small disk of its own; skip the test where that is not allowed."""
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", folder],
        capture_output=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip("mounting a small disk is not allowed here")
    filler = folder / "filler"

    def fill() -> None:
        with filler.open("ab", buffering=0) as file:
            for size in (1 << 16, 1 << 12, 1):
                with contextlib.suppress(OSError):
                    while True:
                        file.write(b"x" * size)

    try:
        yield Disk(folder, fill, lambda: filler.unlink(missing_ok=True))
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


@contextmanager
def limited_files(folder: Path) -> Iterator[Disk]:
    """Make files that can't be written while it is "full": a limit of this process, which works anywhere."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    free = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))  # noqa: E731
    try:
        yield Disk(folder, lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard)), free)
    finally:
        free()


# -- a connection that is cut ----------------------------------------------------------------------------

BEFORE = "before"  # the server never hears of the commit
AFTER = "after"  # the server commits; nobody hears of it
COMMITTING = (b"COMMIT", b"WITH recorded")  # the second is a transaction by itself (claiming.turn)


class Line:
    """A line to a Postgres that breaks at a commit: nobody knows whether it was done."""

    def __init__(self, url: str) -> None:
        self._server = make_url(url)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = str(
            self._server.set(port=self._listener.getsockname()[1], host="127.0.0.1").render_as_string(False)
        )
        self._left = 0
        self._when = BEFORE
        self._open: list[socket.socket] = []
        self.cuts = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def cut_at_commit(self, number: int, when: str) -> None:
        """Cut every connection at the commit of that number from now on, from 1."""
        self._left, self._when = number, when

    def close(self) -> None:
        """Close everything."""
        self._listener.close()
        self._cut()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection((self._server.host, self._server.port))
                self._open += [client, server]
                ends = threading.Event()
                threading.Thread(target=self._ask, args=(client, server, ends), daemon=True).start()
                threading.Thread(target=self._answer, args=(server, client, ends), daemon=True).start()

    def _ask(self, client: socket.socket, server: socket.socket, is_last: threading.Event) -> None:
        with contextlib.suppress(OSError):
            while data := client.recv(1 << 16):
                if any(one in data for one in COMMITTING) and self._left:
                    self._left -= 1
                    if not self._left:
                        self.cuts += 1
                        if self._when == BEFORE:
                            self._cut()
                            return
                        is_last.set()
                server.sendall(data)
        if not is_last.is_set():
            _end(client, server)

    def _answer(self, server: socket.socket, client: socket.socket, is_last: threading.Event) -> None:
        with contextlib.suppress(OSError):
            while data := server.recv(1 << 16):
                if is_last.is_set():
                    break
                client.sendall(data)
        self._cut() if is_last.is_set() else _end(client, server)

    def _cut(self) -> None:
        # Not those that come meanwhile: who sees the first one end opens another at once.
        open_until_now, self._open = self._open, []
        _end(*open_until_now)


def _end(*sockets: socket.socket) -> None:
    for one in sockets:
        with contextlib.suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)
        one.close()


@contextmanager
def breaking_line(url: str) -> Iterator[Line]:
    """Run a line to the Postgres at ``url``."""
    line = Line(url)
    try:
        yield line
    finally:
        line.close()
