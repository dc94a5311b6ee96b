"""Trouble that lasts, told of in lines one can count: at its beginning, at most once a minute, at its end."""

import time
from collections.abc import Callable
from typing import NamedTuple

EVERY_SECONDS = 60.0  # at most, between two lines on the same trouble


class Spell(NamedTuple):
    """What is told of a trouble: how long it has lasted, and how often something failed; at first once."""

    seconds: int
    failures: int


class Trouble:
    """Counts failures, and knows when to speak of them. It is over after ``peace`` seconds without one."""

    def __init__(self, *, peace: float, monotonic: Callable[[], float] = time.monotonic) -> None:
        """Begin without any."""
        self._peace, self._monotonic = peace, monotonic
        self._began_at = self._last_at = self._told_at = 0.0
        self._failures = 0

    def failed(self) -> Spell | None:
        """Count a failure; return what to tell of it, None where something was told lately."""
        now = self._last_at = self._monotonic()
        self._failures += 1
        if self._failures == 1:
            self._began_at = self._told_at = now
        elif now - self._told_at >= EVERY_SECONDS:
            self._told_at = now
        else:
            return None
        return self._spell

    def ended(self) -> Spell | None:
        """Return what to tell if the trouble is over, once."""
        if not self._failures or self._monotonic() - self._last_at < self._peace:
            return None
        spell, self._failures = self._spell, 0
        return spell

    @property
    def _spell(self) -> Spell:
        return Spell(round(self._last_at - self._began_at), self._failures)
