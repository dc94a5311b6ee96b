"""Whole messages as they go to the wire (trust 1 to 9, 17, 25 to 28, 30)."""

import re
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import SMTP, default
from email.utils import parsedate_to_datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service.keys import Keyring
from service.mail.headers import InvalidHeader
from service.mail.letters import DigestLetter, Letter
from service.mail.message import Parcel, Press, quoted_printable
from service.mail.transport import on_the_wire
from tests.unit.mail.letter_samples import a_card, a_digest, a_sender, every_letter

AT = datetime(2026, 2, 13, 8, tzinfo=UTC)
KEYRING = Keyring(["a-secret-for-tests-only-0123456789-abcdef"])
PRESS = Press(a_sender(), KEYRING)
LETTERS = [pytest.param(letter, id=f"{letter.kind}-{index}") for index, letter in enumerate(every_letter())]
HOSTILE = st.text(
    st.one_of(st.characters(), st.sampled_from("\r\n\0\x85\u2028\u202e=?._ <&>{}%'\" \t")), max_size=120
)
SINGLE = ["From", "To", "Subject", "Date", "Message-ID", "MIME-Version", "Content-Type"]


def make(letter: Letter, nonce: int = 7, at: datetime = AT) -> Parcel:
    return PRESS.make(letter, nonce=nonce, at=at)


def read(parcel: Parcel) -> EmailMessage:
    return message_from_bytes(parcel.data, policy=default)


def parts(message: EmailMessage) -> tuple[str, str]:
    text, html = message.iter_parts()
    return text.get_content(), html.get_content()


def assert_legal(data: bytes) -> None:
    assert data.isascii()
    assert data.endswith(b"\r\n")
    assert not re.search(rb"[^\r]\n|\r[^\n]", data)
    head, _, body = data.partition(b"\r\n\r\n")
    assert max(map(len, head.split(b"\r\n"))) <= 998
    assert max(map(len, body.split(b"\r\n"))) <= 76


@pytest.mark.trust(1, 9)
@pytest.mark.parametrize("letter", LETTERS)
def test_trust_1_and_9_every_mail_is_seven_bit_crlf_and_narrow(letter: Letter) -> None:
    assert_legal(make(letter).data)


@pytest.mark.trust(3)
@pytest.mark.parametrize("letter", LETTERS)
def test_trust_3_each_field_stands_once(letter: Letter) -> None:
    counts = Counter(name.lower() for name in read(make(letter)))
    assert [counts[name.lower()] for name in SINGLE] == [1] * len(SINGLE)
    assert set(counts.values()) == {1}


@pytest.mark.trust(8)
@pytest.mark.parametrize("letter", LETTERS)
def test_trust_8_the_written_text_comes_first_and_html_last(letter: Letter) -> None:
    message = read(make(letter))
    assert message.get_content_type() == "multipart/alternative"
    assert [part.get_content_type() for part in message.iter_parts()] == ["text/plain", "text/html"]
    assert {part.get_content_charset() for part in message.iter_parts()} == {"utf-8"}


def links(content: str) -> set[str]:
    return set(re.findall(r"https?://[^\s\"<>]+", content))


@pytest.mark.trust(8)
def test_trust_8_both_parts_carry_the_same_links() -> None:
    text, html = parts(read(make(a_digest())))
    assert links(text) == links(html)
    letter = a_digest()
    wanted = {
        link
        for card in (*letter.trending, *letter.for_you)
        for link in (
            card.url,
            card.repository_url,
            *(f"{letter.list_url}/{door}/{card.paper_id}" for door in ("papers", "more", "less")),
        )
    }
    assert wanted | {letter.unsubscribe_url, letter.preferences_url} <= links(text)


@pytest.mark.trust(4, 5)
def test_trust_4_and_5_the_date_is_the_attempts_and_the_message_id_the_deliverys() -> None:
    first, later = make(a_digest()), make(a_digest(), at=AT + timedelta(hours=30))
    assert read(first)["Message-ID"] == read(later)["Message-ID"] == f"<{first.message_id}>"
    assert first.message_id.endswith("@news.example.org")
    assert parsedate_to_datetime(read(later)["Date"]) == AT + timedelta(hours=30)
    assert make(a_digest(), nonce=8).message_id != first.message_id


