"""Reads what comes back to the envelope senders: bounces, complaints, delays, auto-replies.

Standard reports are read by Action and Status (RFC 3464), complaints by their feedback report (RFC 5965);
what follows no standard is judged by its words (bounce_words.py), with flufl.bounce to find addresses.
Everything here is hostile input: nothing raises, and without evidence nothing is a bounce.
"""

import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass
from email import message_from_bytes
from email.message import Message
from email.utils import getaddresses

from flufl.bounce import all_failures

from service.mail import bounce_words
from service.mail.bounce_words import Kind

SIZE_LIMIT = 2_000_000  # more is not read
PARTS_LIMIT = 200
RECIPIENTS_LIMIT = 50
_ADDRESS = re.compile(r"[^\s<>@;,()\[\]:\"']{1,64}@[A-Za-z0-9][A-Za-z0-9.-]{0,253}")
# The gravest first: what decides where a report names several recipients.
_GRAVITY = (Kind.HARD, Kind.POLICY, Kind.SOFT, Kind.DELAY, Kind.OTHER)
_COMPLAINTS_BY_MACHINES = {"auth-failure", "dmarc"}

logging.getLogger("flufl.bounce").setLevel(logging.CRITICAL)  # it logs errors of its own on odd mail


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What a message that came back means."""

    kind: Kind
    status: str | None = None  # RFC 3463
    recipients: tuple[str, ...] = ()


def read(raw: bytes) -> Reading:
    """Read a message. Whatever it is made of, there is an answer; the answer in doubt is "other"."""
    try:
        message = _parse(raw)
        return (
            _read_feedback(message)
            or _read_report(message)
            or _read_words(message)
            or Reading(kind=Kind.AUTO_REPLY if _is_auto_reply(message) else Kind.OTHER)
        )
    except Exception:  # noqa: BLE001 - hostile input has no end of ways to fail
        return Reading(kind=Kind.OTHER)


def _parse(raw: bytes) -> Message:
    raw = raw[:SIZE_LIMIT]
    if b"\n" not in raw:
        raw = raw.replace(b"\r", b"\n")  # saved by a system that ends lines so
    if raw.startswith(b"From "):
        raw = raw.partition(b"\n")[2]  # a mailbox file's separator
    return message_from_bytes(raw.lstrip(b"\r\n"))


def _parts(message: Message) -> Iterator[Message]:
    for number, part in enumerate(message.walk()):
        if number >= PARTS_LIMIT:
            return
        yield part


def _header(message: Message, name: str) -> str:
    return " ".join(str(message.get(name, "")).split())


# -- standard forms ----------------------------------------------------------------------------------


def _read_feedback(message: Message) -> Reading | None:
    for part in _parts(message):
        if part.get_content_type() != "message/feedback-report":
            continue
        fields = _fields(_text(part))
        kind = fields.get("feedback-type", "abuse").lower()
        recipients = [fields[name] for name in ("original-rcpt-to", "removal-recipient") if fields.get(name)]
        if kind in _COMPLAINTS_BY_MACHINES:
            return Reading(kind=Kind.POLICY, recipients=_addresses(recipients))  # nobody complained
        if kind == "not-spam":
            return Reading(kind=Kind.OTHER, recipients=_addresses(recipients))
        return Reading(kind=Kind.COMPLAINT, recipients=_addresses(recipients))
    return None


def _read_report(message: Message) -> Reading | None:
    """Read a delivery status notification by the Action and Status of each recipient."""
    found: list[Reading] = []
    for part in _parts(message):
        if part.get_content_type() in {"message/delivery-status", "message/global-delivery-status"}:
            prose = _prose(message)
            found += [_read_recipient(block, prose) for block in _blocks(part)]
    found = [reading for reading in found if reading.recipients or reading.status]
    if not found:
        return None
    kind = min((reading.kind for reading in found), key=_GRAVITY.index)
    of_kind = [reading for reading in found if reading.kind == kind]
    recipients = dict.fromkeys(address for reading in of_kind for address in reading.recipients)
    status = next((reading.status for reading in of_kind if reading.status), None)
    return Reading(kind=kind, status=status, recipients=tuple(recipients)[:RECIPIENTS_LIMIT])


def _blocks(part: Message) -> Iterator[dict[str, str]]:
    payload = part.get_payload()
    texts = [str(block) for block in payload] if isinstance(payload, list) else [_text(part)]
    for text in texts:
        for block in re.split(r"\n[ \t]*\n", text.replace("\r\n", "\n")):
            fields = _fields(block)
            if fields.keys() & {"action", "status", "final-recipient", "original-recipient"}:
                yield fields


def _read_recipient(fields: dict[str, str], prose: str) -> Reading:
    action = fields.get("action", "failed").split("(")[0].strip().lower()
    named = [fields.get(name, "").partition(";")[2] for name in ("final-recipient", "original-recipient")]
    recipients = _addresses([name for name in named if "@" in name][:1])
    diagnosis = fields.get("diagnostic-code", "")
    status = bounce_words.status_in(fields.get("status", ""))
    if action == "delayed":
        return Reading(kind=Kind.DELAY, status=status, recipients=recipients)
    if action in {"delivered", "relayed", "expanded"}:
        return Reading(kind=Kind.OTHER, status=status, recipients=recipients)
    kind, status = bounce_words.judge(status, diagnosis, prose)
    return Reading(kind=kind, status=status, recipients=recipients)


def _fields(block: str) -> dict[str, str]:
    unfolded = re.sub(r"\n[ \t]+", " ", block.replace("\r\n", "\n").strip("\n"))
    fields: dict[str, str] = {}
    for line in unfolded.split("\n")[:200]:
        name, colon, value = line.partition(":")
        if colon and " " not in name.strip():
            fields.setdefault(name.strip().lower(), value.strip())
    return fields


# -- by words ----------------------------------------------------------------------------------------


def _read_words(message: Message) -> Reading | None:
    """Read a bounce that follows no standard, if enough speaks for its being one."""
    failed = _header(message, "X-Failed-Recipients")
    subject, sender = _header(message, "Subject"), _header(message, "From")
    prose = _prose(message)
    temporary, permanent = _found_by_flufl(message)
    from_machine = bounce_words.is_mail_system(sender) or _header(message, "Return-Path") == "<>"
    told = bounce_words.tells_of_failure(subject) or bounce_words.tells_of_failure(prose[:1500])
    if not (failed or temporary or permanent or (from_machine and told)):
        return None
    recipients = (
        _addresses([failed]) or _addresses([*permanent, *temporary]) or _addresses([prose[:3000]])[:1]
    )
    if bounce_words.tells_of_delay(f"{subject}\n{prose[:1500]}"):
        return Reading(kind=Kind.DELAY, status=bounce_words.status_in(prose), recipients=recipients)
    kind, status = bounce_words.judge(None, prose, subject)
    return Reading(kind=kind, status=status, recipients=recipients)


def _found_by_flufl(message: Message) -> tuple[list[str], list[str]]:
    try:
        temporary, permanent = all_failures(message)
    except Exception:  # noqa: BLE001 - its detectors fail on odd mail
        return [], []
    return sorted(map(_as_text, temporary)), sorted(map(_as_text, permanent))


def _as_text(address: bytes | str) -> str:
    return address.decode("ascii", "replace") if isinstance(address, bytes) else str(address)


def _is_auto_reply(message: Message) -> bool:
    submitted = _header(message, "Auto-Submitted").lower()
    precedence = _header(message, "Precedence").lower()
    return (
        submitted.startswith("auto-replied")
        or precedence == "auto_reply"
        or any(message.get(name) for name in ("X-Autoreply", "X-Autorespond", "X-Auto-Response"))
        or bounce_words.tells_of_absence(_header(message, "Subject"))
    )


def _prose(message: Message) -> str:
    """Return the words written by whoever sent the report, without the mail it gives back."""
    texts: list[str] = []
    for part in _parts(message):
        if part.get_content_type() in {"message/rfc822", "text/rfc822-headers"}:
            break
        if part.get_content_maintype() == "text" and not part.is_multipart():
            text = _text(part)
            is_html = part.get_content_subtype() == "html"
            texts.append(re.sub(r"<[^>@]{0,300}>", " ", text) if is_html else text)
    return bounce_words.without_quoted_mail("\n".join(texts))[:20_000]


def _text(part: Message) -> str:
    payload = part.get_payload(decode=True)
    if not isinstance(payload, bytes):
        return "\n\n".join(str(block) for block in part.get_payload()) if part.is_multipart() else ""
    charset = part.get_content_charset() or "utf-8"
    try:
        return payload.decode(charset, "replace").replace("\r\n", "\n").replace("\r", "\n")
    except (LookupError, ValueError):
        return payload.decode("utf-8", "replace").replace("\r\n", "\n")


def _addresses(texts: list[str]) -> tuple[str, ...]:
    found = [address for text in texts for address in _ADDRESS.findall(text)]
    if not found:
        found = [address for _, address in getaddresses(texts) if "@" in address]
    cleaned = (address.strip("<>.").lower() for address in found)
    return tuple(dict.fromkeys(cleaned))[:RECIPIENTS_LIMIT]
