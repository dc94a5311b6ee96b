"""Where mail providers tell of bounces and complaints: ``POST /webhooks/ses`` and its like.

Each is open only where its setting is. A request is verified on its raw body before anything is looked up;
what is not genuine gets 403 (401 without the login of Postmark) and changes nothing. An event counts once,
however often and in whatever order it is told; one that we don't know is answered with 200 and left alone.
"""

import ssl
import threading
import urllib.request
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import urlsplit

import structlog
from fastapi import APIRouter, HTTPException, Request
from sqlalchemy.exc import SQLAlchemyError
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse

from service.bootstrap import Parts
from service.inbound.events import EventTally, take_events
from service.mail import provider_events as events
from service.mail import provider_signatures as signatures
from service.mail.provider_events import Malformed, ProviderEvent, read_json
from service.mail.provider_signatures import Fetch, NotGenuine

router = APIRouter(include_in_schema=False)
log = structlog.get_logger()

PATH = "/webhooks/"
Setting = TypeVar("Setting")

FETCH_SECONDS = 5.0
LARGEST_FETCH = 64 * 1024
KEPT_CERTIFICATES = 16
FETCHES = 2  # at a time: whoever knows a topic's name can ask for certificates that are not there


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """Follows no redirect: only the URL that was checked is asked."""

    def redirect_request(self, *_arguments: Any) -> None:
        return None


def fetch_by_https(url: str) -> bytes:
    """Fetch a URL whose host was checked before.

    Raises:
        OSError: it can't be fetched, redirects, or is too large.
        ValueError: it is no https URL.
    """
    if urlsplit(url).scheme != "https":
        raise ValueError("only https is fetched")
    secure = urllib.request.HTTPSHandler(context=ssl.create_default_context())
    opener = urllib.request.build_opener(secure, _NoRedirect(), urllib.request.ProxyHandler({}))
    with opener.open(url, timeout=FETCH_SECONDS) as answer:
        body: bytes = answer.read(LARGEST_FETCH + 1)
    if len(body) > LARGEST_FETCH:
        raise OSError("the answer is too large")
    return body


@dataclass(slots=True)
class Kept:
    """Keeps what was fetched: SNS signs with one certificate for months."""

    fetch: Fetch
    _kept: dict[str, bytes] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _turns: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(FETCHES))

    def __call__(self, url: str) -> bytes:
        """Return what is at a URL, fetched once.

        Raises:
            OSError: it can't be fetched, or others are being fetched: the provider tells again.
        """
        with self._lock:
            if url in self._kept:
                return self._kept[url]
        if not self._turns.acquire(blocking=False):
            raise TimeoutError
        try:
            found = self.fetch(url)
        finally:
            self._turns.release()
        with self._lock:
            if len(self._kept) >= KEPT_CERTIFICATES:
                self._kept.clear()
            self._kept[url] = found
        return found


@dataclass(frozen=True, slots=True)
class Told:
    """A verified request: its events, and what of it may be used once."""

    events: Iterable[ProviderEvent]
    signature: str | None = None


