"""A child process that is started again when it dies, and told to stop by a signal."""

import os
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence

import structlog

FIRST_PAUSE_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 30.0
HEALTHY_SECONDS = 60.0  # who lived so long starts anew with the first pause

log = structlog.get_logger()


class Child:
    """One child process. It holds the reading end of a pipe of ours: at its end of file we are gone."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        environment: Mapping[str, str],
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Describe the process; it is not started yet."""
        self.name = name
        self._command = command
        self._environment = {**os.environ, **environment}
        self._monotonic = monotonic
        self._process: subprocess.Popen[bytes] | None = None
        self._started_at = 0.0
        self._start_again_at: float | None = None
        self._pause = FIRST_PAUSE_SECONDS

    @property
    def pid(self) -> int | None:
        """Process id, None before the start."""
        return self._process.pid if self._process else None

    def start(self) -> None:
        """Start the process."""
        self._started_at = self._monotonic()
        self._start_again_at = None
        self._process = subprocess.Popen(  # noqa: S603 - our own command
            self._command,
            env=self._environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,  # what it has to say goes to the log, on standard error
            start_new_session=True,  # Ctrl-C in the terminal is for the parent, which stops us in order
        )

    def look_after(self) -> None:
        """Start the process again if it has died, after a pause that grows with each death. Call it often."""
        now = self._monotonic()
        if self._start_again_at is not None:
            if now >= self._start_again_at:
                self.start()
        elif self._process is not None and (code := self._process.poll()) is not None:
            if now - self._started_at >= HEALTHY_SECONDS:
                self._pause = FIRST_PAUSE_SECONDS
            self._let_go(self._process)
            log.error("child_died", child=self.name, exit_code=code, again_in_seconds=self._pause)
            self._start_again_at = now + self._pause
            self._pause = min(self._pause * 2, LONGEST_PAUSE_SECONDS)

    def ask_to_stop(self) -> None:
        """Tell it to stop, and do not start it again."""
        if self.is_running() and self._process is not None:
            self._process.terminate()

    def is_running(self) -> bool:
        """Return whether the process lives."""
        return self._process is not None and self._process.poll() is None

    def end(self) -> None:
        """Make sure that it is gone, at once if it still runs; what it held comes back by its lease."""
        if self._process is None:
            return
        if self.is_running():
            log.warning("child_killed", child=self.name)
            self._process.kill()
            self._process.wait()
        self._let_go(self._process)

    @staticmethod
    def _let_go(process: subprocess.Popen[bytes]) -> None:
        if process.stdin is not None:
            process.stdin.close()
