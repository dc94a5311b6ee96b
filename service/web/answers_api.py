"""Answers to papers as JSON: the same as the buttons, for programs of a person's own."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.orm import Session

from service.subscribers import answers
from service.subscribers.answers import Answer, TooManyAnswers, Word
from service.subscribers.tables import SubscriberRow
from service.web.api import Problem
from service.web.dependencies import Reading, SiteDep, WritingDep
from service.web.feedback import FULL, find_paper
from service.web.site import Site

bearer = HTTPBearer(
    auto_error=False, description="The token in the links to your list, which stand in each of your digests"
)
Token = Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)]
NO_READER = (
    "Send the token of your list as a bearer token: it stands after /list/ in the links of your digests."
)

router = APIRouter(
    prefix="/api/v1/answers",
    responses={
        401: {"model": Problem, "description": "No token, or one that is void"},
        404: {"model": Problem, "description": "No such paper"},
    },
)


class AnswerRequest(BaseModel):
    """What is said of a paper."""

    model_config = ConfigDict(extra="forbid")

    answer: Word = Field(description="more: more like this; less: not for me")


class AnswerTold(BaseModel):
    """The last word on a paper, and when it was given."""

    paper: str
    answer: Word
    at: datetime


@router.get("")
def all_answers(site: SiteDep, session: Reading, token: Token) -> list[AnswerTold]:
    """Give every answer, the oldest first."""
    reader = _reader(site, session, token, lock=False)
    return [_told(one) for one in answers.load(session, reader.id)]


@router.put("/{paper_id:path}", responses={409: {"model": Problem, "description": "Too many answers"}})
def give(site: SiteDep, writing: WritingDep, token: Token, paper_id: str, body: AnswerRequest) -> AnswerTold:
    """Answer a paper, or change the answer. The same answer again changes nothing."""
    reader = _reader(site, writing.session, token, lock=True)
    paper = find_paper(writing.session, paper_id)
    try:
        answers.give(writing.session, reader.id, paper.id, body.answer, site.now())
    except TooManyAnswers as error:
        raise HTTPException(409, FULL) from error
    kept = answers.find(writing.session, reader.id, paper.id)
    if kept is None:
        raise LookupError("an answer just given is not there")
    return _told(kept)


@router.delete("/{paper_id:path}", status_code=204)
def take_back(site: SiteDep, writing: WritingDep, token: Token, paper_id: str) -> None:
    """Take an answer back, whether there was one or not."""
    reader = _reader(site, writing.session, token, lock=True)
    answers.take_back(writing.session, reader.id, find_paper(writing.session, paper_id).id)


def _reader(
    site: Site, session: Session, token: HTTPAuthorizationCredentials | None, *, lock: bool
) -> SubscriberRow:
    reader = answers.find_reader(session, site.parts.keyring, token.credentials, lock=lock) if token else None
    if reader is None:
        raise HTTPException(401, NO_READER, headers={"WWW-Authenticate": "Bearer"})
    return reader


def _told(answer: Answer) -> AnswerTold:
    return AnswerTold(paper=answer.paper_id, answer=answer.word, at=answer.at)
