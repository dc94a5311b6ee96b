"""Takes a message that came back apart, whatever it is made of: parts, fields, words, addresses.

Mail that a report gives back, or that somebody forwards, is never looked into for evidence: only what the
sender of the message says of itself counts.
"""

import contextlib
import re
from collections.abc import Iterable, Iterator
from email import message_from_bytes
from email.errors import MessageError
from email.header import decode_header, make_header
from email.message import Message
from email.utils import getaddresses

SIZE_LIMIT = 2_000_000  # more is not read
PARTS_LIMIT = 200
LINES_LIMIT = 10_000
FIELDS_LIMIT = 200
PROSE_LIMIT = 20_000
RECIPIENTS_LIMIT = 50
RETURNED_LIMIT = 20
RETURNED = frozenset({"message/rfc822", "message/global", "text/rfc822-headers", "message/partial"})
_ADDRESS = re.compile(r"[^\s<>@;,()\[\]:\"'=]{1,64}@[A-Za-z0-9][A-Za-z0-9.-]{0,253}")
_MESSAGE_ID = re.compile(
    rb"^Message-ID:[ \t]*(?:\r?\n[ \t]+)?<([^<>\s]{1,250})>", re.IGNORECASE | re.MULTILINE
)
_STYLES = re.compile(r"<(style|script)\b.{0,20000}?</\1\s*>", re.IGNORECASE | re.DOTALL)
_TAGS = re.compile(r"<[^>@]{0,300}>")


def parse(raw: bytes) -> Message:
    """Parse a message as it was saved: any line ends, with or without a mailbox file's separator."""
    raw = raw[:SIZE_LIMIT]
    if b"\n" not in raw:
        raw = raw.replace(b"\r", b"\n")  # saved by a system that ends lines so
    if raw.startswith(b"From "):
        raw = raw.partition(b"\n")[2]
    return message_from_bytes(raw.lstrip(b"\r\n"))


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
    charset = part.get_content_charset() or "utf-8"
    try:
        text = payload.decode(charset, "replace")
    except (LookupError, ValueError):
        text = payload.decode("utf-8", "replace")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _written(block: Message | str) -> str:
    """Return a block as it was written; the library's own way back to text fails on broken headers."""
    if isinstance(block, str):
        return block
    inner = payload_of(block)
    fields = [f"{name}: {value}" for name, value in block.raw_items()]
    return "\n".join([*fields, "", inner if isinstance(inner, str) else ""])


def texts(message: Message) -> Iterator[str]:
    """Give the texts written by whoever sent the message, HTML without its tags."""
    for part in own_parts(message):
        if part.get_content_type() in RETURNED:
            return
        # A "multipart" that could not be taken apart is read as it stands.
        if part.get_content_maintype() in {"text", "multipart"} and not part.is_multipart():
            text = text_of(part)
            if part.get_content_subtype() == "html":
                text = _TAGS.sub(" ", _STYLES.sub(" ", text))
            yield text


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
        found = [address for _, address in getaddresses(given) if "@" in address]
    cleaned = (address.strip("<>.").lower() for address in found)
    return tuple(dict.fromkeys(cleaned))[:RECIPIENTS_LIMIT]


def message_ids_in(raw: bytes) -> tuple[str, ...]:
    """Return the Message-IDs that stand in a message, the message's own among them, without brackets."""
    found = (match.decode("ascii", "replace") for match in _MESSAGE_ID.findall(raw[:SIZE_LIMIT]))
    return tuple(dict.fromkeys(found))[:RETURNED_LIMIT]
