"""Header fields as bytes on the wire, each made by the one function that knows its kind.

The standard library's folding is not used: it turns a long List-Unsubscribe into an encoded-word, and an
encoded-word in a title into a header of its own (docs/decisions/0007-headers-by-hand.md). Here text is
cleaned first and then encoded by us, and structured values are written verbatim or refused.
"""

import re
from base64 import b64encode
from collections.abc import Iterator
from datetime import datetime
from email.utils import format_datetime
from functools import lru_cache

from service.joiners import without_stray_joiners

CRLF = b"\r\n"
LINE_OCTETS = 76  # RFC 5322 asks for 78; encoded-words must stay under 77 (RFC 2047, 2)
LONGEST_LINE = 998  # RFC 5322, 2.1.1
SUBJECT_CHARACTERS = 250
KEPT = 2048  # subjects: one stands in many mails of an issue
_ENCODED_WORD_OCTETS = 75 - len("=?utf-8?b??=")
_BREAKS_AND_CONTROLS = re.compile(
    "[\x00-\x20\x7f-\xa0\u061c\u1680\u180e\u2000-\u200b\u200e\u200f"
    "\u2028-\u202f\u205f-\u206f\u3000\ufeff\ufff9-\ufffb\ud800-\udfff]+"
)
_ADDRESS = re.compile(
    r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9.-]{0,252}[A-Za-z0-9])?"
)
_PRINTABLE = re.compile(r"[\x21-\x7e]+(?: [\x21-\x7e]+)*")
_URI = re.compile(r"https?://[!#-+\-.-;=?-\[\]-~]+")  # neither blank, quote, comma, backslash nor bracket
_PLAIN_PHRASE = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?: [A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")


class InvalidHeader(ValueError):
    """A value that must not stand in a header: an address, URI or identifier with strange signs."""


def clean(value: str, limit: int = SUBJECT_CHARACTERS) -> str:
    """Return ``value`` as one line that means itself in a header.

    Line breaks of any script, controls and invisible signs become a space, joiners stay only where they join
    something, what looks like an encoded-word (RFC 2047) loses its marks, and what is longer than ``limit``
    characters ends in an ellipsis.
    """
    line = without_stray_joiners(_BREAKS_AND_CONTROLS.sub(" ", value))
    while "=?" in line or "?=" in line:
        line = line.replace("=?", " ").replace("?=", " ")
    line = " ".join(line.split())
    return line if len(line) <= limit else without_stray_joiners(line[: limit - 1].rstrip() + "…")


@lru_cache(maxsize=KEPT)
def text(name: str, value: str) -> bytes:
    """Write an unstructured field such as Subject; ``value`` is cleaned first."""
    return _fold(name, [*_words(clean(value), first=LINE_OCTETS - len(name) - 2)])


def mailbox(name: str, address: str, display_name: str = "") -> bytes:
    """Write a field with one address, such as From, To or Reply-To.

    Raises:
        InvalidHeader: the address is none, or not in ASCII (domains must be A-labels).
    """
    if not is_address(address):
        raise InvalidHeader(f"{name}: not an address that can be written")
    phrase = clean(display_name, 60) if display_name else ""
    if not phrase:
        return f"{name}: {address}\r\n".encode("ascii")
    return _fold(name, [*_phrase(phrase, first=LINE_OCTETS - len(name) - 2), f"<{address}>"])


def verbatim(name: str, value: str) -> bytes:
    """Write a structured field exactly as given, on one line.

    Raises:
        InvalidHeader: the value is empty, not printable ASCII, too long, or looks like an encoded-word.
    """
    line = f"{name}: {value}"
    if not _PRINTABLE.fullmatch(value) or "=?" in value or len(line) > LONGEST_LINE:
        raise InvalidHeader(f"{name}: a value that can't be written as it is")
    return line.encode("ascii") + CRLF


def date(at: datetime) -> bytes:
    """Write the Date field."""
    return verbatim("Date", format_datetime(at))


def unsubscribe(url: str, address: str | None = None) -> bytes:
    """Write List-Unsubscribe: the https link first, then an address, each on a line of its own (RFC 2369).

    Raises:
        InvalidHeader: the link or the address can't be written.
    """
    line = uri("List-Unsubscribe", url)
    if address is None:
        return line
    if not is_address(address):
        raise InvalidHeader("List-Unsubscribe: not an address that can be written")
    return line.removesuffix(CRLF) + f",\r\n <mailto:{address}?subject=unsubscribe>\r\n".encode("ascii")


def uri(name: str, target: str) -> bytes:
    """Write a field with one URI in angle brackets (RFC 2369), never folded or encoded.

    Raises:
        InvalidHeader: the URI is not http(s), or holds a sign that would end it.
    """
    if not _URI.fullmatch(target):
        raise InvalidHeader(f"{name}: not a URI that can be written")
    line = f"{name}: <{target}>"
    if len(line) > LONGEST_LINE or "=?" in line:
        raise InvalidHeader(f"{name}: a URI that can't be written as it is")
    return line.encode("ascii") + CRLF


def is_address(value: str) -> bool:
    """Say whether ``value`` is an address that may stand in a header and in the envelope."""
    return len(value) <= 254 and _ADDRESS.fullmatch(value) is not None


def _words(value: str, first: int) -> Iterator[str]:
    """Give the words of a cleaned line, encoded together where they are not plain ASCII."""
    words = value.split(" ")
    if all(word.isascii() and len(word) <= LINE_OCTETS - 1 for word in words):
        yield from words
    else:
        yield from _encoded_words(value, first)


def _phrase(value: str, first: int) -> Iterator[str]:
    if _PLAIN_PHRASE.fullmatch(value):
        yield from value.split(" ")
    elif value.isascii():
        escaped = value.replace("\\", "\\\\").replace('"', '\\"')
        yield f'"{escaped}"'
    else:
        yield from _encoded_words(value, first)


def _encoded_words(value: str, first: int) -> Iterator[str]:
    """Split into base64 encoded-words at character borders (RFC 2047, 5); readers join them unseen."""
    room = (min(_ENCODED_WORD_OCTETS, first - len("=?utf-8?b??=")) // 4) * 3
    chunk = b""
    for character in value:
        encoded = character.encode("utf-8")
        if len(chunk) + len(encoded) > room:
            yield _encoded_word(chunk)
            chunk, room = b"", (_ENCODED_WORD_OCTETS - 1) // 4 * 3
        chunk += encoded
    yield _encoded_word(chunk)


def _encoded_word(chunk: bytes) -> str:
    return f"=?utf-8?b?{b64encode(chunk).decode('ascii')}?="


def _fold(name: str, words: list[str]) -> bytes:
    """Join words by spaces, with a line break before one that would pass the limit."""
    lines = [f"{name}:"]
    for word in words:
        if len(lines[-1]) + 1 + len(word) > LINE_OCTETS and lines[-1] != f"{name}:":
            lines.append("")
        lines[-1] += f" {word}"
    return "\r\n".join(lines).encode("ascii") + CRLF
