"""The JSON API under ``/api/v1``: the same papers, the same sign-up with the same guards, as data."""

from datetime import date, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Query, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from sqlalchemy.orm import Session
from starlette.responses import Response

from service.papers import shelf
from service.papers.tables import PaperRow
from service.papers.taxonomy import CATEGORIES
from service.subscribers.addresses import InvalidAddress
from service.subscribers.preferences import InvalidPreferences, read_preferences
from service.subscribers.signing_up import sign_up
from service.subscribers.topics import CATALOGUE
from service.web.dependencies import EvenTime, Reading, SiteDep, WritingDep, origin_of, refuse_other_sites
from service.web.errors import problem
from service.web.preferences_api import Meaning, PreferencesRequest, meanings
from service.web.site import Site

PUBLIC_SECONDS = 60
WORDING = "api-2026-11"  # what the API's description says of the mails; raise it when that changes


class Problem(BaseModel):
    """An error (RFC 9457); ``errors`` names each field at fault."""

    title: str
    status: int
    detail: str
    errors: list[dict[str, str]] = []


def _kept(response: Response) -> None:
    response.headers["Cache-Control"] = f"public, max-age={PUBLIC_SECONDS}"


router = APIRouter(
    prefix="/api/v1",
    responses={
        422: {"model": Problem, "content": {"application/problem+json": {}}, "description": "Field errors"}
    },
)
Kept = Depends(_kept)


class SubscriptionRequest(PreferencesRequest):
    """Who wants what. Everything but the address may be left out."""

    address: str = Field(max_length=400, examples=["ann@example.org"])


class Accepted(BaseModel):
    """The answer to every well-formed request, whatever is known of the address."""

    status: str = "accepted"
    message: str = (
        "If this address can be subscribed, a mail is on its way that asks its owner to confirm. "
        "Nothing else is sent before that."
    )
    understood: list[Meaning] = Field(description="How each interest was understood")


class TrendPart(BaseModel):
    """How a paper trends, the same for everybody; the page /trending explains the formula."""

    score: float = Field(description="0 to 1, the sum of the parts; higher is hotter")
    percentile: float | None = Field(
        description="Share (0 to 1) of papers of its age whose votes it has or exceeds; null: too few to say"
    )
    forecast: float | None = Field(
        description="Votes expected as its first day ends; null where that is over or there is no telling"
    )
    parts: dict[str, float] = Field(
        description=(
            "Addends of the score by name; those that add nothing are left out. votes, votes_gained and"
            " stars_gained are ranks, by weight; age is the decay after the first day. What the forecast of"
            " the first day adds to the rank of the votes: hour_listed, organization, project_page, authors"
            " (their number), age_at_listing (days from publication to the list), submitter and last_author"
            " (how their earlier papers fared)."
        ),
        examples=[{"votes": 0.61, "hour_listed": 0.05, "submitter": 0.02, "age": 0.0}],
    )
    reason: str = Field(description="A sentence that can be checked against the observations")
    version: str = Field(description="The formula", examples=["trend-2"])


class PaperAnswer(BaseModel):
    """A paper. A count that is null has not been told by any source, which is not zero."""

    id: str
    title: str
    abstract: str
    summary: str | None
    authors: list[str]
    author_count: int
    published_at: datetime | None
    listed_on: date | None
    categories: list[str]
    keywords: list[str]
    organization: str | None
    upvotes: int | None
    comments: int | None
    stars: int | None
    source: str
    page_url: str
    repository_url: str | None
    project_url: str | None
    trend: TrendPart | None


class DayAnswer(BaseModel):
    """The papers of one list day, best-voted first."""

    day: date | None
    papers: list[PaperAnswer]


class Seen(BaseModel):
    """The counts of a paper as a source showed them at an instant."""

    observed_at: datetime
    source: str
    upvotes: int | None
    comments: int | None
    stars: int | None


class PaperWithHistory(PaperAnswer):
    """A paper with everything observed of it, oldest first."""

    observations: list[Seen]


class TopicAnswer(BaseModel):
    """A topic of the catalogue."""

    slug: str
    name: str
    group: str
    description: str
    phrases: list[str]
    categories: list[str]


