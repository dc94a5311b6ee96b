"""When arXiv announces (info.arxiv.org/help/availability.html), in terms of list days.

Announcements are made at 20:00 Eastern time, Sunday to Thursday; the feed is built at the midnight after and
dated with the day that then begins, so list days are Monday to Friday. Holidays are not known here.
"""

from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

EASTERN = ZoneInfo("America/New_York")
DEADLINE = time(14)
FEED_READY = time(6)  # built at midnight, with hours to spare


def list_day(submitted: datetime) -> date:
    """Return the list day of a paper sent in at ``submitted``, when moderation doesn't hold it back.

    Before 14:00 on a weekday it is announced that evening (on Friday: on Sunday), later with the next
    weekday's papers; its list day is the weekday after.
    """
    local = submitted.astimezone(EASTERN)
    day = local.date() + timedelta(days=1) if local.time() >= DEADLINE else local.date()
    return _weekday_from(_weekday_from(day) + timedelta(days=1))


def expected_feed_day(now: datetime) -> date:
    """Return the newest list day the feed should show at ``now``, holidays apart."""
    local = now.astimezone(EASTERN)
    day = local.date() if local.time() >= FEED_READY else local.date() - timedelta(days=1)
    while day.weekday() > 4:
        day -= timedelta(days=1)
    return day


def _weekday_from(day: date) -> date:
    return day + timedelta(days=max(0, 7 - day.weekday())) if day.weekday() > 4 else day
