"""Reads an uploaded library, whatever program wrote it. Pure."""

import re

from service.subscribers.fields import clean_text
from service.subscribers.libraries.bibtex import read_bibtex
from service.subscribers.libraries.records import read_ids, read_json, read_rdf, read_ris, read_table
from service.subscribers.libraries.values import MOST_BYTES, Library, UnreadableLibrary

LONGEST_NAME = 80
TOO_LARGE = f"This is larger than {MOST_BYTES // 2**20} MB. Please export a part of it, such as one folder."
FORMATS = "BibTeX, RIS, CSV (Zotero, Semantic Scholar), CSL JSON, Zotero RDF, or a list of arXiv ids"

_BIBTEX = re.compile(r"^[ \t]*@[ \t]*[A-Za-z]+[ \t]*[{(]", re.MULTILINE)
_RIS = re.compile(r"^TY  ?-", re.MULTILINE)


def read_library(data: bytes, *, most_bytes: int = MOST_BYTES) -> Library:
    """Read a file of one of :data:`FORMATS`; which one is told by what it holds.

    Raises:
        UnreadableLibrary: it is too large, empty, or none of them; the message is a sentence for the person.
    """
    if len(data) > most_bytes:
        most = MOST_BYTES // 2**20
        raise UnreadableLibrary(
            f"This is larger than {most} MB. Please export a part of it, such as one folder."
        )
    text = _decode(data)
    if not text.strip():
        raise UnreadableLibrary("This file is empty.")
    library = _read(text)
    if not library.items:
        first = f" ({library.problems[0].where}: {library.problems[0].reason})" if library.problems else ""
        raise UnreadableLibrary(f"This was read as {library.format}, but holds no entry with a title{first}.")
    return library


def name_of_file(filename: str | None, *, default: str = "My library") -> str:
    """Return a name for a library from that of its file: without folders, ending and hidden signs."""
    plain = clean_text(re.split(r"[\\/]", filename or "")[-1])
    name = re.sub(r"\.(?:bib|bibtex|ris|csv|tsv|json|rdf|xml|txt)$", "", plain, flags=re.IGNORECASE)
    return clean_text(name.replace("_", " ").strip()[:LONGEST_NAME]) or default


def _read(text: str) -> Library:
    start = text.lstrip()[:1]
    if start == "<":
        return read_rdf(text.lstrip())
    if start in {"[", "{"}:
        return read_json(text)
    if _RIS.search(text):
        return read_ris(text)
    if _BIBTEX.search(text):
        return read_bibtex(text)
    if (ids := read_ids(text)) is not None:
        return ids
    try:
        return read_table(text.lstrip())
    except UnreadableLibrary:
        raise UnreadableLibrary(f"We can't tell what this is. We read {FORMATS}.") from None


def _decode(data: bytes) -> str:
    if data[:2] in {b"\xff\xfe", b"\xfe\xff"}:
        return data.decode("utf-16", "replace").replace("\x00", "")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = data.decode("cp1252", "replace")
    return text.replace("\x00", "").replace("\r\n", "\n").replace("\r", "\n")
