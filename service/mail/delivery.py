"""A delivery's life as plain values: its states, the edges between them, and when to try again.

The rules are those of docs/architecture.md (states) and RFC 5321, 4.5.4.1 (retries). Nothing here touches the
world; service/mail/claiming.py carries the edges out.
"""

import re
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple


class Status(StrEnum):
    """Where a delivery stands."""

    QUEUED = "queued"  # waits for a worker
    CLAIMED = "claimed"  # held by a worker; nothing has been said to a relay
    SENDING = "sending"  # committed before the first byte of the message leaves
    SENT = "sent"  # the relay took it; not the same as delivered
    DEFERRED = "deferred"  # refused for now; waits for next_at
    FAILED = "failed"  # refused for good, expired, or impossible to make
    UNKNOWN = "unknown"  # the answer after the message was lost; never sent again by itself
    CANCELLED = "cancelled"  # stopped before it was sent


WAITING = (Status.QUEUED, Status.DEFERRED)
CANCELLABLE = (Status.QUEUED, Status.DEFERRED, Status.CLAIMED)

EDGES: dict[Status, frozenset[Status]] = {
    # Failed straight from waiting: its time was up (sweeping).
    Status.QUEUED: frozenset({Status.CLAIMED, Status.CANCELLED, Status.FAILED}),
    Status.DEFERRED: frozenset({Status.CLAIMED, Status.CANCELLED, Status.FAILED}),
    # Back to queued: the lease lapsed, the worker stops, or the relay is away. Failed: it can't be rendered.
    Status.CLAIMED: frozenset({Status.SENDING, Status.QUEUED, Status.CANCELLED, Status.FAILED}),
    # Back to queued only where no byte of the message was sent.
    Status.SENDING: frozenset({Status.SENT, Status.DEFERRED, Status.FAILED, Status.UNKNOWN, Status.QUEUED}),
    # Evidence that comes late closes an unknown; nothing brings it back to a queue.
    Status.UNKNOWN: frozenset({Status.SENT, Status.FAILED}),
    Status.SENT: frozenset(),
    Status.FAILED: frozenset(),
    Status.CANCELLED: frozenset(),
}


def sources_of(target: Status) -> tuple[Status, ...]:
    """Return the states from which ``target`` can be reached: the guard of its compare-and-set."""
    return tuple(source for source, targets in EDGES.items() if target in targets)


class Verdict(StrEnum):
    """How one attempt at a relay ended."""

    SENT = "sent"  # 250 after the dot
    DEFERRED = "deferred"  # 4xx, or the connection was lost before the message
    REFUSED = "refused"  # 5xx
    UNKNOWN = "unknown"  # the message went out and no answer came back
    UNREACHABLE = "unreachable"  # no relay to talk to: nothing was tried
    HELD = "held"  # a limit of ours is reached: nothing was tried


class Stage(StrEnum):
    """The command an attempt had reached."""

    CONNECT = "connect"
    MAIL = "mail"
    RCPT = "rcpt"
    DATA = "data"  # before 354
    DOT = "dot"  # after the message


class Outcome(NamedTuple):
    """The end of one attempt, with the relay's reply made harmless for storing."""

    verdict: Verdict
    stage: Stage
    code: int | None = None
    enhanced: str | None = None  # RFC 3463, such as "5.1.1"
    text: str | None = None

    @property
    def is_lost_before_message(self) -> bool:
        """Whether the relay went away, or asked to be left alone, before it had the message."""
        before = self.verdict is Verdict.DEFERRED and self.stage is not Stage.DOT
        return before and self.code in {None, SERVICE_CLOSING}

    @property
    def may_go_elsewhere(self) -> bool:
        """Whether another relay may be given the message at once.

        Only where this one certainly did not take it, for a reason that lies in the relay. A limit of the
        recipient's own servers (4.7.x) would be broken a second time.
        """
        if self.verdict is Verdict.UNREACHABLE:
            return True
        if self.verdict is not Verdict.DEFERRED or self.stage is Stage.DOT or self.is_throttling:
            return False
        return self.is_lost_before_message or self.stage in {Stage.CONNECT, Stage.MAIL}

    @property
    def is_throttling(self) -> bool:
        """Whether the answer asks for less mail to the recipient's servers: 4.7.x, or 421 to a whole message.

        A greylist means this one message only.
        """
        if self.verdict is not Verdict.DEFERRED or self.stage in {Stage.CONNECT, Stage.MAIL}:
            return False
        if _GREYLISTED.search(self.text or ""):
            return False
        if self.code == SERVICE_CLOSING and self.stage is Stage.DOT:
            return True
        return (self.enhanced or "").startswith("4.7.")

    @property
    def is_against_policy(self) -> bool:
        """Whether the refusal is about the sender or the mail (5.7.x), not about the recipient."""
        return self.verdict is Verdict.REFUSED and (self.enhanced or "").startswith("5.7.")


