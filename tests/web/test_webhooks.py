"""What providers tell by webhook: only if it is theirs, only now, and once; about whom our own marks say."""

import base64
import contextlib
import hashlib
import hmac
import json
import socket
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from pydantic import SecretStr
from sqlalchemy import select

from service.clock import SettableClock
from service.config import Settings
from service.database import Database
from service.mail import provider_events
from service.mail.provider_signatures import is_sns_url, sns_text
from service.mail.tables import DeliveryRow, ReturnRow
from service.web.webhooks import FETCHES, Kept, fetch_by_https
from tests.integration.mail.certificates import tls_contexts
from tests.web.conftest import ADDRESS, Visitor, make_visitor

TOPIC = "arn:aws:sns:eu-west-1:123456789012:ses-events"
CERTIFICATE_URL = "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-0123.pem"
MAILGUN_KEY = "a-mailgun-signing-key-0123456789"
POSTMARK_SECRET = "postmark:a-long-password-0123456789"
SENDGRID_KEY = ec.generate_private_key(ec.SECP256R1())
SNS_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)


def sns_certificate(now: datetime, name: str = "sns.amazonaws.com") -> bytes:
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(SNS_KEY.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=30))
        .sign(SNS_KEY, hashes.SHA256())
    )
    return certificate.public_bytes(serialization.Encoding.PEM)


@dataclass
class Provider:
    """A site with every webhook open, a reader who was mailed, and requests as the providers sign them."""

    site: Visitor
    clock: SettableClock
    delivery: DeliveryRow
    fetched: list[str]

    @property
    def message_id(self) -> str:
        return f"<{self.delivery.nonce:016x}@{self.site.parts.settings.sender_domain}>"

    @property
    def envelope_sender(self) -> str:
        parts = self.site.parts
        return f"bounce+{parts.keyring.bounce_token(self.delivery.nonce)}@{parts.settings.envelope_domain}"

    def returns(self) -> list[tuple[str, str, str]]:
        with self.site.parts.database.reading() as session:
            rows = session.scalars(select(ReturnRow).order_by(ReturnRow.id)).all()
        return [(row.source, row.kind, row.outcome) for row in rows]

    @property
    def status(self) -> str:
        found = self.site.subscriber()
        assert found is not None
        return found.status

    # -- Amazon SES ----------------------------------------------------------------------------------

    def sns(self, message: object, *, version: str = "2", **changes: str) -> dict[str, str]:
        told = {
            "Type": "Notification",
            "MessageId": "b4a0f7a5-1",
            "TopicArn": TOPIC,
            "Message": json.dumps(message),
            "Timestamp": f"{self.clock():%Y-%m-%dT%H:%M:%S}.000Z",
            "SignatureVersion": version,
            "SigningCertURL": CERTIFICATE_URL,
        } | changes
        algorithm = hashes.SHA256() if version == "2" else hashes.SHA1()
        signature = SNS_KEY.sign(sns_text(told), padding.PKCS1v15(), algorithm)
        return told | {"Signature": base64.b64encode(signature).decode()}

    def post_ses(self, told: object) -> int:
        headers = {"content-type": "text/plain; charset=UTF-8"}
        return self.site.post("/webhooks/ses", content=json.dumps(told), headers=headers).status_code

    def ses_bounce(self, kind: str = "Permanent", status: str = "5.1.1") -> dict[str, Any]:
        return {
            "notificationType": "Bounce",
            "bounce": {
                "bounceType": kind,
                "bounceSubType": "General",
                "bouncedRecipients": [{"status": status, "diagnosticCode": f"smtp; 550 {status} refused"}],
            },
            "mail": {"source": self.envelope_sender, "messageId": "0100-ses"},
        }

    # -- SendGrid ------------------------------------------------------------------------------------

    def post_sendgrid(self, events: object, *, at: datetime | None = None, tamper: bytes = b"") -> int:
        body = json.dumps(events).encode()
        timestamp = str(int((at or self.clock()).timestamp()))
        signature = SENDGRID_KEY.sign(timestamp.encode() + body, ec.ECDSA(hashes.SHA256()))
        return self.send_to_sendgrid(body + tamper, timestamp, base64.b64encode(signature).decode())

    def send_to_sendgrid(self, body: bytes, timestamp: str, signature: str) -> int:
        headers = {
            "X-Twilio-Email-Event-Webhook-Signature": signature,
            "X-Twilio-Email-Event-Webhook-Timestamp": timestamp,
        }
        return self.site.post("/webhooks/sendgrid", content=body, headers=headers).status_code

    def sendgrid_event(self, **changes: Any) -> dict[str, Any]:
        return {
            "event": "bounce",
            "type": "bounce",
            "sg_event_id": "one",
            "smtp-id": self.message_id,
            "status": "5.1.1",
            "reason": "550 5.1.1 no such user",
        } | changes

    # -- Mailgun -------------------------------------------------------------------------------------

    def mailgun(self, token: str = "t" * 50, at: datetime | None = None, **changes: Any) -> dict[str, Any]:
        timestamp = str(int((at or self.clock()).timestamp()))
        signature = hmac.new(MAILGUN_KEY.encode(), (timestamp + token).encode(), hashlib.sha256).hexdigest()
        event = {
            "id": "event-1",
            "event": "failed",
            "severity": "permanent",
            "reason": "bounce",
            "delivery-status": {"code": 550, "message": "550 5.1.1 no such user", "enhanced-code": "5.1.1"},
            "message": {"headers": {"message-id": self.message_id.strip("<>")}},
        } | changes
        return {
            "signature": {"timestamp": timestamp, "token": token, "signature": signature},
            "event-data": event,
        }

    def post_mailgun(self, told: object) -> int:
        return self.site.post("/webhooks/mailgun", json=told).status_code

    # -- Postmark ------------------------------------------------------------------------------------

    def postmark(self, **changes: Any) -> dict[str, Any]:
        return {
            "RecordType": "Bounce",
            "ID": 4323372036854775807,
            "Type": "HardBounce",
            "Details": "550 5.1.1 no such user",
            "Metadata": {"delivery": self.envelope_sender},
        } | changes

    def post_postmark(self, told: object, secret: str = POSTMARK_SECRET) -> int:
        user, _, password = secret.partition(":")
        return self.site.post("/webhooks/postmark", json=told, auth=(user, password)).status_code


