"""Every address of our own pages that stands in a mail, built from the configured base URL alone.

Never from a request's Host header: whoever can set that could write the links in other people's mail.
"""

from dataclasses import dataclass
from typing import Protocol
from urllib.parse import quote

from service.keys import Keyring, Purpose
from service.mail.message import LEAVE_PREFIX


class Holder(Protocol):
    """Whose links are made: a subscriber's row, or these columns of it."""

    @property
    def public_id(self) -> int: ...
    @property
    def token_version(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Links:
    """Builds absolute URLs; ``base_url`` has no path and no slash at its end."""

    base_url: str
    keyring: Keyring
    leave_domain: str | None = None  # where mail to unsubscribe is read, if anywhere

    def home(self) -> str:
        """The page of the day."""
        return f"{self.base_url}/"

    def paper(self, paper_id: str) -> str:
        """Our own page of a paper."""
        return f"{self.base_url}/papers/{quote(paper_id, safe='/')}"

    def confirm(self, token: str) -> str:
        """The page with the button that confirms."""
        return f"{self.base_url}/confirm/{token}"

    def preferences(self, subscriber: Holder) -> str:
        """The subscriber's preferences."""
        return f"{self.base_url}/preferences/{preferences_token(self.keyring, subscriber)}"

    def reading_list(self, subscriber: Holder) -> str:
        """The subscriber's own list; below it the pages where papers are answered."""
        return f"{self.base_url}/list/{list_token(self.keyring, subscriber)}"

    def unsubscribe(self, subscriber: Holder) -> str:
        """The page with the button that unsubscribes; the same URL takes the one-click POST (RFC 8058)."""
        return f"{self.base_url}/unsubscribe/{unsubscribe_token(self.keyring, subscriber)}"

    def unsubscribe_address(self, subscriber: Holder) -> str | None:
        """The address to which a mail program may write to unsubscribe, if mail there is read."""
        if self.leave_domain is None:
            return None
        return f"{LEAVE_PREFIX}{self.keyring.bounce_token(subscriber.public_id)}@{self.leave_domain}"

    def manage(self, token: str) -> str:
        """The page with the button that exports or erases; the token says which."""
        return f"{self.base_url}/manage/{token}"


def preferences_token(keyring: Keyring, subscriber: Holder) -> str:
    """Make the token that opens a subscriber's preferences until ``token_version`` is raised."""
    return keyring.sign(Purpose.PREFERENCES, subscriber.public_id, subscriber.token_version)


def list_token(keyring: Keyring, subscriber: Holder) -> str:
    """Make the token that opens a subscriber's list and takes answers until ``token_version`` is raised."""
    return keyring.sign(Purpose.FEEDBACK, subscriber.public_id, subscriber.token_version)


def unsubscribe_token(keyring: Keyring, subscriber: Holder) -> str:
    """Make the token that unsubscribes; it has no end."""
    return keyring.sign(Purpose.UNSUBSCRIBE, subscriber.public_id)
