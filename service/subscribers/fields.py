"""Reads one field each of what a person chose, as text from a form, JSON or a CSV file. Pure.

Every reader raises FieldError with a sentence for the person.
"""

import re
import unicodedata
from collections.abc import Callable, Sequence
from functools import lru_cache
from zoneinfo import available_timezones

from service.joiners import MAY_JOIN, compose
from service.papers.cleaning import paper_id
from service.papers.taxonomy import CATEGORIES

WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
EVERY_DAY = 0b1111111
MONDAY_TO_FRIDAY = 0b0011111

MAXIMUM_PAPERS = 30
LONGEST_LINK = 300
MAXIMUM_TERM = 60  # characters of a word, mute or author

Raw = str | int | Sequence[str] | None

_SPLIT = re.compile(r"[;\n\r\u2028\u2029]")
_SPLIT_LINES = re.compile(r"[\n\r\u2028\u2029]")
_SPLIT_WORDS = re.compile(r"[;,\n\r\u2028\u2029]")
_HOUR = re.compile(r"(\d{1,2})(?::00)?", re.ASCII)
_NUMBER = re.compile(r"\d{1,3}", re.ASCII)
_HOSTS = (
    r"arxiv\.org/(?:abs|pdf|html|format|src|e-print|ftp)",
    r"ar5iv(?:\.labs\.arxiv)?\.org/(?:abs|html)",
    r"huggingface\.co/papers",
    r"hf\.co/papers",
    r"alphaxiv\.org/(?:abs|overview|pdf|audio)",
    r"semanticscholar\.org/arxiv",
    r"(?:dx\.)?doi\.org/10\.48550",
)
_ARXIV_LINK = re.compile(
    rf"(?:https?://)?(?:www\.|export\.|m\.)?(?:{'|'.join(_HOSTS)})/(.+?)(?:\.pdf)?/?(?:[?#].*)?",
    re.ASCII | re.IGNORECASE,
)
_ARXIV_PREFIX = re.compile(r"(?:(?:doi:\s*)?10\.48550/)?arxiv[:.]\s*", re.ASCII | re.IGNORECASE)
HIGHEST_WEIGHT = 10.0
_WEIGHT_WORDS = {"off": 0.0, "less": 0.5, "normal": 1.0, "more": 2.0}
_WEIGHT = re.compile(r"\d{1,3}(?:[.,]\d{1,4})?", re.ASCII)
_FLAGS = {
    **dict.fromkeys(("yes", "true", "on", "1"), True),
    **dict.fromkeys(("no", "false", "off", "0"), False),
}
# Names the system's zone files hold that name no place or rule of a person's clock.
_NO_ZONES = frozenset({"Factory", "localtime", "posixrules", "leapseconds"})


class FieldError(ValueError):
    """A field can't be read; the message is a sentence for the person."""


def clean_text(text: str) -> str:
    """Return ``text`` in NFC on one line: runs of blanks become one, hidden and control signs go.

    Joiners stay where emoji and scripts need them.
    """
    if text.isascii() and text.isprintable():
        return " ".join(text.split())
    spaced = "".join(
        sign if unicodedata.category(sign)[0] != "C" or sign in MAY_JOIN else " " * (sign in "\t\n\r\v\f\x85")
        for sign in text
    )
    return " ".join(compose(spaced).split())


def read_timezone(raw: Raw) -> str:
    """Return an IANA zone such as Europe/Berlin, in the database's own spelling."""
    text = _text(raw)
    zone = _zones().get(text.lower())
    if zone is None:
        raise FieldError(f"We don't know the time zone {quoted(text)}; it looks like Europe/Berlin.")
    return zone


def read_hour(raw: Raw) -> int:
    """Return an hour from 0 to 23."""
    found = _HOUR.fullmatch(_text(raw))
    if found is None or int(found[1]) > 23:
        raise FieldError("The hour is a whole number from 0 to 23.")
    return int(found[1])


def read_paper_count(raw: Raw) -> int:
    """Return how many papers a digest may hold."""
    text = _text(raw)
    if not _NUMBER.fullmatch(text) or not 1 <= int(text) <= MAXIMUM_PAPERS:
        raise FieldError(f"The number of papers is from 1 to {MAXIMUM_PAPERS}.")
    return int(text)


def read_weekdays(raw: Raw) -> int:
    """Return the days as bits, Monday the lowest: from names, "daily", "weekdays" or "weekly:monday"."""
    mask = 0
    for entry in _entries(raw, _SPLIT_WORDS):
        name = entry.lower().removeprefix("weekly:").strip()
        if name == "daily":
            mask |= EVERY_DAY
        elif name == "weekdays":
            mask |= MONDAY_TO_FRIDAY
        else:
            mask |= 1 << _weekday(name, entry)
    if not mask:
        raise FieldError("Please choose at least one day.")
    return mask


def read_entries(raw: Raw, *, limit: int) -> list[str]:
    """Return entries parted by semicolons or line ends, clean, each once, at most ``limit``."""
    return _limited(_entries(raw, _SPLIT), limit)


