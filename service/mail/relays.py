"""Several relays as one: mail is shared out by weight, and goes to another where one certainly took nothing.

Certain is only what happened before the dot that ends a message: no connection, a connection lost or closed
with 421 before it, or "not now" to MAIL, which knows no recipient yet. After the dot nothing goes elsewhere:
a lost answer is unknown. What is said of a recipient the next relay would hear as well.
"""

import asyncio
import random
import ssl
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

import structlog

from service.config import Settings
from service.endpoints import SmtpEndpoint
from service.mail.delivery import Outcome, Stage, Verdict
from service.mail.message import Parcel
from service.mail.pool import RelayUnavailable
from service.mail.throttle import OpenGate, Throttle, open_throttle
from service.mail.transport import Handover, SmtpRelay, open_relay

logger = structlog.get_logger()

# How long a relay that failed is left alone: doubled each time it fails again, up to the longest.
SHORTEST_REST = 30.0
LONGEST_REST = 600.0
NO_ROOM = Outcome(verdict=Verdict.HELD, stage=Stage.CONNECT, text="no relay has room left for now")


@dataclass(slots=True, eq=False)
class Member:
    """One relay, its share of the mail, and how it has been of late."""

    relay: SmtpRelay
    weight: int = 1  # 0: only where no other can be used
    turn: int = 0
    failures: int = 0  # in a row
    rests_until: float = 0.0

    @property
    def name(self) -> str:
        """Host and port."""
        return self.relay.endpoint.name


@dataclass(slots=True, eq=False)
class _Journey:
    """A parcel, its outcome to come, and the relays that have had it, the present one last."""

    parcel: Parcel
    handover: Handover
    tried: list[Member] = field(default_factory=list)


class Relays:
    """A carrier (service/mail/courier.py) over one relay or several, with the limits they share."""

    def __init__(
        self,
        members: Sequence[Member],
        *,
        throttle: Throttle | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        """Take the relays; no connection is opened yet."""
        self.members = tuple(members)
        self.throttle = throttle or OpenGate()
        self._monotonic = monotonic
        self._jitter = jitter
        self._learn = partial(self.throttle.learn, self.members[0].name)  # of the only one

    async def ready(self) -> None:
        """Make sure one of the relays can be talked to; the ones that failed lately are asked last.

        Raises:
            RelayUnavailable: none can.
        """
        problems = []
        for member in sorted(self.members, key=self._reluctance):
            try:
                await member.relay.ready()
            except RelayUnavailable as unavailable:
                self._note_failure(member, str(unavailable))
                problems.append(str(unavailable))
            else:
                self._note_success(member)
                return
        raise RelayUnavailable("; ".join(problems))

    def admit(self, recipients: Sequence[str]) -> Sequence[float | None]:
        """Say for each recipient whether a message may go now (None), or in how many seconds to ask again."""
        usable = self._usable(())
        asked = [member for member in usable if member.weight] or usable
        return self.throttle.admit(recipients, [(member.name, member.weight or 1) for member in asked])

    def deliver(self, parcel: Parcel) -> Awaitable[Outcome]:
        """Hand over one parcel; trouble with the relays is an outcome, never an exception."""
        if len(self.members) > 1:
            journey = _Journey(parcel, Handover(loop=asyncio.get_running_loop()))
            self._pass_on(journey, NO_ROOM)
            return journey.handover
        only = self.members[0].relay
        self.throttle.use(only.endpoint.name)
        return only.deliver(parcel, self._learn)

    async def close(self) -> None:
        """Say goodbye to all; the next event loop starts anew."""
        try:
            for member in self.members:
                await member.relay.close()
        finally:
            self.throttle.close()

    # -- choosing ------------------------------------------------------------------------------------

    def _pass_on(self, journey: _Journey, outcome: Outcome) -> None:
        """Give a parcel to the relay whose turn it is; where none is left it ends with ``outcome``."""
        member = self._choose(journey.tried)
        if member is None:
            journey.handover.set_result(outcome)
            return
        journey.tried.append(member)
        member.relay.deliver(journey.parcel, partial(self._hear, journey), journey.handover)

    def _hear(self, journey: _Journey, recipient: str, outcome: Outcome) -> None:
        """Take in how a relay fared with a parcel; where that is not the end the next one has it."""
        member = journey.tried[-1]
        self._note(member, outcome)
        self.throttle.learn(member.name, recipient, outcome)
        if not journey.handover.done():
            self._pass_on(journey, outcome)

    def _choose(self, tried: Sequence[Member]) -> Member | None:
        """Return the relay whose turn it is, by smooth weighted round robin; None if none is left to try.

        A relay that rests is only tried where all do.
        """
        usable = self._usable(tried)
        if not usable and not tried:
            usable = sorted(self.members, key=self._reluctance)[:1]
        with_room = [m for m in usable if self.throttle.has_room(m.name, may_ask=bool(tried))]
        weighted = [member for member in with_room if member.weight] or with_room
        if not weighted:
            return None
        for member in weighted:
            member.turn += member.weight
        chosen = max(weighted, key=lambda member: member.turn)
        chosen.turn -= sum(member.weight for member in weighted)
        self.throttle.use(chosen.name)
        return chosen

    def _usable(self, tried: Sequence[Member]) -> list[Member]:
        now = self._monotonic()
        return [member for member in self.members if member not in tried and member.rests_until <= now]

    def _reluctance(self, member: Member) -> tuple[float, bool]:
        return max(0.0, member.rests_until - self._monotonic()), not member.weight

    # -- how they have been --------------------------------------------------------------------------

    def _note(self, member: Member, outcome: Outcome) -> None:
        if outcome.verdict is Verdict.UNREACHABLE or outcome.is_lost_before_message:
            self._note_failure(member, outcome.text or "no connection")
        else:
            self._note_success(member)

    def _note_failure(self, member: Member, problem: str) -> None:
        now = self._monotonic()
        if member.rests_until > now:
            return  # what was under way at the same moment is no new failure
        member.failures += 1
        rest = min(LONGEST_REST, SHORTEST_REST * 2 ** min(member.failures - 1, 10))
        member.rests_until = now + rest * (0.75 + 0.5 * self._jitter())
        if len(self.members) > 1:
            logger.warning("relay_rests", relay=member.name, seconds=round(rest), problem=problem)

    def _note_success(self, member: Member) -> None:
        member.failures, member.rests_until = 0, 0.0


def open_relays(
    settings: Settings,
    *,
    endpoint: SmtpEndpoint | None = None,
    tls_context: ssl.SSLContext | None = None,
) -> Relays:
    """Make the relays of the settings; ``endpoint`` is used where they name none (the local mailbox).

    Raises:
        ValueError: neither names a relay.
    """
    endpoints = settings.relays or ((endpoint,) if endpoint is not None else (None,))
    throttle = open_throttle(settings, [one for one in endpoints if one is not None])
    members = []
    for one in endpoints:
        berths = throttle.berths(one) if one is not None else None
        relay = open_relay(settings, endpoint=one, tls_context=tls_context, berths=berths)
        members.append(Member(relay, weight=relay.endpoint.weight))
    return Relays(members, throttle=throttle)
