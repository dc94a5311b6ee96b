"""What somebody wants, as JSON: the fields that forms and imports have, too; one's preferences and libraries.

The bearer token is that of the preferences link, which stands in every digest.
"""

from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Depends, HTTPException, Query, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel, ConfigDict, Field

from service.subscribers import changing
from service.subscribers.consent import Kind
from service.subscribers.fields import HIGHEST_WEIGHT, MAXIMUM_PAPERS, clean_text
from service.subscribers.interests import InterestDraft, describe, draft_fields
from service.subscribers.libraries import keeping
from service.subscribers.libraries.keeping import TooManyLibraries
from service.subscribers.libraries.reading import FORMATS, LONGEST_NAME, name_of_file, read_library
from service.subscribers.libraries.values import MOST_BYTES, Library, UnreadableLibrary
from service.subscribers.preferences import Preferences, form_values, read_preferences
from service.subscribers.tables import SubscriberRow
from service.web.dependencies import Reading, SiteDep, WritingDep, origin_of
from service.web.subscriptions import TRIED_TOO_OFTEN, try_out

bearer = HTTPBearer(
    auto_error=False,
    scheme_name="PreferencesToken",
    description="The token of your preferences: it stands after /preferences/ in the link of each digest",
)
Token = Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)]
NO_READER = (
    "Send the token of your preferences as a bearer token: it stands after /preferences/ in the link of each"
    " of your digests."
)
WORDING = "api-2026-11"

Words = Annotated[list[str], Field(max_length=100)]