def read_lines(raw: Raw, *, limit: int) -> list[str]:
    """Return the lines of a text, or of several, clean, each once, at most ``limit``."""
    return _limited(_entries(raw, _SPLIT_LINES), limit)


def read_terms(raw: Raw, *, limit: int, shortest: int = 1) -> list[str]:
    """Return words or phrases parted by commas, semicolons or line ends, clean, each once."""
    terms = _limited(_entries(raw, _SPLIT_WORDS), limit)
    for term in terms:
        if len(term) > MAXIMUM_TERM:
            raise FieldError(f"{quoted(term)} is longer than {MAXIMUM_TERM} characters.")
        if len(term) < shortest or not any(sign.isalnum() for sign in term):
            raise FieldError(f"{quoted(term)} is too short to be looked for.")
    return terms


def read_codes(raw: Raw, *, limit: int, fold: Callable[[str], str | None]) -> list[str]:
    """Return arXiv categories by their present codes; ``fold`` knows them all, and their aliases.

    An archive, "cs" or "cs.*", stands for all its categories and is given as "cs.*".
    """
    codes = []
    for entry in _limited(_entries(raw, _SPLIT_WORDS), limit):
        code = fold(entry) or fold_archive(entry)
        if code is None:
            raise FieldError(f"arXiv has no category {quoted(entry)}; a category looks like cs.CL.")
        codes.append(code)
    return list(dict.fromkeys(codes))


def read_paper_ids(raw: Raw, *, limit: int) -> list[str]:
    """Return version-less arXiv ids, given as ids or as links to a paper's page."""
    return list(dict.fromkeys(_paper_id(entry) for entry in _limited(_entries(raw, _SPLIT_WORDS), limit)))


def find_paper_id(text: str) -> str | None:
    """Return the version-less arXiv id that a text is, or that it links to; None if it is none."""
    text = text.strip()
    if len(text) > LONGEST_LINK:
        return None
    link = _ARXIV_LINK.fullmatch(text)
    return paper_id(_ARXIV_PREFIX.sub("", link[1] if link else text, count=1).strip("/ "))


def _paper_id(entry: str) -> str:
    found = find_paper_id(entry)
    if found is None:
        raise FieldError(f"{quoted(entry)} is no arXiv paper; it looks like 2401.01234 or a link to it.")
    return found


def read_weight(raw: Raw | float) -> float:
    """Return how much an interest counts: a number from 0 (not at all for now) on, or less, normal, more."""
    text = _text(str(raw) if isinstance(raw, float) else raw)
    weight = _WEIGHT_WORDS.get(text.lower())
    if weight is None and _WEIGHT.fullmatch(text):
        weight = float(text.replace(",", "."))
    if weight is None or not 0 <= weight <= HIGHEST_WEIGHT:
        raise FieldError(f"The weight is less, normal, more, or a number from 0 to {HIGHEST_WEIGHT:.0f}.")
    return weight


def read_flag(raw: Raw) -> bool:
    """Return a yes or no."""
    flag = raw if isinstance(raw, bool) else _FLAGS.get(_text(raw).lower())
    if flag is None:
        raise FieldError("This is yes or no.")
    return flag


def fold_archive(code: str) -> str | None:
    """Return "cs.*" for an archive given as "cs" or "cs.*" in any case; None where arXiv has none."""
    return _archives().get(code.strip().lower().removesuffix(".*"))


def _weekday(name: str, entry: str) -> int:
    for number, weekday in enumerate(WEEKDAYS):
        if len(name) >= 3 and weekday.lower().startswith(name.rstrip("s") if name.endswith("days") else name):
            return number
    raise FieldError(f"We don't know the day {quoted(entry)}; days look like monday or mon.")


def _entries(raw: Raw, separators: re.Pattern[str]) -> list[str]:
    texts = [raw] if isinstance(raw, str) else [_text(raw)] if isinstance(raw, int) else raw or ()
    entries = []
    for text in texts:
        if not isinstance(text, str):
            raise FieldError("This takes words, not numbers or lists of lists.")
        entries += [clean_text(part) for part in separators.split(text)]
    return [entry for entry in entries if entry]


def _limited(entries: list[str], limit: int) -> list[str]:
    unique = list({entry.casefold(): entry for entry in reversed(entries)}.values())[::-1]
    if len(unique) > limit:
        raise FieldError(f"At most {limit} can be chosen here.")
    return unique


def _text(raw: Raw) -> str:
    if isinstance(raw, bool) or not isinstance(raw, str | int):
        raise FieldError("This takes one value.")
    return clean_text(str(raw))


def quoted(text: str) -> str:
    """Return the beginning of what somebody typed, in quotes, to name it in a sentence."""
    return f"“{text[:40]}…”" if len(text) > 40 else f"“{text}”"


@lru_cache(maxsize=1)
def _zones() -> dict[str, str]:
    return {
        zone.lower(): zone
        for zone in available_timezones()
        if zone not in _NO_ZONES and not zone.startswith(("posix/", "right/"))
    }


@lru_cache(maxsize=1)
def _archives() -> dict[str, str]:
    archives = {code.partition(".")[0] for code in CATEGORIES if "." in code}
    return {archive.lower(): f"{archive}.*" for archive in archives}
