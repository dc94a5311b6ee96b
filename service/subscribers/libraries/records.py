"""Reads RIS, CSV (Zotero, Semantic Scholar), JSON (CSL, Better BibTeX, Zotero) and Zotero's RDF. Pure."""

import csv
import io
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from xml.etree.ElementTree import Element, ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import fromstring

from service.subscribers.fields import find_paper_id
from service.subscribers.libraries.values import (
    MOST_ENTRIES,
    Item,
    Library,
    Problem,
    UnreadableLibrary,
    first_of,
    gather,
    make_item,
)

_RIS_LINE = re.compile(r"^([A-Z][A-Z0-9])  ?-(?: (.*))?$")
_RIS_PLACES = ("AN", "N1", "M1", "C1", "JO", "T2", "JF", "PB", "ID")
_LISTS = ("items", "data", "papers", "references")
_TITLES = ("title", "ti", "name")
_ABSTRACTS = ("abstract note", "abstractnote", "abstract", "summary", "tldr")
_EPRINTS = ("arxiv id", "arxivid", "arxiv", "arxiv_id", "eprint")
_PLACES = (
    "extra", "archive id", "archiveid", "archivelocation", "archive_location", "archive location", "url",
    "link", "links", "doi", "note", "notes", "number", "report number", "publication title", "journal",
    "container-title", "venue", "repository", "publisher", "external ids", "externalids", "paper url",
    "pdf url", "pdf", "source", "publicationtitle", "type",
)  # fmt: skip
_TIMES = ("date added", "dateadded", "date-added", "added", "added at", "added_at", "date", "issued",
          "publication year", "publicationyear", "publicationdate", "publication date", "year")  # fmt: skip
_NO_WORKS = frozenset({"attachment", "note", "annotation"})

_DC = "{http://purl.org/dc/elements/1.1/}"
_TERMS = "{http://purl.org/dc/terms/}"
_RDF = "{http://www.w3.org/1999/02/22-rdf-syntax-ns#}"
_ZOTERO = "{http://www.zotero.org/namespaces/export#}"


def read_ris(text: str) -> Library:
    """Read RIS: a tag of two signs, two blanks, a dash; an entry ends with ER."""
    problems: list[Problem] = []
    return gather("RIS", _works(_ris_entries(text, problems), problems), problems)


def _ris_entries(text: str, problems: list[Problem]) -> Iterator[tuple[str, dict[str, str]]]:
    # Values are put together at the end: adding line by line copies a long one each time.
    entry: dict[str, list[str]] = {}
    start, tag = 0, ""
    for number, line in enumerate(text.splitlines(), 1):
        found = _RIS_LINE.match(line.rstrip())
        if found is None:
            if tag and line.strip():  # a long value goes on
                entry[tag].append(line.strip())
            continue
        tag, value = found[1], (found[2] or "").strip()
        if tag == "TY":
            if entry:
                problems.append(Problem(f"line {start}", "an entry begins here that has no end (ER)"))
                yield f"line {start}", _ris_fields(entry)
            entry, start = {"TY": [value]}, number
        elif tag == "ER":
            if entry:
                yield f"line {start}", _ris_fields(entry)
            entry, tag = {}, ""
        elif entry:
            entry.setdefault(tag, []).append(value)
        else:
            tag = ""  # before the first entry
    if entry:
        yield f"line {start}", _ris_fields(entry)


def _ris_fields(lines: Mapping[str, list[str]]) -> dict[str, str]:
    entry = {tag: " ".join(values) for tag, values in lines.items()}
    return {
        "title": first_of(entry, ("TI", "T1", "CT")),
        "abstract": first_of(entry, ("AB", "N2")),
        "url": " ".join(entry.get(tag, "") for tag in ("UR", "L1", "L2", "LK")),
        "doi": first_of(entry, ("DO", "M3")),
        "note": " ".join(
            entry.get(tag, "") for tag in ("AN", "N1", "M1", "C1", "JO", "T2", "JF", "PB", "ID")
        ),
        "date": first_of(entry, ("DA", "PY", "Y1")).replace("/", "-"),
    }