class InterestRequest(BaseModel):
    """An interest with a name of its own. Any one of its fields is enough to look for papers by."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(
        "", max_length=200, description="Without one it is called by the first thing looked for"
    )
    text: str = Field(
        "",
        max_length=2000,
        description="In your own words; what it says is added to the other fields",
        examples=["LoRA fine-tuning for small models, not vision"],
    )
    topic: str = Field("", max_length=64, description="Slug of a topic of /topics")
    phrases: Words = Field([], description="Words or phrases to look for")
    against: Words = Field([], description="Phrases or arXiv categories that count against a paper")
    categories: Words = Field([], description="arXiv categories; cs.* is a whole archive")
    authors: Words = Field([], description="Authors to follow")
    examples: Words = Field([], description="arXiv ids or links of papers to find more like")
    mutes: Words = Field([], description="Words that keep a paper out of every mail")
    weight: float = Field(1.0, ge=0, le=HIGHEST_WEIGHT, description="Share of the turns; 0: off for now")


class PreferencesRequest(BaseModel):
    """What, when and how much. Everything may be left out, and then takes its default."""

    model_config = ConfigDict(extra="forbid")

    about: Words = Field(
        [],
        description="Interests in your own words, each one entry",
        examples=[["LoRA fine-tuning for small models, not vision"]],
    )
    interests: Annotated[list[InterestRequest], Field(max_length=20)] = Field(
        [], description="Interests with a name of their own"
    )
    topics: Words = Field(
        [], description="Slugs of /topics, arXiv categories, or words", examples=[["llm-agents"]]
    )
    words: Words = Field([], description="Words or phrases to look for")
    categories: Words = Field([], description="arXiv categories", examples=[["cs.CL"]])
    authors: Words = Field([], description="Authors to follow")
    examples: Words = Field([], description="arXiv ids or links of papers to find more like")
    mutes: Words = Field([], description="Words that keep a paper out of every mail")
    explore: bool = Field(True, description="Whether one paper from outside the interests may come")
    timezone: str = Field("UTC", max_length=64, description="IANA time zone", examples=["Europe/Berlin"])
    hour: int = Field(8, ge=0, le=23, description="Local hour of the mail")
    weekdays: Words = Field([], description="Days such as monday; empty means Monday to Friday")
    papers: int = Field(10, ge=1, le=MAXIMUM_PAPERS, description="Most papers in one mail")

    def fields(self) -> dict[str, Any]:
        """Return what read_preferences reads."""
        return self.model_dump(include=set(PreferencesRequest.model_fields))


class Meaning(BaseModel):
    """How one interest was understood."""

    name: str
    topic: str | None = None
    phrases: list[str] = []
    against: list[str] = []
    categories: list[str] = []
    authors: list[str] = []
    examples: list[str] = []
    mutes: list[str] = []
    weight: float = 1.0
    says: str = Field(
        description="The same as a sentence", examples=["looks for “LoRA”; counts against “vision”"]
    )


class PreferencesAnswer(PreferencesRequest):
    """The preferences in force."""

    understood: list[Meaning]


class ChosenPaper(BaseModel):
    """A paper of a digest that was tried out, and why it would be in it."""

    id: str
    title: str
    reasons: list[str]


class PreviewAnswer(BaseModel):
    """What a digest by these preferences would hold now; nothing is kept of the question."""

    understood: list[Meaning]
    trending: list[ChosenPaper]
    for_you: list[ChosenPaper]
    papers: int | None = Field(description="Papers there are now; null where nothing is muted")
    hidden: dict[str, int] = Field(description="How many of them each mute hides")


class Unread(BaseModel):
    """A part of a library that was left out."""

    where: str
    reason: str


class LibraryRead(BaseModel):
    """What was read of a library; ``id`` is null where it was only looked at."""

    id: int | None
    name: str
    format: str
    items: int
    with_abstract: int
    with_arxiv_id: int
    known: int = Field(description="Items whose paper is known here")
    repeated: int
    left_out: int = Field(description="Older items beyond the most that are kept")
    problems: list[Unread] = Field(description="At most 100 of them")
    problem_count: int


class LibraryAnswer(BaseModel):
    """A library that is kept."""

    id: int
    name: str
    format: str
    items: int
    known: int
    weight: float
    uploaded_at: datetime


router = APIRouter(prefix="/api/v1")


def meanings(preferences: Preferences) -> list[Meaning]:
    """Say how each interest was understood."""
    return [_meaning(draft) for draft in preferences.interests]


def _meaning(draft: InterestDraft) -> Meaning:
    says = "; ".join(f"{label} {what}" for label, what in describe(draft))
    return Meaning(**draft_fields(draft), says=says)


@router.post("/preview")
def preview(request: Request, site: SiteDep, session: Reading, body: PreferencesRequest) -> PreviewAnswer:
    """Try preferences out: how they are understood, and what a digest would hold now. Keeps nothing."""
    chosen = read_preferences(body.fields())
    tried = try_out(request, site, session, chosen)
    if tried.refused:
        raise HTTPException(429, TRIED_TOO_OFTEN)
    lists = {
        heading: [
            ChosenPaper(id=paper.id, title=paper.title, reasons=list(ranked.reasons))
            for paper, ranked in papers
        ]
        for heading, papers in tried.lists
    }
    return PreviewAnswer(
        understood=meanings(chosen),
        trending=lists.get("Trending", []),
        for_you=lists.get("For you", []),
        papers=tried.hidden.papers if tried.hidden else None,
        hidden=dict(tried.hidden.counts) if tried.hidden else {},
    )


@router.get("/preferences")
def preferences(site: SiteDep, session: Reading, token: Token) -> PreferencesAnswer:
    """Give one's own preferences."""
    return _answer(_reader(site, session, token)[1])


@router.put("/preferences")
def change(
    request: Request, site: SiteDep, writing: WritingDep, token: Token, body: PreferencesRequest
) -> PreferencesAnswer:
    """Put preferences in place of one's own; what is left out takes its default."""
    _reader(site, writing.session, token)
    chosen = read_preferences(body.fields())
    origin = origin_of(request, site, form="/api/v1/preferences", wording=WORDING)
    changing.change(writing.session, site.parts.keyring, _text(token), chosen, now=site.now(), origin=origin)
    return _answer(chosen)


