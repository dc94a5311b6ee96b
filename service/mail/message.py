"""A letter becomes a parcel: every header in one place, both parts, the signature, the envelope."""

import hashlib
from binascii import b2a_qp
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import urlsplit

from service.config import Settings
from service.keys import Keyring
from service.mail import headers
from service.mail.dkim import Seal, Signer, body_hash, read_signer, relaxed_field
from service.mail.letters import DigestLetter, Letter
from service.mail.templates import Imprint, Part, Rendered, render

BOUNCE_PREFIX = "bounce+"
LEAVE_PREFIX = "leave+"
METADATA = "X-PM-Metadata-Delivery"
HEADINGS = 8  # kept; a second has one for each issue date
OWN_FIELDS = ("To", "Subject", "Message-ID", "Content-Type", METADATA, "List-Unsubscribe")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sender:
    """Who sends: what stands in the headers and in the foot of every mail."""

    name: str
    address: str
    contact: str  # where readers can write
    postal_address: str | None
    envelope_domain: str
    list_id: str
    home_url: str
    signers: tuple[Signer, ...] = ()
    has_metadata: bool = False  # whether the envelope sender also stands in a field that Postmark gives back

    @property
    def domain(self) -> str:
        """Domain of the From address; Message-IDs are made in it."""
        return self.address.rpartition("@")[2]

    @property
    def feedback_sender(self) -> str:
        """The stable SenderId of Feedback-ID, 5 to 15 signs."""
        return _feedback_sender(self.list_id)

    @property
    def imprint(self) -> Imprint:
        """What the foot of each mail says of the sender."""
        return Imprint(
            name=self.name,
            contact=self.contact,
            postal_address=self.postal_address,
            home_url=self.home_url,
            host=urlsplit(self.home_url).netloc,
        )


@lru_cache
def _feedback_sender(list_id: str) -> str:
    return "p" + hashlib.sha256(list_id.encode()).hexdigest()[:11]


class Parcel(NamedTuple):
    """A message as it goes to the relay: envelope and final bytes, CRLF lines, signed, not to be touched.

    Its bytes stay in pieces until they leave: most are shared with thousands of others, and a window of whole
    messages would not fit into a processor's cache.
    """

    envelope_sender: str
    recipient: str
    pieces: Sequence[bytes]
    message_id: str
    is_dotless: bool = False  # known to have no line that begins with a dot

    @property
    def data(self) -> bytes:
        """The message whole."""
        return b"".join(self.pieces)

    @property
    def size(self) -> int:
        """Octets of the message."""
        return sum(map(len, self.pieces))


class Content(NamedTuple):
    """What a letter says, as a message carries it."""

    subject: str
    body: Sequence[bytes]  # multipart/alternative in pieces, CRLF lines
    is_canonical: bool  # in relaxed form (RFC 6376, 3.4.4), and no line begins with a dot


def sender_from(settings: Settings) -> Sender:
    """Make the sender of these settings.

    Raises:
        ValueError: the DKIM key can't be used.
    """
    domain = settings.dkim_domain or settings.sender_domain
    signers = [
        read_signer(path, domain=domain, selector=selector)
        for path, selector in zip(settings.dkim_key_file, settings.dkim_selector, strict=True)
    ]
    return Sender(
        name=settings.sender_name,
        address=settings.sender_address,
        contact=settings.contact_address or settings.sender_address,
        postal_address=settings.postal_address,
        envelope_domain=settings.envelope_domain,
        list_id=settings.list_identifier,
        home_url=settings.base_url,
        signers=tuple(signers),
        has_metadata=settings.webhook_postmark_secret is not None,
    )


class Press:
    """Makes parcels from letters for one sender."""

    def __init__(self, sender: Sender, keyring: Keyring) -> None:
        """Take the sender and the keys that sign envelope senders."""
        self.sender = sender
        self.keyring = keyring
        self._domain = sender.domain
        self._headings = lru_cache(HEADINGS)(self._make_heading)
        # Mails made together bear one instant, whose hash is then worked out once: 3 us.
        self._heading = lru_cache(HEADINGS)(self._heading_of_second)

    def make(self, letter: Letter, *, nonce: int, at: datetime) -> Parcel:
        """Render, build and sign a letter for the attempt at ``at``.

        The Message-ID comes from the delivery's nonce: the same on every attempt, so that a second copy can
        be recognised. Date and signature are those of the attempt.

        Raises:
            service.mail.headers.InvalidHeader: an address or link can't stand in a header.
            service.mail.templates.TooLarge: the mail would be clipped by its reader.
        """
        message_id = f"{nonce:016x}@{self._domain}"
        boundary = f"=_{nonce:016x}"  # "=_" occurs in no quoted-printable text
        content = self.content(letter, boundary)
        envelope_sender = self.envelope_sender(nonce)
        issue_date = letter.issue_date if isinstance(letter, DigestLetter) else None
        heading = self._heading(issue_date, at)
        own = [
            headers.mailbox("To", letter.recipient),
            headers.text("Subject", content.subject),
            f"Message-ID: <{message_id}>\r\n".encode("ascii"),
            f'Content-Type: multipart/alternative; boundary="{boundary}"\r\n'.encode("ascii"),
        ]
        if self.sender.has_metadata:
            own.append(headers.verbatim(METADATA, envelope_sender))
        if isinstance(letter, DigestLetter):
            own.append(headers.unsubscribe(letter.unsubscribe_url, letter.unsubscribe_address))
        return Parcel(
            envelope_sender=envelope_sender,
            recipient=letter.recipient,
            pieces=heading.write(own, content.body, is_relaxed=content.is_canonical),
            message_id=message_id,
            is_dotless=content.is_canonical,
        )

    def _heading_of_second(self, issue_date: date | None, at: datetime) -> "Heading":
        return self._headings(issue_date, at.replace(microsecond=0))

    def _make_heading(self, issue_date: date | None, at: datetime) -> "Heading":
        return Heading(self.sender, issue_date, at)

    def content(self, letter: Letter, boundary: str) -> Content:
        """Return subject and body.

        Raises:
            service.mail.templates.TooLarge: the mail would be clipped by its reader.
        """
        rendered = render(letter, self.sender.imprint)
        return Content(rendered.subject, [alternative(rendered, boundary)], is_canonical=False)

    def envelope_sender(self, nonce: int) -> str:
        """Return the envelope sender that names a delivery and can't be forged (VERP)."""
        return f"{BOUNCE_PREFIX}{self.keyring.bounce_token(nonce)}@{self.sender.envelope_domain}"


