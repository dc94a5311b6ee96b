"""The receiver against whoever means ill, over real sockets: nothing is lost, kept, let in or told."""

import asyncio
import contextlib
import logging
import resource
import shutil
import smtplib
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.inbound.receiver import LINE_LIMIT, NO_LINE_LIMIT, PEER_CONNECTIONS, Certificate, Handler
from service.mail.postbox import Ours
from tests import reports
from tests.integration.inbound.conftest import Inbound
from tests.integration.inbound.test_receiver import a_receiver, connection, hand_over, run_with
from tests.integration.mail.certificates import tls_contexts


@contextlib.contextmanager
def raw_connection(port: int) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", port), 10) as made:
        made.recv(200)
        yield made


def say(peer: socket.socket, words: bytes) -> bytes:
    peer.sendall(words)
    answer = b""
    while not answer.endswith(b"\r\n") or answer.splitlines()[-1][3:4] != b" ":
        answer += peer.recv(4000)
    return answer


def begin_message(peer: socket.socket, address: str) -> None:
    for line in (b"EHLO mx.example.net", b"MAIL FROM:<>", f"RCPT TO:<{address}>".encode(), b"DATA"):
        answer = say(peer, line + b"\r\n")
    assert answer.startswith(b"354")


def read_to_end(peer: socket.socket) -> bytes:
    answers = b""
    with contextlib.suppress(ConnectionError):
        while more := peer.recv(4000):
            answers += more
    return answers


class Taken:
    """Takes whatever comes and keeps it."""

    def __init__(self, inbound: Inbound) -> None:
        self.messages: list[bytes] = []
        self.address = inbound.envelope_sender(inbound.mail_digest())
        self.handler = Handler(inbound.postbox, self)

    def __call__(self, raw: bytes, _ours: list[Ours]) -> str:
        self.messages.append(raw)
        return "noted"


