"""TeX accents in people's names."""

import re
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.papers.sources.arxiv_atom import creator_names
from service.papers.tex import decode_accents, decode_name


@pytest.mark.parametrize(
    ("tex", "name"),
    [
        (r"Andr\'e", "André"),
        (r"Andr{\'e}", "André"),
        (r"Andr\'{e}", "André"),
        (r"Jos{\'{e}} N\'u\~nez", "José Núñez"),
        (r"Mar\'{\i}a", "María"),
        (r"Mar{\'\i}a", "María"),
        (r"Mar\'\i a", "María"),
        (r"Rastislav \v{S}r\'amek", "Rastislav Šrámek"),
        (r"Zbigniew Pucha{\l}a", "Zbigniew Puchała"),
        (r"\L ukasz", "Łukasz"),
        (r"\L{}ukasz", "Łukasz"),
        (r"S{\o}ren Ja\'{s}kiewicz", "Søren Jaśkiewicz"),
        (r"H. Nesse Tyss{\o}y", "H. Nesse Tyssøy"),
        (r"Johan H{\aa}stad", "Johan Håstad"),
        (r"Fran\c{c}ois Ko{\c c}", "François Koç"),
        (r"Erd\H{o}s", "Erdős"),
        (r"Gau\ss", "Gauß"),
        (r"Le\'on~B. O'Brien", "León B. O'Brien"),
        (r"Michael Paczy\'nski", "Michael Paczyński"),
        ("Plain Name", "Plain Name"),
        (r"\unknown{x}", "unknownx"),
    ],
)
def test_accents_become_unicode(tex: str, name: str) -> None:
    assert decode_name(tex) == name


def test_formulas_stay() -> None:
    assert (
        decode_accents(r"Poincar\'e in $\vec{a}'\'e$ and \'Ecole") == r"Poincaré in $\vec{a}'\'e$ and École"
    )


def test_authors_in_one_string() -> None:
    text = "A. One (MIT (CSAIL), USA), B. Two, Jr., C. Three and D. Four"
    assert creator_names(text) == ["A. One", "B. Two Jr.", "C. Three", "D. Four"]


@given(st.text(alphabet="\\'\"`^~={}.uvHc $aei\u0131oø()", max_size=40))
def test_any_text_is_decoded_without_backslash_or_brace(text: str) -> None:
    name = decode_name(text)
    assert not set(name) & set("\\{}")
    assert name == " ".join(name.split())


@pytest.mark.data
def test_recorded_names_lose_their_tex(recorded_data: Path) -> None:
    found = 0
    for path in (recorded_data / "reference" / "arxiv_fixtures" / "abs_records").glob("*.abs"):
        text = path.read_bytes().decode("utf-8", "replace")
        authors = re.search(r"^Authors:(.*(?:\n  .*)*)", text, re.M)
        if authors is None or "\\" not in authors[1]:
            continue
        found += 1
        for name in map(decode_name, creator_names(" ".join(authors[1].split()))):
            # Only letters, marks of names and blanks are left, and every accent sits on its letter.
            assert re.fullmatch(r"[\w .,':;&/()\[\]*+-]+", name), (path.name, name)
            assert not any(unicodedata.combining(character) for character in name), (path.name, name)
    assert found >= 30
