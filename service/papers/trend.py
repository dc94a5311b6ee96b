"""How papers trend: votes, comments and stars against papers of the same age. Pure: sightings in, trends out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time

from service.ranking.values import Trend

TREND_VERSION = "trend-1"

FALLBACK_POWER = 0.8  # news.arc's form, docs/ranking.md section 5
FALLBACK_GRAVITY = 1.8


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """Counts of a paper as seen at an instant; None means the source did not say, which is not zero."""

    id: str
    list_date: date | None
    at: datetime
    upvotes: int | None = None
    comments: int | None = None
    stars: int | None = None
    source: str | None = None


def trends(
    sightings: Sequence[Sighting], now: datetime, *, first_seen: Mapping[str, datetime] | None = None
) -> dict[str, Trend]:
    """Give the trend of every paper sighted by ``now``; later sightings are not looked at.

    A paper's age runs from ``first_seen`` where given, else from the start (UTC) of its list date or its
    first sighting, whichever is earlier.
    """
    newest: dict[str, Sighting] = {}
    born: dict[str, datetime] = dict(first_seen or {})
    for sighting in sorted((one for one in sightings if one.at <= now), key=lambda one: one.at):
        newest[sighting.id] = sighting
        listed = sighting.list_date and datetime.combine(sighting.list_date, time(), UTC)
        born.setdefault(sighting.id, min(listed or sighting.at, sighting.at))
    return {
        id_: _fallback(sighting, (now - born[id_]).total_seconds() / 3600) for id_, sighting in newest.items()
    }


def _fallback(sighting: Sighting, age_hours: float) -> Trend:
    votes = sighting.upvotes or 0
    raw = max(votes - 1, 0) ** FALLBACK_POWER / (max(age_hours, 0) + 2) ** FALLBACK_GRAVITY
    reason = "1 vote" if votes == 1 else f"{votes} votes"
    score = raw / (1 + raw)
    return Trend(score=score, percentile=None, parts={"votes": score}, version=TREND_VERSION, reason=reason)
