"""Hours of a full or absent broker are told of in lines one can count."""

import logging

import pytest
from kombu.exceptions import DecodeError, OperationalError
from redis.exceptions import OutOfMemoryError
from structlog.testing import capture_logs

from service.spells import EVERY_SECONDS
from tests.watches import Watch
from workers.troubles import CONSUMER, PEACE_SECONDS, Troubles

FULL = OutOfMemoryError("command not allowed when used memory > 'maxmemory'.")


@pytest.fixture
def troubles(watch: Watch) -> Troubles:
    return Troubles(monotonic=watch)


def record(*said: object, name: str = CONSUMER) -> logging.LogRecord:
    return logging.LogRecord(name, logging.ERROR, __file__, 1, "said: %r" * len(said), said, None)


def test_three_hours_are_a_line_at_the_beginning_one_a_minute_and_one_at_the_end(
    troubles: Troubles, watch: Watch
) -> None:
    hours = 3 * 3600
    with capture_logs() as logs:
        for _ in range(5 * hours):
            assert not troubles.filter(record("redis://", FULL, "Trying to reconnect..."))
            watch.now += 0.2
        troubles.look()
        watch.now += PEACE_SECONDS
        troubles.look()
        troubles.look()
    assert logs[0] == {
        "event": "broker_away", "error": "OutOfMemoryError", "problem": str(FULL), "log_level": "warning",
    }  # fmt: skip
    assert logs[-1]["event"] == "broker_back"
    assert (logs[-1]["failures"], logs[-1]["seconds"]) == (5 * hours, hours)
    still = logs[1:-1]
    assert {entry["event"] for entry in still} == {"broker_still_away"}
    assert len(still) <= hours / EVERY_SECONDS
    assert still[0]["failures"] == pytest.approx(5 * EVERY_SECONDS, abs=3)


def test_a_second_trouble_is_told_of_like_the_first(troubles: Troubles, watch: Watch) -> None:
    with capture_logs() as logs:
        for _ in range(2):
            troubles.filter(record(OperationalError("away"), name="kombu.asynchronous.hub"))
            watch.now += PEACE_SECONDS
            troubles.look()
    assert [entry["event"] for entry in logs] == ["broker_away", "broker_back"] * 2
    assert logs[-1]["failures"] == 1


def test_where_there_was_no_trouble_nothing_is_over(troubles: Troubles) -> None:
    with capture_logs() as logs:
        troubles.look()
    assert logs == []


@pytest.mark.parametrize(
    "other",
    [
        record("Received unregistered task", KeyError("no.such")),
        record(DecodeError("no JSON")),
        record(),
        record(OSError(28, "No space left on device"), name="kombu.asynchronous.hub"),
    ],
)
def test_whatever_else_they_say_stays_in_the_log(troubles: Troubles, other: logging.LogRecord) -> None:
    with capture_logs() as logs:
        assert troubles.filter(other)
    assert logs == []
