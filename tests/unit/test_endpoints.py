"""Relays and limits as operators write them."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.endpoints import (
    Limit,
    SmtpEndpoint,
    destination,
    destination_of_server,
    read_domain_limits,
    read_rate,
    read_relays,
)


def test_one_url_is_read_as_before() -> None:
    (relay,) = read_relays("smtps://lark:p%40ss@relay.example.org")
    assert (relay.host, relay.port, relay.username, relay.password) == (
        "relay.example.org", 465, "lark", "p@ss",
    )  # fmt: skip
    assert (relay.implicit_tls, relay.starttls, relay.weight, relay.rate) == (True, False, 1, None)


@pytest.mark.parametrize("between", [" ", ",", ", ", "\n"])
def test_several_relays_have_options_of_their_own(between: str) -> None:
    first = "smtp://a.example.org?weight=3&connections=16&rate=50/s&per_connection=100&age=300&idle=20"
    second = "smtps://u:with,comma@b.example.org:4650?weight=0&at_once=4&rate=600/m"
    one, other = read_relays(f" {first}{between}{second} ")
    assert (one.name, one.weight, one.connections, one.rate, one.per_connection) == (
        "a.example.org:587", 3, 16, 50.0, 100,
    )  # fmt: skip
    assert (one.age_seconds, one.idle_seconds, one.starttls) == (300, 20, True)
    assert (other.name, other.password, other.weight, other.at_once, other.rate) == (
        "b.example.org:4650", "with,comma", 0, 4, 10.0,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("url", "complaint"),
    [
        ("smtp://a?weight=heavy", "weight is a whole number from 0 to 1000, not 'heavy'"),
        ("smtp://a?connections=0", "connections is a whole number from 1 to 256"),
        ("smtp://a?rate=fast", "rate must be a rate such as 50/s"),
        ("smtp://a?rate=0/s", "rate must be a rate such as 50/s"),
        ("smtp://a?per_conection=5", "'per_conection' is no option of a relay"),
        ("smtp://a?starttls=maybe", "starttls is 'required' or 'never'"),
        ("smtp://a smtp://b?idle=-1", "relay 2: idle is a whole number"),
        ("smtp://a smtp://a:587", "the same host and port stand there twice"),
        ("smtp://a?weight=0", "one relay at least must have more"),
        ("http://a", "must look like smtp://"),
        ("", "must look like smtp://"),
    ],
)
def test_a_mistake_is_named(url: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=re.escape(complaint)):
        read_relays(url)


@pytest.mark.trust(52)
@given(st.text(alphabet=st.characters(min_codepoint=33, max_codepoint=126), min_size=6, max_size=20))
def test_no_complaint_repeats_a_password(password: str) -> None:
    secret = f"X{password}X"
    # Some of these can be read as something else: then nothing is said at all.
    for url in (f"smtp://u:{secret}@relay.example.org?starttls=never", f"smtp://u:{secret}@ smtp://b?age=no"):
        said = ""
        try:
            read_relays(url)
        except ValueError as error:
            said = str(error)
        assert secret not in said
        assert password not in said


def test_limits_of_domains_are_read_together() -> None:
    text = "gmail.com=20/s:50, YAHOO.com=300/m  *=:5"
    assert read_domain_limits(text) == {
        "gmail.com": Limit(20.0, 50),
        "yahoo.com": Limit(5.0, None),
        "*": Limit(None, 5),
    }
    assert read_domain_limits("  ") == {}


@pytest.mark.parametrize(
    "text", ["gmail.com", "gmail.com=", "gmail.com=20", "gmail.com=20/s:", "=1/s", "a=1/s:0"]
)
def test_a_limit_that_cannot_be_read_is_named(text: str) -> None:
    with pytest.raises(ValueError, match=r"must|after ':'"):
        read_domain_limits(text)


@given(st.integers(1, 100_000), st.sampled_from("smhd"))
def test_a_rate_is_messages_a_second(number: int, unit: str) -> None:
    seconds = {"s": 1, "m": 60, "h": 3600, "d": 86_400}[unit]
    assert read_rate(f"{number}/{unit}") == number / seconds


@pytest.mark.trust(38)
def test_trust_38_domains_that_share_their_servers_are_counted_together() -> None:
    assert {destination(f"reader@{domain}") for domain in ("gmail.com", "GoogleMail.com")} == {"gmail.com"}
    assert destination("reader@web.de") == destination("reader@gmx.net")
    assert destination("reader@example.org") == "example.org"
    assert destination_of_server("aspmx.l.google.com.") == "gmail.com"
    assert destination_of_server("example-org.mail.protection.outlook.com") == "outlook.com"
    assert destination_of_server("mx1.Example.org") == "example.org"


def test_an_endpoint_does_not_show_its_password() -> None:
    assert "secret" not in repr(SmtpEndpoint("smtps://u:secret@relay.example.org"))
