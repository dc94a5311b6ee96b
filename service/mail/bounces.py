"""Reads what comes back to the envelope senders: bounces, complaints, delays, auto-replies.

Standard reports are read by Action and Status (RFC 3464), complaints by their feedback report (RFC 5965);
what follows no standard is judged by its words (bounce_words.py), with flufl.bounce to find addresses.
Everything here is hostile input: nothing raises, and without evidence nothing is a bounce.
"""

import json
import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from email.message import Message
from json import JSONDecoder
from typing import Any

from flufl.bounce import all_failures

from service.mail import bounce_words
from service.mail.bounce_parts import (
    LINES_LIMIT,
    PARTS_LIMIT,
    PROSE_LIMIT,
    RECIPIENTS_LIMIT,
    addresses_in,
    fields_of,
    header,
    message_ids_in,
    own_parts,
    parse,
    payload_of,
    report_blocks,
    text_of,
    texts,
)
from service.mail.bounce_words import Kind
from service.mail.provider_events import ses_event

# The gravest first: what decides where a report names several recipients.
_GRAVITY = (Kind.HARD, Kind.POLICY, Kind.SOFT, Kind.DELAY, Kind.OTHER)
_REPORTS_BY_MACHINES = frozenset({"auth-failure", "dmarc", "virus", "opt-out", "opt-out-list"})
_NOBODY = frozenset({"<>", "<MAILER-DAEMON>"})  # as mail systems write the null sender
_STATUS_PARTS = frozenset({"message/delivery-status", "message/global-delivery-status"})
BEGINNING = 1500  # where a report says what it is

logging.getLogger("flufl.bounce").setLevel(logging.CRITICAL)  # it logs errors of its own on odd mail


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What a message that came back means."""

    kind: Kind
    status: str | None = None  # RFC 3463
    recipients: tuple[str, ...] = ()
    message_ids: tuple[str, ...] = ()  # in the message and in what it gives back, without brackets


def read(raw: bytes) -> Reading:
    """Read a message. Whatever it is made of, there is an answer; the answer in doubt is "other"."""
    try:
        message = parse(raw)
        reading = (
            _read_notification(message)
            or _read_feedback(message)
            or _read_report(message)
            or _read_words(message)
            or Reading(kind=Kind.AUTO_REPLY if _is_auto_reply(message) else Kind.OTHER)
        )
        return replace(reading, message_ids=message_ids_in(raw))
    except Exception:  # noqa: BLE001 - hostile input has no end of ways to fail
        return Reading(kind=Kind.OTHER)


# -- standard forms ----------------------------------------------------------------------------------


def _read_notification(message: Message) -> Reading | None:
    """Read what Amazon SES tells by mail: a notification of SNS as JSON, perhaps wrapped in another."""
    text = next(texts(message), "").lstrip()
    if not text.startswith("{"):
        return None
    try:
        told, _ = JSONDecoder().raw_decode(text.replace("!\n ", ""))  # where a mail system broke long lines
        if isinstance(told, dict) and isinstance(told.get("Message"), str):
            told = json.loads(told["Message"])
    except (ValueError, RecursionError):
        return None
    if not isinstance(told, dict) or not told.keys() & {"notificationType", "eventType"}:
        return None
    event = ses_event(told, "mail")
    if event is None or event.kind is None:
        return Reading(kind=Kind.OTHER)
    return Reading(kind=event.kind, status=event.status, recipients=addresses_in(_recipients_told(told)))


def _recipients_told(told: dict[str, Any]) -> list[str]:
    found = []
    for name, listed in (("bounce", "bouncedRecipients"), ("complaint", "complainedRecipients")):
        part = told.get(name)
        people = part.get(listed) if isinstance(part, dict) else None
        for one in people if isinstance(people, list) else ():
            if isinstance(one, dict) and isinstance(one.get("emailAddress"), str):
                found.append(one["emailAddress"])
    return found


def _read_feedback(message: Message) -> Reading | None:
    fields = next(_feedback_fields(message), None)
    if fields is None:
        opening = f"{header(message, 'Subject')}\n{_prose(message)[:BEGINNING]}"
        accused = _complained_of(message)
        if accused or bounce_words.tells_of_complaint(opening):
            return Reading(kind=Kind.COMPLAINT, recipients=accused)
        return Reading(kind=Kind.POLICY) if bounce_words.tells_of_authentication(opening) else None
    kind = fields["feedback-type"].partition(";")[0].strip().lower()
    named = [fields[name] for name in ("original-rcpt-to", "removal-recipient") if fields.get(name)]
    recipients = addresses_in(named)
    if kind in _REPORTS_BY_MACHINES:
        return Reading(kind=Kind.POLICY, recipients=recipients)  # nobody complained
    return Reading(kind=Kind.OTHER if kind == "not-spam" else Kind.COMPLAINT, recipients=recipients)


def _feedback_fields(message: Message) -> Iterator[dict[str, str]]:
    for part in own_parts(message):
        if part.get_content_type() == "message/feedback-report":
            yield {"feedback-type": "abuse"} | fields_of(text_of(part))
    # Some send the report as a plain attachment, or as the mail's own text.
    for text in texts(message):
        fields = fields_of(text)
        if "feedback-type" in fields and fields.keys() & {"user-agent", "version"}:
            yield fields


def _complained_of(message: Message) -> tuple[str, ...]:
    """Return whom Microsoft's complaints name, which give the mail back with a field of their own."""
    for number, part in enumerate(message.walk()):
        if named := addresses_in([header(part, "X-HmXmrOriginalRecipient")]):
            return named
        if number >= PARTS_LIMIT:
            break
    return ()


