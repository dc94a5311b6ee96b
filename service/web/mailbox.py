"""The local mailbox in the browser: what Paperlark has mailed, when no relay is set."""

import re
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, HTTPException, Query, Request
from starlette.responses import HTMLResponse, Response

from service.config import Environment
from service.mailbox.store import CaughtMail, MailboxStore
from service.web.client import is_local
from service.web.dependencies import SiteDep
from service.web.security import CONTENT_SECURITY_POLICY

router = APIRouter(include_in_schema=False)

MAILS_A_PAGE = 50
# Mail is anybody's HTML: no script, no form, no address of ours, nothing loaded from anywhere.
MAIL_POLICY = (
    "sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none'; style-src 'unsafe-inline'; "
    "img-src data:; frame-ancestors 'self'"
)
# A base target opens links beside the mailbox: inside the sandboxed frame they could not work.
BASE = '<base target="_blank">'
HEAD_TAG = re.compile(r"<head(?:\s[^>]*)?>", re.I)
DOCTYPE = re.compile(r"<!doctype[^>]*>", re.I)


def _open_mailbox(request: Request, site: SiteDep) -> MailboxStore:
    production = site.parts.settings.environment is Environment.PRODUCTION
    if site.mailbox is None or (production and not is_local(request, site.trusted)):
        raise HTTPException(404)
    return site.mailbox


Mailbox = Annotated[MailboxStore, Depends(_open_mailbox)]


def _mail(mailbox: Mailbox, mail_id: str) -> CaughtMail:
    mail = mailbox.get(mail_id)
    if mail is None:
        raise HTTPException(404, "This mail is not (or no longer) in the mailbox.")
    return mail


Mail = Annotated[CaughtMail, Depends(_mail)]


@router.get("/mailbox")
def listing(site: SiteDep, mailbox: Mailbox, page: Annotated[int, Query(ge=1, le=1000)] = 1) -> Response:
    """List the caught mails, the newest first."""
    mails = mailbox.list(MAILS_A_PAGE + 1, (page - 1) * MAILS_A_PAGE)
    more = len(mails) > MAILS_A_PAGE
    return site.page(
        "mailbox.html", mails=mails[:MAILS_A_PAGE], number=page, more=more, total=mailbox.count()
    )


@router.get("/mailbox/{mail_id}")
def one_mail(
    site: SiteDep, mail: Mail, view: Literal["html", "text", "headers", "source"] = "html"
) -> Response:
    """Show one mail: as HTML in a sandbox, as text, its headers, or its source."""
    if view == "html" and mail.html is None:
        view = "text"
    answer = site.page("mail.html", mail=mail, view=view, source=mail.raw.decode("utf-8", "replace"))
    answer.headers["Content-Security-Policy"] = f"{CONTENT_SECURITY_POLICY}; frame-src 'self'"
    return answer


@router.get("/mailbox/{mail_id}/html")
def html_part(mail: Mail) -> Response:
    """Serve the HTML part as it came, for the frame that shows it."""
    if mail.html is None:
        raise HTTPException(404)
    headers = {"Content-Security-Policy": MAIL_POLICY, "X-Frame-Options": "SAMEORIGIN"}
    return HTMLResponse(_with_base(mail.html), headers=headers)


def _with_base(html: str) -> str:
    """Put the base where it belongs: before the doctype it would switch the browser to quirks mode."""
    found = HEAD_TAG.search(html) or DOCTYPE.search(html)
    place = found.end() if found else 0
    return html[:place] + BASE + html[place:]


@router.get("/mailbox/{mail_id}/raw")
def raw(mail: Mail) -> Response:
    """Serve the bytes of the mail as a file."""
    headers = {"Content-Disposition": f'attachment; filename="{mail.summary.id}.eml"'}
    return Response(mail.raw, media_type="message/rfc822", headers=headers)
