"""Every step between the states of a subscription, and what no order of steps can bring about."""

from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from service.subscribers.status import TRANSITIONS, Event, Status, step

P, A, U, B, C = Status.PENDING, Status.ACTIVE, Status.UNSUBSCRIBED, Status.BOUNCED, Status.COMPLAINED


def test_every_step_is_as_written() -> None:
    table = {
        P: {Event.CONFIRM: A, Event.LEAVE: U, Event.BOUNCE: B, Event.COMPLAIN: C},
        A: {Event.CONFIRM: A, Event.LEAVE: U, Event.BOUNCE: B, Event.COMPLAIN: C},
        U: {Event.CONFIRM: A, Event.LEAVE: U, Event.BOUNCE: U, Event.COMPLAIN: C},
        B: {Event.CONFIRM: A, Event.LEAVE: U, Event.BOUNCE: B, Event.COMPLAIN: C},
        C: {Event.CONFIRM: None, Event.LEAVE: C, Event.BOUNCE: C, Event.COMPLAIN: C},
    }

    assert table == {status: {event: step(status, event) for event in Event} for status in Status}
    assert len(Status) * len(Event) - 1 == len(TRANSITIONS)


class Subscription(RuleBasedStateMachine):
    """Any order of events; ``agreed`` is what the person would say."""

    def __init__(self) -> None:
        super().__init__()
        self.status = Status.PENDING
        self.agreed = False
        self.complained = False

    def _take(self, event: Event) -> None:
        self.status = step(self.status, event) or self.status

    @rule()
    def confirm(self) -> None:
        self._take(Event.CONFIRM)
        self.agreed = not self.complained

    @rule()
    def leave(self) -> None:
        self._take(Event.LEAVE)
        self.agreed = False

    @rule()
    def bounce(self) -> None:
        self._take(Event.BOUNCE)

    @precondition(lambda self: not self.complained)
    @rule()
    def complain(self) -> None:
        self._take(Event.COMPLAIN)
        self.agreed, self.complained = False, True

    @invariant()
    def nobody_is_active_who_has_not_agreed(self) -> None:
        assert self.agreed or self.status is not Status.ACTIVE

    @invariant()
    def a_complaint_is_final(self) -> None:
        assert self.complained == (self.status is Status.COMPLAINED)


TestSubscription = Subscription.TestCase
TestSubscription.settings = settings(max_examples=60, stateful_step_count=20, deadline=None)
