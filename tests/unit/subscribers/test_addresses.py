"""Addresses are taken in one spelling or refused with words a person understands."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.subscribers.addresses import InvalidAddress, domain_of, limit_key, parse_address


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("ann@example.org", "ann@example.org"),
        ("  Ann.Lee@Example.ORG\t", "ann.lee@example.org"),
        ("ann+papers@example.org", "ann+papers@example.org"),
        ("o'neil@example.org", "o'neil@example.org"),
        ("bob@exämple.com", "bob@xn--exmple-cua.com"),
        ("bob@EXÄMPLE.com", "bob@xn--exmple-cua.com"),
        ("bob@xn--exmple-cua.com", "bob@xn--exmple-cua.com"),
        ("bob@例え.jp", "bob@xn--r8jz45g.jp"),
        ("x" * 64 + "@example.org", "x" * 64 + "@example.org"),
    ],
)
def test_an_address_is_kept_in_one_spelling(typed: str, kept: str) -> None:
    assert kept == parse_address(typed)
    assert kept == parse_address(kept)


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "  ",
        "ann",
        "@example.org",
        "ann@",
        "ann@example",
        "ann@@example.org",
        "ann@localhost",
        "ann@example..org",
        "ann..lee@example.org",
        ".ann@example.org",
        "ann@-example.org",
        "ann@example.invalid",
        "ann lee@example.org",
        "ann@exam ple.org",
        '"ann lee"@example.org',
        "Ann <ann@example.org>",
        "ann@example.org,bob@example.org",
        "ann@example.org;bob@example.org",
        "ann@[127.0.0.1]",
        "ann@127.0.0.1",
        "ann@example.org\r\nBcc: bob@example.org",
        "ann@example.org\n",
        "ann\u0000@example.org",
        "ann\u200b@example.org",
        "ann@example.org\u2028",
        "ann\u202e@example.org",
        "ann@exam\u007fple.org",
        "b\u00fccher@example.org",
        "x" * 65 + "@example.org",
        "a@" + "x." * 130 + "org",
        "ann@" + "x" * 64 + ".org",
        "a\r\nRCPT TO:<evil@example.org>@example.org",
    ],
)
def test_what_is_no_single_address_is_refused_in_words(typed: str) -> None:
    with pytest.raises(InvalidAddress) as refusal:
        parse_address(typed)

    assert str(refusal.value).endswith(".")


def test_a_local_part_beyond_ascii_is_named_as_the_reason() -> None:
    with pytest.raises(InvalidAddress, match="before the @ sign"):
        parse_address("bücher@example.org")


@given(st.text(max_size=80))
def test_whatever_is_typed_comes_out_plain_or_is_refused(text: str) -> None:
    try:
        address = parse_address(text)
    except InvalidAddress:
        return
    assert address.isascii()
    assert address == address.lower()
    assert not set(address) & set(string.whitespace + '<>",;()\x00')
    assert address.count("@") == 1


@pytest.mark.parametrize(
    ("address", "counted_as"),
    [
        ("ann@example.org", "ann@example.org"),
        ("ann.lee+x+y@example.org", "annlee@example.org"),
        ("a.n.n@googlemail.com", "ann@gmail.com"),
        ("+tag@example.org", "+tag@example.org"),
    ],
)
def test_limits_count_a_mailbox_whatever_its_tags(address: str, counted_as: str) -> None:
    assert counted_as == limit_key(address)


def test_the_domain_follows_the_last_at_sign() -> None:
    assert domain_of("ann@example.org") == "example.org"
