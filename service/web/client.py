"""Who is asking: the client's network address, believed from a proxy only where the operator named it."""

from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network

from starlette.requests import Request

from service.web.security import LOOPBACK_NAMES, host_name

Network = IPv4Network | IPv6Network

FORWARDING_HEADERS = ("x-forwarded-for", "forwarded", "x-real-ip")


def read_networks(names: tuple[str, ...]) -> tuple[Network, ...]:
    """Read addresses or networks such as ``10.0.0.5`` or ``10.0.0.0/8``.

    Raises:
        ValueError: one is neither; the message names it.
    """
    return tuple(ip_network(name, strict=False) for name in names)


def client_address(request: Request, trusted: tuple[Network, ...]) -> str:
    """Return the address of the client: the peer, or behind trusted proxies the last hop they vouch for.

    Each trusted proxy adds the address it saw at the right of X-Forwarded-For; the right-most one that is
    no trusted proxy is therefore true, everything left of it is the client's own say.
    """
    peer = request.client.host if request.client else ""
    if not _within(peer, trusted):
        return peer
    hops = [hop.strip() for line in request.headers.getlist("x-forwarded-for") for hop in line.split(",")]
    for hop in reversed(hops):
        address = _bare(hop)
        if address is None:
            break
        if not _within(address, trusted):
            return address
    return peer


def is_local(request: Request, trusted: tuple[Network, ...]) -> bool:
    """Whether the client sits at this machine: a loopback peer, no proxy between, asking by its name."""
    peer = request.client.host if request.client else ""
    behind_unknown_proxy = not _within(peer, trusted) and any(
        n in request.headers for n in FORWARDING_HEADERS
    )
    try:
        loopback = ip_address(client_address(request, trusted)).is_loopback
    except ValueError:
        return False
    # A page elsewhere may point its own name at 127.0.0.1; the Host still gives it away.
    return (
        loopback and not behind_unknown_proxy and host_name(request.headers.getlist("host")) in LOOPBACK_NAMES
    )


def _within(address: str, networks: tuple[Network, ...]) -> bool:
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    return any(parsed in network for network in networks)


def _bare(hop: str) -> str | None:
    """Return the address in a hop, without brackets or port; None if it is none."""
    text = hop[1:].partition("]")[0] if hop.startswith("[") else hop
    if text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        return str(ip_address(text))
    except ValueError:
        return None
