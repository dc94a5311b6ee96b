"""The trend is worked out from what was seen by then, and says only what is true."""

import random
import re
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.papers.traits import Traits
from service.papers.trend import SMALL_COUNT, SMALLEST_POOL, TREND_VERSION, Sighting, trends

NOW = datetime(2026, 2, 13, 8, tzinfo=UTC)
TODAY = NOW.date()


def a_sighting(id_: str = "2602.00001", hours: float = 8, votes: int | None = 5, **more: object) -> Sighting:
    """Make a sighting of a paper listed ``hours`` before it was seen, seen now unless said otherwise."""
    at = more.pop("at", NOW)
    assert isinstance(at, datetime)
    listed = (at - timedelta(hours=hours)).date()
    given = {"id": id_, "list_date": listed, "at": at, "upvotes": votes}
    return Sighting(**(given | more))  # type: ignore[arg-type]


def history(days: int = 30, papers: int = 20) -> list[Sighting]:
    """Make the papers of past days, seen 8 and 26 hours after their day began; votes 0, 2, 4… and triple."""
    seen = []
    for back in range(1, days + 1):
        day = TODAY - timedelta(days=back)
        start = datetime(day.year, day.month, day.day, tzinfo=UTC)
        for number in range(papers):
            id_ = f"{back:04}.{number:05}"
            for hours, factor in ((8, 1), (26, 3)):
                if start + timedelta(hours=hours) <= NOW:
                    seen.append(
                        Sighting(
                            id=id_,
                            list_date=day,
                            at=start + timedelta(hours=hours),
                            upvotes=2 * number * factor,
                        )
                    )
    return seen


def test_nothing_seen_no_trend() -> None:
    assert trends([], NOW) == {}
    assert trends([a_sighting(votes=None)], NOW) == {}
    assert trends([a_sighting(at=NOW + timedelta(seconds=1))], NOW) == {}


def test_what_was_seen_later_changes_nothing() -> None:
    past = [*history(), a_sighting()]
    later = [
        a_sighting(votes=900, at=NOW + timedelta(hours=1)),
        a_sighting("2602.00009", at=NOW + timedelta(hours=9)),
    ]
    assert trends([*past, *later], NOW) == trends(past, NOW)


def test_more_votes_at_one_age_never_score_less() -> None:
    today = [a_sighting(f"2602.{votes:05}", votes=votes) for votes in (0, 1, 2, 3, 10, 37, 38, 39, 100, 1000)]
    found = trends([*history(), *today], NOW)
    scores = [found[one.id].score for one in today]
    assert 0 < scores[0] < 0.05  # the first votes may still come
    assert scores == sorted(set(scores))


def test_the_parts_add_up_and_carry_the_version() -> None:
    for trend in trends([*history(), a_sighting(votes=30, comments=9, stars=4)], NOW).values():
        assert sum(trend.parts.values()) == pytest.approx(trend.score, abs=1e-6)
        assert 0 <= trend.score <= 1
        assert trend.version == TREND_VERSION


def test_a_paper_is_compared_with_those_of_its_age() -> None:
    found = trends([*history(), a_sighting(votes=20), a_sighting("2602.00002", hours=32, votes=20)], NOW)
    young, old = found["2602.00001"], found["2602.00002"]
    assert young.percentile is not None
    assert old.percentile is not None
    assert young.percentile > old.percentile
    assert young.score > old.score


def test_the_reason_can_be_worked_out_again() -> None:
    past = history(days=29)  # the day before began more than thirty days ago
    trend = trends([*past, a_sighting(votes=36)], NOW)["2602.00001"]
    match = re.fullmatch(r"36 votes in its first 8 hours: top (\d+) % of papers of its age", trend.reason)
    assert match
    same_age = [one.upvotes or 0 for one in past if one.at.hour == 8] + [36]
    share = sum(votes >= 36 for votes in same_age) / len(same_age)
    assert int(match[1]) - 1 < 100 * share <= int(match[1])
    assert trend.percentile == pytest.approx(sum(votes <= 36 for votes in same_age) / len(same_age))


