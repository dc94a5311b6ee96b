"""How many mails a form may cause: the guard against using sign-up as a mail bomb.

Counted are mails, not posts: a post beyond a limit changes nothing and is answered like any other. An address
is counted without plus-tag and dots, a client by its network. Rows older than 30 days are deleted.

Each kind of mail is counted by itself. What strangers type into the forms can so never keep a link to
somebody's data from whoever asks for it from their own preferences.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import ip_network
from typing import Literal

import structlog
from sqlalchemy import ColumnElement, func, insert, select, text, true
from sqlalchemy.orm import Session

from service.keys import Keyring
from service.subscribers import addresses
from service.subscribers.consent import truncate_network
from service.subscribers.tables import SignUpMailRow

logger = structlog.get_logger()

LONGEST_WINDOW = timedelta(days=30)

# What asked for the mail: the sign-up form, an address typed in by anybody, a subscriber's preferences page.
MailKind = Literal["sign_up", "link", "own_link"]

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
    link: tuple[Limit, ...] = (Limit(1, timedelta(minutes=10)), Limit(5, timedelta(days=1)))
    network: tuple[Limit, ...] = (Limit(20, timedelta(hours=1)), Limit(60, timedelta(days=1)))
    domain: tuple[Limit, ...] = (Limit(250, timedelta(hours=1)),)
    overall: tuple[Limit, ...] = (Limit(500, timedelta(hours=1)),)

    def for_address(self, kind: MailKind, *, is_notice: bool = False) -> tuple[Limit, ...]:
        """Return the limits of one address for mails of ``kind``."""
        if kind != "sign_up":
            return self.link
        return self.notice if is_notice else self.address


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """Why an address gets no mail now: one went at ``last_at``, another may from ``free_at``."""

    last_at: datetime
    free_at: datetime


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
    kind: MailKind = "sign_up",
    is_notice: bool = False,
) -> bool:
    """Count one mail of ``kind`` to ``address`` asked for by ``client`` (an IP address).

    Returns False, and counts nothing, where a limit forbids it. Call it after :func:`serialize`. The limits
    beyond the address's may be passed by as many mails as there are transactions at that same moment.
    """
    limit_keys = keyring.address_keys(addresses.limit_key(address))
    domain_keys = keyring.address_keys("@" + addresses.domain_of(address))
    network = visitor_network(client)
    counted: list[tuple[str, tuple[Limit, ...], ColumnElement[bool]]] = [
        ("address", limits.for_address(kind, is_notice=is_notice), SignUpMailRow.limit_key.in_(limit_keys)),
        ("domain", limits.domain, SignUpMailRow.domain_key.in_(domain_keys)),
        ("overall", limits.overall, true()),
    ]
    if network is not None:
        counted.append(("network", limits.network, SignUpMailRow.network == network))
    if reached := _reached(session, now, kind, counted):
        logger.info("sign_up_limited", kind=kind, limit=reached)
        return False
    session.execute(
        insert(SignUpMailRow).values(
            at=now, kind=kind, limit_key=limit_keys[0], domain_key=domain_keys[0], network=network
        )
    )
    return True


def find_wait(
    session: Session,
    keyring: Keyring,
    now: datetime,
    *,
    address: str,
    kind: MailKind,
    limits: Limits = LIMITS,
) -> Wait | None:
    """Return how long the address's own limits hold mails of ``kind`` back; None if they don't."""
    each = limits.for_address(kind)
    times = session.scalars(
        select(SignUpMailRow.at)
        .where(
            SignUpMailRow.kind == kind,
            SignUpMailRow.limit_key.in_(keyring.address_keys(addresses.limit_key(address))),
        )
        .order_by(SignUpMailRow.at.desc())
        .limit(max(limit.count for limit in each))
    ).all()
    free = [times[limit.count - 1] + limit.within for limit in each if len(times) >= limit.count]
    free_at = max(free, default=now)
    return Wait(last_at=times[0], free_at=free_at) if free_at > now else None


def _reached(
    session: Session,
    now: datetime,
    kind: MailKind,
    counted: list[tuple[str, tuple[Limit, ...], ColumnElement[bool]]],
) -> str | None:
    each = [(name, limit, condition) for name, limits, condition in counted for limit in limits]
    counts = session.execute(
        select(
            *(
                select(func.count())
                .select_from(SignUpMailRow)
                .where(condition, SignUpMailRow.kind == kind, SignUpMailRow.at > now - limit.within)
                .scalar_subquery()
                for _, limit, condition in each
            )
        )
    ).one()
    return next(
        (name for (name, limit, _), count in zip(each, counts, strict=True) if count >= limit.count), None
    )


def visitor_network(client: str | None) -> str | None:
    """Return the network to count a client by; None for this machine and private ones."""
    network = truncate_network(client)
    if network is None:
        return None
    parsed = ip_network(network)
    inside = any(parsed.version == known.version and parsed.overlaps(known) for known in _NOT_A_VISITOR)
    return None if inside else network
