"""Each link opens its own door and no other: every purpose at every door."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from service.keys import Purpose
from service.subscribers import changing, confirming, leaving, managing
from tests.subscriber_desk import Desk, an_origin, some_preferences

Door = Callable[[Desk, str], object]


def look_at_confirmation(desk: Desk, token: str) -> object:
    with desk.database.reading() as session:
        return confirming.find_pending(session, desk.keyring, token, desk.clock())


def look_at_preferences(desk: Desk, token: str) -> object:
    with desk.database.reading() as session:
        return changing.load(session, desk.keyring, token)


def resume(desk: Desk, token: str) -> object:
    with desk.database.transaction() as session:
        return changing.resume(session, desk.keyring, token, desk.clock(), an_origin())


def look_at_request(desk: Desk, token: str) -> managing.ManageView | None:
    with desk.database.reading() as session:
        return managing.open_link(session, desk.keyring, token, desk.clock())


def exports(desk: Desk, token: str) -> object:
    opened = look_at_request(desk, token)
    return opened is not None and opened.action == "export" and desk.perform(token)


def erases(desk: Desk, token: str) -> object:
    opened = look_at_request(desk, token)
    return opened is not None and opened.action == "erase" and desk.perform(token)


DOORS: dict[Purpose, list[Door]] = {
    Purpose.CONFIRM: [look_at_confirmation, lambda desk, token: desk.confirm(token)],
    Purpose.PREFERENCES: [
        look_at_preferences,
        resume,
        lambda desk, token: desk.change(token, some_preferences(hour=3)),
    ],
    Purpose.EXPORT: [exports],
    Purpose.UNSUBSCRIBE: [
        lambda desk, token: leaving.is_unsubscribe_token(desk.keyring, token),
        lambda desk, token: desk.leave(token),
    ],
    Purpose.ERASE: [erases],
}


def genuine_tokens(desk: Desk) -> dict[Purpose, str]:
    """A living token for every purpose, of one and the same person, and one for each purpose of none."""
    subscriber = desk.subscribe()
    tokens = {
        Purpose.PREFERENCES: changing.preferences_token(desk.keyring, subscriber),
        Purpose.UNSUBSCRIBE: leaving.unsubscribe_token(desk.keyring, subscriber),
    }
    desk.sign_up("bob@example.org")
    tokens[Purpose.CONFIRM] = desk.confirm_token()
    for action in managing.PURPOSES:
        desk.request_link(action)
        tokens[managing.PURPOSES[action]] = desk.manage_token()
        desk.clock.advance(timedelta(minutes=11))  # the limit of one mail in ten minutes
    for purpose in Purpose:
        tokens.setdefault(purpose, desk.keyring.sign(purpose, subscriber.public_id))
    return tokens


@pytest.mark.trust(83)
@pytest.mark.parametrize("purpose", list(Purpose))
def test_a_token_opens_its_own_door_and_no_other(desk: Desk, purpose: Purpose) -> None:
    token = genuine_tokens(desk)[purpose]
    wrong_doors = [door for owner, doors in DOORS.items() if owner is not purpose for door in doors]
    right_doors = DOORS.get(purpose, [])

    assert [bool(door(desk, token)) for door in wrong_doors] == [False] * len(wrong_doors)
    assert [bool(door(desk, token)) for door in right_doors] == [True] * len(right_doors)


def test_a_number_behind_one_door_opens_no_other(desk: Desk) -> None:
    """Even when signed for the right purpose: a nonce is no public id and the other way round."""
    subscriber = desk.subscribe()
    nonce = desk.deliveries("confirm")[-1].parameters["nonce"]

    for purpose, doors in DOORS.items():
        if purpose is not Purpose.UNSUBSCRIBE:  # it says yes to whatever is genuine, and acts on nobody here
            number = nonce if purpose is Purpose.PREFERENCES else subscriber.public_id
            assert not any(door(desk, desk.keyring.sign(purpose, number)) for door in doors)
    desk.leave(desk.keyring.sign(Purpose.UNSUBSCRIBE, nonce))
    assert desk.subscriber().status == "active"


@pytest.mark.trust(18, 83)
def test_no_token_survives_a_flipped_sign(quick_desk: Desk) -> None:
    tokens = genuine_tokens(quick_desk)
    for purpose, doors in DOORS.items():
        token = tokens[purpose]
        for place in range(len(token)):
            flipped = token[:place] + ("A" if token[place] != "A" else "B") + token[place + 1 :]
            assert not any(door(quick_desk, flipped) for door in doors)


def test_a_new_version_voids_the_preferences_link_only(desk: Desk) -> None:
    tokens = genuine_tokens(desk)
    with desk.database.transaction() as session:
        subscriber = session.merge(desk.subscriber())
        subscriber.token_version += 1

    assert not any(door(desk, tokens[Purpose.PREFERENCES]) for door in DOORS[Purpose.PREFERENCES])
    for purpose in (Purpose.CONFIRM, Purpose.EXPORT, Purpose.UNSUBSCRIBE, Purpose.ERASE):
        assert all(door(desk, tokens[purpose]) for door in DOORS[purpose])
