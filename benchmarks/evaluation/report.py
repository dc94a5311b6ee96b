"""One table of all tasks, for people and for machines."""

import json
import resource
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field

from benchmarks.evaluation.measures import Estimate, estimate


@dataclass
class Scores:
    """What one system reached on the cases of one task."""

    system: str
    seconds: float = 0.0
    values: dict[str, dict[str, float]] = field(default_factory=dict)  # measure -> case -> value
    group_of: dict[str, str] = field(default_factory=dict)

    def add(self, case: str, group: str, measured: dict[str, float]) -> None:
        """Take the measures of one case."""
        self.group_of[case] = group
        for measure, value in measured.items():
            self.values.setdefault(measure, {})[case] = value

    def estimate(self, measure: str) -> Estimate | None:
        """Average a measure: the median for correlations, else the mean."""
        cases = self.values.get(measure)
        if not cases:
            return None
        groups = [self.group_of[case] for case in cases]
        return estimate(list(cases.values()), groups, median=measure == "Spearman")

    def lead(self, other: "Scores", measure: str) -> Estimate | None:
        """Average how far this system is ahead of ``other``, over the cases that both were asked."""
        mine, theirs = self.values.get(measure, {}), other.values.get(measure, {})
        shared = [case for case in mine if case in theirs]
        if not shared:
            return None
        return estimate([mine[one] - theirs[one] for one in shared], [self.group_of[one] for one in shared])


@dataclass(frozen=True)
class Task:
    """The outcome of one task."""

    name: str
    about: str
    measures: tuple[str, ...]
    systems: tuple[Scores, ...]
    reference: str  # the system whose lead over each other is told

    def lines(self) -> list[str]:
        """Write the table: value and 95 % interval of each measure, then the reference's lead."""
        first = self.measures[0]
        cases = max((len(one.group_of) for one in self.systems), default=0)
        groups = len({group for one in self.systems for group in one.group_of.values()})
        lines = [f"{self.name}: {self.about} ({cases} cases of {groups} groups)"]
        heads = "".join(f"{measure:>24}" for measure in self.measures)
        lines.append(f"  {'':32}{heads}{f'{self.reference} ahead, {first}':>34}{'s':>8}")
        mine = next((one for one in self.systems if one.system == self.reference), None)
        for one in self.systems:
            cells = "".join(f"{_cell(one.estimate(measure)):>24}" for measure in self.measures)
            lead = mine.lead(one, first) if mine and one is not mine else None
            lines.append(f"  {one.system:32}{cells}{_cell(lead, signed=True):>34}{one.seconds:8.1f}")
        return lines


def as_json(tasks: Sequence[Task], about: dict[str, object]) -> str:
    """Write all tasks with every estimate."""
    data = {
        **about,
        "tasks": [
            {
                "name": task.name,
                "about": task.about,
                "systems": [
                    {
                        "system": one.system,
                        "seconds": round(one.seconds, 2),
                        "cases": len(one.group_of),
                        **{
                            measure: asdict(found)
                            for measure in task.measures
                            if (found := one.estimate(measure)) is not None
                        },
                    }
                    for one in task.systems
                ],
            }
            for task in tasks
        ],
    }
    return json.dumps(data, indent=2, ensure_ascii=False)


def peak_megabytes() -> int:
    """Give the most memory this process has held, in MB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return int(peak // (1_000_000 if sys.platform == "darwin" else 1_000))


def _cell(found: Estimate | None, *, signed: bool = False) -> str:
    if found is None:
        return "-"
    sign = "+" if signed else ""
    return f"{found.value:{sign}.3f} [{found.low:{sign}.3f} {found.high:{sign}.3f}]"