def _read_report(message: Message) -> Reading | None:
    """Read a delivery status notification by the Action and Status of each recipient."""
    prose = _prose(message)
    found = [_read_recipient(block, prose) for block in _status_blocks(message)]
    found = [reading for reading in found if reading.recipients or reading.status]
    return _gravest(found)


def _status_blocks(message: Message) -> Iterator[dict[str, str]]:
    is_found = False
    for part in own_parts(message):
        if part.get_content_type() in _STATUS_PARTS:
            is_found = True
            yield from report_blocks(part)
    if is_found or not _is_from_machine(message):
        return
    for part in own_parts(message):  # the same fields as text, which some send instead
        if part.get_content_type() == "text/plain":
            yield from (
                block for block in report_blocks(part) if {"action", "final-recipient"} <= block.keys()
            )


def _read_recipient(fields: dict[str, str], prose: str) -> Reading:
    action = fields.get("action", "failed").split("(")[0].strip().lower()
    named = [fields.get(name, "").rpartition(";")[2] for name in ("final-recipient", "original-recipient")]
    recipients = addresses_in([name for name in named if "@" in name][:1])
    diagnosis = fields.get("diagnostic-code", "")
    status = bounce_words.status_in(fields.get("status", ""))
    # Who says neither that it failed nor that it can't pass reports no failure.
    if action == "delayed" or ("action" not in fields and (status or "").startswith("4")):
        return Reading(kind=Kind.DELAY, status=status, recipients=recipients)
    if action in {"delivered", "relayed", "expanded"}:
        return Reading(kind=Kind.OTHER, status=status, recipients=recipients)
    kind, status = bounce_words.judge(status, diagnosis, prose)
    return Reading(kind=kind, status=status, recipients=recipients)


def _gravest(found: Iterable[Reading]) -> Reading | None:
    """Return what the gravest of several readings says, with everybody it is said of."""
    readings = list(found)
    if not readings:
        return None
    kind = min((reading.kind for reading in readings), key=_GRAVITY.index)
    of_kind = [reading for reading in readings if reading.kind == kind]
    recipients = dict.fromkeys(address for reading in of_kind for address in reading.recipients)
    status = next((reading.status for reading in of_kind if reading.status), None)
    return Reading(kind=kind, status=status, recipients=tuple(recipients)[:RECIPIENTS_LIMIT])


# -- by words ----------------------------------------------------------------------------------------