@dataclass(slots=True)
class Webhooks:
    """Verifies requests and takes their events in."""

    parts: Parts
    fetch: Fetch = fetch_by_https
    certificates: Kept = field(init=False)

    def __post_init__(self) -> None:
        """Keep the certificates that are fetched."""
        self.certificates = Kept(self.fetch)

    def take(self, provider: str, headers: Mapping[str, str], body: bytes) -> EventTally:
        """Verify a request and take it in.

        Raises:
            LookupError: there is no such provider here.
            NotGenuine: it is not the provider's.
            Malformed: it is, but makes no sense.
            OSError: what verifying needs can't be fetched.
            sqlalchemy.exc.SQLAlchemyError: the database is away.
        """
        readers: Mapping[str, Callable[[Mapping[str, str], bytes], Told]] = {
            "ses": self._ses,
            "sendgrid": self._sendgrid,
            "mailgun": self._mailgun,
            "postmark": self._postmark,
        }
        told = readers[provider](headers, body)
        return take_events(
            self.parts.database,
            self.parts.keyring,
            self.parts.postbox,
            told.events,
            provider=provider,
            now=self.parts.clock(),
            signature=told.signature,
        )

    def _ses(self, _headers: Mapping[str, str], body: bytes) -> Told:
        topics = _needed(self.parts.settings.webhook_ses_topics)
        message = read_json(body)
        if not isinstance(message, dict):
            raise NotGenuine("no message of SNS")
        signatures.check_sns(message, topics=topics, now=self.parts.clock(), fetch=self.certificates)
        if message.get("Type") == "SubscriptionConfirmation":
            self._subscribe(message)
        if message.get("Type") != "Notification":
            return Told([])
        try:
            inner = read_json(str(message.get("Message", "")).encode())
        except Malformed:  # a topic may carry plain words too, such as SNS's own test
            return Told([])
        event = events.ses_event(inner, str(message.get("MessageId", "")))
        return Told([event] if event is not None else [])

    def _subscribe(self, message: Mapping[str, Any]) -> None:
        url = message.get("SubscribeURL")
        if not signatures.is_sns_url(url):
            raise NotGenuine("a link from elsewhere")
        self.fetch(str(url))
        log.info("sns_subscribed")

    def _sendgrid(self, headers: Mapping[str, str], body: bytes) -> Told:
        signature = headers.get("x-twilio-email-event-webhook-signature", "")
        signatures.check_sendgrid(
            _needed(self.parts.settings.webhook_sendgrid_key),
            signature=signature,
            timestamp=headers.get("x-twilio-email-event-webhook-timestamp", ""),
            body=body,
            now=self.parts.clock(),
        )
        return Told(list(events.sendgrid_events(read_json(body))), signature)

    def _mailgun(self, _headers: Mapping[str, str], body: bytes) -> Told:
        key = _needed(self.parts.settings.webhook_mailgun_key).get_secret_value()
        message = read_json(body)
        given = message.get("signature") if isinstance(message, dict) else None
        if not isinstance(given, dict):
            raise NotGenuine("no signature")
        token = signatures.check_mailgun(key, given, now=self.parts.clock())
        event = events.mailgun_event(message)
        return Told([event] if event is not None else [], token)

    def _postmark(self, headers: Mapping[str, str], body: bytes) -> Told:
        secret = _needed(self.parts.settings.webhook_postmark_secret).get_secret_value()
        signatures.check_postmark(secret, headers.get("authorization", ""))
        event = events.postmark_event(read_json(body))
        return Told([event] if event is not None else [])


def _needed(value: Setting | None) -> Setting:
    if not value:
        raise LookupError("this webhook is not set up")
    return value


@router.post(PATH + "{provider}")
async def take_webhook(request: Request, provider: str) -> JSONResponse:
    """Take in what a provider tells."""
    webhooks: Webhooks = request.app.state.webhooks
    body = await request.body()
    try:
        tally = await run_in_threadpool(webhooks.take, provider, request.headers, body)
    except LookupError:
        raise HTTPException(404) from None
    except NotGenuine as refusal:
        log.warning("webhook_refused", provider=provider, reason=str(refusal))
        if provider == "postmark":
            raise HTTPException(401, headers={"WWW-Authenticate": 'Basic realm="webhooks"'}) from None
        raise HTTPException(403) from None
    except Malformed:
        raise HTTPException(400) from None
    except (SQLAlchemyError, OSError) as error:
        # Without its message, which may hold what was told.
        log.error("webhook_not_taken", provider=provider, error=type(error).__name__)  # noqa: TRY400
        raise HTTPException(503, headers={"Retry-After": "60"}) from None
    return JSONResponse({"taken": tally.taken, "duplicate": tally.duplicate})