class Heading:
    """The header of all mails of one kind that go in the same second, with places for a mail's own fields."""

    def __init__(self, sender: Sender, issue_date: date | None, at: datetime) -> None:
        """Write what they share; ``issue_date`` is that of digests, None makes other mail's header.

        Raises:
            service.mail.headers.InvalidHeader: the sender's settings can't stand in a header.
        """
        headers.verbatim("Message-ID", f"<{0:016x}@{sender.domain}>")  # as those to come are
        fields: list[bytes | str] = identity_fields(sender, at)
        if issue_date is not None:
            fields += list_fields(sender, issue_date)
        self._template = b"".join(
            [b"%b" if isinstance(field, str) else field.replace(b"%", b"%%") for field in fields]
        )
        self._seals = [Seal(signer, fields, at) for signer in sender.signers]

    def write(self, own: Sequence[bytes], body: Sequence[bytes], *, is_relaxed: bool) -> Sequence[bytes]:
        """Return a message in pieces: signatures, header, body.

        ``own`` are the lines of the fields in :data:`OWN_FIELDS`, of which only list mail has the last,
        and only senders with metadata the one before.
        """
        header = self._template % tuple(own) + headers.CRLF
        if not self._seals:
            return [header, *body]
        whole = b"".join(body)
        digest = body_hash(whole, is_relaxed=is_relaxed)
        relaxed = [relaxed_field(field) for field in own]
        return [*[seal.sign(relaxed, digest) for seal in self._seals], header, whole]


def identity_fields(sender: Sender, at: datetime) -> list[bytes | str]:
    """Return the fields every mail has, once each; of those that differ from mail to mail the names."""
    fields: list[bytes | str] = [
        headers.mailbox("From", sender.address, sender.name),
        "To",
        "Subject",
        headers.date(at),
        "Message-ID",
        headers.verbatim("Auto-Submitted", "auto-generated"),
        headers.verbatim("MIME-Version", "1.0"),
        "Content-Type",
    ]
    if sender.contact != sender.address:
        fields.append(headers.mailbox("Reply-To", sender.contact))
    if sender.has_metadata:
        fields.append(METADATA)
    return fields


def list_fields(sender: Sender, issue_date: date) -> list[bytes | str]:
    """Return the fields of list mail (RFC 2369, 2919, 8058); only digests are list mail."""
    # The name stands only where it needs no encoded-word: List-Id is structured (RFC 2919).
    name = f'"{sender.name}" ' if sender.name.isascii() and "\\" not in sender.name else ""
    issue = issue_date.isoformat().replace("-", "")
    return [
        headers.verbatim("List-Id", f"{name}<{sender.list_id}>"),
        "List-Unsubscribe",
        headers.verbatim("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"),
        headers.verbatim("Precedence", "bulk"),
        headers.verbatim("Feedback-ID", f"{issue}:digest:paperlark:{sender.feedback_sender}"),
    ]


def alternative(rendered: Rendered, boundary: str) -> bytes:
    """Return the body of a multipart/alternative message: written text first, HTML last."""
    between = f"--{boundary}\r\n".encode("ascii")
    text = part_head("txt") + quoted_printable(rendered.text)
    html = part_head("html") + quoted_printable(rendered.html)
    return b"".join([between, text, between, html, between[:-2], b"--\r\n"])


def part_head(part: Part) -> bytes:
    """Return the header of a part."""
    subtype = "plain" if part == "txt" else "html"
    head = (
        f"Content-Type: text/{subtype}; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n"
    )
    return head.encode("ascii")


def quoted_printable(content: str) -> bytes:
    """Encode text with lines of at most 76 octets and CRLF ends (RFC 2045, 6.7)."""
    text = content.replace("\r\n", "\n").replace("\r", "\n")
    if not text.endswith("\n"):
        text += "\n"
    return b2a_qp(text.encode("utf-8"), istext=True).replace(b"\n", b"\r\n")
