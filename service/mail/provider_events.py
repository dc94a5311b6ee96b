"""What mail providers tell by webhook, as plain values. Pure; everything here may be malformed.

Shapes: Amazon SES (notifications and event publishing, by SNS), SendGrid's event webhook, Mailgun's webhooks,
Postmark's webhooks. What says nothing of a failure, a complaint or a leaving gives no event.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from service.mail.bounce_words import Kind, is_general, judge, status_in

UNSUBSCRIBE = "unsubscribe"
EVENTS_LIMIT = 10_000  # in one request
ID_CHARACTERS = 200
_TEXT_CHARACTERS = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderEvent:
    """One event about one message."""

    event_id: str  # the provider's own, the same when it tells again
    kind: Kind | None  # None: the reader unsubscribed at the provider
    status: str | None = None  # RFC 3463
    text: bytes = b""  # the event as JSON, where our own tokens are looked for
    message_ids: tuple[str, ...] = ()


class Malformed(ValueError):
    """A body that is not what the provider sends."""


def read_json(body: bytes) -> Any:
    """Read a body.

    Raises:
        Malformed: it is no JSON, or nested without end.
    """
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Malformed("the body is no JSON") from error


def _dict(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: object) -> list[Any]:
    return value[:EVENTS_LIMIT] if isinstance(value, list) else []


def _text(value: object) -> str:
    return value[:_TEXT_CHARACTERS] if isinstance(value, str) else ""


def _ids(*values: object) -> tuple[str, ...]:
    return tuple(text.strip("<> ") for value in values if (text := _text(value)))


def _refusal(status: str, words: str, *, is_permanent: bool) -> tuple[Kind, str | None]:
    """Judge a refusal by its code and words; where they say nothing, by what the provider makes of it."""
    kind, found = judge(status_in(status), words, "")
    told = found is not None and not is_general(found)
    if is_permanent and kind is Kind.SOFT and not told:
        return Kind.HARD, found
    return (kind if is_permanent or kind is Kind.POLICY else Kind.SOFT), found


# -- Amazon SES --------------------------------------------------------------------------------------

_SES_CONTENT = frozenset({"ContentRejected", "AttachmentRejected", "MessageTooLarge"})


def ses_event(message: object, event_id: str) -> ProviderEvent | None:
    """Read a notification of SES: the ``Message`` of an SNS notification, itself JSON."""
    body = _dict(message)
    word = _text(body.get("notificationType") or body.get("eventType"))
    kind, status = _ses_kind(word, body)
    if kind is None:
        return None
    mail = _dict(body.get("mail"))
    fields = [_dict(field) for field in _list(mail.get("headers"))]
    named = [field.get("value") for field in fields if _text(field.get("name")).lower() == "message-id"]
    common = _dict(mail.get("commonHeaders"))
    return ProviderEvent(
        event_id=event_id[:ID_CHARACTERS],
        kind=kind,
        status=status,
        text=json.dumps([mail.get("source"), fields]).encode(),
        message_ids=_ids(*named, common.get("messageId")),
    )


def _ses_kind(word: str, body: Mapping[str, Any]) -> tuple[Kind | None, str | None]:
    if word == "Complaint":
        feedback = _text(_dict(body.get("complaint")).get("complaintFeedbackType"))
        return (Kind.OTHER if feedback == "not-spam" else Kind.COMPLAINT), None
    if word == "DeliveryDelay":
        return Kind.DELAY, None
    if word != "Bounce":
        return None, None
    bounce = _dict(body.get("bounce"))
    recipient = _dict(next(iter(_list(bounce.get("bouncedRecipients"))), None))
    if _text(bounce.get("bounceSubType")) in _SES_CONTENT:
        return Kind.POLICY, status_in(_text(recipient.get("status")))
    return _refusal(
        _text(recipient.get("status")),
        _text(recipient.get("diagnosticCode")),
        is_permanent=_text(bounce.get("bounceType")) == "Permanent",
    )


# -- SendGrid ----------------------------------------------------------------------------------------

_SENDGRID_DROPS: Mapping[str, Kind | None] = {
    "bounced address": Kind.HARD,
    "spam reporting address": Kind.COMPLAINT,
    "unsubscribed address": None,
}


def sendgrid_events(body: object) -> Iterator[ProviderEvent]:
    """Read a batch of SendGrid's event webhook; elements that make no sense are passed over.

    Raises:
        Malformed: the body is no array.
    """
    if not isinstance(body, list):
        raise Malformed("the body is no array of events")
    for item in _list(body):
        event = _dict(item)
        event_id = _text(event.get("sg_event_id"))[:ID_CHARACTERS]
        found = _sendgrid_kind(event)
        if event_id and found is not None:
            kind, status = found
            yield ProviderEvent(
                event_id=event_id,
                kind=kind,
                status=status,
                text=json.dumps(event).encode(),
                message_ids=_ids(event.get("smtp-id")),
            )


def _sendgrid_kind(event: Mapping[str, Any]) -> tuple[Kind | None, str | None] | None:
    reason = _text(event.get("reason"))
    match _text(event.get("event")):
        case "bounce":
            is_bounce = _text(event.get("type")) != "blocked"
            return _refusal(_text(event.get("status")), reason, is_permanent=is_bounce)
        case "dropped":
            return _SENDGRID_DROPS.get(reason.lower(), Kind.OTHER), None
        case "deferred":
            return Kind.DELAY, status_in(_text(event.get("status")))
        case "spamreport":
            return Kind.COMPLAINT, None
        case "unsubscribe" | "group_unsubscribe":
            return None, None
    return None


# -- Mailgun -----------------------------------------------------------------------------------------


def mailgun_event(body: object) -> ProviderEvent | None:
    """Read the ``event-data`` of Mailgun's webhook."""
    event = _dict(_dict(body).get("event-data"))
    event_id = _text(event.get("id"))[:ID_CHARACTERS]
    found = _mailgun_kind(event)
    if not event_id or found is None:
        return None
    kind, status = found
    fields = _dict(_dict(event.get("message")).get("headers"))
    return ProviderEvent(
        event_id=event_id,
        kind=kind,
        status=status,
        text=json.dumps(event).encode(),
        message_ids=_ids(fields.get("message-id")),
    )


