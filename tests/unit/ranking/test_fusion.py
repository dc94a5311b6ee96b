"""Opinions are joined fairly: no scale outvotes another, what is missing neither helps nor harms."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.ranking.fusion import best, joined, nearest_mean, standard, standard_where, to_one

NUMBERS = st.lists(st.integers(-50, 50), min_size=1, max_size=30).map(lambda one: np.array(one, np.float32))


@given(NUMBERS, st.sampled_from([0.01, 1.0, 1000.0]))
def test_standard_scores_know_no_scale(scores: np.ndarray, scale: float) -> None:
    found = standard(scores)
    assert np.allclose(found, standard(scores * np.float32(scale) + 3), atol=1e-3)
    assert found.mean() == pytest.approx(0, abs=1e-3)
    assert found.std() == pytest.approx(1 if len(set(scores.tolist())) > 1 else 0, abs=1e-3)


@given(NUMBERS)
def test_stretching_keeps_the_order(scores: np.ndarray) -> None:
    found = to_one(scores)
    assert found.min() >= 0
    assert found.max() in {0, 1}
    assert np.array_equal(np.argsort(found, kind="stable"), np.argsort(scores, kind="stable")) or not any(
        found
    )


@given(NUMBERS, st.integers(0, 40))
def test_the_best_are_those_of_a_full_sort(scores: np.ndarray, count: int) -> None:
    expected = np.argsort(-scores, kind="stable")[:count]
    assert best(scores, count).tolist() == expected.tolist()


def test_what_is_missing_gets_what_the_others_say() -> None:
    known = np.array([True, True, False])
    other = np.array([0.0, 0.0, 0.7], np.float32)
    found = standard_where(np.array([1.0, 3.0, 99.0], np.float32), known, other)
    assert found.tolist() == pytest.approx([-1.0, 1.0, 0.7])
    assert other.tolist() == pytest.approx([0.0, 0.0, 0.7])


def test_joining_by_ranks_forgets_how_far_one_stands_out() -> None:
    outlier = standard(np.array([9.0, 0.1, *[0.0] * 10], np.float32))
    even = standard(np.array([6, 12, 11, 10, 9, 8, 7, 5, 4, 3, 2, 1], np.float32))
    assert int(np.argmax(joined([outlier, even]))) == 0
    assert int(np.argmax(joined([outlier, even], by_ranks=True))) == 1


def test_the_nearest_of_many_count() -> None:
    rows = np.array([[1.0, 0.0], [0.5, 0.0], [0.0, 0.3]], np.float32)
    assert nearest_mean(rows, 2).tolist() == pytest.approx([0.75, 0.15])
    assert nearest_mean(rows[:1], 2).tolist() == [1.0, 0.0]
