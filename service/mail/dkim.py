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
from pathlib import Path

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

SIGNED_FIELDS = (
    "from", "to", "cc", "subject", "date", "message-id", "reply-to", "mime-version", "content-type",
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
        return Seal(self, fields, at).sign((), digest)

    def sign(self, data: bytes) -> bytes:
        """Return the bare signature of what is signed."""
        if isinstance(self.key, Ed25519PrivateKey):
            return self.key.sign(hashlib.sha256(data).digest())  # RFC 8463: the hash is what is signed
        return self.key.sign(data, _PADDING, _SHA256)


class Seal:
    """How one key signs mails whose headers differ in a few fields only; what they share is written once."""

    def __init__(self, signer: Signer, fields: Sequence[bytes | str], at: datetime) -> None:
        """Take the fields in their order: a whole line, or the name alone of one that differs."""
        self._signer = signer
        names = [
            field if isinstance(field, str) else field[: field.index(b":")].decode("ascii")
            for field in fields
        ]
        own = [field for field in fields if isinstance(field, str)]
        order, listed = _listed([name.lower() for name in names])
        field = (
            f"DKIM-Signature: v=1; a={signer.algorithm}; c=relaxed/relaxed;\r\n d={signer.domain};\r\n"
            f" s={signer.selector}; t={int(at.timestamp())};\r\n"
            f" h={_folded_list(listed)};\r\n"
        ).encode("ascii")
        self._field = _escaped(field) + b" bh=%b;\r\n b="
        relaxed = [
            b"%b" if isinstance(one := fields[place], str) else _escaped(relaxed_field(one))
            for place in order
        ]
        relaxed.append(_escaped(relaxed_field(field).removesuffix(b"\r\n")) + b" bh=%b; b=")
        self._signed = b"".join(relaxed)
        self._places = [own.index(names[place]) for place in order if isinstance(fields[place], str)]

    def sign(self, own: Sequence[bytes], digest: bytes) -> bytes:
        """Return the DKIM-Signature field of one mail.

        ``own`` are the fields that were given by name, in that order and in relaxed form; ``digest`` is what
        :func:`body_hash` says of its body.
        """
        written = b2a_base64(digest, newline=False)
        values = [own[place] for place in self._places]
        text = b2a_base64(self._signer.sign(self._signed % (*values, written)), newline=False)
        lines = [text[start : start + 72] for start in range(0, len(text), 72)]
        return self._field % written + b"\r\n ".join(lines) + b"\r\n"


def _listed(names: Sequence[str]) -> tuple[list[int], list[str]]:
    """Return which fields are signed, in that order, and what h= says: each one once more than it occurs."""
    order: list[int] = []
    listed: list[str] = []
    for signed in SIGNED_FIELDS:
        places = [index for index, name in enumerate(names) if name == signed]
        order += reversed(places)  # one that occurs several times is taken from the last up (RFC 6376, 5.4.2)
        listed += [signed] * (len(places) + 1)
    return order, listed


def _escaped(text: bytes) -> bytes:
    return text.replace(b"%", b"%%")


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
    if field.find(b"\r\n") != len(field) - 2 or b"  " in value or b"\t" in value or value.endswith(b" \r\n"):
        value = _BLANKS.sub(b" ", _FOLDING.sub(b"", value.removesuffix(b"\r\n"))).strip(b" \t") + b"\r\n"
    elif value.startswith(b" "):
        value = value[1:]
    return name.strip(b" \t").lower() + b":" + value


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
