"""The button behind the link: once, in time, and nothing by looking."""

import threading
from datetime import timedelta

import pytest
from sqlalchemy import text

from service.keys import Keyring
from service.subscribers import confirming, leaving
from tests.conftest import SECRET
from tests.subscriber_desk import Desk, some_preferences


def view(desk: Desk, token: str) -> confirming.ConfirmView | None:
    with desk.database.reading() as session:
        return confirming.find_pending(session, desk.keyring, token, desk.clock())


def test_pressing_the_button_makes_the_subscription_active(desk: Desk) -> None:
    desk.sign_up()
    subscriber_id = desk.confirm(desk.confirm_token())

    subscriber = desk.subscriber()
    assert (subscriber.id, subscriber.status) == (subscriber_id, "active")
    assert subscriber.confirmed_at == desk.clock()
    assert desk.preferences() == some_preferences()
    requested, confirmed = desk.events()
    assert (confirmed.kind, confirmed.wording, confirmed.network) == ("confirmed", "form-1", "192.0.2.0/24")
    assert confirmed.token_hash == requested.token_hash


@pytest.mark.trust(82)
def test_looking_at_the_page_changes_nothing(desk: Desk) -> None:
    desk.sign_up()
    for _ in range(50):
        page = view(desk, desk.confirm_token())

    assert page is not None
    assert page.preferences == some_preferences()
    assert not page.is_confirmed
    assert desk.subscriber().status == "pending"
    assert len(desk.events()) == 1


def test_pressing_again_is_answered_kindly_and_changes_nothing(desk: Desk) -> None:
    desk.sign_up()
    token = desk.confirm_token()
    first = desk.confirm(token)
    desk.clock.advance(timedelta(hours=1))

    assert desk.confirm(token) == first
    assert desk.subscriber().confirmed_at == desk.clock() - timedelta(hours=1)
    assert [event.kind for event in desk.events()] == ["requested", "confirmed"]
    page = view(desk, token)
    assert page is not None
    assert page.is_confirmed


def test_a_used_link_does_not_bring_back_who_has_left(desk: Desk) -> None:
    desk.sign_up()
    token = desk.confirm_token()
    desk.confirm(token)
    desk.leave(leaving.unsubscribe_token(desk.keyring, desk.subscriber()))

    assert desk.confirm(token) is None
    assert view(desk, token) is None
    assert desk.subscriber().status == "unsubscribed"


def test_the_link_holds_for_48_hours(desk: Desk) -> None:
    desk.sign_up()
    token = desk.confirm_token()
    desk.clock.advance(timedelta(hours=48, seconds=-1))
    assert view(desk, token) is not None

    desk.clock.advance(timedelta(seconds=1))
    assert view(desk, token) is None
    assert desk.confirm(token) is None
    assert desk.compose(*desk.deliveries())[0].reason == "expired"


def test_a_change_of_keys_spoils_no_link_already_mailed_or_waiting(desk: Desk) -> None:
    desk.sign_up()
    mailed = desk.confirm_token()
    desk.keyring = Keyring(["another-secret-for-tests-0123456789-xyz", SECRET])
    waiting = desk.confirm_token()

    assert mailed != waiting
    assert view(desk, mailed) is not None
    assert view(desk, waiting) is not None
    assert desk.confirm(mailed) is not None


def test_two_presses_at_the_same_moment_confirm_once(desk: Desk) -> None:
    desk.sign_up()
    token, results = desk.confirm_token(), []
    barrier = threading.Barrier(4)

    def press() -> None:
        barrier.wait()
        results.append(desk.confirm(token))

    threads = [threading.Thread(target=press) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert results == [desk.subscriber().id] * 4
    assert [event.kind for event in desk.events()] == ["requested", "confirmed"]


@pytest.mark.trust(83)
def test_only_a_hash_of_the_token_is_at_rest(desk: Desk) -> None:
    desk.sign_up()
    token = desk.confirm_token()

    with desk.database.reading() as session:
        rows = [
            str(row)
            for table in ("tokens", "deliveries", "consent_events", "subscribers")
            for row in session.execute(text(f"select * from {table}"))
        ]
    assert not any(token in row for row in rows)
