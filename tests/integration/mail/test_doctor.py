"""What the doctor finds, and the commands of the mail (trust 31 to 34, 43)."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest
import typer
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from typer.testing import CliRunner, Result

from service.commands import mail
from service.config import Settings
from service.database import Database
from service.digests.hold import Kind, place
from service.mail.checks import Check, check_mail, check_names
from service.mail.dkim import read_signer
from tests.integration.mail.certificates import tls_contexts
from tests.relays import ScriptedRelay, scripted_relay


@dataclass
class Names:
    """A resolver that knows what it is told."""

    texts: dict[str, list[str]] = field(default_factory=dict)
    mail_hosts: dict[str, list[str]] = field(default_factory=dict)
    hosts: dict[str, list[str]] = field(default_factory=dict)
    pointers: dict[str, list[str]] = field(default_factory=dict)
    away: bool = False

    def txt(self, name: str) -> list[str]:
        if self.away:
            raise OSError("timed out")
        return self.texts.get(name, [])

    def mx(self, name: str) -> list[str]:
        return self.mail_hosts.get(name, [])

    def addresses(self, name: str) -> list[str]:
        if self.away:
            raise OSError("timed out")
        return self.hosts.get(name, [])

    def names(self, address: str) -> list[str]:
        return self.pointers.get(address, [])


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    path = tmp_path / "dkim.pem"
    key = ed25519.Ed25519PrivateKey.generate()
    path.write_bytes(pem(key))
    return path


def pem(key: ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


@pytest.fixture
def sending(settings: Settings, key_file: Path) -> Settings:
    """Settings of a sender at a domain of its own."""
    return settings.model_copy(
        update={
            "sender_address": "digest@news.lark.org",
            "base_url": "https://digest.lark.org",
            "bounce_domain": "bounces.news.lark.org",
            "dkim_key_file": (key_file,),
            "dkim_selector": ("lark1",),
        }
    )


def states(checks: Iterator[Check]) -> dict[str, str]:
    return {check.name: check.state for check in checks}


@pytest.mark.trust(43)
def test_trust_43_a_sender_in_order_passes_and_is_told_what_to_publish(
    sending: Settings, key_file: Path
) -> None:
    checks = {check.name: check for check in check_mail(sending)}
    assert {check.state for check in checks.values()} == {"pass"}
    signer = read_signer(key_file, domain="news.lark.org", selector="lark1")
    assert f"lark1._domainkey.news.lark.org  {signer.record}" in (checks["DKIM key"].advice or "")


@pytest.mark.trust(43)
@pytest.mark.parametrize(
    ("changes", "name", "state"),
    [
        (
            {"sender_address": "digest@paperlark.localhost", "dkim_key_file": (), "dkim_selector": ()},
            "sender",
            "warn",
        ),
        ({"postal_address": None}, "postal address", "warn"),
        ({"base_url": "http://127.0.0.1:8000"}, "links", "warn"),
        ({"dkim_key_file": (), "dkim_selector": ()}, "DKIM key", "warn"),
        ({"dkim_domain": "elsewhere.org"}, "DKIM key", "fail"),
        ({"dkim_key_file": (Path("/nowhere/key.pem"),)}, "DKIM key", "fail"),
    ],
)
def test_trust_43_what_is_off_is_named(
    sending: Settings, changes: dict[str, object], name: str, state: str
) -> None:
    found = {check.name: check for check in check_mail(sending.model_copy(update=changes))}
    assert found[name].state == state
    assert found[name].advice


@pytest.mark.trust(32)
def test_trust_32_a_short_rsa_key_is_named(sending: Settings, key_file: Path) -> None:
    key_file.write_bytes(pem(rsa.generate_private_key(public_exponent=65537, key_size=1024)))
    assert states(check_mail(sending))["DKIM key"] == "warn"


def the_right_names(sending: Settings) -> Names:
    signer = read_signer(sending.dkim_key_file[0], domain="news.lark.org", selector="lark1")
    return Names(
        texts={
            "bounces.news.lark.org": ["other", "v=spf1 include:relay.lark.org -all"],
            "lark1._domainkey.news.lark.org": [signer.record.replace("; ", ";")],
            "_dmarc.lark.org": ["v=DMARC1; p=none"],
        },
        mail_hosts={"bounces.news.lark.org": ["mx.lark.org"]},
        hosts={"digest.lark.org": ["192.0.2.1"]},
    )


@pytest.mark.trust(31)
def test_trust_31_names_in_order_pass(sending: Settings) -> None:
    assert set(states(check_names(sending, the_right_names(sending))).values()) == {"pass"}


@pytest.mark.trust(31)
@pytest.mark.parametrize(
    ("name", "texts", "state"),
    [
        ("DNS: SPF", {"bounces.news.lark.org": []}, "fail"),
        ("DNS: SPF", {"bounces.news.lark.org": ["v=spf1 -all", "v=spf1 ~all"]}, "fail"),
        ("DNS: DKIM", {"lark1._domainkey.news.lark.org": []}, "fail"),
        ("DNS: DKIM", {"lark1._domainkey.news.lark.org": ["v=DKIM1; p=AAAA"]}, "fail"),
        ("DNS: DMARC", {"_dmarc.lark.org": []}, "fail"),
    ],
)
def test_trust_31_missing_or_wrong_records_fail(
    sending: Settings, name: str, texts: dict[str, list[str]], state: str
) -> None:
    names = the_right_names(sending)
    names.texts |= texts
    assert states(check_names(sending, names))[name] == state


def test_hosts_that_lead_nowhere_are_named(sending: Settings) -> None:
    names = the_right_names(sending)
    names.mail_hosts.clear()
    names.hosts.clear()
    found = states(check_names(sending, names))
    assert (found["DNS: bounces"], found["DNS: EHLO name"]) == ("fail", "warn")


FOUR, SIX = "93.184.216.34", "2606:2800:220:1:248:1893:25c8:1946"


def a_relay(sending: Settings, *hosts: str) -> Settings:
    urls = " ".join(f"smtp://{host}:25?starttls=never" for host in hosts)
    return Settings(environment="test", data_dir=sending.data_dir, smtp_url=urls)


def pointing(hosts: dict[str, list[str]], pointers: dict[str, list[str]]) -> Names:
    return Names(hosts=hosts, pointers=pointers)


def look_back(sending: Settings, names: Names, *hosts: str) -> list[Check]:
    found = check_names(a_relay(sending, *hosts), names)
    return [check for check in found if check.name.startswith("DNS: PTR")]


@pytest.mark.trust(33)
@pytest.mark.parametrize(
    ("host", "hosts", "pointers", "state", "words"),
    [
        ("mx.lark.org", {"mx.lark.org": [FOUR]}, {FOUR: ["mx.lark.org"]}, "pass", "there and back"),
        ("MX.lark.org.", {"mx.lark.org": [FOUR]}, {FOUR: ["mx.lark.org"]}, "pass", "there and back"),
        # Another name will do, if it leads back.
        (
            "mx.lark.org",
            {"mx.lark.org": [FOUR], "a.host.net": [FOUR]},
            {FOUR: ["gone.host.net", "a.host.net"]},
            "pass",
            "there and back",
        ),
        ("mx.lark.org", {"mx.lark.org": [FOUR]}, {}, "fail", f"{FOUR}, which has no name (PTR)"),
        (
            "mx.lark.org",
            {"mx.lark.org": [FOUR], "a.host.net": ["93.184.216.35"]},
            {FOUR: ["a.host.net"]},
            "fail",
            "a.host.net, which does not lead back",
        ),
        # One of two addresses is not enough: which of them it sends from is not known.
        (
            "mx.lark.org",
            {"mx.lark.org": [FOUR, SIX]},
            {FOUR: ["mx.lark.org"]},
            "fail",
            f"{SIX}, which has no name (PTR)",
        ),
        # However an address is written.
        (
            "mx.lark.org",
            {"mx.lark.org": [SIX.replace("220", "0220")]},
            {SIX: ["mx.lark.org"]},
            "pass",
            "there and back",
        ),
        (FOUR, {"mx.lark.org": [FOUR]}, {FOUR: ["mx.lark.org"]}, "pass", "there and back"),
        (FOUR, {}, {}, "fail", "no name (PTR)"),
    ],
)
def test_trust_33_the_relay_has_a_name_that_leads_back_to_it(
    sending: Settings,
    host: str,
    hosts: dict[str, list[str]],
    pointers: dict[str, list[str]],
    state: str,
    words: str,
) -> None:
    (check,) = look_back(sending, pointing(hosts, pointers), host)
    assert (check.state, words in check.found) == (state, True), check
    assert (check.advice is None) == (state == "pass")


@pytest.mark.trust(33)
@pytest.mark.parametrize(
    ("host", "words"),
    [
        ("127.0.0.1", "leads to no public address"),
        ("[::1]", "leads to no public address"),
        ("10.1.2.3", "leads to no public address"),
        ("inner.lark.org", "leads to no public address"),
        ("postfix", "is no name of the public DNS"),
        ("email-smtp.eu-west-1.amazonaws.com", "amazonaws.com's"),
        ("smtp-relay.gmail.com", "gmail.com's"),
    ],
)
def test_trust_33_where_a_name_would_say_nothing_it_is_not_asked_for(
    sending: Settings, host: str, words: str
) -> None:
    names = pointing({"inner.lark.org": ["192.168.7.7", "fd00::7"], "smtp-relay.gmail.com": [FOUR]}, {})
    (check,) = look_back(sending, names, host)
    assert check.state == "pass"
    assert check.found.startswith("nothing to look up")
    assert words in check.found


def test_each_of_several_relays_is_looked_at_and_none_where_mail_stays_here(sending: Settings) -> None:
    names = pointing({"a.lark.org": [FOUR], "notgmail.com": [SIX]}, {FOUR: ["a.lark.org"]})
    found = look_back(sending, names, "a.lark.org", "notgmail.com")
    assert [(check.name, check.state) for check in found] == [
        ("DNS: PTR a.lark.org:25", "pass"),
        ("DNS: PTR notgmail.com:25", "fail"),
    ]
    assert look_back(sending, Names(away=True), "a.lark.org")[0].found.startswith("DNS can't be asked")
    assert [check for check in check_names(sending, names) if "PTR" in check.name] == []


def test_a_resolver_that_is_away_is_no_crash(sending: Settings) -> None:
    found = list(check_names(sending, Names(away=True)))
    assert any(check.state == "fail" and "can't be asked" in check.found for check in found)


def with_relay(sending: Settings, server: ScriptedRelay, query: str = "?starttls=never") -> Settings:
    url = f"smtp://127.0.0.1:{server.port}{query}"
    return Settings(environment="test", data_dir=sending.data_dir, smtp_url=url, smtp_timeout_seconds=2)


@pytest.mark.trust(34)
def test_trust_34_the_relay_is_greeted_and_sent_nothing(sending: Settings, tmp_path: Path) -> None:
    server_tls, client_tls = tls_contexts(tmp_path)
    with scripted_relay(tls=server_tls) as server:
        settings = with_relay(sending, server, query="")
        found = {check.name: check for check in check_mail(settings, tls_context=client_tls)}
    assert found["relay"].state == "pass"
    assert "TLS" in found["relay"].found
    assert not [line for line in server.seen if line.startswith(("MAIL", "RCPT", "DATA"))]


def test_a_relay_that_is_away_fails(sending: Settings) -> None:
    with scripted_relay() as server:
        settings = with_relay(sending, server)
    assert states(check_mail(settings))["relay"] == "fail"


# -- the commands ------------------------------------------------------------------------------------


def run(*words: str, environment: dict[str, str] | None = None, given: bytes | None = None) -> Result:
    app = typer.Typer()
    mail.register(app)
    return CliRunner().invoke(app, list(words), env=environment, input=given)


def test_the_doctor_passes_a_migrated_database_and_fails_a_missing_one(
    sqlite_url: str, postgres_url: str, tmp_path: Path, redis_url: str
) -> None:
    environment = {
        "PAPERLARK_DATA_DIR": str(tmp_path),
        "PAPERLARK_DATABASE_URL": sqlite_url,
        "PAPERLARK_REDIS_URL": redis_url,
    }
    good = run("doctor", "--json", environment=environment)
    found = {check["name"]: check for check in json.loads(good.stdout)}
    assert good.exit_code == 0
    assert found["database"]["state"] == "pass"
    assert "answers" in found["broker"]["found"]

    careless = run("doctor", "--json", environment=environment | {"PAPERLARK_DATABASE_URL": postgres_url})
    database = next(one for one in json.loads(careless.stdout) if one["name"] == "database")
    # That of the tests forgets what it confirmed when it is killed: it is quick that way.
    assert (database["state"], "fsync and synchronous_commit off" in database["found"]) == ("warn", True)

    missing = environment | {"PAPERLARK_DATABASE_URL": f"sqlite:///{tmp_path}/none.sqlite3"}
    bad = run("doctor", environment=missing)
    assert bad.exit_code == 1
    assert "paperlark migrate" in bad.stdout
    assert not (tmp_path / "none.sqlite3").exists()


@pytest.mark.parametrize(
    ("kind", "state", "code"),
    [(Kind.OPERATOR, "warn", 0), (Kind.RESTORE, "fail", 1), (Kind.BREAKER, None, 0)],
)
def test_the_doctor_tells_of_a_hold(
    sqlite_database: Database, sqlite_url: str, tmp_path: Path, kind: Kind, state: str | None, code: int
) -> None:
    with sqlite_database.transaction() as session:
        place(session, datetime(2026, 2, 13, 8, tzinfo=UTC), kind=kind, reason="so it is")
    environment = {"PAPERLARK_DATA_DIR": str(tmp_path), "PAPERLARK_DATABASE_URL": sqlite_url}
    result = run("doctor", "--json", environment=environment)
    found = {check["name"]: check for check in json.loads(result.stdout)}
    assert result.exit_code == code
    assert found.get("hold", {}).get("state") == state  # the breaker's is told of as the breaker
    if state is not None:
        assert "since 2026-02-13 08:00 UTC: so it is" in found["hold"]["found"]


def test_the_doctor_tells_of_a_postgres_and_a_broker_that_are_away(tmp_path: Path) -> None:
    environment = {
        "PAPERLARK_DATA_DIR": str(tmp_path),
        "PAPERLARK_DATABASE_URL": "postgresql://lark:hush-hush@127.0.0.1:1/paperlark",
        "PAPERLARK_REDIS_URL": "redis://:hush-hush@127.0.0.1:1/0",
    }
    result = run("doctor", environment=environment)
    assert result.exit_code == 1
    assert result.stdout.count("can't be reached") == 2
    assert "hush-hush" not in result.stdout


def test_the_doctor_names_settings_that_are_refused() -> None:
    result = run("doctor", environment={"PAPERLARK_ENVIRONMENT": "production"})
    assert result.exit_code == 1
    assert "PAPERLARK_SMTP_URL" in result.stdout


def test_bounces_are_shown_one_object_a_line(tmp_path: Path) -> None:
    bounce, note = tmp_path / "bounce.eml", tmp_path / "note.eml"
    bounce.write_text(
        "From: MAILER-DAEMON@mx.example.org\nSubject: Undelivered mail\n\n"
        "<gone@example.org>: 550 5.1.1 user unknown\n"
    )
    note.write_text("From: a@example.org\nSubject: Hello\n\nHello!\n")
    result = run("bounces", "read", str(bounce), str(note), "--json")
    assert result.exit_code == 0
    assert [json.loads(line) for line in result.stdout.splitlines()] == [
        {"file": str(bounce), "kind": "hard", "status": "5.1.1", "recipients": ["gone@example.org"]},
        {"file": str(note), "kind": "other", "status": None, "recipients": []},
    ]
    assert "hard 5.1.1 (gone@example.org)" in run("bounces", "read", str(bounce)).stdout
    assert "-: hard 5.1.1" in run("bounces", "read", "-", given=bounce.read_bytes()).stdout
    assert run("bounces", "read", str(tmp_path / "none.eml")).exit_code == 1


def test_a_file_that_cannot_be_opened_is_named_and_the_others_are_read(tmp_path: Path) -> None:
    note = tmp_path / "note.eml"
    note.write_text("From: a@example.org\nSubject: Hello\n\nHello!\n")
    result = run("bounces", "read", str(tmp_path / "none.eml"), str(tmp_path), str(note))
    assert result.exit_code == 3
    assert "none.eml can't be read: No such file" in result.stderr
    assert "Is a directory" in result.stderr
    assert result.stdout == f"{note}: other - (nobody named)\n"
