"""How returned messages are read (trust 57 to 61, 63)."""

import json
import random
import time
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.keys import Keyring
from service.mail import bounces
from service.mail.bounce_parts import parse
from service.mail.bounce_words import Kind
from service.mail.bounces import Reading, read
from service.mail.postbox import Postbox


def a_report(action: str = "failed", status: str = "5.1.1", diagnosis: str = "") -> bytes:
    return f"""From: MAILER-DAEMON@mx.example.org
To: bounce+x@bounces.example.org
Subject: Undelivered Mail Returned to Sender
Auto-Submitted: auto-replied
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary="b"

--b
Content-Type: text/plain

The mail system could not deliver your message.

--b
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example.org

Final-Recipient: rfc822; Reader@example.org
Action: {action}
Status: {status}
Diagnostic-Code: smtp; {diagnosis}

--b
Content-Type: message/rfc822

From: digest@example.org
Subject: Papers

user unknown, spam, mailbox full
--b--
""".encode()


@pytest.mark.trust(57, 58, 59)
@pytest.mark.parametrize(
    ("action", "status", "diagnosis", "kind"),
    [
        ("failed", "5.1.1", "550 5.1.1 user unknown", Kind.HARD),
        ("failed", "5.1.10", "", Kind.HARD),
        ("failed", "5.1.2", "host unknown", Kind.HARD),
        ("failed", "5.2.1", "", Kind.HARD),
        ("failed", "5.2.2", "552 5.2.2 over quota", Kind.SOFT),
        ("failed", "5.3.4", "", Kind.SOFT),
        ("failed", "4.4.7", "expired", Kind.SOFT),
        ("failed", "4.2.2", "", Kind.SOFT),
        ("failed", "5.7.1", "550 5.7.1 blocked", Kind.POLICY),
        ("failed", "5.7.515", "550 5.7.515 access denied", Kind.POLICY),
        ("failed", "5.7.26", "not authenticated", Kind.POLICY),
        ("failed", "5.1.8", "sender address rejected", Kind.POLICY),
        ("failed", "5.0.0", "550 5.1.1 no such user", Kind.HARD),
        ("failed", "5.0.0", "mailbox is full", Kind.SOFT),
        ("failed", "5.0.0", "listed at spamhaus", Kind.POLICY),
        ("failed", "5.0.0", "", Kind.SOFT),
        ("failed", "4.0.0", "user unknown", Kind.SOFT),
        ("delayed", "4.4.1", "", Kind.DELAY),
        ("delivered", "2.0.0", "", Kind.OTHER),
        ("relayed", "2.0.0", "", Kind.OTHER),
    ],
)
def test_trust_57_to_59_reports_are_read_by_action_and_status(
    action: str, status: str, diagnosis: str, kind: Kind
) -> None:
    reading = read(a_report(action, status, diagnosis))
    assert reading.kind is kind
    assert reading.recipients == ("reader@example.org",)


def test_the_gravest_of_several_recipients_decides() -> None:
    end = b"\n\n--b\nContent-Type: message/rfc822"
    second = b"\n\nFinal-Recipient: rfc822; gone@example.org\nAction: failed\nStatus: 5.1.1"
    raw = a_report(status="4.4.7").replace(end, second + end)
    assert said(raw) == (Kind.HARD, "5.1.1", ("gone@example.org",))


def said(raw: bytes) -> tuple[Kind, str | None, tuple[str, ...]]:
    reading = read(raw)
    return reading.kind, reading.status, reading.recipients


def test_recipients_not_parted_by_empty_lines_are_told_apart() -> None:
    end = b"\n\n--b\nContent-Type: message/rfc822"
    second = b"\nFinal-Recipient: rfc822; gone@example.org\nAction: failed\nStatus: 5.1.1"
    raw = a_report(status="4.4.7").replace(end, second + end)
    assert said(raw) == (Kind.HARD, "5.1.1", ("gone@example.org",))


