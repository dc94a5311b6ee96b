"""The local mailbox: mail is shown as it came, and can do nothing."""

from email.message import EmailMessage
from email.policy import SMTP

import pytest

from service.clock import SettableClock
from service.config import Settings
from service.database import Database
from service.mailbox.store import MailboxStore, Summary
from tests.web.conftest import Visitor, make_visitor

HTML = (
    "<html><head><style>p{color:red}</style></head><body><p>Hello</p>"
    "<script>alert(1)</script><a href='http://127.0.0.1:8000/confirm/x'>Confirm</a></body></html>"
)


@pytest.fixture
def store(settings: Settings) -> MailboxStore:
    return MailboxStore(settings.data_dir / "mailbox")


@pytest.fixture
def site(sqlite_database: Database, settings: Settings, clock: SettableClock, store: MailboxStore) -> Visitor:
    return make_visitor(sqlite_database, settings, clock, mailbox=store)


def caught(
    store: MailboxStore, clock: SettableClock, *, subject: str = "Greetings", html: str | None = HTML
) -> Summary:
    message = EmailMessage(policy=SMTP)
    message["From"], message["To"], message["Subject"] = "Lark <lark@example.org>", "ann@example.org", subject
    message["List-Unsubscribe"] = "<http://127.0.0.1:8000/unsubscribe/x>"
    message.set_content("Hello as text: http://127.0.0.1:8000/confirm/x\n<script>alert(2)</script>\n")
    if html is not None:
        message.add_alternative(html, subtype="html")
    return store.add(bytes(message), sender="bounce@example.org", recipients=["ann@example.org"], now=clock())


def test_newest_mail_comes_first(site: Visitor, store: MailboxStore, clock: SettableClock) -> None:
    assert "No mail yet" in site.get("/mailbox").text
    for number in range(53):
        clock.now = clock.now.replace(minute=number)
        caught(store, clock, subject=f"Mail number {number}.")
    first, second = site.get("/mailbox").text, site.get("/mailbox?page=2").text
    assert first.index("number 52.") < first.index("number 51.")
    assert "number 2." not in first
    assert "number 2." in second
    assert "53 mails kept" in first


def test_one_mail_is_shown_four_ways(site: Visitor, store: MailboxStore, clock: SettableClock) -> None:
    path = f"/mailbox/{caught(store, clock).id}"
    page = site.get(path)
    assert 'sandbox="allow-popups allow-popups-to-escape-sandbox"' in page.text
    assert page.headers["content-security-policy"].endswith("frame-src 'self'")
    text = site.get(path, params={"view": "text"}).text
    assert "Hello as text" in text
    assert 'href="http://127.0.0.1:8000/confirm/x"' in text
    headers = site.get(path, params={"view": "headers"}).text
    assert "List-Unsubscribe" in headers
    assert "&lt;http://127.0.0.1:8000/unsubscribe/x&gt;" in headers
    assert "multipart/alternative" in site.get(path, params={"view": "source"}).text
    for view in ("text", "headers", "source"):
        assert "<script>alert" not in site.get(path, params={"view": view}).text
    raw = site.get(f"{path}/raw")
    assert raw.headers["content-type"] == "message/rfc822"
    assert b"Subject: Greetings\r\n" in raw.content


def test_html_part_is_served_in_a_sandbox(site: Visitor, store: MailboxStore, clock: SettableClock) -> None:
    answer = site.get(f"/mailbox/{caught(store, clock).id}/html")
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none'")
    assert "allow-scripts" not in policy
    assert "allow-same-origin" not in policy
    assert answer.text.startswith('<html><head><base target="_blank"><style>')


@pytest.mark.parametrize(
    ("html", "served"),
    [
        ('<!DOCTYPE html><html><HEAD lang="en"><p>x', '<!DOCTYPE html><html><HEAD lang="en">{}<p>x'),
        ("<!doctype html><header>x</header>", "<!doctype html>{}<header>x</header>"),
        ("<p>x", "{}<p>x"),
    ],
    ids=["head", "doctype", "neither"],
)
def test_the_base_leaves_the_doctype_first(
    site: Visitor, store: MailboxStore, clock: SettableClock, html: str, served: str
) -> None:
    """Anything before the doctype switches the browser to quirks mode: not what other mailboxes show."""
    text = site.get(f"/mailbox/{caught(store, clock, html=html).id}/html").text
    assert text.strip() == served.format('<base target="_blank">')


def test_mail_without_html_is_shown_as_text(site: Visitor, store: MailboxStore, clock: SettableClock) -> None:
    path = f"/mailbox/{caught(store, clock, html=None).id}"
    assert "Hello as text" in site.get(path).text
    assert site.get(f"{path}/html").status_code == 404


def test_hostile_subject_is_inert_and_unknown_mail_is_not_there(
    site: Visitor, store: MailboxStore, clock: SettableClock
) -> None:
    caught(store, clock, subject="<img src=x onerror=alert(1)> {{7*7}}")
    text = site.get("/mailbox").text
    assert "<img src=x" not in text
    assert "{{7*7}}" in text
    for mail_id in ("none", "..%2f..%2fsecret_key", "20260213T080000000000-deadbeef"):
        assert site.get(f"/mailbox/{mail_id}").status_code == 404
