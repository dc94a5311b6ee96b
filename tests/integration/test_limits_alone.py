"""A Redis that is full is told of once, although it still takes what is given back."""

import itertools
from collections.abc import Iterator

import pytest
import redis
from structlog.testing import capture_logs

from service.mail.limits import Want
from service.mail.meters import PEACE_SECONDS, QUIET_SECONDS, RedisMeter, SafeMeter
from tests.watches import Watch

SCOPE = "gmail.com"


@pytest.fixture
def client(redis_url: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(redis_url) as client:
        client.flushall()
        yield client
        client.config_set("maxmemory", "0")


@pytest.fixture
def meter(client: redis.Redis, redis_url: str, watch: Watch) -> Iterator[SafeMeter]:
    del client  # empties Redis first
    shared = RedisMeter(redis_url)
    yield SafeMeter(shared, monotonic=watch)
    shared.close()


def send(meter: SafeMeter) -> None:
    """Do what a run with ``at_once`` does for a message: give the place of the last one back, take one."""
    meter.vacate(SCOPE, 1)
    meter.paces()
    meter.occupy(SCOPE, 4, 1)


def test_an_hour_of_a_full_redis_is_a_line_a_minute_and_one_at_each_end(
    meter: SafeMeter, client: redis.Redis, watch: Watch
) -> None:
    send(meter)
    client.config_set("maxmemory", "1")
    with capture_logs() as logs:
        for _ in range(360):
            watch.now += QUIET_SECONDS + 0.1
            send(meter)
            assert meter.is_alone
        client.config_set("maxmemory", "0")
        for _ in range(60):
            watch.now += QUIET_SECONDS + 0.1
            send(meter)
            assert not meter.is_alone
    events = [one["event"] for one in logs]
    assert (events[0], events[-1]) == ("limits_alone", "limits_together")
    assert set(events[1:-1]) == {"limits_still_alone"}
    assert 50 <= len(events[1:-1]) <= 61
    assert logs[0]["problem"] == "OutOfMemoryError"
    assert logs[-1]["failures"] == 360


def test_a_redis_that_comes_and_goes_is_one_trouble(
    meter: SafeMeter, client: redis.Redis, watch: Watch
) -> None:
    with capture_logs() as logs:
        for size in itertools.islice(itertools.cycle("10"), 60):
            client.config_set("maxmemory", size)
            watch.now += QUIET_SECONDS + 0.1
            meter.take([Want(SCOPE, 10.0, 1)])
            assert meter.is_alone == (size == "1")
        assert [one["event"] for one in logs].count("limits_alone") == 1
        assert len(logs) <= 11
        watch.now += PEACE_SECONDS
        meter.vacate(SCOPE, 1)  # which takes no room
        assert logs[-1]["event"] == "limits_still_alone"
        meter.take([Want(SCOPE, 10.0, 1)])
    assert logs[-1]["event"] == "limits_together"