@pytest.mark.trust(58, 59)
@pytest.mark.parametrize(
    ("status", "diagnosis", "kind"),
    [
        # Only an answer to RCPT speaks of the recipient.
        ("5.0.0", "550 user unknown (in reply to RCPT TO command)", Kind.HARD),
        ("5.0.0", "550 user unknown (in reply to end of DATA command)", Kind.SOFT),
        ("5.0.0", "550 user unknown", Kind.SOFT),
        ("5.0.0", "user unknown", Kind.HARD),  # the sending system's own words
        ("5.1.1", "550 5.1.1 no such user", Kind.HARD),
        ("5.4.1", "550 5.4.1 [x@example.org]: Recipient address rejected: Access denied", Kind.HARD),
        ("5.4.4", "Host or domain name not found", Kind.HARD),
        ("5.4.4", "malformed name server reply", Kind.SOFT),
        ("5.3.2", "521 5.3.2 system not accepting network messages", Kind.HARD),  # RFC 7504
        ("5.7.27", "550 Host does not accept mail", Kind.HARD),  # RFC 7505
        ("4.1.1", "450 4.1.1 User unknown in local recipient table", Kind.HARD),  # RFC 3463, 3.2
        ("4.1.1", "450 4.1.1 address verification in progress", Kind.SOFT),
        # About the sending side, whatever the code.
        ("5.1.8", "501 5.1.8 Domain of sender address does not exist", Kind.POLICY),
        ("5.0.0", "550 sender verify failed: no such user", Kind.POLICY),
        ("5.1.1", "550 5.1.1 192.0.2.1 has sent to too many recipients this hour", Kind.POLICY),
        ("5.0.0", "554 too many connections from your host", Kind.POLICY),
        ("5.1.1", "procmail: Couldn't create /var/mail/x", Kind.SOFT),
        ("5.1.1", "553 Sender Policy Framework (SPF) fail", Kind.POLICY),
        ("5.1.1", "550 the message size limit is exceeded", Kind.SOFT),
        ("5.2.1", "Mailbox unavailable. Your IP address 192.0.2.1 is blacklisted", Kind.POLICY),
        ("5.0.0", "554 No SMTP service. IP-address is block listed", Kind.POLICY),
        ("5.0.0", "they are not accepting mail with attachments", Kind.POLICY),
        ("5.0.0", "550 mail content denied (in reply to end of DATA command)", Kind.POLICY),
        ("5.0.0", "550 BAD_RECIPIENT (in reply to RCPT TO command)", Kind.HARD),
        ("5.0.0", "550 x is not an active address here (in reply to RCPT TO command)", Kind.HARD),
        ("5.0.0", "550 u\u017eivatel neexistuje (in reply to RCPT TO command)", Kind.HARD),
        # Some look the mailbox up only after the message, and say so of the mailbox.
        ("5.0.0", "554 this user doesn't have a mail.example account (in reply to end of DATA)", Kind.HARD),
        ("5.0.0", "550 unknown user x@example.org (in reply to end of DATA command)", Kind.SOFT),
        ("5.2.1", "account is disabled", Kind.HARD),
        ("5.0.0", "account is suspended", Kind.SOFT),
    ],
)
def test_words_are_weighed_by_what_they_speak_of(status: str, diagnosis: str, kind: Kind) -> None:
    assert read(a_report("failed", status, diagnosis)).kind is kind


def test_a_footer_is_not_the_reason_where_the_report_gives_a_code_alone() -> None:
    footer = b"\n\n" + b"_" * 60 + b"\n*** This mail was scanned for viruses and spam ***\n\n--b"
    raw = a_report().replace(b"Diagnostic-Code: smtp; \n", b"").replace(b"\n\n--b", footer, 1)
    assert b"scanned" in raw
    raw = raw.replace(b"message.\n", b"message.\n" + footer.removesuffix(b"--b"), 1)
    assert read(raw).kind is Kind.HARD


def test_a_report_that_names_no_action_and_a_passing_status_tells_of_no_failure() -> None:
    raw = a_report(status="4.7.0").replace(b"Action: failed\n", b"")
    assert read(raw).kind is Kind.DELAY


