"""Relays on loopback that take everything and keep nothing."""

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from service.config import SmtpEndpoint

SBIN = "/usr/sbin"
ROOT = Path(__file__).parents[2]


def find_tool(name: str) -> str | None:
    """Return where one of Postfix's tools is, None where it is not installed.

    Looked for in POSTFIX_TOOLS (a folder), on PATH and in /usr/sbin.
    """
    given = os.environ.get("POSTFIX_TOOLS")
    return shutil.which(name, path=given) if given else shutil.which(name) or shutil.which(name, path=SBIN)


@contextlib.contextmanager
def relay(*, delay: float = 0) -> Iterator[tuple[str, int]]:
    """Run a relay that takes everything; gives its name and port.

    Postfix's smtp-sink where it is installed, else that of the tests. With ``delay`` that of the tests in any
    case: it waits so many seconds before each answer.
    """
    sink = None if delay else find_tool("smtp-sink")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with tempfile.NamedTemporaryFile() as log:
        ours = [sys.executable, "-m", "benchmarks.stage.slow_relay", str(port), str(delay)]
        plain = [sys.executable, "-m", "tests.sink", "--log", log.name, "--port", str(port)]
        posts = [sink or "", "-u", "nobody", f"127.0.0.1:{port}", "512"]
        process = subprocess.Popen(
            posts if sink else ours if delay else plain,
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            _wait_for(port)
            yield "smtp-sink" if sink else "the slow relay" if delay else "the tests' sink", port
        finally:
            process.kill()
            process.wait()


def endpoint(port: int) -> SmtpEndpoint:
    """Return the place of a relay on loopback."""
    return SmtpEndpoint(f"smtp://127.0.0.1:{port}?starttls=never")


def _wait_for(port: int) -> None:
    for _ in range(200):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.02)
    raise TimeoutError("the relay did not start")
