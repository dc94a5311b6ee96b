"""Makes hostile feed text plain at the door, so that nothing later has to ask where a word came from."""

import re
import unicodedata
from datetime import UTC, date, datetime, timedelta
from urllib.parse import urlsplit

from service.joiners import MAY_JOIN, compose, without_stray_joiners

TITLE_LENGTH = 400
ABSTRACT_LENGTH = 10_000
SUMMARY_LENGTH = 1_000
NAME_LENGTH = 120
KEYWORD_LENGTH = 80
URL_LENGTH = 500
MAXIMUM_COUNT = 2**31 - 1  # what an integer column holds on Postgres
ARXIV_BEGAN = datetime(1991, 8, 14, tzinfo=UTC)
LEAD = timedelta(days=2)  # clocks and time zones differ; anything later is an error

# Line breaks written out in LaTeX; "\\\\" only before white space, for "\\\\alpha" is none.
LATEX_BREAK = re.compile(r"\\\\(?:\[[^\]]{0,20}\])?(?=\s|$)|\\(?:newline|linebreak)(?![A-Za-z])")
LOOK_ALIKE = re.compile(r"(?<==)(?=\?)|(?<=\?)(?==)")
PAPER_ID = re.compile(
    r"(?:arxiv:)?([0-9]{4}\.[0-9]{4,5}|[a-z-]{2,12}(?:\.[A-Z]{2})?/[0-9]{7})(?:v[0-9]{1,3})?", re.I
)
ADDRESS = re.compile(r"[!#-&(-;=?-\[\]-_a-~]+")  # visible ASCII without <>"'`\
# A name in the public DNS: at least two labels, the last of them no number in any way of writing (else the
# browser takes the whole for an IPv4 address).
PUBLIC_HOST = re.compile(r"(?:[a-z0-9_-]{1,63}\.)+[a-z][a-z0-9-]{1,62}\.?")
PRIVATE_DOMAIN = re.compile(
    r"\.(?:localhost|localdomain|local|internal|intranet|private|lan|corp|home(?:\.arpa)?)\.?$"
)
PLAIN = re.compile(r"[ -~\n\r\t]*")  # nothing in it to look at letter by letter


def clean_line(value: object, length: int) -> str:
    """Return ``value`` as a single plain line of at most ``length`` characters, "" if it is no text.

    White space of any kind and written-out LaTeX line breaks become one space. Controls, surrogates, and
    everything invisible that formats (bidirectional overrides, zero-width characters) go, but joiners stay
    where emoji and scripts need them. What looks like an RFC 2047 encoded word gets a space inside its marks:
    a mail library would decode it, line breaks included (CVE-2024-6923), and "2+3=?" stays readable.
    """
    if not isinstance(value, str):
        return ""
    text = value[: length * 4]  # the rest would be cut anyway; bounds the work on a megabyte of spaces
    if not PLAIN.fullmatch(text):
        text = compose("".join(map(_visible, text)))
    if "\\" in text:
        text = LATEX_BREAK.sub(" ", text)
    text = " ".join(text.split())
    if "?" in text:
        text = LOOK_ALIKE.sub(" ", text)
    return text if len(text) <= length else without_stray_joiners(text[: length - 1].rstrip() + "…")


def _visible(character: str) -> str:
    category = unicodedata.category(character)
    if category[0] == "Z" or category == "Cc":
        return " "
    return "" if category[0] == "C" and character not in MAY_JOIN else character


def clean_lines(values: object, length: int, count: int) -> tuple[str, ...]:
    """Return the plain lines among ``values``, each once, at most ``count`` of them; () if it is no list."""
    if not isinstance(values, list | tuple):
        return ()
    lines = (clean_line(value, length) for value in values[: count * 4])
    return tuple(dict.fromkeys(line for line in lines if line))[:count]


def clean_url(value: object) -> str | None:
    """Return ``value`` if it is an http(s) address on the public web, without white space or credentials.

    IP addresses, localhost and names that mean something only inside a network are none: the address becomes
    a button, and whoever presses it may sit beside a router or a cloud's metadata service.
    """
    if not isinstance(value, str):
        return None
    text = value.strip()
    if not 0 < len(text) <= URL_LENGTH or not ADDRESS.fullmatch(text):
        return None
    try:
        parts = urlsplit(text)
        parts.port  # noqa: B018 - reading it checks it
    except ValueError:
        return None
    if parts.scheme not in {"http", "https"} or "@" in parts.netloc:
        return None
    return text if _is_public(parts.hostname or "") else None


def _is_public(host: str) -> bool:
    return bool(PUBLIC_HOST.fullmatch(host)) and not PRIVATE_DOMAIN.search(host)


def clean_count(value: object) -> int | None:
    """Return a count from 0 up, None if ``value`` is no such number: absent is never zero."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if isinstance(value, float) and not value.is_integer():
        return None
    return int(value) if 0 <= value <= MAXIMUM_COUNT else None


def clean_instant(value: object, latest: datetime) -> datetime | None:
    """Read an ISO 8601 instant between arXiv's beginning and ``latest`` (with some lead), else None."""
    if not isinstance(value, str) or len(value) > 40:
        return None
    try:
        instant = datetime.fromisoformat(value)
        instant = instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return instant if ARXIV_BEGAN <= instant <= latest + LEAD else None


def clean_date(value: object, latest: datetime) -> date | None:
    """Read the day of an ISO 8601 date or instant, with the limits of :func:`clean_instant`."""
    instant = clean_instant(value, latest)
    return instant.date() if instant else None


def paper_id(value: object) -> str | None:
    """Return the arXiv id without version ("2609.17496v2" is 2609.17496), None if it is none.

    Old ids are kept in their canonical form, without subject class: "math.GT/0309136" is math/0309136.
    """
    match = PAPER_ID.fullmatch(value.strip()) if isinstance(value, str) and len(value) < 64 else None
    if match is None:
        return None
    archive, slash, number = match[1].lower().rpartition("/")
    return f"{archive.partition('.')[0]}{slash}{number}"
