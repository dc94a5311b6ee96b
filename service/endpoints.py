"""Where mail is handed over and how fast: relays and limits as an operator writes them, read into values."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
EXAMPLE = "smtp://user:pass@host:port?starttls=required"
_RATE = re.compile(r"(\d+(?:\.\d+)?)/([smhd])")
_WORD = re.compile(r"[a-z_]{1,20}")
_BETWEEN_RELAYS = re.compile(r"[\s,]+(?=smtps?://)")
_BETWEEN_LIMITS = re.compile(r"[\s,]+")


def split_url(url: str) -> tuple[SplitResult | None, int | None]:
    """Split a URL that may bear a password; (None, None) if it is none.

    The standard library's own complaints quote parts of the URL, and so of the password.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None, None
    return parts, port


def read_rate(text: str) -> float:
    """Read a rate such as ``50/s``, ``600/m``, ``20000/h`` into messages a second.

    Raises:
        ValueError: it is none, or zero.
    """
    found = _RATE.fullmatch(text.strip())
    rate = float(found.group(1)) / SECONDS[found.group(2)] if found else 0.0
    if rate <= 0:
        raise ValueError(f"must be a rate such as 50/s, 600/m or 20000/h, not {text!r}")
    return rate


@dataclass(frozen=True, slots=True)
class Limit:
    """How much one destination gets; None means as much as goes."""

    rate: float | None = None  # messages a second, of all workers together
    at_once: int | None = None  # messages on their way at one time, of all workers together


def read_domain_limits(text: str) -> dict[str, Limit]:
    """Read limits of receiving domains, such as ``gmail.com=20/s:50 yahoo.com=300/m *=10/s``.

    After the rate, or in its place, ``:`` and how many may be on their way at once. ``*`` is each domain that
    is not named.

    Raises:
        ValueError: it can't be read; names the part.
    """
    limits: dict[str, Limit] = {}
    for part in filter(None, _BETWEEN_LIMITS.split(text.strip())):
        domain, equals, said = part.partition("=")
        rate, colon, at_once = said.partition(":")
        if not (equals and domain and (rate or colon)):
            raise ValueError(f"must look like gmail.com=20/s:50, not {part!r}")
        if colon and not (at_once.isdecimal() and int(at_once) > 0):
            raise ValueError(f"{domain}: after ':' comes how many at once, not {at_once!r}")
        try:
            limits[domain.lower()] = Limit(read_rate(rate) if rate else None, int(at_once) if colon else None)
        except ValueError as error:
            raise ValueError(f"{domain}: {error}") from None
    return limits


class SmtpEndpoint:
    """One relay, read from ``smtp://user:pass@host:port?starttls=required`` or ``smtps://…``.

    The options of the query say how much of the mail it gets and how it is used; docs/deliverability.md lists
    them.
    """

    __slots__ = (
        "age_seconds",
        "at_once",
        "connections",
        "host",
        "idle_seconds",
        "implicit_tls",
        "password",
        "per_connection",
        "port",
        "rate",
        "starttls",
        "username",
        "weight",
    )

    def __init__(self, url: str) -> None:
        """Read the URL.

        Raises:
            ValueError: another scheme, no host, an option that is unknown or can't be read, or a password
                that would travel in clear to another machine. Never quotes the password.
        """
        parts, given_port = split_url(url)
        is_odd = parts is not None and (parts.fragment or parts.path not in {"", "/"})
        if parts is None or parts.scheme not in {"smtp", "smtps"} or not parts.hostname or is_odd:
            hint = "; in a password write # / ? as %23 %2F %3F" if is_odd else ""
            raise ValueError(f"must look like {EXAMPLE}{hint}")
        self.implicit_tls = parts.scheme == "smtps"
        self.host: str = parts.hostname
        self.port: int = given_port or (465 if self.implicit_tls else 587)
        self.username = unquote(parts.username) if parts.username else None
        self.password = unquote(parts.password) if parts.password else None
        options = dict(parse_qsl(parts.query, keep_blank_values=True))
        self._read(options)
        if options:
            known = "starttls, weight, connections, at_once, rate, per_connection, age, idle"
            name = next(iter(options))  # shown only where it can't be part of a password
            shown = repr(name) if _WORD.fullmatch(name) else "what stands after '?'"
            raise ValueError(f"{shown} is no option of a relay; there are {known}")
        if self.password and not (self.starttls or self.implicit_tls or self.host in LOCAL):
            raise ValueError("a password would be sent in clear; use smtps:// or starttls=required")

    def _read(self, options: dict[str, str]) -> None:
        wish = options.pop("starttls", "never" if self.implicit_tls else "required")
        if wish not in {"required", "never"}:
            raise ValueError(f"starttls is 'required' or 'never', not {wish!r}")
        self.starttls = wish == "required"
        weight = _whole(options, "weight", 0, 1000)
        self.weight = 1 if weight is None else weight  # 0: only in need
        self.connections = _whole(options, "connections", 1, 256)  # of each worker; None: as the settings say
        self.at_once = _whole(options, "at_once", 1, 10_000)  # connections of all workers together
        self.per_connection = _whole(options, "per_connection", 1, 1_000_000)
        self.age_seconds = _whole(options, "age", 1, 86_400)
        self.idle_seconds = _whole(options, "idle", 1, 86_400)
        try:
            self.rate = read_rate(options.pop("rate")) if "rate" in options else None
        except ValueError as error:
            raise ValueError(f"rate {error}") from None

    @property
    def name(self) -> str:
        """Host and port: what logs and figures call it."""
        return f"{self.host}:{self.port}"


