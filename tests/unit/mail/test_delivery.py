"""A delivery's states and the steps between them (trust 45 to 47, 49, 58, 59, 103, 11.1, 11.2)."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.mail.delivery import (
    EDGES,
    MAXIMUM_ATTEMPTS,
    WAITING,
    Outcome,
    Stage,
    Status,
    Step,
    Verdict,
    refusal_reason,
    retry_wait,
    sources_of,
    step_after,
    tells_of_dead_address,
)

NOW = datetime(2026, 2, 13, 8, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


def an_outcome(
    verdict: Verdict, stage: Stage = Stage.DOT, code: int | None = None, enhanced: str | None = None
):
    return Outcome(verdict=verdict, stage=stage, code=code, enhanced=enhanced)


def a_step(outcome: Outcome, attempt: int = 1, expires_in: timedelta = DAY, jitter: float = 0.5) -> Step:
    return step_after(
        outcome, attempt=attempt, created_at=NOW, expires_at=NOW + expires_in, now=NOW, jitter=jitter
    )


@pytest.mark.trust(103)
def test_trust_103_every_state_has_its_edges_and_the_ends_have_none() -> None:
    assert set(EDGES) == set(Status)
    assert [status for status, targets in EDGES.items() if not targets] == [
        Status.SENT,
        Status.FAILED,
        Status.CANCELLED,
    ]


@pytest.mark.trust(46)
def test_trust_46_an_unknown_never_goes_back_to_a_queue() -> None:
    assert not EDGES[Status.UNKNOWN] & {*WAITING, Status.CLAIMED, Status.SENDING}


def test_only_what_is_claimed_can_be_sent_and_only_what_is_not_sending_cancelled() -> None:
    assert sources_of(Status.SENDING) == (Status.CLAIMED,)
    assert set(sources_of(Status.CANCELLED)) == {Status.QUEUED, Status.DEFERRED, Status.CLAIMED}


@pytest.mark.trust(45, 47)
@pytest.mark.parametrize(
    ("verdict", "status"),
    [
        (Verdict.SENT, Status.SENT),
        (Verdict.UNKNOWN, Status.UNKNOWN),
        (Verdict.REFUSED, Status.FAILED),
        (Verdict.UNREACHABLE, Status.QUEUED),
        (Verdict.DEFERRED, Status.DEFERRED),
    ],
)
def test_trust_11_1_each_verdict_leads_along_its_edge(verdict: Verdict, status: Status) -> None:
    step = a_step(an_outcome(verdict, code=450))
    assert step.status is status
    assert status in EDGES[Status.SENDING]


@pytest.mark.trust(49)
@given(st.integers(1, 40), st.floats(0, 1))
def test_trust_49_tries_lie_half_an_hour_apart_or_more_and_two_fall_into_the_first_hour(
    attempt: int, jitter: float
) -> None:
    wait = retry_wait(attempt, jitter)
    assert wait >= 30 * MINUTE
    if attempt == 1:
        assert wait <= HOUR
    else:
        assert 2 * HOUR <= wait <= 3 * HOUR


@pytest.mark.trust(49)
@pytest.mark.parametrize("expires_in", [20 * MINUTE, 30 * MINUTE])
def test_trust_49_no_try_is_planned_beyond_the_deliverys_own_end(expires_in: timedelta) -> None:
    outcome = an_outcome(Verdict.DEFERRED, code=451)
    assert a_step(outcome, expires_in=expires_in, jitter=0.0) == Step(Status.FAILED, "expired")


@pytest.mark.trust(49)
def test_trust_49_nothing_is_tried_for_longer_than_four_days() -> None:
    outcome = an_outcome(Verdict.DEFERRED, code=451)
    step = step_after(outcome, attempt=9, created_at=NOW - 4 * DAY, expires_at=NOW + DAY, now=NOW, jitter=0.0)
    assert step.status is Status.FAILED


@pytest.mark.trust(108)
def test_trust_108_attempts_have_an_end() -> None:
    assert a_step(an_outcome(Verdict.DEFERRED, code=451), attempt=MAXIMUM_ATTEMPTS).reason == "attempts"


@pytest.mark.trust(59)
@pytest.mark.parametrize(
    ("stage", "code", "enhanced", "reason"),
    [
        (Stage.RCPT, 550, "5.1.1", "recipient"),
        (Stage.RCPT, 550, None, "recipient"),
        (Stage.RCPT, 552, "5.2.2", "mailbox_full"),
        (Stage.RCPT, 550, "5.2.1", "mailbox"),
        (Stage.DOT, 552, "5.3.4", "system"),
        (Stage.DOT, 451, "4.4.1", "network"),
        (Stage.DOT, 554, "5.5.1", "protocol"),
        (Stage.DOT, 554, "5.6.0", "content"),
        (Stage.DOT, 550, "5.7.515", "policy"),
        (Stage.DOT, 550, "5.0.0", "refused"),
        (Stage.DOT, 550, None, "refused"),
        (Stage.MAIL, None, None, "connection"),
    ],
)
def test_trust_11_2_refusals_are_counted_by_a_word(
    stage: Stage, code: int | None, enhanced: str | None, reason: str
) -> None:
    assert refusal_reason(an_outcome(Verdict.REFUSED, stage, code, enhanced)) == reason


@pytest.mark.trust(58, 59)
@pytest.mark.parametrize(
    ("stage", "code", "enhanced", "dead"),
    [
        (Stage.RCPT, 550, "5.1.1", True),
        (Stage.RCPT, 551, "5.1.6", True),
        (Stage.RCPT, 556, "5.1.10", True),
        (Stage.RCPT, 550, "5.2.1", True),
        (Stage.RCPT, 550, "5.1.2", None),
        (Stage.RCPT, 550, None, None),
        (Stage.RCPT, 554, None, False),
        (Stage.RCPT, 552, "5.2.2", False),
        (Stage.RCPT, 550, "5.7.1", False),
        (Stage.RCPT, 550, "5.7.515", False),
        (Stage.DOT, 550, "5.1.1", False),
        (Stage.MAIL, 550, "5.1.1", False),
    ],
)
def test_trust_58_and_59_only_an_answer_about_the_recipient_speaks_of_the_address(
    stage: Stage, code: int, enhanced: str | None, dead: bool | None
) -> None:
    assert tells_of_dead_address(an_outcome(Verdict.REFUSED, stage, code, enhanced)) is dead


def test_a_deferral_never_speaks_of_the_address() -> None:
    assert tells_of_dead_address(an_outcome(Verdict.DEFERRED, Stage.RCPT, 450, "4.1.1")) is False
