"""Who keeps the numbers of the limits: Redis for all workers together, or this process for itself.

Redis may go away at any time. Each process then goes on by itself with its share of every limit: one share
for each process that was sending when Redis was last heard of. Limits only say when: no mail hangs on them.
"""

import secrets
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar, cast

import structlog
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from service.mail.limits import (
    BURST_SECONDS,
    CUT_SPACING,
    LINE_SECONDS,
    NEARLY,
    RECOVERY_SECONDS,
    SLOWEST,
    Bucket,
    Grant,
    Pace,
    Want,
    slow_down,
)
from service.spells import Trouble

logger = structlog.get_logger()

Told = TypeVar("Told")

PREFIX = "paperlark:limits:"
LEASE_SECONDS = 900.0  # what a killed worker held counts for so long
SENDER_SECONDS = 90.0  # who was not heard of for so long sends nothing
ANSWER_SECONDS = 0.5  # how long Redis may take
QUIET_SECONDS = 10.0  # after a failure Redis is left alone for so long
PEACE_SECONDS = 60.0  # without a failure, until it is said to be back
UNKNOWN_SENDERS = 4  # assumed where Redis is set and was never reached


class Meter(Protocol):
    """Keeps buckets, paces, and how much is on its way."""

    def take(self, wants: Sequence[Want]) -> list[Grant]:
        """Ask for all wants at once."""

    def slow(self, scope: str, measured: float, ceiling: float | None) -> None:
        """Slow a destination down; rates in messages a second."""

    def paces(self) -> Mapping[str, float]:
        """Return the present rate of each destination that was slowed down."""

    def occupy(self, scope: str, limit: int, count: int) -> int:
        """Take up to ``count`` of ``limit`` places; return how many."""

    def vacate(self, scope: str, count: int) -> None:
        """Give places back."""

    @property
    def senders(self) -> int:
        """How many processes send at present."""


