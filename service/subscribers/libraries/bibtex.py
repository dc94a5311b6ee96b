"""Reads BibTeX as people have it: nested braces, @string, crossref, broken entries among good ones. Pure.

The grammar is that of "Designing BibTeX Styles" (Patashnik, 1988) and btparse's description of what BibTeX
takes. A broken entry costs itself alone: reading goes on at the next line that begins one.
"""

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from service.subscribers.libraries.values import (
    MOST_ENTRIES,
    Item,
    Library,
    Problem,
    first_of,
    gather,
    make_item,
)

LONGEST_ENTRY = 100_000  # characters; more means a brace that nobody closed
MOST_MACRO = 1_000  # characters of a @string, and of what is put together of several

_START = re.compile(r"@\s*([A-Za-z]+)\s*([{(])")
_NEXT_ENTRY = re.compile(r"^[ \t]*@[ \t]*[A-Za-z]+[ \t]*[{(]", re.MULTILINE)
_KEY = re.compile(r"\s*([^\s,={}\"()]*)\s*")
_NAME = re.compile(r"[\s,]*([A-Za-z][\w:.+/-]*)\s*=\s*")
_BARE = re.compile(r"[^\s,#{}\"()=]+")
_BRACE = re.compile(r"\\[{}\\]|[{}]")
_BRACE_OR_QUOTE = re.compile(r"\\[{}\"\\]|[{}\"]")
_BLANK = re.compile(r"\s*")
_END = re.compile(r"[\s,]*")

_PLACES = (
    "arxivid", "arxiv", "journal", "volume", "number", "url", "link", "ee", "doi", "note", "howpublished",
    "pages", "archive", "annote", "publisher", "booktitle", "file", "key", "urls", "bdsk-url-1",
)  # fmt: skip


class _Broken(ValueError):
    """An entry that can't be read; the message says why."""


@dataclass(slots=True)
class _Entry:
    line: int
    kind: str
    key: str
    fields: dict[str, str] = field(default_factory=dict)


def read_bibtex(text: str) -> Library:
    """Read the entries that have a title."""
    problems: list[Problem] = []
    entries = list(itertools.islice(_entries(text, problems), MOST_ENTRIES))
    by_key = {entry.key.lower(): entry for entry in reversed(entries) if entry.key}
    items: list[Item] = []
    for entry in entries:
        parent = by_key.get(entry.fields.get("crossref", "").strip().lower())
        inherited = {**parent.fields, "title": "", "abstract": ""} if parent and parent is not entry else {}
        try:
            items.append(_item({**inherited, **entry.fields}))
        except ValueError as error:
            problems.append(
                Problem(f"line {entry.line}", f"the entry {entry.key[:40] or entry.kind} {error}")
            )
    problems.sort(key=lambda problem: int(problem.where.rpartition(" ")[2]))
    return gather("BibTeX", items, problems)


def _item(fields: dict[str, str]) -> Item:
    eprint = fields.get("eprint", "")
    archive = first_of(fields, ("archiveprefix", "eprinttype"))
    if archive and archive.lower() != "arxiv":
        eprint = ""
    return make_item(
        fields.get("title", ""),
        abstract=first_of(fields, ("abstract", "abstractnote", "summary")),
        places=[f"arxiv:{eprint}", *(fields.get(name, "") for name in _PLACES)],
        eprint=eprint,
        added=first_of(
            fields, ("date-added", "dateadded", "timestamp", "added-at", "date-modified", "date", "year")
        ),
        tex=True,
    )


def _entries(text: str, problems: list[Problem]) -> Iterator[_Entry]:
    macros: dict[str, str] = {}
    at, line, counted, following = 0, 1, 0, -1
    while (found := _START.search(text, at)) and len(problems) < MOST_ENTRIES:
        line, counted = line + text.count("\n", counted, found.start()), found.start()
        kind = found[1].lower()
        if following < found.end():
            following = _next_line_with_entry(text, found.end())
        # An entry must have ended before a line that begins another: else a brace is missing.
        limit = min(following, found.end() + LONGEST_ENTRY)
        try:
            if kind == "comment":
                at = _after_comment(text, found.end(), limit)
            elif kind == "preamble":
                _, at = _value(text, found.end(), macros, limit)
            elif kind == "string":
                at = _read_fields(text, found.end(), macros, macros, opened=found[2], limit=limit)
            else:
                entry = _Entry(line, kind, "")
                at = _read_entry(entry, text, found, macros, limit)
                yield entry
        except _Broken as error:
            problems.append(Problem(f"line {line}", str(error)))
            at = following


