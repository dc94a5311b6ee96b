"""Leaving: at once, for ever, again and again, and without a word of goodbye."""

from datetime import timedelta

import pytest

from service.keys import Keyring, Purpose
from service.mail import outbox
from service.subscribers import leaving
from service.subscribers.status import Event
from tests.conftest import SECRET
from tests.subscriber_desk import Desk


def link(desk: Desk) -> str:
    return leaving.unsubscribe_token(desk.keyring, desk.subscriber())


def queue_a_digest(desk: Desk) -> None:
    with desk.database.transaction() as session:
        outbox.queue(
            session,
            kind="digest",
            queue=outbox.BULK,
            now=desk.clock(),
            expires_at=desk.clock() + timedelta(hours=12),
            subscriber_id=desk.subscriber().id,
        )


@pytest.mark.trust(24)
def test_leaving_stops_what_waits_and_sends_nothing(desk: Desk) -> None:
    desk.subscribe()
    queue_a_digest(desk)
    before = len(desk.deliveries())

    assert desk.leave(link(desk))
    subscriber = desk.subscriber()
    assert (subscriber.status, subscriber.left_at) == ("unsubscribed", desk.clock())
    assert len(desk.deliveries()) == before
    [digest] = desk.deliveries("digest")
    assert (digest.status, digest.reason) == ("cancelled", "unsubscribed")
    assert desk.events()[-1].kind == "withdrawn"


@pytest.mark.trust(22)
def test_leaving_again_changes_nothing(desk: Desk) -> None:
    desk.subscribe()
    token = link(desk)
    for _ in range(3):
        assert desk.leave(token)
        desk.clock.advance(timedelta(days=1))

    assert desk.subscriber().left_at == desk.clock() - timedelta(days=3)
    assert [event.kind for event in desk.events()].count("withdrawn") == 1


def test_leaving_takes_back_a_sign_up_that_waits_for_its_button(desk: Desk) -> None:
    desk.subscribe()
    token = link(desk)
    desk.leave(token)
    desk.sign_up()
    confirm = desk.confirm_token()
    desk.leave(token)

    assert desk.confirm(confirm) is None
    assert desk.deliveries("confirm")[-1].status == "cancelled"


@pytest.mark.trust(70)
def test_a_link_four_hundred_days_old_works_over_a_change_of_keys(desk: Desk) -> None:
    desk.subscribe()
    token = link(desk)
    desk.clock.advance(timedelta(days=400))
    desk.keyring = Keyring(["another-secret-for-tests-0123456789-xyz", SECRET])

    assert desk.leave(token)
    assert desk.subscriber().status == "unsubscribed"


def test_a_link_of_somebody_erased_is_answered_with_yes(desk: Desk) -> None:
    desk.subscribe()
    token = link(desk)
    desk.request_link("erase")
    desk.perform(desk.manage_token())

    assert desk.leave(token)


@pytest.mark.trust(18)
def test_no_made_up_link_unsubscribes_anybody(desk: Desk) -> None:
    subscriber = desk.subscribe()
    token = link(desk)
    for place in range(len(token)):
        forged = token[:place] + ("A" if token[place] != "A" else "B") + token[place + 1 :]
        assert not desk.leave(forged)
    assert not desk.leave(desk.keyring.sign(Purpose.PREFERENCES, subscriber.public_id))
    assert desk.subscriber().status == "active"


@pytest.mark.parametrize(
    ("event", "status", "reason"),
    [(Event.BOUNCE, "bounced", "bounce"), (Event.COMPLAIN, "complained", "complaint")],
)
def test_a_report_suppresses_and_cancels(desk: Desk, event: Event, status: str, reason: str) -> None:
    subscriber = desk.subscribe()
    queue_a_digest(desk)
    with desk.database.transaction() as session:
        assert leaving.stop(session, desk.keyring, subscriber.id, event, now=desk.clock(), source="dsn")
        assert not leaving.stop(session, desk.keyring, subscriber.id, event, now=desk.clock(), source="dsn")
        assert not leaving.stop(session, desk.keyring, 999, event, now=desk.clock(), source="dsn")

    assert desk.subscriber().status == status
    assert desk.suppressions() == [reason]
    assert desk.deliveries("digest")[0].status == "cancelled"
    assert desk.events()[-1].kind == status
