"""By what name a recipient's servers are counted: from a small table, and from DNS if the operator wants it.

A look-up never holds up the mail: it goes on in a thread of its own, and until its answer is there a domain
is counted by itself.
"""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from service.config import Settings
from service.endpoints import PROVIDERS, destination, destination_of_server

KEPT_DOMAINS = 20_000
KEPT_SECONDS = 6 * 3600.0
LOOK_UPS_AT_ONCE = 4
LOOK_UP_SECONDS = 5.0

FindServer = Callable[[str], str | None]
"""Returns the preferred host of a domain's MX records, None where there is none; raises OSError."""


@dataclass(slots=True)
class Names:
    """Asks DNS for each domain once in a while."""

    find_server: FindServer
    monotonic: Callable[[], float] = time.monotonic
    _known: dict[str, tuple[str, float]] = field(default_factory=dict)  # domain to name and its age
    _threads: ThreadPoolExecutor = field(
        default_factory=lambda: ThreadPoolExecutor(LOOK_UPS_AT_ONCE, thread_name_prefix="mx")
    )

    def __call__(self, address: str) -> str:
        """Return the name for an address; that of its domain until DNS has answered."""
        domain = destination(address)
        if domain in PROVIDERS:
            return domain
        now = self.monotonic()
        name, known_at = self._known.get(domain, (domain, -KEPT_SECONDS))
        if now - known_at >= KEPT_SECONDS:
            if len(self._known) >= KEPT_DOMAINS:
                self._known.clear()
            self._known[domain] = name, now  # nobody asks again meanwhile
            self._threads.submit(self._look_up, domain)
        return name

    def finish(self) -> None:
        """Wait for the look-ups that are under way; no others follow."""
        self._threads.shutdown(wait=True)

    def _look_up(self, domain: str) -> None:
        try:
            host = self.find_server(domain)
        except OSError:
            return  # counted by itself until it is asked again
        if host:
            self._known[domain] = destination_of_server(host), self.monotonic()


def ask_dns(domain: str) -> str | None:
    """Ask the machine's resolver for the preferred MX of a domain."""
    import dns.exception
    import dns.resolver

    try:
        records = list(dns.resolver.resolve(domain, "MX", lifetime=LOOK_UP_SECONDS))
    except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
        return None
    except dns.exception.DNSException as error:
        raise OSError(type(error).__name__) from error
    preferred = min(records, key=lambda record: record.preference, default=None)
    return str(preferred.exchange) if preferred is not None else None


def open_names(settings: Settings) -> Callable[[str], str]:
    """Return who names destinations: the table alone, or with DNS."""
    return Names(ask_dns) if settings.mx_lookup else destination
