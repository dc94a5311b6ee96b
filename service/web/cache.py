"""Rendered public pages, kept for a few seconds: a page that everybody asks for is made once."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from threading import Lock

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

MOST_PAGES = 64


@dataclass(frozen=True, slots=True)
class KeptPage:
    """A rendered page and when it was made."""

    body: str
    made_at: datetime
    etag: str


class PageCache:
    """Keeps rendered pages by key for ``seconds``; older ones are made anew. Safe to share by threads."""

    def __init__(self, seconds: float) -> None:
        """Keep pages for ``seconds``; zero keeps none."""
        self.lifetime = timedelta(seconds=seconds)
        self._pages: dict[str, KeptPage] = {}
        self._lock = Lock()

    def get(self, key: str, now: datetime, make: Callable[[], str]) -> KeptPage:
        """Return the page of ``key``, made by ``make`` if none is young enough."""
        with self._lock:
            kept = self._pages.get(key)
        if kept is not None and timedelta(0) <= now - kept.made_at < self.lifetime:
            return kept
        body = make()
        fresh = KeptPage(body, now, f'"{hashlib.sha256(body.encode()).hexdigest()[:24]}"')
        if self.lifetime:
            with self._lock:
                if len(self._pages) >= MOST_PAGES:
                    self._pages.clear()
                self._pages[key] = fresh
        return fresh


def conditional(
    request: Request, body: str, etag: str, *, max_age: int, media_type: str | None = None
) -> Response:
    """Answer 304 to a client that holds this very page, else the page."""
    headers = {"Cache-Control": f"public, max-age={max_age}", "ETag": etag}
    held = {tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")}
    if etag in held:
        return Response(status_code=304, headers=headers)
    return HTMLResponse(body, headers=headers, media_type=media_type)
