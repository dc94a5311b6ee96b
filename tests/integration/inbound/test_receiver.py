"""The receiver over real sockets: our own addresses only, and nothing lost while the database is away."""

import asyncio
import smtplib
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError

from service.inbound.receiver import BAD_RECIPIENTS, Handler, Pace, Receiver
from service.inboxes import read_listener
from service.mail.bounce_parts import SIZE_LIMIT
from service.mail.postbox import Ours
from tests import reports
from tests.integration.inbound.conftest import DOMAIN, Inbound


def run_with(receiver: Receiver, client: Callable[[int], Any]) -> Any:
    """Run a client in a thread against the receiver."""

    async def run() -> Any:
        await receiver.start()
        try:
            return await asyncio.to_thread(client, receiver.port if receiver.listener.path is None else 0)
        finally:
            await receiver.stop()

    return asyncio.run(run())


def a_receiver(handler: Handler, url: str = "smtp://127.0.0.1:0", **changes: Any) -> Receiver:
    return Receiver(listener=read_listener(url), handler=handler, hostname="lark.example.org", **changes)


@contextmanager
def connection(port: int, kind: type[smtplib.SMTP] = smtplib.SMTP) -> Iterator[smtplib.SMTP]:
    with kind("127.0.0.1", port, local_hostname="mx.example.net", timeout=10) as client:
        yield client


def hand_over(client: smtplib.SMTP, address: str, raw: bytes) -> tuple[int, int]:
    """Return the codes that answered RCPT and, where it came to that, the message."""
    client.ehlo_or_helo_if_needed()
    client.mail("")  # bounces come from nobody
    code, _ = client.rcpt(address)
    if code != 250:
        client.rset()
        return code, 0
    return code, client.data(raw)[0]


@pytest.mark.parametrize("url", ["smtp://127.0.0.1:0", "lmtp://127.0.0.1:0"])
def test_a_bounce_is_recorded_before_it_is_taken(inbound: Inbound, url: str) -> None:
    address = inbound.envelope_sender(inbound.mail_digest())
    handler = Handler(inbound.postbox, lambda raw, _ours: inbound.take(raw, address))
    kind = smtplib.LMTP if url.startswith("lmtp") else smtplib.SMTP

    def client(port: int) -> tuple[int, int]:
        with connection(port, kind) as session:
            return hand_over(session, address.upper(), reports.bounce(address))

    assert run_with(a_receiver(handler, url), client) == (250, 250)
    assert inbound.desk.subscriber().status == "bounced"


def test_lmtp_comes_by_a_socket_file_too(quick_inbound: Inbound, tmp_path: Path) -> None:
    path = tmp_path / "in.sock"
    stale = socket.socket(socket.AF_UNIX)
    stale.bind(str(path))
    stale.close()  # as a killed receiver leaves it
    address = quick_inbound.leave_address()
    handler = Handler(quick_inbound.postbox, lambda raw, _ours: quick_inbound.take(raw, address))

    def client(_port: int) -> tuple[int, int]:
        assert path.stat().st_mode & 0o777 == 0o666
        with smtplib.LMTP(str(path), 0, local_hostname="mx.example.net") as session:
            return hand_over(session, address, reports.answer(address))

    assert run_with(a_receiver(handler, f"lmtp://{path}"), client) == (250, 250)
    assert quick_inbound.desk.subscriber().status == "unsubscribed"
    assert not path.exists()


def test_only_our_own_addresses_are_taken_one_at_a_time(quick_inbound: Inbound) -> None:
    address = quick_inbound.envelope_sender(quick_inbound.mail_digest())
    forged = address[:10] + ("a" if address[10] != "a" else "b") + address[11:]

    def client(port: int) -> list[int]:
        with connection(port) as session:
            session.ehlo()
            session.mail("")
            strangers = [forged, "somebody@example.net", f"postmaster@{DOMAIN}", address.replace("@", "@x.")]
            return [session.rcpt(one)[0] for one in [*strangers, address, address]]

    receiver = a_receiver(Handler(quick_inbound.postbox, lambda _raw, _ours: "noted"))
    assert run_with(receiver, client) == [550, 550, 550, 550, 250, 452]


def test_whoever_guesses_addresses_is_hung_up_on(quick_inbound: Inbound) -> None:
    def client(port: int) -> int:
        with pytest.raises((smtplib.SMTPServerDisconnected, ConnectionError)), connection(port) as session:
            session.ehlo()
            session.mail("")
            for number in range(BAD_RECIPIENTS + 5):
                session.rcpt(f"bounce+{number}@{DOMAIN}")
        return number

    receiver = a_receiver(Handler(quick_inbound.postbox, lambda _raw, _ours: "noted"))
    assert run_with(receiver, client) >= BAD_RECIPIENTS


def test_while_the_database_is_away_the_sender_keeps_the_mail(quick_inbound: Inbound) -> None:
    address = quick_inbound.envelope_sender(quick_inbound.mail_digest())
    is_away = [True]

    def take(raw: bytes, _ours: list[Ours]) -> str:
        if is_away[0]:
            raise OperationalError("insert", {"address": address}, Exception("away"))
        return quick_inbound.take(raw, address)

    def client(port: int) -> list[tuple[int, int]]:
        with connection(port) as session:
            first = hand_over(session, address, reports.bounce(address))
            is_away[0] = False
            return [first, hand_over(session, address, reports.bounce(address))]

    receiver = a_receiver(Handler(quick_inbound.postbox, take))
    assert run_with(receiver, client) == [(250, 451), (250, 250)]
    assert quick_inbound.desk.subscriber().status == "bounced"


def test_what_is_too_large_or_too_much_is_refused(quick_inbound: Inbound) -> None:
    address = quick_inbound.envelope_sender(quick_inbound.mail_digest())
    handler = Handler(
        quick_inbound.postbox, lambda _raw, _ours: "noted", pace=Pace(limit=1, clock=lambda: 1.0)
    )

    def client(port: int) -> list[int]:
        with connection(port) as session:
            session.ehlo()
            said = session.mail("", options=[f"SIZE={SIZE_LIMIT + 1}"])[0]
            session.rset()
            return [said, *(hand_over(session, address, b"x: y\n\nz")[1] for _ in range(2))]

    assert run_with(a_receiver(handler), client) == [552, 250, 451]


def test_more_connections_than_allowed_are_put_off(quick_inbound: Inbound) -> None:
    def client(port: int) -> tuple[int, int]:
        with connection(port) as first, socket.create_connection(("127.0.0.1", port), 10) as second:
            refused = int(second.recv(100)[:3])
            return first.noop()[0], refused

    receiver = a_receiver(Handler(quick_inbound.postbox, lambda _r, _o: ""), connections=1)
    assert run_with(receiver, client) == (250, 421)


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:25", "smtp:///run/x.sock", "lmtp://127.0.0.1", "lmtp:", "smtp://:x"]
)
def test_where_to_listen_is_checked(url: str) -> None:
    with pytest.raises(ValueError, match="must look like"):
        read_listener(url)
