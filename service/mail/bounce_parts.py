"""Takes a message that came back apart, whatever it is made of: parts, fields, words, addresses.

Mail that a report gives back, or that somebody forwards, is never looked into for evidence: only what the
sender of the message says of itself counts.
"""

import codecs
import contextlib
import re
from collections.abc import Iterable, Iterator
from email import message_from_bytes, policy
from email.errors import MessageError
from email.header import decode_header, make_header
from email.message import Message
from email.parser import BytesHeaderParser
from email.utils import getaddresses

SIZE_LIMIT = 2_000_000  # more is not taken
READ_LIMIT = 512_000  # more is not read: what a report says stands before the mail it gives back
READ_LINES = 20_000
HEAD_LIMIT = 100_000
FIELD_LIMIT = 10_000  # of a field no more is kept: the library's time for parameters grows with the square
PARTS_LIMIT = 200
LINES_LIMIT = 10_000
FIELDS_LIMIT = 200
PROSE_LIMIT = 20_000
RECIPIENTS_LIMIT = 50
RETURNED_LIMIT = 20
RETURNED = frozenset({"message/rfc822", "message/global", "text/rfc822-headers", "message/partial"})
_ADDRESS = re.compile(r"[^\s<>@;,()\[\]:\"'=]{1,64}@[A-Za-z0-9][A-Za-z0-9.-]{0,253}")
# Codecs of Python that are no charsets of mail; that of punycode takes time with the square of its input.
_NO_CHARSETS = frozenset({"punycode", "idna", "unicode_escape", "unicode-escape", "raw-unicode-escape"})
_MESSAGE_ID = re.compile(
    rb"^Message-ID:[ \t]*(?:\r?\n[ \t]+)?<([^<>\s]{1,250})>", re.IGNORECASE | re.MULTILINE
)
_UNSEEN = re.compile(r"<(style|script)\b", re.IGNORECASE)
_UNSEEN_ENDS = re.compile(r"</(?:style|script)\b", re.IGNORECASE)
_TAGS = re.compile(r"<[^<>@]{0,300}>")  # no "<" within: else each of a million of them looks 300 signs far


class _Sparing(policy.Compat32):
    """Keeps no more of a field than anybody has reason to write."""

    def header_source_parse(self, sourcelines: list[str]) -> tuple[str, str]:
        name, value = super().header_source_parse(sourcelines)
        return name, value[:FIELD_LIMIT]


_POLICY = _Sparing()


def parse(raw: bytes) -> Message:
    """Parse a message as it was saved: any line ends, with or without a mailbox file's separator."""
    raw = _unwrapped(raw[:READ_LIMIT])
    try:
        return message_from_bytes(raw, policy=_POLICY)
    except RecursionError:  # parts in parts without end
        return head_of(raw)


def head_of(raw: bytes) -> Message:
    """Parse the head of a message; what follows is its text, whatever it is made of."""
    raw = _unwrapped(raw[:HEAD_LIMIT])
    return BytesHeaderParser(policy=_POLICY).parsebytes(raw)


def _unwrapped(raw: bytes) -> bytes:
    if b"\n" not in raw:
        raw = raw.replace(b"\r", b"\n")  # saved by a system that ends lines so
    if raw.startswith(b"From "):
        raw = raw.partition(b"\n")[2]
    lines = raw.lstrip(b"\r\n").split(b"\n", READ_LINES)
    return b"\n".join(lines[:READ_LINES])


def payload_of(part: Message) -> list[Message | str] | str:
    """Return a part's payload as it stands; a charset that is no name makes the library raise."""
    try:
        payload = part.get_payload()
    except (LookupError, ValueError):
        return ""
    return payload if isinstance(payload, list | str) else ""


def own_parts(message: Message) -> Iterator[Message]:
    """Give the parts in order, down to where mail that is given back begins; that part itself is the last."""
    waiting, number = [message], 0
    while waiting and number < PARTS_LIMIT:
        part = waiting.pop()
        number += 1
        yield part
        kind = part.get_content_type()
        if kind in RETURNED:
            continue
        inner = payload_of(part)
        if isinstance(inner, list) and part.get_content_maintype() == "multipart":
            waiting += [part for part in reversed(inner[:PARTS_LIMIT]) if isinstance(part, Message)]


def header(message: Message, name: str) -> str:
    """Return a field's words, decoded (RFC 2047), on one line."""
    value = str(message.get(name, ""))[:2000]
    with contextlib.suppress(MessageError, LookupError, ValueError):
        value = str(make_header(decode_header(value)))
    return " ".join(value.split())


