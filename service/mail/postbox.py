"""The addresses at which mail comes back to us, and what each of them names. Pure.

``bounce+TOKEN`` is the envelope sender of one delivery, ``leave+TOKEN`` the address to which a mail program
writes to unsubscribe (RFC 2369), ``fbl`` takes complaints of feedback loops. Tokens are case-blind: some mail
systems change the case of what they give back.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from email.message import Message

from service.keys import MAXIMUM_IDENTIFIER, Keyring
from service.mail.bounce_parts import READ_LIMIT, addresses_in, head_of, header
from service.mail.message import BOUNCE_PREFIX, LEAVE_PREFIX

COMPLAINTS = "fbl"
TOKENS_LIMIT = 50  # tried in one message
# Where mail systems write to whom they delivered; only there an address is what the message was sent to.
_RECIPIENT_FIELDS = ("Delivered-To", "X-Original-To", "Envelope-To", "X-Envelope-To", "To", "Cc")
_TOKEN = r"([A-Za-z2-7]{24})"  # noqa: S105 - a pattern
_BOUNCE = re.compile(re.escape(BOUNCE_PREFIX).encode() + _TOKEN.encode() + rb"(?=@|=40)")
_QUOTED_PLUS = re.compile(rb"bounce=2[Bb]" + _TOKEN.encode())
_MESSAGE_ID = re.compile(r"([0-9a-f]{16})@(.+)")


@dataclass(frozen=True, slots=True)
class Ours:
    """An address of ours. One of the numbers is set, or none: then it is that for complaints."""

    delivery: int | None = None  # nonce of the delivery
    leaving: int | None = None  # public id of the subscriber


@dataclass(frozen=True, slots=True, kw_only=True)
class Postbox:
    """Knows our own addresses."""

    keyring: Keyring
    envelope_domain: str
    sender_domain: str

    def leave_address(self, public_id: int) -> str:
        """Return the address to which a subscriber's mail program writes to unsubscribe."""
        return f"{LEAVE_PREFIX}{self.keyring.bounce_token(public_id)}@{self.envelope_domain}"

    def recognise(self, address: str) -> Ours | None:
        """Return what an address of ours names; None for any other, forged ones too."""
        local, _, domain = address.strip().strip("<>").lower().rpartition("@")
        if domain != self.envelope_domain.lower():
            return None
        if local == COMPLAINTS:
            return Ours()
        for prefix in (BOUNCE_PREFIX, LEAVE_PREFIX):
            if local.startswith(prefix):
                named = self.keyring.read_bounce_token(local.removeprefix(prefix))
                if named is None:
                    return None
                return Ours(delivery=named) if prefix == BOUNCE_PREFIX else Ours(leaving=named)
        return None

    def recipients_of(self, raw: bytes) -> list[Ours]:
        """Return those of our addresses that the head of a message names as its recipients."""
        message: Message = head_of(raw)
        written = [header(message, name) for name in _RECIPIENT_FIELDS]
        named = (self.recognise(address) for address in addresses_in(text for text in written if text))
        return [ours for ours in named if ours is not None]

    def deliveries_in(self, raw: bytes, message_ids: Iterable[str]) -> list[int]:
        """Return the deliveries that a message names anywhere, by envelope sender or Message-ID of ours.

        Complaints often hide the reader's address; what they give back still bears these (RFC 5965).
        """
        return list(dict.fromkeys([*self._by_token(raw), *self._by_message_id(message_ids)]))

    def _by_token(self, raw: bytes) -> Iterator[int]:
        raw = raw[:READ_LIMIT]
        found = [*_BOUNCE.findall(raw), *_QUOTED_PLUS.findall(raw)]
        for token in list(dict.fromkeys(found))[:TOKENS_LIMIT]:
            named = self.keyring.read_bounce_token(token.decode("ascii").lower())
            if named is not None:
                yield named

    def _by_message_id(self, message_ids: Iterable[str]) -> Iterator[int]:
        for message_id in message_ids:
            found = _MESSAGE_ID.fullmatch(message_id.strip("<> ").lower())
            named = (
                int(found.group(1), 16) if found and found.group(2) == self.sender_domain.lower() else None
            )
            if named is not None and named <= MAXIMUM_IDENTIFIER:  # no database could be asked for more
                yield named
