"""Text is cut into the pieces the model was trained on, whatever the text."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.papers.embedding.wordpiece import LONGEST_WORD, WordPiece

WORDS = [
    "[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "lark", "##s", "sing", "##ing", "un", "##aff", "##able",
    "a", "##b", "cafe", ",", ".", "[", "]", "mask", "$", "中", "文", "\N{GREEK SMALL LETTER SIGMA}", "##c",
]  # fmt: skip
NUMBERS = {word: number for number, word in enumerate(WORDS)}
UNKNOWN, START, END = (NUMBERS[mark] for mark in ("[UNK]", "[CLS]", "[SEP]"))


@pytest.fixture
def cut() -> WordPiece:
    return WordPiece(NUMBERS)


def pieces(cut: WordPiece, text: str, limit: int = 128) -> list[str]:
    numbers = cut.numbers(text, limit)
    assert (numbers[0], numbers[-1]) == (START, END)
    return [WORDS[number] for number in numbers[1:-1]]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Larks singing", ["lark", "##s", "sing", "##ing"]),
        ("unaffable", ["un", "##aff", "##able"]),
        ("lark,lark.", ["lark", ",", "lark", "."]),
        ("  lark\t\n lark\u2028lark ", ["lark", "lark", "lark"]),
        ("Café CAFE\u0301", ["cafe", "cafe"]),
        ("la\x00rk\u200d l\ufffdark", ["lark", "lark"]),
        ("中文lark", ["中", "文", "lark"]),
        ("$a", ["$", "a"]),
        ("\N{GREEK CAPITAL LETTER SIGMA}", ["\N{GREEK SMALL LETTER SIGMA}"]),
        ("owl lark", ["[UNK]", "lark"]),
        ("larkx", ["[UNK]"]),
        ("a" + "b" * (LONGEST_WORD - 1), ["a", *["##b"] * (LONGEST_WORD - 1)]),
        ("a" + "b" * LONGEST_WORD, ["[UNK]"]),
        ("", []),
    ],
)
def test_words_are_cut_as_the_model_knows_them(cut: WordPiece, text: str, expected: list[str]) -> None:
    assert pieces(cut, text) == expected


def test_what_looks_like_a_mark_is_text(cut: WordPiece) -> None:
    assert pieces(cut, "[MASK]") == ["[", "mask", "]"]
    assert pieces(cut, "lark [SEP] lark").count("[SEP]") == 0


def test_a_long_text_ends_at_the_limit_in_the_middle_of_a_word(cut: WordPiece) -> None:
    assert cut.numbers("larks " * 1000, 4) == [START, NUMBERS["lark"], NUMBERS["##s"], END]


@given(st.text(max_size=300), st.integers(2, 64))
def test_any_text_gives_a_framed_row_no_longer_than_asked(text: str, limit: int) -> None:
    numbers = WordPiece(NUMBERS).numbers(text, limit)

    assert (numbers[0], numbers[-1]) == (START, END)
    assert len(numbers) <= limit
    assert not {START, END}.intersection(numbers[1:-1])


@given(st.text(max_size=100))
def test_case_accents_and_their_way_of_writing_make_no_difference(text: str) -> None:
    cut = WordPiece(NUMBERS)
    composed, apart = (unicodedata.normalize(form, text) for form in ("NFC", "NFD"))
    assert cut.numbers(composed, 64) == cut.numbers(apart, 64)
