"""Importing a list: who comes in, who stays away, which mails go out, and what the command says."""

import io
import json
import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from service.bootstrap import open_parts
from service.commands import subscribers
from service.config import Settings
from service.mail.letters import ConfirmLetter
from service.subscribers import leaving, personal_data
from service.subscribers.csv_reading import Line, read_csv
from service.subscribers.importing import Imported, import_lines
from service.subscribers.status import Event
from service.subscribers.tables import InterestRow, SubscriberRow
from tests.subscriber_desk import ANN, Desk, some_preferences

LIST = "email,timezone,hour,weekdays,topics,mutes,papers\n" + "".join(
    f"reader{number}@example.org,Asia/Tokyo,{number},daily,tokamak;mamba,crypto,{number + 1}\n"
    for number in range(5)
)


def take_in(desk: Desk, content: str = LIST, *, confirmed: bool = False, mails_before: int = 0) -> Imported:
    lines = [line for line in read_csv(io.BytesIO(content.encode())) if isinstance(line, Line)]
    with desk.database.transaction() as session:
        return import_lines(
            session, desk.keyring, desk.clock(), lines, confirmed=confirmed, mails_before=mails_before
        )


def test_confirmed_people_are_active_at_once_without_any_mail(desk: Desk) -> None:
    assert take_in(desk, confirmed=True) == Imported(count=5, problems=[])

    reader = desk.subscriber("reader3@example.org")
    assert (reader.status, reader.confirmed_at, reader.address_key) == (
        "active",
        desk.clock(),
        desk.keyring.address_key("reader3@example.org"),
    )
    expected = some_preferences(
        timezone="Asia/Tokyo", hour=3, weekdays="daily", words="tokamak, mamba", mutes="crypto", papers=4
    )
    assert desk.preferences("reader3@example.org") == expected
    assert desk.deliveries() == []
    assert [(event.kind, event.details["confirmed"]) for event in desk.events()] == [("imported", True)] * 5


def test_the_others_are_asked_first_one_each_second_and_may_confirm(desk: Desk) -> None:
    take_in(desk, mails_before=10)

    deliveries = desk.deliveries()
    assert [row.next_at - desk.clock() for row in deliveries] == [timedelta(seconds=10 + n) for n in range(5)]
    assert {row.expires_at - row.next_at for row in deliveries} == {timedelta(hours=48)}
    letters = desk.compose(*deliveries)
    assert [type(letter) for letter in letters] == [ConfirmLetter] * 5
    assert letters[4].interests == ("2 in their own words",)
    assert desk.count(InterestRow) == 0

    assert (
        desk.confirm(letters[4].confirm_url.rpartition("/")[2]) == desk.subscriber("reader4@example.org").id
    )
    assert desk.preferences("reader4@example.org").send_hour == 4
    assert desk.subscriber("reader3@example.org").status == "pending"


def test_importing_again_adds_only_who_is_new(desk: Desk) -> None:
    take_in(desk, confirmed=True)
    again = take_in(desk, LIST + "new@example.org,,,,,,\n", confirmed=True)

    assert again.count == 1
    assert [(each.number, each.kind) for each in again.problems] == [(n, "existing") for n in range(2, 7)]
    assert desk.count(SubscriberRow) == 6


def leave(desk: Desk) -> None:
    desk.leave(leaving.unsubscribe_token(desk.keyring, desk.subscribe()))


def bounce(desk: Desk) -> None:
    stop(desk, Event.BOUNCE)


def complain(desk: Desk) -> None:
    stop(desk, Event.COMPLAIN)


def erase(desk: Desk) -> None:
    subscriber = desk.subscribe()
    with desk.database.transaction() as session:
        personal_data.erase(session, desk.keyring, subscriber.id, desk.clock())


def stop(desk: Desk, event: Event) -> None:
    subscriber = desk.subscribe()
    with desk.database.transaction() as session:
        leaving.stop(session, desk.keyring, subscriber.id, event, now=desk.clock(), source="dsn")


@pytest.mark.trust(41)
@pytest.mark.parametrize("go", [leave, bounce, complain, erase])
@pytest.mark.parametrize("confirmed", [True, False])
def test_nobody_who_has_gone_is_brought_back(desk: Desk, go: Any, confirmed: bool) -> None:
    go(desk)
    mails = len(desk.deliveries())
    report = take_in(desk, f"email\n{ANN.upper()}\nbob@example.org\n", confirmed=confirmed)

    assert report.count == 1
    [problem] = report.problems
    assert (problem.number, problem.kind) == (2, "suppressed")
    assert len(desk.deliveries()) == mails + (not confirmed)
    with desk.database.reading() as session:
        active = session.query(SubscriberRow.address).filter_by(status="active").all()
    assert [row.address for row in active] == (["bob@example.org"] if confirmed else [])


def test_the_import_neither_meets_nor_uses_up_the_limits_of_the_form(quick_desk: Desk) -> None:
    content = "email\n" + "".join(f"reader{number}@example.org\n" for number in range(900))
    assert take_in(quick_desk, content).count == 900

    quick_desk.sign_up("walk-in@example.org")
    assert quick_desk.subscriber("walk-in@example.org").status == "pending"
    assert len(quick_desk.deliveries()) == 901


