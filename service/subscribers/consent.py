"""The log of consent: who agreed to what, when, by which words. Rows are added, never changed.

It holds no address, only its keyed hash, and no whole client address, only its network.
"""

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Any

from sqlalchemy.orm import Session

from service.subscribers.tables import ConsentEventRow

MAXIMUM_USER_AGENT = 300


class Kind(StrEnum):
    """What the log records."""

    REQUESTED = "requested"  # a form was filled in; the confirmation mail is queued
    CONFIRMED = "confirmed"
    CHANGED = "changed"
    PAUSED = "paused"
    RESUMED = "resumed"
    WITHDRAWN = "withdrawn"
    BOUNCED = "bounced"
    COMPLAINED = "complained"
    IMPORTED = "imported"
    LINK_REQUESTED = "link_requested"  # to export or erase
    EXPORTED = "exported"
    ERASED = "erased"


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where a request came from.

    ``form`` names the page or interface, ``wording`` the version of the text the person saw, ``network`` is
    the client's IP address: it is cut to its network before anything is stored or compared.
    """

    form: str
    wording: str
    network: str | None = None
    user_agent: str | None = None


def truncate_network(client: str | None) -> str | None:
    """Return the /24 (IPv4) or /64 (IPv6) of a client's address, None where the text is none."""
    try:
        address = ip_address((client or "").partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    return str(ip_network((address, 24 if address.version == 4 else 64), strict=False))


def clean_user_agent(text: str | None) -> str | None:
    """Return a browser's own words about itself on one line, cut; None where there are none."""
    kept = "".join(sign for sign in text or "" if unicodedata.category(sign)[0] != "C")
    return kept.strip()[:MAXIMUM_USER_AGENT] or None


def record(
    session: Session,
    kind: Kind,
    *,
    address_key: bytes,
    subscriber_id: int | None,
    now: datetime,
    origin: Origin,
    token_hash: bytes | None = None,
    details: Mapping[str, Any] | None = None,
) -> None:
    """Add an event. ``details`` say what changed, never an address or a token."""
    session.add(
        ConsentEventRow(
            subscriber_id=subscriber_id,
            address_key=address_key,
            kind=kind.value,
            at=now,
            wording=origin.wording[:40],
            form=origin.form[:200],
            token_hash=token_hash,
            network=truncate_network(origin.network),
            user_agent=clean_user_agent(origin.user_agent),
            details=dict(details or {}),
        )
    )
