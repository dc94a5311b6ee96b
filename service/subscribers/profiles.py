"""What ranking needs to know of subscribers, read for a whole chunk at once."""

import json
from collections import defaultdict
from collections.abc import Sequence
from functools import lru_cache

from sqlalchemy import Text, cast, select
from sqlalchemy.orm import Session

from service.bulk import among
from service.ranking.values import Interest, Profile
from service.subscribers.tables import InterestRow, SubscriberRow
from service.subscribers.topics import topic_by_slug

_LISTS = (
    InterestRow.phrases,
    InterestRow.categories,
    InterestRow.authors,
    InterestRow.examples,
    InterestRow.mutes,
)
# Lists come as they are written: what thousands have in common is then read once.
_INTEREST = (InterestRow.name, InterestRow.topic, InterestRow.weight, *(cast(one, Text) for one in _LISTS))
INTERESTS = 16_384  # kept


def load_profiles(session: Session, subscriber_ids: Sequence[int]) -> dict[int, Profile]:
    """Return the profile of each subscriber that exists, by id, in two queries. ``seen`` is left empty."""
    interests: dict[int, list[Interest]] = defaultdict(list)
    rows = session.execute(
        select(InterestRow.subscriber_id, *_INTEREST)
        .where(among(session, InterestRow.subscriber_id, subscriber_ids))
        .order_by(InterestRow.subscriber_id, InterestRow.position)
    )
    for subscriber_id, *values in rows:
        interests[subscriber_id].append(_interest(*values))
    people = session.execute(
        select(SubscriberRow.id, SubscriberRow.mutes).where(among(session, SubscriberRow.id, subscriber_ids))
    )
    return {
        id_: Profile(interests=tuple(interests.get(id_, ())), mutes=tuple(mutes)) for id_, mutes in people
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


@lru_cache(INTERESTS)
def _interest(name: str, slug: str | None, weight: float, *lists: str) -> Interest:
    """Fill a catalogue topic with the phrases of today's catalogue; one that is gone is matched by name."""
    phrases, categories, authors, examples, mutes = (tuple(json.loads(one)) for one in lists)
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
