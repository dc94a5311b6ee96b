"""The form: one answer for every address, errors beside the fields, guards that people don't notice."""

import re
import time
from datetime import timedelta

import pytest
from sqlalchemy import func, select, update

from service.clock import SettableClock
from service.config import Environment, Settings
from service.database import Database
from service.mail import suppression
from service.mail.tables import DeliveryRow
from service.subscribers import leaving
from service.subscribers.tables import ConsentEventRow, InterestRow, SubscriberRow
from service.web.forms import HONEYPOT, WORDING
from tests.web.conftest import ADDRESS, Visitor, make_visitor

STATES = ("unknown", "pending", "active", "unsubscribed", "bounced", "complained", "suppressed", "erased")


def put_in_state(visitor: Visitor, address: str, state: str, clock: SettableClock) -> None:
    """Bring an address into a state as its owner and the world would."""
    if state == "pending":
        visitor.subscribe(address)
    elif state in {"active", "unsubscribed", "bounced", "complained"}:
        row = visitor.join(address)
        if state == "unsubscribed":
            visitor.post(f"/unsubscribe/{leaving.unsubscribe_token(visitor.parts.keyring, row)}")
        elif state in {"bounced", "complained"}:
            with visitor.parts.database.transaction() as session:
                session.execute(update(SubscriberRow).where(SubscriberRow.id == row.id).values(status=state))
    elif state in {"suppressed", "erased"}:
        with visitor.parts.database.transaction() as session:
            key = visitor.parts.keyring.address_key(address)
            reason = "operator" if state == "suppressed" else "erased"
            suppression.suppress(session, key, reason, clock(), "test")


@pytest.mark.trust(79)
def test_every_address_gets_the_same_bytes(visitor: Visitor, clock: SettableClock) -> None:
    """Whoever types an address learns nothing about it (trust.md 79)."""
    for state in STATES:
        put_in_state(visitor, f"{state}@example.org", state, clock)
    clock.advance(timedelta(minutes=11))  # past the limit of one mail in ten minutes
    answers = {}
    for state in STATES:
        answer = visitor.subscribe(f"{state}@example.org")
        page = visitor.get(answer.headers["location"])
        answers[state] = (answer.status_code, sorted(answer.headers.items()), answer.content, page.content)
    assert len({repr(answer) for answer in answers.values()}) == 1, answers
    assert answers["unknown"][0] == 303


@pytest.mark.trust(79)
def test_every_address_gets_the_same_json(visitor: Visitor, clock: SettableClock) -> None:
    for state in STATES:
        put_in_state(visitor, f"{state}@example.org", state, clock)
    clock.advance(timedelta(minutes=11))
    answers = {
        (answer.status_code, answer.content, tuple(sorted(answer.headers.items())))
        for answer in (
            visitor.post("/api/v1/subscriptions", json={"address": f"{state}@example.org"})
            for state in STATES
        )
    }
    assert len(answers) == 1
    assert answers.pop()[0] == 202


@pytest.mark.trust(79)
def test_answer_is_held_back_to_an_even_time(
    sqlite_database: Database, settings: Settings, clock: SettableClock
) -> None:
    """However quickly the work was done, the answer comes no sooner than the fixed time."""
    visitor = make_visitor(sqlite_database, settings, clock, answer_seconds=0.25)
    stamp = visitor.stamp()
    for address in ("new@example.org", "new@example.org", "not an address"):
        started = time.perf_counter()
        visitor.post("/subscribe", data={"address": address, "stamp": stamp})
        assert time.perf_counter() - started >= 0.25


def test_mail_is_queued_and_the_bell_rings_after_commit(visitor: Visitor) -> None:
    assert visitor.subscribe().status_code == 303
    with visitor.parts.database.reading() as session:
        delivery = session.scalars(select(DeliveryRow)).one()
        event = session.scalars(select(ConsentEventRow)).one()
    assert (delivery.kind, delivery.queue, delivery.status) == ("confirm", "transactional", "queued")
    assert (event.kind, event.form, event.wording) == ("requested", "/subscribe", WORDING)
    assert visitor.rings == [("mail.deliver", "transactional")]


