"""The operator's commands about what comes back and who gets no mail."""

import json
from pathlib import Path

import pytest
import typer
from click.testing import Result
from typer.testing import CliRunner

from service.bootstrap import Parts, open_parts
from service.commands import inbound as commands
from service.config import Settings
from service.subscribers.permission import suppression_reasons
from tests import reports
from tests.conftest import SECRET
from tests.integration.inbound.conftest import Inbound


@pytest.fixture
def parts(tmp_path: Path) -> Parts:
    return open_parts(Settings(data_dir=tmp_path / "data", secret_key=SECRET))


def run(parts: Parts, *words: str, text: str | None = None) -> Result:
    app = typer.Typer()
    commands.register(app)
    environment = {"PAPERLARK_DATA_DIR": str(parts.settings.data_dir), "PAPERLARK_SECRET_KEY": SECRET}
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


@pytest.mark.trust(66)
def test_an_operators_entry_stops_what_waits(quick_inbound: Inbound) -> None:
    from service.subscribers.suppressing import forbid

    desk = quick_inbound.desk
    waiting = quick_inbound.mail_digest(status="queued")
    with desk.database.transaction() as session:
        forbid(session, desk.keyring, desk.subscriber().address.upper(), desk.clock())
    [row] = [row for row in desk.deliveries("digest") if row.id == waiting.id]
    assert (row.status, row.reason) == ("cancelled", "suppressed")
