"""Says when a message may go: the limits of relays and of receiving providers, and what they answer to them.

Asked once for each half window, not for each message; where nothing is limited and nothing was slowed down it
costs a look at Redis a second.
"""

import math
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Protocol

import structlog

from service.config import Settings
from service.endpoints import Limit, SmtpEndpoint, destination
from service.mail.delivery import SERVICE_CLOSING, Outcome, Stage, Verdict
from service.mail.limits import LINE_SECONDS, RELAY, Want
from service.mail.meters import LocalMeter, Meter, RedisMeter, SafeMeter
from service.mail.mx import open_names
from service.mail.pool import Berths, OpenSea

logger = structlog.get_logger()

LOOK_SECONDS = 1.0  # between two looks at what others were told
COUNT_SECONDS = 10.0  # over which it is measured how much goes to a destination
MEASURED_AT_MOST = 20_000  # destinations: there are as many domains as owners
PLACE_SECONDS = 5.0  # until somebody asks again who found no place among those on their way
EVERY_OTHER = "*"

Shares = Sequence[tuple[str, int]]
"""Names and weights of the relays that can be used at present."""


class Throttle(Protocol):
    """What relays ask before and tell after."""

    def admit(self, recipients: Sequence[str], relays: Shares) -> Sequence[float | None]:
        """Say for each recipient whether a message may go now (None), or in how many seconds to ask again."""

    def has_room(self, relay: str, *, may_ask: bool) -> bool:
        """Say whether a relay may be given a message; for one nobody reckoned with, ask for room."""

    def use(self, relay: str) -> None:
        """Count a message that a relay is given."""

    def learn(self, relay: str, recipient: str, outcome: Outcome) -> None:
        """Take in how a message ended."""

    def berths(self, endpoint: SmtpEndpoint) -> Berths:
        """Return who counts the connections to a relay."""

    def close(self) -> None:
        """Give back what is held."""


class OpenGate:
    """Lets everything go, and learns nothing."""

    def admit(self, recipients: Sequence[str], relays: Shares) -> Sequence[float | None]:  # noqa: ARG002
        """Let all go."""
        return [None] * len(recipients)

    def has_room(self, relay: str, *, may_ask: bool) -> bool:  # noqa: ARG002
        """Say yes."""
        return True

    def use(self, relay: str) -> None:
        """Do nothing."""

    def learn(self, relay: str, recipient: str, outcome: Outcome) -> None:
        """Do nothing."""

    def berths(self, endpoint: SmtpEndpoint) -> Berths:  # noqa: ARG002
        """Return berths without end."""
        return OpenSea()

    def close(self) -> None:
        """Do nothing."""


@dataclass(slots=True)
class _Measured:
    """How many messages went to a destination of late, as far as this process knows."""

    since: float
    count: int = 0
    rate: float = 0.0  # of the span before

    def add(self, now: float) -> None:
        if now - self.since >= COUNT_SECONDS:
            self.rate, self.count, self.since = self.count / (now - self.since), 0, now
        self.count += 1

    def now(self, now: float) -> float:
        """Return messages a second."""
        return max(self.rate, self.count / max(1.0, now - self.since))


@dataclass(slots=True)
class SharedBerths:
    """The connections to one relay, of all workers together."""

    meter: Meter
    scope: str
    limit: int

    def take(self) -> bool:
        """Take one."""
        return self.meter.occupy(self.scope, self.limit, 1) == 1

    def free(self) -> None:
        """Give one back."""
        self.meter.vacate(self.scope, 1)


