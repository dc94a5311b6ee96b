"""Libraries of one's own: look at what a file holds, keep it, weigh it, delete it, by one's own link."""

import json
from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request
from sqlalchemy.orm import Session
from starlette.datastructures import FormData, UploadFile
from starlette.responses import Response

from service.subscribers import changing
from service.subscribers.consent import Kind
from service.subscribers.fields import FieldError, clean_text, read_weight
from service.subscribers.libraries import keeping
from service.subscribers.libraries.keeping import TooManyLibraries
from service.subscribers.libraries.reading import FORMATS, LONGEST_NAME, name_of_file, read_library
from service.subscribers.libraries.values import MOST_BYTES, Library, UnreadableLibrary
from service.subscribers.tables import SubscriberRow
from service.web.dependencies import Reading, SiteDep, WritingDep, origin_of
from service.web.forms import WEIGHTS, WORDING
from service.web.site import Site
from service.web.subscriptions import dead_link

router = APIRouter(include_in_schema=False)

PROBLEMS_SHOWN = 20
TITLES_SHOWN = 5


async def read_upload(request: Request) -> AsyncIterator[FormData]:
    """Give a form that brings a library, as a file or as text; the file is closed afterwards.

    Raises:
        HTTPException: 400, the body is malformed or holds more than such a form.
    """
    async with request.form(max_files=1, max_fields=10, max_part_size=2 * MOST_BYTES) as form:
        yield form


UploadDep = Annotated[FormData, Depends(read_upload)]


@router.get("/preferences/{token}/libraries")
def libraries_page(site: SiteDep, session: Reading, token: str) -> Response:
    """Show the libraries, and where to bring another."""
    return _page(site, session, token)


@router.post("/preferences/{token}/libraries")
def change_libraries(
    request: Request, site: SiteDep, form: UploadDep, writing: WritingDep, token: str
) -> Response:
    """Look at a file, keep what was looked at, weigh or delete a library; ``do`` says which."""
    session = writing.session
    found = changing.load(session, site.parts.keyring, token)
    if found is None:
        return dead_link(site, "preferences")
    person = found[0]
    match form.get("do"):
        case "delete":
            name = keeping.remove(session, person.id, _number(form.get("library")))
            saved = f"“{name}” is deleted." if name else ""
        case "weigh":
            saved = _weigh(session, person, form)
        case "keep":
            return _keep(request, site, session, token, form)
        case _:
            return _look(site, session, token, form)
    if not saved:
        return _page(site, session, token, refused="Nothing was changed.", status=422)
    _note(request, site, session, person, token=token, what=saved)
    return _page(site, session, token, saved=saved)


def _look(site: Site, session: Session, token: str, form: FormData) -> Response:
    """Show what a file or a pasted text holds, without keeping it."""
    upload = form.get("file")
    data, filename = _data(form.get("text")), ""
    if isinstance(upload, UploadFile) and upload.filename:
        data, filename = upload.file.read(MOST_BYTES + 1), upload.filename
    name = _name(form) or name_of_file(filename)
    try:
        library = read_library(data)
    except UnreadableLibrary as error:
        return _page(site, session, token, error=str(error), name=_name(form), status=422)
    return _page(site, session, token, look=_summary(session, library), name=name, carried=carry(library))


def _keep(request: Request, site: Site, session: Session, token: str, form: FormData) -> Response:
    found = changing.load(session, site.parts.keyring, token)
    if found is None:
        return dead_link(site, "preferences")
    name = _name(form) or name_of_file("")
    try:
        library = read_library(_data(form.get("text")), most_bytes=2 * MOST_BYTES)
        keeping.keep(session, found[0].id, name, library, site.now(), format_=_format(form))
    except (UnreadableLibrary, TooManyLibraries) as error:
        return _page(site, session, token, error=str(error), name=name, status=422)
    saved = f"“{name}” is kept: {len(library.items):,} works. The next digest follows it, too."
    _note(request, site, session, found[0], token=token, what=saved)
    return _page(site, session, token, saved=saved)


def carry(library: Library) -> str:
    """Write a library as JSON that reads as the same: it goes to the browser and back before it is kept."""
    items = [
        {
            name: value
            for name, value in (
                ("title", item.title),
                ("abstract", item.abstract),
                ("arxiv", item.paper_id),
                ("date-added", item.added),
            )
            if value
        }
        for item in library.items
    ]
    return json.dumps(items, ensure_ascii=False)


def _summary(session: Session, library: Library) -> dict[str, Any]:
    return {
        "format": library.format,
        "count": len(library.items),
        "abstracts": library.abstract_count,
        "with_id": sum(bool(item.paper_id) for item in library.items),
        "known": keeping.count_known(session, library.items),
        "repeated": library.repeated,
        "left_out": library.left_out,
        "titles": [item.title for item in library.items[:TITLES_SHOWN]],
        "problems": library.problems[:PROBLEMS_SHOWN],
        "more_problems": max(0, len(library.problems) - PROBLEMS_SHOWN),
        "counted": min(len(library.items), keeping.EXAMPLES),
    }


def _weigh(session: Session, person: SubscriberRow, form: FormData) -> str:
    try:
        weight = read_weight(str(form.get("weight") or ""))
    except FieldError:
        return ""
    done = keeping.weigh(session, person.id, _number(form.get("library")), weight)
    return "Saved. The next digest follows this." if done else ""


def _note(
    request: Request, site: Site, session: Session, person: SubscriberRow, *, token: str, what: str
) -> None:
    changing.note(
        session,
        site.parts.keyring,
        Kind.CHANGED,
        person,
        token=token,
        now=site.now(),
        origin=origin_of(request, site, form="/preferences/libraries", wording=WORDING),
        details={"libraries": what},
    )


def _page(
    site: Site,
    session: Session,
    token: str,
    *,
    saved: str = "",
    refused: str = "",
    error: str = "",
    name: str = "",
    look: dict[str, Any] | None = None,
    carried: str = "",
    status: int = 200,
) -> Response:
    found = changing.load(session, site.parts.keyring, token)
    if found is None:
        return dead_link(site, "preferences")
    return site.page(
        "libraries.html",
        status=status,
        token=token,
        libraries=keeping.list_libraries(session, found[0].id),
        weights=WEIGHTS,
        saved=saved,
        refused=refused,
        error=error,
        name=name,
        look=look,
        carried=carried,
        formats=FORMATS,
        most_megabytes=MOST_BYTES // 2**20,
        most_libraries=keeping.MOST_LIBRARIES,
        examples=keeping.EXAMPLES,
    )


def _name(form: FormData) -> str:
    value = form.get("name")
    return clean_text(clean_text(value)[:LONGEST_NAME]) if isinstance(value, str) else ""


def _format(form: FormData) -> str | None:
    value = form.get("format")
    return clean_text(value)[:20] if isinstance(value, str) and value else None


def _data(value: object) -> bytes:
    return value.encode("utf-8", "replace") if isinstance(value, str) else b""


def _number(value: object) -> int:
    return (
        int(value)
        if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 19
        else 0
    )