SERVICE_CLOSING = 421
_GREYLISTED = re.compile(r"gr[ea]y-?\s?list", re.IGNORECASE)


class Step(NamedTuple):
    """The edge an outcome leads along."""

    status: Status
    reason: str | None = None  # a word, counted
    next_at: datetime | None = None


IS_SENT = Step(Status.SENT)
MAXIMUM_ATTEMPTS = 20
LONGEST_WAIT = timedelta(days=4)
RELAY_BACKOFF = timedelta(minutes=1)
UNREACHABLE = "relay_unreachable"
HELD_BACK = "held_back"  # by a limit of ours; costs no attempt


def retry_wait(attempt: int, jitter: float) -> timedelta:
    """Return how long to wait after attempt number ``attempt`` (1 for the first); ``jitter`` in 0..1.

    Two tries in the first hour, never less than half an hour apart, then one every two to three hours
    (RFC 5321, 4.5.4.1).
    """
    if attempt <= 1:
        return timedelta(minutes=30) + jitter * timedelta(minutes=15)
    return timedelta(hours=2) + jitter * timedelta(hours=1)


def step_after(
    outcome: Outcome,
    *,
    attempt: int,
    created_at: datetime,
    expires_at: datetime,
    now: datetime,
    jitter: float,
) -> Step:
    """Return where a delivery in ``sending`` goes after ``outcome`` of its attempt number ``attempt``."""
    match outcome.verdict:
        case Verdict.SENT:
            return IS_SENT
        case Verdict.UNKNOWN:
            return Step(Status.UNKNOWN, "no_reply")
        case Verdict.REFUSED:
            return Step(Status.FAILED, refusal_reason(outcome))
        case Verdict.UNREACHABLE | Verdict.HELD:
            reason = UNREACHABLE if outcome.verdict is Verdict.UNREACHABLE else HELD_BACK
            return Step(Status.QUEUED, reason, now + RELAY_BACKOFF * (1 + jitter))
    next_at = now + retry_wait(attempt, jitter)
    if attempt < MAXIMUM_ATTEMPTS and next_at < min(expires_at, created_at + LONGEST_WAIT):
        return Step(Status.DEFERRED, refusal_reason(outcome), next_at)
    return Step(Status.FAILED, "attempts" if attempt >= MAXIMUM_ATTEMPTS else "expired")


# The second number of an enhanced code (RFC 3463, 3).
SUBJECT_WORDS = {
    "1": "recipient",
    "2": "mailbox",
    "3": "system",
    "4": "network",
    "5": "protocol",
    "6": "content",
    "7": "policy",
}


def refusal_reason(outcome: Outcome) -> str:
    """Name the kind of a refusal in a word, from its enhanced code where there is one (RFC 3463)."""
    if outcome.code is None:
        return "connection"
    if outcome.enhanced is None:
        return "recipient" if outcome.stage is Stage.RCPT and outcome.code in {550, 551, 553} else "refused"
    if outcome.enhanced.endswith(".2.2"):
        return "mailbox_full"
    return SUBJECT_WORDS.get(outcome.enhanced.split(".")[1], "refused")


# Dead beyond doubt: nobody there, moved away, accepts no mail, disabled (docs: enhanced codes and actions).
DEAD_AT_ONCE = frozenset({"5.1.1", "5.1.6", "5.1.10", "5.2.1"})
DEAD_WHEN_REPEATED = frozenset({"5.1.2"})


def tells_of_dead_address(outcome: Outcome) -> bool | None:
    """Say whether a refusal shows that the recipient's address is dead: yes, no, or None for "if repeated".

    Only an answer to RCPT speaks of the recipient; a refusal by policy (5.7.x) never does.
    """
    if outcome.verdict is not Verdict.REFUSED or outcome.stage is not Stage.RCPT:
        return False
    if outcome.enhanced is None:
        return None if outcome.code == 550 else False
    if outcome.enhanced in DEAD_AT_ONCE:
        return True
    return None if outcome.enhanced in DEAD_WHEN_REPEATED else False
