"""Which half a day, a list or a person belongs to, so that what is tuned on is never reported on."""

from hashlib import sha256
from typing import Literal

Side = Literal["tuning", "report"]
SALT = "paperlark-evaluation-1"  # never changed: another salt would mix what was tuned on into the report


def side_of(key: str) -> Side:
    """Give the half of ``key`` by its hash alone; all cases of one list, day or person share it."""
    return "tuning" if sha256(f"{SALT}\0{key}".encode()).digest()[0] % 2 else "report"


def is_wanted(key: str, side: Side | None) -> bool:
    """Say whether ``key`` belongs to ``side``; None stands for both halves."""
    return side is None or side_of(key) == side
