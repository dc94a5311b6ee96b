"""Whether an address may get a mail that its owner asked for by a form, in the light of its suppression.

The reasons differ in weight. A complaint and an operator's entry mean no mail of any kind. A bounce may have
been the mailbox's bad day: after 30 days one confirmation mail may try again, and only confirming lifts it.
An erased address is kept from imports; its owner may sign up anew.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from service.keys import Keyring
from service.mail.tables import SuppressionRow

BOUNCE_REST = timedelta(days=30)
FINAL = frozenset({"complaint", "operator"})
LIFTED_BY_CONFIRMING = ("bounce", "erased")


def suppression_reasons(session: Session, keyring: Keyring, addresses: Iterable[str]) -> dict[str, str]:
    """Return why each suppressed one of ``addresses`` is on the list."""
    return {address: row.reason for address, row in _suppressions(session, keyring, addresses).items()}


def may_not_be_asked(session: Session, keyring: Keyring, addresses: Iterable[str], now: datetime) -> set[str]:
    """Return those of ``addresses`` to which not even a mail asked for by a form may go."""
    return {
        address
        for address, row in _suppressions(session, keyring, addresses).items()
        if not (row.reason == "erased" or (row.reason == "bounce" and row.since <= now - BOUNCE_REST))
    }


def lift(session: Session, keyring: Keyring, address: str) -> None:
    """Take an address off the list, as its owner's confirmation does, unless the reason is final."""
    session.execute(
        delete(SuppressionRow).where(
            SuppressionRow.address_key.in_(keyring.address_keys(address)),
            SuppressionRow.reason.in_(LIFTED_BY_CONFIRMING),
        )
    )


def _suppressions(session: Session, keyring: Keyring, addresses: Iterable[str]) -> dict[str, SuppressionRow]:
    by_key = {key: address for address in addresses for key in keyring.address_keys(address)}
    if not by_key:
        return {}
    rows = session.scalars(select(SuppressionRow).where(SuppressionRow.address_key.in_(list(by_key))))
    found: dict[str, SuppressionRow] = {}
    for row in rows:
        address = by_key[bytes(row.address_key)]
        # Keys of several ages may name one address: the weightiest reason counts.
        if address not in found or row.reason in FINAL:
            found[address] = row
    return found