def _read_words(message: Message) -> Reading | None:
    """Read a bounce that follows no standard, if enough speaks for its being one."""
    failed = header(message, "X-Failed-Recipients")
    subject, prose = header(message, "Subject"), _prose(message)
    opening = f"{subject}\n{prose[:BEGINNING]}"
    told = bounce_words.tells_of_failure(opening) or bounce_words.is_unmistakable(opening)
    by_machine = _is_from_machine(message)
    # Looked for in mail by machines only: it also finds the bounce that somebody forwards.
    temporary, permanent = _found_by_flufl(message) if by_machine else ([], [])
    if not (failed or temporary or permanent or (by_machine and told)):
        return None
    if bounce_words.tells_of_success(subject):
        return Reading(kind=Kind.OTHER)
    named = addresses_in([failed]) or addresses_in([*permanent, *temporary])
    if bounce_words.tells_of_delay(opening):
        return Reading(
            kind=Kind.DELAY,
            status=bounce_words.status_in(prose),
            recipients=named or addresses_in([prose[:3000]])[:1],
        )
    judged = _gravest(_judge_piece(piece, subject) for piece in bounce_words.by_recipient(prose))
    kind, status = bounce_words.judge(None, prose, subject)
    reading = Reading(kind=kind, status=status)
    if judged is not None and _GRAVITY.index(judged.kind) <= _GRAVITY.index(kind):
        reading = judged
    return replace(reading, recipients=named or reading.recipients or addresses_in([prose[:3000]])[:1])


def _judge_piece(piece: str, subject: str) -> Reading:
    kind, status = bounce_words.judge(None, piece, subject)
    return Reading(kind=kind, status=status, recipients=addresses_in([piece])[:1])


def _is_from_machine(message: Message) -> bool:
    sender = header(message, "From")
    if bounce_words.is_mail_system(sender) or "<>" in sender or _is_status_report(message):
        return True
    # Answering machines too write from nobody (RFC 3834, 3.3), but as the person they answer for.
    if header(message, "Return-Path") in _NOBODY and not _is_auto_reply(message):
        return True
    opening = _prose(message)[:BEGINNING]
    if "reply" in sender.lower() and bounce_words.is_unmistakable(opening):
        return True
    is_answer = bool(message.get("In-Reply-To") or message.get("References"))
    begins_so = bounce_words.is_of_bounce(header(message, "Subject"))
    return begins_so and not is_answer and bounce_words.tells_of_failure(opening)


def _is_status_report(message: Message) -> bool:
    return (
        message.get_content_type() == "multipart/report"
        and str(message.get_param("report-type", "")).lower() == "delivery-status"
    )


def _found_by_flufl(message: Message) -> tuple[list[str], list[str]]:
    if not _is_short(message):
        return [], []  # each of its detectors goes through all lines
    try:
        temporary, permanent = all_failures(message)
    except Exception:  # noqa: BLE001 - its detectors fail on odd mail
        return [], []
    return sorted(map(_as_text, temporary)), sorted(map(_as_text, permanent))


def _is_short(message: Message) -> bool:
    lines = 0
    for number, part in enumerate(message.walk()):
        payload = payload_of(part)
        lines += payload.count("\n") if isinstance(payload, str) else 0
        if number >= PARTS_LIMIT or lines > LINES_LIMIT:
            return False
    return True


def _as_text(address: bytes | str) -> str:
    return address.decode("ascii", "replace") if isinstance(address, bytes) else str(address)


def _is_auto_reply(message: Message) -> bool:
    submitted = header(message, "Auto-Submitted").lower()
    precedence = header(message, "Precedence").lower()
    is_answer = bool(message.get("In-Reply-To") or message.get("References"))
    return (
        submitted.startswith("auto-replied")
        or (is_answer and submitted.startswith("auto-generated"))
        or precedence in {"auto_reply", "auto-reply"}
        or any(
            message.get(name) for name in ("X-Autoreply", "X-Autorespond", "X-Auto-Response", "X-Vacation")
        )
        or bounce_words.tells_of_absence(header(message, "Subject"))
    )


def _prose(message: Message) -> str:
    """Return the words written by whoever sent the report, without the mail it gives back."""
    return bounce_words.without_quoted_mail("\n".join(texts(message))[:PROSE_LIMIT])
