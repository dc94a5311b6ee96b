"""DKIM signatures (RFC 6376, RFC 8463) straight on the cryptography library: relaxed/relaxed, SHA-256.

What is signed is listed here and nowhere else. Every listed field is named once more than it occurs, so that
none can be added on the way (oversigning), those that do not occur included.
"""

import base64
import hashlib
import re
from binascii import b2a_base64
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

SIGNED_FIELDS = (
    "from", "to", "subject", "date", "message-id", "reply-to", "mime-version", "content-type",
    "list-id", "list-unsubscribe", "list-unsubscribe-post", "auto-submitted", "precedence", "feedback-id",
)  # fmt: skip
MINIMUM_RSA_BITS = 1024  # RFC 8301; 2048 is what to use
RECOMMENDED_RSA_BITS = 2048
_FOLDING = re.compile(rb"\r\n(?=[ \t])")
_BLANKS = re.compile(rb"[ \t]+")
_TRAILING_BLANKS = re.compile(rb"[ \t]+\r\n")
_PADDING, _SHA256 = PKCS1v15(), hashes.SHA256()
_EMPTY_END = re.compile(rb"(?:\r\n)+\Z")


@dataclass(frozen=True, slots=True)
class Signer:
    """A private key with the domain and selector under which its public half is published."""

    domain: str
    selector: str
    key: RSAPrivateKey | Ed25519PrivateKey

    @property
    def algorithm(self) -> str:
        """Name of the algorithm in the a= tag."""
        return "ed25519-sha256" if isinstance(self.key, Ed25519PrivateKey) else "rsa-sha256"

    @property
    def record_name(self) -> str:
        """Name of the TXT record to publish."""
        return f"{self.selector}._domainkey.{self.domain}"

    @property
    def record(self) -> str:
        """Text of the TXT record to publish."""
        public = self.key.public_key()
        if isinstance(self.key, Ed25519PrivateKey):
            raw = public.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
            return f"v=DKIM1; k=ed25519; p={base64.b64encode(raw).decode()}"
        der = public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        return f"v=DKIM1; k=rsa; p={base64.b64encode(der).decode()}"

    def signature(self, fields: Sequence[bytes], digest: bytes, at: datetime) -> bytes:
        """Return the DKIM-Signature field for a message.

        ``fields`` are whole lines with CRLF; ``digest`` is what :func:`body_hash` says of the body.
        """
        plan = _plan(
            self.algorithm,
            self.domain,
            self.selector,
            tuple([field[: field.index(b":")] for field in fields]),
        )
        values = int(at.timestamp()), b2a_base64(digest, newline=False)
        signed = [relaxed_field(fields[index]) for index in plan.order]
        signed.append(plan.relaxed % values)
        text = b2a_base64(self._sign(b"".join(signed)), newline=False)
        lines = [text[start : start + 72] for start in range(0, len(text), 72)]
        return plan.unsigned % values + b"\r\n ".join(lines) + b"\r\n"

    def _sign(self, data: bytes) -> bytes:
        if isinstance(self.key, Ed25519PrivateKey):
            return self.key.sign(hashlib.sha256(data).digest())  # RFC 8463: the hash is what is signed
        return self.key.sign(data, _PADDING, _SHA256)


class _Plan(NamedTuple):
    """How messages with the same fields are signed; time and body hash are put in by ``%``."""

    order: tuple[int, ...]  # the fields that exist, in the order in which they are signed
    unsigned: bytes  # the signature's own field up to its value
    relaxed: bytes  # the same in relaxed form, without line end


@lru_cache(maxsize=64)
def _plan(algorithm: str, domain: str, selector: str, names: tuple[bytes, ...]) -> _Plan:
    order: list[int] = []
    listed: list[str] = []
    for signed in SIGNED_FIELDS:
        places = [index for index, name in enumerate(names) if name.decode("ascii").lower() == signed]
        order += reversed(places)  # one that occurs several times is taken from the last up (RFC 6376, 5.4.2)
        listed += [signed] * (len(places) + 1)
    unsigned = (
        f"DKIM-Signature: v=1; a={algorithm}; c=relaxed/relaxed; d={domain.replace('%', '%%')};\r\n"
        f" s={selector.replace('%', '%%')}; t=%d;\r\n"
        f" h={_folded_list(listed)};\r\n"
        " bh=%b;\r\n b="
    ).encode("ascii")
    return _Plan(tuple(order), unsigned, relaxed_field(unsigned + b"\r\n").removesuffix(b"\r\n"))


def read_signer(path: Path, *, domain: str, selector: str) -> Signer:
    """Read the private key at ``path``.

    Raises:
        ValueError: the file can't be read or holds no usable key; the message says which and what to do.
    """
    make_one = f"make one with: openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out {path}"
    try:
        pem = path.read_bytes()
    except OSError as error:
        raise ValueError(f"PAPERLARK_DKIM_KEY_FILE {path}: {error.strerror}; {make_one}") from error
    try:
        key = serialization.load_pem_private_key(pem, password=None)
    except TypeError as error:
        raise ValueError(
            f"PAPERLARK_DKIM_KEY_FILE {path}: the key is encrypted; store it without a password"
        ) from error
    except ValueError as error:
        raise ValueError(f"PAPERLARK_DKIM_KEY_FILE {path}: no private key in PEM form; {make_one}") from error
    if isinstance(key, RSAPrivateKey) and key.key_size < MINIMUM_RSA_BITS:
        raise ValueError(f"PAPERLARK_DKIM_KEY_FILE {path}: {key.key_size} bits are too few; {make_one}")
    if not isinstance(key, RSAPrivateKey | Ed25519PrivateKey):
        raise ValueError(  # noqa: TRY004 - the setting is at fault, not the caller's types
            f"PAPERLARK_DKIM_KEY_FILE {path}: neither RSA nor Ed25519; {make_one}"
        )
    return Signer(domain, selector, key)


@lru_cache(maxsize=512)
def relaxed_field(field: bytes) -> bytes:
    """Return a field in relaxed form (RFC 6376, 3.4.2), with its line end."""
    name, _, value = field.partition(b":")
    value = _BLANKS.sub(b" ", _FOLDING.sub(b"", value.removesuffix(b"\r\n"))).strip(b" \t")
    return name.strip(b" \t").lower() + b":" + value + b"\r\n"


def body_hash(body: bytes, *, is_relaxed: bool = False) -> bytes:
    """Return the SHA-256 of a body in relaxed form, which it has already if ``is_relaxed``."""
    return hashlib.sha256(body if is_relaxed else relaxed_body(body)).digest()


def relaxed_body(body: bytes) -> bytes:
    """Return a body in relaxed form (RFC 6376, 3.4.4)."""
    body = _TRAILING_BLANKS.sub(b"\r\n", _BLANKS.sub(b" ", body))
    body = _EMPTY_END.sub(b"", body)
    return body + b"\r\n" if body else b""


def _folded_list(names: Sequence[str]) -> str:
    lines = [""]
    for name in names:
        if len(lines[-1]) + len(name) > 70:
            lines.append("")
        lines[-1] += f"{name}:"
    return "\r\n  ".join(lines).removesuffix(":")
