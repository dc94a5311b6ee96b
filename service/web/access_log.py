"""One line for each request. It names the route's template, never the path: paths hold tokens."""

import time

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

log = structlog.get_logger()

# Asked every few seconds by machines, or beside every page: kept out of the way of what people did.
FREQUENT_ROUTES = frozenset({"/healthz", "/readyz", "/metrics", "/static/{name}"})


class AccessLog:
    """Logs method, route template, status and milliseconds; no address, no token, no query."""

    def __init__(self, app: ASGIApp) -> None:
        """Wrap ``app``."""
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, and log once the answer is out."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = time.perf_counter()
        status = 0  # stays so when the client went away before an answer

        async def send_and_note(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self.app(scope, receive, send_and_note)
        finally:
            route = route_template(scope)
            tell = log.debug if route in FREQUENT_ROUTES else log.info
            tell(
                "http.request",
                method=scope["method"],
                route=route,
                status=status,
                milliseconds=round((time.perf_counter() - started) * 1000, 1),
            )


def route_template(scope: Scope) -> str:
    """Return the path as the route spells it, with names in braces; "-" where no route matched."""
    return str(getattr(scope.get("route"), "path", "-"))
