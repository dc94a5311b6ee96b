"""Joined digests against the plain way: same fields, text and HTML, sign for sign (trust 1, 2, 9, 12)."""

import re
from dataclasses import replace
from datetime import UTC, date, datetime
from email import message_from_bytes
from email.message import Message
from typing import Any

import dkim as dkimpy
import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service.keys import Keyring
from service.mail.assembly import AssemblyPress
from service.mail.dkim import Signer, relaxed_body
from service.mail.letters import Card, DigestLetter
from service.mail.message import Press
from service.mail.templates import TooLarge
from tests.unit.mail.letter_samples import TOKEN, a_card, a_digest, a_sender, every_letter

AT = datetime(2026, 2, 13, 8, tzinfo=UTC)
KEYRING = Keyring(["a-secret-for-tests-only-0123456789-abcdef"])
# Whatever a source may send: any language, line ends of any kind, dots and blanks at every edge, and signs
# that mean something to templates, HTML, transfer encoding or our own marks.
WORDS = st.text(
    st.one_of(
        st.characters(),
        st.sampled_from("\r\n\t .=<>&\"'{}%\0\x85\u2028\u202e\ue000\ue001\ud800漢字"),
        st.sampled_from("..\n\n  "),
    ),
    max_size=160,
)
LONG = st.builds(lambda words, times: words * times, WORDS, st.integers(1, 30))
MAYBE_COUNT = st.none() | st.integers(0, 10**7)
CARDS = st.builds(
    Card,
    paper_id=st.sampled_from(["2602.00001", "cs/0112017"])
    | WORDS.map(lambda text: text.replace("\ud800", "")),
    title=LONG,
    url=st.just("https://arxiv.org/abs/2602.00001"),
    authors=st.lists(WORDS, max_size=4).map(tuple),
    author_count=st.integers(0, 4000),
    abstract=LONG,
    summary=st.none() | LONG,
    listed_on=st.none() | st.just(date(2026, 2, 12)),
    upvotes=MAYBE_COUNT,
    comments=MAYBE_COUNT,
    stars=MAYBE_COUNT,
    repository_url=st.none() | WORDS,
    reasons=st.lists(WORDS, max_size=3).map(tuple),
)
DIGESTS = st.builds(
    DigestLetter,
    recipient=st.just("reader@example.org"),
    issue_date=st.dates(date(2025, 1, 1), date(2027, 1, 1)),
    trending=st.lists(CARDS, max_size=3).map(tuple),
    for_you=st.lists(CARDS, min_size=1, max_size=3).map(tuple),
    interests=st.lists(WORDS, max_size=5).map(tuple),
    is_first=st.booleans(),
    notice=st.none() | WORDS,
    list_url=st.sampled_from([f"https://x.example.org/list/{TOKEN}", "https://x.example.org/l?a=1&b=2"]),
    preferences_url=st.sampled_from([f"https://x.example.org/p/{TOKEN}", "https://x.example.org/p?a=1&b=2"]),
    unsubscribe_url=st.sampled_from([f"https://x.example.org/u/{TOKEN}", "https://x.example.org/u?a=1&b=2"]),
)


def read(data: bytes) -> tuple[list[tuple[str, str]], list[tuple[list[tuple[str, str]], bytes]]]:
    """Take a message apart: its fields, and of each part the fields and the decoded content."""
    message = message_from_bytes(data)
    assert not message.defects
    parts: list[Message] = message.get_payload()
    return message.items(), [(part.items(), part.get_payload(decode=True)) for part in parts]


def assert_same(letter: DigestLetter, **sender: Any) -> bytes:
    identity = a_sender(**sender)
    joined = AssemblyPress(identity, KEYRING).make(letter, nonce=7, at=AT)
    plain = Press(identity, KEYRING).make(letter, nonce=7, at=AT)
    assert joined._replace(pieces=[], is_dotless=False) == plain._replace(pieces=[])
    assert read(joined.data) == read(plain.data)
    assert joined.is_dotless
    return joined.data


def assert_canonical(data: bytes) -> None:
    body = data.partition(b"\r\n\r\n")[2]
    assert relaxed_body(body) == body
    assert b"\r\n." not in data
    assert data.isascii()
    assert max(map(len, body.split(b"\r\n"))) <= 76
    assert not re.search(rb"[^\r]\n|\r[^\n]", data)


@pytest.mark.trust(1, 2, 9)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(DIGESTS)
def test_trust_1_2_and_9_a_joined_digest_means_what_the_plain_way_means(letter: DigestLetter) -> None:
    assert_canonical(assert_same(letter))


@pytest.mark.parametrize(
    "letter",
    [
        a_digest(),
        a_digest(0, 1),
        a_digest(15, 15),
        a_digest(is_first=True, notice=".\n.\n trailing "),
        a_digest(interests=()),
        a_digest(1, 0, interests=("A long name of an interest",) * 20),
    ],
)
def test_digests_of_every_shape_are_the_same_both_ways(letter: DigestLetter) -> None:
    assert_canonical(assert_same(letter, postal_address=None))


