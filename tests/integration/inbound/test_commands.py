"""The operator's commands about what comes back and who gets no mail."""

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
import typer
from click.testing import Result
from typer.testing import CliRunner

from service.bootstrap import Parts, open_parts
from service.commands import inbound as commands
from service.config import Settings
from service.mail.suppression import entries, suppress
from service.mail.suppression_list import Entry, keys_of
from service.subscribers.permission import suppression_reasons
from service.subscribers.suppressing import take_over
from tests import reports
from tests.conftest import SECRET
from tests.integration.inbound.conftest import Inbound


@pytest.fixture
def parts(tmp_path: Path) -> Parts:
    return open_parts(Settings(data_dir=tmp_path / "data", secret_key=SECRET))


def run(parts: Parts, *words: str, text: str | None = None) -> Result:
    app = typer.Typer()
    commands.register(app)
    settings = parts.settings
    environment = {
        "PAPERLARK_DATA_DIR": str(settings.data_dir),
        "PAPERLARK_SECRET_KEY": settings.secret_key.get_secret_value() if settings.secret_key else "",
        "PAPERLARK_RETIRED_SECRET_KEYS": ",".join(k.get_secret_value() for k in settings.retired_secret_keys),
    }
    return CliRunner().invoke(app, list(words), env=environment, input=text)


def test_an_address_is_suppressed_shown_and_released_on_purpose_only(parts: Parts) -> None:
    address = "Ann@Example.org"
    assert run(parts, "suppressions", "show", address).exit_code == 1
    assert run(parts, "suppressions", "add", address).exit_code == 0
    assert "operator" in run(parts, "suppressions", "show", "ann@example.org").output
    counted = json.loads(run(parts, "suppressions", "list", "--json").output)
    assert counted == [{"reason": "operator", "source": "operator", "count": 1}]

    refused = run(parts, "suppressions", "remove", address)
    assert refused.exit_code == 2
    assert "--yes" in refused.output
    assert run(parts, "suppressions", "remove", address, "--yes").exit_code == 0
    assert run(parts, "suppressions", "remove", address, "--yes").exit_code == 1
    assert run(parts, "suppressions", "show", address).exit_code == 1


def test_a_list_of_another_system_is_taken_over_with_its_bad_lines_told(parts: Parts) -> None:
    result = run(
        parts, "suppressions", "add", "--file", "-", text="a@example.org\nno address\n\nb@example.org\n"
    )
    assert (result.exit_code, "2 suppressed" in result.output, "1 line" in result.output) == (3, True, True)
    with parts.database.reading() as session:
        found = suppression_reasons(session, parts.keyring, ["a@example.org", "b@example.org"])
    assert found == {"a@example.org": "operator", "b@example.org": "operator"}


def test_message_files_are_taken_in(parts: Parts, tmp_path: Path) -> None:
    ours, letter = tmp_path / "bounce.eml", tmp_path / "letter.eml"
    token = parts.keyring.bounce_token(7)
    ours.write_bytes(reports.bounce(f"bounce+{token}@{parts.settings.envelope_domain}"))
    letter.write_bytes(b"To: postmaster@example.org\n\nhello\n")
    result = run(parts, "inbound", "--take", str(ours), "--take", str(letter))
    assert result.exit_code == 3
    assert "bounce.eml: unmatched" in result.output
    assert "letter.eml: not_ours" in result.output


@pytest.mark.parametrize(("words", "setting"), [((), "INBOUND_LISTEN"), (("--once",), "INBOUND_IMAP_URL")])
def test_what_is_not_set_up_is_said(parts: Parts, words: tuple[str, ...], setting: str) -> None:
    result = run(parts, "inbound", *words)
    assert (result.exit_code, f"PAPERLARK_{setting}" in result.output) == (2, True)


