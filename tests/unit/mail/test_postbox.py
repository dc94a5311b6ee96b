"""The addresses at which mail comes back: only those we made, however they are written."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.keys import Keyring
from service.mail.postbox import Ours, Postbox

KEYRING = Keyring(["a-secret-for-tests-only-0123456789-abcdef"])
POSTBOX = Postbox(keyring=KEYRING, envelope_domain="bounces.example.org", sender_domain="news.example.org")
NUMBERS = st.integers(0, 2**63 - 1)


def envelope_sender(nonce: int) -> str:
    return f"bounce+{KEYRING.bounce_token(nonce)}@bounces.example.org"


@given(NUMBERS, st.sampled_from([str, str.upper, str.title, "<{}>".format]))
def test_our_addresses_are_known_in_any_spelling(number: int, spelled: Callable[[str], str]) -> None:
    assert POSTBOX.recognise(spelled(envelope_sender(number))) == Ours(delivery=number)
    assert POSTBOX.recognise(spelled(POSTBOX.leave_address(number))) == Ours(leaving=number)


@pytest.mark.trust(27, 57)
@given(NUMBERS, st.integers(0, 23), st.sampled_from("abcdefghijklmnopqrstuvwxyz234567"))
def test_no_token_survives_a_changed_sign(number: int, place: int, sign: str) -> None:
    token = KEYRING.bounce_token(number)
    forged = token[:place] + sign + token[place + 1 :]
    assert forged == token or POSTBOX.recognise(f"bounce+{forged}@bounces.example.org") is None


@given(st.text(max_size=80))
def test_no_other_text_is_an_address_of_ours(text: str) -> None:
    assert POSTBOX.recognise(text) is None
    assert POSTBOX.recognise(f"bounce+{text}@bounces.example.org") is None


@given(NUMBERS)
def test_a_delivery_is_found_wherever_its_marks_stand(number: int) -> None:
    encoded = envelope_sender(number).replace("@", "=40").encode()
    for raw in (envelope_sender(number).encode(), b"Original-Mail-From: " + encoded):
        assert POSTBOX.deliveries_in(b"words " + raw + b" words", ()) == [number]
    assert POSTBOX.deliveries_in(b"", [f"{number:016x}@news.example.org"]) == [number]
    assert POSTBOX.deliveries_in(b"", [f"{number:016x}@another.example.org"]) == []


def test_a_wall_of_tokens_is_not_tried_for_ever() -> None:
    wall = b" ".join(b"bounce+" + b"a" * 23 + bytes([97 + n % 26]) + b"@x" for n in range(50_000))
    assert POSTBOX.deliveries_in(wall, ()) == []


def test_recipients_are_those_of_the_message_not_of_what_it_gives_back() -> None:
    raw = f"To: {envelope_sender(1)}\n\nTo: {POSTBOX.leave_address(2)}\n".encode()
    assert POSTBOX.recipients_of(raw) == [Ours(delivery=1)]