class SourceAnswer(BaseModel):
    """How a source of papers fares."""

    source: str
    state: str
    since: datetime | None
    newest_listed_on: date | None


@router.post("/subscriptions", status_code=202, dependencies=[Depends(refuse_other_sites)])
def subscribe(
    request: Request, site: SiteDep, _even: EvenTime, body: SubscriptionRequest, writing: WritingDep
) -> Accepted:
    """Ask for digests. The owner of the address gets one mail to confirm; the answer is the same for all."""
    preferences = read_preferences(body.fields())
    origin = origin_of(request, site, form="/api/v1/subscriptions", wording=WORDING)
    sign_up(
        writing.session,
        site.parts.keyring,
        site.now(),
        address=body.address,
        preferences=preferences,
        origin=origin,
    )
    writing.ring_after("mail.deliver", "transactional")
    return Accepted(understood=meanings(preferences))


@router.get("/papers", dependencies=[Kept])
def papers(
    site: SiteDep,
    session: Reading,
    day: date | None = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 100,
) -> DayAnswer:
    """Give the papers of ``day``, by default of the newest."""
    shown = day or next(iter(shelf.list_days(session, limit=1)), None)
    rows = shelf.papers_of_day(session, shown)[:limit] if shown else []
    return DayAnswer(day=shown, papers=[PaperAnswer(**_fields(site, session, row)) for row in rows])


@router.get("/papers/{paper_id:path}", dependencies=[Kept], responses={404: {"model": Problem}})
def paper(site: SiteDep, session: Reading, paper_id: str) -> PaperWithHistory:
    """Give one paper with its observations."""
    row = shelf.get_paper(session, paper_id)
    if row is None:
        raise HTTPException(404, "This paper is not known here.")
    seen = [
        Seen(
            observed_at=one.observed_at,
            source=one.source,
            upvotes=one.upvotes,
            comments=one.comments,
            stars=one.stars,
        )
        for one in shelf.observations_of(session, row.id)
    ]
    return PaperWithHistory(**_fields(site, session, row), observations=seen)


@router.get("/days", dependencies=[Kept])
def days(
    session: Reading, limit: Annotated[int, Query(ge=1, le=1000)] = 30, before: date | None = None
) -> list[date]:
    """Give the days that have papers, newest first."""
    return shelf.list_days(session, limit=limit, before=before)


@router.get("/topics", dependencies=[Kept])
def topics() -> list[TopicAnswer]:
    """Give the catalogue of topics."""
    return [
        TopicAnswer(
            slug=topic.slug,
            name=topic.name,
            group=topic.group,
            description=topic.description,
            phrases=list(topic.phrases),
            categories=list(topic.categories),
        )
        for topic in CATALOGUE
    ]


@router.get("/categories", dependencies=[Kept])
def categories() -> dict[str, str]:
    """Give arXiv's categories, code and name."""
    return CATEGORIES


@router.get("/sources", dependencies=[Kept])
def sources(site: SiteDep, session: Reading) -> list[SourceAnswer]:
    """Say how each source fares: ok, quiet, failing, stale, or never asked."""
    return [
        SourceAnswer(source=s.source, state=s.state, since=s.since, newest_listed_on=s.newest_listed_on)
        for s in shelf.source_states(session, site.now(), names=site.parts.settings.sources)
    ]


def _fields(site: Site, session: Session, row: PaperRow) -> dict[str, Any]:
    trend = site.trends.at(session, site.now()).get(row.id)
    return {
        **{name: getattr(row, name) for name in PaperAnswer.model_fields if hasattr(row, name)},
        "page_url": site.links.paper(row.id),
        "trend": trend
        and TrendPart(
            score=trend.score,
            percentile=trend.percentile,
            forecast=trend.forecast,
            parts=trend.parts,
            reason=trend.reason,
            version=trend.version,
        ),
    }


def tell_field_errors(_request: Request, error: Exception) -> JSONResponse:
    """Answer an unreadable address or preference, naming the fields."""
    errors = error.errors if isinstance(error, InvalidPreferences) else {"address": str(error)}
    return problem(422, "Some fields can't be read.", errors=errors)


FIELD_ERRORS = (InvalidAddress, InvalidPreferences)
