r"""TeX accents as Unicode: arXiv's feeds write ``Andr\'e`` where people write André."""

import re
import unicodedata

# TeX control symbol or letter -> Unicode combining mark (The TeXbook, chapter 9; \k from the T1 encoding).
MARKS = {
    "'": "\u0301", "`": "\u0300", "^": "\u0302", '"': "\u0308", "~": "\u0303", "=": "\u0304", ".": "\u0307",
    "u": "\u0306", "v": "\u030c", "H": "\u030b", "c": "\u0327", "d": "\u0323", "b": "\u0331", "r": "\u030a",
    "k": "\u0328",
}  # fmt: skip
LETTERS = {
    "ss": "ß", "o": "ø", "O": "Ø", "l": "ł", "L": "Ł", "ae": "æ", "AE": "Æ", "oe": "œ", "OE": "Œ", "aa": "å",
    "AA": "Å", "i": "\u0131", "j": "\u0237", "dh": "ð", "DH": "Ð", "th": "þ", "TH": "Þ", "dj": "đ", "DJ": "Đ",
}  # fmt: skip
DOTTED = {
    "\u0131": "i",
    "\u0237": "j",
}  # an accent stands on the dotless letter in TeX, on the dotted one in Unicode

_LETTER = re.compile(
    rf"\{{?\\({'|'.join(sorted(LETTERS, key=len, reverse=True))})(?![A-Za-z])(?:\{{\}}|\}}|[ ])?"
)
# A control symbol takes the next letter at once; a control letter needs a brace or a blank before it.
_ACCENT = re.compile(r"""\{?\\(?:(['`^"~=.])[ ]*|([uvHcdbrk])(?=\{|[ ]))[ ]?\{?([^\W\d_])\}?\}?""")
_MATH = re.compile(r"(\$[^$]*\$)")


def decode_accents(text: str) -> str:
    r"""Return ``text`` with TeX accents and letters as Unicode (NFC); formulas between ``$`` stay."""
    if "\\" not in text:
        return text
    parts = _MATH.split(text)
    return "".join(part if index % 2 else _decode(part) for index, part in enumerate(parts))


def decode_name(text: str) -> str:
    """Return a person's name without TeX: accents decoded, braces and ties gone."""
    name = decode_accents(text.replace("$", ""))
    return " ".join(name.replace("{", "").replace("}", "").replace("~", " ").replace("\\", "").split())


def _decode(text: str) -> str:
    text = _LETTER.sub(_letter, text)
    return unicodedata.normalize("NFC", _ACCENT.sub(_accented, text))


def _letter(match: re.Match[str]) -> str:
    letter, whole = LETTERS[match[1]], match[0]
    opened, closed = whole.startswith("{"), whole.endswith("}") and not whole.endswith("{}")
    # "{\o}" loses both its braces; a brace that belongs to somebody else stays: "{\o x}", "\'{\i}".
    return ("{" if opened and not closed else "") + letter + ("}" if closed and not opened else "")


def _accented(match: re.Match[str]) -> str:
    letter = match[3]
    return DOTTED.get(letter, letter) + MARKS[match[1] or match[2]]
