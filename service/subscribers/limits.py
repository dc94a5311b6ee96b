"""How many mails a form may cause: the guard against using sign-up as a mail bomb.

Counted are mails, not posts: a post beyond a limit changes nothing and is answered like any other. An address
is counted without plus-tag and dots, a client by its network. Rows older than 30 days are deleted.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import ip_network

import structlog
from sqlalchemy import ColumnElement, func, insert, select, text, true
from sqlalchemy.orm import Session

from service.keys import Keyring
from service.subscribers import addresses
from service.subscribers.consent import truncate_network
from service.subscribers.tables import SignUpMailRow

logger = structlog.get_logger()

LONGEST_WINDOW = timedelta(days=30)

# The machine itself and private networks stand for a proxy in between rather than for one visitor: to limit
# them would shut out everybody behind a proxy that TRUSTED_PROXIES does not name.
_NOT_A_VISITOR = tuple(
    ip_network(text)
    for text in (
        "127.0.0.0/8",
        "10.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "::1/128",
        "fc00::/7",
        "fe80::/10",
    )
)


@dataclass(frozen=True, slots=True)
class Limit:
    """At most ``count`` mails in any time of length ``within``."""

    count: int
    within: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The limits in force. Those for an address are trust.md 80's; the others fit a list of 100,000."""

    address: tuple[Limit, ...] = (
        Limit(1, timedelta(minutes=10)),
        Limit(3, timedelta(days=1)),
        Limit(5, LONGEST_WINDOW),
    )
    notice: tuple[Limit, ...] = (Limit(1, timedelta(days=1)), Limit(5, LONGEST_WINDOW))
    network: tuple[Limit, ...] = (Limit(20, timedelta(hours=1)), Limit(60, timedelta(days=1)))
    domain: tuple[Limit, ...] = (Limit(250, timedelta(hours=1)),)
    overall: tuple[Limit, ...] = (Limit(500, timedelta(hours=1)),)


LIMITS = Limits()


def serialize(session: Session, keyring: Keyring, address: str) -> None:
    """Let requests about one address wait for each other until their transactions end.

    On SQLite a transaction is alone from its start. On Postgres the lock is the address's own.
    """
    if session.get_bind().dialect.name == "postgresql":
        key = keyring.address_key(addresses.limit_key(address))
        number = int.from_bytes(key[:8], "big", signed=True)
        session.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": number})


def take(
    session: Session,
    keyring: Keyring,
    now: datetime,
    *,
    address: str,
    client: str | None,
    limits: Limits = LIMITS,
    is_notice: bool = False,
) -> bool:
    """Count one mail to ``address`` asked for by ``client`` (an IP address); False where a limit forbids it.

    Call it after :func:`serialize`. The limits beyond the address's may be passed by as many mails as there
    are transactions at that same moment.
    """
    limit_keys = keyring.address_keys(addresses.limit_key(address))
    domain_keys = keyring.address_keys("@" + addresses.domain_of(address))
    network = _visitor_network(client)
    counted: list[tuple[str, tuple[Limit, ...], ColumnElement[bool]]] = [
        ("address", limits.notice if is_notice else limits.address, SignUpMailRow.limit_key.in_(limit_keys)),
        ("domain", limits.domain, SignUpMailRow.domain_key.in_(domain_keys)),
        ("overall", limits.overall, true()),
    ]
    if network is not None:
        counted.append(("network", limits.network, SignUpMailRow.network == network))
    if reached := _reached(session, now, counted):
        logger.info("sign_up_limited", limit=reached)
        return False
    row = {"at": now, "limit_key": limit_keys[0], "domain_key": domain_keys[0], "network": network}
    session.execute(insert(SignUpMailRow).values(row))
    return True


def _reached(
    session: Session,
    now: datetime,
    counted: list[tuple[str, tuple[Limit, ...], ColumnElement[bool]]],
) -> str | None:
    each = [(name, limit, condition) for name, limits, condition in counted for limit in limits]
    counts = session.execute(
        select(
            *(
                select(func.count())
                .select_from(SignUpMailRow)
                .where(condition, SignUpMailRow.at > now - limit.within)
                .scalar_subquery()
                for _, limit, condition in each
            )
        )
    ).one()
    return next(
        (name for (name, limit, _), count in zip(each, counts, strict=True) if count >= limit.count), None
    )


def _visitor_network(client: str | None) -> str | None:
    network = truncate_network(client)
    if network is None:
        return None
    parsed = ip_network(network)
    inside = any(parsed.version == known.version and parsed.overlaps(known) for known in _NOT_A_VISITOR)
    return None if inside else network
