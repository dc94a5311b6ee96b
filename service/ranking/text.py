"""Text to words: folding, splitting, light stemming. Two strengths, since hiding and finding differ.

``plain`` folds a word and its plural together, and no more: mutes hide by it. ``stem`` goes on to the usual
English endings: phrases find by it.
"""

import re
import unicodedata
from functools import lru_cache

# Letters that no decomposition splits into a base and an accent.
_LETTERS = str.maketrans(
    {"ø": "o", "ł": "l", "đ": "d", "ð": "d", "þ": "th", "æ": "ae", "œ": "oe", "\u0131": "i"}
)
# Scripts written without spaces: every character is a word, so that phrases are runs of characters.
_UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff"
_WORD = re.compile(rf"[{_UNSPACED}]|(?<![^\W_])[a-z](?:\+\+|#)(?!\w)|[^\W_{_UNSPACED}]+")
_ASCII_WORD = re.compile(r"(?<![a-z0-9])[a-z](?:\+\+|#)(?!\w)|[a-z0-9]+")

# fmt: off
_SINGULAR_IN_S = frozenset((
    "alias", "always", "atlas", "bias", "canvas", "does", "gas", "has", "its", "lens", "news", "perhaps",
    "series", "species", "this", "was", "whereas",
))
_STEMS_KEPT = frozenset((
    "bring", "during", "embed", "feed", "king", "need", "ring", "seed", "shed", "speed", "spring", "string",
    "thing",
))
# fmt: on
_DOUBLED = re.compile(r"([bdfglmnprt])\1$")
_VOWEL = re.compile(r"[aeiouy]")
_SHORT = re.compile(r"[^aeiouy]*[aeiouy][^aeiouwxy]$")

# fmt: off
STOPWORDS = frozenset((
    "a", "about", "across", "after", "all", "also", "an", "and", "any", "are", "as", "at", "be", "been",
    "between", "both", "but", "by", "can", "do", "each", "either", "for", "from", "had", "has", "have",
    "how", "however", "if", "in", "into", "is", "it", "its", "may", "more", "most", "much", "nor", "not",
    "of", "off", "on", "only", "or", "other", "our", "over", "per", "same", "so", "some", "such", "than",
    "that", "the", "their", "them", "then", "there", "these", "they", "this", "those", "through", "to",
    "too", "under", "up", "us", "use", "used", "using", "via", "was", "we", "were", "what", "when", "where",
    "which", "while", "who", "whose", "will", "with", "within", "without", "would", "you", "your",
))
# fmt: on


def fold(text: str) -> str:
    """Lower the case and take off accents, ligatures and characters that can't be seen."""
    if text.isascii():
        return text.lower()
    parts = unicodedata.normalize("NFKD", text).casefold().translate(_LETTERS)
    parts = unicodedata.normalize("NFKD", parts)  # casefolding can compose anew
    return "".join(one for one in parts if unicodedata.category(one) not in {"Mn", "Cf"})


def words(text: str) -> list[str]:
    """Split into folded words; hyphens and other marks part words, "c++" and "c#" are words."""
    folded = fold(text)
    return (_ASCII_WORD if folded.isascii() else _WORD).findall(folded)


@lru_cache(maxsize=200_000)
def plain(word: str) -> str:
    """Give a folded word and its plural one form; the form itself need not be a word."""
    if len(word) < 4 or word in _SINGULAR_IN_S:
        return word
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    if word.endswith("s") and not word.endswith(("ss", "us", "is")):
        word = word[:-1]
    if word.endswith(("che", "she", "xe", "se", "ze")) and len(word) > 3:
        word = word[:-1]
    return word


@lru_cache(maxsize=200_000)
def stem(word: str) -> str:
    """Take off the common English endings: "planning" and "planned" become one, "planet" stays."""
    word = plain(word)
    if len(word) < 4 or word in _STEMS_KEPT or not word.isalpha():
        return word
    for ending in ("isation", "ization", "ising", "izing", "ised", "ized", "iser", "izer", "is", "iz"):
        if word.endswith(ending) and len(word) - len(ending) >= 4:
            return word[: -len(ending)] + "iz"
    for ending, least in (("ing", 3), ("ed", 3), ("ion", 5), ("ive", 5)):
        rest = word[: -len(ending)]
        if word.endswith(ending) and len(rest) >= least and _VOWEL.search(rest) and _fits(ending, rest):
            single = _DOUBLED.sub(r"\1", rest)
            # "tuning" comes from "tune", "planning" from "plan": Porter's rule for short stems.
            return rest + "e" if single == rest and _SHORT.match(rest) else single
    if word.endswith("e") and not _SHORT.match(word[:-1]):
        word = word[:-1]
    return _DOUBLED.sub(r"\1", word)


def says_little(word: str) -> bool:
    """Say whether a folded word or stem is too common, too short or a bare number."""
    return word in STOPWORDS or (len(word) < 2 and word.isascii()) or word.isdigit()


def _fits(ending: str, rest: str) -> bool:
    if ending in {"ion", "ive"}:
        return rest[-1] in "st"
    return not (ending == "ed" and rest.endswith("e"))