def test_everything_chosen_is_kept_on_confirming(visitor: Visitor) -> None:
    row = visitor.join(
        topics=["llm-agents", "retrieval-rag"],
        words="speculative decoding, sparse autoencoder",
        categories="cs.CL",
        authors="Ada Lovelace",
        mutes="blockchain",
        timezone="Europe/Berlin",
        hour="7",
        papers="5",
        weekdays=["monday"],
    )
    assert (row.timezone, row.send_hour, row.paper_count, row.weekdays) == ("Europe/Berlin", 7, 5, 1)
    assert row.mutes == ["blockchain"]
    with visitor.parts.database.reading() as session:
        interests = session.scalars(select(InterestRow).order_by(InterestRow.position)).all()
    assert [i.topic for i in interests if i.topic] == ["llm-agents", "retrieval-rag"]
    assert {p for i in interests if not i.topic for p in i.phrases} == {
        "speculative decoding",
        "sparse autoencoder",
    }
    assert ["Ada Lovelace"] in [list(i.authors) for i in interests]


def test_errors_stand_beside_fields_and_typed_values_stay(lite: Visitor) -> None:
    before = lite.dump()
    answer = lite.subscribe(
        "ann@", categories="cs.XX", words="larks", topics=["llm-agents"], timezone="Mars/Base"
    )
    assert answer.status_code == 422
    assert lite.dump() == before
    for name in ("address", "categories", "timezone"):
        assert re.search(rf'id="{name}-error">[^<]+<', answer.text), name
        assert re.search(
            rf'id="{name}"[^>]*aria-describedby="[^"]*{name}-error"[^>]*aria-invalid="true"', answer.text
        )
    assert 'value="ann@"' in answer.text
    assert 'value="larks"' in answer.text
    assert re.search(r'value="llm-agents" checked', answer.text)
    assert 'role="alert"' in answer.text
    assert lite.rings == []


@pytest.mark.trust(37)
def test_nothing_is_ticked_beforehand_but_the_days(lite: Visitor) -> None:
    ticked = re.findall(r'name="(\w+)" value="(\w[\w-]*)" checked', lite.get("/").text)
    assert ticked == [("weekdays", d) for d in ("monday", "tuesday", "wednesday", "thursday", "friday")]


def test_hostile_values_come_back_inert(lite: Visitor) -> None:
    answer = lite.subscribe('"><script>alert(1)</script>', words="{{7*7}}<b>", categories="<i>x")
    assert answer.status_code == 422
    assert "<script>alert" not in answer.text
    assert "{{7*7}}&lt;b&gt;" in answer.text
    assert "<i>" not in answer.text


@pytest.mark.trust(81)
def test_field_people_never_see_makes_the_post_do_nothing(lite: Visitor) -> None:
    good = lite.subscribe("one@example.org")
    before = lite.dump()
    trapped = lite.subscribe("two@example.org", **{HONEYPOT: "http://spam.example"})
    assert (trapped.status_code, trapped.headers["location"]) == (good.status_code, good.headers["location"])
    assert lite.dump() == before


def test_too_quick_a_press_asks_once_more_with_everything_kept(
    sqlite_database: Database, settings: Settings, clock: SettableClock
) -> None:
    visitor = make_visitor(sqlite_database, settings, clock, minimum_fill_seconds=2)
    stamp = visitor.stamp()
    early = visitor.post("/subscribe", data={"address": ADDRESS, "stamp": stamp})
    assert early.status_code == 422
    assert f'value="{ADDRESS}"' in early.text
    assert f'value="{stamp}"' in early.text  # the old stamp: the next press is late enough
    clock.advance(timedelta(seconds=2))
    assert visitor.post("/subscribe", data={"address": ADDRESS, "stamp": stamp}).status_code == 303


def test_production_asks_for_time_to_fill_in_by_default(
    sqlite_database: Database, settings: Settings, clock: SettableClock
) -> None:
    base_url = "https://digest.example.org"
    production = settings.model_copy(update={"environment": Environment.PRODUCTION, "base_url": base_url})
    visitor = make_visitor(sqlite_database, production, clock)
    visitor.base_url = base_url
    assert visitor.subscribe().status_code == 422
    clock.advance(timedelta(seconds=3))
    stamp = visitor.stamp()
    clock.advance(timedelta(seconds=3))
    assert visitor.post("/subscribe", data={"address": ADDRESS, "stamp": stamp}).status_code == 303


@pytest.mark.parametrize("stamp", ["", "forged", "A" * 34])
def test_form_not_shown_by_us_is_not_taken(lite: Visitor, stamp: str) -> None:
    before = lite.dump()
    assert lite.post("/subscribe", data={"address": ADDRESS, "stamp": stamp}).status_code == 422
    assert lite.dump() == before


