"""What every answer carries and every request must have: headers that keep pages inert, a known Host."""

from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.config import Environment, Settings

# trust.md 85: nothing by default, then only what we serve ourselves.
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
STANDING_HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # Not "no-referrer" everywhere: it would blank the Origin of the sign-up form, which we check.
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
PRIVATE_HEADERS = {
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
    "X-Robots-Tag": "noindex, nofollow",
}
# Their paths hold a token, or somebody's mail.
PRIVATE_PATHS = (
    "/confirm/",
    "/list/",
    "/preferences/",
    "/unsubscribe/",
    "/manage/",
    "/mailbox",
    "/api/v1/preferences",
    "/api/v1/libraries",
)
# Asked by the machine that runs us, under whatever name it has for us; they build no links.
HOST_FREE_PATHS = frozenset({"/healthz", "/readyz", "/metrics"})
LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})


class SecurityHeaders:
    """Puts the standing headers on every answer, errors too; what a route set itself stays."""

    def __init__(self, app: ASGIApp, *, https: bool) -> None:
        """Wrap ``app``; ``https`` says whether the public address is one."""
        self.app = app
        self.standing = dict(STANDING_HEADERS)
        if https:
            self.standing["Strict-Transport-Security"] = "max-age=31536000"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, with the headers added to the answer's start."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        private = scope["path"].startswith(PRIVATE_PATHS)

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                if private:
                    headers.update(PRIVATE_HEADERS)
                for name, value in self.standing.items():
                    headers.setdefault(name, value)
            await send(message)

        await self.app(scope, receive, send_with_headers)


class HostGuard:
    """Refuses a Host that is not ours with 400, so that no cache or page can be made to speak for another."""

    def __init__(self, app: ASGIApp, *, hosts: frozenset[str]) -> None:
        """Wrap ``app``; ``hosts`` are names without ports."""
        self.app = app
        self.hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on a request for one of our hosts."""
        if scope["type"] != "http" or scope["path"] in HOST_FREE_PATHS or self._is_ours(scope):
            await self.app(scope, receive, send)
            return
        body = b"This server does not answer for that host.\n"
        headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 400, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    def _is_ours(self, scope: Scope) -> bool:
        return host_name(Headers(scope=scope).getlist("host")) in self.hosts


def host_name(values: list[str]) -> str | None:
    """Return the name in the Host header, lower-case and without port; None unless there is exactly one."""
    if len(values) != 1 or any(sign in values[0] for sign in "/?#@\\ "):
        return None
    try:
        return urlsplit(f"//{values[0]}").hostname
    except ValueError:
        return None


def allowed_hosts(settings: Settings) -> frozenset[str]:
    """Return the names we answer to: that of BASE_URL, and this machine's own except in production."""
    public = urlsplit(settings.base_url).hostname
    own = frozenset() if settings.environment is Environment.PRODUCTION else LOOPBACK_NAMES
    return own | ({public} if public else frozenset())
