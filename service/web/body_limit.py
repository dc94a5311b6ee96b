"""How much a request may bring: little everywhere, a file where one is uploaded."""

from starlette.middleware.body_limit import RequestBodyLimitMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from service.subscribers.libraries.values import MOST_BYTES

FORM_BYTES = 128 * 1024  # a form with every field full is below 100 kB
# A library goes to and fro once more as JSON before it is kept, with what belongs to a form around it.
WEBHOOK_BYTES = 2 * 1024 * 1024  # SendGrid tells of hundreds of events at once
LIBRARY_BYTES = 2 * MOST_BYTES + FORM_BYTES


class BodyLimit:
    """Refuses a body that is larger than its path takes, with 413."""

    def __init__(self, app: ASGIApp) -> None:
        """Wrap ``app``."""
        self.small = RequestBodyLimitMiddleware(app, max_body_size=FORM_BYTES)
        self.webhook = RequestBodyLimitMiddleware(app, max_body_size=WEBHOOK_BYTES)
        self.large = RequestBodyLimitMiddleware(app, max_body_size=LIBRARY_BYTES)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what is not too large."""
        if scope["type"] == "http" and scope["path"].startswith("/webhooks/"):
            await self.webhook(scope, receive, send)
            return
        takes_files = scope["type"] == "http" and scope["path"].rstrip("/").endswith("/libraries")
        await (self.large if takes_files else self.small)(scope, receive, send)
