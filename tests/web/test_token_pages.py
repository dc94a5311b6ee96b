"""Pages behind links in mails: GET changes nothing, one press acts, each token opens one door."""

from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import select

from service.clock import SettableClock
from service.config import Settings
from service.database import Database
from service.keys import Keyring, Purpose
from service.mail import outbox
from service.mail.tables import DeliveryRow
from service.subscribers import managing
from service.subscribers.links import preferences_token, unsubscribe_token
from service.subscribers.tables import ConsentEventRow, SubscriberRow, TokenRow
from service.web.site import long_day
from tests.web.conftest import ADDRESS, Visitor, make_visitor

ONE_CLICK = "List-Unsubscribe=One-Click"
DOORS = ("confirm", "preferences", "unsubscribe", "manage")


def manage_token(visitor: Visitor, clock: SettableClock, action: str) -> str:
    """Ask for a link to one's data, ten minutes after the last mail, and return the token in its mail."""
    clock.advance(timedelta(minutes=11))
    visitor.post("/manage", data={"address": ADDRESS, "action": action})
    purpose = managing.PURPOSES[action]  # type: ignore[index]
    with visitor.parts.database.reading() as session:
        nonce = session.scalars(select(TokenRow.nonce).where(TokenRow.purpose == purpose.value)).one()
    return visitor.parts.keyring.sign(purpose, nonce)


def tokens_of(visitor: Visitor, clock: SettableClock) -> dict[str, str]:
    """Return a live token for every door there is, all of one person (and one still to confirm)."""
    row = visitor.join()
    visitor.subscribe("new@example.org")
    return {
        "confirm": visitor.confirm_token("new@example.org"),
        "preferences": preferences_token(visitor.parts.keyring, row),
        "unsubscribe": unsubscribe_token(visitor.parts.keyring, row),
        "manage": manage_token(visitor, clock, "export"),
    }


@pytest.mark.trust(21, 82)
def test_looking_changes_nothing_however_often(visitor: Visitor, clock: SettableClock) -> None:
    """Scanners follow every link in a mail, several times, by GET and HEAD (trust.md 21, 82)."""
    tokens = tokens_of(visitor, clock)
    before, rings = visitor.dump(), list(visitor.rings)
    for door, token in tokens.items():
        for _ in range(50):
            assert visitor.get(f"/{door}/{token}").status_code == 200
            assert visitor.head(f"/{door}/{token}").status_code == 200
            assert visitor.options(f"/{door}/{token}").status_code == 405
    assert visitor.dump() == before
    assert visitor.rings == rings


@pytest.mark.trust(83)
def test_each_token_opens_one_door_only(visitor: Visitor, clock: SettableClock) -> None:
    tokens = tokens_of(visitor, clock)
    tokens["form"] = visitor.stamp()
    tokens["feedback"] = visitor.parts.keyring.sign(Purpose.FEEDBACK, 1)
    for door in DOORS:
        for kind, token in tokens.items():
            assert visitor.get(f"/{door}/{token}").status_code == (200 if kind == door else 404), (door, kind)
    before = visitor.dump()
    for door in DOORS:
        for kind, token in tokens.items():
            if kind != door:
                assert visitor.post(f"/{door}/{token}").status_code == 404, (door, kind)
    assert visitor.dump() == before


@pytest.mark.trust(18)
def test_altered_token_opens_nothing(lite: Visitor, clock: SettableClock) -> None:
    tokens = tokens_of(lite, clock)
    before = lite.dump()
    for door, token in tokens.items():
        for place in range(len(token)):
            other = token[:place] + ("A" if token[place] != "A" else "B") + token[place + 1 :]
            assert lite.post(f"/{door}/{other}").status_code == 404
        assert lite.post(f"/{door}/{token[:-1]}").status_code == 404
        assert lite.post(f"/{door}/{token}x").status_code == 404
    assert lite.dump() == before


@pytest.mark.trust(19, 20, 22, 69)
@pytest.mark.parametrize(
    "body",
    [
        {"data": {"List-Unsubscribe": "One-Click"}},
        {"files": {"List-Unsubscribe": (None, "One-Click")}},
        {"content": ONE_CLICK},
        {"content": b""},
        {"content": b"\xff\xfe", "headers": {"Content-Type": "multipart/form-data"}},
    ],
    ids=["urlencoded", "multipart", "no content type", "empty", "broken"],
)
def test_one_click_needs_nothing_but_the_link(visitor: Visitor, body: dict[str, object]) -> None:
    """RFC 8058: no cookie, no origin, either body, any user agent; 200 and no redirect; again and again."""
    row = visitor.join()
    path = f"/unsubscribe/{unsubscribe_token(visitor.parts.keyring, row)}"
    headers = {
        "User-Agent": "",
        "Origin": "https://mail.example.com",
        "Sec-Fetch-Site": "cross-site",
        **body.pop("headers", {}),  # type: ignore[dict-item]
    }
    for _ in range(3):
        answer = visitor.post(path, headers=headers, **body)  # type: ignore[arg-type]
        assert answer.status_code == 200
        assert "location" not in answer.headers
        assert "set-cookie" not in answer.headers
    left = visitor.subscriber()
    assert left is not None
    assert left.status == "unsubscribed"
    with visitor.parts.database.reading() as session:
        kinds = session.scalars(select(ConsentEventRow.kind)).all()
    assert sorted(kinds) == ["confirmed", "requested", "withdrawn"]


