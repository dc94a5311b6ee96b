"""A reader's own list, and what they say of papers. GET shows, only POST acts: scanners follow every link.

The link in the mail is the authority, and it opens no more than this: not the preferences, not the address.
"""

from collections.abc import Iterable
from typing import cast

from fastapi import APIRouter, HTTPException
from sqlalchemy.orm import Session
from starlette.responses import Response

from service.papers import shelf
from service.papers.cleaning import clean_url, paper_id
from service.papers.tables import PaperRow
from service.subscribers import answers
from service.subscribers.answers import Answer, TooManyAnswers, Word
from service.subscribers.tables import SubscriberRow
from service.web.dependencies import Reading, SiteDep, WritingDep
from service.web.site import Site
from service.web.subscriptions import dead_link

router = APIRouter(include_in_schema=False)

UNKNOWN = "This paper is not known here, so nothing was kept. The link may have been cut in two."
FULL = "You have answered so many papers that no more answers are kept. Take some back, or forget them all."
HEADINGS = {"trending": "Trending", "for_you": "For you"}


@router.get("/list/{token}")
def list_page(site: SiteDep, session: Reading, token: str) -> Response:
    """Show what the next digest would hold now, with two buttons beside each paper."""
    reader = answers.find_reader(session, site.parts.keyring, token)
    if reader is None:
        return dead_link(site, "list")
    draft = site.lists.draft(session, reader, site.now())
    said = {one.paper_id: one for one in answers.load(session, reader.id)}
    chosen = draft.selection if draft else None
    papers = shelf.papers_by_id(session, draft.papers) if draft else {}
    return site.page(
        "list.html",
        token=token,
        lists=[
            (HEADINGS[name], [(papers[one.id], one) for one in ranked if one.id in papers])
            for name, ranked in (chosen.lists if chosen else ())
        ],
        said=said,
        counts=count_answers(said.values()),
    )


@router.get("/list/{token}/papers/{asked:path}")
def paper_page(site: SiteDep, session: Reading, token: str, asked: str) -> Response:
    """Show a paper to its reader: as the public page does, with the two buttons."""
    reader = answers.find_reader(session, site.parts.keyring, token)
    if reader is None:
        return dead_link(site, "list")
    paper = find_paper(session, asked)
    return site.page(
        "paper.html",
        paper=paper,
        observations=shelf.observations_of(session, paper.id),
        trend=site.trends.at(session, site.now()).get(paper.id),
        outside=[url for url in (paper.repository_url, paper.project_url) if clean_url(url)],
        token=token,
        answer=answers.find(session, reader.id, paper.id),
    )


@router.get("/list/{token}/{word}/{asked:path}")
def answer_page(site: SiteDep, session: Reading, token: str, word: str, asked: str) -> Response:
    """Show one button, and what was said of the paper before."""
    reader = answers.find_reader(session, site.parts.keyring, token)
    if reader is None:
        return dead_link(site, "list")
    word = read_word(word)
    paper = find_paper(session, asked)
    answer = answers.find(session, reader.id, paper.id)
    return site.page("answer.html", token=token, word=word, paper=paper, answer=answer)


@router.post("/list/{token}/undo/{asked:path}")
def undo(site: SiteDep, writing: WritingDep, token: str, asked: str) -> Response:
    """Take an answer back."""
    reader = answers.find_reader(writing.session, site.parts.keyring, token, lock=True)
    if reader is None:
        return dead_link(site, "list")
    paper = find_paper(writing.session, asked)
    had = answers.take_back(writing.session, reader.id, paper.id)
    return _told(site, writing.session, reader, paper, token=token, word=None, is_new=had)


@router.post("/list/{token}/{word}/{asked:path}")
def answer(site: SiteDep, writing: WritingDep, token: str, word: str, asked: str) -> Response:
    """Keep what the reader says of a paper, say what was understood and what follows, and offer to undo."""
    reader = answers.find_reader(writing.session, site.parts.keyring, token, lock=True)
    if reader is None:
        return dead_link(site, "list")
    said = read_word(word)
    paper = find_paper(writing.session, asked)
    try:
        before = answers.give(writing.session, reader.id, paper.id, said, site.now())
    except TooManyAnswers as error:
        raise HTTPException(409, FULL) from error
    is_new = before is None or before.word != said
    return _told(site, writing.session, reader, paper, token=token, word=said, is_new=is_new)


def _told(
    site: Site,
    session: Session,
    reader: SubscriberRow,
    paper: PaperRow,
    *,
    token: str,
    word: Word | None,
    is_new: bool,
) -> Response:
    given = answers.load(session, reader.id)
    return site.page(
        "answered.html", token=token, word=word, paper=paper, is_new=is_new, counts=count_answers(given)
    )


def read_word(text: str) -> Word:
    """Return what an address says.

    Raises:
        HTTPException: 404, it says nothing that can be answered.
    """
    if text not in {"more", "less"}:
        raise HTTPException(404)
    return cast(Word, text)


def find_paper(session: Session, asked: str) -> PaperRow:
    """Return the paper that an address names.

    Raises:
        HTTPException: 404, it is no paper's id, or the paper is not on the shelf.
    """
    id_ = paper_id(asked)
    paper = shelf.get_paper(session, id_) if id_ else None
    if paper is None:
        raise HTTPException(404, UNKNOWN)
    return paper


def count_answers(given: Iterable[Answer]) -> dict[str, int]:
    """Count answers by their word."""
    words = [one.word for one in given]
    return {"more": words.count("more"), "less": words.count("less")}
