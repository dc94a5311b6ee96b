"""Reads a list of subscribers from CSV: readable lines as values, the rest by their reasons. Pure.

Columns, in any order, all but the first optional: :data:`COLUMNS`. Lists within a cell are parted by
semicolons, so are the interests in ``about``, each in somebody's own words; ``interests`` holds those with a
name as JSON, as the API takes them. UTF-8 with or without a byte-order mark, any line ends. No cell runs
over a line's end, so that a stray quote spoils its own line and none below.
"""

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO

from service.subscribers.addresses import InvalidAddress, parse_address
from service.subscribers.preferences import InvalidPreferences, Preferences, read_preferences

COLUMNS = (
    "email",
    "timezone",
    "hour",
    "weekdays",
    "papers",
    "about",
    "topics",
    "words",
    "categories",
    "authors",
    "examples",
    "interests",
    "mutes",
    "explore",
)


class BadHeader(ValueError):
    """The first line does not name the columns; nothing can be read."""


@dataclass(frozen=True, slots=True)
class Line:
    """A readable line of the file; the header is number 1."""

    number: int
    address: str
    preferences: Preferences


@dataclass(frozen=True, slots=True)
class Problem:
    """A line, or a field of it, that is not taken, with the reason for the operator; it holds no address."""

    number: int
    kind: str  # unreadable, duplicate, existing or suppressed
    field: str
    reason: str


def read_csv(file: BinaryIO) -> Iterator[Line | Problem]:
    """Read the lines in their order; one line may have several problems. Blank lines are passed over.

    Raises:
        BadHeader: the first line is no header, or names a column there is none of. Holds no address.
    """
    # Bytes that are no UTF-8 are carried along, so that they spoil one line and not the file.
    text = io.TextIOWrapper(file, encoding="utf-8-sig", errors="surrogateescape", newline="")
    try:
        yield from _read_lines(text)
    finally:
        text.detach()  # the file is the caller's to close


def _read_lines(text: Iterator[str]) -> Iterator[Line | Problem]:
    columns = _read_header(next(text, ""))
    seen: dict[str, int] = {}
    for number, raw in enumerate(text, 2):
        cells = _split(number, raw)
        line = cells if isinstance(cells, str) else _read_line(number, cells, columns)
        if isinstance(line, str):
            yield Problem(number, "unreadable", "line", line)
        elif isinstance(line, Line):
            first = seen.setdefault(line.address, number)
            yield line if first == number else Problem(number, "duplicate", "email", f"same as line {first}")
        else:
            yield from line


def _read_header(raw: str) -> tuple[str, ...]:
    if not raw:
        raise BadHeader(f"the file is empty; its first line names the columns: {', '.join(COLUMNS)}")
    header = _split(1, raw)
    if isinstance(header, str):
        raise BadHeader(f"the first line does not name the columns: {header}")
    columns = tuple(cell.strip().lower() for cell in header)
    for place, name in enumerate(columns, 1):
        if "@" in name:  # somebody's address, which no message repeats
            raise BadHeader(
                f"the first line is no header: column {place} holds an @;"
                f" the columns are {', '.join(COLUMNS)}"
            )
    if any(";" in name for name in columns):
        raise BadHeader("use commas between columns; semicolons are for lists inside a cell")
    if unknown := [name for name in columns if name not in COLUMNS]:
        raise BadHeader(f"no such column: {', '.join(unknown)[:80]!r}; the columns are {', '.join(COLUMNS)}")
    if "email" not in columns or len(set(columns)) < len(columns):
        raise BadHeader("the first line must name the column email, and each column once")
    return columns


def _split(number: int, raw: str) -> list[str] | str:
    """Return the cells of one line, or why it has none."""
    # The reader asks for the empty line only if a quote is open at the end of the one before.
    reader = csv.reader((raw, ""))
    try:
        cells = next(reader)
    except csv.Error as error:
        return f"not readable as CSV: {error}"
    return cells if reader.line_num == 1 else f"a quote opened on line {number} is not closed"


def _read_line(number: int, cells: list[str], columns: tuple[str, ...]) -> Line | list[Problem] | str:
    if not any(cells):
        return []
    if len(cells) > len(columns):
        return f"has {len(cells)} cells for {len(columns)} columns; put cells with commas in quotes"
    if not all(map(_is_text, cells)):
        return "is not UTF-8"
    row = dict(zip(columns, cells, strict=False))
    problems = []
    address = ""
    try:
        address = parse_address(row.pop("email", ""))
    except InvalidAddress as error:
        problems.append(Problem(number, "unreadable", "email", str(error)))
    try:
        preferences = read_preferences(_with_lists(row))
    except InvalidPreferences as error:
        problems += [Problem(number, "unreadable", field, reason) for field, reason in error.errors.items()]
    else:
        if not problems:
            return Line(number, address, preferences)
    return problems


def _with_lists(row: dict[str, str]) -> dict[str, Any]:
    """Take apart what stands in one cell: the wishes in ``about``, the JSON in ``interests``."""
    values: dict[str, Any] = dict(row)
    if "about" in row:
        values["about"] = row["about"].split(";")
    if row.get("interests", "").strip():
        try:
            values["interests"] = json.loads(row["interests"])
        except (ValueError, RecursionError):
            values["interests"] = "no JSON"
    return values


def _is_text(cell: str) -> bool:
    return cell.isascii() or not any("\udc80" <= sign <= "\udcff" for sign in cell)
