"""The forecast of a paper's first day: what it promises of any numbers, and what it is told of papers."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from math import log, log1p

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.papers.forecast import END, FITTED, USUAL_HOUR, forecast, weights
from service.papers.traits import FEATURES, PAST_DAYS, Earlier, Past, Traits, features, hour_told, last_of

TODAY = date(2026, 2, 13)
COUNTS = st.integers(0, 5_000)
AGES = st.floats(0.0, 60.0)
HOURS = st.floats(0.0, 30.0) | st.just(float("nan"))
PULLS = st.floats(-50, 50)


def foretold(votes: float, age: float, hours: float = float("nan"), pull: float = 0.0) -> float:
    return float(forecast(*(np.array([one], np.float64) for one in (votes, age, hours, pull)))[0])


@given(COUNTS, AGES, HOURS, PULLS)
def test_votes_are_never_lost_and_those_of_past_days_stand(
    votes: int, age: float, hours: float, pull: float
) -> None:
    end = foretold(votes, age, hours, pull)
    assert np.isfinite(end)
    assert end >= votes
    if age >= END:
        assert end == votes


@given(COUNTS, st.integers(1, 50), AGES, HOURS, PULLS)
def test_more_votes_at_the_same_hour_always_end_higher(
    votes: int, more: int, age: float, hours: float, pull: float
) -> None:
    assert foretold(votes + more, age, hours, pull) > foretold(votes, age, hours, pull)


@given(COUNTS, st.floats(1, 20), st.floats(0.5, 10), PULLS)
def test_as_many_votes_in_fewer_hours_end_higher(votes: int, age: float, hours: float, pull: float) -> None:
    late, early = min(hours, age), min(hours + 1, age + 1)
    assert foretold(votes, age, late, pull) >= foretold(votes, age, early, pull)


def test_the_formula_is_the_one_that_is_told() -> None:
    like_it = FITTED.pace * np.exp(0.4)
    pace = (10 + FITTED.doubt * like_it) / (log(1 + 6) + FITTED.doubt)
    end = 6 + END - 8
    assert foretold(10, 8, 6, 0.4) == pytest.approx(10 + pace * log((1 + end) / (1 + 6)))
    assert foretold(10, 8) == foretold(10, 8, 8 - USUAL_HOUR)


def test_what_papers_are_weighs_most_where_votes_are_few() -> None:
    few = foretold(1, 4, 2, 0.5) / foretold(1, 4, 2)
    many = foretold(50, 10, 9, 0.5) / foretold(50, 10, 9)
    assert few > 1.2
    assert 1 < many < 1.02


def test_a_usual_paper_and_an_unknown_one_are_alike() -> None:
    published = TODAY - timedelta(days=2)
    assert features(None, TODAY) == features(Traits(), TODAY) == (0.0,) * len(FEATURES)
    assert features(Traits(authors=8, published_on=published), TODAY) == (0.0,) * len(FEATURES)
    assert len(weights()) == len(FEATURES)


def test_each_trait_has_its_feature() -> None:
    read = features(
        Traits(
            organization=True, project_page=True, authors=17, published_on=TODAY - timedelta(days=90),
            submitter=0.5, last_author=-0.2,
        ),
        TODAY,
    )  # fmt: skip
    assert read == pytest.approx((1, 1, log(2), log(15 / 3), 0.5, -0.2))
    ahead = features(Traits(published_on=TODAY + timedelta(days=9)), TODAY)  # a source may say anything
    assert ahead[3] == pytest.approx(-log(3))


def an_earlier(
    back: int, votes: int, submitter: str | None = "ann", last_author: str | None = None
) -> Earlier:
    return Earlier(
        list_date=TODAY - timedelta(days=back), votes=votes, submitter=submitter, last_author=last_author
    )


def test_the_past_is_told_against_the_same_day_and_drawn_to_zero() -> None:
    papers = [an_earlier(9, 20), an_earlier(9, 2, "bob"), an_earlier(5, 7, None, "Eve"), an_earlier(5, 0)]
    past = Past.of(papers, TODAY)
    first = log1p(20) - (log1p(20) + log1p(2)) / 2
    second = log1p(0) - (log1p(7) + log1p(0)) / 2
    assert past.submitters["ann"] == pytest.approx((first + second) / (2 + 3))
    assert past.submitters["bob"] == pytest.approx(-first / (1 + 3))
    assert past.last_authors == {"Eve": pytest.approx(-second / 4)}


@pytest.mark.parametrize("back", [-1, 0, 1, PAST_DAYS + 1])
def test_papers_of_the_last_days_and_of_long_ago_tell_nothing_yet(back: int) -> None:
    known = [an_earlier(2, 9), an_earlier(2, 4, "bob")]
    assert Past.of([*known, an_earlier(back, 5_000)], TODAY) == Past.of(known, TODAY)


def test_an_hour_is_known_only_where_it_is_told() -> None:
    told = datetime(2026, 2, 13, 3, 55, tzinfo=UTC)
    assert hour_told(told, TODAY) == told
    assert hour_told(told.replace(hour=0, minute=0), TODAY) is None  # cut to the day
    assert hour_told(told - timedelta(days=1), TODAY) is None
    assert hour_told(None, TODAY) is None


def test_the_last_author_of_a_list_that_was_cut_is_not_known() -> None:
    assert last_of(["Ann", "Bob"]) == last_of(["Ann", "Bob"], 2) == "Bob"
    assert last_of(["Ann", "Bob"], 200) is None
    assert last_of([]) is None


def test_constants_can_be_given() -> None:
    plain = replace(FITTED, weights=dict.fromkeys(FEATURES, 0.0))
    assert not weights(plain).any()
    zero = np.zeros(1)
    slow = forecast(zero, zero + 8, zero + 6, zero, replace(FITTED, pace=1.0))
    assert slow < forecast(zero, zero + 8, zero + 6, zero)
