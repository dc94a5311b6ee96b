"""Header fields on the wire: whatever goes in, one harmless field comes out (trust 1, 3, 6, 7, 10, 11)."""

import re
from datetime import UTC, datetime
from email import message_from_bytes
from email.header import decode_header, make_header
from email.policy import compat32, default
from email.utils import parseaddr

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.mail import headers

HOSTILE = st.text(
    st.one_of(
        st.characters(),
        st.sampled_from('\r\n\0\x0b\x0c\x1c\x85\u2028\u2029\u202e=?_"\\<>@,;:() \t'),
    ),
    max_size=400,
)
ENCODED_LOOKALIKE = "=?utf-8?q?Attention=0AReply-To=3A_evil=40x=2Ecom?= is all you need"


def parsed(field: bytes) -> list[tuple[str, str]]:
    return [
        (name, str(value))
        for name, value in message_from_bytes(field + b"\r\nbody\r\n", policy=default).items()
    ]


def assert_wire_form(field: bytes) -> None:
    assert field.endswith(b"\r\n")
    lines = field.split(b"\r\n")[:-1]
    assert all(len(line) <= 998 for line in lines)
    assert b"\r" not in b"".join(lines)
    assert b"\n" not in b"".join(lines)
    assert all(line[:1] in b" \t" for line in lines[1:])
    assert all(line.strip() for line in lines)
    assert field.isascii()


@pytest.mark.trust(6, 10)
@given(HOSTILE)
def test_trust_6_and_10_a_subject_comes_back_as_it_was_cleaned_and_brings_nothing_with_it(value: str) -> None:
    field = headers.text("Subject", value)
    assert_wire_form(field)
    assert max(len(line) for line in field.split(b"\r\n")) <= 76
    assert parsed(field) == [("Subject", headers.clean(value))]


@pytest.mark.trust(10)
@given(HOSTILE)
def test_trust_10_a_cleaned_line_has_no_breaks_and_no_encoded_words(value: str) -> None:
    line = headers.clean(value)
    assert len(line.splitlines()) <= 1
    assert not re.search(r"=\?|\?=|[\x00-\x1f\x7f-\x9f\u2028\u2029]", line)
    assert headers.clean(line) == line
    assert len(line) <= headers.SUBJECT_CHARACTERS


@pytest.mark.trust(6, 16)
@given(HOSTILE)
def test_trust_6_and_16_a_display_name_comes_back_beside_its_address(name: str) -> None:
    field = headers.mailbox("From", "digest@example.org", name)
    assert_wire_form(field)
    # The modern parser puts a space between encoded-words of a phrase, against RFC 2047, 6.2.
    raw = message_from_bytes(field + b"\r\n", policy=compat32)["From"]
    phrase, address = parseaddr(raw)
    assert address == "digest@example.org"
    assert str(make_header(decode_header(phrase))) == headers.clean(name, 60)


@pytest.mark.trust(6)
@pytest.mark.parametrize(
    "title",
    [
        "Émile's 😀 model",
        "注意力就是你所需要的一切" * 18,
        "مرحبا بالعالم",
        "e\u0301 combining",
        "می‌خواهم",
        "a" * 120,
        "Ω" * 250,
    ],
)
def test_trust_6_titles_of_any_script_are_decoded_to_themselves(title: str) -> None:
    assert parsed(headers.text("Subject", title)) == [("Subject", title)]


@pytest.mark.trust(10)
def test_trust_10_an_encoded_word_in_a_title_makes_no_header() -> None:
    field = headers.text("Subject", ENCODED_LOOKALIKE)
    assert [name for name, _ in parsed(field)] == ["Subject"]
    assert b"=?" not in field


@pytest.mark.trust(7)
@pytest.mark.parametrize(
    "value", ["", "a\r\nBcc: x@y.z", "ä", "a\0b", "=?utf-8?q?x?=", "x" * 1000, " a", "a\x7f"]
)
def test_trust_7_structured_values_are_written_verbatim_or_refused(value: str) -> None:
    with pytest.raises(headers.InvalidHeader):
        headers.verbatim("List-Id", value)


@pytest.mark.trust(7)
def test_trust_7_a_long_unsubscribe_uri_stays_on_one_line_untouched() -> None:
    target = "https://digest.example.org/u/" + "t" * 300
    assert headers.uri("List-Unsubscribe", target) == f"List-Unsubscribe: <{target}>\r\n".encode()


@pytest.mark.trust(17)
@pytest.mark.parametrize(
    "target",
    ["javascript:alert(1)", "https://x/> <mailto:a@b.c", "https://x/a,b", "https://x/\r\n", "mailto:a@b.c"],
)
def test_trust_17_only_one_web_uri_may_stand_in_the_field(target: str) -> None:
    with pytest.raises(headers.InvalidHeader):
        headers.uri("List-Unsubscribe", target)


@pytest.mark.trust(11)
@pytest.mark.parametrize(
    "address",
    ["a\r\nRCPT TO:<evil@x>@x.org", "bob@exämple.com", "böb@example.com", "a@b@c.org", "<a@b.org>",
     "a b@c.org", "a@", "@b.org", "a@-", "x" * 65 + "@b.org", "a@b.org\n", "a@" + "b" * 260],
)  # fmt: skip
def test_trust_11_addresses_that_are_none_are_refused(address: str) -> None:
    assert not headers.is_address(address)
    with pytest.raises(headers.InvalidHeader):
        headers.mailbox("To", address)


def test_an_address_with_an_a_label_is_written_plainly() -> None:
    assert headers.mailbox("To", "bob@xn--exmple-cua.com") == b"To: bob@xn--exmple-cua.com\r\n"


def test_the_date_is_in_the_form_of_rfc_5322() -> None:
    at = datetime(2026, 2, 3, 4, 5, 6, tzinfo=UTC)
    assert headers.date(at) == b"Date: Tue, 03 Feb 2026 04:05:06 +0000\r\n"