def text_of(part: Message) -> str:
    """Return a part's text with LF line ends; a charset nobody knows is taken for UTF-8."""
    payload = part.get_payload(decode=True)
    if not isinstance(payload, bytes):
        inner = payload_of(part)
        return "\n\n".join(map(_written, inner)) if isinstance(inner, list) else ""
    text = _decoded(payload, part.get_content_charset() or "utf-8")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _decoded(payload: bytes, charset: str) -> str:
    try:
        if codecs.lookup(charset).name not in _NO_CHARSETS:
            return payload.decode(charset, "replace")
    except (LookupError, ValueError):
        pass
    return payload.decode("utf-8", "replace")


def _written(block: Message | str) -> str:
    """Return a block as it was written; the library's own way back to text fails on broken headers."""
    if isinstance(block, str):
        return _as_utf8(block)
    inner = payload_of(block)
    fields = [f"{name}: {value}" for name, value in block.raw_items()]
    return _as_utf8("\n".join([*fields, "", inner if isinstance(inner, str) else ""]))


def _as_utf8(text: str) -> str:
    """Return what the library kept of bytes beyond ASCII as what it most likely says (RFC 6533)."""
    return text if text.isascii() else text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def texts(message: Message) -> Iterator[str]:
    """Give the texts written by whoever sent the message, HTML without its tags."""
    for part in own_parts(message):
        if part.get_content_type() in RETURNED:
            return
        # A "multipart" that could not be taken apart is read as it stands.
        if part.get_content_maintype() in {"text", "multipart"} and not part.is_multipart():
            text = text_of(part)
            if part.get_content_subtype() == "html":
                text = _TAGS.sub(" ", _seen(text))
            yield text


def _seen(html: str) -> str:
    """Return HTML without what no reader sees of it: styles and scripts."""
    kept, start = [], 0
    while found := _UNSEEN.search(html, start):
        end = _UNSEEN_ENDS.search(html, found.end())
        if end is None:  # nor will there be one for those that follow
            break
        kept.append(html[start : found.start()])
        start = end.end()
    return " ".join([*kept, html[start:]])


def fields_of(block: str) -> dict[str, str]:
    """Return the fields of a block by their names in lower case; of a name that repeats, the first."""
    found: dict[str, str] = {}
    for name, value in _lines(block):
        found.setdefault(name, value)
    return found


def report_blocks(part: Message) -> Iterator[dict[str, str]]:
    """Give the fields about each recipient of a delivery status (RFC 3464, 2.1).

    Blocks should be parted by empty lines; where they are not, the next recipient's field begins one.
    """
    payload = payload_of(part)
    whole = [_written(block) for block in payload] if isinstance(payload, list) else [text_of(part)]
    for text in whole:
        for block in re.split(r"\n[ \t]*\n", text.replace("\r\n", "\n")):
            yield from _recipients_in(block)


def _recipients_in(block: str) -> Iterator[dict[str, str]]:
    fields: dict[str, str] = {}
    for name, value in _lines(block):
        if name == "final-recipient" and name in fields:
            yield fields
            fields = {}
        fields.setdefault(name, value)
    if fields.keys() & {"action", "status", "final-recipient", "original-recipient"}:
        yield fields


def _lines(block: str) -> Iterator[tuple[str, str]]:
    unfolded = re.sub(r"\n[ \t]+", " ", block.replace("\r\n", "\n").strip("\n"))
    for line in unfolded.split("\n")[:FIELDS_LIMIT]:
        name, colon, value = line.partition(":")
        if colon and " " not in name.strip():
            yield name.strip().lower(), value.strip()


def addresses_in(words: Iterable[str]) -> tuple[str, ...]:
    """Return the addresses in some texts, in lower case, each once."""
    given = list(words)
    found = [address for text in given for address in _ADDRESS.findall(text)]
    if not found:
        found = [address for _, address in _parsed(given) if "@" in address]
    cleaned = (address.strip("<>.").lower() for address in found)
    return tuple(dict.fromkeys(cleaned))[:RECIPIENTS_LIMIT]


def _parsed(words: list[str]) -> list[tuple[str, str]]:
    try:
        return getaddresses(words)
    except (RecursionError, ValueError, IndexError):  # the library follows brackets in brackets
        return []


def message_ids_in(raw: bytes) -> tuple[str, ...]:
    """Return the Message-IDs that stand in a message, the message's own among them, without brackets."""
    found = (match.decode("ascii", "replace") for match in _MESSAGE_ID.findall(raw[:READ_LIMIT]))
    return tuple(dict.fromkeys(found))[:RETURNED_LIMIT]
