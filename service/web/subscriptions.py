"""Sign-up, confirmation, preferences, leaving. GET shows a page; only POST acts (trust.md 21, 82)."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from fastapi import APIRouter, Depends, Request
from sqlalchemy.orm import Session
from starlette.datastructures import FormData
from starlette.responses import RedirectResponse, Response

from service.digests.choosing import load_full_profiles
from service.digests.schedule import local_date, next_due_at, open_zone
from service.digests.window import LONGEST_DAYS
from service.papers import shelf
from service.papers.tables import PaperRow
from service.ranking.values import Profile, Ranked
from service.subscribers import changing, confirming, leaving, managing
from service.subscribers.addresses import InvalidAddress, parse_address
from service.subscribers.consent import Origin
from service.subscribers.interests import MAXIMUM_INTERESTS, InterestDraft, describe, plain_field
from service.subscribers.libraries import keeping
from service.subscribers.preferences import (
    InvalidPreferences,
    Preferences,
    describe_schedule,
    read_preferences,
)
from service.subscribers.profiles import draft_profile
from service.subscribers.signing_up import sign_up
from service.subscribers.tables import SubscriberRow
from service.web import forms
from service.web.client import client_address
from service.web.dependencies import (
    EvenTime,
    FormDep,
    Reading,
    SiteDep,
    Writing,
    WritingDep,
    origin_of,
    refuse_other_sites,
)
from service.web.forms import WORDING
from service.web.listing import Hidden
from service.web.site import Site, local_instant

router = APIRouter(include_in_schema=False)

STAMP_MESSAGES = {
    "early": "That was quicker than people type. If it was you, please press Subscribe once more.",
    "late": "This page had been open for days. Please press Subscribe once more.",
    "forged": "Please press Subscribe once more.",
}
TRIED_TOO_OFTEN = "That is many previews in a short time. Please try again in a few minutes."
NO_FORM = (
    "Nothing was changed: your choices did not come along with that request. Please look at the form below "
    "and press Save once more."
)


HEADINGS = {"trending": "Trending", "for_you": "For you"}
NOBODY = Profile()


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """What a digest would hold now: lists with their headings, each paper with its reasons."""

    lists: Sequence[tuple[str, list[tuple[PaperRow, Ranked]]]] = ()
    understood: Sequence[tuple[str, tuple[tuple[str, str], ...]]] = ()  # by the name of an interest
    hidden: Hidden | None = None
    refused: str = ""


@router.post("/subscribe", dependencies=[Depends(refuse_other_sites)])
def subscribe(
    request: Request, site: SiteDep, _even: EvenTime, form: FormDep, writing: WritingDep
) -> Response:
    """Take the form: the same answer for every address, and at most one mail, sent by a worker."""
    answer = RedirectResponse("/subscribed", 303)
    if form.get(forms.HONEYPOT):
        return answer
    typed = forms.typed_form(form)
    if form.get("step"):
        return _step_of_sign_up(request, site, writing.session, form)
    now = site.now()
    fill_seconds = site.minimum_fill_seconds
    stamp = forms.check_stamp(site.parts.keyring, form.get("stamp"), now, minimum_seconds=fill_seconds)
    address, preferences, errors = _read_sign_up(typed)
    if errors or stamp != "good" or preferences is None:
        # Whoever was too quick keeps the stamp: by the next press it is old enough.
        kept = str(form.get("stamp")) if stamp == "early" else forms.new_stamp(site.parts.keyring, now)
        message = "" if errors else STAMP_MESSAGES[stamp]
        view = forms.FormView(values=typed, errors=errors, stamp=kept, message=message)
        return site.page("subscribe.html", status=422, form=view, preview=None)
    origin = origin_of(request, site, form="/subscribe", wording=WORDING)
    sign_up(
        writing.session,
        site.parts.keyring,
        now,
        address=address,
        preferences=preferences,
        origin=origin,
    )
    writing.ring_after("mail.deliver", "transactional")
    return answer


def _step_of_sign_up(request: Request, site: Site, session: Session, form: FormData) -> Response:
    """Show the form again with what was typed, one interest more or less, or a preview: nothing is kept."""
    stamp = str(form.get("stamp") or "")
    view, preview = _stepped(request, site, session, form, stamp=stamp)
    status = 429 if preview and preview.refused else 422 if view.errors else 200
    return site.page("subscribe.html", status=status, form=view, preview=preview)


def _stepped(
    request: Request,
    site: Site,
    session: Session,
    form: FormData,
    *,
    stamp: str = "",
    reader: Profile = NOBODY,
) -> tuple[forms.FormView, Preview | None]:
    """Return the form as ``step`` leaves it ("add", "remove-2", "preview"), and the preview asked for."""
    step = str(form.get("step"))
    typed = forms.typed_form(form)
    if step == "preview":
        try:
            chosen = read_preferences(typed)
        except InvalidPreferences as error:
            return forms.FormView(values=typed, errors=error.errors, stamp=stamp), None
        return forms.FormView(values=typed, stamp=stamp), try_out(
            request, site, session, chosen, reader=reader
        )
    typed["interests"] = [
        block for number, block in forms.typed_interests(form) if step != f"remove-{number}"
    ]
    if step == "add" and len(typed["interests"]) < MAXIMUM_INTERESTS:
        typed["interests"].append({})
    return forms.FormView(values=typed, stamp=stamp, is_stepped=True), None


def try_out(
    request: Request, site: Site, session: Session, chosen: Preferences, *, reader: Profile = NOBODY
) -> Preview:
    """Return what a digest by these preferences would hold now, and what the mutes hide. Keeps nothing.

    ``reader`` is whose digest it is: libraries, answers and papers seen stay theirs.
    """
    now = site.now()
    if not site.previews.take(client_address(request, site.trusted), now):
        return Preview(refused=TRIED_TOO_OFTEN)
    wanted = draft_profile(chosen)
    libraries = [interest for interest in reader.interests if interest.library]
    profile = replace(
        reader,
        interests=(*wanted.interests, *libraries),
        mutes=wanted.mutes,
        explores=wanted.explores,
    )
    draft = site.lists.try_out(session, profile, now, timezone=chosen.timezone, count=chosen.paper_count)
    papers = shelf.papers_by_id(session, draft.papers) if draft else {}
    lists = draft.selection.lists if draft and draft.selection else ()
    return Preview(
        lists=[
            (HEADINGS[name], [(papers[one.id], one) for one in ranked if one.id in papers])
            for name, ranked in lists
        ],
        understood=[(one.name, describe(one)) for one in chosen.interests if plain_field(one) is None],
        hidden=hidden_by(site, session, chosen),
    )


def hidden_by(site: Site, session: Session, chosen: Preferences) -> Hidden | None:
    """Count the papers that the mutes hide now; None where nothing is muted."""
    mutes = (*chosen.mutes, *(mute for one in chosen.interests for mute in one.mutes))
    return site.lists.hidden(session, dict.fromkeys(mutes), site.now()) if mutes else None


def _read_sign_up(typed: dict[str, Any]) -> tuple[str, Preferences | None, dict[str, str]]:
    """Return address, preferences and what is wrong with either, by field."""
    errors: dict[str, str] = {}
    address, preferences = "", None
    try:
        address = parse_address(str(typed["address"]))
    except InvalidAddress as error:
        errors["address"] = str(error)
    try:
        preferences = read_preferences(typed)
    except InvalidPreferences as error:
        errors |= error.errors
    return address, preferences, errors


@router.get("/subscribe")
def subscribe_page(site: SiteDep) -> Response:
    """Show the form by itself."""
    stamp = forms.new_stamp(site.parts.keyring, site.now())
    return site.page("subscribe.html", form=forms.blank_form(stamp=stamp), preview=None)


@router.get("/subscribed")
def subscribed(site: SiteDep) -> Response:
    """Say what happens next; the same for everybody."""
    return site.page("subscribed.html", sender=site.parts.settings.sender_address)


@router.get("/confirm/{token}")
def confirm_page(site: SiteDep, session: Reading, token: str) -> Response:
    """Show what would be confirmed, and the button."""
    view = confirming.find_pending(session, site.parts.keyring, token, site.now())
    if view is None:
        return dead_link(site, "confirm")
    if view.is_confirmed:
        return _confirmed(site, view.preferences)
    return site.page(
        "confirm.html",
        token=token,
        schedule=describe_schedule(view.preferences),
        interests=[_summary(interest) for interest in view.preferences.interests],
        mutes=view.preferences.mutes,
    )


def _summary(interest: InterestDraft) -> str:
    """Name an interest with what counts against a paper of it."""
    against = f" (not {', '.join(interest.against)})" if interest.against else ""
    return f"{interest.name}{against}"


@router.post("/confirm/{token}")
def confirm(request: Request, site: SiteDep, writing: WritingDep, token: str) -> Response:
    """Start the subscription; the first digest is asked for at once."""
    now, keyring = site.now(), site.parts.keyring
    view = confirming.find_pending(writing.session, keyring, token, now)
    origin = origin_of(request, site, form="/confirm", wording=WORDING)
    subscriber_id = confirming.confirm(writing.session, keyring, token, now, origin)
    if subscriber_id is None or view is None:
        return dead_link(site, "confirm")
    if not view.is_confirmed:
        writing.ring_after("digests.plan_first", subscriber_id)
    return _confirmed(site, view.preferences)


def _confirmed(site: Site, preferences: Preferences) -> Response:
    return site.page(
        "confirmed.html",
        schedule=describe_schedule(preferences),
        zone=preferences.timezone,
        next_at=next_digest_at(preferences, site.now()),
    )


def next_digest_at(preferences: Preferences, now: datetime) -> datetime | None:
    """Return when the digest after today's is due: there is one at most for each local date."""
    zone = open_zone(preferences.timezone)
    due = next_due_at(zone, preferences.weekdays, preferences.send_hour, now)
    if due is not None and local_date(zone, due) == local_date(zone, now):
        return next_due_at(zone, preferences.weekdays, preferences.send_hour, due)
    return due