@dataclass(slots=True, kw_only=True)
class Gate:
    """A throttle with limits.

    ``limits`` are those of receiving domains by destination, ``rates`` those of relays by name (messages a
    second); ``name`` says by what name a recipient's servers are counted.
    """

    meter: Meter
    limits: Mapping[str, Limit] = field(default_factory=dict)
    rates: Mapping[str, float] = field(default_factory=dict)
    name: Callable[[str], str] = destination
    monotonic: Callable[[], float] = time.monotonic
    _paces: Mapping[str, float] = field(default_factory=dict)
    _looked_at: float = -math.inf
    _measured: dict[str, _Measured] = field(default_factory=dict)
    _in_hand: Counter[str] = field(default_factory=Counter)  # messages a relay may still be given
    _under_way: Counter[str] = field(default_factory=Counter)  # by destinations of which only so many may be
    _arrived: Counter[str] = field(default_factory=Counter)  # of these, ended and not yet given back

    # -- before --------------------------------------------------------------------------------------

    def admit(self, recipients: Sequence[str], relays: Shares) -> Sequence[float | None]:
        """Say for each recipient whether a message may go now (None), or in how many seconds to ask again."""
        self._look()
        waits: list[float | None] = [None] * len(recipients)
        if self.limits or self._paces:
            self._ask_destinations(recipients, waits)
        if self.rates or self._paces:
            self._ask_relays(recipients, relays, waits)
        return waits

    def has_room(self, relay: str, *, may_ask: bool) -> bool:
        """Say whether a relay may be given a message: it has no rate, or was allowed one that is left."""
        rate = self._rate_of_relay(relay)
        if rate is not None and may_ask and self._in_hand[relay] <= 0:
            self._in_hand[relay] += self.meter.take([Want(RELAY + relay, rate, 1)])[0].count
        return rate is None or self._in_hand[relay] > 0

    def use(self, relay: str) -> None:
        """Count a message that a relay is given."""
        if self._in_hand[relay] > 0:
            self._in_hand[relay] -= 1

    def berths(self, endpoint: SmtpEndpoint) -> Berths:
        """Return who counts the connections to a relay."""
        if endpoint.at_once is None:
            return OpenSea()
        return SharedBerths(self.meter, RELAY + endpoint.name, endpoint.at_once)

    def close(self) -> None:
        """Give back what is held."""
        back = [
            Want(RELAY + name, rate, -count)
            for name, count in self._in_hand.items()
            if count and (rate := self._rate_of_relay(name)) is not None
        ]
        if back:
            self.meter.take(back)
        self._in_hand.clear()
        for scope, count in self._under_way.items():
            if count:
                self.meter.vacate(scope, count)
        self._under_way.clear()
        self._arrived.clear()

    def _look(self) -> None:
        now = self.monotonic()
        if now - self._looked_at >= LOOK_SECONDS:
            self._paces, self._looked_at = self.meter.paces(), now
            for scope, count in self._arrived.items():
                self.meter.vacate(scope, count)
                self._under_way[scope] -= count
            self._arrived.clear()

    def _limit_of(self, scope: str) -> Limit:
        limit = self.limits.get(scope) or self.limits.get(EVERY_OTHER) or Limit()
        pace = self._paces.get(scope)
        if pace is None:
            return limit
        return Limit(pace if limit.rate is None else min(pace, limit.rate), limit.at_once)

    def _rate_of_relay(self, relay: str) -> float | None:
        given = [rate for rate in (self.rates.get(relay), self._paces.get(RELAY + relay)) if rate is not None]
        return min(given, default=None)

    def _ask_destinations(self, recipients: Sequence[str], waits: list[float | None]) -> None:
        by_scope: dict[str, list[int]] = {}
        for place, recipient in enumerate(recipients):
            by_scope.setdefault(self.name(recipient), []).append(place)
        asked: list[tuple[Want, list[int], Limit]] = []
        for scope, places in by_scope.items():
            limit = self._limit_of(scope)
            if limit.at_once is not None:
                places = self._find_places(scope, limit.at_once, places, waits)  # noqa: PLW2901
            if limit.rate is not None and places:
                asked.append((Want(scope, limit.rate, len(places)), places, limit))
        if not asked:
            return
        for (want, places, limit), grant in zip(
            asked, self.meter.take([one for one, *_ in asked]), strict=True
        ):
            late = places[grant.count :]
            for number, place in enumerate(late):
                waits[place] = min(LINE_SECONDS, grant.wait + number / want.rate)
            if limit.at_once is not None and late:
                self._leave_places(want.scope, len(late))

    def _find_places(self, scope: str, limit: int, places: list[int], waits: list[float | None]) -> list[int]:
        """Take places among those on their way for as many as there are; the others wait."""
        self._leave_places(scope, self._arrived.pop(scope, 0))
        granted = self.meter.occupy(scope, limit, len(places))
        self._under_way[scope] += granted
        pace = self._measured[scope].now(self.monotonic()) if scope in self._measured else 1.0
        for number, place in enumerate(places[granted:]):
            waits[place] = min(LINE_SECONDS, PLACE_SECONDS + number / max(1.0, pace))
        return places[:granted]

    def _leave_places(self, scope: str, count: int) -> None:
        if count:
            self.meter.vacate(scope, count)
            self._under_way[scope] -= count

    def _ask_relays(self, recipients: Sequence[str], relays: Shares, waits: list[float | None]) -> None:
        rates = {name: rate for name, _ in relays if (rate := self._rate_of_relay(name)) is not None}
        going = [place for place, wait in enumerate(waits) if wait is None]
        if not rates or not going:
            return
        whole = sum(weight for _, weight in relays)
        shares = {name: math.ceil(len(going) * weight / whole) for name, weight in relays}
        wait = self._fill_hands({name: shares[name] for name in rates}, rates)
        if len(rates) < len(relays):
            return  # what these may not be given goes to those without a rate
        missing = len(going) - sum(self._in_hand[name] for name in rates)
        if missing > 0 and len(rates) > 1:
            wait = self._fill_hands({name: self._in_hand[name] + missing for name in rates}, rates)
            missing = len(going) - sum(self._in_hand[name] for name in rates)
        together = sum(rates.values())
        for number, place in enumerate(going[len(going) - max(0, missing) :]):
            waits[place] = min(LINE_SECONDS, wait + number / together)
            self._take_back(recipients[place])

    def _fill_hands(self, wanted: Mapping[str, int], rates: Mapping[str, float]) -> float:
        """Ask for what relays lack of ``wanted``; return the shortest wait of those that got less."""
        wants = [
            Want(RELAY + name, rates[name], count - self._in_hand[name])
            for name, count in wanted.items()
            if count > self._in_hand[name]
        ]
        if not wants:
            return 0.0
        grants = self.meter.take(wants)
        for want, grant in zip(wants, grants, strict=True):
            self._in_hand[want.scope.removeprefix(RELAY)] += grant.count
        return min(
            (grant.wait for want, grant in zip(wants, grants, strict=True) if grant.count < want.count),
            default=0.0,
        )

    def _take_back(self, recipient: str) -> None:
        """Give back what was taken for a message that goes to no relay now."""
        scope = self.name(recipient) if self.limits or self._paces else ""
        limit = self._limit_of(scope)
        if limit.rate is not None:
            self.meter.take([Want(scope, limit.rate, -1)])
        if limit.at_once is not None:
            self._leave_places(scope, 1)

    # -- after ---------------------------------------------------------------------------------------

    def learn(self, relay: str, recipient: str, outcome: Outcome) -> None:
        """Count what went, and slow down where the answer asks for it."""
        scope, now = self.name(recipient), self.monotonic()
        if self._under_way and self._under_way[scope] > self._arrived[scope]:
            self._arrived[scope] += 1
        if outcome.verdict is Verdict.UNREACHABLE or outcome.verdict is Verdict.HELD:
            return
        for name in (scope, RELAY + relay):
            measured = self._measured.get(name)
            if measured is None:
                if len(self._measured) >= MEASURED_AT_MOST:
                    self._measured.clear()
                measured = self._measured[name] = _Measured(now)
            measured.add(now)
        if outcome.verdict is Verdict.SENT:
            return
        if outcome.is_throttling:
            limit = self.limits.get(scope) or self.limits.get(EVERY_OTHER) or Limit()
            self._slow(scope, limit.rate, outcome)
        elif outcome.stage is Stage.MAIL and _asks_for_less(outcome):
            self._slow(RELAY + relay, self.rates.get(relay), outcome)

    def _slow(self, scope: str, ceiling: float | None, outcome: Outcome) -> None:
        measured = self._measured[scope].now(self.monotonic()) * self.meter.senders
        self.meter.slow(scope, measured, ceiling)
        self._looked_at = -math.inf  # look before the next
        # Not which destination: a small domain may name its owner.
        logger.warning("slowed_down", code=outcome.code, enhanced=outcome.enhanced)


def _asks_for_less(outcome: Outcome) -> bool:
    is_later = outcome.verdict is Verdict.DEFERRED
    return is_later and (outcome.code == SERVICE_CLOSING or (outcome.enhanced or "").startswith("4.7."))


@cache
def _meter_of(_folder: str) -> LocalMeter:
    """Return the one meter of this process for a data folder: its queues share the limits."""
    return LocalMeter()


def open_throttle(settings: Settings, endpoints: Sequence[SmtpEndpoint]) -> Gate:
    """Make the throttle of these settings; nothing is sent yet."""
    meter: Meter
    if settings.redis_url:
        meter = SafeMeter(RedisMeter(settings.redis_url))
    else:
        meter = _meter_of(str(settings.data_dir.absolute()))
    limits = {
        domain if domain == EVERY_OTHER else destination(domain): limit
        for domain, limit in settings.limits_of_domains.items()
    }
    rates = {endpoint.name: endpoint.rate for endpoint in endpoints if endpoint.rate is not None}
    return Gate(meter=meter, limits=limits, rates=rates, name=open_names(settings))
