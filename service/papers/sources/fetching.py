"""Asks one host over HTTP: limits of time and size, no way to any other host, and manners."""

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from importlib.metadata import PackageNotFoundError, version

import httpx2

from service.papers.sources import SourceUnavailable, UnusableAnswer

MAXIMUM_BYTES = 8_000_000  # fifty papers are about 300,000
TOTAL_SECONDS = 60.0
TIMEOUT = httpx2.Timeout(20, connect=10)
REDIRECTS = 3
WAIT_SECONDS = 120.0  # in one run, all waits together
DEFAULT_RETRY_SECONDS = 60.0
RATE_LIMIT = re.compile(r"(?:^|[;,\s])(r|remaining|t|reset)\s*=\s*([0-9]{1,9})")

Sleep = Callable[[float], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One response, whole."""

    url: httpx2.URL
    status: int
    headers: Mapping[str, str]
    body: bytes
    next_url: str | None = None  # what "Link: rel=next" points at


def user_agent(contact: str | None = None) -> str:
    """Name ourselves, with an address where one can be given."""
    try:
        number = version("paperlark")
    except PackageNotFoundError:  # run from a folder that was never installed
        number = "0"
    return f"Paperlark/{number}" + (f" (+{contact})" if contact else "")


def open_client(
    *, contact: str | None = None, transport: httpx2.BaseTransport | None = None
) -> httpx2.Client:
    """Make a client that keeps no connection open, so that nobody has to close it."""
    return httpx2.Client(
        transport=transport,
        timeout=TIMEOUT,
        follow_redirects=False,
        limits=httpx2.Limits(max_connections=2, max_keepalive_connections=0),
        headers={"User-Agent": user_agent(contact)},
    )


def get_page(client: httpx2.Client, url: httpx2.URL, *, headers: Mapping[str, str] | None = None) -> Page:
    """GET ``url``; redirects are followed within its own scheme, host and port only.

    Raises:
        SourceUnavailable: no answer, or one that leads elsewhere.
        UnusableAnswer: too large or too slow.
    """
    for _ in range(REDIRECTS + 1):
        page = _get(client, url, headers)
        target = page.headers.get("location")
        if page.status not in {301, 302, 303, 307, 308} or not target:
            return page
        try:
            following = url.join(target)
        except httpx2.InvalidURL as error:
            raise SourceUnavailable(f"{url.host} redirects to what is no address") from error
        if not same_origin(url, following):
            raise SourceUnavailable(
                f"{url.host} redirects to {following.host or 'nowhere'}, which is not followed; "
                "set the source's URL to the new address if that is right"
            )
        url = following
    raise SourceUnavailable(f"{url.host} redirects in a circle")


def same_origin(one: httpx2.URL, other: httpx2.URL) -> bool:
    """Tell whether two addresses share scheme, host and port."""
    return (one.scheme, one.host, _port(one)) == (other.scheme, other.host, _port(other))


def _port(url: httpx2.URL) -> int | None:
    return url.port or {"http": 80, "https": 443}.get(url.scheme)


def _get(client: httpx2.Client, url: httpx2.URL, headers: Mapping[str, str] | None) -> Page:
    deadline = time.monotonic() + TOTAL_SECONDS
    body = bytearray()
    try:
        with client.stream("GET", url, headers=headers) as response:
            for piece in response.iter_bytes():
                body += piece
                if len(body) > MAXIMUM_BYTES:
                    raise UnusableAnswer(f"the answer is larger than {MAXIMUM_BYTES:,} bytes")
                if time.monotonic() > deadline:
                    raise UnusableAnswer(f"the answer took longer than {TOTAL_SECONDS:.0f} s")
            return Page(
                url=url,
                status=response.status_code,
                headers=response.headers,
                body=bytes(body),
                next_url=response.links.get("next", {}).get("url"),
            )
    except httpx2.HTTPError as error:
        reason = str(error) or type(error).__name__
        raise SourceUnavailable(f"{url.host} can't be reached: {reason}") from error


def rate_limit(headers: Mapping[str, str]) -> tuple[int, int] | None:
    """Read ``RateLimit``: requests left, and seconds until there are more; both drafts' spellings."""
    said = dict(RATE_LIMIT.findall(headers.get("ratelimit", "")))
    left, seconds = said.get("r", said.get("remaining")), said.get("t", said.get("reset"))
    return None if left is None or seconds is None else (int(left), int(seconds))


def retry_after(headers: Mapping[str, str], now: datetime) -> float:
    """Read how many seconds to stay away: ``Retry-After`` in seconds or as a date, else ``RateLimit``."""
    value = headers.get("retry-after", "").strip()
    if value.isascii() and value.isdigit():
        return float(value[:9])
    try:
        return max((parsedate_to_datetime(value) - now).total_seconds(), 0.0)
    except (ValueError, TypeError):  # TypeError: a date without a zone
        limit = rate_limit(headers)
        return float(limit[1]) if limit else DEFAULT_RETRY_SECONDS


@dataclass(slots=True)
class Patience:
    """Waits before a request as the source asks, up to so many seconds in one run."""

    sleep: Sleep
    seconds_left: float = WAIT_SECONDS
    asked: tuple[float, str] | None = None

    def ask(self, seconds: float, why: str) -> None:
        """Remember that nothing is to be asked for ``seconds``."""
        self.asked = (seconds, why)

    def wait(self) -> None:
        """Wait as long as was last asked for; called before each request.

        Raises:
            SourceUnavailable: that is longer than we have. The next run will come anyway.
        """
        if self.asked is None:
            return
        seconds, why = self.asked
        self.asked = None
        if seconds > self.seconds_left:
            raise SourceUnavailable(
                f"{why} and asks to wait {seconds:.0f} s: the rest is left to the next run"
            )
        self.seconds_left -= seconds
        self.sleep(seconds)
