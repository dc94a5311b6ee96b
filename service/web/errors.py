"""How errors are told: a page for people, ``application/problem+json`` (RFC 9457) for programs."""

import traceback
from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as NoConnectionLeft
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.web.site import Site

API_PREFIX = "/api/"
HEADLINES = {
    400: "That request could not be read",
    403: "That is not allowed",
    404: "There is nothing here",
    405: "That can't be done here",
    413: "That is too much at once",
    422: "Something in that request is off",
    429: "Too many requests",
    500: "Something broke on our side",
    503: "Not at this moment",
}
SENTENCES = {
    404: "The page may have moved, or the link was cut in two. Today's papers are on the front page.",
    405: "The page exists, but not for this kind of request.",
    422: "Please check what was asked for and try again.",
    503: "Our database is out at this moment. Please try again in a few minutes; nothing was half done.",
    500: "The fault has been written down. Please try again in a minute; nothing you sent was half done.",
}

RETRY_SECONDS = "120"

log = structlog.get_logger()


def problem(status: int, detail: str, *, errors: dict[str, str] | None = None) -> JSONResponse:
    """Make a problem answer; ``errors`` names each field at fault with what to do about it."""
    body: dict[str, Any] = {"title": HTTPStatus(status).phrase, "status": status, "detail": detail}
    if errors:
        body["errors"] = [{"field": name, "message": message} for name, message in errors.items()]
    return JSONResponse(body, status, media_type="application/problem+json")


def error_page(site: Site, path: str, status: int, detail: str | None = None) -> Response:
    """Make the answer for an error at ``path``: a page, or a problem below ``/api/``."""
    headline = HEADLINES.get(status, HTTPStatus(status).phrase)
    sentence = detail or SENTENCES.get(status, "")
    if path.startswith(API_PREFIX):
        return problem(status, sentence or headline)
    return site.page("error.html", status=status, headline=headline, sentence=sentence)


def _field_at_fault(error: dict[str, Any]) -> tuple[str, str]:
    """Name the field and what is wrong with it; broken JSON has no fields, only a place where it breaks."""
    if error["type"] == "json_invalid":
        return "body", "is not valid JSON"
    return ".".join(str(part) for part in error["loc"][1:]) or "body", error["msg"]


def install_handlers(app: FastAPI, site: Site) -> None:
    """Make the app tell its errors our way."""

    async def on_http_error(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)  # noqa: S101 - starlette calls it with nothing else
        standard = HTTPStatus(error.status_code).phrase
        detail = error.detail if error.detail != standard else None
        answer = error_page(site, request.url.path, error.status_code, detail)
        answer.headers.update(error.headers or {})
        return answer

    async def on_invalid_request(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)  # noqa: S101 - as above
        path = request.url.path
        if not path.startswith(API_PREFIX):
            return error_page(site, path, 404 if request.method in {"GET", "HEAD"} else 422)
        # The values are left out: they may be somebody's address.
        fields = dict(_field_at_fault(each) for each in error.errors())
        return problem(422, "Some fields are missing or malformed.", errors=fields)

    app.add_exception_handler(HTTPException, on_http_error)
    app.add_exception_handler(RequestValidationError, on_invalid_request)


class ErrorPage:
    """Turns an unforeseen exception into a 500 page, and logs where it arose without any value.

    Messages of exceptions may hold what somebody typed, so only the type and the lines of code are logged. A
    database that is away or can't write is a 503, and its reason is logged: it speaks of servers and disks.
    """

    def __init__(self, app: ASGIApp, *, site: Site) -> None:
        """Wrap ``app``."""
        self.app = app
        self.site = site

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on; answer 500 if nothing was answered yet."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = False

        async def send_and_note(message: Message) -> None:
            nonlocal started
            started = True
            await send(message)

        try:
            await self.app(scope, receive, send_and_note)
        except Exception as error:  # noqa: BLE001 - the last resort, and it is logged
            frames = [f"{f.filename}:{f.lineno} {f.name}" for f in traceback.extract_tb(error.__traceback__)]
            reason = _outage(error)
            kind = type(error).__name__
            log.error("http.failed", kind=kind, frames=frames[-12:], reason=reason)  # noqa: TRY400 - see above
            if not started:
                answer = error_page(self.site, scope["path"], 503 if reason else 500)
                if reason:
                    answer.headers["Retry-After"] = RETRY_SECONDS
                await answer(scope, receive, send)


def _outage(error: Exception) -> str | None:
    """Return why the database can't be used; None for a fault of ours, a wrong statement too."""
    if isinstance(error, NoConnectionLeft):
        return "all connections are in use"
    if not isinstance(error, OperationalError) or error.orig is None:
        return None
    if getattr(error.orig, "sqlite_errorname", None) == "SQLITE_ERROR":
        return None
    return str(error.orig) or type(error.orig).__name__
