"""What a digest says as it is written down: the same, whatever was frozen before it."""

from datetime import UTC, datetime

from service.digests.choosing import Draft
from service.digests.due import Due
from service.digests.freezing import LINES, Lines, freeze_selection
from service.ranking.values import Ranked, Selection

NOW = datetime(2026, 2, 13, 8, tzinfo=UTC)


def a_draft(number: int, of_person: int = 10) -> Draft:
    """One person's draft with papers that nobody else has, made anew."""
    papers = tuple(
        Ranked(
            id=f"{number}.{place}", score=1 / (place + 1), reasons=(f"reason {number}",), interest="Graphs"
        )
        for place in range(of_person)
    )
    due = Due(number, number, NOW.date(), NOW, NOW, of_person, None)
    return Draft(due, selection=Selection(trending=papers[:4], for_you=papers[4:9], exploration=papers[9]))


def test_lines_are_those_of_the_draft_even_where_an_object_takes_the_place_of_one_that_is_gone() -> None:
    lines = Lines()
    for number in range(2 * LINES // 10):  # more papers than are kept, each gone as soon as it is frozen
        draft = a_draft(number)
        assert freeze_selection(draft, lines) == freeze_selection(draft)


def test_a_list_in_which_some_papers_are_known_is_whole() -> None:
    lines, known, new = Lines(), a_draft(1), a_draft(2)
    assert known.selection
    assert new.selection
    mixed = Draft(
        new.due,
        selection=Selection(
            trending=(known.selection.trending[0], new.selection.trending[1]),
            for_you=(known.selection.trending[1], *new.selection.for_you),  # in the other list
        ),
    )
    freeze_selection(known, lines)
    assert freeze_selection(mixed, lines) == freeze_selection(mixed)


def test_a_skipped_digest_has_no_papers() -> None:
    assert freeze_selection(Draft(a_draft(1).due, skip_reason="empty")) == "[]"
