"""Each way in which a relay may be hostile, and what becomes of the mail (trust 44 to 48, 52, 53)."""

from pathlib import Path

import pytest

from benchmarks.hostile import PAGE, table_of
from service.database import Database
from tests.hostile import CASES, Case, Seen, play


@pytest.mark.trust(44, 45, 46, 47, 48, 52)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_hostile_relay_loses_doubles_and_belies_nothing(
    case: Case, sqlite_database: Database, tmp_path: Path
) -> None:
    seen = play(case, sqlite_database, tmp_path)
    assert (seen.first, seen.end) == (dict(case.first), dict(case.end))
    assert (seen.doubles, seen.false) == (0, 0)


def test_the_page_lists_these_cases_and_what_they_lead_to() -> None:
    expected = table_of([(case, Seen(first=dict(case.first), end=dict(case.end))) for case in CASES])
    assert expected in PAGE.read_text(encoding="utf-8")
