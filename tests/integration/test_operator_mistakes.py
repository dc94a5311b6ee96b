"""What an operator can mend is said in a sentence on standard error: no traceback, no password."""

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as NoConnectionLeft

from service.cli import explain
from service.clock import parse_instant
from service.config import Settings
from service.database import Database
from tests.servers import free_port

ROOT = Path(__file__).parents[2]
PASSWORD = "pw-Zaunkoenig"
ACCOUNTING = ("accounting", "--date", "2026-01-01")


def run(*words: str, **settings: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PAPERLARK_")}
    given = {f"PAPERLARK_{name.upper()}": value for name, value in settings.items()}
    return subprocess.run(
        [sys.executable, "-m", "service.cli", *words],
        env={**kept, "PAPERLARK_SOURCES": "demo", **given},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def sentence(result: subprocess.CompletedProcess[str]) -> str:
    """Return what was said, which is no traceback and has no secret in it."""
    assert result.returncode in {1, 2}, result.stderr
    assert result.stderr.startswith("paperlark: ")
    for unwanted in ("Traceback", PASSWORD, "sqlalche.me"):
        assert unwanted not in result.stdout + result.stderr
    return result.stderr


@pytest.mark.parametrize(
    "words", [ACCOUNTING, ("serve", "--port", "0"), ("migrate",)], ids=lambda words: words[0]
)
def test_a_database_server_that_is_away(words: tuple[str, ...], tmp_path: Path) -> None:
    words = tuple(str(free_port()) if word == "0" else word for word in words)
    url = f"postgresql://u:{PASSWORD}@127.0.0.1:1/db"
    said = sentence(run(*words, database_url=url, data_dir=str(tmp_path / "data")))
    assert "the database at 127.0.0.1:1 can't be used: Connection refused." in said
    assert "PAPERLARK_DATABASE_URL" in said
    assert said.count("\n") == 1


def test_a_database_that_is_not_there(postgres_server: str, tmp_path: Path) -> None:
    said = sentence(run(*ACCOUNTING, database_url=f"{postgres_server}/nowhere", data_dir=str(tmp_path)))
    assert 'database "nowhere" does not exist' in said


@pytest.mark.parametrize(
    ("words", "place"), [(ACCOUNTING, "inside/deeper"), (("serve",), ""), (("migrate",), "")]
)
def test_a_data_folder_that_is_a_file(words: tuple[str, ...], place: str, tmp_path: Path) -> None:
    (tmp_path / "data").write_text("not a folder")
    said = sentence(run(*words, data_dir=str(tmp_path / "data" / place)))
    assert str(tmp_path / "data") in said
    assert "PAPERLARK_DATA_DIR" in said


def test_a_data_folder_that_cannot_be_made() -> None:
    said = explain(PermissionError(errno.EACCES, "Permission denied", "/srv/paperlark"))
    assert said is not None
    assert said.startswith("/srv/paperlark can't be used: permission denied.")


@pytest.mark.parametrize("words", [ACCOUNTING, ("serve",)], ids=lambda words: words[0])
def test_a_database_file_that_is_none(words: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "paperlark.sqlite3").write_text("garbage" * 100)
    said = sentence(run(*words, data_dir=str(tmp_path)))
    assert "file is not a database" in said
    assert "paperlark.sqlite3" in said


@pytest.mark.parametrize("words", [(*ACCOUNTING,), ("worker",)], ids=lambda words: words[0])
def test_settings_of_another_kind(words: tuple[str, ...], tmp_path: Path) -> None:
    result = run(
        *words,
        data_dir=str(tmp_path),
        database_url=f"mysql://u:{PASSWORD}@db/x",
        redis_url=f"amqp://u:{PASSWORD}@broker",
        smtp_url=f"smtp://u:{PASSWORD}@relay?starttls=never",
    )
    assert sentence(result).splitlines() == [
        "paperlark: the settings can't be used:",
        "  PAPERLARK_DATABASE_URL: must look like postgresql://user:password@host:5432/name",
        "  PAPERLARK_REDIS_URL: must look like redis://:password@host:6379/0 (rediss:// for TLS)",
        "  PAPERLARK_SMTP_URL: a password would be sent in clear; use smtps:// or starttls=required",
    ]
    assert result.returncode == 2


def said_of(**settings: str) -> str:
    with pytest.raises(ValidationError) as caught:
        Settings(**settings)  # type: ignore[arg-type]
    said = explain(caught.value)
    assert said is not None
    assert PASSWORD not in said
    return said.splitlines()[1].strip()


@pytest.mark.parametrize(
    "url",
    ["foo", "oracle+x://u@db", f"postgresql://u:{PASSWORD}@db:port/x", f"mysql://u:{PASSWORD}@db", PASSWORD],
)
def test_a_database_of_another_kind(url: str) -> None:
    assert said_of(database_url=url).startswith("PAPERLARK_DATABASE_URL: must look like postgresql://")


@pytest.mark.parametrize(
    "url", ["foo", "unix:///run/redis.sock", "redis+socket:///run/redis.sock", f"redis://:x@h:{PASSWORD}"]
)
def test_a_broker_of_another_kind(url: str) -> None:
    assert said_of(redis_url=url).startswith("PAPERLARK_REDIS_URL: must look like redis://")


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("foo", "must look like smtp://"),
        (f"smtp://u:{PASSWORD}#x@relay", "must look like smtp://"),
        (f"smtp://u:{PASSWORD}@relay?starttls=never", "a password would be sent in clear"),
        ("smtp://relay?starttls=maybe", "starttls is 'required' or 'never'"),
    ],
)
def test_a_relay_that_is_none_is_named_once(url: str, says: str) -> None:
    said = said_of(smtp_url=url)
    assert said.startswith(f"PAPERLARK_SMTP_URL: {says}")
    assert said.count("PAPERLARK_SMTP_URL") == 1


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("sender_name", "=?utf-8?q?Lark?=", "must be written as it is read"),
        ("sender_address", "a(b@news.example.org", "must be an address"),
        ("sender_address", "digest@news.example.org>", "must be an address"),
        ("contact_address", "a,b@example.org", "must be an address"),
        ("bounce_domain", "bücher.example.org", "must be a domain"),
        ("list_id", "digest.example.org> x", "must be a domain"),
        ("dkim_domain", "example.org; l=0", "must be a domain"),
        ("dkim_selector", "lark1,lark2;l=0", "must be selectors"),
        ("smtp_helo_name", "mail example", "must be a host's name"),
    ],
)
def test_what_no_header_can_hold_is_refused_before_a_digest_is_made(name: str, value: str, says: str) -> None:
    assert said_of(**{name: value}).startswith(f"PAPERLARK_{name.upper()}: {says}")


