"""Eight o'clock is no spike: everybody's own minute in a window after the hour (trust 38, 97)."""

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.digests.spreading import PUNCTUAL, send_at, share_of, window_for

EIGHT = datetime(2026, 2, 13, 8, tzinfo=UTC)
EVENING = EIGHT + timedelta(hours=12)
MINUTE = timedelta(minutes=1)


@pytest.mark.trust(38)
def test_trust_38_ten_thousand_of_one_hour_are_spread_evenly() -> None:
    window = timedelta(minutes=20)
    minutes = Counter(
        (send_at(n, due_at=EIGHT, cutoff_at=EVENING, now=EIGHT, window=window) - EIGHT) // MINUTE
        for n in range(10_000)
    )
    assert sorted(minutes) == list(range(20))
    assert max(minutes.values()) < 620  # 500 are to be expected


def test_few_go_at_once_and_many_over_no_longer_than_is_allowed() -> None:
    longest = timedelta(minutes=20)
    assert window_for(5_999, longest) == timedelta()
    assert window_for(10_000, longest) == timedelta(seconds=100)
    assert window_for(1_000_000, longest) == longest
    assert window_for(1_000_000, timedelta()) == timedelta()


@pytest.mark.trust(97)
@given(
    public_id=st.integers(1, 2**63 - 1),
    late=st.floats(0, 20 * 3600),
    minutes=st.integers(0, 55),
    hours_left=st.floats(0.001, 12),
)
def test_nobody_is_before_the_hour_or_after_the_time_or_in_another_minute_tomorrow(
    public_id: int, late: float, minutes: int, hours_left: float
) -> None:
    now, window = EIGHT + timedelta(seconds=late), timedelta(minutes=minutes)
    cutoff = EIGHT + timedelta(hours=hours_left)
    at = send_at(public_id, due_at=EIGHT, cutoff_at=cutoff, now=now, window=window)
    assert now <= at <= max(now, cutoff, now + window)
    assert at < cutoff or at == now
    if now <= EIGHT + PUNCTUAL and EIGHT + window < cutoff:
        tomorrow = timedelta(days=1)
        other = send_at(
            public_id,
            due_at=EIGHT + tomorrow,
            cutoff_at=cutoff + tomorrow,
            now=EIGHT + tomorrow,
            window=window,
        )
        assert at == max(now, other - tomorrow)


def test_a_place_in_the_window_is_the_same_in_every_version() -> None:
    assert (share_of(1), share_of(2**62)) == pytest.approx((0.069264026, 0.668299181))