def _mailgun_kind(event: Mapping[str, Any]) -> tuple[Kind | None, str | None] | None:
    match _text(event.get("event")):
        case "failed" if _text(event.get("severity")) == "permanent":
            return _mailgun_failure(event)
        case "failed":
            return Kind.DELAY, None
        case "complained":
            return Kind.COMPLAINT, None
        case "unsubscribed":
            return None, None
    return None


def _mailgun_failure(event: Mapping[str, Any]) -> tuple[Kind | None, str | None]:
    reason = _text(event.get("reason"))
    if reason == "suppress-unsubscribe":
        return None, None
    if reason == "suppress-complaint":
        return Kind.COMPLAINT, None
    status = _dict(event.get("delivery-status"))
    words = f"{_text(status.get('message'))} {_text(status.get('description'))}"
    is_bounce = reason in {"bounce", "suppress-bounce"}
    return _refusal(_text(status.get("enhanced-code")), words, is_permanent=is_bounce)


# -- Postmark ----------------------------------------------------------------------------------------

_POSTMARK_KINDS: Mapping[str, Kind] = {
    "HardBounce": Kind.HARD,
    "BadEmailAddress": Kind.HARD,
    "SoftBounce": Kind.SOFT,
    "DnsError": Kind.SOFT,
    "Undeliverable": Kind.SOFT,
    "Transient": Kind.DELAY,
    "SpamComplaint": Kind.COMPLAINT,
    "AutoResponder": Kind.AUTO_REPLY,
    "Blocked": Kind.POLICY,
    "SpamNotification": Kind.POLICY,
    "VirusNotification": Kind.POLICY,
    "DMARCPolicy": Kind.POLICY,
}


def postmark_event(body: object) -> ProviderEvent | None:
    """Read Postmark's webhook of bounces, complaints and changes of subscriptions."""
    event = _dict(body)
    found = _postmark_kind(event)
    if found is None:
        return None
    kind, status = found
    record = _text(event.get("RecordType"))
    named = event.get("ID") or f"{_text(event.get('MessageID'))} {_text(event.get('ChangedAt'))}"
    return ProviderEvent(
        event_id=f"{record} {named}"[:ID_CHARACTERS],
        kind=kind,
        status=status,
        text=json.dumps(_dict(event.get("Metadata"))).encode(),
    )


def _postmark_kind(event: Mapping[str, Any]) -> tuple[Kind | None, str | None] | None:
    match _text(event.get("RecordType")):
        case "SpamComplaint":
            return Kind.COMPLAINT, None
        case "SubscriptionChange" if event.get("SuppressSending") is True:
            reason = _text(event.get("SuppressionReason"))
            return {"HardBounce": Kind.HARD, "SpamComplaint": Kind.COMPLAINT}.get(reason), None
        case "Bounce":
            kind = _POSTMARK_KINDS.get(_text(event.get("Type")), Kind.OTHER)
            details = f"{_text(event.get('Details'))} {_text(event.get('Description'))}"
            if kind is Kind.HARD:
                return _refusal("", details, is_permanent=True)
            return kind, status_in(details)
    return None
