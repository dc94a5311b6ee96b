"""Whether a digest repeats itself: likeness of its papers with each other, and what it costs to lower it.

Each case's interest gets a list of ten as a digest would choose it, once with likeness taken into account and
once without. Likeness is the cosine of TF-IDF vectors of scikit-learn, and of sentence vectors where they are
installed: neither is what the choice itself looks at.
"""

import time
from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from benchmarks.evaluation import measures
from benchmarks.evaluation.baselines import Embed, model_text
from benchmarks.evaluation.cases import Case, World
from benchmarks.evaluation.report import Scores, Task
from benchmarks.evaluation.splitting import Side, is_wanted
from benchmarks.evaluation.systems import Paperlark, profile_of
from service.progress import Progress
from service.ranking.groups import LIKENESS_COST
from service.ranking.selecting import select
from service.ranking.tokens import TokenStore
from service.ranking.values import Trend

LISTED = 10
WHOLE, PLAIN = "Paperlark", "without diversity"
NOTHING_TRENDS: dict[str, Trend] = {}


class Lists(Paperlark):
    """Ten papers of a case, as a digest without a trend chooses them."""

    def choose(self, case: Case, likeness_cost: float) -> list[str]:
        """Choose from the pool; what lies outside of it counts as seen."""
        corpus = self._corpus(case.world, (*case.examples, *case.disliked))
        others = frozenset(paper.id for paper in case.world.papers) - case.pool
        profile = replace(profile_of(case), seen=others)
        chosen = select([profile], corpus, NOTHING_TRENDS, counts=[LISTED], likeness_cost=likeness_cost)
        return [one.id for one in chosen[0].for_you]


def run_diversity(
    name: str,
    cases: Iterable[Case],
    store: TokenStore,
    embed: Embed | None,
    *,
    side: Side | None,
    progress: Progress,
) -> Task:
    """Choose for every case with and without diversity; measure likeness and what is lost."""
    chosen = [case for case in cases if is_wanted(case.group, side)]
    lists, table = Lists("lists", store, embed), {name: Scores(name) for name in (WHOLE, PLAIN)}
    for number, case in enumerate(chosen):
        progress(number, len(chosen), f"diversity, {name}")
        orders = {}
        for system, cost in ((WHOLE, LIKENESS_COST), (PLAIN, 0.0)):
            started = time.perf_counter()
            orders[system] = lists.choose(case, cost)
            table[system].seconds += time.perf_counter() - started
        if len(orders[PLAIN]) == LISTED:  # shorter: all there is, and nothing to choose from
            for system, order in orders.items():
                table[system].add(case.name, case.group, _measure(case, order, embed))
        if number + 1 == len(chosen) or chosen[number + 1].world is not case.world:
            case.world.kept.clear()
    about = f"ten papers for an interest: how alike they are; likeness costs {LIKENESS_COST:g}"
    dense = ("likeness, dense",) if embed else ()
    return Task(f"diversity, {name}", about, ("likeness", *dense, "nDCG@10"), tuple(table.values()), WHOLE)


def _measure(case: Case, order: list[str], embed: Embed | None) -> dict[str, float]:
    rows = _tfidf(case.world, order)
    measured = {"likeness": _mean_pair(rows), "nDCG@10": measures.ndcg(order, case.relevant)}
    if embed is not None:
        by_id = {paper.id: paper for paper in case.world.papers}
        measured["likeness, dense"] = _mean_pair(embed([model_text(by_id[id_]) for id_ in order]))
    return measured


def _mean_pair(rows: npt.NDArray[np.float32]) -> float:
    """Average the cosines of different rows."""
    unit = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-9)
    products = unit @ unit.T
    return float((products.sum() - np.trace(products)) / (len(rows) * (len(rows) - 1)))


def _tfidf(world: World, order: list[str]) -> npt.NDArray[np.float32]:
    from sklearn.feature_extraction.text import TfidfVectorizer

    if "diversity" not in world.kept:
        texts = [f"{paper.title}\n{paper.abstract}" for paper in world.papers]
        places = {paper.id: place for place, paper in enumerate(world.papers)}
        vectors = TfidfVectorizer(sublinear_tf=True, stop_words="english", dtype=np.float32)
        world.kept["diversity"] = places, vectors.fit_transform(texts)
    places, matrix = world.kept["diversity"]  # type: ignore[misc]
    rows: npt.NDArray[np.float32] = matrix[[places[id_] for id_ in order]].toarray()
    return rows
