"""Every kind of mail passes the same gates on its way: the list, consent, one relay, headers of its kind."""

from collections.abc import Callable
from datetime import timedelta
from email import message_from_bytes

import pytest

from service.bell import SilentBell
from service.bootstrap import Parts
from service.clock import SettableClock
from service.config import Settings
from service.database import Database
from service.digests.planning import plan_due
from service.digests.running import deliver
from service.keys import Keyring
from service.mail.alerts import raise_alert
from service.mail.courier import MemoryRelay, open_courier
from service.mail.outbox import BULK, TRANSACTIONAL
from service.subscribers import leaving, personal_data
from tests import digest_world as world
from tests.subscriber_desk import ANN, Desk, an_origin


def ask_to_confirm(desk: Desk, _settings: Settings) -> None:
    desk.sign_up()


def sign_up_again(desk: Desk, _settings: Settings) -> None:
    desk.subscribe()
    desk.sign_up()


def get_a_digest(desk: Desk, settings: Settings) -> None:
    desk.subscribe()
    world.add_papers(desk.database, desk.clock() - timedelta(hours=5), 24)
    world.note_run(desk.database, desk.clock() - timedelta(hours=1))
    assert plan_due(desk.database, desk.clock(), settings=settings).planned == 1


def leave_with_a_goodbye(desk: Desk, _settings: Settings) -> None:
    token = leaving.unsubscribe_token(desk.keyring, desk.subscribe())
    for _ in range(2):  # the second press changes nothing, and says nothing
        with desk.database.transaction() as session:
            assert leaving.leave(session, desk.keyring, token, desk.clock(), an_origin(), says_goodbye=True)


def ask_for_a_copy(desk: Desk, _settings: Settings) -> None:
    desk.subscribe()
    assert desk.request_link("export")


def ask_to_be_erased(desk: Desk, _settings: Settings) -> None:
    desk.subscribe()
    assert desk.request_link("erase")


def alert_the_operator(desk: Desk, _settings: Settings) -> None:
    for _ in range(2):
        with desk.database.transaction() as session:
            raise_alert(session, topic="t", headline="Look", lines=["There."], now=desk.clock())


Cause = Callable[[Desk, Settings], None]
KINDS: dict[str, Cause] = {
    "digest": get_a_digest,
    "confirm": ask_to_confirm,
    "already_subscribed": sign_up_again,
    "goodbye": leave_with_a_goodbye,
    "manage": ask_for_a_copy,
    "manage (erase)": ask_to_be_erased,
    "alert": alert_the_operator,
}


@pytest.fixture
def desk(sqlite_database: Database, keyring: Keyring, clock: SettableClock) -> Desk:
    return Desk(sqlite_database, keyring, clock)


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(
        update={"operator_address": ANN, "inbound_listen": "lmtp://127.0.0.1:1", "postal_address": "1 Lane"}
    )


def send_all(desk: Desk, settings: Settings) -> MemoryRelay:
    """Send whatever waits, as workers do."""
    relay = MemoryRelay()
    parts = Parts(
        settings=settings, database=desk.database, keyring=desk.keyring, clock=desk.clock, bell=SilentBell()
    )
    for queue in (TRANSACTIONAL, BULK):
        deliver(
            desk.database,
            settings=settings,
            keyring=desk.keyring,
            composers=parts.composers,
            courier=open_courier(settings, desk.keyring, relay=relay),
            clock=desk.clock,
            queue=queue,
            worker="test",
        )
    return relay


@pytest.mark.trust(17, 26, 30)
@pytest.mark.parametrize("kind", KINDS)
def test_each_mail_goes_out_once_with_the_headers_of_its_kind(
    desk: Desk, settings: Settings, kind: str
) -> None:
    KINDS[kind](desk, settings)
    [parcel] = send_all(desk, settings).parcels
    assert send_all(desk, settings).parcels == []

    message = message_from_bytes(parcel.data)
    assert parcel.recipient == ANN
    assert parcel.envelope_sender.startswith("bounce+")
    assert message["Auto-Submitted"] == "auto-generated"
    is_list_mail = kind == "digest"
    for name in ("List-Id", "List-Unsubscribe", "List-Unsubscribe-Post", "Precedence", "Feedback-ID"):
        assert (message[name] is not None) is is_list_mail, name
    if is_list_mail:
        link, _, address = str(message["List-Unsubscribe"]).partition(",")
        assert link.startswith("<http")
        assert address.strip().startswith("<mailto:leave+")


@pytest.mark.trust(60, 66)
@pytest.mark.parametrize("reason", ["complaint", "operator", "bounce"])
@pytest.mark.parametrize("kind", KINDS)
def test_nothing_goes_to_a_suppressed_address(desk: Desk, settings: Settings, kind: str, reason: str) -> None:
    KINDS[kind](desk, settings)
    desk.suppress(reason)
    assert send_all(desk, settings).parcels == []
    assert desk.deliveries()[-1].reason == "suppressed"
    assert desk.deliveries()[-1].status == "cancelled"


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "alert"])
def test_nothing_goes_to_somebody_erased(desk: Desk, settings: Settings, kind: str) -> None:
    KINDS[kind](desk, settings)
    subscriber_id = desk.subscriber().id
    with desk.database.transaction() as session:
        personal_data.erase(session, desk.keyring, subscriber_id, desk.clock())
    assert send_all(desk, settings).parcels == []


def test_a_goodbye_is_not_said_to_who_came_back_nor_late(desk: Desk, settings: Settings) -> None:
    leave_with_a_goodbye(desk, settings)
    desk.clock.advance(timedelta(hours=2))
    assert send_all(desk, settings).parcels == []


def test_no_goodbye_unless_the_operator_wants_it(desk: Desk, settings: Settings) -> None:
    token = leaving.unsubscribe_token(desk.keyring, desk.subscribe())
    assert desk.leave(token)
    assert desk.deliveries("goodbye") == []


def test_an_alert_without_an_operator_is_only_logged(desk: Desk, settings: Settings) -> None:
    alert_the_operator(desk, settings)
    nobody = settings.model_copy(update={"operator_address": None})
    assert send_all(desk, nobody).parcels == []
    assert desk.deliveries("alert")[0].reason == "no_operator"
