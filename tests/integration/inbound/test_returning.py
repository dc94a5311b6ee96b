"""What mail that comes back does: to whom, once, and never because of who says so."""

from datetime import timedelta

import pytest
from sqlalchemy import select

from service.mail.bounces import read
from service.mail.tables import AlertRow, DeliveryRow, ReturnRow
from service.subscribers import personal_data
from service.subscribers.returning import Returned, take_in
from tests import reports
from tests.integration.inbound.conftest import DOMAIN, Inbound


@pytest.mark.trust(57, 58)
def test_a_dead_address_is_suppressed_by_the_token_not_by_the_words(inbound: Inbound) -> None:
    delivery = inbound.mail_digest()
    waiting = inbound.mail_digest(status="queued")
    address = inbound.envelope_sender(delivery)

    assert inbound.take(reports.bounce(address), address) == "suppressed"

    assert inbound.desk.subscriber().status == "bounced"
    assert inbound.desk.suppressions() == ["bounce"]
    assert inbound.returns() == [("hard", "suppressed", True)]
    [cancelled] = [row for row in inbound.desk.deliveries("digest") if row.id == waiting.id]
    assert (cancelled.status, cancelled.reason) == ("cancelled", "suppressed")


def test_the_same_message_twice_counts_once(inbound: Inbound) -> None:
    address = inbound.envelope_sender(inbound.mail_digest())
    raw = reports.bounce(address, status="5.2.2", words="mailbox full")
    assert [inbound.take(raw, address) for _ in range(3)] == ["counted", "duplicate", "duplicate"]
    assert len(inbound.returns()) == 1


@pytest.mark.parametrize("tamper", ["token", "domain", "prefix"])
@pytest.mark.trust(27, 57)
def test_a_forged_address_names_nobody(quick_inbound: Inbound, tamper: str) -> None:
    address = quick_inbound.envelope_sender(quick_inbound.mail_digest())
    sign = "a" if address[10] != "a" else "b"
    forged = {
        "token": address[:10] + sign + address[11:],
        "domain": address.replace(DOMAIN, "evil.example"),
        "prefix": address.replace("bounce+", ""),
    }[tamper]
    assert quick_inbound.postbox.recognise(forged) is None
    assert quick_inbound.take(reports.bounce(forged)) == "not_ours"
    assert quick_inbound.desk.subscriber().status == "active"


def test_case_and_brackets_of_an_address_do_not_matter(quick_inbound: Inbound) -> None:
    address = quick_inbound.envelope_sender(quick_inbound.mail_digest())
    assert quick_inbound.postbox.recognise(f"<{address.upper()}>") is not None


@pytest.mark.trust(58)
def test_a_dead_domain_is_suppressed_at_the_second_hit(quick_inbound: Inbound) -> None:
    outcomes = []
    for _ in range(2):
        address = quick_inbound.envelope_sender(quick_inbound.mail_digest())
        raw = reports.bounce(address, status="5.1.2", words="host unknown")
        outcomes.append(quick_inbound.take(raw, address))
        quick_inbound.desk.clock.advance(timedelta(days=1))
    assert outcomes == ["counted", "suppressed"]


def fail_softly(inbound: Inbound, days: int, *, arrives: frozenset[int] = frozenset()) -> list[str]:
    """Mail a digest a day; each comes back full, but those of the days in ``arrives``."""
    outcomes = []
    for day in range(days):
        delivery = inbound.mail_digest()
        inbound.desk.clock.advance(timedelta(hours=1))
        if day not in arrives:
            address = inbound.envelope_sender(delivery)
            raw = reports.bounce(address, status="4.2.2", words="452 4.2.2 over quota")
            outcomes.append(inbound.take(raw, address))
        inbound.desk.clock.advance(timedelta(hours=23))
    return outcomes


@pytest.mark.trust(58)
def test_a_full_mailbox_is_suppressed_after_five_failures_over_two_weeks(inbound: Inbound) -> None:
    outcomes = fail_softly(inbound, 15)
    assert outcomes == ["counted"] * 14 + ["suppressed"]


@pytest.mark.trust(58)
def test_a_success_between_starts_the_count_again(quick_inbound: Inbound) -> None:
    assert set(fail_softly(quick_inbound, 20, arrives=frozenset({9}))) == {"counted"}
    assert quick_inbound.desk.subscriber().status == "active"


@pytest.mark.trust(59)
def test_a_thousand_refusals_by_policy_suppress_nobody_and_tell_the_operator_once(
    quick_inbound: Inbound,
) -> None:
    delivery = quick_inbound.mail_digest()
    address = quick_inbound.envelope_sender(delivery)
    reading = read(reports.bounce(address, status="5.7.515", words="550 5.7.515 access denied"))
    desk = quick_inbound.desk
    with desk.database.transaction() as session:
        for number in range(1000):
            returned = Returned(
                event_key=number.to_bytes(32, "big"),
                source="mail",
                kind=reading.kind,
                status=reading.status,
                nonces=(delivery.nonce,),
            )
            assert take_in(session, desk.keyring, returned, desk.clock()) == "told"
    assert quick_inbound.desk.suppressions() == []
    assert quick_inbound.desk.subscriber().status == "active"
    [alert] = quick_inbound.desk.deliveries("alert")
    assert "policy" in alert.parameters["headline"]
    quick_inbound.desk.clock.advance(timedelta(days=1))
    quick_inbound.take(reports.bounce(address, status="5.7.1", words="blocked"), address)
    assert len(quick_inbound.desk.deliveries("alert")) == 2
    assert quick_inbound.desk.count(AlertRow) == 1


