"""Preferences to rows and back."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import delete, insert, select, update
from sqlalchemy.orm import Session

from service.subscribers.preferences import InterestDraft, Preferences
from service.subscribers.tables import InterestRow, SubscriberRow


def find_by_address(session: Session, address: str) -> SubscriberRow | None:
    """Return the subscriber of a normalised address, locked until the transaction ends, or None."""
    return session.scalars(
        select(SubscriberRow)
        .where(SubscriberRow.address == address)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).one_or_none()


def id_of(session: Session, address: str) -> int | None:
    """Return the id of the subscriber of a normalised address, or None."""
    return session.scalars(select(SubscriberRow.id).where(SubscriberRow.address == address)).one_or_none()


def find_by_public_id(session: Session, public_id: int | None, *, lock: bool) -> SubscriberRow | None:
    """Return the subscriber a token names, or None."""
    if public_id is None:
        return None
    query = select(SubscriberRow).where(SubscriberRow.public_id == public_id)
    return session.scalars(
        (query.with_for_update() if lock else query).execution_options(populate_existing=True)
    ).one_or_none()


def load_locked(session: Session, subscriber_id: int) -> SubscriberRow | None:
    """Return a subscriber by id, locked until the transaction ends, or None."""
    return session.get(SubscriberRow, subscriber_id, with_for_update=True, populate_existing=True)


def load_preferences(session: Session, subscriber: SubscriberRow) -> Preferences:
    """Return what a subscriber has chosen."""
    rows = session.scalars(
        select(InterestRow).where(InterestRow.subscriber_id == subscriber.id).order_by(InterestRow.position)
    )
    return Preferences(
        timezone=subscriber.timezone,
        send_hour=subscriber.send_hour,
        weekdays=subscriber.weekdays,
        paper_count=subscriber.paper_count,
        interests=tuple(_draft(row) for row in rows),
        mutes=tuple(subscriber.mutes),
        explores=subscriber.explores,
    )


def replace_preferences(
    session: Session, subscriber_id: int, preferences: Preferences, now: datetime
) -> None:
    """Store what a subscriber has chosen, in place of what was there."""
    session.execute(
        update(SubscriberRow)
        .where(SubscriberRow.id == subscriber_id)
        .values(**columns(preferences), updated_at=now)
    )
    session.execute(delete(InterestRow).where(InterestRow.subscriber_id == subscriber_id))
    if rows := interest_values(subscriber_id, preferences):
        session.execute(insert(InterestRow), rows)


def columns(preferences: Preferences) -> dict[str, Any]:
    """Return the columns of ``subscribers`` that hold preferences."""
    return {
        "timezone": preferences.timezone,
        "send_hour": preferences.send_hour,
        "weekdays": preferences.weekdays,
        "paper_count": preferences.paper_count,
        "mutes": list(preferences.mutes),
        "explores": preferences.explores,
    }


def interest_values(subscriber_id: int, preferences: Preferences) -> list[dict[str, Any]]:
    """Return the rows of ``interests`` as values to insert."""
    return [
        {"subscriber_id": subscriber_id, "position": position, **_values(draft)}
        for position, draft in enumerate(preferences.interests)
    ]


def _values(draft: InterestDraft) -> Mapping[str, Any]:
    return {
        "name": draft.name[:120],
        "topic": draft.topic,
        "phrases": list(draft.phrases),
        "categories": list(draft.categories),
        "authors": list(draft.authors),
        "examples": list(draft.examples),
        "against": list(draft.against),
        "mutes": list(draft.mutes),
        "weight": draft.weight,
    }


def _draft(row: InterestRow) -> InterestDraft:
    return InterestDraft(
        name=row.name,
        topic=row.topic,
        phrases=tuple(row.phrases),
        categories=tuple(row.categories),
        authors=tuple(row.authors),
        examples=tuple(row.examples),
        against=tuple(row.against),
        mutes=tuple(row.mutes),
        weight=row.weight,
    )