@router.get("/preferences/{token}")
def preferences_page(site: SiteDep, session: Reading, token: str) -> Response:
    """Show what is chosen. No address: digests are forwarded, and with them this link."""
    return _preferences(site, session, token)


@router.post("/preferences/{token}")
def change_preferences(
    request: Request, site: SiteDep, form: FormDep, writing: WritingDep, token: str
) -> Response:
    """Save the form, pause, resume, or mail a link to one's data; ``do`` says which."""
    session, now, keyring = writing.session, site.now(), site.parts.keyring
    origin = origin_of(request, site, form="/preferences", wording=WORDING)
    found = changing.load(session, keyring, token)
    if found is None:
        return dead_link(site, "preferences")
    match form.get("do"):
        case "pause":
            today = local_date(open_zone(found[1].timezone), now)
            until = today + timedelta(days=_pause_days(form.get("days")))
            changing.pause(session, keyring, token, until, now=now, origin=origin)
            return _preferences(site, session, token, saved=f"Paused. Digests go on from {until:%-d %B}.")
        case "resume":
            changing.resume(session, keyring, token, now, origin)
            return _preferences(site, session, token, saved="Resumed.")
        case "export" | "erase" as action:
            return _mail_link(site, writing, token, found, action=action, origin=origin)
    if form.get("step") and not str(form.get("step")).startswith("remove-"):
        return _step_of_preferences(request, site, session, token, form)
    return _save(site, session, token, form, origin)


