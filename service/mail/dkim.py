"""DKIM signatures (RFC 6376, RFC 8463) straight on the cryptography library: relaxed/relaxed, SHA-256.

What is signed is listed here and nowhere else. Every listed field is named once more than it occurs, so that
none can be added on the way (oversigning), those that do not occur included.
"""

import base64
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

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

    def signature(self, fields: Sequence[bytes], body: bytes, at: datetime) -> bytes:
        """Return the DKIM-Signature field for a message of ``fields`` (whole lines, CRLF) and ``body``."""
        named = _by_name(fields)
        listed = [name for field in SIGNED_FIELDS for name in [field] * (len(named.get(field, ())) + 1)]
        body_hash = base64.b64encode(hashlib.sha256(relaxed_body(body)).digest()).decode()
        unsigned = (
            f"DKIM-Signature: v=1; a={self.algorithm}; c=relaxed/relaxed; d={self.domain};\r\n"
            f" s={self.selector}; t={int(at.timestamp())};\r\n"
            f" h={_folded_list(listed)};\r\n"
            f" bh={body_hash};\r\n b="
        ).encode("ascii")
        signed = b"".join(
            # A field that occurs several times is taken from the last up (RFC 6376, 5.4.2).
            relaxed_field(named[field][-1 - index])
            for field in SIGNED_FIELDS
            for index in range(len(named.get(field, ())))
        )
        value = self._sign(signed + relaxed_field(unsigned + b"\r\n").removesuffix(b"\r\n"))
        text = base64.b64encode(value).decode()
        lines = [text[start : start + 72] for start in range(0, len(text), 72)]
        return unsigned + "\r\n ".join(lines).encode("ascii") + b"\r\n"

    def _sign(self, data: bytes) -> bytes:
        if isinstance(self.key, Ed25519PrivateKey):
            return self.key.sign(hashlib.sha256(data).digest())  # RFC 8463: the hash is what is signed
        return self.key.sign(data, PKCS1v15(), hashes.SHA256())


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


def relaxed_field(field: bytes) -> bytes:
    """Return a field in relaxed form (RFC 6376, 3.4.2), with its line end."""
    name, _, value = field.partition(b":")
    value = _BLANKS.sub(b" ", _FOLDING.sub(b"", value.removesuffix(b"\r\n"))).strip(b" \t")
    return name.strip(b" \t").lower() + b":" + value + b"\r\n"


def relaxed_body(body: bytes) -> bytes:
    """Return a body in relaxed form (RFC 6376, 3.4.4)."""
    body = _TRAILING_BLANKS.sub(b"\r\n", _BLANKS.sub(b" ", body))
    body = _EMPTY_END.sub(b"", body)
    return body + b"\r\n" if body else b""


def _by_name(fields: Sequence[bytes]) -> dict[str, list[bytes]]:
    named: dict[str, list[bytes]] = {}
    for field in fields:
        named.setdefault(field.partition(b":")[0].decode("ascii").lower(), []).append(field)
    return named


def _folded_list(names: Sequence[str]) -> str:
    lines = [""]
    for name in names:
        if len(lines[-1]) + len(name) > 70:
            lines.append("")
        lines[-1] += f"{name}:"
    return "\r\n  ".join(lines).removesuffix(":")
