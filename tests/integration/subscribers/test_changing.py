"""The preferences page: what it changes, what the log says of it, and what voids its link."""

from datetime import UTC, date, datetime, timedelta

import pytest

from service.ranking.values import Interest, Profile
from service.subscribers import changing, leaving
from service.subscribers.preferences import InvalidPreferences
from service.subscribers.profiles import load_profiles
from service.subscribers.topics import CATALOGUE
from tests.subscriber_desk import Desk, an_origin, some_preferences


def link(desk: Desk) -> str:
    return changing.preferences_token(desk.keyring, desk.subscriber())


def test_a_change_is_stored_and_logged_with_what_changed(desk: Desk) -> None:
    desk.subscribe()
    wanted = some_preferences(words="speech", hour=21, mutes="crypto")

    assert desk.change(link(desk), wanted)
    assert desk.preferences() == wanted
    assert desk.subscriber().updated_at == desk.clock()
    event = desk.events()[-1]
    assert event.kind == "changed"
    assert event.details == {
        "send_hour": [7, 21],
        "interests": {"added": ["speech"], "removed": ["mamba"]},
        "mutes": {"added": ["crypto"], "removed": []},
    }


def test_saving_what_is_there_already_logs_nothing(desk: Desk) -> None:
    desk.subscribe()

    assert desk.change(link(desk), some_preferences())
    assert [event.kind for event in desk.events()] == ["requested", "confirmed"]


def test_leaving_voids_the_link_even_after_coming_back(desk: Desk) -> None:
    desk.subscribe()
    old = link(desk)
    desk.leave(leaving.unsubscribe_token(desk.keyring, desk.subscriber()))
    assert not desk.change(old, some_preferences(hour=3))

    desk.subscribe()
    assert not desk.change(old, some_preferences(hour=3))
    assert desk.change(link(desk), some_preferences(hour=3))


def test_a_pause_lasts_until_the_local_day(desk: Desk) -> None:
    desk.subscribe()  # in Berlin; the clock stands at 16 March 2026
    assert desk.pause(link(desk), date(2026, 4, 1))

    assert desk.subscriber().paused_until == datetime(2026, 3, 31, 22, tzinfo=UTC)
    with desk.database.transaction() as session:
        assert changing.resume(session, desk.keyring, link(desk), desk.clock(), an_origin())
        assert changing.resume(session, desk.keyring, link(desk), desk.clock(), an_origin())
    assert desk.subscriber().paused_until is None
    assert [event.kind for event in desk.events()][2:] == ["paused", "resumed"]


@pytest.mark.parametrize("days", [-1, 0, 367])
def test_a_pause_lies_ahead_but_not_for_ever(quick_desk: Desk, days: int) -> None:
    quick_desk.subscribe()
    with pytest.raises(InvalidPreferences) as refusal:
        quick_desk.pause(link(quick_desk), quick_desk.clock().date() + timedelta(days=days))

    assert list(refusal.value.errors) == ["until"]


def test_the_profile_holds_the_choice_and_the_catalogues_phrases(desk: Desk) -> None:
    topic = CATALOGUE[0]
    subscriber = desk.subscribe(
        preferences=some_preferences(
            topics=[topic.slug], categories="cs.LG", authors="Ada Lovelace", mutes="nft"
        )
    )

    with desk.database.reading() as session:
        profiles = load_profiles(session, [subscriber.id, 999])
    assert profiles == {
        subscriber.id: Profile(
            interests=(
                Interest(name=topic.name, phrases=topic.phrases, categories=topic.categories),
                Interest(name="mamba", phrases=("mamba",)),
                Interest(name="cs.LG (Machine Learning)", categories=("cs.LG",)),
                Interest(name="By Ada Lovelace", authors=("Ada Lovelace",)),
            ),
            mutes=("nft",),
        )
    }
