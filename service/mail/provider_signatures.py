"""Whether a webhook's request comes from the provider it names: checked on the raw body. Pure.

A request is taken within five minutes of its timestamp, those of SNS within an hour (it repeats a message
with its first timestamp). What is not genuine raises, with a word that gives nothing away.
"""

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

WINDOW = timedelta(minutes=5)
SNS_WINDOW = timedelta(hours=1)
SNS_HOST = re.compile(r"sns\.[a-z]{2}(?:-[a-z]{1,12}){1,3}-\d\.amazonaws\.com(?:\.cn)?")
_SNS_CERTIFICATE = re.compile(r"/SimpleNotificationService-[0-9A-Za-z]{1,64}\.pem")
_SNS_SUBJECTS = re.compile(r"sns(?:\.[a-z0-9-]+)?\.amazonaws\.com(?:\.cn)?")
# What SNS signs of each kind of message, in this order (Subject where there is one).
_SNS_FIELDS = ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type")
_SNS_SUBSCRIBING_FIELDS = ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type")
SNS_SUBSCRIBING = frozenset({"SubscriptionConfirmation", "UnsubscribeConfirmation"})

Fetch = Callable[[str], bytes]
"""Fetches a URL that was checked before; raises OSError."""


class NotGenuine(Exception):
    """The request does not come from the provider, or not now."""


def check_time(at: datetime, now: datetime, window: timedelta = WINDOW) -> None:
    """Refuse what was signed too long ago, or in the future.

    Raises:
        NotGenuine: it was.
    """
    if abs(now - at) > window:
        raise NotGenuine("signed at another time")


def _instant(text: str) -> datetime:
    try:
        return datetime.fromtimestamp(int(text), UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise NotGenuine("no timestamp") from error


def check_sendgrid(key: str, *, signature: str, timestamp: str, body: bytes, now: datetime) -> None:
    """Check an event webhook of SendGrid: ECDSA over timestamp and body; ``key`` is DER in base64.

    Raises:
        NotGenuine: the signature is not SendGrid's, or old.
    """
    try:
        public = serialization.load_der_public_key(base64.b64decode(key))
        if not isinstance(public, ec.EllipticCurvePublicKey):
            raise NotGenuine("no key for ECDSA")
        public.verify(
            base64.b64decode(signature, validate=True),
            timestamp.encode() + body,
            ec.ECDSA(hashes.SHA256()),
        )
    except (InvalidSignature, UnsupportedAlgorithm, ValueError) as error:
        raise NotGenuine("wrong signature") from error
    check_time(_instant(timestamp), now)


def check_mailgun(key: str, signature: Mapping[str, Any], *, now: datetime) -> str:
    """Check a webhook of Mailgun and return its token, which works once: the signature covers no more.

    Raises:
        NotGenuine: the signature is not Mailgun's, or old.
    """
    timestamp, token, given = (signature.get(name) for name in ("timestamp", "token", "signature"))
    if not (isinstance(timestamp, str) and isinstance(token, str) and isinstance(given, str)):
        raise NotGenuine("no signature")
    signed, told = (text.encode("utf-8", "surrogatepass") for text in (timestamp + token, given))
    expected = hmac.digest(key.encode(), signed, hashlib.sha256).hex()
    if not hmac.compare_digest(expected.encode(), told):
        raise NotGenuine("wrong signature")
    check_time(_instant(timestamp), now)
    return token


def check_postmark(secret: str, authorization: str) -> None:
    """Check the basic authentication of Postmark's webhook URL, the only proof it offers.

    Raises:
        NotGenuine: it is another, or none.
    """
    scheme, _, given = authorization.partition(" ")
    try:
        told = base64.b64decode(given.strip(), validate=True) if scheme.lower() == "basic" else b""
    except (binascii.Error, ValueError):
        told = b""
    if not hmac.compare_digest(told, secret.encode()):
        raise NotGenuine("wrong authentication")


# -- Amazon SNS --------------------------------------------------------------------------------------


def is_sns_url(url: object) -> bool:
    """Say whether a URL is one of SNS itself, by https and without a port or a login."""
    if not isinstance(url, str) or len(url) > 2000 or not url.isascii():
        return False
    try:
        parts = urlsplit(url)
        plain = parts.port is None and parts.username is None and "@" not in parts.netloc
    except ValueError:
        return False
    return parts.scheme == "https" and plain and SNS_HOST.fullmatch(parts.netloc) is not None


def check_sns(
    message: Mapping[str, Any],
    *,
    topics: tuple[str, ...],
    now: datetime,
    fetch: Fetch,
) -> None:
    """Check a message of SNS: its topic is ours, its certificate that of SNS, its signature good.

    Nothing is fetched before host and topic are checked.

    Raises:
        NotGenuine: one of these is not so.
        OSError: the certificate could not be fetched.
    """
    if not all(isinstance(value, str) for value in message.values()):
        raise NotGenuine("no message of SNS")
    if message.get("TopicArn") not in topics:
        raise NotGenuine("another topic")
    url = message.get("SigningCertURL")
    parts = urlsplit(str(url)) if is_sns_url(url) else None
    if parts is None or parts.query or parts.fragment or not _SNS_CERTIFICATE.fullmatch(parts.path):
        raise NotGenuine("a certificate from elsewhere")
    _check_sns_time(str(message.get("Timestamp", "")), now)
    key = sns_key(fetch(str(url)), now)
    algorithm = {"1": hashes.SHA1(), "2": hashes.SHA256()}.get(str(message.get("SignatureVersion")))  # noqa: S303 - SNS's version 1
    if algorithm is None:
        raise NotGenuine("an unknown version")
    try:
        signature = base64.b64decode(str(message.get("Signature", "")), validate=True)
        key.verify(signature, sns_text(message), padding.PKCS1v15(), algorithm)
    except (InvalidSignature, ValueError) as error:
        raise NotGenuine("wrong signature") from error


def _check_sns_time(text: str, now: datetime) -> None:
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise NotGenuine("no timestamp") from error
    check_time(at if at.tzinfo else at.replace(tzinfo=UTC), now, SNS_WINDOW)


def sns_text(message: Mapping[str, Any]) -> bytes:
    """Return the text that SNS signs."""
    names = _SNS_SUBSCRIBING_FIELDS if message.get("Type") in SNS_SUBSCRIBING else _SNS_FIELDS
    lines = [f"{name}\n{message[name]}\n" for name in names if name in message]
    return "".join(lines).encode()


def sns_key(pem: bytes, now: datetime) -> rsa.RSAPublicKey:
    """Return the key of SNS's certificate; it came over TLS from a host of SNS.

    Raises:
        NotGenuine: it is no certificate of SNS, or not of this time.
    """
    try:
        certificate = x509.load_pem_x509_certificates(pem)[0]
        key = certificate.public_key()
    except (ValueError, IndexError, UnsupportedAlgorithm) as error:
        raise NotGenuine("no certificate") from error
    if not certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc:
        raise NotGenuine("a certificate of another time")
    if not any(_SNS_SUBJECTS.fullmatch(name) for name in _names_of(certificate)):
        raise NotGenuine("a certificate of somebody else")
    if not isinstance(key, rsa.RSAPublicKey):
        raise NotGenuine("an unknown kind of key")
    return key


def _names_of(certificate: x509.Certificate) -> list[str]:
    common = [str(one.value) for one in certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)]
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return common
    return [*common, *extension.value.get_values_for_type(x509.DNSName)]