def _step_of_preferences(
    request: Request, site: Site, session: Session, token: str, form: FormData
) -> Response:
    """Show the form again with one more interest to fill in, or with a preview: nothing is saved."""
    found = changing.load(session, site.parts.keyring, token)
    if found is None or not _is_whole(form):
        return _preferences(site, session, token, refused=NO_FORM, status=422)
    reader = load_full_profiles(session, [found[0].id], site.now(), days=LONGEST_DAYS)[found[0].id]
    view, preview = _stepped(request, site, session, form, reader=reader)
    status = 429 if preview and preview.refused else 422 if view.errors else 200
    return _preferences(site, session, token, form=view, preview=preview, status=status)


def _is_whole(form: FormData) -> bool:
    """Say whether the whole form came along, not only a button of it."""
    return form.get("do") == "save" or bool(form.get("hour") and form.get("timezone"))


def _mail_link(
    site: Site,
    writing: Writing,
    token: str,
    found: tuple[SubscriberRow, Preferences],
    *,
    action: managing.Action,
    origin: Origin,
) -> Response:
    """Mail a link to one's data, or say since when and until when there is none to be had."""
    session, now, keyring = writing.session, site.now(), site.parts.keyring
    subscriber, present = found
    if not managing.request_link(
        session, keyring, now, action=action, origin=origin, subscriber_id=subscriber.id
    ):
        refused = _why_no_link(site, session, subscriber, present)
        return _preferences(site, session, token, refused=refused, status=429)
    writing.ring_after("mail.deliver", "transactional")
    return _preferences(site, session, token, saved="A link is on its way to your mailbox.")


