"""The operator's own entries on the suppression list, and those of another installation: no mail of any kind,
whatever the subscription says.
"""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from service.bulk import among
from service.keys import Keyring
from service.mail import outbox, suppression
from service.mail.suppression_list import Entry
from service.subscribers import storing
from service.subscribers.addresses import parse_address
from service.subscribers.tables import SubscriberRow


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


def take_over(session: Session, entries: Sequence[Entry], now: datetime) -> int:
    """Add entries of another installation and cancel what waits for whom they name; return how many were new.

    Of two reasons for one address the graver stays, with its own date.
    """
    keys = [entry.address_key for entry in entries]
    before = suppression.suppressed(session, keys)
    for entry in entries:
        suppression.suppress(session, entry.address_key, entry.reason, entry.since, entry.source)
    ids = session.scalars(select(SubscriberRow.id).where(among(session, SubscriberRow.address_key, keys)))
    for subscriber_id in ids.all():
        outbox.cancel_waiting(session, subscriber_id=subscriber_id, reason="suppressed", now=now)
    return len(set(keys) - before)