@pytest.mark.parametrize(
    ("seen", "reason"),
    [
        ([(8, 1)], "1 vote in its first 8 hours"),
        ([(8, 0)], "0 votes in its first 8 hours"),
        ([(32, 12), (56, 42)], "42 votes, 30 in the last day"),
        ([(32, 12), (72, 42)], "42 votes, 30 in the last 40 hours"),
        ([(32, 12), (128, 42)], "42 votes, 30 in the last 4 days"),
        ([(56, 42)], "42 votes"),
        ([(56, 42), (60, 41)], "41 votes"),
    ],
)
def test_gains_are_told_over_the_time_they_were_seen_in(seen: list[tuple[int, int]], reason: str) -> None:
    day = TODAY - timedelta(days=10)
    start = datetime(day.year, day.month, day.day, tzinfo=UTC)
    rows = [
        Sighting(id="2602.00001", list_date=day, at=start + timedelta(hours=hours), upvotes=votes)
        for hours, votes in seen
    ]
    assert trends(rows, rows[-1].at)["2602.00001"].reason == reason


def test_gains_are_put_on_one_scale_of_time() -> None:
    """Two looks three days apart and two looks a day apart, with votes at the same pace, are level."""
    day = TODAY - timedelta(days=6)
    start = datetime(day.year, day.month, day.day, tzinfo=UTC)
    now = start + timedelta(hours=120)

    def seen(id_: str, *looks: tuple[int, int]) -> list[Sighting]:
        return [
            Sighting(id=id_, list_date=day, at=start + timedelta(hours=hours), upvotes=votes)
            for hours, votes in looks
        ]

    pool = [row for n in range(40) for row in seen(f"2601.{n:05}", (96, n), (120, n + n // 2))]
    found = trends([*pool, *seen("a", (48, 10), (120, 40)), *seen("b", (96, 30), (120, 40))], now)
    assert found["a"].parts["votes_gained"] == pytest.approx(found["b"].parts["votes_gained"])


def test_absent_is_not_zero() -> None:
    past = [a_sighting(f"2601.{n:05}", hours=32, votes=n, at=NOW) for n in range(40)]
    known = trends([*past, a_sighting(hours=32, votes=20)], NOW)["2602.00001"]
    with_stars = trends([*past, a_sighting(hours=32, votes=20, stars=0)], NOW)["2602.00001"]
    assert "stars_gained" not in known.parts
    assert with_stars.score == known.score  # one look tells of no gain


def test_an_old_look_tells_nothing_of_the_last_day() -> None:
    past = history()
    looked = a_sighting(votes=30, at=NOW - timedelta(hours=30))
    trend = trends([*past, looked], NOW)["2602.00001"]
    assert "votes_gained" not in trend.parts
    assert trend.parts["age"] < 0


def test_with_little_history_votes_and_age_decide() -> None:
    assert SMALLEST_POOL > 4
    rows = [
        a_sighting("a", hours=8, votes=30),
        a_sighting("b", hours=8, votes=10),
        a_sighting("c", hours=56, votes=20),
        a_sighting("d", hours=8, votes=1),
    ]
    found = trends(rows, NOW)
    assert found["a"].score > found["b"].score > found["c"].score > found["d"].score > 0
    assert {one.percentile for one in found.values()} == {None}


def test_a_paper_without_list_day_counts_from_its_first_sighting() -> None:
    rows = [a_sighting(list_date=None, votes=400)]
    seen = {"2602.00001": NOW - timedelta(days=3)}
    assert trends(rows, NOW)["2602.00001"].reason == "400 votes"
    assert trends(rows, NOW, first_seen=seen)["2602.00001"].score < trends(rows, NOW)["2602.00001"].score


SIGHTINGS = st.lists(
    st.builds(
        lambda number, hours, votes, stars, listed: Sighting(
            id=f"2602.{number:05}",
            list_date=TODAY - timedelta(days=listed) if listed is not None else None,
            at=NOW - timedelta(hours=hours),
            upvotes=votes,
            stars=stars,
        ),
        st.integers(0, 30),
        st.floats(-5, 400),
        st.none() | st.integers(0, 500),
        st.none() | st.integers(0, 500),
        st.none() | st.integers(-1, 20),
    ),
    max_size=120,
)


@settings(max_examples=80, deadline=None)
@given(SIGHTINGS, st.randoms(use_true_random=False))
def test_any_sightings_give_sound_trends_in_any_order(seen: list[Sighting], chance: random.Random) -> None:
    found = trends(seen, NOW)
    for trend in found.values():
        assert 0 <= trend.score <= 1
        assert trend.percentile is None or 0 < trend.percentile <= 1
        assert "nan" not in trend.reason
        assert sum(trend.parts.values()) == pytest.approx(trend.score, abs=1e-6)
    known = {one.id for one in seen if one.at <= NOW and (one.upvotes is not None)}
    assert known <= set(found)
    assert trends(chance.sample(seen, len(seen)), NOW) == found


def test_dates_of_the_list_may_be_ahead_of_the_clock() -> None:
    ahead = a_sighting(list_date=date(2026, 2, 14))
    assert trends([ahead], NOW)["2602.00001"].reason == "5 votes"


def test_traits_lift_a_paper_by_named_parts_and_leave_its_reason_alone() -> None:
    today = [a_sighting("2602.00001", votes=5), a_sighting("2602.00002", votes=5)]
    lab = Traits(organization=True, authors=30, submitter=0.8, last_author=0.5)
    found = trends([*history(), *today], NOW, traits={"2602.00002": lab})
    plain, lifted = found["2602.00001"], found["2602.00002"]
    assert lifted.score > plain.score
    assert set(lifted.parts) - set(plain.parts) == {"organization", "authors", "submitter", "last_author"}
    assert lifted.parts["votes"] == pytest.approx(plain.parts["votes"])
    assert (lifted.reason, lifted.percentile) == (plain.reason, plain.percentile)
    assert lifted.forecast is not None
    assert plain.forecast is not None
    assert lifted.forecast > plain.forecast > 5


def test_traits_of_older_papers_change_nothing() -> None:
    rows = [*history(), a_sighting(hours=32, votes=20)]
    lab = Traits(organization=True, submitter=2.0)
    assert trends(rows, NOW, traits={"2602.00001": lab}) == trends(rows, NOW)


def test_votes_foretold_are_ranked_among_those_papers_had_by_then() -> None:
    """A forecast as high as the count an older paper ended its first day with has that paper's rank."""
    rows = history(days=20)
    trend = trends([*rows, a_sighting(votes=20)], NOW)["2602.00001"]
    assert trend.forecast is not None
    ended = sorted((one.upvotes or 0) for one in rows if one.at.hour == 2)
    below = sum(votes < trend.forecast for votes in ended) / len(ended)
    shrunk = trend.forecast / (trend.forecast + SMALL_COUNT)
    assert trend.score == pytest.approx(below * shrunk, abs=1 / 20)


@pytest.mark.parametrize(
    ("before", "source", "known"),
    [(1.0, "huggingface", True), (5.0, "huggingface", False), (0.1, "huggingface", False), (1.0, "b", False)],
)
def test_looks_tell_the_hour_of_listing(before: float, source: str, known: bool) -> None:
    """A paper not on the list an hour ago was listed since; another source or a long gap does not tell."""
    other = a_sighting("2602.00002", at=NOW - timedelta(hours=before), source=source)
    mine = a_sighting("2602.00001", votes=5, source="huggingface")
    both = [*history(), other, mine]
    parts = trends(both, NOW)["2602.00001"].parts
    assert ("hour_listed" in parts) is known
    if known:
        told = Traits(listed_at=NOW - timedelta(hours=before / 2))
        assert trends(both, NOW, traits={"2602.00001": told})["2602.00001"].parts == pytest.approx(parts)


def test_a_new_installation_orders_its_first_day_by_the_forecast() -> None:
    rows = [a_sighting(f"2602.{votes:05}", votes=votes) for votes in range(12)]
    alone = trends(rows, NOW)
    among = trends([*history(), *rows], NOW)
    assert [one.score for one in alone.values()] == sorted({one.score for one in alone.values()})
    assert [one.forecast for one in alone.values()] == [among[id_].forecast for id_ in alone]
    assert all(sum(one.parts.values()) == pytest.approx(one.score) for one in alone.values())


def test_a_score_hardly_changes_as_the_first_day_ends() -> None:
    """What is foretold just before the end is what is seen just after it."""
    now = datetime(2026, 2, 14, 2, tzinfo=UTC)
    rows = history()
    before = Sighting(id="a", list_date=TODAY, at=now - timedelta(minutes=1), upvotes=40)
    after = Sighting(id="a", list_date=TODAY, at=now, upvotes=40)
    first, second = trends([*rows, before], now)["a"], trends([*rows, after], now)["a"]
    assert first.forecast is not None
    assert second.forecast is None
    assert first.score == pytest.approx(second.score, abs=0.02)
