"""The suppression list as lines of text, to move it between installations. Pure.

A line holds a keyed hash, its reason, date and source, and which secret keys the hashes were made with (by
the first bytes of a hash of nothing, which tell nothing of them). No address is in it, none can be had of it.
"""

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from service.keys import Keyring
from service.mail.suppression import GRAVITY

FIELDS = ("hash", "reason", "since", "source", "keys")
HASH_BYTES = 32
SOURCE_CHARACTERS = 60
LONGEST_LINE = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One address that gets no mail, without the address."""

    address_key: bytes
    reason: str
    since: datetime
    source: str | None = None


class NoEntry(ValueError):
    """A line that is no entry of such a list; the message says why."""


def keys_of(keyring: Keyring) -> str:
    """Name the secret keys of an installation, the present one first."""
    return "+".join(key[:8].hex() for key in keyring.address_keys(""))


def as_json_lines(entries: Iterable[Entry], keys: str) -> Iterator[str]:
    """Write each entry as an object on a line of its own."""
    for entry in entries:
        yield json.dumps(dict(zip(FIELDS, _values(entry, keys), strict=True))) + "\n"


def as_csv(entries: Iterable[Entry], keys: str) -> Iterator[str]:
    """Write a head and a row for each entry."""
    yield ",".join(FIELDS) + "\r\n"
    for entry in entries:
        row = io.StringIO()
        csv.writer(row).writerow(_values(entry, keys))
        yield row.getvalue()


def _values(entry: Entry, keys: str) -> tuple[str, ...]:
    return (entry.address_key.hex(), entry.reason, entry.since.isoformat(), entry.source or "", keys)


def read(line: str, *, known: str, now: datetime) -> Entry | None:
    """Read a line of either kind; None for a head or an empty line. ``known`` names our own keys.

    Raises:
        NoEntry: it is none, or was made with keys that are not ours: nobody would be recognised by it.
    """
    line = line.strip().lstrip("\ufeff")
    if not line or line.startswith(FIELDS[0] + ","):
        return None
    if len(line) > LONGEST_LINE:
        raise NoEntry("too long")
    fields = _fields(line)
    if fields["keys"].partition("+")[0] not in known.split("+"):
        raise NoEntry("made with another secret key")
    return _entry(fields, now)


def _fields(line: str) -> Mapping[str, str]:
    try:
        found = (
            json.loads(line)
            if line.startswith("{")
            else dict(zip(FIELDS, next(csv.reader([line])), strict=True))
        )
    except (ValueError, RecursionError, csv.Error) as error:
        raise NoEntry("neither JSON nor a row of five fields") from error
    if not all(isinstance(found.get(name), str) for name in FIELDS):
        raise NoEntry(f"needs {', '.join(FIELDS)}")
    return {name: found[name] for name in FIELDS}


def _entry(fields: Mapping[str, str], now: datetime) -> Entry:
    try:
        address_key = bytes.fromhex(fields["hash"])
        since = datetime.fromisoformat(fields["since"])
    except ValueError as error:
        raise NoEntry("no hash, or no date") from error
    if len(address_key) != HASH_BYTES or fields["reason"] not in GRAVITY:
        raise NoEntry("no hash, or no reason that is known")
    source = fields["source"]
    if len(source) > SOURCE_CHARACTERS or not source.isprintable():
        raise NoEntry("no source")
    since = since if since.tzinfo else since.replace(tzinfo=UTC)
    return Entry(
        address_key=address_key, reason=fields["reason"], since=min(since, now), source=source or None
    )