def make_provider(database: Database, settings: Settings, clock: SettableClock, **changes: Any) -> Provider:
    fetched: list[str] = []

    def fetch(url: str) -> bytes:
        fetched.append(url)
        return sns_certificate(clock())

    der = SENDGRID_KEY.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    open_webhooks = {
        "webhook_ses_topics": (TOPIC,),
        "webhook_sendgrid_key": base64.b64encode(der).decode(),
        "webhook_mailgun_key": SecretStr(MAILGUN_KEY),
        "webhook_postmark_secret": SecretStr(POSTMARK_SECRET),
    }
    site = make_visitor(database, settings.model_copy(update=open_webhooks | changes), clock, fetch=fetch)
    subscriber = site.join()
    with database.reading() as session:
        query = select(DeliveryRow).where(DeliveryRow.subscriber_id == subscriber.id)
        delivery = session.scalars(query).first()
    assert delivery is not None
    return Provider(site, clock, delivery, fetched)


@pytest.fixture
def provider(sqlite_database: Database, settings: Settings, clock: SettableClock) -> Iterator[Provider]:
    made = make_provider(sqlite_database, settings, clock)
    with made.site:
        yield made


@pytest.fixture
def provider_on_both(database: Database, settings: Settings, clock: SettableClock) -> Iterator[Provider]:
    made = make_provider(database, settings, clock)
    with made.site:
        yield made


def tell_bounce(provider: Provider, name: str) -> int:
    match name:
        case "ses":
            return provider.post_ses(provider.sns(provider.ses_bounce()))
        case "sendgrid":
            return provider.post_sendgrid([provider.sendgrid_event()])
        case "mailgun":
            return provider.post_mailgun(provider.mailgun())
    return provider.post_postmark(provider.postmark())


NAMES = ["ses", "sendgrid", "mailgun", "postmark"]


@pytest.mark.trust(64)
@pytest.mark.parametrize("name", NAMES)
def test_a_genuine_bounce_suppresses_once(provider_on_both: Provider, name: str) -> None:
    provider = provider_on_both
    assert [tell_bounce(provider, name) for _ in range(3)] == [200, 200, 200]
    assert provider.status == "bounced"
    assert provider.returns() == [(name, "hard", "suppressed")]