def _next_line_with_entry(text: str, start: int) -> int:
    found = _NEXT_ENTRY.search(text, start)
    return found.start() if found else len(text)


def _read_entry(entry: _Entry, text: str, found: re.Match[str], macros: dict[str, str], limit: int) -> int:
    key = _KEY.match(text, found.end(), limit)
    at = found.end()
    # Some programs write entries without a key: then a field begins at once.
    if key and key.end() < limit and text[key.end()] in ",})":
        entry.key, at = key[1], key.end()
    return _read_fields(text, at, entry.fields, macros, opened=found[2], limit=limit)


def _read_fields(
    text: str, at: int, fields: dict[str, str], macros: dict[str, str], *, opened: str, limit: int
) -> int:
    """Read ``name = value`` pairs into ``fields`` up to the closing sign; return the place behind it."""
    closing = "}" if opened == "{" else ")"
    while True:
        named = _NAME.match(text, at, limit)
        if named is None:
            end = _END.match(text, at, limit)
            at = end.end() if end else at
            if at < limit and text[at] == closing:
                return at + 1
            raise _Broken(_why_no_end(text, at, limit))
        value, at = _value(text, named.end(), macros, limit)
        # The first counts, as for BibTeX.
        fields.setdefault(named[1].lower(), value)


def _why_no_end(text: str, at: int, limit: int) -> str:
    if at >= limit:
        return "an entry begins here that is not closed"
    return f"an entry begins here that can't be read from {text[at : at + 20].splitlines()[0]!r} on"


def _value(text: str, at: int, macros: dict[str, str], limit: int) -> tuple[str, int]:
    """Read a value, put together with "#" of braces, quotes, numbers and names of @strings."""
    parts: list[str] = []
    while True:
        at = _after_blank(text, at)
        if at >= limit:
            raise _Broken("an entry begins here that is not closed")
        if text[at] == "{":
            end = _closing(text, at + 1, limit, quoted=False)
            parts.append(text[at + 1 : end - 1])
        elif text[at] == '"':
            end = _closing(text, at + 1, limit, quoted=True)
            parts.append(text[at + 1 : end - 1])
        elif bare := _BARE.match(text, at, limit):
            end = bare.end()
            parts.append(macros.get(bare[0].lower(), bare[0])[:MOST_MACRO])
        else:
            raise _Broken(_why_no_end(text, at, limit))
        at = _after_blank(text, end)
        if at >= limit or text[at] != "#":
            joined = "".join(parts)
            return (joined if len(parts) == 1 else joined[:LONGEST_ENTRY]), at
        at += 1


def _closing(text: str, at: int, limit: int, *, quoted: bool) -> int:
    """Return the place behind the sign that closes what was opened before ``at``."""
    depth = 0 if quoted else 1
    for sign in (_BRACE_OR_QUOTE if quoted else _BRACE).finditer(text, at, limit):
        if sign[0] == "{":
            depth += 1
        elif sign[0] == "}":
            depth -= 1
            if depth == 0 and not quoted:
                return sign.end()
            if depth < 0:
                break
        elif sign[0] == '"' and depth == 0:
            return sign.end()
    raise _Broken("an entry begins here that is not closed")


def _after_comment(text: str, at: int, limit: int) -> int:
    """Pass over a comment; JabRef keeps its own data there. Without an end it is one for the line alone."""
    try:
        return _closing(text, at, limit, quoted=False)
    except _Broken:
        end = text.find("\n", at)
        return len(text) if end < 0 else end


def _after_blank(text: str, at: int) -> int:
    found = _BLANK.match(text, at)
    return found.end() if found else at
