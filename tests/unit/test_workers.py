"""Ticks, turns and the word to stop: how work is asked for and never piles up."""

import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy import insert

from service.bell import RecordingBell
from service.bootstrap import Parts
from service.clock import SettableClock
from service.config import Settings
from service.database import Database
from service.keys import Keyring
from service.mail.tables import DeliveryRow
from service.papers.tables import SourceRunRow
from tests.systems import wait_for
from workers import stopping
from workers.app import HARD_LIMIT_SECONDS, SOFT_LIMIT_SECONDS, VISIBILITY_SECONDS, make_app
from workers.desk import Desk, OpenedDesk
from workers.queues import QUEUES, TASKS
from workers.scheduler import COLLECT_PATIENCE, Scheduler
from workers.stopping import LONGEST_RUN_SECONDS, should_stop_after
from workers.tasks import poll_inbox, sweep_mail

MINUTELY = [
    ("mail.sweep",),
    ("mail.deliver", "transactional"),
    ("digests.plan_due",),
    ("mail.deliver", "bulk"),
]


@pytest.fixture
def bell() -> RecordingBell:
    return RecordingBell()


@pytest.fixture
def parts(
    settings: Settings, sqlite_database: Database, keyring: Keyring, clock: SettableClock, bell: RecordingBell
) -> Parts:
    return Parts(settings=settings, database=sqlite_database, keyring=keyring, clock=clock, bell=bell)


@pytest.fixture
def stop_word() -> Iterator[None]:
    yield
    stopping._flag[0] = 0


# -- the scheduler -------------------------------------------------------------------------------------


def test_a_tick_rings_for_everything_and_the_first_also_for_papers(parts: Parts, bell: RecordingBell) -> None:
    Scheduler(parts).tick()
    assert bell.rings == [*MINUTELY, ("papers.collect",)]


def test_papers_are_collected_an_interval_after_the_last_time(
    parts: Parts, bell: RecordingBell, clock: SettableClock
) -> None:
    collected_at(parts, clock.now - parts.settings.collect_interval + timedelta(minutes=1))
    scheduler = Scheduler(parts)

    scheduler.tick()
    assert ("papers.collect",) not in bell.rings
    clock.advance(timedelta(minutes=1))
    scheduler.tick()
    assert bell.rings.count(("papers.collect",)) == 1


def test_a_collection_that_takes_long_is_not_asked_for_again_at_once(
    parts: Parts, bell: RecordingBell, clock: SettableClock
) -> None:
    scheduler = Scheduler(parts)
    scheduler.tick()
    clock.advance(COLLECT_PATIENCE - timedelta(seconds=1))
    scheduler.tick()
    assert bell.rings.count(("papers.collect",)) == 1
    clock.advance(timedelta(seconds=1))
    scheduler.tick()
    assert bell.rings.count(("papers.collect",)) == 2


def test_collecting_goes_on_when_the_clock_had_run_ahead(
    parts: Parts, bell: RecordingBell, clock: SettableClock
) -> None:
    scheduler = Scheduler(parts)
    clock.advance(timedelta(days=30))
    scheduler.tick()
    collected_at(parts, clock.now)
    clock.advance(timedelta(days=-30))
    scheduler.tick()
    assert bell.rings.count(("papers.collect",)) == 2


@pytest.mark.trust(96)
def test_a_clock_set_back_does_not_stop_the_ticks(parts: Parts, bell: RecordingBell) -> None:
    collected_at(parts, parts.clock())
    scheduler = Scheduler(parts)
    scheduler.start()
    try:
        wait_for(lambda: len(bell.rings) > len(MINUTELY), "first tick")
        rung, now = len(bell.rings), datetime.now(UTC)
        scheduler.mind_the_clock(now)
        assert len(bell.rings) == rung

        def rings_again() -> bool:
            scheduler.mind_the_clock(
                now - timedelta(minutes=30)
            )  # passed over while the first tick still runs
            return len(bell.rings) > rung

        wait_for(rings_again, "tick after the clock was set back", seconds=30)
    finally:
        scheduler.stop()


def collected_at(parts: Parts, at: datetime) -> None:
    with parts.database.transaction() as session:
        session.execute(
            insert(SourceRunRow).values(source="demo", started_at=at, finished_at=at, outcome="failed")
        )


def test_the_scheduler_ticks_at_once_and_shows_that_it_lives(
    parts: Parts, bell: RecordingBell, tmp_path: Path
) -> None:
    ticked = threading.Event()

    class TellingBell(RecordingBell):
        def ring(self, task: str, *arguments: int | str) -> None:
            super().ring(task, *arguments)
            if task == "papers.collect":
                ticked.set()

    telling = TellingBell()
    alive = tmp_path / "alive"
    scheduler = Scheduler(
        Parts(
            settings=parts.settings,
            database=parts.database,
            keyring=parts.keyring,
            clock=parts.clock,
            bell=telling,
        ),
        alive_file=alive,
    )
    scheduler.start()
    try:
        assert ticked.wait(20)
    finally:
        scheduler.stop()
    assert alive.exists()
    assert set(MINUTELY) <= set(telling.rings)


# -- turns ---------------------------------------------------------------------------------------------


