"""Signatures, judged by an independent verifier (trust 23, 32)."""

import base64
import hashlib
import re
import shutil
import subprocess
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import dkim as dkimpy
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from hypothesis import given, settings
from hypothesis import strategies as st

from service.config import Settings
from service.keys import Keyring
from service.mail.assembly import AssemblyPress
from service.mail.dkim import SIGNED_FIELDS, Signer, body_hash, read_signer, relaxed_body
from service.mail.message import Press, sender_from
from tests.unit.mail.letter_samples import a_digest, a_sender

AT = datetime(2026, 2, 13, 8, tzinfo=UTC)
KEYS = {
    "rsa": rsa.generate_private_key(public_exponent=65537, key_size=2048),
    "ed25519": ed25519.Ed25519PrivateKey.generate(),
}
SECOND_VERIFIER = Path(__file__).with_name("mail_dkim.pl")
KEYRING = Keyring(["a-secret-for-tests-only-0123456789-abcdef"])


def signed(signer: Signer) -> bytes:
    return Press(a_sender(signers=(signer,)), KEYRING).make(a_digest(), nonce=7, at=AT).data


def verifies(data: bytes, signer: Signer) -> bool:
    def record(name: bytes, timeout: int = 5) -> bytes:
        assert name.decode().rstrip(".") == signer.record_name
        return signer.record.encode()

    return dkimpy.verify(data, dnsfunc=record)


@pytest.fixture(params=sorted(KEYS))
def signer(request: pytest.FixtureRequest) -> Signer:
    return Signer("news.example.org", "lark1", KEYS[request.param])


@pytest.mark.trust(23)
def test_trust_23_a_digest_is_signed_so_that_another_verifier_agrees(signer: Signer) -> None:
    data = signed(signer)
    assert verifies(data, signer)
    assert f"a={signer.algorithm};".encode() in data


@pytest.mark.trust(23)
def test_an_address_to_unsubscribe_and_a_field_for_postmark_are_signed_around(signer: Signer) -> None:
    letter = replace(a_digest(), unsubscribe_address="leave+abcdefghijklmnopqrstuvwx@bounces.example.org")
    sender = a_sender(signers=(signer,), has_metadata=True)
    data = Press(sender, KEYRING).make(letter, nonce=7, at=AT).data
    assert verifies(data, signer)
    assert not verifies(data.replace(b"mailto:leave+a", b"mailto:leave+b"), signer)


def test_two_keys_at_once_give_two_good_signatures() -> None:
    signers = tuple(Signer("news.example.org", f"lark-{name}", key) for name, key in KEYS.items())
    records = {signer.record_name: signer.record.encode() for signer in signers}
    data = Press(a_sender(signers=signers), KEYRING).make(a_digest(), nonce=7, at=AT).data
    judge = dkimpy.DKIM(data)
    for index in range(2):
        assert judge.verify(idx=index, dnsfunc=lambda name, timeout=5: records[name.decode().rstrip(".")])


@pytest.mark.trust(23)
def test_trust_23_a_second_verifier_agrees() -> None:
    """Mail::DKIM for Perl, written apart from dkimpy; it comes with SpamAssassin.

    Where it knows no Ed25519 it must not be troubled by such a signature beside the other.
    """
    perl = shutil.which("perl")
    if perl is None or subprocess.run([perl, "-MMail::DKIM::Verifier", "-e", "1"], check=False).returncode:
        pytest.skip("Perl's Mail::DKIM is not installed")
    signers = tuple(Signer("news.example.org", f"lark-{name}", key) for name, key in KEYS.items())
    records = [f"{signer.record_name}={signer.record}" for signer in signers]
    for kind in (Press, AssemblyPress):
        data = kind(a_sender(signers=signers), KEYRING).make(a_digest(), nonce=7, at=AT).data

        def results(message: bytes) -> list[str]:
            ran = subprocess.run(
                [perl, str(SECOND_VERIFIER), *records], input=message, capture_output=True, check=True
            )
            return ran.stdout.decode().splitlines()

        ed25519_said, rsa_said = sorted(results(data))
        assert rsa_said == "rsa-sha256 pass"
        assert ed25519_said in {"ed25519-sha256 pass", "ed25519-sha256 invalid"}
        assert not any("pass" in line for line in results(data.replace(b"notes", b"votes")))


def relaxed(field: bytes) -> bytes:
    name, _, value = field.partition(b":")
    return name.lower() + b":" + re.sub(rb"[ \t]+", b" ", value.replace(b"\r\n", b"")).strip()


@pytest.mark.trust(23)
@pytest.mark.parametrize("kind", [Press, AssemblyPress])
def test_trust_23_ed25519_verifies_by_the_letter_of_the_rfcs_too(kind: type[Press]) -> None:
    """A verifier written here from RFC 6376 and 8463, for Mail::DKIM may know no Ed25519."""
    signer = Signer("news.example.org", "lark1", KEYS["ed25519"])
    data = kind(a_sender(signers=(signer,)), KEYRING).make(a_digest(), nonce=7, at=AT).data
    head, _, body = data.partition(b"\r\n\r\n")
    signature, *fields = re.split(rb"\r\n(?![ \t])", head)
    tags = dict(tag.strip().split(b"=", 1) for tag in signature.partition(b":")[2].split(b";"))
    lines = [re.sub(rb"[ \t]+", b" ", line).rstrip(b" ") for line in body.split(b"\r\n")]
    hashed = hashlib.sha256(b"\r\n".join(lines).rstrip(b"\r\n") + b"\r\n").digest()
    assert base64.b64decode(tags[b"bh"]) == hashed

    signed_text = b""
    for name in b"".join(tags[b"h"].split()).split(b":"):
        places = [place for place, one in enumerate(fields) if one.lower().startswith(name + b":")]
        if places:
            signed_text += relaxed(fields.pop(places[-1])) + b"\r\n"
    signed_text += relaxed(signature[: signature.rindex(b" b=") + len(b" b=")])
    key = ed25519.Ed25519PublicKey.from_public_bytes(base64.b64decode(signer.record.partition("p=")[2]))
    key.verify(base64.b64decode(tags[b"b"]), hashlib.sha256(signed_text).digest())


