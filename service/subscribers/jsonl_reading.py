"""Reads subscribers from JSON lines: as the API takes them, or as ``subscribers export`` writes. Pure."""

import io
import json
from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO

from service.subscribers.addresses import InvalidAddress, parse_address
from service.subscribers.csv_reading import COLUMNS, Line, Problem
from service.subscribers.preferences import InvalidPreferences, read_preferences

FIELDS = frozenset({*COLUMNS, "address"})
MOST_LINE = 1_000_000  # characters


def looks_like_json(first_line: bytes) -> bool:
    """Say whether a file that begins so holds JSON lines, not CSV."""
    return first_line.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"{")


def read_json_lines(file: BinaryIO) -> Iterator[Line | Problem]:
    """Read the lines in their order; one line may have several problems. Blank lines are passed over."""
    text = io.TextIOWrapper(file, encoding="utf-8-sig", errors="surrogateescape", newline="\n")
    try:
        seen: dict[str, int] = {}
        for number, raw in enumerate(text, 1):
            for read in _read_line(number, raw) if raw.strip() else ():
                first = seen.setdefault(read.address, number) if isinstance(read, Line) else number
                yield (
                    read
                    if first == number
                    else Problem(number, "duplicate", "email", f"same as line {first}")
                )
    finally:
        text.detach()  # the file is the caller's to close


def _read_line(number: int, raw: str) -> list[Line | Problem]:
    try:
        given = json.loads(raw) if len(raw) <= MOST_LINE else None
        raw.encode()  # what is no UTF-8 was carried along up to here
    except (ValueError, RecursionError):
        given = None
    fields = _fields(given)
    if fields is None:
        return [Problem(number, "unreadable", "line", "is no JSON object in UTF-8")]
    problems: list[Line | Problem] = [
        Problem(number, "unreadable", "line", f"there is no field {name[:40]!r}")
        for name in sorted(map(str, fields.keys() - FIELDS))
        if "@" not in name  # somebody's address, which no message repeats
    ]
    try:
        address = parse_address(str(fields.pop("email", "") or fields.pop("address", "")))
        preferences = read_preferences(fields)
    except InvalidAddress as error:
        problems.append(Problem(number, "unreadable", "email", str(error)))
    except InvalidPreferences as error:
        problems += [Problem(number, "unreadable", field, why) for field, why in error.errors.items()]
    return problems or [Line(number, address, preferences)]


def _fields(given: Any) -> dict[str, Any] | None:
    if not isinstance(given, Mapping):
        return None
    person, chosen = given.get("subscriber"), given.get("preferences")
    if isinstance(person, Mapping) and isinstance(chosen, Mapping):  # as it was exported
        return {**chosen, "address": person.get("address")}
    return dict(given)
