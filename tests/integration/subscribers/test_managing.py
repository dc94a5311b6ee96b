"""A copy of everything, and its end: behind a fresh link, once, and then for good."""

import json
import shutil
import subprocess
from datetime import date, timedelta
from pathlib import Path

import pytest
from sqlalchemy import delete, insert, select, text, update
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from service.digests.tables import DigestRow
from service.mail import outbox
from service.mail.letters import ManageLetter
from service.mail.tables import DeliveryRow
from service.subscribers import leaving, managing, personal_data
from service.subscribers.limits import Wait
from service.subscribers.tables import ConsentEventRow, InterestRow, SubscriberRow, TokenRow
from tests.servers import _postgres_binaries
from tests.subscriber_desk import ANN, BASE_URL, Desk

SELECTION = [
    {"paper": "2401.01234", "list": "trending", "score": 1.0, "reasons": ["42 votes"], "interest": None}
]


def mail_a_digest(desk: Desk) -> None:
    """Leave in every table what a digest leaves, with a relay that repeats the address."""
    subscriber_id = desk.subscriber().id
    with desk.database.transaction() as session:
        digest = DigestRow(
            subscriber_id=subscriber_id,
            issue_date=date(2026, 3, 16),
            due_at=desk.clock(),
            planned_at=desk.clock(),
            outcome="mailed",
            selection=SELECTION,
            papers="2401.01234",
        )
        session.add(digest)
        session.flush()
        delivery_id = outbox.queue(
            session,
            kind="digest",
            queue=outbox.BULK,
            now=desk.clock(),
            expires_at=desk.clock() + timedelta(hours=12),
            subscriber_id=subscriber_id,
            digest_id=digest.id,
        )
        session.execute(
            update(DeliveryRow)
            .where(DeliveryRow.id == delivery_id)
            .values(status="sent", reply_code=250, reply_text=f"250 queued for <{ANN}>")
        )


def erase(desk: Desk) -> None:
    desk.request_link("erase")
    performed = desk.perform(desk.manage_token())
    assert performed == managing.Performed(action="erase", address=ANN)
    personal_data.scrub(desk.database, performed.address)


def test_the_link_comes_by_mail_and_lives_thirty_minutes(desk: Desk) -> None:
    desk.subscribe()
    desk.request_link("export")

    [letter] = desk.compose(*desk.deliveries("manage"))
    token = desk.manage_token()
    assert letter == ManageLetter(
        recipient=ANN,
        action="export",
        url=f"{BASE_URL}/manage/{token}",
        requested_at=desk.clock(),
        expires_at=desk.clock() + timedelta(minutes=30),
    )
    desk.clock.advance(timedelta(minutes=30))
    assert desk.perform(token) is None


def test_an_unknown_address_gets_no_link_and_requests_are_limited(desk: Desk) -> None:
    desk.request_link("erase", "nobody@example.org")
    desk.subscribe()
    for _ in range(20):
        desk.request_link("export", "Ann@EXAMPLE.org")

    assert len(desk.deliveries("manage")) == 1


def test_neither_sign_up_nor_strangers_keep_a_link_from_its_owner(desk: Desk) -> None:
    desk.subscribe()
    for _ in range(20):
        desk.sign_up()
    assert len(desk.deliveries("already_subscribed")) == 1
    assert desk.request_link("erase")
    assert not desk.request_link("erase")
    assert desk.request_own_link("erase")
    assert not desk.request_own_link("export")
    assert len(desk.deliveries("manage")) == 2


def test_five_links_a_day_and_the_wait_is_told(desk: Desk) -> None:
    desk.subscribe()
    started = desk.clock()

    def wait() -> Wait | None:
        with desk.database.reading() as session:
            return managing.find_link_wait(session, desk.keyring, desk.clock(), address=ANN)

    assert wait() is None
    for _ in range(5):
        assert desk.request_own_link("export")
        assert wait() is not None
        desk.clock.advance(timedelta(minutes=5))
        assert not desk.request_own_link("export")
        desk.clock.advance(timedelta(minutes=5))
    last_at = started + timedelta(minutes=40)
    assert wait() == Wait(last_at=last_at, free_at=started + timedelta(days=1))
    assert not desk.request_own_link("export")
    desk.clock.now = started + timedelta(days=1)
    assert wait() is None
    assert desk.request_own_link("export")