def test_keys_change_without_a_mail_unsigned(tmp_path: Path) -> None:
    """Old key, both, new key: every mail of the time verifies by the records published at its time."""
    paths = [tmp_path / "old.pem", tmp_path / "new.pem"]
    for path, key in zip(paths, KEYS.values(), strict=True):
        path.write_bytes(pem(key))
    for files, selectors in (("old.pem", "a"), ("old.pem,new.pem", "a,b"), ("new.pem", "b")):
        names = ",".join(str(tmp_path / name) for name in files.split(","))
        settings = Settings(
            environment="test",
            sender_address="digest@news.example.org",
            dkim_key_file=names,
            dkim_selector=selectors,
        )
        signers = sender_from(settings).signers
        assert [signer.selector for signer in signers] == selectors.split(",")
        data = Press(sender_from(settings), KEYRING).make(a_digest(), nonce=7, at=AT).data
        records = {signer.record_name: signer.record.encode() for signer in signers}
        judge = dkimpy.DKIM(data)

        def record(name: bytes, timeout: int = 5, known: dict[str, bytes] = records) -> bytes:
            return known[name.decode().rstrip(".")]

        assert all(judge.verify(idx=index, dnsfunc=record) for index in range(len(signers)))


@pytest.mark.parametrize(("files", "selectors"), [("a.pem", ""), ("", "a"), ("a.pem,b.pem", "a")])
def test_each_key_needs_a_selector(files: str, selectors: str) -> None:
    with pytest.raises(ValueError, match="one for each"):
        Settings(environment="test", dkim_key_file=files, dkim_selector=selectors)


@pytest.mark.trust(23, 32)
@pytest.mark.parametrize("field", SIGNED_FIELDS)
def test_trust_23_and_32_no_listed_field_can_be_added_on_the_way(signer: Signer, field: str) -> None:
    data = signed(signer)
    assert not verifies(f"{field}: added\r\n".encode() + data, signer)


@pytest.mark.trust(23)
@pytest.mark.parametrize("field", ["list-unsubscribe", "list-unsubscribe-post", "feedback-id", "from"])
def test_trust_23_the_fields_that_matter_stand_in_h_once_more_than_they_occur(field: str) -> None:
    data = signed(Signer("news.example.org", "lark1", KEYS["ed25519"]))
    names = data.split(b" h=")[1].split(b";")[0].replace(b"\r\n", b"").replace(b" ", b"").split(b":")
    assert names.count(field.encode()) == 2


@pytest.mark.trust(1)
def test_trust_1_no_line_of_the_signature_is_longer_than_asked_for(signer: Signer) -> None:
    domain = "papers.a-university-with-a-long-name.example.org"
    field, _, _ = signed(Signer(domain, "lark2026", signer.key)).partition(b"\r\nFrom:")
    assert max(map(len, field.split(b"\r\n"))) <= 78


def test_a_changed_body_no_longer_verifies(signer: Signer) -> None:
    assert not verifies(signed(signer).replace(b"notes", b"votes"), signer)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(st.sampled_from("ab. \t"), max_size=12), max_size=12))
def test_any_body_of_blanks_and_empty_lines_is_signed_as_it_is_read(lines: list[str]) -> None:
    signer = Signer("news.example.org", "lark1", KEYS["ed25519"])
    fields = [b"From: a@news.example.org\r\n", b"Subject:  many   blanks \t here\r\n\tand folds\r\n"]
    body = "".join(line + "\r\n" for line in lines).encode()
    data = signer.signature(fields, body_hash(body), AT) + b"".join(fields) + b"\r\n" + body
    assert verifies(data, signer)


def test_an_empty_body_is_empty_in_relaxed_form() -> None:
    assert relaxed_body(b"\r\n\r\n") == b""


def pem(key: object, password: bytes | None = None) -> bytes:
    encryption = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)


@pytest.mark.parametrize("kind", sorted(KEYS))
def test_a_key_file_gives_its_signer(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "key.pem"
    path.write_bytes(pem(KEYS[kind]))
    signer = read_signer(path, domain="news.example.org", selector="lark1")
    assert verifies(signed(signer), signer)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "No such file"),
        (b"not a key", "no private key in PEM form"),
        (pem(KEYS["rsa"], b"locked"), "encrypted"),
        (pem(ec.generate_private_key(ec.SECP256R1())), "neither RSA nor Ed25519"),
    ],
)
def test_an_unusable_key_file_is_named_with_what_to_do(
    tmp_path: Path, content: bytes | None, words: str
) -> None:
    path = tmp_path / "key.pem"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ValueError, match=words) as raised:
        read_signer(path, domain="example.org", selector="s")
    assert "PAPERLARK_DKIM_KEY_FILE" in str(raised.value)