@pytest.mark.trust(64)
@pytest.mark.parametrize("name", NAMES)
def test_a_webhook_that_is_not_set_up_is_not_there(
    sqlite_database: Database, settings: Settings, clock: SettableClock, name: str
) -> None:
    closed = {
        "webhook_ses_topics": (),
        "webhook_sendgrid_key": None,
        "webhook_mailgun_key": None,
        "webhook_postmark_secret": None,
    }
    provider = make_provider(sqlite_database, settings, clock, **closed)
    assert tell_bounce(provider, name) == 404
    assert provider.site.post("/webhooks/other", json={}).status_code == 404
    assert provider.returns() == []


@pytest.mark.trust(64)
def test_what_is_not_genuine_changes_nothing(provider: Provider) -> None:
    before = provider.site.dump()
    event = provider.sendgrid_event()
    assert provider.post_sendgrid([event], tamper=b" ") == 403
    assert provider.send_to_sendgrid(b"[]", "no time", "no signature") == 403
    forged = provider.mailgun()
    forged["signature"]["signature"] = "0" * 64
    assert provider.post_mailgun(forged) == 403
    assert provider.post_mailgun({"event-data": forged["event-data"]}) == 403
    assert provider.post_postmark(provider.postmark(), "postmark:another-password-0123456") == 401
    assert provider.site.post("/webhooks/postmark", json=provider.postmark()).status_code == 401
    told = provider.sns(provider.ses_bounce())
    assert provider.post_ses(told | {"Message": json.dumps(provider.ses_bounce("Transient"))}) == 403
    assert provider.post_ses(told | {"SignatureVersion": "3"}) == 403
    assert provider.site.dump() == before


@pytest.mark.trust(64)
@pytest.mark.parametrize("minutes", [-6, 6])
def test_what_was_signed_at_another_time_is_refused(provider: Provider, minutes: int) -> None:
    at = provider.clock() + timedelta(minutes=minutes)
    assert provider.post_sendgrid([provider.sendgrid_event()], at=at) == 403
    assert provider.post_mailgun(provider.mailgun(at=at)) == 403
    stamp = f"{provider.clock() + 15 * timedelta(minutes=minutes):%Y-%m-%dT%H:%M:%S}.000Z"
    assert provider.post_ses(provider.sns(provider.ses_bounce(), Timestamp=stamp)) == 403
    assert provider.returns() == []


@pytest.mark.trust(64)
def test_a_caught_token_of_mailgun_carries_no_other_body(provider: Provider) -> None:
    assert provider.post_mailgun(provider.mailgun(id="first", severity="temporary")) == 200
    assert provider.post_mailgun(provider.mailgun(id="second")) == 200
    assert provider.returns() == [("mailgun", "delay", "noted")]
    assert provider.post_mailgun(provider.mailgun(token="u" * 50, id="second")) == 200
    assert provider.status == "bounced"


@pytest.mark.trust(64)
def test_a_batch_is_taken_as_far_as_it_makes_sense_in_any_order(provider: Provider) -> None:
    batch = [
        "no event",
        {"event": "bounce"},
        provider.sendgrid_event(event="delivered", sg_event_id="d"),
        provider.sendgrid_event(event="spamreport", sg_event_id="c"),
        provider.sendgrid_event(sg_event_id="b", **{"smtp-id": "<of-somebody@else>"}),
        provider.sendgrid_event(sg_event_id="b"),
        {"event": ["strange"], "sg_event_id": {"x": 1}},
    ]
    assert provider.post_sendgrid(batch) == 200
    assert provider.returns() == [("sendgrid", "complaint", "suppressed"), ("sendgrid", "hard", "unmatched")]
    assert provider.status == "complained"


