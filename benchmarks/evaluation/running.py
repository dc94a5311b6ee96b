"""Runs the tasks: every system on every case."""

import time
from collections.abc import Iterable, Iterator, Sequence

from benchmarks.evaluation import measures, trending
from benchmarks.evaluation.baselines import System
from benchmarks.evaluation.cases import Case
from benchmarks.evaluation.recorded import Recorded
from benchmarks.evaluation.report import Scores, Task
from benchmarks.evaluation.splitting import Side, is_wanted
from service.progress import Progress

REFERENCE = "Paperlark"
ORDER_MEASURES = ("nDCG@10", "P@10", "recall@50", "AUC")
DISLIKE_MEASURES = ("specificity", "AUC refused", "nDCG@10")


def run_trending(recorded: Recorded, side: Side | None, progress: Progress) -> Iterator[Task]:
    """Ask how well early orders foretell later ones, for each window and outcome."""
    scorers = trending.scorers()
    for outcome in ("next day", "week"):
        days = [one for one in trending.early_days(recorded, outcome) if is_wanted(f"{one.day}", side)]
        for window in trending.WINDOWS:
            chosen = [one for one in days if one.window == window]
            table = {name: Scores(name) for name in scorers}
            for number, early in enumerate(chosen):
                progress(number, len(chosen), f"trending, {window}")
                for name, score in scorers.items():
                    started = time.perf_counter()
                    measured = trending.measure(score(early), early)
                    table[name].seconds += time.perf_counter() - started
                    table[name].add(f"{early.day}", f"{early.day}", measured)
            if chosen:
                about = f"order known at {window} against the order by votes of the {outcome}"
                yield Task(
                    f"trending {window}, {outcome}", about, ("Spearman", "top 5", "top 10"),
                    tuple(table.values()), REFERENCE,
                )  # fmt: skip


def run_cases(
    name: str,
    about: str,
    cases: Iterable[Case],
    systems: Sequence[System],
    *,
    side: Side | None,
    progress: Progress,
) -> Task:
    """Let every system order every case of one task."""
    chosen = [case for case in cases if is_wanted(case.group, side)]
    table = {system.name: Scores(system.name) for system in systems}
    for number, case in enumerate(chosen):
        progress(number, len(chosen), name)
        for system in systems:
            started = time.perf_counter()
            order = system.order(case)
            table[system.name].seconds += time.perf_counter() - started
            if order is not None:
                table[system.name].add(case.name, case.group, _measure(case, order))
        if number + 1 == len(chosen) or chosen[number + 1].world is not case.world:
            case.world.kept.clear()
    asked = tuple(one for one in table.values() if one.group_of)
    shown = DISLIKE_MEASURES if any(case.refused for case in chosen) else ORDER_MEASURES
    return Task(name, about, shown, asked, REFERENCE)


def _measure(case: Case, order: list[str]) -> dict[str, float]:
    if set(order) != case.pool:
        raise ValueError(f"{case.name}: not an order of its pool")
    measured = {
        "nDCG@10": measures.ndcg(order, case.relevant),
        "P@10": measures.precision(order, case.relevant),
        "recall@50": measures.recall(order, case.relevant),
        "AUC": measures.auc(order, case.relevant),
    }
    if case.refused:
        measured["specificity"] = measures.specificity(order, case.relevant, case.refused)
        measured["AUC refused"] = measures.auc(order, case.relevant, case.refused)
    return measured
