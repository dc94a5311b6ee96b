"""The preferences page: what, when, how much, and a rest. Opened by the link in every digest.

The link holds until the person leaves; it shows no address, so that a forwarded digest gives none away.
"""

from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy.orm import Session

from service.keys import Keyring, Purpose, token_hash
from service.subscribers import consent, storing
from service.subscribers.consent import Kind, Origin
from service.subscribers.links import preferences_token
from service.subscribers.preferences import InvalidPreferences, Preferences
from service.subscribers.status import Status
from service.subscribers.tables import SubscriberRow

__all__ = ["change", "load", "note", "pause", "preferences_token", "resume"]

LONGEST_PAUSE = timedelta(days=366)
_PLAIN_FIELDS = ("timezone", "send_hour", "weekdays", "paper_count", "explores")


def load(session: Session, keyring: Keyring, token: str) -> tuple[SubscriberRow, Preferences] | None:
    """Return the active subscriber a preferences link names and what is chosen; None if the link is void."""
    subscriber = _find(session, keyring, token, lock=False)
    return None if subscriber is None else (subscriber, storing.load_preferences(session, subscriber))


def change(
    session: Session, keyring: Keyring, token: str, preferences: Preferences, *, now: datetime, origin: Origin
) -> bool:
    """Store new preferences; False if the link is void.

    A digest already planned stays as it is: one outcome for each date, whatever is changed around its hour.
    """
    subscriber = _find(session, keyring, token, lock=True)
    if subscriber is None:
        return False
    before = storing.load_preferences(session, subscriber)
    if changes := _differences(before, preferences):
        storing.replace_preferences(session, subscriber.id, preferences, now)
        note(session, keyring, Kind.CHANGED, subscriber, token=token, now=now, origin=origin, details=changes)
    return True


def pause(
    session: Session, keyring: Keyring, token: str, until: date, *, now: datetime, origin: Origin
) -> bool:
    """Send no digest before the local date ``until``; False if the link is void.

    Raises:
        InvalidPreferences: ``until`` (its field) lies in the past or more than a year ahead.
    """
    subscriber = _find(session, keyring, token, lock=True)
    if subscriber is None:
        return False
    zone = ZoneInfo(subscriber.timezone)
    today = now.astimezone(zone).date()
    if not today < until <= today + LONGEST_PAUSE:
        raise InvalidPreferences({"until": "Please choose a day after today, within a year."})
    subscriber.paused_until = datetime.combine(until, time(), tzinfo=zone)
    subscriber.updated_at = now
    details = {"until": until.isoformat()}
    note(session, keyring, Kind.PAUSED, subscriber, token=token, now=now, origin=origin, details=details)
    return True


def resume(session: Session, keyring: Keyring, token: str, now: datetime, origin: Origin) -> bool:
    """End a pause; False if the link is void."""
    subscriber = _find(session, keyring, token, lock=True)
    if subscriber is None:
        return False
    if subscriber.paused_until is not None:
        subscriber.paused_until = None
        subscriber.updated_at = now
        note(session, keyring, Kind.RESUMED, subscriber, token=token, now=now, origin=origin, details={})
    return True


def _find(session: Session, keyring: Keyring, token: str, *, lock: bool) -> SubscriberRow | None:
    subscriber = storing.find_by_public_id(session, keyring.identifier(token), lock=lock)
    if subscriber is None or subscriber.status != Status.ACTIVE:
        return None
    genuine = keyring.verify(Purpose.PREFERENCES, token, subscriber.token_version) is not None
    return subscriber if genuine else None


def _differences(before: Preferences, after: Preferences) -> dict[str, Any]:
    """Say what changed: old and new of plain fields, what was added and removed of lists."""
    changes: dict[str, Any] = {
        field: [getattr(before, field), getattr(after, field)]
        for field in _PLAIN_FIELDS
        if getattr(before, field) != getattr(after, field)
    }
    if before.interests != after.interests:
        old, new = {each.name for each in before.interests}, {each.name for each in after.interests}
        changes["interests"] = {"added": sorted(new - old), "removed": sorted(old - new)}
    if before.mutes != after.mutes:
        old, new = set(before.mutes), set(after.mutes)
        changes["mutes"] = {"added": sorted(new - old), "removed": sorted(old - new)}
    return changes


def note(
    session: Session,
    keyring: Keyring,
    kind: Kind,
    subscriber: SubscriberRow,
    *,
    token: str,
    now: datetime,
    origin: Origin,
    details: dict[str, Any],
) -> None:
    """Write in the log what a subscriber has changed by their own link."""
    consent.record(
        session,
        kind,
        address_key=keyring.address_key(subscriber.address),
        subscriber_id=subscriber.id,
        now=now,
        origin=origin,
        token_hash=token_hash(token),
        details=details,
    )