ELSEWHERE = [
    "http://sns.eu-west-1.amazonaws.com/x.pem",
    "https://sns.eu-west-1.amazonaws.com.evil.example/x.pem",
    "https://evil.example/sns.eu-west-1.amazonaws.com/x.pem",
    "https://sns.eu-west-1.amazonaws.com@evil.example/x.pem",
    "https://sns.eu-west-1.amazonaws.com:8443/x.pem",
    "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-0123.txt",
    "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-0123.pem?x=.pem",
    "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-0123.pem#x",
    "https://sns.eu-west-1.amazonaws.com/../SimpleNotificationService-0123.pem",
    "https://sns.eu-west-1.amazonaws.com/?Action=Publish&x=SimpleNotificationService-0123.pem",
    "https://sns.eu-west-1.amazonaws.com\t.evil.example/SimpleNotificationService-0123.pem",
    "https://sns.eu-west-1.amazonaws.com\n/SimpleNotificationService-0123.pem\r\nHost: evil.example",
    "https://user:password@sns.eu-west-1.amazonaws.com/SimpleNotificationService-0123.pem",
    "https://sns.eu-west-1.amazonaws.com:443/SimpleNotificationService-0123.pem",
    "https://sns.eu-west-1.amazonaws.com:/SimpleNotificationService-0123.pem",
    "https://sns.eu-west-1.amazonaws.com./SimpleNotificationService-0123.pem",
    "https://sns.eu-west-1.\u0430mazonaws.com/SimpleNotificationService-0123.pem",
    "https://sns.eu-west-1.amazonaws.com%2eevil.example/SimpleNotificationService-0123.pem",
    "https://sns.eu-west-1.amazonaws.com%00.evil.example/SimpleNotificationService-0123.pem",
    "https://[::1]/SimpleNotificationService-0123.pem",
    "//sns.eu-west-1.amazonaws.com/SimpleNotificationService-0123.pem",
    "HTTPS://SNS.EU-WEST-1.AMAZONAWS.COM/SimpleNotificationService-0123.pem",
    "https://127.0.0.1/x.pem",
    "https://sns.eu-west-1.amazonaws.com\\@evil.example/x.pem",
    "file:///etc/passwd.pem",
]


@pytest.mark.trust(65)
def test_certificates_come_from_sns_alone(provider: Provider) -> None:
    for url in ELSEWHERE:
        told = provider.sns(provider.ses_bounce(), SigningCertURL=url)
        assert (url, provider.post_ses(told)) == (url, 403)
    assert provider.fetched == []


@pytest.mark.trust(65)
def test_only_topics_of_ours_are_heard(provider: Provider) -> None:
    other = TOPIC.replace("123456789012", "999999999999")
    assert provider.post_ses(provider.sns(provider.ses_bounce(), TopicArn=other)) == 403
    assert provider.fetched == []


@pytest.mark.trust(65)
def test_a_subscription_is_confirmed_at_sns_alone(provider: Provider) -> None:
    link = "https://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription&Token=x"
    confirming = {"Type": "SubscriptionConfirmation", "Token": "x", "MessageId": "c"}
    assert (
        provider.post_ses(provider.sns("please", **confirming, SubscribeURL="https://evil.example/")) == 403
    )
    assert provider.fetched == [CERTIFICATE_URL]
    assert provider.post_ses(provider.sns("please", **confirming, SubscribeURL=link)) == 200
    assert provider.fetched == [CERTIFICATE_URL, link]
    assert provider.returns() == []


@pytest.mark.parametrize("version", ["1", "2"])
def test_sns_signs_in_two_ways(provider: Provider, version: str) -> None:
    assert provider.post_ses(provider.sns(provider.ses_bounce(), version=version)) == 200
    assert provider.status == "bounced"


@pytest.mark.parametrize("name", ["sns.evil.example", "evil.example"])
def test_a_certificate_of_somebody_else_is_none(
    sqlite_database: Database, settings: Settings, clock: SettableClock, name: str
) -> None:
    provider = make_provider(sqlite_database, settings, clock)
    provider.site.app.state.webhooks.certificates.fetch = lambda _url: sns_certificate(clock(), name)
    assert provider.post_ses(provider.sns(provider.ses_bounce())) == 403


def test_a_certificate_that_cannot_be_fetched_puts_the_message_off(provider: Provider) -> None:
    def is_away(_url: str) -> bytes:
        raise TimeoutError

    provider.site.app.state.webhooks.certificates.fetch = is_away
    assert provider.post_ses(provider.sns(provider.ses_bounce())) == 503
    assert provider.returns() == []


@pytest.mark.trust(64)
def test_certificates_that_are_not_there_take_no_more_than_their_turns() -> None:
    begun, may_end = threading.Barrier(FETCHES + 1), threading.Event()

    def fetch(_url: str) -> bytes:
        begun.wait(10)
        may_end.wait(10)
        return b"found"

    kept = Kept(fetch)
    waiting = [threading.Thread(target=kept, args=(f"https://x/{number}",)) for number in range(FETCHES)]
    for thread in waiting:
        thread.start()
    begun.wait(10)
    with pytest.raises(TimeoutError):
        kept("https://x/another")
    may_end.set()
    for thread in waiting:
        thread.join(10)
    assert kept("https://x/0") == b"found"