def test_two_imports_at_the_same_moment_take_each_address_once(desk: Desk) -> None:
    counts: list[int] = []
    barrier = threading.Barrier(3)

    def work() -> None:
        barrier.wait()
        counts.append(take_in(desk, confirmed=True).count)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert sum(counts) == 5
    assert desk.count(SubscriberRow) == 5
    assert desk.count(InterestRow) == 10


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    """Calls the command against an empty data folder."""
    monkeypatch.setenv("PAPERLARK_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("PAPERLARK_SOURCES", "demo")
    return CliRunner()


def write(tmp_path: Path, content: str) -> str:
    path = tmp_path / "people.csv"
    path.write_text(content)
    return str(path)


def test_the_command_reports_in_json_and_by_exit_code(command: CliRunner, tmp_path: Path) -> None:
    file = write(tmp_path, LIST + "nonsense,,,,,,\nreader0@example.org,,,,,,\nlast@example.org,,77,,,,\n")
    result = command.invoke(subscribers.subscribers, ["import", file, "--confirmed", "--json"])

    assert result.exit_code == 3
    report = json.loads(result.stdout)
    problems = report.pop("problems")
    assert report == {
        "lines": 8, "imported": 5, "refused": 2, "suppressed": 0, "existing": 0, "duplicates": 1,
        "confirmation_mails": 0, "mailing_seconds": 0,
    }  # fmt: skip
    assert [(each["line"], each["field"]) for each in problems] == [(7, "email"), (8, "email"), (9, "hour")]

    again = command.invoke(subscribers.subscribers, ["import", write(tmp_path, LIST)])
    assert again.exit_code == 0
    assert "0 of 5 imported" in again.stdout
    assert "5 there already" in again.stdout


def test_the_command_says_how_many_mails_go_out(command: CliRunner, tmp_path: Path) -> None:
    result = command.invoke(subscribers.subscribers, ["import", write(tmp_path, LIST)])

    assert result.exit_code == 0
    assert "5 confirmation mails go out over about 1 min." in result.stdout


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "the file is empty"),
        ("mail\nann@example.org\n", "no such column: 'mail'"),
        ("ann@example.org,UTC\nbob@example.org,UTC\n", "column 1 holds an @"),
        ("email;hour\nann@example.org;8\n", "use commas between columns"),
    ],
)
def test_a_file_without_its_header_imports_nothing(
    command: CliRunner, tmp_path: Path, content: str, words: str
) -> None:
    result = command.invoke(subscribers.subscribers, ["import", write(tmp_path, content)])

    assert result.exit_code == 2
    assert words in result.stderr
    assert "nothing was imported" in result.stderr
    assert "example.org" not in result.output


def test_a_header_alone_is_said_to_be_alone(command: CliRunner, tmp_path: Path) -> None:
    result = command.invoke(subscribers.subscribers, ["import", write(tmp_path, "email,hour\n\n")])

    assert result.exit_code == 0
    assert "no lines below the header" in result.stdout


def test_a_stray_quote_costs_one_line(command: CliRunner, tmp_path: Path) -> None:
    content = 'email,topics\n"unclosed@example.org,x\nz1@example.org,speech\nz2@example.org,speech\n'
    result = command.invoke(subscribers.subscribers, ["import", write(tmp_path, content), "--confirmed"])

    assert result.exit_code == 3
    assert "2 of 3 imported; 1 unreadable" in result.stdout
    assert "line 2: line: a quote opened on line 2 is not closed" in result.stderr


def test_a_file_that_is_none_is_named(command: CliRunner, tmp_path: Path) -> None:
    missing = command.invoke(subscribers.subscribers, ["import", str(tmp_path / "none.csv")])
    folder = command.invoke(subscribers.subscribers, ["import", str(tmp_path)])

    assert (missing.exit_code, folder.exit_code) == (2, 2)
    assert missing.stderr == f"paperlark: there is no file '{tmp_path / 'none.csv'}'\n"
    assert folder.stderr == f"paperlark: '{tmp_path}' is a directory; name a CSV file in it\n"
    assert not (tmp_path / "data").exists()


def test_export_and_erase_by_the_operator(command: CliRunner, tmp_path: Path) -> None:
    command.invoke(subscribers.subscribers, ["import", write(tmp_path, LIST), "--confirmed"])

    one = command.invoke(subscribers.subscribers, ["export", "Reader2@example.org"])
    assert json.loads(one.stdout)["preferences"]["hour"] == 2
    everybody = command.invoke(subscribers.subscribers, ["export", "--all"])
    addresses = [json.loads(line)["subscriber"]["address"] for line in everybody.stdout.splitlines()]
    assert addresses == [f"reader{number}@example.org" for number in range(5)]

    assert command.invoke(subscribers.subscribers, ["erase", "reader2@example.org"]).exit_code == 0
    assert command.invoke(subscribers.subscribers, ["erase", "reader2@example.org"]).exit_code == 1
    assert command.invoke(subscribers.subscribers, ["export", "reader2@example.org"]).exit_code == 1
    assert command.invoke(subscribers.subscribers, ["export"]).exit_code == 2
    assert command.invoke(subscribers.subscribers, ["export", "nonsense"]).exit_code == 2

    back = command.invoke(subscribers.subscribers, ["import", write(tmp_path, LIST), "--confirmed", "--json"])
    assert back.exit_code == 3
    assert json.loads(back.stdout)["suppressed"] == 1
    parts = open_parts(Settings())
    assert b"reader2@example.org" not in (tmp_path / "data" / "paperlark.sqlite3").read_bytes()
    parts.database.close()
