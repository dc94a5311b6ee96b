"""What operators and their machines ask: health, figures, logs that name nobody, who the client is."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest
from pydantic import SecretStr
from sqlalchemy import text, update
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as NoConnectionLeft
from sqlalchemy.orm import Session
from starlette.requests import Request
from structlog.testing import capture_logs

from service.clock import SettableClock
from service.config import Environment, Settings
from service.database import Database
from service.digests import hold
from service.digests.tables import DigestRow
from service.mail import outbox
from service.mail.tables import DeliveryRow
from service.mailbox.store import MailboxStore
from service.subscribers.links import unsubscribe_token
from service.web.client import client_address, is_local, read_networks
from tests.web.conftest import ADDRESS, Visitor, add_paper, add_run, make_visitor

AWAY = ("203.0.113.9", 4711)


def test_process_is_up_and_ready(visitor: Visitor) -> None:
    assert visitor.get("/healthz").json() == {"status": "up"}
    ready = visitor.get("/readyz")
    assert (ready.status_code, ready.json()["database"], ready.json()["redis"]) == (200, "ok", "unused")


def test_not_ready_before_migration(tmp_path: object, settings: Settings, clock: SettableClock) -> None:
    database = Database(f"sqlite:///{tmp_path}/empty.sqlite3")
    site = make_visitor(database, settings, clock)
    ready = site.get("/readyz")
    assert (ready.status_code, ready.json()["database"]) == (503, "not migrated")
    assert site.get("/healthz").status_code == 200
    database.close()


def test_ready_asks_redis_where_there_is_one(
    sqlite_database: Database, settings: Settings, clock: SettableClock, redis_url: str
) -> None:
    for url, status in ((redis_url, 200), ("redis://127.0.0.1:1/0", 503)):
        site = make_visitor(sqlite_database, settings.model_copy(update={"redis_url": url}), clock)
        assert site.get("/readyz").status_code == status


def test_health_is_answered_under_any_host(lite: Visitor) -> None:
    assert lite.get("/healthz", headers={"Host": "10.1.2.3:8000"}).status_code == 200
    assert lite.get("/", headers={"Host": "10.1.2.3:8000"}).status_code == 400


def test_figures_count_what_the_tables_hold(visitor: Visitor, clock: SettableClock) -> None:
    row = visitor.join()
    visitor.subscribe("second@example.org")
    with visitor.parts.database.transaction() as session:
        outbox.queue(
            session,
            kind="digest",
            queue=outbox.BULK,
            now=clock(),
            expires_at=clock() + timedelta(hours=9),
            subscriber_id=row.id,
        )
    add_paper(visitor.parts.database)
    add_run(visitor.parts.database, clock(), source="demo")
    clock.advance(timedelta(seconds=90))
    lines = visitor.get("/metrics").text.splitlines()
    assert 'paperlark_subscribers{status="active"} 1.0' in lines
    assert 'paperlark_subscribers{status="pending"} 1.0' in lines
    assert 'paperlark_deliveries{kind="confirm",status="queued"} 2.0' in lines
    assert 'paperlark_queue_age_seconds{queue="bulk"} 90.0' in lines
    assert 'paperlark_papers{source="huggingface"} 1.0' in lines
    assert 'paperlark_source_up{source="demo",state="ok"} 1.0' in lines
    assert ADDRESS not in "".join(lines)


def test_a_hold_is_among_the_figures(visitor: Visitor, clock: SettableClock) -> None:
    with visitor.parts.database.transaction() as session:
        hold.place(session, clock(), kind=hold.Kind.RESTORE, reason="a dump")
    lines = visitor.get("/metrics").text.splitlines()
    assert 'paperlark_hold{kind="restore"} 1.0' in lines
    assert 'paperlark_hold{kind="operator"} 0.0' in lines


def test_a_digest_that_was_only_planned_is_not_counted_as_sent(
    visitor: Visitor, clock: SettableClock
) -> None:
    statuses = ["queued", "claimed", "sending", "deferred", "sent", "sent", "failed", "unknown", "cancelled"]
    people = range(1, len(statuses) + 4)
    today = clock().date()
    with visitor.parts.database.transaction() as session:
        for number in people:
            is_planned = number <= len(statuses)
            session.add(
                DigestRow(
                    id=number, subscriber_id=None, issue_date=today, due_at=clock(), planned_at=clock(),
                    outcome="mailed" if is_planned else "skipped",
                    skip_reason=None if is_planned else "missed" if number < people[-1] else "empty",
                )
            )  # fmt: skip
        session.flush()
        for number, status in enumerate(statuses, 1):
            row = outbox.queue(
                session, kind="digest", queue=outbox.BULK, now=clock(), digest_id=number,
                expires_at=clock() + timedelta(hours=9),
            )  # fmt: skip
            session.execute(update(DeliveryRow).where(DeliveryRow.id == row).values(status=status))
    lines = visitor.get("/metrics").text.splitlines()
    assert sorted(line for line in lines if line.startswith("paperlark_digests{")) == [
        'paperlark_digests{outcome="cancelled",skip_reason=""} 1.0',
        'paperlark_digests{outcome="deferred",skip_reason=""} 1.0',
        'paperlark_digests{outcome="failed",skip_reason=""} 1.0',
        'paperlark_digests{outcome="queued",skip_reason=""} 3.0',
        'paperlark_digests{outcome="sent",skip_reason=""} 2.0',
        'paperlark_digests{outcome="skipped",skip_reason="empty"} 1.0',
        'paperlark_digests{outcome="skipped",skip_reason="missed"} 2.0',
        'paperlark_digests{outcome="unknown",skip_reason=""} 1.0',
    ]


def test_figures_are_not_for_everybody(
    sqlite_database: Database, settings: Settings, clock: SettableClock
) -> None:
    guarded = settings.model_copy(update={"operator_token": SecretStr("an-operator-token-of-ours")})
    away = make_visitor(sqlite_database, guarded, clock, client=AWAY)
    assert away.get("/metrics").status_code == 404
    assert away.get("/metrics", headers={"Authorization": "Bearer wrong"}).status_code == 404
    good = {"Authorization": "Bearer an-operator-token-of-ours"}
    assert away.get("/metrics", headers=good).status_code == 200
    here = make_visitor(sqlite_database, settings, clock)
    assert here.get("/metrics").status_code == 200
    assert here.get("/metrics", headers={"X-Forwarded-For": "203.0.113.9"}).status_code == 404
    assert here.get("/metrics", headers={"Host": "rebound.example"}).status_code == 404


@pytest.mark.trust(85)
def test_log_names_routes_and_never_tokens_or_addresses(lite: Visitor) -> None:
    row = lite.join()
    token = unsubscribe_token(lite.parts.keyring, row)
    with capture_logs() as logs:
        lite.post(f"/unsubscribe/{token}")
        lite.get(f"/preferences/{token}")
        lite.get(f"/elsewhere/{token}")
        lite.subscribe("somebody@example.org")
        lite.get("/search", params={"q": "somebody@example.org"})
    lines = [entry for entry in logs if entry["event"] == "http.request"]
    assert [(line["route"], line["status"]) for line in lines[:3]] == [
        ("/unsubscribe/{token}", 200),
        ("/preferences/{token}", 404),
        ("-", 404),
    ]
    assert token not in repr(logs)
    assert "somebody" not in repr(logs)


def test_fault_is_told_without_its_values(lite: Visitor) -> None:
    """A database error carries its parameters, an address among them: neither page nor log shows any."""
    with lite.parts.database.engine.begin() as connection:
        connection.execute(text("ALTER TABLE subscribers RENAME TO lost"))
    stamp = lite.stamp()
    with capture_logs() as logs:
        answer = lite.post("/subscribe", data={"address": "somebody@example.org", "stamp": stamp})
        problem = lite.post("/api/v1/subscriptions", json={"address": "somebody@example.org"})
    assert answer.status_code == problem.status_code == 500
    assert "Something broke on our side" in answer.text
    assert problem.headers["content-type"] == "application/problem+json"
    assert "content-security-policy" in answer.headers
    assert "somebody" not in answer.text + problem.text + repr(logs)
    assert [entry["kind"] for entry in logs if entry["event"] == "http.failed"] == ["OperationalError"] * 2
    assert lite.rings == []


FULL = OperationalError("COMMIT", {"address": "somebody@example.org"}, Exception("disk full"))
BUSY = NoConnectionLeft("QueuePool limit of size 5 overflow 15 reached")


class FailingDatabase(Database):
    """A database whose commits fail."""

    failure: Exception = FULL

    @contextmanager
    def transaction(self) -> Iterator[Session]:
        with super().transaction() as session:
            yield session
            raise self.failure


@pytest.mark.parametrize("failure", [FULL, BUSY], ids=["full", "busy"])
def test_failed_commit_is_told_as_one(
    sqlite_url: str, settings: Settings, clock: SettableClock, failure: Exception
) -> None:
    """The answer waits for the commit: no "check your mailbox", no ring, no row when it fails."""
    database = FailingDatabase(sqlite_url)
    database.failure = failure
    site = make_visitor(database, settings, clock)
    with capture_logs() as logs:
        assert site.subscribe("somebody@example.org").status_code == 503
        assert site.post("/api/v1/subscriptions", json={"address": ADDRESS}).status_code == 503
    assert site.rings == []
    assert site.subscriber("somebody@example.org") is None
    assert "somebody" not in repr(logs)
    database.close()


def asked_by(peer: str, **headers: str) -> Request:
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return Request({"type": "http", "client": (peer, 1), "headers": [(b"host", b"localhost:8000"), *raw]})


@pytest.mark.trust(81)
@pytest.mark.parametrize(
    ("peer", "forwarded", "trusted", "expected"),
    [
        ("203.0.113.9", "198.51.100.1", (), "203.0.113.9"),  # nobody is trusted: the header is hearsay
        ("10.0.0.2", "198.51.100.1", ("10.0.0.2",), "198.51.100.1"),
        ("10.0.0.2", "6.6.6.6, 198.51.100.1", ("10.0.0.2",), "198.51.100.1"),  # a made-up hop at the left
        ("10.0.0.2", "198.51.100.1, 10.0.0.3", ("10.0.0.0/8",), "198.51.100.1"),  # two proxies of ours
        ("10.0.0.2", "[2001:db8::7]:443, 10.0.0.3:80", ("10.0.0.0/8",), "2001:db8::7"),
        ("10.0.0.2", "not-an-address", ("10.0.0.2",), "10.0.0.2"),
        ("10.0.0.2", "", ("10.0.0.2",), "10.0.0.2"),
    ],
)
def test_client_is_what_trusted_proxies_vouch_for(
    peer: str, forwarded: str, trusted: tuple[str, ...], expected: str
) -> None:
    assert client_address(asked_by(peer, x_forwarded_for=forwarded), read_networks(trusted)) == expected


def test_local_is_only_who_sits_here() -> None:
    assert is_local(asked_by("127.0.0.1"), ())
    assert not is_local(asked_by("203.0.113.9"), ())
    assert not is_local(asked_by("127.0.0.1", x_forwarded_for="203.0.113.9"), ())
    assert not is_local(asked_by("127.0.0.1", x_forwarded_for="203.0.113.9"), read_networks(("127.0.0.1",)))


def test_mailbox_is_shut_to_others_in_production(
    sqlite_database: Database, settings: Settings, clock: SettableClock
) -> None:
    store = MailboxStore(settings.data_dir / "mailbox")
    production = settings.model_copy(update={"environment": Environment.PRODUCTION})
    for site_settings, client, status in (
        (settings, AWAY, 200),
        (production, AWAY, 404),
    ):
        site = make_visitor(sqlite_database, site_settings, clock, client=client, mailbox=store)
        assert site.get("/mailbox").status_code == status
    assert make_visitor(sqlite_database, settings, clock).get("/mailbox").status_code == 404