@pytest.mark.parametrize(
    "head",
    [
        'From: "Mail service" <>\nSubject: Mail Error',
        "Return-Path: <>\nFrom: relay@example.org\nSubject: about your mail",
        "Return-Path: <MAILER-DAEMON>\nFrom: relay@example.org\nSubject: about your mail",
        "From: gateway@example.org\nSubject: Undeliverable: papers",
        "Content-Type: multipart/report; report-type=delivery-status; boundary=none",
    ],
)
def test_a_mail_system_is_known_by_its_manners_too(head: str) -> None:
    raw = f"{head}\n\nYour message could not be delivered to <reader@example.org>: user unknown\n"
    assert said(raw.encode())[::2] == (Kind.HARD, ("reader@example.org",))


@pytest.mark.parametrize(
    "head",
    [
        "Subject: Re: Undelivered Mail Returned to Sender",
        "Subject: Undeliverable: papers\nIn-Reply-To: <1@example.org>",
        "Subject: a mail delivery problem",
        "Return-Path: <>\nAuto-Submitted: auto-replied\nSubject: I have left",
        "Return-Path: <>\nSubject: Out of office",
    ],
)
def test_people_and_their_answering_machines_are_no_mail_systems(head: str) -> None:
    raw = f"From: Reader <reader@example.org>\n{head}\n\nMail could not be delivered: user unknown. Why?\n"
    assert read(raw.encode()).kind in {Kind.OTHER, Kind.AUTO_REPLY}


def test_a_report_written_as_text_is_read_by_its_fields() -> None:
    raw = b"""From: MAILER-DAEMON@mx.example.org
Subject: =?utf-8?Q?Delivery_Status_Notification_=28Failure=29?=

Technical report:

Reporting-MTA: dns; mx.example.org

Action: failed
Final-Recipient: rfc822; reader@example.org
Diagnostic-Code: smtp; 552 5.2.2 mailbox full
Status: 5.2.2
"""
    assert said(raw) == (Kind.SOFT, "5.2.2", ("reader@example.org",))


def test_each_recipient_of_an_unusual_report_is_judged_by_the_words_about_it() -> None:
    raw = b"""From: MAILER-DAEMON@mx.example.org
Subject: failure notice

I was not able to deliver your message to these addresses.

<full@example.org>: 552 5.2.2 mailbox full
<gone@example.org>: 550 5.1.1 no such user
"""
    assert said(raw)[:2] == (Kind.HARD, "5.1.1")


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        ("From: staff@hotmail.com\nX-HmXmrOriginalRecipient: reader@example.org", Kind.COMPLAINT),
        ("From: staff@hotmail.com\nSubject: complaint about message from 192.0.2.1", Kind.COMPLAINT),
        ("From: dmarc@example.org\nSubject: DMARC Forensic Report for example.com", Kind.POLICY),
        ("From: postmaster@example.org\nSubject: Delivered: your papers", Kind.OTHER),
    ],
)
def test_what_comes_without_a_report_is_known_by_its_head(head: str, kind: Kind) -> None:
    assert read(f"{head}\n\nwords\n".encode()).kind is kind


def test_a_bounce_that_somebody_forwards_is_not_one() -> None:
    raw = (
        b"""From: Reader <reader@example.org>
Subject: what is this?
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary="f"

--f
Content-Type: text/plain

See below.

--f
Content-Type: message/rfc822

"""
        + a_report()
        + b"--f--\n"
    )
    assert read(raw).kind is Kind.OTHER


def test_trust_60_message_ids_of_what_is_given_back_are_told() -> None:
    raw = a_complaint("abuse").replace(b"From: digest@", b"Message-ID: <00ff@example.org>\nFrom: digest@")
    assert read(raw).message_ids == ("00ff@example.org",)


def a_complaint(kind: str) -> bytes:
    return f"""From: fbl@provider.example
Subject: complaint
MIME-Version: 1.0
Content-Type: multipart/report; report-type=feedback-report; boundary="b"

--b
Content-Type: text/plain

This is a report.

--b
Content-Type: message/feedback-report

Feedback-Type: {kind}
User-Agent: Provider/1.0
Version: 1
Original-Rcpt-To: <reader@example.org>

--b
Content-Type: message/rfc822

From: digest@example.org

words
--b--
""".encode()