@pytest.mark.trust(60)
@pytest.mark.parametrize("bears", ["Message-ID", "Return-Path"])
def test_a_complaint_with_a_hidden_reader_ends_everything(inbound: Inbound, bears: str) -> None:
    delivery = inbound.mail_digest()
    names = {
        "Message-ID": f"<{delivery.nonce:016x}@example.org>",
        "Return-Path": f"<{inbound.envelope_sender(delivery)}>",
    }
    raw = reports.complaint(f"fbl@{DOMAIN}", f"{bears}: {names[bears]}")

    assert inbound.take(raw, f"fbl@{DOMAIN}") == "suppressed"

    assert inbound.desk.subscriber().status == "complained"
    assert inbound.desk.suppressions() == ["complaint"]
    inbound.desk.sign_up()
    assert [row.kind for row in inbound.desk.deliveries() if row.status == "queued"] == []


@pytest.mark.trust(57, 60)
def test_whoever_knows_nothing_suppresses_nobody(inbound: Inbound) -> None:
    delivery = inbound.mail_digest()
    own = inbound.mail_digest(status="sent")
    token = inbound.desk.keyring.bounce_token(delivery.nonce)
    guesses = [
        f"Message-ID: <{delivery.nonce ^ 1:016x}@example.org>",
        f"Message-ID: <{2**64 - 1:016x}@example.org>",
        f"Message-ID: <{delivery.nonce:016x}@elsewhere.example>",
        f"Return-Path: <bounce+{'a' * 24}@{DOMAIN}>",
        f"Return-Path: <bounce+{token[:-1]}{'3' if token.endswith('2') else '2'}@{DOMAIN}>",
        f"X-Subscriber: {inbound.desk.subscriber().address}\nTo: {inbound.desk.subscriber().address}",
    ]
    for guess in guesses:
        assert inbound.take(reports.complaint(f"fbl@{DOMAIN}", guess), f"fbl@{DOMAIN}") == "unmatched"
    assert inbound.desk.subscriber().status == "active"
    # What a bounce says within, of whomever, counts for nothing: it is about the delivery of its envelope.
    words = f"550 5.1.1 no such user\n {inbound.envelope_sender(delivery)}"
    inbound.take(reports.bounce("x@example.net", words=words), inbound.envelope_sender(own))
    with inbound.desk.database.reading() as session:
        [about] = session.scalars(select(ReturnRow.delivery_id).where(ReturnRow.kind == "hard")).all()
    assert about == own.id


def test_the_address_for_complaints_takes_nothing_else(quick_inbound: Inbound) -> None:
    address = quick_inbound.envelope_sender(quick_inbound.mail_digest())
    raw = reports.bounce(f"fbl@{DOMAIN}") + address.encode()
    assert quick_inbound.take(raw, f"fbl@{DOMAIN}") == "not_ours"
    assert quick_inbound.desk.subscriber().status == "active"


@pytest.mark.trust(61)
@pytest.mark.parametrize("kind", ["auto_reply", "delay", "other"])
def test_answers_and_delays_change_nothing_and_are_not_answered(quick_inbound: Inbound, kind: str) -> None:
    address = quick_inbound.envelope_sender(quick_inbound.mail_digest())
    raw = {
        "auto_reply": reports.answer(address),
        "delay": reports.bounce(address, action="delayed", status="4.4.1", words="not yet delivered"),
        "other": f"From: reader@example.net\nTo: {address}\nSubject: thanks\n\nNice papers.\n".encode(),
    }[kind]
    before = len(quick_inbound.desk.deliveries())
    assert quick_inbound.take(raw, address) == "noted"
    assert quick_inbound.returns() == [(kind, "noted", True)]
    assert quick_inbound.desk.subscriber().status == "active"
    assert len(quick_inbound.desk.deliveries()) == before


@pytest.mark.trust(57)
def test_what_is_about_mail_of_long_ago_is_only_noted(quick_inbound: Inbound) -> None:
    address = quick_inbound.envelope_sender(quick_inbound.mail_digest())
    quick_inbound.desk.clock.advance(timedelta(days=40))
    assert quick_inbound.take(reports.bounce(address), address) == "old"
    assert quick_inbound.desk.subscriber().status == "active"


