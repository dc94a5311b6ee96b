"""What a route asks for by annotation: the site, a session that reads, a transaction that writes."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from typing import Annotated

from fastapi import Depends, HTTPException, Request
from sqlalchemy.orm import Session
from starlette.datastructures import FormData

from service.bell import Bell
from service.subscribers.consent import Origin
from service.web.client import client_address
from service.web.security import host_name
from service.web.site import Site


def get_site(request: Request) -> Site:
    """Return the site this app serves."""
    site: Site = request.app.state.site
    return site


SiteDep = Annotated[Site, Depends(get_site)]


def _read(site: SiteDep) -> Iterator[Session]:
    with site.parts.database.reading() as session:
        yield session


Reading = Annotated[Session, Depends(_read, scope="function")]
"""A session the database itself keeps from writing: every GET uses it."""


@dataclass(slots=True)
class Writing:
    """One request's transaction, and what is to happen once it is committed."""

    session: Session
    bell: Bell
    following: list[Callable[[], None]] = field(default_factory=list)

    def after_commit(self, step: Callable[[], None]) -> None:
        """Have ``step`` done after the commit; it is not done when the request fails."""
        self.following.append(step)

    def ring_after(self, task: str, *arguments: int | str) -> None:
        """Ask for ``task`` after the commit."""
        self.after_commit(lambda: self.bell.ring(task, *arguments))


def _write(site: SiteDep) -> Iterator[Writing]:
    with site.parts.database.transaction() as session:
        writing = Writing(session, site.parts.bell)
        yield writing
    for step in writing.following:
        step()


# Scope "function": the commit comes before the answer, so a failed commit is told as one.
WritingDep = Annotated[Writing, Depends(_write, scope="function")]


MAX_FIELDS = 400  # twenty interests, all topics and the rest
MAX_FIELD_BYTES = 16 * 1024


async def read_form(request: Request) -> FormData:
    """Return the body of a form, of either encoding.

    Raises:
        HTTPException: 400, the body is malformed or holds more than any form of ours.
    """
    return await request.form(max_files=1, max_fields=MAX_FIELDS, max_part_size=MAX_FIELD_BYTES)


FormDep = Annotated[FormData, Depends(read_form)]


async def _answer_evenly(site: SiteDep) -> AsyncIterator[None]:
    loop = asyncio.get_running_loop()
    earliest = loop.time() + site.answer_seconds
    yield
    await asyncio.sleep(max(0.0, earliest - loop.time()))


EvenTime = Annotated[None, Depends(_answer_evenly, scope="function")]
"""Holds the answer back until a fixed time has passed: how long a sign-up took then tells nothing."""


def refuse_other_sites(request: Request) -> None:
    """Refuse a form that another site made the browser send; browsers that say nothing are let in.

    Raises:
        HTTPException: 403, the request came from another site.
    """
    message = "This form was sent from another site. Please fill it in here."
    if request.headers.get("sec-fetch-site") in {"cross-site", "same-site"}:
        raise HTTPException(403, message)
    origin = request.headers.get("origin")
    # "null" is what a strict privacy setting leaves of an origin.
    if origin and origin != "null" and host_name([origin.partition("://")[2]]) != _own_host(request):
        raise HTTPException(403, message)


def _own_host(request: Request) -> str | None:
    # Safe to compare with: the guard let in none but our own names.
    return host_name(request.headers.getlist("host"))


def origin_of(request: Request, site: Site, *, form: str, wording: str) -> Origin:
    """Return where a wish came from, for the log of consent."""
    return Origin(
        form=form,
        wording=wording,
        network=client_address(request, site.trusted),
        user_agent=request.headers.get("user-agent"),
    )
