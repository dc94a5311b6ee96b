"""How good the ranking is on the small frozen set. Floors lie below what was measured; a fall is a fault."""

from collections.abc import Iterable
from statistics import fmean

import numpy as np
import pytest

from benchmarks.evaluation import frozen, measures
from benchmarks.evaluation.cases import Case
from benchmarks.evaluation.splitting import side_of
from benchmarks.evaluation.systems import Paperlark, without_dislikes
from service.ranking.tokens import TokenStore

# Measured when written: 0.98 and 0.99 from phrases, 0.39 and 0.68 from two examples, 0.74 of what is refused.
PHRASES_NDCG, PHRASES_AUC = 0.94, 0.97
EXAMPLES_NDCG, EXAMPLES_AUC = 0.35, 0.64
SPECIFICITY = 0.68
HALVES = {"2025-10-08": "report", "leofan90/Awesome-World-Models": "report", "u1": "tuning"}


@pytest.fixture(scope="module")
def paperlark() -> Paperlark:
    return Paperlark("Paperlark", TokenStore())


def asked(system: Paperlark, cases: Iterable[Case]) -> list[tuple[Case, list[str]]]:
    answered = [(case, system.order(case)) for case in cases]
    assert len(answered) >= 5
    for case, order in answered:
        assert order is not None
        assert len(order) == len(case.pool)
        assert set(order) == case.pool
    return [(case, order) for case, order in answered if order]


def test_every_judgement_names_papers_of_the_issue() -> None:
    known = {paper.id for paper in frozen.world().papers}
    assert len(known) == 64
    for case in (*frozen.by_phrases(), *frozen.by_examples(), *frozen.with_dislikes()):
        assert case.relevant <= case.pool <= known, case.name
        assert case.relevant
        assert case.refused.isdisjoint(case.relevant)
        assert case.refused <= case.pool


def test_phrases_find_what_fits(paperlark: Paperlark) -> None:
    answered = asked(paperlark, frozen.by_phrases())
    assert fmean(measures.ndcg(order, case.relevant) for case, order in answered) >= PHRASES_NDCG
    assert fmean(measures.auc(order, case.relevant) for case, order in answered) >= PHRASES_AUC


def test_two_examples_find_the_rest(paperlark: Paperlark) -> None:
    answered = asked(paperlark, frozen.by_examples())
    assert fmean(measures.ndcg(order, case.relevant) for case, order in answered) >= EXAMPLES_NDCG
    assert fmean(measures.auc(order, case.relevant) for case, order in answered) >= EXAMPLES_AUC


def test_what_is_refused_stays_behind(paperlark: Paperlark) -> None:
    answered = asked(paperlark, frozen.with_dislikes())
    heard = fmean(measures.specificity(order, case.relevant, case.refused) for case, order in answered)
    unheard = fmean(
        measures.specificity(order, case.relevant, case.refused)
        for case, order in asked(Paperlark("", TokenStore(), change=without_dislikes), frozen.with_dislikes())
    )
    assert heard >= SPECIFICITY
    assert heard >= unheard


def test_measures_agree_with_what_is_worked_out_by_hand() -> None:
    order, relevant = ["a", "b", "c", "d"], {"a", "c"}
    assert measures.ndcg(order, relevant) == pytest.approx((1 + 0.5) / (1 + 0.6309298))
    assert measures.precision(order, relevant, 2) == 0.5
    assert measures.recall(order, relevant, 3) == 1.0
    assert measures.auc(order, relevant) == 0.75
    assert measures.auc(order, {"a"}, {"d"}) == 1.0
    assert measures.specificity(order, {"a"}, {"b", "d"}) == 1.0
    assert measures.specificity(order, {"c"}, {"b", "d"}) == 0.5


def test_ties_share_their_places() -> None:
    same, rising = np.array([1.0, 1.0, 1.0, 1.0]), np.array([1.0, 2.0, 3.0, 4.0])
    assert measures.spearman(same, rising) == 0.0
    assert measures.spearman(rising, rising) == pytest.approx(1.0)
    assert measures.spearman(-rising, rising) == pytest.approx(-1.0)
    assert measures.top_overlap(same, rising, 2) == 0.5  # two of four places, drawn blindly
    assert measures.top_overlap(rising, same, 2) == 1.0  # any two are as good
    assert measures.top_overlap(rising, -rising, 2) == 0.0


def test_an_average_comes_with_the_spread_of_its_groups() -> None:
    found = measures.estimate([0.0, 0.0, 1.0, 1.0], ["a", "a", "b", "b"])
    assert (found.low, found.value, found.high) == (0.0, 0.5, 1.0)


def test_a_list_never_changes_its_half() -> None:
    """What was tuned on would be reported on: these are the halves since the first run."""
    halves = {name: side_of(name) for name in ("2025-10-08", "leofan90/Awesome-World-Models", "u1")}
    assert halves == HALVES
    assert {side_of(f"{number}") for number in range(20)} == {"tuning", "report"}