@pytest.mark.trust(66, 74)
@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_the_list_moves_to_another_installation_with_the_same_key(
    parts: Parts, tmp_path: Path, kind: str
) -> None:
    run(parts, "suppressions", "add", "--file", "-", text="Ann@example.org\nbob@example.org\n")
    written = run(parts, "suppressions", "export", "--format", kind).output
    assert "example.org" not in written
    other = open_parts(Settings(data_dir=tmp_path / "other", secret_key=SECRET))
    moment = datetime(2026, 1, 2, tzinfo=UTC)
    with other.database.transaction() as session:
        suppress(session, other.keyring.address_key("bob@example.org"), "complaint", moment, "arf")

    file = tmp_path / "list"
    file.write_text(written)
    assert "2 read, nothing done" in run(other, "suppressions", "import", str(file), "--dry-run").output
    assert run(other, "suppressions", "show", "ann@example.org").exit_code == 1
    assert "2 taken over, 1 of them new" in run(other, "suppressions", "import", str(file)).output
    assert "2 taken over, 0 of them new" in run(other, "suppressions", "import", "-", text=written).output
    assert "operator" in run(other, "suppressions", "show", "ann@example.org").output
    assert "complaint since 2026-01-02 (arf)" in run(other, "suppressions", "show", "bob@example.org").output
    shown = [
        json.loads(run(one, "suppressions", "show", "ann@example.org", "--json").output)
        for one in (parts, other)
    ]
    assert shown[0] == shown[1]


@pytest.mark.trust(66)
def test_a_list_of_another_key_is_refused_unless_that_key_is_known(parts: Parts, tmp_path: Path) -> None:
    run(parts, "suppressions", "add", "ann@example.org")
    written = run(parts, "suppressions", "export").output
    new = "another-secret-key-of-forty-characters-0123"
    stranger = open_parts(Settings(data_dir=tmp_path / "stranger", secret_key=new))
    refused = run(stranger, "suppressions", "import", "-", text=written)
    assert (refused.exit_code, "1 line(s) not taken: made with another secret key" in refused.output) == (
        3,
        True,
    )
    heir = open_parts(Settings(data_dir=tmp_path / "heir", secret_key=new, retired_secret_keys=(SECRET,)))
    assert "1 of them new" in run(heir, "suppressions", "import", "-", text=written).output
    assert run(heir, "suppressions", "show", "ann@example.org").exit_code == 0


def test_what_is_no_entry_is_told_and_left_out(parts: Parts) -> None:
    keys = keys_of(parts.keyring)
    lines = [
        "hash,reason,since,source,keys",
        f"{'00' * 32},bounce,2026-01-02T03:04:05+00:00,dsn,{keys}",
        f"{'01' * 32},bounce,9999-01-02T03:04:05+00:00,,{keys}",
        f"{'02' * 31},bounce,2026-01-02T03:04:05+00:00,dsn,{keys}",
        f"{'03' * 32},whim,2026-01-02T03:04:05+00:00,dsn,{keys}",
        f"{'04' * 32},bounce,yesterday,dsn,{keys}",
        f"{'05' * 32},bounce,2026-01-02T03:04:05+00:00,{'x' * 61},{keys}",
        "ann@example.org",
        "x" * 5000,
        "[" * 900,
        '{"hash": 1}',
        "",
    ]
    done = run(parts, "suppressions", "import", "-", text="\n".join(lines))
    assert (done.exit_code, "2 taken over, 2 of them new" in done.output) == (3, True)
    with parts.database.reading() as session:
        assert max(since for _, _, since, _ in entries(session)) <= parts.clock()


@pytest.mark.trust(66)
def test_an_imported_entry_stops_what_waits(inbound: Inbound) -> None:
    desk = inbound.desk
    waiting = inbound.mail_digest(status="queued")
    entry = Entry(
        address_key=desk.keyring.address_key(desk.subscriber().address),
        reason="complaint",
        since=desk.clock(),
    )
    with desk.database.transaction() as session:
        assert [take_over(session, [entry, entry], desk.clock()) for _ in range(2)] == [1, 0]
    [row] = [row for row in desk.deliveries("digest") if row.id == waiting.id]
    assert (row.status, row.reason) == ("cancelled", "suppressed")
    assert desk.suppressions() == ["complaint"]


@pytest.mark.trust(66)
def test_an_operators_entry_stops_what_waits(quick_inbound: Inbound) -> None:
    from service.subscribers.suppressing import forbid

    desk = quick_inbound.desk
    waiting = quick_inbound.mail_digest(status="queued")
    with desk.database.transaction() as session:
        forbid(session, desk.keyring, desk.subscriber().address.upper(), desk.clock())
    [row] = [row for row in desk.deliveries("digest") if row.id == waiting.id]
    assert (row.status, row.reason) == ("cancelled", "suppressed")
