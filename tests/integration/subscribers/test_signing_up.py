"""The form: one mail at most, to the mailbox, and nothing to be learnt from outside."""

import threading
from collections.abc import Callable
from datetime import timedelta

import pytest

from service.keys import Keyring
from service.mail.letters import AlreadySubscribedLetter, ConfirmLetter
from service.subscribers import leaving
from service.subscribers.limits import Limit, Limits
from service.subscribers.status import Event
from service.subscribers.tables import ConsentEventRow, SignUpMailRow, SubscriberRow
from tests.subscriber_desk import ANN, BASE_URL, Desk, an_origin, some_preferences


def stop(desk: Desk, event: Event) -> None:
    subscriber = desk.subscribe()
    with desk.database.transaction() as session:
        assert leaving.stop(session, desk.keyring, subscriber.id, event, now=desk.clock(), source="dsn")


def test_an_unknown_address_becomes_pending_and_gets_the_confirmation_mail(desk: Desk) -> None:
    desk.sign_up(" Ann@Example.org")

    assert desk.subscriber().status == "pending"
    [delivery] = desk.deliveries()
    [letter] = desk.compose(delivery)
    assert letter == ConfirmLetter(
        recipient=ANN,
        confirm_url=f"{BASE_URL}/confirm/{desk.confirm_token()}",
        requested_at=desk.clock(),
        expires_at=desk.clock() + timedelta(hours=48),
        interests=("1 in their own words",),
        schedule="at 07:00 (Europe/Berlin) on Monday to Friday; the first at once",
    )
    assert delivery.queue == "transactional"


@pytest.mark.trust(30)
def test_trust_30_no_word_of_a_stranger_reaches_an_address_that_has_not_confirmed(desk: Desk) -> None:
    block = {"name": "You have won: http://evil.example/", "text": "claim your prize at http://evil.example/"}
    desk.sign_up(
        preferences=some_preferences(
            topics=["llm-agents"], categories="cs.RO", words="visit evil.example", interests=[block]
        )
    )

    [letter] = desk.compose(desk.deliveries()[0])
    assert isinstance(letter, ConfirmLetter)
    assert set(letter.interests) == {"LLM agents", "cs.RO (Robotics)", "2 in their own words"}


@pytest.mark.trust(68)
def test_the_log_says_what_was_asked_by_which_words_from_which_network(desk: Desk) -> None:
    desk.sign_up(origin=an_origin(user_agent="Browser/1\r\nX-Evil: 1" + "x" * 400))

    [event] = desk.events()
    assert (event.kind, event.wording, event.form, event.network) == (
        "requested",
        "form-1",
        "/",
        "192.0.2.0/24",
    )
    assert event.at == desk.clock()
    assert event.user_agent is not None
    assert len(event.user_agent) == 300
    assert event.user_agent.isprintable()
    assert event.address_key == desk.keyring.address_key(ANN)
    assert event.token_hash is not None


def test_no_token_and_no_address_lies_in_the_queue(desk: Desk) -> None:
    desk.sign_up()

    [delivery] = desk.deliveries()
    assert list(delivery.parameters) == ["nonce"]
    assert desk.confirm_token() not in str(delivery.parameters)


def test_the_newest_choice_counts_while_pending(desk: Desk) -> None:
    desk.sign_up()
    desk.clock.advance(timedelta(minutes=1))
    desk.sign_up(preferences=some_preferences(words="speech", hour=21))  # within ten minutes: no second mail

    assert len(desk.deliveries()) == 1
    assert "at 21:00" in desk.compose(*desk.deliveries())[0].schedule
    desk.confirm(desk.confirm_token())
    assert desk.preferences() == some_preferences(words="speech", hour=21)


def test_a_second_mail_makes_the_first_link_void(desk: Desk) -> None:
    desk.sign_up()
    first = desk.confirm_token()
    desk.clock.advance(timedelta(minutes=11))
    desk.sign_up()

    assert desk.confirm(first) is None
    older, newer = desk.deliveries("confirm")
    assert [getattr(letter, "reason", None) for letter in desk.compose(older, newer)] == ["superseded", None]
    assert desk.confirm(desk.confirm_token()) == desk.subscriber().id


def test_an_active_address_gets_one_notice_a_day_and_keeps_its_settings(desk: Desk) -> None:
    desk.subscribe()
    for _ in range(30):
        desk.sign_up(preferences=some_preferences(words="crypto", hour=3, timezone="Asia/Tokyo"))
        desk.clock.advance(timedelta(minutes=30))

    [notice] = desk.deliveries("already_subscribed")
    assert desk.preferences() == some_preferences()
    assert len(desk.deliveries("confirm")) == 1
    [refusal] = desk.compose(notice)  # composed 15 hours later, it is still about the same person
    assert isinstance(refusal, AlreadySubscribedLetter)
    assert refusal.requested_at == desk.clock() - timedelta(hours=15)


@pytest.mark.trust(41)
def test_who_has_left_comes_back_only_by_confirming_again(desk: Desk) -> None:
    subscriber = desk.subscribe()
    desk.leave(leaving.unsubscribe_token(desk.keyring, subscriber))
    desk.sign_up(preferences=some_preferences(words="speech"))

    assert desk.subscriber().status == "unsubscribed"
    desk.confirm(desk.confirm_token())
    assert desk.subscriber().status == "active"
    assert desk.subscriber().left_at is None
    assert desk.preferences().interests[0].name == "speech"


