"""What is kept no longer than it is needed."""

from datetime import timedelta

import pytest

from service.mail.tables import AlertRow, ReturnRow, UsedSignatureRow
from service.subscribers import leaving, retention
from service.subscribers.tables import SignUpMailRow, SubscriberRow, TokenRow
from tests.subscriber_desk import ANN, Desk


def expire(desk: Desk) -> dict[str, int]:
    with desk.database.transaction() as session:
        return {what: count for what, count in retention.expire(session, desk.clock()).items() if count}


@pytest.mark.trust(67)
def test_who_does_not_confirm_is_deleted_after_48_hours(desk: Desk) -> None:
    desk.sign_up()
    desk.clock.advance(timedelta(hours=48, seconds=-1))
    assert expire(desk) == {}

    desk.clock.advance(timedelta(seconds=1))
    assert expire(desk) == {"pending": 1}
    assert desk.count(SubscriberRow) == 0
    assert desk.count(TokenRow) == 0
    [delivery] = desk.deliveries()
    assert (delivery.status, delivery.subscriber_id, delivery.parameters) == ("cancelled", None, {})
    assert desk.suppressions() == []
    assert desk.events()[0].network is None


def test_a_newer_link_keeps_a_pending_row_alive(desk: Desk) -> None:
    desk.sign_up()
    desk.clock.advance(timedelta(hours=30))
    desk.sign_up()
    desk.clock.advance(timedelta(hours=30))

    assert expire(desk) == {}
    assert desk.confirm(desk.confirm_token()) is not None


@pytest.mark.trust(74)
def test_thirty_days_after_leaving_only_the_hash_remains(desk: Desk) -> None:
    subscriber = desk.subscribe()
    token = leaving.unsubscribe_token(desk.keyring, subscriber)
    desk.leave(token)
    expire(desk)
    desk.clock.advance(timedelta(days=30, seconds=-1))
    assert expire(desk) == {}

    desk.clock.advance(timedelta(seconds=1))
    assert expire(desk) == {"left": 1}
    assert desk.count(SubscriberRow) == 0
    assert desk.suppressions() == ["erased"]
    assert desk.leave(token)


def test_the_active_stay_whatever_their_age(desk: Desk) -> None:
    desk.subscribe()
    desk.clock.advance(timedelta(days=4_000))
    expire(desk)

    assert desk.subscriber(ANN).status == "active"


def test_what_came_back_and_used_signatures_are_forgotten(desk: Desk) -> None:
    now = desk.clock()
    with desk.database.transaction() as session:
        for days in (399, 401):
            at = now - timedelta(days=days)
            session.add(
                ReturnRow(
                    event_key=bytes([days % 256]) * 32, received_at=at, source="mail", kind="soft",
                    outcome="counted",
                )
            )  # fmt: skip
        for days in (1, 3):
            at = now - timedelta(days=days)
            session.add(UsedSignatureRow(signature_key=bytes([days]) * 32, used_at=at))
        session.add(AlertRow(topic="old", raised_at=now - timedelta(days=31)))
    assert expire(desk) == {"returns": 1, "signatures": 1, "alerts": 1}
    assert (desk.count(ReturnRow), desk.count(UsedSignatureRow), desk.count(AlertRow)) == (1, 1, 0)


def test_networks_and_limits_are_forgotten_and_the_log_stays(desk: Desk) -> None:
    desk.subscribe()  # 31 days pass
    assert expire(desk) == {"tokens": 1, "sign_up_mails": 1}
    assert desk.count(SignUpMailRow) == 0

    desk.clock.advance(timedelta(days=60))
    assert expire(desk) == {"networks": 2}
    assert [(event.kind, event.wording, event.network) for event in desk.events()] == [
        ("requested", "form-1", None),
        ("confirmed", "form-1", None),
    ]
