"""Quoted-printable that may be joined anywhere, judged by the standard library (trust 1, 2, 9)."""

import re
from quopri import decodestring

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.mail.dkim import relaxed_body
from service.mail.encoding import quoted_printable

TEXTS = st.text(
    st.one_of(st.characters(exclude_characters="\r", exclude_categories=["Cs"]), st.sampled_from(". =\n\t.")),
    max_size=300,
)


@pytest.mark.trust(1, 2, 9)
@given(st.lists(TEXTS, max_size=6))
def test_trust_1_2_and_9_pieces_joined_mean_what_they_mean_together(pieces: list[str]) -> None:
    coded = b"".join(map(quoted_printable, pieces))
    assert decodestring(coded).replace(b"\r\n", b"\n").decode() == "".join(pieces)
    lines = coded.split(b"\r\n")
    assert all(len(line) <= 76 and not line.startswith(b".") for line in lines)
    assert coded.endswith(b"\r\n") or not coded
    assert not re.search(rb"[ \t]\r\n|  |\t|[^\r]\n|\r[^\n]|[^\r\n -~]", coded)


@given(TEXTS)
def test_what_is_encoded_is_in_relaxed_form_but_for_empty_lines_at_its_end(text: str) -> None:
    coded = quoted_printable(text + "\n.")
    assert relaxed_body(coded) == coded