def read_relays(text: str) -> tuple[SmtpEndpoint, ...]:
    """Read one relay or several, separated by spaces or commas.

    Raises:
        ValueError: one can't be read, or none would get mail; of several, says which.
    """
    urls = _BETWEEN_RELAYS.split(text.strip())
    relays: list[SmtpEndpoint] = []
    for number, url in enumerate(urls, 1):
        try:
            relays.append(SmtpEndpoint(url))
        except ValueError as error:
            raise ValueError(f"relay {number}: {error}" if len(urls) > 1 else str(error)) from None
    if not any(relay.weight for relay in relays):
        raise ValueError("weight=0 means only in need; one relay at least must have more")
    if len({relay.name for relay in relays}) < len(relays):
        raise ValueError("the same host and port stand there twice")
    return tuple(relays)


def _whole(options: dict[str, str], name: str, lowest: int, highest: int) -> int | None:
    """Take a whole number out of the options; None if it is not among them."""
    text = options.pop(name, None)
    if text is None:
        return None
    if not (text.isdecimal() and len(text) < 9 and lowest <= int(text) <= highest):
        raise ValueError(f"{name} is a whole number from {lowest} to {highest}, not {text!r}")
    return int(text)


# The domains of big providers that share their servers (MX), by the name of the first: what servers get is
# counted together. From the providers' own lists of their domains; domains of other owners that they host are
# only known by asking DNS (PAPERLARK_MX_LOOKUP).
SHARED_SERVERS: Mapping[str, tuple[str, ...]] = {
    "gmail.com": ("googlemail.com",),
    "outlook.com": (
        "hotmail.com", "hotmail.co.uk", "hotmail.de", "hotmail.es", "hotmail.fr", "hotmail.it", "live.com",
        "live.co.uk", "live.de", "live.fr", "live.it", "live.nl", "msn.com", "outlook.de", "outlook.es",
        "outlook.fr", "passport.com", "windowslive.com",
    ),
    "yahoo.com": (
        "aim.com", "aol.com", "myyahoo.com", "rocketmail.com", "yahoo.ca", "yahoo.co.in", "yahoo.co.uk",
        "yahoo.com.au", "yahoo.com.br", "yahoo.de", "yahoo.es", "yahoo.fr", "yahoo.in", "yahoo.it",
        "ymail.com",
    ),
    "icloud.com": ("mac.com", "me.com"),
    "gmx.net": ("gmx.at", "gmx.ch", "gmx.com", "gmx.de", "web.de"),
    "proton.me": ("pm.me", "protonmail.ch", "protonmail.com"),
    "mail.ru": ("bk.ru", "inbox.ru", "internet.ru", "list.ru"),
    "yandex.ru": ("ya.ru", "yandex.by", "yandex.com", "yandex.kz"),
    "qq.com": ("foxmail.com",),
    "163.com": ("126.com", "yeah.net"),
    "orange.fr": ("wanadoo.fr",),
    "fastmail.com": ("fastmail.fm",),
}  # fmt: skip
PROVIDERS = frozenset(SHARED_SERVERS)
_PROVIDER_OF = {
    **{name: name for name in SHARED_SERVERS},
    **{domain: name for name, domains in SHARED_SERVERS.items() for domain in domains},
}
# The ends of the names of their servers, for domains that they host for others.
_PROVIDER_OF_SERVER = {
    "google.com": "gmail.com",
    "googlemail.com": "gmail.com",
    "outlook.com": "outlook.com",
    "yahoodns.net": "yahoo.com",
    "icloud.com": "icloud.com",
    "gmx.net": "gmx.net",
    "protonmail.ch": "proton.me",
    "mail.ru": "mail.ru",
    "yandex.net": "yandex.ru",
    "yandex.ru": "yandex.ru",
    "qq.com": "qq.com",
    "messagingengine.com": "fastmail.com",
}


def destination(address: str) -> str:
    """Return by what name the servers of an address's domain are counted: a big provider's first domain."""
    domain = address.rpartition("@")[2].lower()
    return _PROVIDER_OF.get(domain, domain)


def destination_of_server(host: str) -> str:
    """Return by what name a mail server (the host of an MX record) is counted: provider, or its domain."""
    labels = host.rstrip(".").lower().split(".")
    end = ".".join(labels[-2:])
    return _PROVIDER_OF_SERVER.get(end, end)
