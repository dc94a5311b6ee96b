"""Counts over time as columns: what each signal of each paper was, and what it gained in a day."""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

DAY = 24.0  # hours; all times here are hours since the epoch
FIRST_DAY = 30.0  # a first look this late still counts from zero at listing
SHORTEST_SPAN = 12.0  # two looks closer than this say nothing of a day's gain
_PAPER_STRIDE = 1e8  # hours; keeps the papers apart in one sorted key


@dataclass(frozen=True, slots=True)
class Series:
    """One signal's known values, sorted by paper and instant. Rows where it is unknown are left out."""

    paper: Ints
    at: Floats
    value: Floats
    gain: Floats  # in the day before ``at``; NaN where the rows don't tell
    base_at: Floats  # instant of the row that ``base`` is read from, NaN: none, the paper began at zero
    base: Floats

    @classmethod
    def build(cls, paper: Ints, at: Floats, value: Floats, born: Floats | None) -> "Series":
        """Sort rows and work out gains.

        ``born`` gives for each paper the instant at which the count stood at zero, NaN if unknown; None if
        that holds of no paper (a repository has stars before its paper is listed).
        """
        known = ~np.isnan(value)
        paper, at, value = paper[known], at[known], value[known]
        order = np.lexsort((value, at, paper))
        paper, at, value = paper[order], at[order], value[order]
        start = born[paper] if born is not None else np.full(len(paper), np.nan)
        return cls(paper, at, value, *_day_gains(paper, at, value, start))

    def latest(self) -> Ints:
        """Give the index of each paper's last row."""
        return (
            np.flatnonzero(np.append(self.paper[1:] != self.paper[:-1], True)) if len(self.paper) else _NONE
        )


_NONE: Ints = np.empty(0, np.int64)


def _day_gains(paper: Ints, at: Floats, value: Floats, start: Floats) -> tuple[Floats, Floats, Floats]:
    """Gain of each row over the 24 h before it, by straight lines between looks, and the row it began at.

    Recorders look at different hours, so the count a day ago is read off the line between the looks around
    that moment; where the first look is younger than a day, its gain is stretched to a day.
    """
    if not len(paper):
        return np.empty(0), np.empty(0), np.empty(0)
    rows = np.arange(len(paper))
    key = paper * _PAPER_STRIDE + at
    before = np.searchsorted(key, key - DAY, "right") - 1
    has_before = (before >= 0) & (paper[before] == paper)
    first = np.searchsorted(paper, paper, "left")
    low = np.where(has_before, before, first)
    high = np.minimum(np.where(has_before, before + 1, first), rows)

    # The line runs from (low_at, low_value) to the row ``high``; a first look's line begins at zero at start.
    low_at = np.where(has_before, at[low], start)
    low_value = np.where(has_before, value[low], 0.0)
    span = np.maximum(at[high] - low_at, 1e-9)
    share = np.clip((at - DAY - low_at) / span, 0.0, 1.0)
    gain = value - (low_value + share * (value[high] - low_value))

    young = at - start <= FIRST_DAY  # False where start is unknown
    since_first = at - at[first]
    stretched = (value - value[first]) * DAY / np.maximum(since_first, SHORTEST_SPAN)
    fits = since_first >= SHORTEST_SPAN
    gain = np.where(has_before | young, gain, np.where(fits, stretched, np.nan))
    base_row = np.where(has_before, before, first)
    observed = (has_before | (fits & ~young)) & (base_row < rows)
    return (
        np.maximum(gain, 0.0),
        np.where(observed, at[base_row], np.nan),
        np.where(observed, value[base_row], np.nan),
    )


def column(values: Iterable[int | None]) -> Floats:
    """Make a column of counts; NaN where one is unknown."""
    return np.array([np.nan if value is None else value for value in values], np.float64)
