"""What a person said of papers: more like this, or not for me. Given, taken back and forgotten by a link.

The link stands beside every paper of a digest and names the person alone, so it answers for any paper that is
on the shelf: what somebody found on a page of the day may be answered as well as what was mailed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.orm import Session

from service.bulk import among
from service.keys import Keyring, Purpose
from service.ranking.values import Profile
from service.subscribers import storing
from service.subscribers.status import Status
from service.subscribers.tables import AnswerRow, SubscriberRow

Word = Literal["more", "less"]

# A busy reader gives some hundreds a year; whoever holds a link may not fill the disk.
MOST_ANSWERS = 5_000
MOST_LEARNED = 500  # the newest of one person that ranking looks at: the others have faded


class TooManyAnswers(ValueError):
    """A person has given as many answers as are kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The last word on one paper."""

    paper_id: str
    word: Word
    at: datetime


def find_reader(
    session: Session, keyring: Keyring, token: str, *, lock: bool = False
) -> SubscriberRow | None:
    """Return the active subscriber whose list a link opens; None if the link is void."""
    reader = storing.find_by_public_id(session, keyring.identifier(token), lock=lock)
    if reader is None or reader.status != Status.ACTIVE:
        return None
    genuine = keyring.verify(Purpose.FEEDBACK, token, reader.token_version) is not None
    return reader if genuine else None


def give(session: Session, subscriber_id: int, paper_id: str, word: Word, now: datetime) -> Answer | None:
    """Keep what is said of a paper; return what was said of it before, None if nothing.

    The same word again changes nothing, so a second press does not make an old answer young. Lock the
    subscriber first: two answers at once would else both be new.

    Raises:
        TooManyAnswers: as many are kept as may be.
    """
    before = find(session, subscriber_id, paper_id)
    if before is None:
        if _count(session, subscriber_id) >= MOST_ANSWERS:
            raise TooManyAnswers(f"more than {MOST_ANSWERS:,} answers are not kept")
        values = {"subscriber_id": subscriber_id, "paper_id": paper_id, "is_liked": word == "more", "at": now}
        session.execute(insert(AnswerRow).values(values))
    elif before.word != word:
        session.execute(
            update(AnswerRow)
            .where(AnswerRow.subscriber_id == subscriber_id, AnswerRow.paper_id == paper_id)
            .values(is_liked=word == "more", at=now)
        )
    return before


def take_back(session: Session, subscriber_id: int, paper_id: str) -> bool:
    """Forget what was said of a paper; False if nothing was."""
    result = session.execute(
        delete(AnswerRow).where(AnswerRow.subscriber_id == subscriber_id, AnswerRow.paper_id == paper_id)
    )
    return bool(result.rowcount)  # type: ignore[attr-defined]


def forget_all(session: Session, subscriber_id: int) -> int:
    """Forget everything a person said; return how many answers there were."""
    result = session.execute(delete(AnswerRow).where(AnswerRow.subscriber_id == subscriber_id))
    return int(result.rowcount)  # type: ignore[attr-defined]


def find(session: Session, subscriber_id: int, paper_id: str) -> Answer | None:
    """Return what a person said of a paper."""
    query = select(AnswerRow).where(AnswerRow.subscriber_id == subscriber_id, AnswerRow.paper_id == paper_id)
    row = session.execute(query.execution_options(populate_existing=True)).scalar_one_or_none()
    return None if row is None else _answer(row)


def load(session: Session, subscriber_id: int) -> list[Answer]:
    """Return everything a person said, the oldest first."""
    query = select(AnswerRow).where(AnswerRow.subscriber_id == subscriber_id)
    rows = session.scalars(
        query.order_by(AnswerRow.at, AnswerRow.id).execution_options(populate_existing=True)
    )
    return [_answer(row) for row in rows]


def with_answers(session: Session, profiles: Mapping[int, Profile], now: datetime) -> dict[int, Profile]:
    """Return the profiles of subscribers, by id, with what each said until ``now``, in one query.

    Of one person the newest 500 count, the oldest of them first.
    """
    rank = (
        func.row_number()
        .over(partition_by=AnswerRow.subscriber_id, order_by=(AnswerRow.at.desc(), AnswerRow.id.desc()))
        .label("rank")
    )
    newest = (
        select(AnswerRow.subscriber_id, AnswerRow.paper_id, AnswerRow.is_liked, AnswerRow.at, rank)
        .where(among(session, AnswerRow.subscriber_id, profiles), AnswerRow.at <= now)
        .subquery()
    )
    rows = session.execute(
        select(newest)
        .where(newest.c.rank <= MOST_LEARNED)
        .order_by(newest.c.subscriber_id, newest.c.rank.desc())
    )
    given: dict[int, list[Any]] = {}
    for row in rows:
        given.setdefault(row.subscriber_id, []).append(row)
    return {
        id_: _answered(profile, given[id_], now) if id_ in given else profile
        for id_, profile in profiles.items()
    }


def _answered(profile: Profile, rows: Sequence[Any], now: datetime) -> Profile:
    liked, disliked = ([row for row in rows if row.is_liked is side] for side in (True, False))
    return replace(
        profile,
        liked=tuple(row.paper_id for row in liked),
        disliked=tuple(row.paper_id for row in disliked),
        # Whole days, so that the list does not change from one hour to the next.
        answer_days=tuple(float((now - row.at).days) for row in (*liked, *disliked)),
    )


def _count(session: Session, subscriber_id: int) -> int:
    query = select(func.count()).select_from(AnswerRow).where(AnswerRow.subscriber_id == subscriber_id)
    return session.scalars(query).one()


def _answer(row: AnswerRow) -> Answer:
    return Answer(paper_id=row.paper_id, word="more" if row.is_liked else "less", at=row.at)
