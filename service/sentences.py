"""Words that stand alone where they are shown."""

import re

# A word of plain small letters: neither "arXiv", "cs.LG" and "hep-ph", nor anything quoted.
_FIRST_WORD = re.compile(r"[a-z]+(?=[,:;!?]|\.?(?:\s|$))")


def as_sentence(text: str) -> str:
    """Return ``text`` with a capital where it begins with an ordinary word: reasons are kept without one.

    Digits, quotes, ids and names with a spelling of their own stay.
    """
    return text[0].upper() + text[1:] if _FIRST_WORD.match(text) else text
