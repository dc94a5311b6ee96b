"""What the ranking is to reach, and whether it did, in one summary of a run."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from benchmarks.evaluation.measures import Estimate, difference, ratio
from benchmarks.evaluation.report import Scores, Task

MEASURE = "nDCG@10"
LEAD = 0.05  # 5 points of 100
RATIO = 1.3
BY_EXAMPLES = ("examples", "libraries", "dislikes")
LEARNERS = ("TF-IDF centroid", "SVM per tag (C=0.01)", "SVM per tag (C=0.1)")
WORDS_ALONE = "BM25"
VOTES = "upvotes now"
AHEAD = 0.001  # of the votes: above them, as far as the table's three decimals tell


@dataclass(frozen=True, slots=True)
class Goal:
    """One thing to reach, what was reached, and how sure that is."""

    what: str
    wanted: float
    reached: Estimate

    @property
    def is_reached(self) -> bool:
        """Whether the average reaches it; its interval may still go below."""
        return self.reached.value >= self.wanted

    def line(self) -> str:
        """Write it for people."""
        found = self.reached
        mark = "reached" if self.is_reached else "not reached"
        return (
            f"  {mark:12} {self.what}: {found.value:.3f} [{found.low:.3f} {found.high:.3f}],"
            f" wanted {self.wanted:g}"
        )


def goals(tasks: Iterable[Task]) -> Iterator[Goal]:
    """Give the goals of those tasks that were run, on nDCG@10 where they name no other measure."""
    for task in tasks:
        systems = {one.system: one for one in task.systems}
        ours = systems.get(task.reference)
        if ours is None:
            continue
        if task.name.startswith("trending") and task.name.endswith("next day") and VOTES in systems:
            yield from _ahead_of_votes(task.name, ours, systems[VOTES])
        if task.name == "phrases" and WORDS_ALONE in systems:
            yield Goal(f"phrases: times {WORDS_ALONE}", RATIO, _ratio(ours, systems[WORDS_ALONE]))
        if task.name in BY_EXAMPLES:
            for name in LEARNERS:
                if name in systems and (lead := ours.lead(systems[name], MEASURE)) is not None:
                    yield Goal(f"{task.name}: ahead of {name}", LEAD, lead)


def _ahead_of_votes(name: str, ours: Scores, votes: Scores) -> Iterator[Goal]:
    for measure, how in (("Spearman", "median Spearman"), ("top 5", "mean top 5")):
        mine, theirs = ours.values[measure], votes.values[measure]
        cases = sorted(mine.keys() & theirs.keys())
        lead = difference(
            [mine[case] for case in cases],
            [theirs[case] for case in cases],
            [ours.group_of[case] for case in cases],
            median=measure == "Spearman",
        )
        yield Goal(f"{name}: {how} ahead of {VOTES}", AHEAD, lead)


def _ratio(ours: Scores, theirs: Scores) -> Estimate:
    mine, other = ours.values[MEASURE], theirs.values[MEASURE]
    cases = [case for case in mine if case in other]
    groups = [ours.group_of[case] for case in cases]
    return ratio([mine[case] for case in cases], [other[case] for case in cases], groups)


def goal_lines(found: Sequence[Goal]) -> list[str]:
    """Write the summary; nothing where no goal was asked."""
    return (
        ["goals, on nDCG@10 where no other measure is named:", *(goal.line() for goal in found)]
        if found
        else []
    )
