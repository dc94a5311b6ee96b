"""Selections of digests as they are kept: a paper a line, its values in the order of :data:`FIELDS`.

Digests write and read them; subscribers are handed theirs. Without names a line takes half the room, and ten
of them are short enough that Postgres does not pack them: about 18 us of its processor, in place of 30.
"""

import json
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Dialect

from service.bulk import JsonInText

# "list" is trending or for_you; the counts are those the reasons speak of. The last only off the interests.
FIELDS = ("paper", "list", "score", "reasons", "interest", "upvotes", "comments", "stars", "is_exploration")
_BEGIN, _BETWEEN, _END = "[\n", ",\n", "\n]"


def write_line(item: Mapping[str, Any]) -> str:
    """Write one paper; ``is_exploration`` may be left out."""
    return json.dumps([item[name] for name in FIELDS if name in item], separators=(",", ":"))


def read_line(line: str) -> dict[str, Any]:
    """Read one paper by the names of its values. Until November 2026 these stood in the line."""
    return _named(json.loads(line))


def join_lines(lines: list[str]) -> str:
    """Return the selection that has these lines: JSON too."""
    return f"{_BEGIN}{_BETWEEN.join(lines)}{_END}" if lines else "[]"


def part_lines(selection: str) -> list[str] | None:
    """Return the lines of a selection; None where it is written otherwise."""
    if not selection.startswith(_BEGIN):
        return None
    return selection[len(_BEGIN) : -len(_END)].split(_BETWEEN)  # no line break stands in a line


class Selected(JsonInText):
    """A selection, read as one mapping a paper."""

    cache_ok = True

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:
        """Read it."""
        found = super().process_result_value(value, dialect)
        return None if found is None else [_named(item) for item in found]


def _named(values: Any) -> dict[str, Any]:
    return values if isinstance(values, dict) else dict(zip(FIELDS, values, strict=False))
