"""What ranking needs to know of subscribers, read for a whole chunk at once."""

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

from sqlalchemy import Text, cast, select
from sqlalchemy.orm import Session

from service.bulk import among
from service.ranking.values import Interest, Profile
from service.subscribers.libraries import keeping
from service.subscribers.preferences import Preferences
from service.subscribers.tables import InterestRow, SubscriberRow
from service.subscribers.topics import topic_by_slug

_LISTS = (
    InterestRow.phrases,
    InterestRow.categories,
    InterestRow.authors,
    InterestRow.examples,
    InterestRow.against,
    InterestRow.mutes,
)
# Lists come as they are written: what thousands have in common is then read once.
_INTEREST = (InterestRow.name, InterestRow.topic, InterestRow.weight, *(cast(one, Text) for one in _LISTS))
INTERESTS = 16_384  # kept


def load_profiles(session: Session, subscriber_ids: Sequence[int]) -> dict[int, Profile]:
    """Return the profile of each subscriber that exists, by id, in a few queries.

    A library is one more interest. ``seen`` holds the known papers that stand in a library, and no others.
    """
    interests: dict[int, list[Interest]] = defaultdict(list)
    rows = session.execute(
        select(InterestRow.subscriber_id, *_INTEREST)
        .where(among(session, InterestRow.subscriber_id, subscriber_ids))
        .order_by(InterestRow.subscriber_id, InterestRow.position)
    )
    for subscriber_id, *values in rows:
        interests[subscriber_id].append(_interest(*values))
    people = session.execute(
        select(SubscriberRow.id, SubscriberRow.mutes, SubscriberRow.explores).where(
            among(session, SubscriberRow.id, subscriber_ids)
        )
    )
    libraries, none = keeping.load_for_ranking(session, subscriber_ids), keeping.Read()
    return {
        id_: Profile(
            interests=(*interests.get(id_, ()), *libraries.get(id_, none).interests),
            mutes=tuple(mutes),
            seen=libraries.get(id_, none).owned,
            explores=explores,
        )
        for id_, mutes, explores in people
    }


def draft_profile(preferences: Preferences) -> Profile:
    """Return the profile that preferences would make, of somebody who has nothing else."""
    return Profile(
        interests=tuple(
            fill_interest(
                Interest(
                    name=draft.name,
                    phrases=draft.phrases,
                    categories=draft.categories,
                    authors=draft.authors,
                    examples=draft.examples,
                    against=draft.against,
                    mutes=draft.mutes,
                    weight=draft.weight,
                ),
                draft.topic,
            )
            for draft in preferences.interests
        ),
        mutes=preferences.mutes,
        explores=preferences.explores,
    )


def load_interest_names(session: Session, subscriber_ids: Sequence[int]) -> dict[int, tuple[str, ...]]:
    """Return the names of each subscriber's interests, libraries last; nothing for who has none."""
    names: dict[int, list[str]] = defaultdict(list)
    rows = session.execute(
        select(InterestRow.subscriber_id, InterestRow.name)
        .where(among(session, InterestRow.subscriber_id, subscriber_ids))
        .order_by(InterestRow.subscriber_id, InterestRow.position)
    )
    for subscriber_id, name in rows:
        names[subscriber_id].append(name)
    for subscriber_id, libraries in keeping.load_names(session, subscriber_ids).items():
        names[subscriber_id] += libraries
    return {subscriber_id: tuple(each) for subscriber_id, each in names.items()}


@lru_cache(INTERESTS)
def _interest(name: str, slug: str | None, weight: float, *lists: str) -> Interest:
    phrases, categories, authors, examples, against, mutes = (tuple(json.loads(one)) for one in lists)
    return fill_interest(
        Interest(
            name=name,
            phrases=phrases,
            categories=categories,
            authors=authors,
            examples=examples,
            against=against,
            mutes=mutes,
            weight=weight,
        ),
        slug,
    )


def fill_interest(interest: Interest, slug: str | None) -> Interest:
    """Fill a catalogue topic with the phrases of today's catalogue; one that is gone is matched by name."""
    topic = topic_by_slug(slug) if slug else None
    if topic is not None:
        return replace(
            interest,
            phrases=interest.phrases + topic.phrases,
            categories=interest.categories + topic.categories,
        )
    return replace(interest, phrases=(interest.name.lower(),)) if slug and not interest.phrases else interest
