"""Zero-width joiners and their like: kept where emoji or a script need them, taken out where they only hide.

U+200D joins emoji into one ("family", "heart on fire") and shapes letters of Indic scripts; U+200C parts
letters of Persian and Indic scripts. Anywhere else nobody sees them: there they make words differ
that look the same.
"""

import re
import unicodedata
from functools import lru_cache

ZWNJ, ZWJ = "\u200c", "\u200d"
_EMOJI_STYLE = "\ufe0f"
_VIRAMA = 9  # canonical combining class of the signs that join two consonants of Indic scripts
_MARKS_AT_MOST = 30  # upon one letter (UAX 15, D3): thousands take seconds to sort, minutes to look at

# Signs of which joined emoji are made (emoji-zwj-sequences.txt), colours of skin among them.
_PICTURE = re.compile("[\u2194\u2195\u2600-\u27bf\u2b00-\u2bff\U0001f000-\U0001faff]")
_FLAG = "(?<=\U0001f3f4)[\U000e0020-\U000e007e]{1,8}\U000e007f"  # of Scotland, Texas, …
MAY_JOIN = frozenset({ZWNJ, ZWJ, *map(chr, range(0xE0020, 0xE0080))})  # what is worth asking after
_TAGS = re.compile(f"({_FLAG})|[\U000e0000-\U000e007f]+")
_JOINERS = re.compile(f"[{ZWNJ}{ZWJ}]+")

# Scripts whose letters are written joined (ArabicShaping.txt): first and last sign.
_CURSIVE = (
    (0x0620, 0x06FF),  # Arabic, Persian, Urdu, …
    (0x0710, 0x074F),  # Syriac
    (0x0750, 0x077F),  # Arabic supplement
    (0x07CA, 0x07EA),  # N'Ko
    (0x0840, 0x0858),  # Mandaic
    (0x0860, 0x08C9),  # Syriac supplement, Arabic extended
    (0x1820, 0x18AA),  # Mongolian
    (0x1E900, 0x1E943),  # Adlam
)


def without_stray_joiners(text: str) -> str:
    """Return ``text`` with joiners, and the tags of flags, only where they do something that can be seen."""
    if text.isascii():
        return text
    # Tags first: one beside a joiner would be taken for what it joins.
    text = _TAGS.sub(lambda found: found[1] or "", text)
    return _JOINERS.sub(lambda found: found[0] if _is_needed(found) else "", text)


def compose(text: str) -> str:
    """Return ``text`` in NFC, with joiners only where they do something, and no sign under heaps of marks."""
    composed = unicodedata.normalize("NFC", _with_few_marks(text))
    while (kept := without_stray_joiners(composed)) != composed:
        composed = unicodedata.normalize("NFC", kept)  # a stray one may have kept a letter from its accent
    return composed


def _with_few_marks(text: str) -> str:
    """Leave out marks beyond the thirtieth upon one sign: no language has them."""
    kept, marks = [], 0
    for sign in text:
        if unicodedata.combining(sign):
            marks += 1
        elif sign not in MAY_JOIN:
            marks = 0
        if marks <= _MARKS_AT_MOST or not unicodedata.combining(sign):
            kept.append(sign)
    return "".join(kept)


def _is_needed(found: re.Match[str]) -> bool:
    if len(found[0]) > 1:
        return False
    text, start = found.string, found.start()
    before, after = text[start - 1 : start], text[found.end() : found.end() + 1]
    if _is_virama(before):
        return True  # half letters, or signs kept apart, of Indic scripts
    is_cursive, goes_on = _is_cursive(_base_before(text, start)), _is_cursive(after)
    if found[0] == ZWNJ:
        return is_cursive and goes_on
    if is_cursive != goes_on or (_is_virama(after) and _is_letter(before)):
        return True  # a letter's joined shape at a word's end, ra before a virama
    picture = text[start - 2 : start - 1] if before == _EMOJI_STYLE else before
    return bool(_PICTURE.match(picture) and _PICTURE.match(after))


def _base_before(text: str, end: int) -> str:
    """Return the sign before ``end``, marks upon it and joiners among them left out.

    Joiners don't count among the marks: it is the same sign once some of them are gone.
    """
    marks = 0
    while end and marks < _MARKS_AT_MOST:
        if unicodedata.category(text[end - 1]) == "Mn":
            marks += 1
        elif text[end - 1] not in {ZWNJ, ZWJ}:
            break
        end -= 1
    return text[end - 1 : end]


@lru_cache(maxsize=1024)
def _is_virama(sign: str) -> bool:
    return bool(sign) and unicodedata.combining(sign) == _VIRAMA


@lru_cache(maxsize=1024)
def _is_letter(sign: str) -> bool:
    return bool(sign) and unicodedata.category(sign) == "Lo"


@lru_cache(maxsize=1024)
def _is_cursive(sign: str) -> bool:
    is_letter = bool(sign) and unicodedata.category(sign) in {"Lo", "Lm"}
    return is_letter and any(first <= ord(sign) <= last for first, last in _CURSIVE)
