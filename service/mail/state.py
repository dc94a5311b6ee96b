"""How sending stands: what was stopped, what was slowed down, what waits for that, and how digests fared.

For the figures, the doctor and the console. Small domains go by "other": one may name its owner.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from service.config import Settings
from service.endpoints import PROVIDERS
from service.mail import breaker, tallies
from service.mail.delivery import HELD_BACK, UNREACHABLE
from service.mail.limits import RELAY
from service.mail.tables import IS_WAITING, DeliveryRow, ReturnRow

DAY = timedelta(days=1)
# Why a delivery waits, where it is not for its retry or its minute.
HINDRANCES = {
    HELD_BACK: "held back by a limit",
    breaker.STOPPED: "stopped by the breaker",
    UNREACHABLE: "waiting for a relay",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sending:
    """How sending stands."""

    stopped: Mapping[str, breaker.Open]  # by destination
    hindered: Mapping[str, int]  # deliveries that wait, by reason
    fared: Mapping[str, tallies.Tally]  # digests within a day, by destination
    complaints: int  # within a day


def look(session: Session, now: datetime) -> Sending:
    """Return how sending stands, from SQL."""
    waiting = (
        select(DeliveryRow.reason, func.count())
        .where(IS_WAITING, DeliveryRow.reason.in_(HINDRANCES))
        .group_by(DeliveryRow.reason)
    )
    complaints = select(func.count()).where(
        ReturnRow.kind == "complaint", ReturnRow.delivery_id.is_not(None), ReturnRow.received_at > now - DAY
    )
    return Sending(
        stopped=breaker.standing(session),
        hindered={reason: count for reason, count in session.execute(waiting) if reason is not None},
        fared=tallies.since(session, tallies.slot_of(now - DAY)),
        complaints=session.scalar(complaints) or 0,
    )


def slowed(settings: Settings) -> Mapping[str, float] | None:
    """Return the present rate (messages a second) of what was slowed down; None where Redis can't be asked.

    Without Redis each process knows its own only, and there is nothing to ask.
    """
    if settings.redis_url is None:
        return {}
    # Only here: who asks for no figures is spared the client.
    from redis.exceptions import RedisError

    from service.mail.meters import RedisMeter

    meter = RedisMeter(settings.redis_url)
    try:
        paces = meter.paces(is_sender=False)
    except (RedisError, OSError):
        return None
    finally:
        meter.close()
    rates: dict[str, float] = {}
    for scope, rate in paces.items():
        name = scope if scope in PROVIDERS or scope.startswith(RELAY) else tallies.OTHERS
        rates[name] = min(rate, rates.get(name, rate))
    return rates
