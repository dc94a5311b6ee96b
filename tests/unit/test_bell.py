"""The bell rings on the right queue, and a broker that is away costs a second, once."""

import json
import time

import pytest
import redis
import structlog
from structlog.testing import capture_logs

from tests.servers import free_port
from workers.bell import CONNECT_SECONDS, CeleryBell
from workers.queues import FULL, QUEUES, TASKS, is_repeated, queue_for


@pytest.fixture
def broker(redis_url: str) -> redis.Redis:
    client = redis.Redis.from_url(redis_url)
    client.flushall()
    return client


def waiting(broker: redis.Redis, queue: str) -> list[dict]:
    return [json.loads(message) for message in broker.lrange(queue, 0, -1)]


def test_a_ring_is_a_name_and_ids_on_its_queue(redis_url: str, broker: redis.Redis) -> None:
    bell = CeleryBell(redis_url)
    bell.ring("digests.plan_first", 42)
    bell.ring("mail.deliver", "bulk")
    bell.close()

    (first,) = waiting(broker, "digests")
    (deliver,) = waiting(broker, "mail.bulk")
    assert first["headers"]["task"] == "digests.plan_first"
    assert first["headers"]["argsrepr"] == "(42,)"
    assert first["content-type"] == "application/json"
    assert first["headers"]["expires"] is None
    assert deliver["headers"]["task"] == "mail.deliver"
    assert deliver["headers"]["expires"] is None  # by whose clock?
    assert first["headers"]["eta"] is None
    assert deliver["headers"]["eta"] is None


@pytest.mark.trust(105)
def test_ringing_goes_on_after_the_broker_forgot_everything(redis_url: str, broker: redis.Redis) -> None:
    bell = CeleryBell(redis_url)
    bell.ring("mail.sweep")
    broker.flushall()
    bell.ring("mail.sweep")
    bell.close()
    assert len(waiting(broker, "mail.transactional")) == 1


def test_every_task_has_a_queue_and_every_queue_a_task() -> None:
    arguments = {"mail.deliver": ("bulk",)}
    found = {queue_for(task, arguments.get(task, ())) for task in TASKS}
    assert found | {queue_for("mail.deliver", ("transactional",))} == set(QUEUES)


@pytest.mark.parametrize(
    ("task", "arguments"), [("no.such", ()), ("mail.deliver", ("spam",)), ("mail.deliver", ())]
)
def test_an_unknown_name_is_an_error_of_ours(task: str, arguments: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match="no task"):
        queue_for(task, arguments)


def test_unheard_rings_do_not_pile_up_but_those_no_tick_repeats(redis_url: str, broker: redis.Redis) -> None:
    bell = CeleryBell(redis_url)
    for _ in range(FULL + 20):
        bell.ring("digests.plan_due")
        bell.ring("mail.deliver", "bulk")
    for number in range(3):
        bell.ring("digests.plan_first", number)
    bell.close()

    assert [task for task in TASKS if not is_repeated(task)] == ["digests.plan_first"]
    assert len(waiting(broker, "mail.bulk")) == FULL
    assert len(waiting(broker, "digests")) == FULL + 3


@pytest.mark.trust(105)
def test_a_broker_that_is_full_is_noted_and_rung_again_when_it_has_room(
    redis_url: str, broker: redis.Redis
) -> None:
    structlog.reset_defaults()
    bell = CeleryBell(redis_url)
    bell.ring("mail.sweep")
    before = broker.config_get("maxmemory*")
    broker.config_set("maxmemory-policy", "noeviction")
    broker.config_set("maxmemory", "1")
    try:
        with capture_logs() as logs:
            bell.ring("mail.sweep")
    finally:
        broker.config_set("maxmemory", before["maxmemory"])
        broker.config_set("maxmemory-policy", before["maxmemory-policy"])
    assert [entry["event"] for entry in logs] == ["broker_away"]

    another = CeleryBell(redis_url)  # the same one leaves it alone for a few seconds
    another.ring("mail.sweep")
    assert len(waiting(broker, "mail.transactional")) == 2
    another.close()
    bell.close()


def test_a_broker_that_is_away_is_noted_once_and_not_waited_for() -> None:
    structlog.reset_defaults()
    bell = CeleryBell(f"redis://127.0.0.1:{free_port()}/0")
    with capture_logs() as logs:
        began = time.monotonic()
        for _ in range(100):
            bell.ring("mail.sweep")
        took = time.monotonic() - began

    assert took < 2 * CONNECT_SECONDS
    assert [entry["event"] for entry in logs] == ["broker_away"]