def test_form_open_for_days_gets_a_new_stamp(lite: Visitor, clock: SettableClock) -> None:
    stamp = lite.stamp()
    clock.advance(timedelta(days=4))
    late = lite.post("/subscribe", data={"address": ADDRESS, "stamp": stamp})
    fresh = re.search(r'name="stamp" value="([^"]+)"', late.text)
    assert late.status_code == 422
    assert fresh
    assert lite.post("/subscribe", data={"address": ADDRESS, "stamp": fresh[1]}).status_code == 303


@pytest.mark.trust(81)
@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Origin": "https://evil.example"},
        {"Origin": "http://127.0.0.1.evil.example"},
    ],
)
@pytest.mark.parametrize("path", ["/subscribe", "/api/v1/subscriptions", "/manage"])
def test_forms_of_other_sites_are_refused(lite: Visitor, path: str, headers: dict[str, str]) -> None:
    before = lite.dump()
    body = {"address": ADDRESS, "stamp": lite.stamp()}
    sent = {"json": {"address": ADDRESS}} if path.startswith("/api") else {"data": body}
    assert lite.post(path, headers=headers, **sent).status_code == 403
    assert lite.dump() == before


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Origin": "http://127.0.0.1:8000", "Sec-Fetch-Site": "same-origin"},
        {"Origin": "null"},
        {"Sec-Fetch-Site": "none"},
    ],
)
def test_browsers_that_say_little_are_let_in(lite: Visitor, headers: dict[str, str]) -> None:
    data = {"address": ADDRESS, "stamp": lite.stamp()}
    assert lite.post("/subscribe", headers=headers, data=data).status_code == 303


@pytest.mark.trust(91)
@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "", "127.0.0.1@evil.example"])
def test_foreign_host_is_refused(lite: Visitor, host: str) -> None:
    data = {"address": ADDRESS, "stamp": lite.stamp()}
    before = lite.dump()
    answer = lite.post("/subscribe", headers={"Host": host}, data=data)
    assert answer.status_code == 400
    assert "content-security-policy" in answer.headers
    assert "evil" not in answer.text
    assert lite.dump() == before


@pytest.mark.trust(91)
def test_links_come_from_the_base_url_alone(
    sqlite_database: Database, settings: Settings, clock: SettableClock
) -> None:
    """A forwarded host, a port, an absolute-form target: none of them reaches a page or feed."""
    site = settings.model_copy(update={"base_url": "https://digest.example.org"})
    visitor = make_visitor(sqlite_database, site, clock)
    headers = {"Host": "127.0.0.1:9999", "X-Forwarded-Host": "evil.example", "Forwarded": "host=evil.example"}
    for path in ("/", "/feed.atom", "/api/v1/papers", "/subscribed"):
        text = visitor.get(path, headers=headers).text
        assert "evil.example" not in text
        assert "9999" not in text
    assert "https://digest.example.org/feed.atom" in visitor.get("/feed.atom").text


def test_thousand_posts_make_at_most_three_mails_a_day(lite: Visitor, clock: SettableClock) -> None:
    stamp = lite.stamp()
    for _ in range(60):
        lite.post("/subscribe", data={"address": ADDRESS, "stamp": stamp})
        clock.advance(timedelta(minutes=3))
    with lite.parts.database.reading() as session:
        assert session.scalar(select(func.count()).select_from(DeliveryRow)) == 3


def test_confirmed_page_says_when_the_next_one_comes(lite: Visitor) -> None:
    lite.subscribe(timezone="Europe/Berlin", hour="7", weekdays=["monday"])
    token = lite.confirm_token()
    shown = lite.get(f"/confirm/{token}")
    assert shown.text.count("<button") == 1
    assert "at 07:00 (Europe/Berlin) every Monday" in shown.text
    answer = lite.post(f"/confirm/{token}")
    assert "Monday 16 February 2026, 07:00 (Europe/Berlin)" in answer.text
    row = lite.subscriber()
    assert row is not None
    assert row.status == "active"
    assert lite.rings[-1] == ("digests.plan_first", row.id)


def test_confirming_twice_asks_for_one_first_digest(lite: Visitor) -> None:
    lite.subscribe()
    token = lite.confirm_token()
    answers = [lite.post(f"/confirm/{token}") for _ in range(3)]
    assert {answer.status_code for answer in answers} == {200}
    assert [ring[0] for ring in lite.rings].count("digests.plan_first") == 1
    assert "<button" not in lite.get(f"/confirm/{token}").text
