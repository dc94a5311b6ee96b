"""What stands alone begins in upper case, unless it has a spelling of its own."""

import pytest

from service.sentences import as_sentence


@pytest.mark.parametrize(
    ("reason", "shown"),
    [
        ("matches 'larks': larks, wrens", "Matches 'larks': larks, wrens"),
        ("by van der Berg, an author you follow", "By van der Berg, an author you follow"),
        ("outside your interests, for a change", "Outside your interests, for a change"),
        ("new", "New"),
        ("well: so it is.", "Well: so it is."),
        ("stars.", "Stars."),
    ],
)
def test_a_word_gets_a_capital(reason: str, shown: str) -> None:
    assert as_sentence(reason) == shown
    assert as_sentence(shown) == shown


@pytest.mark.parametrize(
    "reason",
    [
        "", "42 votes, 30 in the last day", "'larks' is a phrase of yours", "“larks” is a phrase of yours",
        "arXiv lists it", "cs.LG is a category of yours", "hep-ph/0309136 is like it", "gpt4 is named",
        "c++ is named", "éclair is named", "x_y is named", "Already so", " blank first", "<b>tag</b>",
    ],
)  # fmt: skip
def test_what_has_a_spelling_of_its_own_stays(reason: str) -> None:
    assert as_sentence(reason) == reason
