"""``python -m benchmarks.evaluation``: all tasks, or some, as a table or as JSON."""

import argparse
import os
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict

from benchmarks.evaluation import baselines, cases, systems
from benchmarks.evaluation.diversity import run_diversity
from benchmarks.evaluation.goals import goal_lines, goals
from benchmarks.evaluation.recorded import NoRecordedData, Recorded, open_recorded
from benchmarks.evaluation.report import Task, as_json, peak_megabytes
from benchmarks.evaluation.running import run_cases, run_trending
from benchmarks.evaluation.splitting import Side
from benchmarks.evaluation.vectors import KeptVectors, cache_folder
from service.commands.output import progress_bar
from service.config import Settings
from service.papers.embedding import open_embedder
from service.papers.vectors import load_vectors, save_vectors
from service.progress import Progress
from service.ranking.tokens import TokenStore

TASKS = ("trending", "phrases", "examples", "libraries", "dislikes", "diversity")
ABOUT = {
    "phrases": "curated lists asked for by their name and headings",
    "examples": "later papers of curated lists, by the first ten",
    "libraries": "papers saved later, by those saved before",
    "dislikes": "later papers of a list, with those of a similar one refused",
}


def main(words: Sequence[str] | None = None) -> int:
    """Run what is asked for; 2 where the recorded data or scikit-learn is missing."""
    chosen = _parser().parse_args(words)
    try:
        recorded = open_recorded()
        import sklearn  # noqa: F401 - the baselines need it; better said now than after minutes
    except NoRecordedData as error:
        sys.stderr.write(f"evaluation: {error}; nothing was measured\n")
        return 2
    except ImportError:
        sys.stderr.write("evaluation: the baselines need scikit-learn: pip install -e '.[evaluate]'\n")
        return 2
    side: Side | None = None if chosen.split == "all" else chosen.split
    started, tasks = time.perf_counter(), []
    with progress_bar() as progress:
        for task in _tasks(recorded, chosen.task or TASKS, side, progress):
            tasks.append(task)
            if not chosen.json:
                sys.stdout.write("\n".join(task.lines()) + "\n\n")
                sys.stdout.flush()
    found = list(goals(tasks))
    seconds, memory = time.perf_counter() - started, peak_megabytes()
    if chosen.json:
        reached = [asdict(goal) | {"is_reached": goal.is_reached} for goal in found]
        about: dict[str, object] = {
            "goals": reached,
            "split": chosen.split,
            "seconds": round(seconds, 1),
            "peak_megabytes": memory,
        }
        sys.stdout.write(as_json(tasks, about) + "\n")
    else:
        sys.stdout.write("".join(f"{line}\n" for line in goal_lines(found)))
        sys.stdout.write(f"split: {chosen.split}; {seconds:.0f} s; at most {memory:,} MB\n")
        sys.stdout.write("value [95 % interval by bootstrap over groups]; Spearman: median, all else: mean\n")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.evaluation", description=__doc__)
    parser.add_argument("--task", action="append", choices=TASKS, help="only this task; may be repeated")
    parser.add_argument(
        "--split", choices=("report", "tuning", "all"), default="report",
        help="the half of days, lists and people: report (default), or tuning while constants are chosen",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print JSON, for machines")
    return parser


def _tasks(recorded: Recorded, names: Sequence[str], side: Side | None, progress: Progress) -> Iterator[Task]:
    if "trending" in names:
        yield from run_trending(recorded, side, progress)
    store = load_vectors(cache_folder())
    embed = _embed(progress)
    under_test = _systems(recorded, embed, store)
    ask = {
        "phrases": cases.from_phrases,
        "examples": cases.from_examples,
        "libraries": cases.from_libraries,
        "dislikes": cases.against_dislikes,
    }
    for name in [name for name in TASKS if name in names and name in ask]:
        yield run_cases(name, ABOUT[name], ask[name](recorded), under_test, side=side, progress=progress)
        save_vectors(store, cache_folder())
    if "diversity" in names:
        for name in ("phrases", "examples", "libraries"):
            yield run_diversity(name, ask[name](recorded), store, embed, side=side, progress=progress)


def _embed(progress: Progress) -> baselines.Embed | None:
    os.environ.setdefault("PAPERLARK_ENVIRONMENT", "test")
    embedder = open_embedder(Settings())
    return KeptVectors(embedder, cache_folder(), progress).embed if embedder else None


def _systems(recorded: Recorded, embed: baselines.Embed | None, store: TokenStore) -> list[baselines.System]:
    dense = [baselines.DenseOnly(embed)] if embed else []
    return [
        *systems.all_systems(store, embed),
        baselines.TfidfCentroid(),
        baselines.Bm25(),
        baselines.SanitySvm(0.01),
        baselines.SanitySvm(0.1),
        *dense,
        baselines.most_votes(recorded.votes),
        baselines.newest_first(),
    ]


if __name__ == "__main__":
    sys.exit(main())
