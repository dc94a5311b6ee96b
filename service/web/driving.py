"""What drives somebody's list: interests, mutes, answers and what was learned, each removable by a button.

Behind the preferences link, which may change them all. GET shows, only POST acts.
"""

import math
from dataclasses import replace

from fastapi import APIRouter, Request
from sqlalchemy.orm import Session
from starlette.datastructures import FormData
from starlette.responses import Response

from service.papers import shelf
from service.ranking import learning
from service.subscribers import answers, changing
from service.subscribers.consent import Origin
from service.subscribers.libraries import keeping
from service.subscribers.links import list_token
from service.subscribers.preferences import Preferences
from service.subscribers.tables import SubscriberRow
from service.web.dependencies import FormDep, Reading, SiteDep, WritingDep, origin_of
from service.web.feedback import count_answers
from service.web.forms import WORDING
from service.web.site import Site
from service.web.subscriptions import dead_link

router = APIRouter(include_in_schema=False)

ANSWERS_SHOWN = 200


@router.get("/preferences/{token}/drives")
def drives_page(site: SiteDep, session: Reading, token: str) -> Response:
    """Show what the list follows."""
    return _page(site, session, token)


@router.post("/preferences/{token}/drives")
def drop(request: Request, site: SiteDep, form: FormDep, writing: WritingDep, token: str) -> Response:
    """Take one thing out, or forget all answers; ``do`` says which, ``what`` names it."""
    session, keyring = writing.session, site.parts.keyring
    found = changing.load(session, keyring, token)
    if found is None:
        return dead_link(site, "preferences")
    origin = origin_of(request, site, form="/preferences/drives", wording=WORDING)
    done = _drop(site, session, token, found, form=form, origin=origin)
    return _page(site, session, token, saved=done or "", refused="" if done else "Nothing was changed.")


def _drop(
    site: Site,
    session: Session,
    token: str,
    found: tuple[SubscriberRow, Preferences],
    *,
    form: FormData,
    origin: Origin,
) -> str | None:
    """Do what a button says; return a sentence of what was done, None if there was nothing to do."""
    person, present = found
    what = str(form.get("what") or "")
    match form.get("do"):
        case "interest":
            left = replace(present, interests=tuple(one for one in present.interests if one.name != what))
            word = f"The interest “{what}” is taken out."
        case "mute":
            left = replace(present, mutes=tuple(one for one in present.mutes if one != what))
            word = f"“{what}” is not muted any more."
        case "answer":
            return "That answer is taken back." if answers.take_back(session, person.id, what) else None
        case "forget":
            count = answers.forget_all(session, person.id)
            return f"All answers are forgotten: {count:,}. Your list follows your interests alone."
        case _:
            return None
    if left == present:
        return None
    changing.change(session, site.parts.keyring, token, left, now=site.now(), origin=origin)
    return word


def _page(site: Site, session: Session, token: str, *, saved: str = "", refused: str = "") -> Response:
    keyring = site.parts.keyring
    found = changing.load(session, keyring, token)
    if found is None:
        return dead_link(site, "preferences")
    person, present = found
    given = answers.load(session, person.id)
    profile, corpus = site.lists.learned(session, person, site.now())
    libraries = keeping.list_libraries(session, person.id)
    learned = learning.explain(corpus, profile)
    named = [one.paper_id for one in given] + [*(learned.papers if learned else ())]  # examples, too
    whole = sum(one.weight for one in present.interests) + sum(one.weight for one in libraries) or 1.0
    return site.page(
        "drives.html",
        status=422 if refused else 200,
        token=token,
        list_token=list_token(keyring, person),
        saved=saved,
        refused=refused,
        interests=[(one, one.weight / whole) for one in present.interests],
        libraries=[(one, one.weight / whole) for one in libraries],
        mutes=present.mutes,
        given=given[: -ANSWERS_SHOWN - 1 : -1],
        more=max(len(given) - ANSWERS_SHOWN, 0),
        papers=shelf.papers_by_id(session, named),
        counts=count_answers(given),
        learned=learned,
        explores=present.explores,
        half_life=round(math.log(2) / learning.DECAY),
        least_liked=learning.LEAST_LIKED,
        least_disliked=learning.LEAST_DISLIKED,
        liked_alone=learning.LIKED_ALONE,
    )