@pytest.mark.trust(24)
def test_leaving_cancels_what_waits(visitor: Visitor, clock: SettableClock) -> None:
    row = visitor.join()
    with visitor.parts.database.transaction() as session:
        outbox.queue(
            session,
            kind="digest",
            queue=outbox.BULK,
            now=clock(),
            expires_at=clock().replace(hour=23),
            subscriber_id=row.id,
        )
    visitor.post(f"/unsubscribe/{unsubscribe_token(visitor.parts.keyring, row)}")
    with visitor.parts.database.reading() as session:
        statuses = set(session.scalars(select(DeliveryRow.status)))
    assert statuses == {"cancelled"}


@pytest.mark.trust(20)
def test_a_trailing_slash_is_not_redirected(lite: Visitor) -> None:
    row = lite.join()
    token = unsubscribe_token(lite.parts.keyring, row)
    assert lite.post(f"/unsubscribe/{token}/").status_code == 404


@pytest.mark.trust(70)
def test_unsubscribing_works_after_erasure_and_with_a_retired_key(
    sqlite_database: Database, settings: Settings, clock: SettableClock
) -> None:
    visitor = make_visitor(sqlite_database, settings, clock)
    row = visitor.join()
    token = unsubscribe_token(visitor.parts.keyring, row)
    new_key = type(settings.secret_key)("another-secret-for-tests-0123456789-ABCDEF")
    rotated = settings.model_copy(
        update={"secret_key": new_key, "retired_secret_keys": (settings.secret_key,)}
    )
    later = make_visitor(sqlite_database, rotated, clock)
    assert later.post(f"/unsubscribe/{token}").status_code == 200
    assert later.subscriber().status == "unsubscribed"  # type: ignore[union-attr]
    with sqlite_database.transaction() as session:
        managing.erase(session, later.parts.keyring, row.id, clock())
    assert later.get(f"/unsubscribe/{token}").status_code == 200
    assert later.post(f"/unsubscribe/{token}").status_code == 200
    forgotten = settings.model_copy(update={"secret_key": new_key})
    assert make_visitor(sqlite_database, forgotten, clock).post(f"/unsubscribe/{token}").status_code == 404


@pytest.mark.trust(84)
def test_a_forwarded_digest_gives_no_address_away(lite: Visitor) -> None:
    row = lite.join(words="secret topic", mutes="quiet word")
    keyring = lite.parts.keyring
    unsubscribing = lite.get(f"/unsubscribe/{unsubscribe_token(keyring, row)}").text
    assert "secret topic" not in unsubscribing
    for text in (unsubscribing, lite.get(f"/preferences/{preferences_token(keyring, row)}").text):
        assert ADDRESS not in text


@pytest.mark.trust(85)
def test_headers_of_pages_whose_address_holds_a_token(lite: Visitor, clock: SettableClock) -> None:
    for door, token in tokens_of(lite, clock).items():
        for answer in (
            lite.get(f"/{door}/{token}"),
            lite.get(f"/{door}/wrong"),
            lite.request("PUT", f"/{door}/{token}"),
        ):
            assert answer.headers["referrer-policy"] == "no-referrer"
            assert answer.headers["cache-control"] == "no-store"
            assert "noindex" in answer.headers["x-robots-tag"]
            assert answer.headers["content-security-policy"].startswith("default-src 'none'")


def test_preferences_show_what_is_chosen_and_save_what_is_sent(visitor: Visitor) -> None:
    row = visitor.join(topics=["llm-agents"], words="larks", timezone="Asia/Kolkata", hour="21")
    path = f"/preferences/{preferences_token(visitor.parts.keyring, row)}"
    shown = visitor.get(path).text
    assert 'value="llm-agents" checked' in shown
    assert 'name="words" type="text" value="larks"' in shown
    assert "<option selected>Asia/Kolkata</option>" in shown
    answer = visitor.post(
        path, data={"do": "save", "topics": ["speech"], "timezone": "UTC", "hour": "6", "papers": "3"}
    )
    assert answer.status_code == 200
    assert "Saved" in answer.text
    assert 'value="speech" checked' in answer.text
    changed = visitor.subscriber()
    assert changed is not None
    assert (changed.timezone, changed.send_hour, changed.paper_count) == ("UTC", 6, 3)


