"""The door between deliveries and what they say: whoever queues a kind of mail supplies its composer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any, NamedTuple, Protocol

from sqlalchemy.orm import Session

from service.mail.letters import Letter


class Claimed(NamedTuple):
    """A delivery a worker holds by lease."""

    id: int
    nonce: int
    kind: str
    subscriber_id: int | None
    digest_id: int | None
    attempt: int  # 1 for the first
    created_at: datetime
    expires_at: datetime
    parameters: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Refusal:
    """The delivery must not go out: consent gone, address suppressed, nothing to say. It is cancelled."""

    reason: str  # a word, counted: unsubscribed, suppressed, erased, paused, expired


class Composer(Protocol):
    """Looks up, inside the claim's own transaction, what each delivery says and whether it may still go."""

    def compose(
        self, session: Session, deliveries: Sequence[Claimed], now: datetime
    ) -> Mapping[int, Letter | Refusal]:
        """Return a letter or a refusal for the id of every delivery given."""