def _save(site: Site, session: Session, token: str, form: FormData, origin: Origin) -> Response:
    # Unticked boxes are not sent: a post without the form would read as one with every choice taken back.
    if not _is_whole(form):
        return _preferences(site, session, token, refused=NO_FORM, status=422)
    typed = forms.typed_form(form)
    removed = str(form.get("step") or "")
    typed["interests"] = [
        block
        for number, block in forms.typed_interests(form)
        if not forms.is_blank(block) and removed != f"remove-{number}"
    ]
    try:
        chosen = read_preferences(typed)
    except InvalidPreferences as error:
        view = forms.FormView(values=typed, errors=error.errors)
        return _preferences(site, session, token, form=view, status=422)
    changing.change(session, site.parts.keyring, token, chosen, now=site.now(), origin=origin)
    saved = "Removed, and the rest is saved." if removed else "Saved. The next digest follows this."
    return _preferences(site, session, token, saved=saved)


def _why_no_link(site: Site, session: Session, subscriber: SubscriberRow, present: Preferences) -> str:
    """Say why no link was mailed: whoever holds a preferences link knows of the subscriber already."""
    wait = managing.find_link_wait(session, site.parts.keyring, site.now(), address=subscriber.address)
    if wait is None:
        settings = site.parts.settings
        contact = settings.contact_address or settings.sender_address
        return f"No link can be mailed right now. Please try again in an hour, or write to {contact}."
    last_at, free_at = (local_instant(at, present.timezone) for at in (wait.last_at, wait.free_at))
    return f"No new link was mailed: you were sent one on {last_at}. You can ask for another from {free_at}."


def _preferences(
    site: Site,
    session: Session,
    token: str,
    *,
    form: forms.FormView | None = None,
    preview: Preview | None = None,
    saved: str = "",
    refused: str = "",
    status: int = 200,
) -> Response:
    keyring = site.parts.keyring
    found = changing.load(session, keyring, token)
    if found is None:
        return dead_link(site, "preferences")
    subscriber, present = found
    paused_until = subscriber.paused_until
    return site.page(
        "preferences.html",
        status=status,
        token=token,
        form=form or forms.filled_form(present),
        preview=preview,
        hidden=hidden_by(site, session, present) if form is None else None,
        libraries=keeping.list_libraries(session, subscriber.id),
        saved=saved,
        refused=refused,
        schedule=describe_schedule(present),
        zone=present.timezone,
        paused_until=paused_until if paused_until and paused_until > site.now() else None,
        unsubscribe_path=f"/unsubscribe/{leaving.unsubscribe_token(keyring, subscriber)}",
    )


def _pause_days(value: object) -> int:
    return int(value) if isinstance(value, str) and value in {"7", "14", "30"} else 7


@router.get("/unsubscribe/{token}")
def unsubscribe_page(site: SiteDep, token: str) -> Response:
    """Show one button; nothing is looked up, so nothing is told."""
    if not leaving.is_unsubscribe_token(site.parts.keyring, token):
        return dead_link(site, "unsubscribe")
    return site.page("unsubscribe.html", token=token)


@router.post("/unsubscribe/{token}")
def unsubscribe(request: Request, site: SiteDep, writing: WritingDep, token: str) -> Response:
    """Unsubscribe, by the page's button or a mail program's one click (RFC 8058).

    The link alone is the authority: no cookie, origin or body is looked at, so both encodings of the body
    do, and so does none. It may be pressed again and for ever; the answer is 200 and no redirect.
    """
    origin = origin_of(request, site, form="/unsubscribe", wording=WORDING)
    says_goodbye = site.parts.settings.goodbye_mail
    parts, session = site.parts, writing.session
    if not leaving.leave(session, parts.keyring, token, site.now(), origin, says_goodbye=says_goodbye):
        return dead_link(site, "unsubscribe")
    if says_goodbye:
        writing.ring_after("mail.deliver", "transactional")
    return site.page("unsubscribed.html")


def dead_link(site: Site, kind: str) -> Response:
    """Make the page for a link that opens nothing."""
    return site.page("dead_link.html", status=404, kind=kind)