def test_wrong_preferences_change_nothing_and_keep_what_was_typed(lite: Visitor) -> None:
    row = lite.join()
    path = f"/preferences/{preferences_token(lite.parts.keyring, row)}"
    before = lite.dump()
    answer = lite.post(path, data={"hour": "8", "papers": "900", "words": "kept words", "timezone": "UTC"})
    assert answer.status_code == 422
    assert 'id="papers-error"' in answer.text
    assert 'value="kept words"' in answer.text
    assert lite.dump() == before


@pytest.mark.parametrize(
    "body",
    [
        {"content": b""},
        {"data": {"do": "other"}},
        {"data": {"topics": "speech", "hour": "8"}},
    ],
    ids=["empty", "unknown", "half"],
)
def test_a_post_without_the_form_takes_no_choice_away(visitor: Visitor, body: dict[str, object]) -> None:
    """Unticked boxes are not sent, so an empty post would otherwise read as "nothing, please"."""
    row = visitor.join(topics=["llm-agents"], mutes="quantum", timezone="Asia/Kolkata", hour="21")
    path = f"/preferences/{preferences_token(visitor.parts.keyring, row)}"
    before = visitor.dump()
    answer = visitor.post(path, **body)  # type: ignore[arg-type]
    assert answer.status_code == 422
    assert "Nothing was changed" in answer.text
    assert "Saved" not in answer.text
    assert 'value="llm-agents" checked' in answer.text
    assert visitor.dump() == before


def test_preferences_say_truly_whether_a_link_was_mailed(visitor: Visitor, clock: SettableClock) -> None:
    row = visitor.join(timezone="Asia/Kolkata")
    path = f"/preferences/{preferences_token(visitor.parts.keyring, row)}"
    visitor.post("/manage", data={"address": ADDRESS, "action": "erase"})  # by anybody
    first = visitor.post(path, data={"do": "erase"})
    assert (first.status_code, "A link is on its way" in first.text) == (200, True)
    clock.advance(timedelta(minutes=2))
    rings = list(visitor.rings)
    second = visitor.post(path, data={"do": "export"})
    assert second.status_code == 429
    assert "on its way" not in second.text
    local = clock().astimezone(ZoneInfo("Asia/Kolkata"))
    assert f"{local - timedelta(minutes=2):%H:%M} (Asia/Kolkata)" in second.text
    again = local + timedelta(minutes=8)
    assert f"from {long_day(again.date())}, {again:%H:%M} (Asia/Kolkata)" in second.text
    assert ADDRESS not in second.text
    assert visitor.rings == rings
    clock.advance(timedelta(minutes=8))
    assert "A link is on its way" in visitor.post(path, data={"do": "export"}).text


def test_pausing_and_resuming(lite: Visitor) -> None:
    row = lite.join(timezone="Europe/Berlin")
    path = f"/preferences/{preferences_token(lite.parts.keyring, row)}"
    assert "20 February" in lite.post(path, data={"do": "pause", "days": "7"}).text
    paused = lite.subscriber()
    assert paused is not None
    assert paused.paused_until is not None
    assert "Resume now" in lite.get(path).text
    lite.post(path, data={"do": "resume"})
    resumed = lite.subscriber()
    assert resumed is not None
    assert resumed.paused_until is None


def test_preference_link_is_void_after_leaving(lite: Visitor) -> None:
    row = lite.join()
    path = f"/preferences/{preferences_token(lite.parts.keyring, row)}"
    lite.post(f"/unsubscribe/{unsubscribe_token(lite.parts.keyring, row)}")
    assert lite.get(path).status_code == 404
    assert lite.post(path, data={"hour": "3"}).status_code == 404


def test_export_hands_out_everything_once(visitor: Visitor, clock: SettableClock) -> None:
    visitor.join(words="larks")
    token = manage_token(visitor, clock, "export")
    assert visitor.get(f"/manage/{token}").text.count("<button") == 1
    answer = visitor.post(f"/manage/{token}")
    assert answer.headers["content-type"] == "application/json"
    assert "attachment" in answer.headers["content-disposition"]
    assert ADDRESS in answer.text
    assert "larks" in answer.text
    assert visitor.post(f"/manage/{token}").status_code == 404


def test_erasing_leaves_no_trace_of_the_address(visitor: Visitor, clock: SettableClock) -> None:
    visitor.join()
    token = manage_token(visitor, clock, "erase")
    assert visitor.post(f"/manage/{token}").status_code == 200
    assert ADDRESS not in repr(visitor.dump())
    with visitor.parts.database.reading() as session:
        assert session.scalars(select(SubscriberRow)).all() == []


def test_asking_for_ones_data_answers_alike_for_every_address(lite: Visitor, keyring: Keyring) -> None:
    lite.join()
    answers = {
        (answer.status_code, answer.headers["location"], answer.content)
        for answer in (
            lite.post("/manage", data={"address": address, "action": "erase"})
            for address in (ADDRESS, "nobody@example.org")
        )
    }
    assert len(answers) == 1
    assert lite.post("/manage", data={"address": "nonsense"}).status_code == 422