def test_nothing_kept_is_shown_to_whom_it_does_not_belong() -> None:
    """One press, many readers: whatever a card shows changes in turn."""
    press, plain = AssemblyPress(a_sender(), KEYRING), Press(a_sender(), KEYRING)
    changes: list[dict[str, Any]] = [
        {}, {"upvotes": 43}, {"comments": 4}, {"stars": 1}, {"title": "Other"}, {"abstract": "Other."},
        {"summary": "Other."}, {"summary": None}, {"authors": ("A. Other",)}, {"author_count": 9},
        {"url": "https://arxiv.org/abs/2602.9"}, {"paper_id": "2602.9"},
        {"listed_on": date(2026, 2, 11)}, {"repository_url": None}, {"reasons": ("Another reason",)},
        {"reasons": ()}, {},
    ]  # fmt: skip
    for number, change in enumerate(changes):
        card = a_card(**change)
        for letter in (
            replace(a_digest(interests=(f"Interest {number}",)), trending=(card,)),
            a_digest(trending=number % 3, unsubscribe_url=f"https://x.example.org/u/{number}"),
            a_digest(trending=number % 3, list_url=f"https://x.example.org/list/{number}"),
            replace(a_digest(0, 2), for_you=(a_card(9), card), notice=f"Notice {number}"),
        ):
            ours, theirs = (one.make(letter, nonce=number, at=AT).data for one in (press, plain))
            assert read(ours) == read(theirs)


@pytest.mark.trust(12)
@pytest.mark.parametrize("abstract", ["Words of an abstract. " * 2000, "漢字 " * 5000, "<&> " * 5000])
def test_trust_12_a_large_digest_is_shortened_like_the_plain_one(abstract: str) -> None:
    cards = tuple(a_card(number, abstract=abstract, title="T" * 400) for number in range(30))
    assert_same(replace(a_digest(), trending=cards[:15], for_you=cards[15:]))


@pytest.mark.trust(12)
@pytest.mark.parametrize("sign", ["&", "大"])
def test_trust_12_titles_of_costly_signs_are_shortened_like_the_plain_ones(sign: str) -> None:
    cards = tuple(
        a_card(number, title=sign * 400, authors=(sign * 120,) * 3, summary=sign * 400, reasons=(sign * 200,))
        for number in range(30)
    )
    assert_same(replace(a_digest(), trending=cards[:15], for_you=cards[15:]))


@pytest.mark.trust(12)
def test_trust_12_each_step_of_shortening_is_taken_and_is_that_of_the_plain_way() -> None:
    def step(data: bytes) -> str:
        html = read(data)[1][1][1].decode()
        words = {
            "code": ">Code<",
            "reasons": 'class="why"',
            "one author": "and 6 more",
            "summary": 'class="lead"',
        }
        return ", ".join(what for what, sign in words.items() if sign in html)

    steps = set()
    for length in range(10, 400, 15):
        words = "大" * length
        cards = tuple(
            a_card(
                number,
                title=words,
                abstract="大" * 900,
                summary=words,
                authors=("大" * 60,) * 3,
                reasons=(words,) * 2,
            )
            for number in range(30)
        )
        steps.add(step(assert_same(replace(a_digest(), trending=cards[:15], for_you=cards[15:]))))
    assert steps >= {
        "code, reasons, summary",
        "code, reasons, one author, summary",
        "reasons, one author, summary",
        "reasons, one author",
    }


@pytest.mark.trust(12)
def test_trust_12_what_is_too_large_is_refused_here_too() -> None:
    cards = tuple(a_card(number, title="&" * 400, reasons=("&" * 400,) * 2) for number in range(60))
    with pytest.raises(TooLarge):
        AssemblyPress(a_sender(), KEYRING).make(replace(a_digest(), trending=cards), nonce=7, at=AT)


@pytest.mark.trust(23)
@pytest.mark.parametrize("names", [("rsa",), ("ed25519",), ("rsa", "ed25519")])
def test_trust_23_a_joined_digest_is_signed_so_that_another_verifier_agrees(names: tuple[str, ...]) -> None:
    keys = {
        "rsa": rsa.generate_private_key(public_exponent=65537, key_size=2048),
        "ed25519": ed25519.Ed25519PrivateKey.generate(),
    }
    signers = tuple(Signer("news.example.org", name, keys[name]) for name in names)
    records = {signer.record_name: signer.record.encode() for signer in signers}
    letter = a_digest(notice=" =\n.\n  two  blanks ", interests=("漢字 " * 40,))
    data = AssemblyPress(a_sender(signers=signers), KEYRING).make(letter, nonce=7, at=AT).data
    judge = dkimpy.DKIM(data)
    for index in range(len(signers)):
        assert judge.verify(idx=index, dnsfunc=lambda name, timeout=5: records[name.decode().rstrip(".")])


def test_other_mails_are_made_the_plain_way() -> None:
    for letter in every_letter()[1:]:
        ours, theirs = (
            one(a_sender(), KEYRING).make(letter, nonce=7, at=AT) for one in (AssemblyPress, Press)
        )
        assert ours == theirs