@router.get("/libraries")
def libraries(site: SiteDep, session: Reading, token: Token) -> list[LibraryAnswer]:
    """Give one's own libraries, the oldest first."""
    reader, _ = _reader(site, session, token)
    return [
        LibraryAnswer(
            id=one.id,
            name=one.name,
            format=one.format,
            items=one.item_count,
            known=one.known_count,
            weight=one.weight,
            uploaded_at=one.uploaded_at,
        )
        for one in keeping.list_libraries(session, reader.id)
    ]


async def read_body(request: Request) -> bytes:
    """Return the body as it came."""
    return await request.body()


@router.post(
    "/libraries",
    openapi_extra={
        "requestBody": {
            "description": f"{FORMATS}; at most {MOST_BYTES // 2**20} MB",
            "required": True,
            "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
        }
    },
)
def bring(
    request: Request,
    site: SiteDep,
    writing: WritingDep,
    token: Token,
    data: Annotated[bytes, Depends(read_body)],
    *,
    name: Annotated[str, Query(max_length=400)] = "",
    keep: Annotated[bool, Query(description="false: only say what would be read")] = True,
) -> LibraryRead:
    """Keep a library, in place of one of the same name: papers like its latest works then come, too."""
    session = writing.session
    reader, _ = _reader(site, session, token)
    name = clean_text(clean_text(name)[:LONGEST_NAME]) or name_of_file("")
    try:
        library = read_library(data)
        kept = keeping.keep(session, reader.id, name, library, site.now()) if keep else None
    except UnreadableLibrary as error:
        raise HTTPException(422, str(error)) from error
    except TooManyLibraries as error:
        raise HTTPException(409, str(error)) from error
    if kept is not None:
        _note(request, site, writing, token, f"“{name}” is kept: {len(library.items):,} works.")
    return _told(kept, name, library, keeping.count_known(session, library.items))


@router.delete("/libraries/{library_id}", status_code=204)
def delete(request: Request, site: SiteDep, writing: WritingDep, token: Token, library_id: int) -> None:
    """Delete one of one's own libraries, with all it holds."""
    reader, _ = _reader(site, writing.session, token)
    name = keeping.remove(writing.session, reader.id, library_id) if 0 < library_id < 2**63 else None
    if name is None:
        raise HTTPException(404, "You have no such library.")
    _note(request, site, writing, token, f"“{name}” is deleted.")


def _told(kept: int | None, name: str, library: Library, known: int) -> LibraryRead:
    return LibraryRead(
        id=kept,
        name=name,
        format=library.format,
        items=len(library.items),
        with_abstract=library.abstract_count,
        with_arxiv_id=sum(bool(item.paper_id) for item in library.items),
        known=known,
        repeated=library.repeated,
        left_out=library.left_out,
        problems=[Unread(where=one.where, reason=one.reason) for one in library.problems[:100]],
        problem_count=len(library.problems),
    )


def _answer(present: Preferences) -> PreferencesAnswer:
    return PreferencesAnswer(**form_values(present), understood=meanings(present))


def _text(token: HTTPAuthorizationCredentials | None) -> str:
    return token.credentials if token else ""


def _reader(
    site: SiteDep, session: Any, token: HTTPAuthorizationCredentials | None
) -> tuple[SubscriberRow, Preferences]:
    found = changing.load(session, site.parts.keyring, _text(token)) if token else None
    if found is None:
        raise HTTPException(401, NO_READER, headers={"WWW-Authenticate": "Bearer"})
    return found


def _note(
    request: Request,
    site: SiteDep,
    writing: WritingDep,
    token: HTTPAuthorizationCredentials | None,
    what: str,
) -> None:
    reader, _ = _reader(site, writing.session, token)
    changing.note(
        writing.session,
        site.parts.keyring,
        Kind.CHANGED,
        reader,
        token=_text(token),
        now=site.now(),
        origin=origin_of(request, site, form="/api/v1/libraries", wording=WORDING),
        details={"libraries": what},
    )