@pytest.mark.trust(17, 25, 26, 28)
def test_trust_17_25_26_28_a_digest_is_list_mail() -> None:
    message = read(make(a_digest()))
    assert message["List-Unsubscribe"] == f"<{a_digest().unsubscribe_url}>"
    assert message["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert message["List-Id"] == '"Paperlark" <digest.news.example.org>'
    assert message["Precedence"] == "bulk"
    assert message["Auto-Submitted"] == "auto-generated"
    assert re.fullmatch(r"20260213:digest:paperlark:\w{5,15}", message["Feedback-ID"])


@pytest.mark.trust(26, 30)
@pytest.mark.parametrize("letter", [p for p in LETTERS if not isinstance(p.values[0], DigestLetter)])
def test_trust_26_and_30_other_mails_are_automatic_but_no_list_mail(letter: Letter) -> None:
    message = read(make(letter))
    assert message["Auto-Submitted"] == "auto-generated"
    assert not [name for name in message if name.lower().startswith(("list-", "precedence", "feedback"))]


@pytest.mark.trust(27)
def test_trust_27_the_envelope_sender_names_the_delivery_and_cannot_be_forged() -> None:
    sender = make(a_digest(), nonce=123456789).envelope_sender
    prefix, token = sender.partition("@")[0].split("+")
    assert (prefix, sender.partition("@")[2]) == ("bounce", "bounces.example.org")
    assert KEYRING.read_bounce_token(token) == 123456789
    assert KEYRING.read_bounce_token(token[:-1] + ("a" if token[-1] != "a" else "b")) is None
    assert len(prefix) + 1 + len(token) <= 64


@pytest.mark.trust(7)
def test_trust_7_no_encoded_word_stands_in_a_structured_field() -> None:
    press = Press(a_sender(name="Lerche ä"), KEYRING)
    data = press.make(a_digest(unsubscribe_url="https://x.example.org/u/" + "t" * 200), nonce=1, at=AT).data
    message = message_from_bytes(data, policy=default)
    for line in data.partition(b"\r\n\r\n")[0].split(b"\r\n"):
        assert b"=?" not in line or line.lower().startswith((b"from:", b"subject:", b" "))
    assert message["List-Id"] == "<digest.news.example.org>"
    assert message["From"].addresses[0].display_name == "Lerche ä"


def test_the_reply_address_is_given_where_it_differs() -> None:
    assert read(make(a_digest()))["Reply-To"] == "hello@example.org"
    same = Press(a_sender(contact="digest@news.example.org"), KEYRING).make(a_digest(), nonce=1, at=AT)
    assert read(same)["Reply-To"] is None


@pytest.mark.trust(1, 2, 6, 10)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(HOSTILE, HOSTILE, HOSTILE)
def test_trust_1_2_6_10_hostile_papers_make_a_legal_message_that_means_the_same(
    title: str, abstract: str, reason: str
) -> None:
    paper = a_card(title=title, abstract=abstract, summary=None, reasons=(reason,), authors=(abstract,))
    parcel = make(replace(a_digest(), trending=(paper,)))
    assert_legal(parcel.data)
    message = read(parcel)
    assert set(map(str.lower, message)) == set(map(str.lower, read(make(a_digest()))))
    assert message["To"] == "reader@example.org"
    assert not message.defects
    assert not any(part.defects for part in message.iter_parts())
    text, html = parts(message)
    assert "https://arxiv.org/abs/2602.00001" in text
    assert "https://arxiv.org/abs/2602.00001" in html


@pytest.mark.trust(2, 9)
@given(
    st.text(st.one_of(st.characters(exclude_categories=["Cs"]), st.sampled_from("..=\n\r \t")), max_size=300)
)
def test_trust_2_and_9_quoted_printable_means_what_was_written(content: str) -> None:
    encoded = quoted_printable(content)
    wanted = content.replace("\r\n", "\n").replace("\r", "\n")
    wanted = wanted if wanted.endswith("\n") else wanted + "\n"
    oracle = EmailMessage(policy=SMTP)
    oracle.set_content("x", cte="quoted-printable")
    oracle.set_payload(encoded)
    assert oracle.get_payload(decode=True).decode() == (
        wanted if wanted.endswith("\n") else wanted + "\n"
    ).replace("\n", "\r\n")
    assert max(map(len, encoded.split(b"\r\n"))) <= 76
    wire = on_the_wire(encoded)
    assert wire.endswith(b"\r\n.\r\n")
    unstuffed = re.sub(rb"(?m)^\.\.", b".", wire.removesuffix(b".\r\n"))
    assert unstuffed == encoded


@pytest.mark.trust(11)
@pytest.mark.parametrize(
    "recipient", ["a\r\nRCPT TO:<evil@x>@x.org", "böb@example.org", "bob@exämple.com", ""]
)
def test_trust_11_a_recipient_that_cannot_be_written_is_refused(recipient: str) -> None:
    with pytest.raises(InvalidHeader):
        make(a_digest(recipient=recipient))


@pytest.mark.trust(17, 23, 62)
def test_an_address_to_unsubscribe_stands_after_the_link_on_a_line_of_its_own() -> None:
    letter = replace(a_digest(), unsubscribe_address="leave+abcdefghijklmnopqrstuvwx@bounces.example.org")
    data = make(letter).data
    [field] = re.findall(rb"^List-Unsubscribe: (.*?)\r\n(?! )", data, re.MULTILINE | re.DOTALL)
    link, address = field.split(b",\r\n ")
    assert link.startswith(b"<https://")
    assert address == b"<mailto:leave+abcdefghijklmnopqrstuvwx@bounces.example.org?subject=unsubscribe>"
    assert max(map(len, data.split(b"\r\n\r\n")[0].split(b"\r\n"))) <= 998
    assert data.count(b"List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n") == 1
    with pytest.raises(InvalidHeader):
        make(replace(letter, unsubscribe_address="leave>\r\nBcc: x@example.org"))


def test_a_field_that_comes_back_by_webhook_names_the_delivery_where_it_is_wanted() -> None:
    press = Press(replace(a_sender(), has_metadata=True), KEYRING)
    for letter in every_letter():
        parcel = press.make(letter, nonce=5, at=AT)
        assert parcel.data.count(f"\r\nX-PM-Metadata-Delivery: {parcel.envelope_sender}\r\n".encode()) == 1
        assert [name for name in message_from_bytes(parcel.data) if name == "Subject"] == ["Subject"]
    assert b"X-PM-Metadata" not in make(a_digest()).data
