"""Plays every hostile relay and writes into docs/hostile-relays.md what was seen.

Leaves with 1 where anything but the expected was seen.
"""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import structlog

from tests.hostile import COUNT, Case, Seen, play_all

PAGE = Path(__file__).parents[1] / "docs" / "hostile-relays.md"
BEGIN, END = "<!-- table of hostile relays -->", "<!-- end of table -->"


def table_of(played: Sequence[tuple[Case, Seen]]) -> str:
    """Return the table in Markdown."""
    rows = [
        f"| case | what the relay does to {COUNT} messages | expected | seen | once it behaves | doubles |",
        "|---|---|---|---|---|---|",
    ]
    for case, seen in played:
        rows.append(
            f"| `{case.name}` | {case.relay} | {_words(case.first)} | {_words(seen.first)} |"
            f" {_words(seen.end)} | {seen.doubles} |"
        )
    return "\n".join(rows)


def _words(states: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {state}" for state, count in sorted(states.items()))


def main() -> int:
    """Play, print what is off, write the page."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    played = play_all()
    head, _, rest = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    tail = rest.partition(END)[2]
    PAGE.write_text(f"{head}{BEGIN}\n{table_of(played)}\n{END}{tail}", encoding="utf-8")
    off = [
        case.name
        for case, seen in played
        if seen.first != dict(case.first) or seen.end != dict(case.end) or seen.doubles or seen.false
    ]
    print(f"{len(played)} hostile relays played; not as expected: {', '.join(off) or 'none'}")
    return 1 if off else 0


if __name__ == "__main__":
    raise SystemExit(main())
