"""What a relay answered, made harmless: remote input that is stored and shown."""

import re

TEXT_LIMIT = 300
_ENHANCED = re.compile(r"^\s*([245]\.\d{1,3}\.\d{1,3})\b")
_CONTROLS = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u200b-\u200f\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]+"
)


def enhanced_code(text: str) -> str | None:
    """Return the enhanced status code (RFC 3463) at the start of a reply's text."""
    found = _ENHANCED.match(text)
    return found.group(1) if found else None


def harmless(text: str) -> str:
    """Return ``text`` as one line without control or direction signs, at most 300 characters."""
    line = " ".join((text if text.isprintable() else _CONTROLS.sub(" ", text)).split())
    return line if len(line) <= TEXT_LIMIT else line[: TEXT_LIMIT - 1] + "…"
