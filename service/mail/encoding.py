"""Quoted-printable that may be joined: what is encoded apart means, set end to end, what it means together.

Each piece ends in a line break, a hard one where its text does and else a soft one, which means nothing.
Beyond RFC 2045 (6.7) no line begins with a dot, so that none needs doubling on the wire (RFC 5321, 4.5.2);
no two blanks meet and none ends a line, so that the bytes are in relaxed form already (RFC 6376, 3.4.4).
"""

import re

LONGEST = 75  # octets of a line before the "=" of a soft break
_STRANGE = re.compile(rb"[^\n -~]")
_CODES = {bytes([octet]): b"=%02X" % octet for octet in range(256)}


def quoted_printable(text: str) -> bytes:
    """Encode ``text``, whose lines end in a bare line feed."""
    if len(text) > LONGEST and _is_plain(text) and (plain := broken(text)):
        return plain
    safe = _escaped(text).split(b"\n")
    if max(map(len, safe)) <= LONGEST:  # nothing to break
        return b"\r\n".join(safe) + (b"=\r\n" if safe[-1] else b"")
    last = len(safe) - 1
    coded: list[bytes] = []
    for index, line in enumerate(safe):
        rest = line
        while len(rest) > LONGEST:
            cut = LONGEST
            if b"=" in rest[cut - 2 : cut]:  # an escape stays in one piece
                cut = rest.rindex(b"=", 0, cut)
            coded.append(rest[:cut])
            coded.append(b"=\r\n")
            rest = rest[cut:]
            if rest.startswith(b"."):
                rest = b"=2E" + rest[1:]
        coded.append(rest)
        if index < last:
            coded.append(b"\r\n")
        elif rest:
            coded.append(b"=\r\n")
    return b"".join(coded)


def _escaped(text: str) -> bytes:
    """Escape what can't stand as it is. By fixed octets: an expression takes several times as long."""
    octets = text.encode("utf-8").replace(b"=", b"=3D")
    if not (text.isascii() and text.replace("\n", "").isprintable()):
        octets = _STRANGE.sub(_code, octets)
    while b"  " in octets:
        octets = octets.replace(b"  ", b"=20 ")
    octets = octets.replace(b" \n", b"=20\n").replace(b"\n.", b"\n=2E")
    if octets.endswith(b" "):
        octets = octets[:-1] + b"=20"
    return b"=2E" + octets[1:] if octets.startswith(b".") else octets


def _is_plain(text: str) -> bool:
    """Say whether a text is one line in which nothing needs an escape: a link or a few words."""
    return (
        text.isascii()
        and text.isprintable()
        and "=" not in text
        and "  " not in text
        and text[0] != "."
        and text[-1] != " "
    )


def broken(text: str) -> bytes:
    """Break one line of plain signs; give nothing if a piece would begin with a dot."""
    if len(text) <= LONGEST:
        return f"{text}=\r\n".encode("ascii")
    coded = "=\r\n".join([text[start : start + LONGEST] for start in range(0, len(text), LONGEST)]) + "=\r\n"
    return b"" if "\n." in coded else coded.encode("ascii")


def _code(octet: re.Match[bytes]) -> bytes:
    return _CODES[octet[0]]
