"""The local mailbox keeps what comes, byte for byte, and can be asked for anything."""

import smtplib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from service.clock import SettableClock
from service.mailbox.server import running_mailbox
from service.mailbox.store import DROP_EVERY, MailboxStore

NOON = datetime(2026, 2, 13, 12, tzinfo=UTC)
MAIL = (
    b"From: Paperlark <digest@paperlark.localhost>\r\n"
    b"To: ada@example.org\r\n"
    b"Subject: =?utf-8?q?Caf=C3=A9?=\r\n =?utf-8?q?_papers?=\r\n"
    b"X-Long: one\r\n two\r\n"
    b"MIME-Version: 1.0\r\n"
    b'Content-Type: multipart/alternative; boundary="b"\r\n\r\n'
    b"--b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n.dots\r\ncaf\xc3\xa9\r\n"
    b"--b\r\nContent-Type: text/html; charset=utf-8\r\n\r\n<p>caf\xc3\xa9</p>\r\n"
    b"--b--\r\n"
)


@pytest.fixture
def store(tmp_path: Path) -> MailboxStore:
    return MailboxStore(tmp_path / "mailbox")


def add(store: MailboxStore, content: bytes = MAIL, now: datetime = NOON) -> str:
    return store.add(content, sender="b@x.example", recipients=["ada@example.org"], now=now).id


def test_a_mail_is_kept_byte_for_byte_with_its_envelope(store: MailboxStore) -> None:
    mail = store.get(add(store))

    assert mail is not None
    assert mail.raw == MAIL
    assert mail.summary.sender == "b@x.example"
    assert mail.summary.recipients == ("ada@example.org",)
    assert mail.summary.received_at == NOON
    assert mail.summary.subject == "Café papers"
    assert mail.summary.size == len(MAIL)
    assert mail.text == ".dots\r\ncafé"
    assert mail.html == "<p>café</p>"
    assert ("X-Long", "one two") in mail.headers
    assert [name for name, _ in mail.headers][:2] == ["From", "To"]


def test_the_newest_come_first_in_pages(store: MailboxStore) -> None:
    ids = [add(store, now=NOON + timedelta(seconds=number)) for number in range(5)]

    assert [summary.id for summary in store.list(limit=2)] == [ids[4], ids[3]]
    assert [summary.id for summary in store.list(limit=2, offset=4)] == [ids[0]]
    assert store.count() == 5
    assert [mail.summary.id for mail in store.mails()] == ids[::-1]


def test_an_empty_mailbox_is_just_empty(store: MailboxStore) -> None:
    assert store.list() == []
    assert store.count() == 0
    assert store.clear() == 0


@pytest.mark.parametrize(
    "mail_id", ["", "..", "../../secret_key", "x", "20260213T120000000000-0123456", "\x00"]
)
def test_only_ids_of_mails_reach_the_disk(store: MailboxStore, mail_id: str) -> None:
    add(store)
    (store.folder.parent / "secret_key").write_text("secret")
    assert store.get(mail_id) is None


def test_the_oldest_are_dropped_beyond_the_capacity(tmp_path: Path) -> None:
    store = MailboxStore(tmp_path, capacity=10)
    ids = [add(store, b"\r\n", NOON + timedelta(seconds=number)) for number in range(2 * DROP_EVERY + 1)]

    assert store.count() == 10
    assert store.list(limit=1)[0].id == ids[-1]
    assert store.get(ids[0]) is None
    assert len(list(tmp_path.iterdir())) == 20  # nothing else is left behind


def test_all_can_be_removed(store: MailboxStore) -> None:
    mail_id = add(store)
    assert store.clear() == 1
    assert store.get(mail_id) is None
    assert list(store.folder.iterdir()) == []


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no header at all",
        b"Subject: =?bogus?q?x?=\r\n\r\nbody",
        b"Content-Type: text/html; charset=no-such\r\n\r\n\xff",
        b"Content-Type: text/html; charset=base64\r\n\r\nx",
        b"From: <<<@@@>\r\nTo: \xff\xfe\r\n\r\n",
        b"Content-Type: multipart/mixed; boundary=\r\n\r\n--\r\n",
    ],
)
def test_a_broken_mail_is_kept_and_can_be_looked_at(store: MailboxStore, content: bytes) -> None:
    mail = store.get(add(store, content))

    assert mail is not None
    assert mail.raw == content
    assert isinstance(mail.headers, list)
    assert mail.text is None or isinstance(mail.text, str)
    assert mail.html is None or isinstance(mail.html, str)
    assert len(store.list()) == 1


def test_mail_comes_in_over_smtp_unchanged(store: MailboxStore, clock: SettableClock) -> None:
    with running_mailbox(store, clock=clock) as url:
        parts = urlsplit(url)
        with smtplib.SMTP(parts.hostname, parts.port) as client:
            for number in range(3):
                client.sendmail(f"b{number}@x.example", ["ada@example.org", "b@example.org"], MAIL)

    assert store.count() == 3
    for mail in store.mails():
        assert mail.raw == MAIL
        assert mail.summary.recipients == ("ada@example.org", "b@example.org")
        assert mail.summary.received_at == clock.now


def test_a_disk_that_takes_nothing_is_told_to_the_sender_as_passing(tmp_path: Path) -> None:
    (tmp_path / "mailbox").write_text("a file where the folder should be")
    with running_mailbox(MailboxStore(tmp_path / "mailbox")) as url:
        parts = urlsplit(url)
        with (
            smtplib.SMTP(parts.hostname, parts.port) as client,
            pytest.raises(smtplib.SMTPDataError) as refusal,
        ):
            client.sendmail("b@x.example", ["ada@example.org"], MAIL)
    assert refusal.value.smtp_code == 452
