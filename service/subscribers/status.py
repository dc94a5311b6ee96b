"""The states of a subscription and every step between them. Pure: tables and mail live elsewhere.

An erased subscriber has no row and so no status. Nothing but the person's own confirmation leads to active.
"""

from enum import StrEnum


class Status(StrEnum):
    """Where a subscription stands."""

    PENDING = "pending"  # asked for, not confirmed: gets the confirmation mail only
    ACTIVE = "active"  # confirmed from the mailbox: gets digests
    UNSUBSCRIBED = "unsubscribed"  # left; may come back by a new confirmation
    BOUNCED = "bounced"  # the mailbox refuses mail; may come back by a new confirmation
    COMPLAINED = "complained"  # called our mail spam: no mail of any kind, no way back by a form


class Event(StrEnum):
    """What can happen to a subscription."""

    CONFIRM = "confirm"
    LEAVE = "leave"
    BOUNCE = "bounce"
    COMPLAIN = "complain"


TRANSITIONS: dict[tuple[Status, Event], Status] = {
    (Status.PENDING, Event.CONFIRM): Status.ACTIVE,
    (Status.PENDING, Event.LEAVE): Status.UNSUBSCRIBED,
    (Status.PENDING, Event.BOUNCE): Status.BOUNCED,
    (Status.PENDING, Event.COMPLAIN): Status.COMPLAINED,
    (Status.ACTIVE, Event.CONFIRM): Status.ACTIVE,
    (Status.ACTIVE, Event.LEAVE): Status.UNSUBSCRIBED,
    (Status.ACTIVE, Event.BOUNCE): Status.BOUNCED,
    (Status.ACTIVE, Event.COMPLAIN): Status.COMPLAINED,
    (Status.UNSUBSCRIBED, Event.CONFIRM): Status.ACTIVE,
    (Status.UNSUBSCRIBED, Event.LEAVE): Status.UNSUBSCRIBED,
    # A late report about mail sent before: the person has left, and that weighs more than a bounce.
    (Status.UNSUBSCRIBED, Event.BOUNCE): Status.UNSUBSCRIBED,
    (Status.UNSUBSCRIBED, Event.COMPLAIN): Status.COMPLAINED,
    (Status.BOUNCED, Event.CONFIRM): Status.ACTIVE,
    (Status.BOUNCED, Event.LEAVE): Status.UNSUBSCRIBED,
    (Status.BOUNCED, Event.BOUNCE): Status.BOUNCED,
    (Status.BOUNCED, Event.COMPLAIN): Status.COMPLAINED,
    (Status.COMPLAINED, Event.LEAVE): Status.COMPLAINED,
    (Status.COMPLAINED, Event.BOUNCE): Status.COMPLAINED,
    (Status.COMPLAINED, Event.COMPLAIN): Status.COMPLAINED,
}


def step(status: Status, event: Event) -> Status | None:
    """Return the status after ``event``, which may be the same; None where the event is refused."""
    return TRANSITIONS.get((status, event))
