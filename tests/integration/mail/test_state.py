"""What doctor, figures and books tell of sending that was stopped, slowed or held back."""

from datetime import timedelta

import pytest
import redis
from sqlalchemy import update

from service.clock import SettableClock
from service.config import Settings
from service.database import Database
from service.mail import breaker, outbox, state, tallies
from service.mail.checks import check_sending
from service.mail.meters import RedisMeter
from service.mail.tables import DeliveryRow
from tests.servers import free_port
from tests.web.conftest import make_visitor


@pytest.fixture
def troubled(database: Database, clock: SettableClock) -> Database:
    """A database where Outlook refuses us, and where two deliveries wait."""
    with database.transaction() as session:
        tallies.add(session, clock(), {"outlook.com": tallies.Tally(sent=10, policy=40)})
        tallies.add(session, clock(), {"outlook.com": tallies.Tally(sent=5)})
        breaker.judge(session, clock())
        for number, reason in enumerate(("held_back", breaker.STOPPED)):
            queued = outbox.queue(
                session,
                kind="digest",
                queue=outbox.BULK,
                now=clock(),
                expires_at=clock() + timedelta(days=1),
                subscriber_id=number,
            )
            session.execute(update(DeliveryRow).where(DeliveryRow.id == queued).values(reason=reason))
    return database


def test_the_doctor_names_what_was_stopped_and_slowed(
    troubled: Database, clock: SettableClock, settings: Settings, redis_url: str
) -> None:
    redis.Redis.from_url(redis_url).flushall()
    meter = RedisMeter(redis_url)
    meter.slow("gmail.com", 20.0, None)
    meter.slow("somebodys-own.example", 20.0, None)
    meter.slow("relay:mx.example.org:25", 2.0, None)
    with troubled.reading() as session:
        sending = state.look(session, clock())
    slowed = state.slowed(settings.model_copy(update={"redis_url": redis_url}))
    assert slowed == pytest.approx(
        {"gmail.com": 10.0, "other": 10.0, "relay:mx.example.org:25": 1.0}, rel=0.01
    )
    checks = list(check_sending(sending, slowed))
    assert [(check.name, check.state) for check in checks] == [("breaker", "fail"), ("limits", "warn")]
    assert "outlook.com refuses digests: 40 of 55" in checks[0].found
    assert "paperlark release" in (checks[0].advice or "")
    assert checks[1].found.endswith("gmail.com 600/m, other 600/m, mx.example.org:25 60/m")
    assert sending.hindered == {"held_back": 1, "stopped": 1}


def test_where_all_is_well_the_doctor_says_so(
    database: Database, clock: SettableClock, settings: Settings
) -> None:
    with database.reading() as session:
        checks = list(check_sending(state.look(session, clock()), state.slowed(settings)))
    assert [(check.name, check.state) for check in checks] == [("breaker", "pass"), ("limits", "pass")]


def test_redis_that_is_away_is_named_and_nothing_else_fails(
    sqlite_database: Database, clock: SettableClock, settings: Settings
) -> None:
    away = settings.model_copy(update={"redis_url": f"redis://127.0.0.1:{free_port()}/0"})
    assert state.slowed(away) is None
    with sqlite_database.reading() as session:
        checks = list(check_sending(state.look(session, clock()), None))
    assert checks[-1].state == "warn"


def test_the_figures_tell_it_too(
    troubled: Database, clock: SettableClock, settings: Settings, redis_url: str
) -> None:
    redis.Redis.from_url(redis_url).flushall()
    RedisMeter(redis_url).slow("gmail.com", 20.0, None)
    site = make_visitor(troubled, settings.model_copy(update={"redis_url": redis_url}), clock)
    lines = site.get("/metrics").text.splitlines()
    for line in (
        'paperlark_digests_day{destination="outlook.com",outcome="sent"} 15.0',
        'paperlark_digests_day{destination="outlook.com",outcome="policy"} 40.0',
        'paperlark_breaker_open{cause="policy",destination="outlook.com"} 1.0',
        'paperlark_hindered{reason="held_back"} 1.0',
        'paperlark_hindered{reason="stopped"} 1.0',
        "paperlark_complaints_day 0.0",
    ):
        assert line in lines
    assert any(
        line.startswith('paperlark_slowed_rate{destination="gmail.com"} 10.') for line in lines
    ) or any(line.startswith('paperlark_slowed_rate{destination="gmail.com"} 9.9') for line in lines)