def read_table(text: str) -> Library:
    """Read CSV, or a table with tabs, whose first line names the columns; one of them is the title.

    Raises:
        UnreadableLibrary: no column is the title.
    """
    first = text[:2_000].split("\n", 1)[0]
    delimiter = max(("\t", ";", ","), key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        header = [cell.strip().lower() for cell in next(reader, [])]
    except csv.Error:
        header = []
    if not set(header) & set(_TITLES):
        raise UnreadableLibrary("The first line names no column “title”, so this table can't be read.")
    problems: list[Problem] = []
    return gather("CSV", _works(_rows(reader, header, problems), problems), problems)


def _rows(reader: Any, header: list[str], problems: list[Problem]) -> Iterator[tuple[str, dict[str, str]]]:
    while True:
        where = f"line {reader.line_num + 1}"
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            problems.append(Problem(where, f"is not readable as CSV: {error}"))
            continue
        row = dict(zip(header, cells, strict=False))
        if any(cells) and row.get("item type", "").lower() not in _NO_WORKS:
            yield where, row


def read_json(text: str) -> Library:
    """Read a list of entries as CSL JSON, Zotero, Better BibTeX or Semantic Scholar write them.

    Raises:
        UnreadableLibrary: this is no JSON, or no list of entries.
    """
    try:
        given = json.loads(text)
    except (ValueError, RecursionError) as error:
        place = f" at line {error.lineno}" if isinstance(error, json.JSONDecodeError) else ""
        raise UnreadableLibrary(f"This begins like JSON, but can't be read{place}.") from None
    if isinstance(given, Mapping):
        given = next(
            (given[key] for key in ("items", "data", "papers", "references") if key in given), [given]
        )
    if not isinstance(given, list):
        raise UnreadableLibrary("This is JSON, but not a list of entries.")
    problems: list[Problem] = []
    return gather("JSON", _works(_json_entries(given, problems), problems), problems)


def _json_entries(given: list[Any], problems: list[Problem]) -> Iterator[tuple[str, dict[str, str]]]:
    for number, entry in enumerate(given, 1):
        inner = entry.get("data", entry.get("paper", entry)) if isinstance(entry, Mapping) else None
        if not isinstance(inner, Mapping):
            problems.append(Problem(f"entry {number}", "is not an object"))
            continue
        fields = {str(key).lower(): _as_text(value) for key, value in inner.items()}
        if fields.get("itemtype", "") not in _NO_WORKS:
            yield f"entry {number}", fields


def _as_text(value: Any) -> str:
    """Write a value of JSON out as text, so that ids and dates can be found in it."""
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping) and "date-parts" in value:
        return "-".join(re.findall(r"\d+", str(value["date-parts"])[:40])[:1])
    if isinstance(value, Mapping):
        return " ".join(f"{key}:{one}" for key, one in list(value.items())[:20] if isinstance(one, str | int))
    if isinstance(value, list):
        return " ".join(str(one) for one in value[:20] if isinstance(one, str | int))
    return str(value) if isinstance(value, int) else ""


def read_rdf(text: str) -> Library:
    """Read Zotero's RDF.

    Raises:
        UnreadableLibrary: this is no XML, or XML that asks for more than it holds.
    """
    try:
        root = fromstring(text.encode("utf-8", "replace"))
    except ParseError as error:
        line = error.position[0]
        raise UnreadableLibrary(f"This begins like XML, but can't be read from line {line} on.") from None
    except (DefusedXmlException, ValueError, RecursionError):
        raise UnreadableLibrary("This XML declares entities of its own; such a file is not read.") from None
    if root.tag != f"{_RDF}RDF":
        raise UnreadableLibrary("This is XML, but not Zotero's RDF.")
    problems: list[Problem] = []
    entries = (
        (f"entry {number}", _rdf_fields(node)) for number, node in enumerate(root, 1) if _is_work(node)
    )
    return gather("Zotero RDF", _works(entries, problems), problems)


def _is_work(node: Element) -> bool:
    return (node.findtext(f"{_ZOTERO}itemType") or "").strip() not in {"", *_NO_WORKS}


def _rdf_fields(node: Element) -> dict[str, str]:
    def texts(*path: str) -> str:
        return " ".join("".join(found.itertext()) for found in node.findall("/".join(path)))

    return {
        "title": texts(f"{_DC}title"),
        "abstract": texts(f"{_TERMS}abstract"),
        "url": texts(f"{_DC}identifier"),
        "note": f"{texts(f'{_DC}description')} {node.get(f'{_RDF}about', '')} {texts(f'{_TERMS}isPartOf')}",
        "date": texts(f"{_TERMS}dateSubmitted") or texts(f"{_DC}date"),
    }


def read_ids(text: str) -> Library | None:
    """Read a plain list of arXiv ids or links, one a line; None where most lines are none."""
    lines = [(number, line.strip()) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
    found = [(number, find_paper_id(line)) for number, line in lines]
    known = [id_ for _, id_ in found if id_]
    if not known or 2 * len(known) < len(lines):
        return None
    problems = [Problem(f"line {number}", "is no arXiv id or link") for number, id_ in found if not id_]
    return gather("list", (Item(title=f"arXiv:{id_}", paper_id=id_) for id_ in known), problems)


def _works(entries: Iterable[tuple[str, Mapping[str, str]]], problems: list[Problem]) -> Iterator[Item]:
    for count, (where, fields) in enumerate(entries):
        if count == MOST_ENTRIES:
            problems.append(Problem(where, f"and what follows: only {MOST_ENTRIES:,} entries are read"))
            return
        try:
            yield make_item(
                first_of(fields, _TITLES),
                abstract=first_of(fields, _ABSTRACTS),
                places=[fields.get(name, "") for name in _PLACES],
                eprint=first_of(fields, _EPRINTS),
                added=first_of(fields, _TIMES),
                tex=False,
            )
        except ValueError as error:
            problems.append(Problem(where, str(error)))