@dataclass(slots=True)
class LocalMeter:
    """The numbers of one process, which takes its share of each limit; may be used by several threads."""

    senders: int = 1
    monotonic: Callable[[], float] = time.monotonic
    _buckets: dict[str, Bucket] = field(default_factory=dict)
    _paces: dict[str, Pace] = field(default_factory=dict)
    _occupied: dict[str, int] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, wants: Sequence[Want]) -> list[Grant]:
        """Ask for all wants at once."""
        now = self.monotonic()
        with self._lock:
            return [
                self._buckets.setdefault(want.scope, Bucket()).take(now, want.rate / self.senders, want.count)
                for want in wants
            ]

    def slow(self, scope: str, measured: float, ceiling: float | None) -> None:
        """Slow a destination down."""
        with self._lock:
            self._paces[scope] = slow_down(self._paces.get(scope), self.monotonic(), measured, ceiling)

    def paces(self) -> Mapping[str, float]:
        """Return the present rate of each destination that was slowed down."""
        now = self.monotonic()
        with self._lock:
            rates = {scope: pace.now(now) for scope, pace in self._paces.items()}
            self._paces = {scope: self._paces[scope] for scope, rate in rates.items() if rate is not None}
        return {scope: rate for scope, rate in rates.items() if rate is not None}

    def occupy(self, scope: str, limit: int, count: int) -> int:
        """Take up to ``count`` of this process's share of ``limit`` places, one at least."""
        with self._lock:
            taken = self._occupied.get(scope, 0)
            granted = max(0, min(count, max(1, limit // self.senders) - taken))
            self._occupied[scope] = taken + granted
        return granted

    def vacate(self, scope: str, count: int) -> None:
        """Give places back."""
        with self._lock:
            self._occupied[scope] = max(0, self._occupied.get(scope, 0) - count)


_NOW = "local t = redis.call('TIME'); local now = tonumber(t[1]) + tonumber(t[2]) / 1000000\n"

# The arithmetic of Bucket.take: tests hold both together. KEYS: buckets; ARGV: rate and count of each.
_TAKE = (
    _NOW
    + f"""
local out = {{}}
for i, key in ipairs(KEYS) do
  local rate, count = tonumber(ARGV[2 * i - 1]), tonumber(ARGV[2 * i])
  local interval = 1 / rate
  local slack = math.max(0, {BURST_SECONDS} - interval)
  local kept = redis.call('HMGET', key, 'due', 'line')
  local due = math.min(math.max(tonumber(kept[1] or 0), now), now + slack + interval)
  local granted, wait = 0, 0
  local line = tonumber(kept[2] or 0)
  if count < 0 then
    due = math.max(now, due + count * interval)
  else
    granted = math.max(0, math.min(count, math.floor((now + slack - due) / interval + 1 + {NEARLY})))
    due = due + granted * interval
    local left = count - granted
    if left > 0 then
      line = math.min(math.max(line, due - slack, now), now + {LINE_SECONDS})
      wait = line - now
      line = line + left * interval
    end
  end
  redis.call('HSET', key, 'due', string.format('%.6f', due), 'line', string.format('%.6f', line))
  redis.call('EXPIRE', key, math.ceil(math.max(due, line) - now) + 60)
  out[#out + 1] = granted
  out[#out + 1] = string.format('%.6f', wait)
end
return out
"""
)
# The arithmetic of limits.slow_down. KEYS: the paces; ARGV: destination, measured, ceiling or "".
_SLOW = (
    _NOW
    + f"""
local kept = redis.call('HGET', KEYS[1], ARGV[1])
local measured, ceiling = tonumber(ARGV[2]), tonumber(ARGV[3])
local before, peak
if kept then
  local rate, top, since = kept:match('(%S+) (%S+) (%S+)')
  rate, top, since = tonumber(rate), tonumber(top), tonumber(since)
  local present = rate + top * math.max(0, now - since) / {RECOVERY_SECONDS}
  if present < top then
    if now >= since and now - since < {CUT_SPACING} then return 0 end
    before, peak = present, top
  end
end
if not before then
  before = math.max({SLOWEST}, ceiling and math.min(measured, ceiling) or measured)
  peak = before
end
local rate = math.max({SLOWEST}, math.min(before, measured) / 2)
redis.call('HSET', KEYS[1], ARGV[1], string.format('%.9f %.9f %.6f', rate, peak, now))
redis.call('EXPIRE', KEYS[1], {int(RECOVERY_SECONDS) + 60})
return 1
"""
)
# KEYS: paces, senders; ARGV: this sender, or "" for somebody who only looks.
_PACES = (
    _NOW
    + f"""
local out = {{}}
if ARGV[1] ~= '' then
  redis.call('ZADD', KEYS[2], now, ARGV[1])
  redis.call('EXPIRE', KEYS[2], {int(SENDER_SECONDS)})
end
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now - {SENDER_SECONDS})
out[1] = redis.call('ZCARD', KEYS[2])
local kept = redis.call('HGETALL', KEYS[1])
for i = 1, #kept, 2 do
  local rate, top, since = kept[i + 1]:match('(%S+) (%S+) (%S+)')
  local present = rate + top * math.max(0, now - since) / {RECOVERY_SECONDS}
  if present >= tonumber(top) then
    redis.call('HDEL', KEYS[1], kept[i])
  else
    out[#out + 1] = kept[i]
    out[#out + 1] = string.format('%.9f', present)
  end
end
return out
"""
)
# KEYS: the holders' counts, the ends of their leases; ARGV: holder, limit, count (negative: gives back).
_OCCUPY = (
    _NOW
    + f"""
for _, dead in ipairs(redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now)) do
  redis.call('HDEL', KEYS[1], dead)
  redis.call('ZREM', KEYS[2], dead)
end
local taken = 0
for _, count in ipairs(redis.call('HVALS', KEYS[1])) do taken = taken + tonumber(count) end
local own = tonumber(redis.call('HGET', KEYS[1], ARGV[1]) or 0)
local granted = tonumber(ARGV[3])
if granted > 0 then
  granted = math.max(0, math.min(granted, tonumber(ARGV[2]) - taken))
else
  granted = math.max(granted, -own)
end
if own + granted > 0 then
  redis.call('HSET', KEYS[1], ARGV[1], own + granted)
  redis.call('ZADD', KEYS[2], now + {LEASE_SECONDS}, ARGV[1])
  redis.call('EXPIRE', KEYS[1], {int(LEASE_SECONDS)})
  redis.call('EXPIRE', KEYS[2], {int(LEASE_SECONDS)})
else
  redis.call('HDEL', KEYS[1], ARGV[1])
  redis.call('ZREM', KEYS[2], ARGV[1])
end
return granted
"""
)


class RedisMeter:
    """The numbers of all workers, in Redis, by its clock. Raises RedisError or OSError when Redis is away."""

    def __init__(self, url: str) -> None:
        """Take the URL; nothing is sent yet."""
        self._client = Redis.from_url(
            url,
            socket_connect_timeout=ANSWER_SECONDS,
            socket_timeout=ANSWER_SECONDS,
            retry=Retry(NoBackoff(), 0),
            decode_responses=True,
        )
        self._holder = secrets.token_hex(8)
        self.senders = 1
        self._take, self._slow, self._paces, self._occupy = (
            self._client.register_script(script) for script in (_TAKE, _SLOW, _PACES, _OCCUPY)
        )

    def take(self, wants: Sequence[Want]) -> list[Grant]:
        """Ask for all wants at once."""
        keys = [f"{PREFIX}rate:{want.scope}" for want in wants]
        told = self._take(keys=keys, args=[word for want in wants for word in (repr(want.rate), want.count)])
        return [Grant(int(told[i]), float(told[i + 1])) for i in range(0, len(told), 2)]

    def slow(self, scope: str, measured: float, ceiling: float | None) -> None:
        """Slow a destination down."""
        self._slow(
            keys=[f"{PREFIX}paces"], args=[scope, repr(measured), "" if ceiling is None else repr(ceiling)]
        )

    def paces(self, *, is_sender: bool = True) -> Mapping[str, float]:
        """Return the present rate of each destination that was slowed down, and be counted as a sender."""
        keys = [f"{PREFIX}paces", f"{PREFIX}senders"]
        told = cast("list[Any]", self._paces(keys=keys, args=[self._holder if is_sender else ""]))
        self.senders = max(1, int(told[0]))
        return {told[i]: float(told[i + 1]) for i in range(1, len(told), 2)}

    def occupy(self, scope: str, limit: int, count: int) -> int:
        """Take up to ``count`` of ``limit`` places."""
        return max(0, self._places(scope, limit, count))

    def vacate(self, scope: str, count: int) -> None:
        """Give places back."""
        self._places(scope, 0, -count)

    def close(self) -> None:
        """Give the connection back."""
        self._client.close()

    def _places(self, scope: str, limit: int, count: int) -> int:
        keys = [f"{PREFIX}held:{scope}", f"{PREFIX}leases:{scope}"]
        return int(cast("int", self._occupy(keys=keys, args=[self._holder, limit, count])))


class SafeMeter:
    """Asks Redis, and goes on alone with this process's share of the limits while Redis is away.

    A Redis that is full still takes what is given back: that it answers says little, that it writes says all.
    """

    def __init__(self, shared: RedisMeter, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        """Take the shared numbers."""
        self._shared = shared
        self._monotonic = monotonic
        self._own = LocalMeter(senders=UNKNOWN_SENDERS, monotonic=monotonic)
        self._away_until = 0.0
        self._trouble = Trouble(peace=PEACE_SECONDS, monotonic=monotonic)

    @property
    def is_alone(self) -> bool:
        """Whether Redis was away when it was last asked."""
        return self._away_until > 0

    @property
    def senders(self) -> int:
        """How many processes send, as far as is known."""
        return self._own.senders if self.is_alone else self._shared.senders

    def take(self, wants: Sequence[Want]) -> list[Grant]:
        """Ask for all wants at once."""
        return self._ask(lambda meter: meter.take(wants), is_writing=True)

    def slow(self, scope: str, measured: float, ceiling: float | None) -> None:
        """Slow a destination down; remembered here as well, should Redis go or forget."""
        self._own.slow(scope, measured, ceiling)
        self._ask(lambda meter: meter.slow(scope, measured, ceiling))

    def paces(self) -> Mapping[str, float]:
        """Return the present rate of each destination that was slowed down: the lower of the two."""
        paces = dict(self._ask(lambda meter: meter.paces(), is_writing=True))
        if not self.is_alone:
            self._own.senders = self._shared.senders
        for scope, rate in self._own.paces().items():
            paces[scope] = min(rate, paces.get(scope, rate))
        return paces

    def occupy(self, scope: str, limit: int, count: int) -> int:
        """Take up to ``count`` of ``limit`` places."""
        return self._ask(lambda meter: meter.occupy(scope, limit, count))

    def vacate(self, scope: str, count: int) -> None:
        """Give places back, wherever they were taken: what is given back too much counts for nothing."""
        self._own.vacate(scope, count)
        self._ask(lambda meter: None if meter is self._own else meter.vacate(scope, count))

    def _ask(self, question: Callable[[Meter], Told], *, is_writing: bool = False) -> Told:
        """Put a question; ``is_writing`` marks those for which Redis always needs room."""
        if self._monotonic() >= self._away_until:
            try:
                told = question(self._shared)
            except (RedisError, OSError) as error:
                self._note_failure(error)
                self._away_until = self._monotonic() + QUIET_SECONDS
            else:
                if is_writing and (spell := self._trouble.ended()) is not None:
                    logger.info("limits_together", **spell._asdict())
                self._away_until = 0.0
                return told
        return question(self._own)

    def _note_failure(self, error: Exception) -> None:
        spell, problem = self._trouble.failed(), type(error).__name__
        if spell is not None and spell.failures == 1:
            logger.warning("limits_alone", senders=self._own.senders, problem=problem)
        elif spell is not None:
            logger.warning("limits_still_alone", problem=problem, **spell._asdict())
