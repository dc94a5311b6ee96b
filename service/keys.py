"""Secrets at work: signed tokens bound to one purpose, and keyed hashes of addresses.

A token is 25 bytes, base64url without padding (34 characters): one byte that names the key, eight bytes
that name the thing (a random number, never an address or a counter), sixteen of HMAC-SHA256 keyed for the
purpose.
Whoever holds a token for one purpose holds nothing for another.
"""

import hashlib
import hmac
from base64 import b32decode, urlsafe_b64decode
from binascii import Error as EncodingError
from binascii import b2a_base64
from collections.abc import Callable, Sequence
from enum import StrEnum
from functools import lru_cache

MAC_BYTES = 16
IDENTIFIER_BYTES = 8
TOKEN_BYTES = 1 + IDENTIFIER_BYTES + MAC_BYTES
BOUNCE_MAC_BYTES = 6
MAXIMUM_IDENTIFIER = 2**63 - 1
_URL_SAFE = bytes.maketrans(b"+/", b"-_")
# Two signs of base32 (RFC 4648, lower case) for each ten bits.
_BASE32 = "abcdefghijklmnopqrstuvwxyz234567"
_PAIRS = tuple([first + second for first in _BASE32 for second in _BASE32])
_TENS = tuple(range(110, -1, -10))  # where each ten bits begin


class Purpose(StrEnum):
    """What a token opens; each opens one door only."""

    CONFIRM = "confirm"
    PREFERENCES = "preferences"
    UNSUBSCRIBE = "unsubscribe"
    EXPORT = "export"
    ERASE = "erase"
    FEEDBACK = "feedback"
    FORM = "form"


_LABELS = {purpose: b"token/" + purpose.value.encode() for purpose in Purpose}


class Keyring:
    """The present secret key and the retired ones; new tokens use the first, old ones are still read."""

    def __init__(self, secrets: Sequence[str]) -> None:
        """Take the secret keys, the present one first.

        Raises:
            ValueError: no key was given.
        """
        if not secrets:
            raise ValueError("a keyring needs at least one secret key")
        self._secrets = [secret.encode() for secret in secrets]
        self._signing = {purpose: _mac_of(self._secrets[0], label) for purpose, label in _LABELS.items()}
        self._bouncing = _mac_of(self._secrets[0], b"bounce")
        self._first_byte = bytes([self._number(self._secrets[0])])
        # One byte can name two keys: then the signature tells which of them it was.
        self._by_number: dict[int, list[bytes]] = {}
        for secret in self._secrets:
            self._by_number.setdefault(self._number(secret), []).append(secret)

    def sign(self, purpose: Purpose, identifier: int, version: int = 0) -> str:
        """Make the token that names ``identifier`` (0 to 2**63-1) for ``purpose``.

        ``version`` is mixed into the signature: raising it makes earlier tokens void.
        """
        body = self._first_byte + identifier.to_bytes(IDENTIFIER_BYTES, "big")
        return _encode(body + self._signing[purpose](body + version.to_bytes(4, "big"))[:MAC_BYTES])

    def identifier(self, token: str) -> int | None:
        """Return the identifier a token claims, unverified, to look up its version; None if malformed."""
        raw = _decode(token)
        return None if raw is None else int.from_bytes(raw[1 : 1 + IDENTIFIER_BYTES], "big")

    def verify(self, purpose: Purpose, token: str, version: int = 0) -> int | None:
        """Return the identifier of a genuine token for ``purpose``, None for any other text."""
        raw = _decode(token)
        if raw is None:
            return None
        body, mac = raw[:-MAC_BYTES], raw[-MAC_BYTES:]
        if not any(
            hmac.compare_digest(mac, self._mac(secret, purpose, body, version))
            for secret in self._by_number.get(body[0], ())
        ):
            return None
        identifier = int.from_bytes(body[1:], "big")
        return identifier if identifier <= MAXIMUM_IDENTIFIER else None

    def address_keys(self, address: str) -> list[bytes]:
        """Return the keyed hashes (32 bytes) of a normalised address, that of the present key first.

        Look up with all of them, store the first: a suppression outlives the key it was made with.
        """
        return [self._address_key(secret, address) for secret in self._secrets]

    def address_key(self, address: str) -> bytes:
        """Return the keyed hash of a normalised address under the present key."""
        return self._address_key(self._secrets[0], address)

    def bounce_token(self, identifier: int) -> str:
        """Make the case-blind part of an envelope sender that names a delivery (RFC 5321 local part)."""
        body = self._first_byte + identifier.to_bytes(IDENTIFIER_BYTES, "big")
        number = int.from_bytes(body + self._bouncing(body)[:BOUNCE_MAC_BYTES], "big")  # 15 bytes, 24 signs
        return "".join([_PAIRS[number >> bits & 1023] for bits in _TENS])

    def read_bounce_token(self, token: str) -> int | None:
        """Return the delivery named by a genuine bounce token, None for any other text."""
        try:
            padded = token.upper() + "=" * (-len(token) % 8)
            raw = b32decode(padded)
        except (EncodingError, ValueError):
            return None
        if len(raw) != 1 + IDENTIFIER_BYTES + BOUNCE_MAC_BYTES:
            return None
        body, mac = raw[:-BOUNCE_MAC_BYTES], raw[-BOUNCE_MAC_BYTES:]
        if not any(
            hmac.compare_digest(mac, _mac_of(secret, b"bounce")(body)[:BOUNCE_MAC_BYTES])
            for secret in self._by_number.get(body[0], ())
        ):
            return None
        return int.from_bytes(body[1:], "big")

    @staticmethod
    def _mac(secret: bytes, purpose: Purpose, body: bytes, version: int) -> bytes:
        return _mac_of(secret, _LABELS[purpose])(body + version.to_bytes(4, "big"))[:MAC_BYTES]

    @staticmethod
    def _address_key(secret: bytes, address: str) -> bytes:
        return _mac_of(secret, b"address")(address.encode())

    @staticmethod
    @lru_cache(maxsize=64)
    def _number(secret: bytes) -> int:
        return hashlib.sha256(b"paperlark/number" + secret).digest()[0]


@lru_cache(maxsize=64)
def _mac_of(secret: bytes, label: bytes) -> Callable[[bytes], bytes]:
    """Return the HMAC-SHA256 (RFC 2104) of one use of a secret key.

    Each mail bears half a dozen: going on from the two hashes as they stand once the key is in takes a
    quarter of what setting up anew takes.
    """
    key = hmac.digest(secret, b"paperlark/" + label, hashlib.sha256).ljust(hashlib.sha256().block_size, b"\0")
    inner, outer = (hashlib.sha256(bytes([octet ^ pad for octet in key])).copy for pad in (0x36, 0x5C))

    def mac(body: bytes) -> bytes:
        within, around = inner(), outer()
        within.update(body)
        around.update(within.digest())
        return around.digest()

    return mac


def token_hash(token: str) -> bytes:
    """Return what is stored of a token: its SHA-256 (the token's own entropy makes a salt needless)."""
    return hashlib.sha256(token.encode()).digest()


def _encode(raw: bytes) -> str:
    return b2a_base64(raw, newline=False).rstrip(b"=").translate(_URL_SAFE).decode()


def _decode(token: str) -> bytes | None:
    if len(token) != (TOKEN_BYTES * 8 + 5) // 6 or not token.isascii():
        return None
    try:
        raw = urlsafe_b64decode(token + "=" * (-len(token) % 4))
    except (EncodingError, ValueError):
        return None
    # Exactly one spelling of each token is good: bits left over at the end must be zero, no stray signs.
    return raw if _encode(raw) == token else None
