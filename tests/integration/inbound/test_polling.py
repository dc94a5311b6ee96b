"""Fetching what came back by IMAP over TLS: each message once, others' letters left for them."""

from pathlib import Path

import pytest
from sqlalchemy.exc import OperationalError

from service.inbound.polling import InboxUnavailable, PollTally, poll
from service.inboxes import ImapInbox, read_imap
from tests import imap_server, reports
from tests.imap_server import Box
from tests.integration.inbound.conftest import Inbound
from tests.integration.mail.certificates import tls_contexts


def inbox(port: int, folder: str = "INBOX", password: str = imap_server.PASSWORD) -> ImapInbox:
    return ImapInbox(host="127.0.0.1", port=port, username=imap_server.USER, password=password, folder=folder)


def test_each_message_is_taken_once_and_letters_are_left(inbound: Inbound, tmp_path: Path) -> None:
    address = inbound.envelope_sender(inbound.mail_digest())
    box = Box()
    box.add(reports.bounce(address))
    box.add(b"From: friend@example.net\nTo: postmaster@bounces.example.org\nSubject: hello\n\nHi!\n")
    box.add(reports.answer(inbound.leave_address(), subject="unsubscribe"))
    serving, trusting = tls_contexts(tmp_path)
    with imap_server.running(box, serving) as port:
        first = poll(inbox(port), inbound.take, tls=trusting)
        second = poll(inbox(port), inbound.take, tls=trusting)

    assert first == PollTally(taken=2, not_ours=1)
    assert second == PollTally()
    assert box.flags() == [{"\\Seen"}, {"\\Seen", "\\Flagged"}, {"\\Seen"}]
    assert inbound.desk.subscriber().status == "unsubscribed"


def test_a_lost_connection_leaves_the_rest_for_the_next_time(quick_inbound: Inbound, tmp_path: Path) -> None:
    address = quick_inbound.envelope_sender(quick_inbound.mail_digest())
    box = Box(fails_after_fetch=2)
    for number in range(4):
        box.add(reports.bounce(address, status="4.2.2", words="full", tag=str(number)))
    serving, trusting = tls_contexts(tmp_path)
    with imap_server.running(box, serving) as port:
        with pytest.raises(InboxUnavailable, match="lost"):
            poll(inbox(port), quick_inbound.take, tls=trusting)
        box.fails_after_fetch = None
        assert poll(inbox(port), quick_inbound.take, tls=trusting) == PollTally(taken=2)
    assert len(quick_inbound.returns()) == 4


def test_what_could_not_be_recorded_stays_unseen(quick_inbound: Inbound, tmp_path: Path) -> None:
    box = Box()
    box.add(reports.bounce(quick_inbound.envelope_sender(quick_inbound.mail_digest())))

    def is_away(_raw: bytes) -> str:
        raise OperationalError("select", {}, Exception("away"))

    serving, trusting = tls_contexts(tmp_path)
    with imap_server.running(box, serving) as port:
        with pytest.raises(OperationalError):
            poll(inbox(port), is_away, tls=trusting)
        assert box.flags() == [set()]
        assert poll(inbox(port), quick_inbound.take, tls=trusting).taken == 1


@pytest.mark.parametrize(("folder", "password"), [("Nowhere", imap_server.PASSWORD), ("INBOX", "wrong")])
def test_what_is_wrong_is_said_without_the_password(tmp_path: Path, folder: str, password: str) -> None:
    serving, trusting = tls_contexts(tmp_path)
    with imap_server.running(Box(), serving) as port, pytest.raises(InboxUnavailable) as failure:
        poll(inbox(port, folder, password), lambda _raw: "noted", tls=trusting)
    assert password not in str(failure.value) or password == "INBOX"
    assert "127.0.0.1" in str(failure.value)


def test_a_server_that_nobody_vouches_for_is_not_given_the_password(tmp_path: Path) -> None:
    serving, _ = tls_contexts(tmp_path)
    with imap_server.running(Box(), serving) as port, pytest.raises(InboxUnavailable):
        poll(inbox(port), lambda _raw: "noted")


@pytest.mark.parametrize(
    ("url", "wrong"),
    [
        ("imap://user:secret-word@mail.example.org/INBOX?starttls=never", "in clear"),
        ("pop3://user:secret-word@mail.example.org", "imaps://"),
        ("imaps://mail.example.org/INBOX", "a user and a password"),
        ("imaps://user:secret-word@mail.example.org:port/", "imaps://"),
    ],
)
def test_unsafe_mailboxes_are_refused_without_quoting_them(url: str, wrong: str) -> None:
    with pytest.raises(ValueError, match=wrong) as failure:
        read_imap(url)
    assert "secret-word" not in str(failure.value)


def test_a_mailbox_is_read_from_its_url() -> None:
    found = read_imap("imaps://user%40example.org:p%2Fw@mail.example.org/Bounces%20here")
    assert (found.host, found.port, found.username, found.password, found.folder) == (
        "mail.example.org", 993, "user@example.org", "p/w", "Bounces here",
    )  # fmt: skip
    assert "p/w" not in repr(found)
