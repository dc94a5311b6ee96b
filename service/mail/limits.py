"""How much a destination gets, as plain values: rates, places in line, a pace that gives way and recovers.

A destination is a relay or a receiving provider. Rates are kept by the generic cell rate algorithm (GCRA;
ITU-T I.371, 1993, annex A): of each destination only the instant is kept at which the next message would be
due if all came evenly. A pace falls by half when told to slow down and climbs by even steps (AIMD, as in
RFC 5681). Nothing here touches the world; service/mail/meters.py keeps the numbers.
"""

from dataclasses import dataclass

RELAY = "relay:"  # before the names of relays, which are no receiving domains
BURST_SECONDS = 1.0  # what may go at once after a lull: as much as goes in a second, one message at least
LINE_SECONDS = 900.0  # nobody is told to wait longer: by then the pace may be another
CUT_SPACING = 30.0  # answers to what was under way at the same moment are one reason to slow down, not many
RECOVERY_SECONDS = 1200.0  # in which a pace climbs as much as there was before its first cut
NEARLY = 1e-3  # of a message: seconds since 1970 are not kept more exactly
SLOWEST = 1 / 60  # messages a second


@dataclass(frozen=True, slots=True)
class Want:
    """Messages that would like to go to a destination; a negative count gives back what was not used."""

    scope: str
    rate: float  # messages a second
    count: int


@dataclass(frozen=True, slots=True)
class Grant:
    """How many may go now, and in how many seconds the first of the others should ask again.

    The others follow one another at the distance of their rate.
    """

    count: int
    wait: float


def tolerance(rate: float) -> float:
    """Return by how many seconds messages may come ahead of their even distance."""
    return max(0.0, BURST_SECONDS - 1 / rate)


@dataclass(slots=True)
class Bucket:
    """What is kept of one destination's rate; instants in seconds of one clock."""

    due: float = 0.0  # when the next would go if all went evenly
    line: float = 0.0  # where the line of those who wait ends

    def take(self, now: float, rate: float, count: int) -> Grant:
        """Let as many of ``count`` go as the rate allows, and give the others places in line."""
        interval = 1 / rate
        slack = tolerance(rate)
        due = min(
            max(self.due, now), now + slack + interval
        )  # never further ahead, wherever the clock jumped
        if count < 0:
            self.due = max(now, due + count * interval)
            return Grant(0, 0.0)
        room = (now + slack - due) / interval + 1 + NEARLY
        granted = max(0, min(count, int(room)))
        self.due = due + granted * interval
        left = count - granted
        if left <= 0:
            return Grant(granted, 0.0)
        line = min(max(self.line, self.due - slack, now), now + LINE_SECONDS)
        self.line = line + left * interval
        return Grant(granted, line - now)


@dataclass(frozen=True, slots=True)
class Pace:
    """A rate that was cut and climbs again."""

    rate: float  # messages a second, at ``since``
    peak: float  # what it was before the first cut
    since: float  # seconds

    def now(self, now: float) -> float | None:
        """Return the rate at an instant; None once it has recovered."""
        rate = self.rate + self.peak * max(0.0, now - self.since) / RECOVERY_SECONDS
        return None if rate >= self.peak else rate


def slow_down(pace: Pace | None, now: float, measured: float, ceiling: float | None) -> Pace:
    """Return the pace after a word to slow down.

    ``measured`` is how much went of late, ``ceiling`` what the operator allows; messages a second.
    """
    present = pace.now(now) if pace is not None else None
    if pace is not None and present is not None:
        if 0 <= now - pace.since < CUT_SPACING:
            return pace
        before, peak = present, pace.peak
    else:
        before = peak = max(SLOWEST, measured if ceiling is None else min(measured, ceiling))
    return Pace(max(SLOWEST, min(before, measured) / 2), peak, now)
