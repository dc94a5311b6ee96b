"""Local hours become instants: gaps, repeats, odd offsets, dates that never were."""

from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from service.digests.schedule import (
    NoSuchDate,
    cutoff_at,
    due_at,
    due_slots,
    falls_on,
    local_date,
    next_due_at,
    open_zone,
    passed_slots,
)

ZONES = sorted(available_timezones() - {"localtime", "Factory"})
zones = st.sampled_from(ZONES).map(ZoneInfo)
days = st.dates(date(2011, 1, 1), date(2027, 12, 30))
hours = st.integers(0, 23)
instants = st.integers(1_293_926_400, 1_830_000_000).map(lambda second: datetime.fromtimestamp(second, UTC))


@pytest.mark.trust(93, 94)
@pytest.mark.parametrize(
    ("zone", "day", "hour", "local"),
    [
        ("America/New_York", date(2026, 3, 8), 2, "2026-03-08T03:00:00-04:00"),  # gap: once, just after it
        ("America/New_York", date(2026, 11, 1), 1, "2026-11-01T01:00:00-04:00"),  # repeat: the first coming
        ("Australia/Lord_Howe", date(2026, 10, 4), 2, "2026-10-04T02:30:00+11:00"),  # half-hour summer time
        ("Australia/Lord_Howe", date(2026, 4, 5), 1, "2026-04-05T01:00:00+11:00"),
        ("America/Santiago", date(2026, 9, 6), 0, "2026-09-06T01:00:00-03:00"),  # midnight gap
        ("Asia/Beirut", date(2026, 3, 29), 0, "2026-03-29T01:00:00+03:00"),
        ("Asia/Kathmandu", date(2026, 6, 1), 8, "2026-06-01T08:00:00+05:45"),
        ("Asia/Kolkata", date(2026, 6, 1), 8, "2026-06-01T08:00:00+05:30"),
        ("Pacific/Apia", date(2011, 12, 31), 8, "2011-12-31T08:00:00+14:00"),
        ("America/Nuuk", date(2026, 3, 28), 23, "2026-03-29T00:00:00-01:00"),  # a gap that ends the date
    ],
)
def test_an_hour_of_a_date_is_one_instant(zone: str, day: date, hour: int, local: str) -> None:
    assert due_at(ZoneInfo(zone), day, hour) == datetime.fromisoformat(local)


@pytest.mark.trust(94)
@pytest.mark.parametrize("hour", [0, 8, 23])
def test_a_date_that_never_was_has_no_issue(hour: int) -> None:
    apia = ZoneInfo("Pacific/Apia")
    with pytest.raises(NoSuchDate):
        due_at(apia, date(2011, 12, 30), hour)
    just_after = datetime(2011, 12, 30, 10, tzinfo=UTC)  # 00:00 on the 31st
    around = [just_after + timedelta(minutes=minutes) for minutes in range(-3000, 3000, 30)]
    assert all(slot.issue_date != date(2011, 12, 30) for now in around for slot in due_slots(apia, now))
    assert next_due_at(apia, 1 << 4, 8, just_after - timedelta(days=1)) == due_at(
        apia, date(2012, 1, 6), 8
    )  # its Friday was skipped


@pytest.mark.trust(94)
@given(zones, days, hours)
@example(ZoneInfo("America/St_Johns"), date(2011, 3, 13), 0)  # a gap from one minute past midnight
@example(ZoneInfo("Africa/Casablanca"), date(2026, 2, 15), 3)
@example(ZoneInfo("Asia/Gaza"), date(2026, 3, 28), 2)
def test_an_issue_is_due_at_its_wall_time_or_right_after_a_gap(zone: ZoneInfo, day: date, hour: int) -> None:
    try:
        due = due_at(zone, day, hour)
    except NoSuchDate:
        return
    wall = due.astimezone(zone).replace(tzinfo=None)
    wanted = datetime.combine(day, time(hour))
    before = (due - timedelta(seconds=1)).astimezone(zone).replace(tzinfo=None)
    assert wall >= wanted
    if wall != wanted:
        assert before < wanted  # the clock jumped over it
    else:
        assert due.astimezone(zone).fold == 0


@given(zones, days, hours)
def test_the_cutoff_leaves_an_hour_at_least_and_ends_with_the_date(
    zone: ZoneInfo, day: date, hour: int
) -> None:
    try:
        due, cutoff = due_at(zone, day, hour), cutoff_at(zone, day, hour)
    except NoSuchDate:
        return
    assert cutoff - due >= timedelta(hours=1)
    assert cutoff - due <= timedelta(hours=22)
    if hour < 18:
        assert cutoff <= max(due_at(zone, day, 20), due + timedelta(hours=1))


@pytest.mark.trust(94)
@given(zones, instants, st.lists(st.integers(1, 400), min_size=1, max_size=6))
def test_every_slot_is_due_and_then_passed_exactly_once(
    zone: ZoneInfo, start: datetime, steps: list[int]
) -> None:
    """However the ticks fall, a slot is found passed by one tick only, and never while it is still due."""
    ticks = [start]
    for minutes in steps:
        ticks.append(ticks[-1] + timedelta(minutes=minutes))
    passed = [
        (slot.issue_date, slot.hour)
        for before, now in pairwise(ticks)
        for slot in passed_slots(zone, before, now)
    ]
    assert len(passed) == len(set(passed))
    still = {(slot.issue_date, slot.hour) for slot in due_slots(zone, ticks[-1])}
    assert not still & set(passed)
    were_due = {(slot.issue_date, slot.hour) for now in ticks for slot in due_slots(zone, now)}
    assert were_due - still <= set(passed)


@given(zones, instants)
def test_due_slots_belong_to_today_but_for_a_gap_at_midnight(zone: ZoneInfo, now: datetime) -> None:
    today = local_date(zone, now)
    for slot in due_slots(zone, now):
        assert slot.due_at <= now < slot.cutoff_at
        if slot.issue_date != today:
            assert slot.due_at.astimezone(zone).date() == today or slot.cutoff_at - slot.due_at == timedelta(
                hours=1
            )


@given(zones, instants, st.integers(1, 127), hours)
def test_the_next_issue_is_the_first_on_a_wanted_weekday(
    zone: ZoneInfo, after: datetime, weekdays: int, hour: int
) -> None:
    due = next_due_at(zone, weekdays, hour, after)
    assert due is not None
    assert due > after
    assert due - after <= timedelta(days=15)


def test_weekdays_are_a_mask_that_begins_with_monday() -> None:
    monday = date(2026, 2, 9)
    assert [falls_on(0b0000101, monday + timedelta(days=n)) for n in range(7)] == [
        True,
        False,
        True,
        False,
        False,
        False,
        False,
    ]
    assert next_due_at(ZoneInfo("UTC"), 0, 8, datetime(2026, 2, 9, tzinfo=UTC)) is None


def test_a_zone_this_machine_does_not_know_counts_as_utc() -> None:
    assert open_zone("Mars/Olympus_Mons").key == "UTC"
    assert open_zone("../../etc/passwd").key == "UTC"
