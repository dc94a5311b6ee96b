"""Cuts text into the pieces of words that BERT models read (Devlin et al. 2019, uncased)."""

import itertools
import string
import unicodedata
from collections.abc import Iterator, Mapping

LONGEST_WORD = 100  # characters; longer ones are unknown
# Writing without spaces: each of these signs is a word (the ranges of BERT's own tokenizer).
IDEOGRAPHS = (
    (0x4E00, 0x9FFF), (0x3400, 0x4DBF), (0x20000, 0x2A6DF), (0x2A700, 0x2B73F), (0x2B740, 0x2B81F),
    (0x2B820, 0x2CEAF), (0xF900, 0xFAFF), (0x2F800, 0x2FA1F),
)  # fmt: skip


class WordPiece:
    """Turns text into the numbers of a vocabulary, the longest piece first."""

    def __init__(self, vocabulary: Mapping[str, int]) -> None:
        """Take a vocabulary that marks pieces inside a word with ``##``.

        Raises:
            KeyError: it lacks ``[UNK]``, ``[CLS]`` or ``[SEP]``.
        """
        self._vocabulary = vocabulary
        self._unknown, self._start, self._end = (vocabulary[name] for name in ("[UNK]", "[CLS]", "[SEP]"))
        self._signs = _Signs()

    def numbers(self, text: str, limit: int) -> list[int]:
        """Give at most ``limit`` numbers, the marks of start and end among them.

        What looks like a mark in the text is plain text: nobody can end it early.
        """
        pieces = itertools.chain.from_iterable(map(self._pieces, self._words(text)))
        return [self._start, *itertools.islice(pieces, limit - 2), self._end]

    def _words(self, text: str) -> list[str]:
        plain = unicodedata.normalize("NFD", text).translate(self._signs)
        # Python writes a final sigma at the end of a word, the model's own tokenizer never does.
        return plain.replace("Σ", "\N{GREEK SMALL LETTER SIGMA}").lower().split()

    def _pieces(self, word: str) -> Iterator[int]:
        if len(word) > LONGEST_WORD:
            return iter((self._unknown,))
        numbers, start = [], 0
        while start < len(word):
            mark = "##" if start else ""
            ends = range(len(word), start, -1)
            end = next((end for end in ends if mark + word[start:end] in self._vocabulary), None)
            if end is None:
                return iter((self._unknown,))
            numbers.append(self._vocabulary[mark + word[start:end]])
            start = end
        return iter(numbers)


class _Signs(dict[int, str]):
    """What stands for each character: nothing for accents and controls, spaces around marks."""

    def __missing__(self, code: int) -> str:
        sign = self[code] = _plain(chr(code))
        return sign


def _plain(sign: str) -> str:
    category = unicodedata.category(sign)
    if sign in "\t\n\r" or category.startswith("Z"):
        return " "
    if category.startswith("C") or category == "Mn" or sign == "\ufffd":
        return ""
    if (
        category.startswith("P")
        or sign in string.punctuation
        or any(first <= ord(sign) <= last for first, last in IDEOGRAPHS)
    ):
        return f" {sign} "
    return sign
