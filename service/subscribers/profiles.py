"""What ranking needs to know of subscribers, read for a whole chunk at once."""

from collections import defaultdict
from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from service.bulk import among
from service.ranking.values import Interest, Profile
from service.subscribers.tables import InterestRow, SubscriberRow
from service.subscribers.topics import topic_by_slug


def load_profiles(session: Session, subscriber_ids: Sequence[int]) -> dict[int, Profile]:
    """Return the profile of each subscriber that exists, by id, in two queries. ``seen`` is left empty."""
    interests: dict[int, list[Interest]] = defaultdict(list)
    rows = session.execute(
        select(InterestRow.__table__)
        .where(InterestRow.subscriber_id.in_(subscriber_ids))
        .order_by(InterestRow.subscriber_id, InterestRow.position)
    )
    for row in rows:
        interests[row.subscriber_id].append(
            _interest(
                row.name,
                row.topic,
                tuple(row.phrases),
                tuple(row.categories),
                authors=tuple(row.authors),
                examples=tuple(row.examples),
                mutes=tuple(row.mutes),
                weight=row.weight,
            )
        )
    people = session.execute(
        select(SubscriberRow.id, SubscriberRow.mutes).where(SubscriberRow.id.in_(subscriber_ids))
    )
    return {
        person.id: Profile(interests=tuple(interests[person.id]), mutes=tuple(person.mutes))
        for person in people
    }


def load_interest_names(session: Session, subscriber_ids: Sequence[int]) -> dict[int, tuple[str, ...]]:
    """Return the names of each subscriber's interests in their order; nothing for who has none."""
    names: dict[int, list[str]] = defaultdict(list)
    rows = session.execute(
        select(InterestRow.subscriber_id, InterestRow.name)
        .where(among(session, InterestRow.subscriber_id, subscriber_ids))
        .order_by(InterestRow.subscriber_id, InterestRow.position)
    )
    for subscriber_id, name in rows:
        names[subscriber_id].append(name)
    return {subscriber_id: tuple(each) for subscriber_id, each in names.items()}


def _interest(
    name: str,
    slug: str | None,
    phrases: tuple[str, ...],
    categories: tuple[str, ...],
    *,
    authors: tuple[str, ...],
    examples: tuple[str, ...],
    mutes: tuple[str, ...],
    weight: float,
) -> Interest:
    """Fill a catalogue topic with the phrases of today's catalogue; one that is gone is matched by name."""
    topic = topic_by_slug(slug) if slug else None
    if topic is not None:
        phrases, categories = phrases + topic.phrases, categories + topic.categories
    elif slug and not phrases:
        phrases = (name.lower(),)
    return Interest(
        name=name,
        phrases=phrases,
        categories=categories,
        authors=authors,
        examples=examples,
        mutes=mutes,
        weight=weight,
    )
