"""The operator's own entries on the suppression list: no mail of any kind, whatever the subscription says."""

from datetime import datetime

from sqlalchemy.orm import Session

from service.keys import Keyring
from service.mail import outbox, suppression
from service.subscribers import storing
from service.subscribers.addresses import parse_address


def forbid(session: Session, keyring: Keyring, address: str, now: datetime) -> None:
    """Suppress an address for good and cancel what waits for it. A subscription stays as it is, without mail.

    Raises:
        service.subscribers.addresses.InvalidAddress: the text is no mail address.
    """
    normal = parse_address(address)
    suppression.suppress(session, keyring.address_key(normal), "operator", now, "operator")
    subscriber_id = storing.id_of(session, normal)
    if subscriber_id is not None:
        outbox.cancel_waiting(session, subscriber_id=subscriber_id, reason="suppressed", now=now)
