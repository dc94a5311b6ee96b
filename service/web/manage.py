"""A copy of everything kept of a person, or its end, behind a fresh link in a mail."""

import json
from typing import Literal

from fastapi import APIRouter, Depends, Request
from starlette.responses import RedirectResponse, Response

from service.subscribers import managing
from service.subscribers.addresses import InvalidAddress
from service.subscribers.personal_data import scrub
from service.web import forms
from service.web.dependencies import (
    EvenTime,
    FormDep,
    Reading,
    SiteDep,
    WritingDep,
    origin_of,
    refuse_other_sites,
)
from service.web.forms import WORDING
from service.web.subscriptions import dead_link

router = APIRouter(include_in_schema=False)


@router.get("/manage")
def ask_page(site: SiteDep, asked: Literal["", "yes"] = "") -> Response:
    """Show the form for people who have no digest at hand."""
    return site.page("manage_ask.html", asked=bool(asked), address="", action="export", error="")


@router.post("/manage", dependencies=[Depends(refuse_other_sites)])
def ask(request: Request, site: SiteDep, _even: EvenTime, form: FormDep, writing: WritingDep) -> Response:
    """Mail a link to the owner of an address; the answer is the same for every address."""
    address = str(form.get("address") or "")
    action: managing.Action = "erase" if form.get("action") == "erase" else "export"
    answer = RedirectResponse("/manage?asked=yes", 303)
    if form.get(forms.HONEYPOT):
        return answer
    origin = origin_of(request, site, form="/manage", wording=WORDING)
    try:
        managing.request_link(
            writing.session, site.parts.keyring, site.now(), action=action, origin=origin, address=address
        )
    except InvalidAddress as error:
        return site.page(
            "manage_ask.html", status=422, asked=False, address=address, action=action, error=str(error)
        )
    writing.ring_after("mail.deliver", "transactional")
    return answer


@router.get("/manage/{token}")
def manage_page(site: SiteDep, session: Reading, token: str) -> Response:
    """Show what the link would do, and the button."""
    view = managing.open_link(session, site.parts.keyring, token, site.now())
    if view is None:
        return dead_link(site, "manage")
    return site.page("manage.html", token=token, action=view.action)


@router.post("/manage/{token}")
def manage(request: Request, site: SiteDep, writing: WritingDep, token: str) -> Response:
    """Hand out the copy, or erase; once."""
    origin = origin_of(request, site, form="/manage", wording=WORDING)
    done = managing.perform(writing.session, site.parts.keyring, token, site.now(), origin)
    if done is None:
        return dead_link(site, "manage")
    if done.action == "erase":
        writing.after_commit(lambda: scrub(site.parts.database, done.address))
        return site.page("erased.html")
    body = json.dumps(done.document, ensure_ascii=False, indent=2, default=str)
    headers = {"Content-Disposition": 'attachment; filename="paperlark-my-data.json"'}
    return Response(body, media_type="application/json", headers=headers)
