"""The newest day as an Atom feed (RFC 4287), for people who read feeds rather than mail."""

from datetime import UTC, datetime, time

from fastapi import APIRouter, Request
from starlette.responses import Response

from service.papers import shelf
from service.papers.tables import PaperRow
from service.web.cache import conditional
from service.web.dependencies import Reading, SiteDep

router = APIRouter(include_in_schema=False)

FEED_DAYS = 3
FEED_SECONDS = 300
MEDIA_TYPE = "application/atom+xml"


@router.get("/feed.atom")
def feed(request: Request, site: SiteDep, session: Reading) -> Response:
    """Give the papers of the newest days."""

    def make() -> str:
        days = shelf.list_days(session, limit=FEED_DAYS)
        papers = [paper for day in days for paper in shelf.papers_of_day(session, day)]
        newest = max((paper.updated_at for paper in papers), default=datetime(1970, 1, 1, tzinfo=UTC))
        return site.text("feed.xml", papers=papers, updated_at=newest, midnight=_midnight, links=site.links)

    kept = site.cache.get("feed", site.now(), make)
    return conditional(request, kept.body, kept.etag, max_age=FEED_SECONDS, media_type=MEDIA_TYPE)


def _midnight(paper: PaperRow) -> datetime:
    """Return when a paper's list day began."""
    return datetime.combine(paper.listed_on, time(), UTC) if paper.listed_on else paper.first_seen_at