@pytest.mark.trust(60)
@pytest.mark.parametrize(
    ("feedback", "kind"),
    [
        ("abuse", Kind.COMPLAINT),
        ("fraud", Kind.COMPLAINT),
        ("auth-failure", Kind.POLICY),
        ("not-spam", Kind.OTHER),
    ],
)
def test_trust_60_complaints_are_those_of_people(feedback: str, kind: Kind) -> None:
    assert said(a_complaint(feedback)) == (kind, None, ("reader@example.org",))


@pytest.mark.trust(61)
@pytest.mark.parametrize(
    "head",
    [
        "Subject: Out of office: back on Monday",
        "Subject: Re: your papers\nAuto-Submitted: auto-replied",
        "Subject: thanks\nX-Autoreply: yes",
        "Subject: thanks\nPrecedence: auto_reply",
        "Subject: papers\nAuto-Submitted: auto-generated\nIn-Reply-To: <1@example.org>",
        "Subject: Automatische Antwort: papers",
        "Subject: =?utf-8?B?UsOpcG9uc2UgYXV0b21hdGlxdWUgOiBwYXBlcnM=?=",
        "Subject: Respuesta =?utf-8?B?YXV0b23DoXRpY2E6IHBhcGVycw==?=",
        "Subject: [Automatyczna =?iso-8859-2?Q?odpowied=BC=5D?= papers",
        "Subject: =?utf-8?B?6Ieq5Yqo562U5aSNOiBwYXBlcnM=?=",
        "Subject: =?utf-8?B?0JDQstGC0L7QvNCw0YLQuNGH0LXRgdC60LjQuSDQvtGC0LLQtdGC?=: papers",
    ],
)
def test_trust_61_automatic_answers_change_nothing(head: str) -> None:
    raw = f"From: Reader <reader@example.org>\n{head}\n\nI am away. In haste, write to x@example.org.\n"
    assert read(raw.encode()).kind is Kind.AUTO_REPLY


@pytest.mark.parametrize(
    "body",
    [
        "Thank you, I like the papers!",
        "Did you see the delivery problem? The user unknown error is back.",
        "",
    ],
)
def test_ordinary_mail_is_no_bounce(body: str) -> None:
    raw = f"From: Reader <reader@example.org>\nSubject: Re: Your papers\n\n{body}\n"
    assert read(raw.encode()) == Reading(kind=Kind.OTHER)


@pytest.mark.trust(63)
@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=400))
def test_trust_63_no_bytes_crash_the_reader(raw: bytes) -> None:
    assert isinstance(read(raw), Reading)


@pytest.mark.trust(63)
@settings(max_examples=150, deadline=None)
@given(st.data())
def test_trust_63_no_mutation_of_a_report_crashes_the_reader(data: st.DataObject) -> None:
    raw = bytearray(data.draw(st.sampled_from([a_report(), a_complaint("abuse")])))
    for _ in range(data.draw(st.integers(1, 12))):
        start = data.draw(st.integers(0, len(raw)))
        raw[start : start + data.draw(st.integers(0, 40))] = data.draw(st.binary(max_size=20))
    assert isinstance(read(bytes(raw)), Reading)


@pytest.mark.trust(63)
def test_trust_63_depth_and_number_of_parts_are_bounded() -> None:
    deep = b"".join(b'Content-Type: multipart/mixed; boundary="%d"\n\n--%d\n' % (n, n) for n in range(3000))
    wide = b'Content-Type: multipart/mixed; boundary="b"\n\n' + b"--b\n\nx\n" * 50_000
    assert read(deep).kind is Kind.OTHER
    assert read(wide).kind is Kind.OTHER