def test_after_a_bounce_a_confirmation_may_try_again_after_thirty_days(desk: Desk) -> None:
    stop(desk, Event.BOUNCE)
    desk.clock.advance(timedelta(days=29))
    desk.sign_up()
    assert len(desk.deliveries("confirm")) == 1

    desk.clock.advance(timedelta(days=1))
    desk.sign_up()
    assert len(desk.deliveries("confirm")) == 2
    assert isinstance(desk.compose(desk.deliveries("confirm")[1])[0], ConfirmLetter)
    assert desk.suppressions() == ["bounce"]

    desk.confirm(desk.confirm_token())
    assert desk.subscriber().status == "active"
    assert desk.suppressions() == []


@pytest.mark.trust(60)
@pytest.mark.parametrize("reason", ["complaint", "operator"])
def test_after_a_complaint_no_mail_of_any_kind_goes_out(desk: Desk, reason: str) -> None:
    if reason == "complaint":
        stop(desk, Event.COMPLAIN)
    else:
        desk.subscribe()
        desk.suppress(reason)
    before = len(desk.deliveries())
    desk.clock.advance(timedelta(days=400))
    desk.sign_up()
    desk.request_link("erase")

    assert len(desk.deliveries()) == before
    assert desk.suppressions() == [reason]


def test_a_mail_queued_before_the_complaint_is_not_sent_and_its_link_is_void(desk: Desk) -> None:
    desk.sign_up()
    desk.suppress("complaint")

    assert desk.compose(*desk.deliveries())[0].reason == "suppressed"
    assert desk.confirm(desk.confirm_token()) is None


@pytest.mark.trust(80)
def test_a_thousand_posts_for_one_address_cause_at_most_three_mails(quick_desk: Desk) -> None:
    for number in range(1_000):
        tag = f"+{number}" if number % 3 else ""
        quick_desk.sign_up(f"a.nn{tag}@example.org" if number % 2 else f"ann{tag}@example.org")
        quick_desk.clock.advance(timedelta(seconds=80))

    assert 1_000 * 80 < 24 * 3600
    assert len(quick_desk.deliveries()) == 3
    assert quick_desk.count(ConsentEventRow) == 3


def test_five_mails_in_thirty_days_are_the_most(quick_desk: Desk) -> None:
    for _ in range(28):
        quick_desk.sign_up()
        quick_desk.clock.advance(timedelta(days=1))

    assert len(quick_desk.deliveries()) == 5
    quick_desk.clock.advance(timedelta(days=3))
    quick_desk.sign_up()
    assert len(quick_desk.deliveries()) == 6


def sign_up_many(
    desk: Desk, count: int, *, address: Callable[[int], str], client: Callable[[int], str]
) -> int:
    for number in range(count):
        desk.sign_up(address(number), origin=an_origin(network=client(number)))
    return len(desk.deliveries())


@pytest.mark.trust(80)
def test_one_network_causes_few_mails(quick_desk: Desk) -> None:
    count = sign_up_many(
        quick_desk, 40, address=lambda n: f"reader{n}@host{n}.example", client=lambda n: f"198.51.100.{n}"
    )

    assert count == 20
    assert quick_desk.count(SubscriberRow) == 20


def test_neighbours_in_version_six_share_a_network(quick_desk: Desk) -> None:
    count = sign_up_many(
        quick_desk, 40, address=lambda n: f"reader{n}@host{n}.example", client=lambda n: f"2001:db8::{n:x}"
    )

    assert count == 20


@pytest.mark.parametrize("client", ["127.0.0.1", "10.1.2.3", "::1", "::ffff:192.168.0.9", "testclient", ""])
def test_a_proxy_in_between_is_not_taken_for_one_visitor(quick_desk: Desk, client: str) -> None:
    count = sign_up_many(
        quick_desk, 40, address=lambda n: f"reader{n}@host{n}.example", client=lambda _: client
    )

    assert count == 40


@pytest.mark.trust(80)
def test_one_domain_and_everybody_together_have_limits(quick_desk: Desk) -> None:
    limits = Limits(domain=(Limit(3, timedelta(hours=1)),), overall=(Limit(5, timedelta(hours=1)),))
    for number in range(6):
        for domain in ("one.example", "two.example"):
            quick_desk.sign_up(f"reader{number}@{domain}", origin=an_origin(network=None), limits=limits)
    assert len(quick_desk.deliveries()) == 5

    quick_desk.clock.advance(timedelta(hours=1))
    for number in range(6):
        quick_desk.sign_up(f"late{number}@one.example", origin=an_origin(network=None), limits=limits)
    assert len(quick_desk.deliveries()) == 8


def test_the_limits_know_an_address_by_hash_only(desk: Desk) -> None:
    desk.sign_up()

    with desk.database.reading() as session:
        [row] = session.query(SignUpMailRow).all()
    assert row.network == "192.0.2.0/24"
    assert {len(row.limit_key), len(row.domain_key)} == {32}


def test_the_limits_outlive_a_change_of_keys(quick_desk: Desk) -> None:
    quick_desk.sign_up()
    quick_desk.keyring = Keyring(
        ["another-secret-for-tests-0123456789-xyz", "a-secret-for-tests-only-0123456789-abcdef"]
    )
    quick_desk.sign_up()

    assert len(quick_desk.deliveries()) == 1


def test_posts_at_the_same_moment_make_one_row_and_one_mail(desk: Desk) -> None:
    barrier = threading.Barrier(8)
    failures: list[BaseException] = []

    def post() -> None:
        barrier.wait()
        try:
            desk.sign_up()
        except BaseException as error:  # noqa: BLE001 - handed to the test
            failures.append(error)

    threads = [threading.Thread(target=post) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert failures == []
    assert desk.count(SubscriberRow) == 1
    assert len(desk.deliveries()) == 1
