"""The door to the relay: a courier turns letters into parcels and carries them.

The real one is :class:`RelayCourier` over the pool of service/mail/transport.py; :class:`MemoryRelay` keeps
what it is given, for tests and dry runs.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from service.config import Settings
from service.endpoints import SmtpEndpoint
from service.keys import Keyring
from service.mail.assembly import AssemblyPress
from service.mail.composing import Claimed
from service.mail.delivery import Outcome, Stage, Verdict
from service.mail.letters import Letter
from service.mail.message import Parcel, Press, sender_from
from service.mail.pool import RelayUnavailable
from service.mail.relays import open_relays

__all__ = ["Courier", "MemoryRelay", "Relay", "RelayCourier", "RelayUnavailable", "open_courier"]

# Half of it is on the wire while the other half is made and recorded. A larger window costs fewer commits and
# keeps more connections busy; it is also what a killed worker may leave unknown.
WINDOW = 64


class Courier(Protocol):
    """Makes parcels and takes them to a relay. The async part lives inside one event loop at a time."""

    window: int  # parcels committed as "sending" together: what a killed worker may leave unknown

    def prepare(self, delivery: Claimed, letter: Letter, at: datetime) -> Parcel:
        """Render, build and sign; raises whatever a letter that can't be rendered raises."""

    async def ready(self) -> None:
        """Make sure a relay can be talked to.

        Raises:
            RelayUnavailable: it can't; the message says why.
        """

    def admit(self, recipients: Sequence[str]) -> Sequence[float | None]:
        """Say for each recipient whether a message may go now (None), or in how many seconds to ask again."""

    def deliver(self, parcel: Parcel) -> Awaitable[Outcome]:
        """Hand one parcel to the relay. May be called many times at once; never raises for relay trouble."""

    async def close(self) -> None:
        """Say goodbye to the relay; the next loop starts anew."""


class Relay(Protocol):
    """The carrying half of a courier."""

    async def ready(self) -> None: ...

    def admit(self, recipients: Sequence[str]) -> Sequence[float | None]: ...

    def deliver(self, parcel: Parcel) -> Awaitable[Outcome]: ...

    async def close(self) -> None: ...


@dataclass(slots=True)
class RelayCourier:
    """A press that makes the parcels and a relay that takes them."""

    press: Press
    relay: Relay
    window: int = WINDOW

    def prepare(self, delivery: Claimed, letter: Letter, at: datetime) -> Parcel:
        """Render, build and sign."""
        return self.press.make(letter, nonce=delivery.nonce, at=at)

    async def ready(self) -> None:
        """Make sure the relay can be talked to."""
        await self.relay.ready()

    def admit(self, recipients: Sequence[str]) -> Sequence[float | None]:
        """Ask the relay's limits."""
        return self.relay.admit(recipients)

    def deliver(self, parcel: Parcel) -> Awaitable[Outcome]:
        """Hand the parcel to the relay."""
        return self.relay.deliver(parcel)

    async def close(self) -> None:
        """Close the relay's connections."""
        await self.relay.close()


def _accept(_parcel: Parcel) -> Outcome:
    return Outcome(verdict=Verdict.SENT, stage=Stage.DOT, code=250, enhanced="2.0.0", text="kept in memory")


@dataclass(slots=True)
class MemoryRelay:
    """Keeps every parcel it accepts; ``answer`` says how each attempt ends."""

    answer: Callable[[Parcel], Outcome] = _accept
    unavailable: str | None = None
    parcels: list[Parcel] = field(default_factory=list)

    async def ready(self) -> None:
        """Raise when made unavailable."""
        if self.unavailable is not None:
            raise RelayUnavailable(self.unavailable)

    def admit(self, recipients: Sequence[str]) -> Sequence[float | None]:
        """Let every message go."""
        return [None] * len(recipients)

    async def deliver(self, parcel: Parcel) -> Outcome:
        """Keep the parcel if the answer is that it was sent, or may have been."""
        outcome = self.answer(parcel)
        if outcome.verdict in {Verdict.SENT, Verdict.UNKNOWN}:
            self.parcels.append(parcel)
        return outcome

    async def close(self) -> None:
        """Do nothing."""


def open_courier(
    settings: Settings,
    keyring: Keyring,
    *,
    endpoint: SmtpEndpoint | None = None,
    relay: Relay | None = None,
) -> RelayCourier:
    """Make the courier of these settings.

    ``endpoint`` is where mail goes when the settings name no relay (the local mailbox).

    Raises:
        ValueError: no relay is known, or the DKIM key can't be used.
    """
    carrier = relay or open_relays(settings, endpoint=endpoint)
    return RelayCourier(press=AssemblyPress(sender_from(settings), keyring), relay=carrier)
