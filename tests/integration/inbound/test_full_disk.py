"""Mail that comes back while the disk is full is refused for now, and counted once when brought again."""

import smtplib
from collections.abc import Iterator

import pytest
import structlog
from structlog.testing import capture_logs

from service.clock import SettableClock
from service.database import Database
from service.inbound.receiver import Handler
from service.keys import Keyring
from service.migrations import migrate
from tests import reports
from tests.integration.inbound.conftest import Inbound, make_inbound
from tests.integration.inbound.test_receiver import a_receiver, connection, hand_over, run_with
from tests.outages import Disk


@pytest.fixture
def cramped(disk: Disk, keyring: Keyring, clock: SettableClock) -> Iterator[Inbound]:
    url = f"sqlite:///{disk.folder / 'paperlark.sqlite3'}"
    migrate(url)
    database = Database(url)
    yield make_inbound(database, keyring, clock)
    database.close()


@pytest.mark.trust(57, 60)
def test_a_report_that_comes_while_the_disk_is_full_is_brought_again(disk: Disk, cramped: Inbound) -> None:
    address = cramped.envelope_sender(cramped.mail_digest())
    handler = Handler(cramped.postbox, lambda raw, _ours: cramped.take(raw, address))

    def client(port: int) -> list[int]:
        codes = []
        for is_full in (True, False, False):
            if is_full:
                disk.fill()
            with connection(port, smtplib.LMTP) as session:
                codes.append(hand_over(session, address, reports.bounce(address))[1])
            disk.free()
        return codes

    structlog.reset_defaults()
    with capture_logs() as logs:
        assert run_with(a_receiver(handler, "lmtp://127.0.0.1:0"), client) == [451, 250, 250]
    assert [entry["event"] for entry in logs if entry["log_level"] == "error"] == ["return_not_recorded"]
    assert len(cramped.returns()) == 1
    assert cramped.desk.subscriber().status == "bounced"