@pytest.mark.trust(63)
@pytest.mark.parametrize("end", [b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r.\r", b"\r.\r\n", b"\r\n\x00.\r\n"])
def test_only_a_dot_between_line_ends_ends_a_message(quick_inbound: Inbound, end: bytes) -> None:
    taken = Taken(quick_inbound)
    second = f"MAIL FROM:<>\r\nRCPT TO:<{taken.address}>\r\nDATA\r\nX: smuggled\r\n".encode()

    def client(port: int) -> None:
        with raw_connection(port) as peer:
            begin_message(peer, taken.address)
            peer.sendall(b"Subject: first\r\n\r\nwords" + end + second + b"\r\n.\r\nQUIT\r\n")
            assert read_to_end(peer).startswith(b"250")

    run_with(a_receiver(taken.handler), client)
    [message] = taken.messages
    assert b"smuggled" in message


@pytest.mark.trust(63)
def test_a_line_without_end_is_not_kept(quick_inbound: Inbound) -> None:
    taken = Taken(quick_inbound)

    def client(port: int) -> int:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        with raw_connection(port) as peer:
            begin_message(peer, taken.address)
            sent = 0
            with contextlib.suppress(ConnectionError):
                while sent < 200_000_000:
                    peer.sendall(b"x" * 100_000 + b"\n")
                    sent += 100_001
        assert sent < 10 * NO_LINE_LIMIT
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before

    assert run_with(a_receiver(taken.handler), client) < 40_000  # kilobytes
    assert taken.messages == []


def test_long_lines_are_taken_since_nobody_would_mend_them(quick_inbound: Inbound) -> None:
    taken = Taken(quick_inbound)
    raw = b"Subject: x\r\n\r\n" + b"y" * (LINE_LIMIT - 2) + b"\r\n"

    def client(port: int) -> tuple[int, int]:
        with connection(port) as session:
            return hand_over(session, taken.address, raw)

    assert run_with(a_receiver(taken.handler), client) == (250, 250)
    assert taken.messages == [b"Return-Path: <>\r\n" + raw]


@pytest.mark.parametrize(
    ("garbage", "answer"),
    [
        (b"\x00\x01\xff\xfe\r\n", b"500"),
        (b"x" * 5000 + b"\r\n", b"500"),
        (b"MAIL FROM:<\xff@x>\r\n", b"500"),
        (b"GET / HTTP/1.1\r\n", b"500"),
        (b"AUTH PLAIN AGEAYg==\r\n", b"5"),
        (b"STARTTLS\r\n", b"454"),
        (b"DATA\r\n", b"503"),
        (b"RCPT TO:<bounce+x@bounces.example.org>\r\n", b"503"),
    ],
)
def test_garbage_is_refused_and_the_connection_goes_on(
    quick_inbound: Inbound, garbage: bytes, answer: bytes
) -> None:
    def client(port: int) -> None:
        with raw_connection(port) as peer:
            say(peer, b"EHLO x\r\n")
            assert say(peer, garbage).startswith(answer)
            assert say(peer, b"NOOP\r\n").startswith(b"250")

    run_with(a_receiver(Taken(quick_inbound).handler), client)


def test_nobody_holds_a_connection_by_saying_nothing_for_ever(quick_inbound: Inbound) -> None:
    def client(port: int) -> bytes:
        with raw_connection(port) as peer:
            say(peer, b"EHLO x\r\n")
            peer.sendall(b"NOOP\r\n" * 60)
            return read_to_end(peer)

    assert b"421 4.7.0" in run_with(a_receiver(Taken(quick_inbound).handler), client)


def test_one_peer_does_not_keep_the_others_out(quick_inbound: Inbound) -> None:
    def client(port: int) -> list[bytes]:
        made = [socket.create_connection(("127.0.0.1", port), 10) for _ in range(PEER_CONNECTIONS + 2)]
        try:
            other = socket.create_connection(("127.0.0.1", port), 10, source_address=("127.0.0.2", 0))
            made.append(other)
            return [one.recv(100)[:3] for one in made]
        finally:
            for one in made:
                one.close()

    answers = run_with(a_receiver(Taken(quick_inbound).handler), client)
    assert answers == [b"220"] * PEER_CONNECTIONS + [b"421"] * 2 + [b"220"]


@pytest.mark.trust(85)
def test_what_the_library_fails_at_is_put_off_and_not_quoted(
    quick_inbound: Inbound, caplog: pytest.LogCaptureFixture
) -> None:
    handler = Taken(quick_inbound).handler
    caplog.set_level(logging.DEBUG)

    def client(port: int) -> bytes:
        with raw_connection(port) as peer:
            say(peer, b"EHLO x\r\n")
            say(peer, b"MAIL FROM:<>\r\n")
            say(peer, b"RCPT TO:<somebody.secret@example.net>\r\n")
            say(peer, b'MAIL FROM:<"secret@example.net>\r\n')
            return asyncio.run(handler.handle_exception(ValueError("secret"))).encode()

    assert run_with(a_receiver(handler), client).startswith(b"451")
    assert "secret" not in caplog.text


def test_a_message_at_hand_is_recorded_and_answered_before_it_stops(quick_inbound: Inbound) -> None:
    begun, may_end = threading.Event(), threading.Event()
    taken = Taken(quick_inbound)

    def take(_raw: bytes, _ours: list[Ours]) -> str:
        begun.set()
        may_end.wait(10)
        return "noted"

    handler = Handler(quick_inbound.postbox, take)
    receiver = a_receiver(handler)
    answers: list[tuple[int, int]] = []

    def client(port: int) -> None:
        with connection(port) as session:
            answers.append(hand_over(session, taken.address, b"x: y\r\n\r\nz\r\n"))
            session.close()

    async def run() -> None:
        await receiver.start()
        handing_over = asyncio.create_task(asyncio.to_thread(client, receiver.port))
        await asyncio.to_thread(begun.wait, 10)
        stopping = asyncio.create_task(receiver.stop())
        await asyncio.sleep(0)
        may_end.set()
        await stopping
        await handing_over

    asyncio.run(run())
    assert answers == [(250, 250)]


@pytest.mark.parametrize("kind", [smtplib.SMTP, smtplib.LMTP])
def test_a_bounce_comes_by_tls_and_what_came_before_it_is_forgotten(
    quick_inbound: Inbound, tmp_path: Path, kind: type[smtplib.SMTP]
) -> None:
    _, trusting = tls_contexts(tmp_path)
    certificate = Certificate(tmp_path / "relay.pem")
    address = quick_inbound.envelope_sender(quick_inbound.mail_digest())
    handler = Handler(quick_inbound.postbox, lambda raw, _ours: quick_inbound.take(raw, address))
    scheme = "lmtp" if kind is smtplib.LMTP else "smtp"

    def client(port: int) -> tuple[int, int]:
        with raw_connection(port) as peer:  # commands slipped in before TLS are not obeyed in it
            say(peer, b"LHLO x\r\n" if scheme == "lmtp" else b"EHLO x\r\n")
            say(peer, b"STARTTLS\r\nMAIL FROM:<injected@example.net>\r\n")
            with trusting.wrap_socket(peer, server_hostname="127.0.0.1") as secure:
                secure.sendall(b"NOOP\r\n")
                assert b"injected" not in secure.recv(1000)
        with connection(port, kind) as session:
            session.starttls(context=trusting)
            session.ehlo()
            assert "auth" not in session.esmtp_features
            return hand_over(session, address, reports.bounce(address))

    receiver = a_receiver(handler, f"{scheme}://127.0.0.1:0", certificate=certificate)
    assert run_with(receiver, client) == (250, 250)
    assert quick_inbound.desk.subscriber().status == "bounced"
    assert len(receiver._open) == 0


def test_a_renewed_certificate_is_served_without_a_restart(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    for folder in (old, new):
        folder.mkdir()
    tls_contexts(old)
    _, trusting_new = tls_contexts(new)
    certificate = Certificate(old / "relay.pem")
    first = certificate.context()

    (old / "relay.pem").write_text("half of a certificate")
    assert certificate.context() is first
    shutil.copy(new / "relay.pem", old / "relay.pem")
    assert certificate.context() is not first
    served = ssl.MemoryBIO(), ssl.MemoryBIO()
    server = certificate.context().wrap_bio(*served, server_side=True)
    client = trusting_new.wrap_bio(served[1], served[0], server_hostname="127.0.0.1")
    for side in (client, server, client):
        with contextlib.suppress(ssl.SSLWantReadError):
            side.do_handshake()
    assert client.getpeercert()


def test_what_is_no_certificate_is_said_at_the_start(tmp_path: Path) -> None:
    wrong = tmp_path / "wrong.pem"
    wrong.write_text("no certificate")
    with pytest.raises(ssl.SSLError):
        Certificate(wrong)
    with pytest.raises(FileNotFoundError):
        Certificate(tmp_path / "missing.pem")