def test_work_that_stopped_before_its_end_is_rung_for_again(parts: Parts, bell: RecordingBell) -> None:
    desk = OpenedDesk(parts)
    desk.take_turn("mail.deliver", "bulk", work=lambda: True)
    desk.take_turn("mail.deliver", "transactional", work=lambda: False)
    assert bell.rings == [("mail.deliver", "bulk")]


def test_who_comes_while_the_same_work_runs_only_leaves_word(parts: Parts, bell: RecordingBell) -> None:
    desk = OpenedDesk(parts)
    runs = []

    def work() -> bool:
        runs.append("outer")
        for _ in range(3):
            desk.take_turn("mail.deliver", "bulk", work=lambda: runs.append("inner") is None)
        desk.take_turn("mail.deliver", "transactional", work=lambda: runs.append("other") is not None)
        return False

    desk.take_turn("mail.deliver", "bulk", work=work)
    assert runs == ["outer", "other"]
    assert bell.rings == [("mail.deliver", "bulk")]  # once, for all who came

    desk.take_turn("mail.deliver", "bulk", work=lambda: False)
    assert bell.rings == [("mail.deliver", "bulk")]


def test_work_that_fails_gives_its_turn_back(parts: Parts, bell: RecordingBell) -> None:
    desk = OpenedDesk(parts)

    def fail() -> bool:
        raise LookupError

    with pytest.raises(LookupError):
        desk.take_turn("mail.sweep", work=fail)
    runs = []
    desk.take_turn("mail.sweep", work=lambda: runs.append(1) is not None)
    assert runs == [1]
    assert bell.rings == []


def test_what_a_dead_worker_had_claimed_is_rung_for_as_soon_as_it_is_swept(
    parts: Parts, bell: RecordingBell, clock: SettableClock
) -> None:
    desk, now = OpenedDesk(parts), clock()
    sweep_mail(desk)
    assert bell.rings == []
    with parts.database.transaction() as session:
        session.add(
            DeliveryRow(
                nonce=1, kind="digest", queue="bulk", status="claimed", claimed_by="dead", parameters={},
                lease_until=now - timedelta(seconds=1), created_at=now, next_at=now,
                expires_at=now + timedelta(hours=9),
            )
        )  # fmt: skip
    sweep_mail(desk)
    assert bell.rings == [("mail.deliver", "transactional"), ("mail.deliver", "bulk")]


def test_the_inbox_is_polled_where_there_is_one_and_its_trouble_stops_nothing(
    parts: Parts, bell: RecordingBell
) -> None:
    Scheduler(parts).tick()
    assert ("inbound.poll",) not in bell.rings
    assert poll_inbox(OpenedDesk(parts)) is False

    url = SecretStr("imap://user:password@127.0.0.1:1/?starttls=never")  # where nobody listens
    with_inbox = replace(parts, settings=parts.settings.model_copy(update={"inbound_imap_url": url}))
    Scheduler(with_inbox).tick()
    assert ("inbound.poll",) in bell.rings
    assert poll_inbox(OpenedDesk(with_inbox)) is False


@pytest.mark.usefixtures("stop_word")
def test_a_worker_that_stops_does_not_ring_for_more(parts: Parts, bell: RecordingBell) -> None:
    should_stop = should_stop_after(60, monotonic=lambda: 0.0)
    assert not should_stop()
    stopping.stop_all()
    assert should_stop()
    OpenedDesk(parts).take_turn("mail.deliver", "bulk", work=lambda: True)
    assert bell.rings == []


def test_long_work_stops_by_itself() -> None:
    times = iter([0.0, LONGEST_RUN_SECONDS - 1, LONGEST_RUN_SECONDS])
    should_stop = should_stop_after(monotonic=lambda: next(times))
    assert [should_stop(), should_stop()] == [False, True]


# -- the application -----------------------------------------------------------------------------------


def test_every_task_is_registered_under_its_name(settings: Settings) -> None:
    app = make_app(settings, "memory://")
    ours = {name for name in app.tasks if not name.startswith("celery.")}
    assert ours == set(TASKS)
    app.close()


@pytest.mark.trust(106, 107)
def test_tasks_survive_their_workers_and_nothing_waits_in_the_broker(settings: Settings) -> None:
    app = make_app(settings, "redis://127.0.0.1/0")
    conf = app.conf
    assert conf.accept_content == ["json"]
    assert conf.task_serializer == "json"
    assert conf.task_acks_late
    assert conf.task_reject_on_worker_lost
    assert conf.worker_prefetch_multiplier == 1
    assert conf.task_ignore_result
    assert conf.enable_utc
    assert conf.timezone == "UTC"
    assert conf.worker_soft_shutdown_timeout > 0
    assert set(conf.task_queues) == set(QUEUES)
    options = conf.broker_transport_options
    assert options["visibility_timeout"] == VISIBILITY_SECONDS
    assert {"unacked_restore_interval", "unacked_restore_throttle"} <= set(options)
    assert LONGEST_RUN_SECONDS < SOFT_LIMIT_SECONDS < HARD_LIMIT_SECONDS <= VISIBILITY_SECONDS / 2
    app.close()


def test_parts_are_opened_once_and_not_before_they_are_needed(settings: Settings) -> None:
    desk = Desk(settings, "memory://")
    assert not settings.data_dir.exists()
    opened = desk.open()
    assert desk.open() is opened
    opened.parts.database.close()