HOSTILE = {
    "tags": b"Content-Type: text/html\n\n" + b"<" * 2_000_000,
    "styles": b"Content-Type: text/html\n\n" + b"<style>x</sty" * 150_000,
    "parameters": b"Content-Type: text/plain; " + b"a=b; " * 400_000 + b"\n\nx",
    "punycode": b"Content-Type: text/plain; charset=punycode\n\n" + b"zz9" * 600_000,
    "rules": b"\n" + b"-" * 2_000_000,
    "empty lines": b"Content-Type: message/delivery-status\n\n" + b"\n" * 2_000_000,
    "a long field": b"X-Failed-Recipients: " + b"(" * 1_000_000 + b"\n\nx",
    "brackets": b"To: " + b"(" * 3_000 + b"\n\nx",
    "depth": b"".join(b'Content-Type: multipart/a; boundary="%d"\n\n--%d\n' % (n, n) for n in range(9000)),
    "messages in messages": b"Content-Type: message/rfc822\n\n" * 30_000,
    "a large body": b"\n" + b"user unknown " * 2_000_000,
}


@pytest.mark.trust(63)
@pytest.mark.parametrize("name", HOSTILE)
def test_trust_63_time_is_bounded_and_no_message_stops_who_looks_for_our_addresses(name: str) -> None:
    raw = b"From: MAILER-DAEMON@mx.example.org\nSubject: failure notice\n" + HOSTILE[name]
    postbox = Postbox(keyring=Keyring(["s" * 40]), envelope_domain="b.example", sender_domain="example.org")
    began = time.process_time()
    assert isinstance(read(raw), Reading)
    assert postbox.recipients_of(raw) == []
    assert postbox.deliveries_in(raw, ()) == []
    assert time.process_time() - began < 8  # each of these took minutes once, or raised


@pytest.mark.data
@pytest.mark.trust(63)
def test_no_mutation_of_a_recorded_message_stops_the_reader(recorded_data: Path) -> None:
    chance = random.Random(20261124)
    for path in sorted((recorded_data / "bounces" / "messages").iterdir())[::4]:
        raw = bytearray(path.read_bytes()[:30_000])
        for _ in range(8):
            start = chance.randrange(len(raw) + 1)
            raw[start : start + chance.randrange(40)] = chance.randbytes(chance.randrange(20))
        message = parse(bytes(raw))
        for step in (
            bounces._read_notification,
            bounces._read_feedback,
            bounces._read_report,
            bounces._read_words,
        ):
            step(message)  # read() itself would hide what they raise


# Measured on the recorded messages; a change that reads fewer of them rightly must say why.
FLOOR = 0.97


@pytest.mark.data
def test_recorded_messages_are_read_as_their_sources_say(recorded_data: Path) -> None:
    folder = recorded_data / "bounces"
    labels = [json.loads(line) for line in (folder / "labels.jsonl").read_text().splitlines()]
    right: Counter[str] = Counter()
    seen: Counter[str] = Counter()
    for label in labels:
        kind = read((folder / label["dir"] / label["name"]).read_bytes()).kind
        seen[label["class"]] += 1
        right[label["class"]] += kind in allowed(label)
    assert right["not_bounce"] == seen["not_bounce"]
    assert right["auto_reply"] == seen["auto_reply"]
    assert right.total() / seen.total() >= FLOOR, {name: (right[name], seen[name]) for name in seen}


FAILURES = {Kind.HARD, Kind.SOFT, Kind.POLICY, Kind.DELAY}
PASSING = FAILURES - {Kind.HARD}


def allowed(label: dict) -> set[Kind]:
    """Return the readings that agree with what the source of a message says of it."""
    by_class = {
        "not_bounce": {Kind.OTHER, Kind.AUTO_REPLY, Kind.DELAY},
        "auto_reply": {Kind.AUTO_REPLY},
        "complaint_or_arf": {Kind.COMPLAINT, Kind.POLICY},
        "bounce_hard": {Kind.HARD},
        "bounce_soft_or_other": PASSING,
        "bounce_unspecified": FAILURES,
    }
    first = (label["expected"] or [{}])[0]
    if first.get("reason") == "delivered":
        return {Kind.OTHER}
    if first.get("reason") == "suspend":  # a disabled mailbox (5.2.1), which we suppress
        return FAILURES
    return by_class[label["class"]]
