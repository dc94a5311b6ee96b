"""Measuring by turns: all ways one after the other, several times, so that a noisy minute hits them all."""

import resource
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

ROUNDS = 3


class Times(NamedTuple):
    """Seconds a message."""

    wall: float
    processor: float  # of the process that sends, user and system


Way = Callable[[], Times | None]  # None: can't be measured here


def by_turns(ways: Mapping[str, Way], *, rounds: int = ROUNDS) -> dict[str, Times]:
    """Measure all ways in turn after one turn that is not counted; return medians of those that can be."""
    able = {name: way for name, way in ways.items() if way() is not None}  # what is made once is made
    seen: dict[str, list[Times]] = {name: [] for name in able}
    for _ in range(rounds):
        for name, way in able.items():
            times = way()
            assert times is not None
            seen[name].append(times)
    return {name: _median(times) for name, times in seen.items()}


def _median(times: Sequence[Times]) -> Times:
    return Times(*(statistics.median(column) for column in zip(*times, strict=True)))


def show(medians: Mapping[str, Times], *, baseline: str) -> None:
    """Print rates, CPU and ratios to the baseline."""
    base = medians[baseline].wall
    for name, (wall, processor) in medians.items():
        print(f"  {name:<44}{1 / wall:>9,.0f}/s{1e6 * processor:>9,.0f} us{base / wall:>9,.2f} x")


def timed(work: Callable[[], object], count: int) -> Times:
    """Return what ``work`` on ``count`` messages takes of clock and processor, a message."""
    wall, processor = time.perf_counter(), time.process_time()
    work()
    return Times(
        (time.perf_counter() - wall) / count,
        (time.process_time() - processor) / count,
    )


def of_children(work: Callable[[], object], count: int) -> Times:
    """Return what processes that ``work`` begins and waits for take."""
    wall, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    work()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Times((time.perf_counter() - wall) / count, processor / count)