@pytest.mark.trust(64)
def test_half_signs_and_numbers_beyond_bounds_are_no_failure_of_ours(provider: Provider) -> None:
    told = provider.mailgun()
    for name in ("timestamp", "token", "signature"):
        forged = told | {"signature": told["signature"] | {name: "\ud800"}}
        assert provider.site.post("/webhooks/mailgun", content=json.dumps(forged)).status_code == 403
    beyond = f"<{2**64 - 1:016x}@{provider.site.parts.settings.sender_domain}>"
    batch = [
        provider.sendgrid_event(sg_event_id="\ud800"),
        provider.sendgrid_event(sg_event_id="beyond", **{"smtp-id": beyond}),
        provider.sendgrid_event(sg_event_id="long", status="5." + "9" * 5000, reason="x" * 100_000),
        provider.sendgrid_event(sg_event_id="nul", reason="\x00", status="\x005.1.1"),
    ]
    assert provider.post_sendgrid(batch) == 200
    assert len(provider.returns()) == 4
    assert provider.status == "bounced"


@pytest.mark.trust(64)
def test_a_body_counts_as_it_is_read_once(provider: Provider) -> None:
    """What is verified is what is acted on, however often a name stands in it."""
    ours, other = provider.sns(provider.ses_bounce()), TOPIC.replace("123456789012", "999999999999")
    doubled = json.dumps(ours)[:-1] + f', "TopicArn": "{other}"}}'
    assert provider.site.post("/webhooks/ses", content=doubled).status_code == 403
    swapped = (
        json.dumps(ours)[:-1] + f', "Message": {json.dumps(json.dumps(provider.ses_bounce("Transient")))}}}'
    )
    assert provider.site.post("/webhooks/ses", content=swapped).status_code == 403
    assert provider.site.post("/webhooks/ses", content=json.dumps([ours])).status_code == 403
    assert provider.site.post("/webhooks/ses", content=json.dumps(ours | {"x": 1})).status_code == 403
    renamed = ours | {"Type": "SubscriptionConfirmation", "SubscribeURL": CERTIFICATE_URL, "Token": "x"}
    assert provider.post_ses(renamed) == 403
    assert CERTIFICATE_URL not in provider.fetched[1:]
    assert provider.returns() == []
    assert provider.post_ses(ours) == 200


@pytest.mark.trust(64)
def test_bodies_that_make_no_sense_change_nothing(provider: Provider) -> None:
    before = provider.site.dump()
    login = ("postmark", POSTMARK_SECRET.partition(":")[2])
    timestamp = str(int(provider.clock().timestamp()))
    for body in (b"", b"\xff\xfe", b"null", b"1" * 10_000, b'{"a":' * 50_000, b"NaN", b'{"a": [[]]}'):
        for name in NAMES:
            assert provider.site.post(f"/webhooks/{name}", content=body).status_code in {400, 401, 403}
        signature = SENDGRID_KEY.sign(timestamp.encode() + body, ec.ECDSA(hashes.SHA256()))
        assert provider.send_to_sendgrid(body, timestamp, base64.b64encode(signature).decode()) == 400
        told = provider.site.post("/webhooks/postmark", content=body, auth=login)
        assert told.status_code in {200, 400}
    assert provider.site.dump() == before


@pytest.mark.trust(64)
def test_a_key_of_another_kind_verifies_nothing(
    sqlite_database: Database, settings: Settings, clock: SettableClock
) -> None:
    der = SNS_KEY.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    provider = make_provider(
        sqlite_database, settings, clock, webhook_sendgrid_key=base64.b64encode(der).decode()
    )
    assert provider.post_sendgrid([provider.sendgrid_event()]) == 403
    assert provider.returns() == []


def test_hosts_of_sns_are_told_from_others() -> None:
    assert is_sns_url("https://sns.us-gov-west-1.amazonaws.com/a.pem")
    assert is_sns_url("https://sns.cn-north-1.amazonaws.com.cn/a.pem")
    assert not is_sns_url("https://s3.us-east-1.amazonaws.com/a.pem")
    assert not is_sns_url(None)


def test_what_is_too_large_is_refused_before_it_is_read(provider: Provider) -> None:
    assert provider.site.post("/webhooks/sendgrid", content=b"x" * (3 * 1024 * 1024)).status_code == 413


