"""The page that explains the trend, with the papers of the newest day worked out."""

from collections.abc import Mapping
from math import exp, expm1, log, log1p

from fastapi import APIRouter
from starlette.responses import Response

from service.papers import forecast, shelf, trend
from service.papers.tables import PaperRow
from service.papers.traits import DOUBT
from service.ranking.values import Trend
from service.web.dependencies import Reading, SiteDep

router = APIRouter(include_in_schema=False)

PAGE_SECONDS = 60
FIRST = 3  # papers worked out, and then those that the forecast lifts and lowers most


@router.get("/trending")
def explain(site: SiteDep, session: Reading) -> Response:
    """Show the formula with its constants, and the first papers of the newest day in its parts."""
    now = site.now()
    trends = site.trends.at(session, now)
    day = next(iter(shelf.list_days(session, limit=1)), None)
    papers = shelf.papers_of_day(session, day) if day else []
    known = [(paper, trends[paper.id]) for paper in papers if paper.id in trends]
    known.sort(key=_best_first)
    by = forecast.FITTED
    return site.page(
        "trending.html",
        max_age=PAGE_SECONDS,
        version=trend.TREND_VERSION,
        now=now,
        day=day if known else None,
        examples=_examples(known),
        count=len(known),
        pace=by.pace,
        first_hour=log1p(1),
        even_hours=round(expm1(by.doubt)),
        factors=_factors(by.weights),
        end=round(forecast.END),
        usual_hour=round(forecast.USUAL_HOUR),
        pool_days=round(trend.POOL_DAYS),
        weights={name: round(100 * share) for name, share in trend.WEIGHTS.items()},
        small=round(trend.SMALL_COUNT),
        half_life=round(trend.HALF_LIFE),
        smallest_pool=trend.SMALLEST_POOL,
        power=trend.FALLBACK_POWER,
        gravity=trend.FALLBACK_GRAVITY,
    )


def _examples(known: list[tuple[PaperRow, Trend]]) -> list[tuple[PaperRow, Trend]]:
    """Choose papers to work out, best first: the first ones, and what the forecast lifts and lowers most."""
    rest = sorted(known[FIRST:], key=lambda entry: _lift(entry[1]))
    chosen = {paper.id for paper, _ in (*known[:FIRST], *rest[:1], *rest[-1:])}
    return [entry for entry in known if entry[0].id in chosen]


def _lift(shown: Trend) -> float:
    return sum(part for name, part in shown.parts.items() if name in trend.FORECAST_PARTS)


def _best_first(entry: tuple[PaperRow, Trend]) -> tuple[float, str]:
    return -entry[1].score, entry[0].id


def _factors(weights: Mapping[str, float]) -> list[tuple[str, float]]:
    """Say what each weight does to the votes to expect of a paper that shows it."""
    three = 3 / (3 + DOUBT) * log(2)  # three earlier papers, each with twice the votes of its day
    return [
        ("it names an organization", exp(weights["organization"])),
        ("it has a project page", exp(weights["project_page"])),
        ("it has 17 authors, not 8", exp(weights["authors"] * (log1p(17) - log1p(8)))),
        ("it was published 8 days before it was listed, not 2", exp(weights["age_at_listing"] * log(3))),
        (
            "its submitter's last three papers got twice the votes of their day",
            exp(weights["submitter"] * three),
        ),
        ("so did three earlier papers of its last author", exp(weights["last_author"] * three)),
    ]