@pytest.mark.trust(73)
def test_the_export_holds_everything_as_json_and_comes_once(desk: Desk) -> None:
    desk.subscribe()
    mail_a_digest(desk)
    desk.request_link("export")
    token = desk.manage_token()
    performed = desk.perform(token)

    assert performed is not None
    document = json.loads(json.dumps(performed.document))
    assert document["subscriber"]["address"] == ANN
    assert document["preferences"]["words"] == ["mamba"]
    assert [event["kind"] for event in document["consent"]] == [
        "requested", "confirmed", "link_requested", "exported",
    ]  # fmt: skip
    assert document["consent"][0]["wording"] == "form-1"
    assert {delivery["kind"] for delivery in document["deliveries"]} == {"confirm", "digest", "manage"}
    assert document["digests"] == [
        {"issue_date": "2026-03-16", "outcome": "mailed", "skip_reason": None, "papers": SELECTION}
    ]
    assert desk.perform(token) is None


def test_erasing_leaves_the_books_without_the_person(desk: Desk) -> None:
    desk.subscribe()
    mail_a_digest(desk)
    erase(desk)

    for table in (SubscriberRow, InterestRow, TokenRow):
        assert desk.count(table) == 0
    with desk.database.reading() as session:
        [digest] = session.scalars(select(DigestRow)).all()
    assert (digest.subscriber_id, digest.selection, digest.papers) == (None, [], None)
    assert digest.outcome == "mailed"
    for delivery in desk.deliveries():
        assert (delivery.subscriber_id, delivery.parameters, delivery.reply_text) == (None, {}, None)
    for event in desk.events():
        assert (event.subscriber_id, event.network, event.user_agent, event.details) == (None, None, None, {})
        assert event.address_key == desk.keyring.address_key(ANN)
    assert [event.kind for event in desk.events()] == ["requested", "confirmed", "link_requested", "erased"]
    assert desk.suppressions() == ["erased"]


def test_what_still_waited_for_an_erased_person_is_not_sent(desk: Desk) -> None:
    desk.subscribe()
    desk.request_link("export")
    waiting = desk.deliveries("manage")
    with desk.database.transaction() as session:
        assert personal_data.erase(session, desk.keyring, desk.subscriber().id, desk.clock())

    assert desk.compose(*waiting)[0].reason == "erased"
    assert desk.deliveries("manage")[0].status == "cancelled"


def test_an_erased_person_may_sign_up_anew(desk: Desk) -> None:
    first = desk.subscribe()
    erase(desk)
    desk.clock.advance(timedelta(hours=1))
    desk.sign_up()
    assert desk.suppressions() == ["erased"]
    desk.confirm(desk.confirm_token())

    assert desk.suppressions() == []
    assert desk.subscriber().status == "active"
    assert desk.subscriber().public_id != first.public_id
    with desk.database.reading() as session:
        document = managing.export(session, desk.subscriber().id)
    assert document["digests"] == []


def test_a_complaint_outlives_the_erasure(desk: Desk) -> None:
    subscriber = desk.subscribe()
    with desk.database.transaction() as session:
        leaving.stop(
            session, desk.keyring, subscriber.id, leaving.Event.COMPLAIN, now=desk.clock(), source="arf"
        )
        personal_data.erase(session, desk.keyring, subscriber.id, desk.clock())
    desk.sign_up()

    assert desk.suppressions() == ["complaint"]
    assert desk.count(SubscriberRow) == 0