def test_unknown_events_are_heard_and_left_alone(provider: Provider) -> None:
    assert provider.post_ses(provider.sns({"notificationType": "Delivery"})) == 200
    assert provider.post_ses(provider.sns("plain words", MessageId="p")) == 200
    assert provider.post_sendgrid([provider.sendgrid_event(event="processed")]) == 200
    assert provider.post_mailgun(provider.mailgun(event="opened")) == 200
    assert provider.post_postmark(provider.postmark(RecordType="Open")) == 200
    assert provider.returns() == []


@pytest.mark.trust(58, 59, 60)
@pytest.mark.parametrize(
    ("event", "outcome"),
    [
        ({"event": "unsubscribe"}, "left"),
        ({"event": "dropped", "reason": "Spam Reporting Address"}, "suppressed"),
        ({"event": "dropped", "reason": "Invalid SMTPAPI header"}, "noted"),
        ({"type": "blocked", "status": "5.7.1", "reason": "550 5.7.1 blocked by policy"}, "told"),
        ({"type": "blocked", "status": "4.2.2", "reason": "mailbox full"}, "counted"),
        ({"event": "deferred", "status": "4.4.1"}, "noted"),
    ],
)
def test_events_weigh_as_reports_do(provider: Provider, event: dict, outcome: str) -> None:
    assert provider.post_sendgrid([provider.sendgrid_event(**event)]) == 200
    [(_, _, done)] = provider.returns()
    assert done == outcome


@pytest.mark.parametrize(
    ("told", "outcome"),
    [
        ({"RecordType": "SpamComplaint", "Type": "SpamComplaint"}, "suppressed"),
        ({"RecordType": "SubscriptionChange", "SuppressSending": True, "MessageID": "m"}, "left"),
        ({"Type": "SoftBounce"}, "counted"),
        ({"Type": "SpamNotification"}, "told"),
        ({"Type": "AutoResponder"}, "noted"),
    ],
)
def test_postmarks_words_are_understood(provider: Provider, told: dict, outcome: str) -> None:
    assert provider.post_postmark(provider.postmark(**told)) == 200
    [(_, _, done)] = provider.returns()
    assert done == outcome


def test_no_address_and_no_secret_is_logged(provider: Provider, capsys: pytest.CaptureFixture[str]) -> None:
    for name in NAMES:
        tell_bounce(provider, name)
    provider.post_postmark(provider.postmark(), "postmark:another-password-0123456")
    said = "".join(capsys.readouterr())
    assert "mail_returned" in said
    for secret in (ADDRESS, MAILGUN_KEY, POSTMARK_SECRET, "another-password", provider.envelope_sender):
        assert secret not in said


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["event", "bounce", "mail", "headers", "Type", "event-data", "message", "x"]),
            inner,
            max_size=5,
        )
    ),
    max_leaves=20,
)


@hypothesis_settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(JSON)
def test_no_body_breaks_the_readers(body: Any) -> None:
    provider_events.ses_event(body, "id")
    provider_events.mailgun_event(body)
    provider_events.postmark_event(body)
    if isinstance(body, list):
        list(provider_events.sendgrid_events(body))


def test_deep_json_is_no_body() -> None:
    with pytest.raises(provider_events.Malformed):
        provider_events.read_json(b"[" * 200_000)


@pytest.mark.trust(65)
@pytest.mark.parametrize("url", ["http://127.0.0.1:1/x.pem", "file:///etc/hostname", "ftp://127.0.0.1/x"])
def test_nothing_is_fetched_but_by_https(url: str) -> None:
    with pytest.raises(ValueError, match="https"):
        fetch_by_https(url)


@pytest.mark.trust(65)
def test_a_server_that_nobody_vouches_for_is_not_believed(tmp_path: Path) -> None:
    serving, _ = tls_contexts(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=_answer_once, args=(listening, serving), daemon=True)
        thread.start()
        with pytest.raises(OSError, match="certificate"):
            fetch_by_https(f"https://127.0.0.1:{listening.getsockname()[1]}/x.pem")
        thread.join(5)


def _answer_once(listening: socket.socket, serving: ssl.SSLContext) -> None:
    plain, _ = listening.accept()
    with contextlib.suppress(OSError), serving.wrap_socket(plain, server_side=True) as secure:
        secure.sendall(b"HTTP/1.0 200 OK\r\n\r\npem")
    plain.close()
