"""The trend is steady from hour to hour, and fair to papers listed late: a small run of the benchmark."""

from datetime import timedelta

import numpy as np
import pytest

from benchmarks.evaluation.stability import BEGIN, by_hour_of_listing, hour_by_hour, make_world


def test_the_order_hardly_changes_within_an_hour() -> None:
    world = make_world(np.random.default_rng(1), days=12, hourly=2)
    found = hour_by_hour(world, 10, BEGIN + timedelta(days=12, hours=-8))
    assert len(found) == 10
    assert min(found) >= 0.9


def test_an_hour_of_listing_drawn_by_lot_moves_no_place_on_average() -> None:
    worlds = [make_world(np.random.default_rng(seed), days=4, hourly=4) for seed in range(20)]
    trend, votes = by_hour_of_listing(worlds, 6)
    assert votes < -0.08  # 440 papers: chance alone stays within 0.1
    assert trend == pytest.approx(0, abs=0.1)
    assert trend > votes + 0.05
