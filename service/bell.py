"""The doorbell: tells a worker there is work. It carries names and ids only; SQL remains the truth."""

from dataclasses import dataclass, field
from typing import Protocol


class Bell(Protocol):
    """Asks, after commit, for a task by its name. Losing a ring loses nothing: a sweep finds the rows."""

    def ring(self, task: str, *arguments: int | str) -> None:
        """Ask for ``task``; never raises and never waits long, the broker may be away."""


class SilentBell:
    """Rings nowhere: for commands that do all the work themselves."""

    def ring(self, task: str, *arguments: int | str) -> None:
        """Do nothing."""


@dataclass(slots=True)
class RecordingBell:
    """Remembers what was rung, in order: for tests."""

    rings: list[tuple[str, *tuple[int | str, ...]]] = field(default_factory=list)

    def ring(self, task: str, *arguments: int | str) -> None:
        """Remember the ring."""
        self.rings.append((task, *arguments))
