"""Whatever is logged, by whom and how, no address, token or password gets into the log."""

import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from service.keys import Keyring, Purpose
from service.logs import configure_logging, redact

TOKENS = [Keyring(["s" * 10]).sign(Purpose.CONFIRM, number * 7_919_000_000_017) for number in range(200)]


@pytest.fixture
def _restored() -> Iterator[None]:
    root = logging.getLogger()
    before = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = before
    structlog.reset_defaults()


def capture(style: str) -> io.StringIO:
    stream = io.StringIO()
    configure_logging(style, stream=stream)  # type: ignore[arg-type]
    return stream


@pytest.mark.parametrize("token", TOKENS)
def test_every_token_is_masked_wherever_it_stands(token: str) -> None:
    for line in (f"GET /confirm/{token} 404", f"t={token}", f"{token}", f"'{token}',"):
        assert token not in redact(line)


@pytest.mark.parametrize(
    "line",
    [
        "refused ada.lovelace+papers@mail.example.org: 550",
        "RCPT TO:<ada@example.org>",
        '{"to": "ada@example.org"}',
        "grüße@exämple.org",
        "ada@localhost",
    ],
)
def test_addresses_are_masked(line: str) -> None:
    assert "@" not in redact(line)
    assert "<address>" in redact(line)


def test_passwords_in_urls_are_masked_and_the_host_stays() -> None:
    assert redact("redis://:s3cret@127.0.0.1:6379/0") == "redis://<secret>@127.0.0.1:6379/0"
    assert redact("postgresql://me:pw@db/x") == "postgresql://<secret>@db/x"


@pytest.mark.parametrize(
    "line",
    [
        "Task mail.deliver[a1b1b805-92e1-42d6-b5c3-45a2d7ba14d8] raised",
        "service.subscribers.signing_up",
        "test_a_long_name_of_a_function_in_a_traceback_stays_readable",
        "2026-02-13T08:00:00.123456Z [info] digests_planned planned=500 arXiv 2602.01234v2",
        "4bf92f3577b34da6a3ce929d0e0e4736",
    ],
)
def test_what_is_no_secret_stays_readable(line: str) -> None:
    assert redact(line) == line


@pytest.mark.usefixtures("_restored")
@pytest.mark.parametrize("style", ["text", "json"])
def test_our_events_libraries_lines_and_tracebacks_are_all_masked(style: str) -> None:
    stream = capture(style)
    secret = TOKENS[5]
    structlog.get_logger("ours").info("an_event", who="ada@example.org", count=3)
    logging.getLogger("library").warning("sent to %s with %s", "ada@example.org", secret)

    def fail() -> None:
        raise ValueError(f"no mail for ada@example.org, {secret}")

    try:
        fail()
    except ValueError:
        structlog.get_logger("ours").exception("it_failed")
        logging.getLogger("library").exception("it failed")

    text = stream.getvalue()
    assert "ada@example.org" not in text
    assert secret not in text
    assert text.count("Traceback") == 2
    assert "an_event" in text
    assert "count" in text


@pytest.mark.usefixtures("_restored")
def test_json_lines_are_json_with_the_event_and_its_fields() -> None:
    stream = capture("json")
    structlog.get_logger("service.papers").info("collected", new=3)
    logging.getLogger("library").error("oops")

    ours, theirs = (json.loads(line) for line in stream.getvalue().splitlines())
    assert (ours["event"], ours["new"], ours["level"]) == ("collected", 3, "info")
    assert ours["timestamp"].endswith("Z")
    assert (theirs["event"], theirs["level"], theirs["logger"]) == ("oops", "error", "library")


@pytest.mark.usefixtures("_restored")
def test_libraries_that_name_mailboxes_are_quiet() -> None:
    stream = capture("text")
    logging.getLogger("mail.log").info("sender: ada")
    logging.getLogger("aiosmtplib").info("noise")
    assert stream.getvalue() == ""