def crowd(desk: Desk, count: int) -> None:
    """Fill the tables so that pages split and rows move around the one to be erased."""
    rows = [
        {
            "public_id": number + 1,
            "address": f"{number * 7919 % count:05}.reader@host{number % 97}.example.org",
            "address_key": number.to_bytes(32, "big"),
            "status": "active",
            "created_at": desk.clock(),
            "updated_at": desk.clock(),
        }
        for number in range(count)
    ]
    with desk.database.transaction() as session:
        session.execute(insert(SubscriberRow), rows)


@pytest.mark.trust(73)
def test_no_byte_of_an_erased_address_is_left_in_the_sqlite_file(quick_desk: Desk) -> None:
    desk = quick_desk
    crowd(desk, 2_000)
    desk.subscribe()
    mail_a_digest(desk)
    with desk.database.transaction() as session:
        session.execute(
            insert(SubscriberRow),
            [
                {
                    "public_id": 10**9 + number,
                    "address": f"ann{number:04}@example.org",
                    "address_key": number.to_bytes(32, "big"),
                    "status": "active",
                    "created_at": desk.clock(),
                    "updated_at": desk.clock(),
                }
                for number in range(2_000)
            ],
        )
    path = Path(str(desk.database.engine.url.database))
    personal_data.scrub(desk.database)
    assert ANN.encode() in path.read_bytes()
    erase(desk)

    for file in path.parent.glob(f"{path.name}*"):
        assert ANN.encode() not in file.read_bytes()


def test_a_copy_left_between_the_rows_is_found_and_written_over(quick_desk: Desk) -> None:
    desk = quick_desk
    desk.subscribe()
    with desk.database.engine.connect() as connection:  # as after rows have moved between pages
        connection.exec_driver_sql("PRAGMA secure_delete=OFF")
        connection.execute(delete(SubscriberRow))
        connection.commit()
        connection.exec_driver_sql("PRAGMA secure_delete=ON")
    path = Path(str(desk.database.engine.url.database))
    personal_data.scrub(desk.database)
    assert ANN.encode() in path.read_bytes()

    personal_data.scrub(desk.database, ANN)
    assert ANN.encode() not in path.read_bytes()


@pytest.mark.trust(73)
def test_no_byte_of_an_erased_address_is_left_in_a_dump(
    desk: Desk, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    desk.subscribe()
    mail_a_digest(desk)
    erase(desk)
    with desk.database.reading() as session:
        dump = dump_of(session)

    assert "digests" in dump
    assert "ann@" not in dump
    if desk.database.is_sqlite:
        return
    binary = shutil.which("pg_dump") or str(_postgres_binaries() / "pg_dump")
    if not Path(binary).exists():
        return  # the wheel has the server only; the rows of every table have been looked through above
    done = subprocess.run(
        [binary, request.getfixturevalue("postgres_url")],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
    )
    assert "consent_events" in done.stdout
    assert "ann@" not in done.stdout


def dump_of(session: Session) -> str:
    """Every row of every table, as text."""
    tables = SubscriberRow.metadata.sorted_tables
    return "\n".join(
        f"{table.name} {tuple(row)}"
        for table in tables
        for row in session.execute(text(f"select * from {table.name}"))
    )


@pytest.mark.trust(68)
@pytest.mark.parametrize(
    "change",
    [
        update(ConsentEventRow).values(kind="changed"),
        update(ConsentEventRow).values(wording="form-2"),
        update(ConsentEventRow).values(token_hash=None),
        update(ConsentEventRow).values(network="203.0.113.0/24"),
        update(ConsentEventRow).values(details={"other": 1}),
        update(ConsentEventRow).values(subscriber_id=999),
        delete(ConsentEventRow),
    ],
    ids=["kind", "wording", "token_hash", "network", "details", "subscriber_id", "delete"],
)
def test_the_log_of_consent_refuses_to_be_rewritten(desk: Desk, change: object) -> None:
    desk.sign_up()

    with pytest.raises(DBAPIError, match="consent_events"), desk.database.transaction() as session:
        session.execute(change)
    assert [event.kind for event in desk.events()] == ["requested"]
