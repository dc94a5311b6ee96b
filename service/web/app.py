"""The web application, wired: middleware, routes, errors. ``create_app`` is all the outside needs."""

from fastapi import FastAPI
from starlette.middleware.gzip import GZipMiddleware

from service.bootstrap import Parts
from service.config import Environment
from service.digests.planning import patience
from service.mail.provider_signatures import Fetch
from service.mailbox.store import MailboxStore
from service.subscribers.links import Links
from service.web import (
    answers_api,
    api,
    driving,
    errors,
    feed,
    feedback,
    forms,
    health,
    libraries,
    manage,
    metrics,
    pages,
    preferences_api,
    subscriptions,
    trend_page,
    webhooks,
)
from service.web import mailbox as mailbox_pages
from service.web.access_log import AccessLog
from service.web.body_limit import BodyLimit
from service.web.cache import PageCache
from service.web.client import read_networks
from service.web.head import HeadAsGet
from service.web.listing import ListBoard
from service.web.security import HostGuard, SecurityHeaders, allowed_hosts
from service.web.site import Site, load_assets, load_templates

PRODUCTION_FILL_SECONDS = 2.0
COMPRESSED_FROM_BYTES = 1024


def create_app(
    parts: Parts,
    *,
    mailbox: MailboxStore | None = None,
    page_seconds: float = 5.0,
    answer_seconds: float = 0.2,
    minimum_fill_seconds: float | None = None,
    fetch: Fetch = webhooks.fetch_by_https,
) -> FastAPI:
    """Make the application.

    ``page_seconds`` is how long a rendered public page is kept, ``answer_seconds`` the shortest time a
    sign-up takes, ``minimum_fill_seconds`` the shortest time in which a person fills in the form (by default
    two seconds in production, none elsewhere); ``fetch`` brings what a webhook's signature needs.
    """
    production = parts.settings.environment is Environment.PRODUCTION
    if minimum_fill_seconds is None:
        minimum_fill_seconds = PRODUCTION_FILL_SECONDS if production else 0.0
    assets = load_assets()
    site = Site(
        parts=parts,
        links=Links(parts.settings.base_url, parts.keyring),
        templates=load_templates(parts, assets, mailbox=mailbox is not None and not production),
        assets=assets,
        trusted=read_networks(parts.settings.trusted_proxies),
        mailbox=mailbox,
        cache=PageCache(page_seconds),
        answer_seconds=answer_seconds,
        minimum_fill_seconds=minimum_fill_seconds,
        lists=ListBoard(patience=patience(parts.settings), phrases=lambda: parts.phrase_vectors),
    )
    site.templates.globals["offer"] = forms.choices()
    app = FastAPI(
        title=parts.settings.sender_name,
        summary="Subscribe to digests of trending research papers, and read the papers they are made from.",
        version="1",
        openapi_url="/api/v1/openapi.json",
        docs_url=None,  # the page would load its parts from another host
        redoc_url=None,
        redirect_slashes=False,  # RFC 8058: a one-click POST must not be redirected
    )
    app.state.site = site
    app.state.webhooks = webhooks.Webhooks(parts, fetch=fetch)
    for module in (
        pages,
        trend_page,
        subscriptions,
        feedback,
        driving,
        libraries,
        manage,
        feed,
        mailbox_pages,
        health,
        metrics,
        api,
        preferences_api,
        answers_api,
        webhooks,
    ):
        app.include_router(module.router)
    errors.install_handlers(app, site)
    for kind in api.FIELD_ERRORS:
        app.add_exception_handler(kind, api.tell_field_errors)
    _wrap(app, site)
    return app


def _wrap(app: FastAPI, site: Site) -> None:
    """Add the middleware; the last one added is the outermost."""
    settings = site.parts.settings
    # Innermost, so that its answer too is logged and gets its headers; FastAPI's own limit is outermost.
    app.add_middleware(BodyLimit)
    app.add_middleware(GZipMiddleware, minimum_size=COMPRESSED_FROM_BYTES, compresslevel=3)
    app.add_middleware(HeadAsGet)
    app.add_middleware(errors.ErrorPage, site=site)
    app.add_middleware(HostGuard, hosts=allowed_hosts(settings))
    app.add_middleware(SecurityHeaders, https=settings.base_url.startswith("https://"))
    app.add_middleware(AccessLog)