def test_good_names_of_hosts_are_taken() -> None:
    for name in ("mail.example.org", "relay-1", "[192.0.2.1]", "[IPv6:2001:db8::1]"):
        assert Settings(smtp_helo_name=name).smtp_helo_name == name
    assert Settings(bounce_domain="b.example.org", list_id="digest.example.org").list_id


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:p/w@db:5432/x",
        "postgres:///x?host=/run",
        "postgresql+psycopg://db/x",
        "sqlite:///x.db",
    ],
)
def test_good_databases_are_taken(url: str) -> None:
    assert Settings(database_url=url).database_url == url


@pytest.mark.parametrize("url", ["redis://:p@h:6379/0", "rediss://u:p@h/1", "redis://"])
def test_good_brokers_are_taken(url: str) -> None:
    assert Settings(redis_url=url).redis_url == url


@pytest.mark.parametrize("words", [("run-due",), ("collect",), ("rank",)], ids=lambda words: words[0])
def test_an_instant_at_the_edge_of_time(words: tuple[str, ...], tmp_path: Path) -> None:
    files: tuple[str, ...] = ()
    if words == ("rank",):
        (tmp_path / "me.json").write_text("{}")
        (tmp_path / "papers.jsonl").write_text("")
        files = ("--profile", str(tmp_path / "me.json"), "--candidates", str(tmp_path / "papers.jsonl"))
    result = run(*words, *files, "--at", "9999-12-31T23:59:59Z", data_dir=str(tmp_path / "data"))
    assert "--at" in sentence(result)
    assert "is not an instant from 1991 to 2100" in result.stderr
    assert result.returncode == 2


@pytest.mark.parametrize(
    "instant", ["0001-01-01T00:00+14:00", "1990-12-31", "2101-01-01", "9999-12-31T23:00-05:00"]
)
def test_instants_beyond_the_edges_are_refused(instant: str) -> None:
    with pytest.raises(ValueError, match="is not an instant from 1991 to 2100"):
        parse_instant(instant)


def test_wrong_statements_keep_their_traceback(database: Database) -> None:
    with pytest.raises(DBAPIError) as caught, database.reading() as session:
        session.execute(text("SELECT larks FROM nowhere"))
    assert explain(caught.value) is None


def test_a_pool_without_a_free_connection_is_a_sentence(postgres_url: str) -> None:
    engine = create_engine(
        postgres_url.replace("postgresql:", "postgresql+psycopg:"),
        pool_size=1,
        max_overflow=0,
        pool_timeout=0.01,
    )
    with engine.connect(), pytest.raises(NoConnectionLeft) as caught, engine.connect():
        pass
    engine.dispose()
    said = explain(caught.value)
    assert said is not None
    assert "no connection to the database" in said
