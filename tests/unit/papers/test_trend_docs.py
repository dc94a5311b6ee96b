"""docs/trending.md tells the formula with the constants of the code."""

import re
from pathlib import Path

import pytest

from service.papers import forecast, traits, trend

ROOT = Path(__file__).parents[3]
BY = forecast.FITTED


@pytest.fixture(scope="module")
def told() -> str:
    text = (ROOT / "docs" / "trending.md").read_text(encoding="utf-8").replace("\u2212", "-")
    return re.sub(r"\s+", " ", text[: text.index("## For you")])


@pytest.mark.parametrize(
    "words",
    [
        f"`{trend.TREND_VERSION}`",
        " + ".join(
            f"{trend.WEIGHTS[name]:.2f} · rank of {words}"
            for name, words in (
                ("votes_gained", "votes gained in the last day"),
                ("votes", "votes"),
                ("stars_gained", "stars gained"),
            )
        ),
        f"halved for every {trend.HALF_LIFE:.0f} hours of age",
        f"the first {forecast.END:.0f} hours of its list day",
        f"papers listed in the last {trend.POOL_DAYS:.0f} days",
        f"multiplied by n / (n + {trend.SMALL_COUNT:.0f})",
        f"fewer than {trend.SMALLEST_POOL} papers of that age",
        f"votes^{trend.FALLBACK_POWER} / (hours + 2)^{trend.FALLBACK_GRAVITY}",
        f"between about {2**-trend.AGE_OCTAVES:.1f} and {2**trend.AGE_OCTAVES:.1f} times of it",
        f"{BY.pace:.2f} · exp({BY.weights['organization']:.2f} · organization",
        f"+ {BY.weights['project_page']:.2f} · project page",
        f"+ {BY.weights['authors']:.2f} · ln((1 + authors) / {traits.USUAL_AUTHORS + 1})",
        f"- {-BY.weights['age_at_listing']:.2f} · ln((1 + days from publication to the list)"
        f" / {traits.USUAL_DAYS + 1})",
        f"+ {BY.weights['submitter']:.2f} · submitter's past",
        f"+ {BY.weights['last_author']:.2f} · last author's past",
        f"(votes + {BY.doubt:.2f} · like it) / (ln(1 + hours) + {BY.doubt:.2f})",
        f"Days are counted up to {traits.MOST_DAYS}",
        f"listed in the last {traits.PAST_DAYS} days and at least {traits.SETTLED.days} days ago",
        f"listed {forecast.USUAL_HOUR:.0f} hours after the day began",
        f"{60 * trend.LOOKS_APART[0]:.0f} minutes to {trend.LOOKS_APART[1]:.0f} hours after",
        ", ".join(f"`{name}`" for name in trend.FORECAST_PARTS),
    ],
)
def test_the_page_tells_the_constants(told: str, words: str) -> None:
    assert words in told


def test_no_trait_is_left_out() -> None:
    assert set(BY.weights) == set(traits.FEATURES)
    assert traits.DOUBT == 3  # "their number and three"
