"""Caught mail as files: the bytes exactly as they came, and beside them a line of JSON with the envelope.

Several processes may write and read one folder at the same time: a mail appears by a rename, complete.
"""

import json
import os
import re
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from email import message_from_bytes
from email.message import Message
from email.policy import default
from pathlib import Path

from service.folders import make_folder

CAPACITY = 5_000
DROP_EVERY = 100  # the folder is counted once for so many mails, so it may hold so many more
_ID = re.compile(r"\d{8}T\d{12}-[0-9a-f]{8}")


@dataclass(frozen=True, slots=True)
class Summary:
    """A caught mail as a list shows it. Texts come from the mail: escape them."""

    id: str
    received_at: datetime
    sender: str  # of the envelope, "" for a bounce
    recipients: tuple[str, ...]  # of the envelope
    from_header: str
    subject: str
    size: int  # bytes


@dataclass(frozen=True, slots=True)
class CaughtMail:
    """A caught mail whole."""

    summary: Summary
    raw: bytes

    @property
    def headers(self) -> list[tuple[str, str]]:
        """Every header in its order, as sent: folded and encoded, line ends kept as spaces."""
        lines = self.raw.replace(b"\r\n", b"\n").partition(b"\n\n")[0]
        unfolded = re.sub(rb"\n(?=[ \t])", b"", lines).decode("utf-8", "replace")
        pairs = (line.partition(":") for line in unfolded.split("\n"))
        return [(name, value.strip()) for name, colon, value in pairs if colon]

    @property
    def text(self) -> str | None:
        """The plain text part, None if there is none."""
        return self._part("plain")

    @property
    def html(self) -> str | None:
        """The HTML part, None if there is none. It is anybody's HTML: show it in a sandbox."""
        return self._part("html")

    def _part(self, subtype: str) -> str | None:
        for part in message_from_bytes(self.raw, policy=default).walk():
            attached = part.get_content_disposition() == "attachment"
            if part.get_content_type() == f"text/{subtype}" and not attached:
                payload = part.get_payload(decode=True)
                return payload.decode(_charset(part), "replace") if isinstance(payload, bytes) else None
        return None


class MailboxStore:
    """The folder of caught mail; the oldest are dropped beyond ``capacity``."""

    def __init__(self, folder: Path, *, capacity: int = CAPACITY) -> None:
        """Name the folder; it is made with the first mail."""
        self.folder = folder
        self._capacity = capacity
        self._added = 0

    def add(self, content: bytes, *, sender: str, recipients: Sequence[str], now: datetime) -> Summary:
        """Keep a mail; it is on disk when this returns."""
        make_folder(self.folder)
        message = message_from_bytes(content.partition(b"\r\n\r\n")[0], policy=default)
        summary = Summary(
            id=f"{now:%Y%m%dT%H%M%S%f}-{secrets.token_hex(4)}",
            received_at=now,
            sender=sender,
            recipients=tuple(recipients),
            from_header=_header(message, "From"),
            subject=_header(message, "Subject"),
            size=len(content),
        )
        self._write(f"{summary.id}.eml", content)
        # The envelope comes second: what is listed is there.
        self._write(f"{summary.id}.json", json.dumps(asdict(summary), default=str).encode())
        if self._added % DROP_EVERY == 0:
            self._drop_oldest()
        self._added += 1
        return summary

    def list(self, limit: int = 50, offset: int = 0) -> list[Summary]:
        """Return the newest mails first."""
        found = (self._summary(mail_id) for mail_id in self._ids()[offset : offset + limit])
        return [summary for summary in found if summary]

    def count(self) -> int:
        """Return how many mails are kept."""
        return len(self._ids())

    def get(self, mail_id: str) -> CaughtMail | None:
        """Return a mail, None if it is not (or no longer) here. Any text may be asked for."""
        summary = self._summary(mail_id) if _ID.fullmatch(mail_id) else None
        try:
            return CaughtMail(summary, (self.folder / f"{mail_id}.eml").read_bytes()) if summary else None
        except FileNotFoundError:
            return None

    def mails(self) -> Iterator[CaughtMail]:
        """Go through all mails, the newest first."""
        return (mail for mail_id in self._ids() if (mail := self.get(mail_id)))

    def clear(self) -> int:
        """Remove every mail and return how many there were."""
        ids = self._ids()
        for mail_id in ids:
            self._remove(mail_id)
        return len(ids)

    def _ids(self) -> Sequence[str]:
        try:
            names = os.listdir(self.folder)  # noqa: PTH208 - thousands of names; Path objects cost ten times as much
        except FileNotFoundError:
            return []
        return sorted(
            (name[:-5] for name in names if name.endswith(".json") and name[0] != "."), reverse=True
        )

    def _summary(self, mail_id: str) -> Summary | None:
        try:
            fields = json.loads((self.folder / f"{mail_id}.json").read_bytes())
        except FileNotFoundError:
            return None
        received_at = datetime.fromisoformat(fields.pop("received_at"))
        return Summary(received_at=received_at, recipients=tuple(fields.pop("recipients")), **fields)

    def _write(self, name: str, content: bytes) -> None:
        unfinished = self.folder / f".{name}"
        unfinished.write_bytes(content)
        unfinished.rename(self.folder / name)

    def _drop_oldest(self) -> None:
        for mail_id in self._ids()[self._capacity :]:
            self._remove(mail_id)

    def _remove(self, mail_id: str) -> None:
        for ending in ("json", "eml"):
            (self.folder / f"{mail_id}.{ending}").unlink(missing_ok=True)


def _header(message: Message, name: str) -> str:
    try:
        return " ".join(str(message[name] or "").split())
    except (ValueError, IndexError, LookupError, AttributeError):
        # The library's parsers stumble over some malformed headers; the raw source shows them all the same.
        return "(unreadable)"


def _charset(part: Message) -> str:
    charset = part.get_content_charset("utf-8")
    try:
        "".encode(charset)
    except (LookupError, ValueError):
        return "utf-8"
    return str(charset)
