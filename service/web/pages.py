"""The public pages: the papers of a day, one paper, search, and what we say about ourselves."""

from datetime import date, datetime
from typing import Annotated

from fastapi import APIRouter, HTTPException, Query, Request
from sqlalchemy.orm import Session
from starlette.responses import RedirectResponse, Response

from service.papers import shelf
from service.papers.cleaning import clean_url
from service.papers.tables import PaperRow
from service.web.cache import conditional
from service.web.dependencies import Reading, SiteDep
from service.web.forms import blank_form, new_stamp
from service.web.site import Site

router = APIRouter(include_in_schema=False)

PAGE_SECONDS = 60  # how long a browser or cache may keep a public page
EARLIER_DAYS = 14
SEARCH_LIMIT = 50
STAMP_PLACE = "@@form-stamp@@"  # put into the kept page anew for each reader


@router.get("/")
def front(request: Request, site: SiteDep, session: Reading, day: date | None = None) -> Response:
    """Show the newest day with the sign-up form; ``?day=`` leads to an earlier one."""
    if day is not None:
        return RedirectResponse(f"/day/{day.isoformat()}", 307)
    return _cached_day(request, site, session, None)


@router.get("/day/{day}")
def one_day(request: Request, site: SiteDep, session: Reading, day: date) -> Response:
    """Show the papers of a day."""
    if not shelf.papers_of_day(session, day):
        raise HTTPException(404, f"No papers are known for {day.isoformat()}.")
    return _cached_day(request, site, session, day)


def _cached_day(request: Request, site: Site, session: Session, day: date | None) -> Response:
    now = site.now()
    kept = site.cache.get(f"day {day}", now, lambda: _day_text(site, session, day, now))
    # A reader who holds the page gets a fresh stamp each hour, long before the old one is too old.
    etag = f'{kept.etag[:-1]}-{now:%m%d%H}"'
    body = kept.body.replace(STAMP_PLACE, new_stamp(site.parts.keyring, now))
    return conditional(request, body, etag, max_age=PAGE_SECONDS)


def _day_text(site: Site, session: Session, day: date | None, now: datetime) -> str:
    shown = day or next(iter(shelf.list_days(session, limit=1)), None)
    papers = shelf.papers_of_day(session, shown) if shown else []
    states = shelf.source_states(session, now, names=site.parts.settings.sources)
    return site.text(
        "day.html",
        day=shown,
        is_front=day is None,
        papers=papers,
        earlier=shelf.list_days(session, limit=EARLIER_DAYS, before=shown) if shown else [],
        later=shelf.day_after(session, shown) if shown else None,
        demo=bool(papers) and papers[0].source == "demo",
        notices=_notices(states, papers),
        is_quiet=_is_quiet(states, shown, now),
        form=blank_form(stamp=STAMP_PLACE),
    )


def _notices(states: list[shelf.SourceState], papers: list[PaperRow]) -> list[shelf.SourceState]:
    """Return the sources in trouble, and those not yet asked while there is nothing to show."""
    return [s for s in states if s.state in {"failing", "stale"} or (s.state == "never" and not papers)]


def _is_quiet(states: list[shelf.SourceState], shown: date | None, now: datetime) -> bool:
    """Whether the newest day is not today's though every source is well: a quiet day, no fault."""
    well = all(state.state in {"ok", "quiet"} for state in states)
    return shown is not None and shown < now.date() and well


@router.get("/papers/{paper_id:path}")
def one_paper(site: SiteDep, session: Reading, paper_id: str) -> Response:
    """Show a paper with how its votes went."""
    paper = shelf.get_paper(session, paper_id)
    if paper is None:
        raise HTTPException(404, "This paper is not known here.")
    return site.page(
        "paper.html",
        max_age=PAGE_SECONDS,
        paper=paper,
        observations=shelf.observations_of(session, paper.id),
        trend=site.trends.at(session, site.now()).get(paper.id),
        outside=[url for url in (paper.repository_url, paper.project_url) if clean_url(url)],
        token="",
        answer=None,
    )


@router.get("/search")
def search(site: SiteDep, session: Reading, q: Annotated[str, Query(max_length=200)] = "") -> Response:
    """Find papers by words of their titles, abstracts, authors and keywords."""
    words = " ".join(q.split())
    found = shelf.search(session, words, SEARCH_LIMIT) if words else []
    return site.page("search.html", words=words, papers=found, limit=SEARCH_LIMIT)


@router.get("/about")
def about(site: SiteDep) -> Response:
    """Say how ranking works and where papers come from."""
    return site.page("about.html", max_age=PAGE_SECONDS, sources=site.parts.settings.sources)


@router.get("/privacy")
def privacy(site: SiteDep) -> Response:
    """Say what is kept of a subscriber, for how long, and how to have it erased."""
    return site.page("privacy.html", max_age=PAGE_SECONDS)


@router.get("/static/{name}")
def static(site: SiteDep, name: str) -> Response:
    """Serve a file of ours; its address names its version, so it may be kept for ever."""
    asset = site.assets.get(name)
    if asset is None:
        raise HTTPException(404)
    headers = {"Cache-Control": "public, max-age=31536000, immutable"}
    return Response(asset.body, media_type=asset.media_type, headers=headers)


@router.get("/favicon.ico")
def favicon(site: SiteDep) -> Response:
    """Serve the mark to browsers that look for it here."""
    return static(site, "mark.svg")


@router.get("/robots.txt")
def robots() -> Response:
    """Keep crawlers from pages that are somebody's own."""
    lines = (
        "/confirm/",
        "/list/",
        "/preferences/",
        "/unsubscribe/",
        "/manage/",
        "/mailbox",
        "/search",
        "/api/",
    )
    text = "User-agent: *\n" + "".join(f"Disallow: {line}\n" for line in lines)
    return Response(text, media_type="text/plain", headers={"Cache-Control": "public, max-age=86400"})
