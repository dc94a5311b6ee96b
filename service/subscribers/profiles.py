"""What ranking needs to know of subscribers, read for a whole chunk at once."""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache, lru_cache
from typing import Any

from sqlalchemy import ColumnElement, Select, Text, cast, func, select
from sqlalchemy.orm import Session

from service.bulk import among, among_given, ids_of, is_postgres
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
_PART = "\x1f"  # stands in no slug and in no JSON; the name, in which it might, comes last
INTERESTS = 16_384  # kept
WORDS = 4_096  # lists of mutes kept


def load_profiles(
    session: Session, subscriber_ids: Sequence[int], *, seen: Mapping[int, frozenset[str]] | None = None
) -> dict[int, Profile]:
    """Return the profile of each subscriber that exists, by id, in a few queries.

    A library is one more interest. ``seen`` of a profile holds the known papers that stand in a library, and
    those of ``seen``.
    """
    connection, ids = session.connection(), ids_of(session, subscriber_ids)
    in_arrays, given = is_postgres(session), seen or {}
    interests: dict[int, list[Interest]] = defaultdict(list)
    for subscriber_id, weight, text in connection.execute(_interests(in_arrays), ids).all():
        interests[subscriber_id].append(_interest(text, weight))
    libraries, nothing = keeping.load_for_ranking(session, subscriber_ids), keeping.Read()
    profiles = {}
    for id_, mutes, explores in connection.execute(_people(in_arrays), ids).all():
        library = libraries.get(id_, nothing)
        profiles[id_] = Profile(
            interests=(*interests.get(id_, ()), *library.interests),
            mutes=_words(mutes),
            seen=given.get(id_, _NONE) | library.owned,
            explores=explores,
        )
    return profiles


_NONE = frozenset[str]()


@cache
def _interests(in_arrays: bool) -> Select[*tuple[Any, ...]]:
    """Ask for everybody's interests, each as one text: what thousands have in common is then read once."""
    text: ColumnElement[str] = func.coalesce(InterestRow.topic, "") + _PART
    for one in _LISTS:
        text = text + cast(one, Text) + _PART
    return (
        select(InterestRow.subscriber_id, InterestRow.weight, text + InterestRow.name)
        .where(among_given(InterestRow.subscriber_id, in_arrays=in_arrays))
        .order_by(InterestRow.subscriber_id, InterestRow.position)
    )


@cache
def _people(in_arrays: bool) -> Select[*tuple[Any, ...]]:
    return select(SubscriberRow.id, cast(SubscriberRow.mutes, Text), SubscriberRow.explores).where(
        among_given(SubscriberRow.id, in_arrays=in_arrays)
    )


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
def _interest(text: str, weight: float) -> Interest:
    slug, *lists, name = text.split(_PART, maxsplit=1 + len(_LISTS))
    phrases, categories, authors, examples, against, mutes = map(_words, lists)
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


@lru_cache(WORDS)
def _words(text: str) -> tuple[str, ...]:
    return tuple(json.loads(text))


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