@pytest.mark.trust(46)
def test_what_comes_back_proves_that_an_unknown_was_sent(quick_inbound: Inbound) -> None:
    delivery = quick_inbound.mail_digest(status="unknown")
    address = quick_inbound.envelope_sender(delivery)
    quick_inbound.take(reports.answer(address), address)
    with quick_inbound.desk.database.reading() as session:
        row = session.get_one(DeliveryRow, delivery.id)
        assert (row.status, row.reason) == ("sent", "came_back")


@pytest.mark.trust(62)
def test_a_mail_to_the_leave_address_unsubscribes_at_once_and_again(inbound: Inbound) -> None:
    address = inbound.leave_address()
    # As some mail programs do it: by an automatic answer, from whatever address they like.
    raw = reports.answer(address, subject="unsubscribe")
    assert [inbound.take(raw, address) for _ in range(2)] == ["left", "left"]
    assert inbound.desk.subscriber().status == "unsubscribed"
    assert [event.form for event in inbound.desk.events() if event.kind == "withdrawn"] == ["mailto"]
    assert inbound.desk.suppressions() == []


ODD_LEAVINGS = {
    "nothing": b"",
    "a subject alone": b"Subject: unsubscribe\n\n",
    "a body alone": b"From: x@example.net\n\nplease no more\n",
    "HTML": b"Content-Type: text/html\n\n<p>un<b>subscribe</b></p>",
    "base64": b"Content-Transfer-Encoding: base64\nSubject: =?utf-8?B?dW5zdWI=?=\n\ndW5zdWJzY3JpYmU=\n",
    "forwarded": b"Subject: Fwd: papers\nFrom: friend@example.net\n\n> unsubscribe\n",
    "from a machine": b"Auto-Submitted: auto-generated\nFrom: unsubscriber@mail.example\n\n",
    "signed": b'Content-Type: multipart/signed; boundary="s"\n\n--s\n\nx\n--s--\n',
    "no mail at all": b"\x00\xff\n\n",
}


@pytest.mark.trust(61, 62)
def test_programs_unsubscribe_by_mail_in_many_ways_and_no_mail_follows(inbound: Inbound) -> None:
    desk = inbound.desk
    address = inbound.leave_address()
    before = len(desk.deliveries())
    for name, raw in ODD_LEAVINGS.items():
        assert (name, inbound.take(raw, address.upper())) == (name, "left")
    assert desk.subscriber().status == "unsubscribed"
    assert len(desk.deliveries()) == before


@pytest.mark.trust(62)
@pytest.mark.parametrize(
    "head",
    [
        "To: <{}>",
        "To: Papers <{}>",
        "To: x@example.net\nDelivered-To: {}",
        "X-Original-To: {}",
        "Envelope-To: {}",
    ],
)
def test_a_leaving_is_known_by_its_head_where_there_is_no_envelope(quick_inbound: Inbound, head: str) -> None:
    raw = head.format(quick_inbound.leave_address()).encode() + b"\n\n"
    assert quick_inbound.take(raw) == "left"


@pytest.mark.trust(61)
def test_a_refusal_of_what_tells_the_operator_is_not_told_of(quick_inbound: Inbound) -> None:
    address = quick_inbound.envelope_sender(quick_inbound.mail_digest(kind="alert"))
    raw = reports.bounce(address, status="5.7.1", words="blocked by policy")
    before = len(quick_inbound.desk.deliveries("alert"))
    assert quick_inbound.take(raw, address) == "noted"
    assert len(quick_inbound.desk.deliveries("alert")) == before


@pytest.mark.trust(57)
def test_the_same_words_about_two_deliveries_count_for_both(quick_inbound: Inbound) -> None:
    addresses = [quick_inbound.envelope_sender(quick_inbound.mail_digest()) for _ in range(2)]
    raw = reports.bounce("somebody@example.net", status="4.2.2", words="full")
    assert [quick_inbound.take(raw, address) for address in [*addresses, *addresses]] == [
        "counted",
        "counted",
        "duplicate",
        "duplicate",
    ]


def test_a_bounce_that_gives_our_headers_back_unsubscribes_nobody(quick_inbound: Inbound) -> None:
    envelope = quick_inbound.envelope_sender(quick_inbound.mail_digest())
    given_back = f"List-Unsubscribe: <https://example.org/u>, <mailto:{quick_inbound.leave_address()}>"
    raw = reports.answer(envelope) + given_back.encode()
    assert quick_inbound.take(raw) == "noted"
    assert quick_inbound.desk.subscriber().status == "active"


def test_what_came_back_is_handed_over_and_forgotten_with_its_person(inbound: Inbound) -> None:
    desk = inbound.desk
    address = inbound.envelope_sender(inbound.mail_digest())
    inbound.take(reports.answer(address), address)
    subscriber_id = desk.subscriber().id
    with desk.database.reading() as session:
        exported = personal_data.export(session, subscriber_id)
    assert [row["kind"] for row in exported["returned"]] == ["auto_reply"]

    with desk.database.transaction() as session:
        personal_data.erase(session, desk.keyring, subscriber_id, desk.clock())
    with desk.database.reading() as session:
        assert session.scalars(select(ReturnRow.subscriber_id)).all() == [None]
