"""Rates, places in line and paces as plain values (trust 38)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.mail.limits import (
    BURST_SECONDS,
    CUT_SPACING,
    LINE_SECONDS,
    RECOVERY_SECONDS,
    SLOWEST,
    Bucket,
    Pace,
    slow_down,
)

RATES = st.floats(0.02, 500)


@pytest.mark.trust(38)
@given(
    rate=RATES,
    asked=st.lists(st.tuples(st.floats(0, 20), st.integers(1, 40)), min_size=1, max_size=30),
)
def test_trust_38_no_span_of_time_sees_more_than_rate_and_burst(
    rate: float, asked: list[tuple[float, int]]
) -> None:
    bucket, now = Bucket(), 5000.0
    went: list[tuple[float, int]] = []
    for pause, count in asked:
        now += pause
        went.append((now, bucket.take(now, rate, count).count))
    burst = max(1.0, rate * BURST_SECONDS)
    for start in range(len(went)):
        for end in range(start, len(went)):
            span = went[end][0] - went[start][0]
            total = sum(count for _, count in went[start : end + 1])
            assert total <= rate * span + burst + 0.01


@given(rate=RATES, count=st.integers(1, 100))
def test_after_a_lull_a_burst_goes_and_no_more(rate: float, count: int) -> None:
    grant = Bucket().take(1000.0, rate, count)
    assert grant.count == min(count, max(1, int(rate * BURST_SECONDS + 1e-6)))


@given(rate=st.floats(0.5, 100), counts=st.lists(st.integers(1, 30), min_size=1, max_size=10))
def test_those_who_wait_have_places_of_their_own_and_find_room_when_they_come_back(
    rate: float, counts: list[int]
) -> None:
    bucket, now = Bucket(), 1000.0
    places: list[float] = []
    for count in counts:
        grant = bucket.take(now, rate, count)
        places += [now + min(LINE_SECONDS, grant.wait + n / rate) for n in range(count - grant.count)]
    assert places == sorted(places)
    for place in places:
        if place < now + LINE_SECONDS - 1:
            assert bucket.take(place + 1e-6, rate, 1).count == 1


def test_nobody_is_told_to_wait_longer_than_the_line() -> None:
    bucket = Bucket()
    waits = [bucket.take(0.0, 0.1, 50).wait for _ in range(20)]
    assert max(waits) <= LINE_SECONDS


@given(rate=RATES, back=st.integers(1, 20))
def test_what_is_given_back_can_be_had_again(rate: float, back: int) -> None:
    bucket = Bucket()
    granted = bucket.take(1000.0, rate, 1000).count
    bucket.take(1000.0, rate, -min(back, granted))
    assert bucket.take(1000.0, rate, 1000).count == min(back, granted)


@given(jump=st.floats(-1e6, 1e6))
def test_a_clock_that_jumps_stops_nobody_for_longer_than_a_burst_takes(jump: float) -> None:
    bucket, now = Bucket(), 2e6
    bucket.take(now, 10.0, 100)
    assert bucket.take(now + jump, 10.0, 1).count + bucket.take(now + jump + 1.2, 10.0, 1).count >= 1


def test_a_pace_falls_by_half_climbs_evenly_and_ends() -> None:
    pace = slow_down(None, 0.0, 40.0, None)
    assert pace == Pace(20.0, 40.0, 0.0)
    assert slow_down(pace, CUT_SPACING - 1, 40.0, None) is pace  # the same storm
    again = slow_down(pace, CUT_SPACING, 40.0, None)
    assert again.rate == pytest.approx((20 + 40 * CUT_SPACING / RECOVERY_SECONDS) / 2)
    assert again.peak == 40.0
    assert pace.now(RECOVERY_SECONDS / 4) == pytest.approx(30.0)
    assert pace.now(RECOVERY_SECONDS / 2) is None
    assert slow_down(None, 0.0, 40.0, 10.0) == Pace(5.0, 10.0, 0.0)  # no more than the operator allows


@given(st.lists(st.tuples(st.floats(0, 2000), st.floats(0, 1000)), min_size=1, max_size=30))
def test_a_pace_is_never_stopped_and_never_above_its_peak(cuts: list[tuple[float, float]]) -> None:
    pace, now = None, 0.0
    for pause, measured in cuts:
        now += pause
        pace = slow_down(pace, now, measured, None)
        assert SLOWEST <= pace.rate <= pace.peak
        present = pace.now(now)
        assert present is None or SLOWEST <= present <= pace.peak
