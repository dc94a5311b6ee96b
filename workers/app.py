"""The Celery application: how tasks travel and what happens to them when workers die."""

from typing import Any

from celery import Celery, signals

from service.config import Settings
from workers import stopping
from workers.desk import Desk
from workers.queues import QUEUES
from workers.tasks import register_tasks

# An unacknowledged task comes back after this long. Kombu looks for lost ones only now and then, and needs
# all three numbers to keep the promise; no task runs half as long, none is delayed by the broker.
VISIBILITY_SECONDS = 600
SOFT_LIMIT_SECONDS = 240
HARD_LIMIT_SECONDS = 300
# What a soft shutdown grants the running tasks; each hears of it and ends at its next safe point.
SHUTDOWN_SECONDS = 20.0


def make_app(settings: Settings, broker_url: str) -> Celery:
    """Make the application for one worker process tree."""
    app = Celery("paperlark", broker=broker_url)
    app.conf.update(
        task_serializer="json",
        accept_content=["json"],
        result_accept_content=["json"],
        enable_utc=True,
        timezone="UTC",
        task_ignore_result=True,
        # A killed worker's task is done again: what it must not repeat, SQL remembers.
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        worker_prefetch_multiplier=1,
        task_soft_time_limit=SOFT_LIMIT_SECONDS,
        task_time_limit=HARD_LIMIT_SECONDS,
        task_queues={name: {"exchange": name, "routing_key": name} for name in QUEUES},
        task_create_missing_queues=False,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        # A broker that is full or may only be read answers with errors: wait for it as for one that is away.
        broker_channel_error_retry=True,
        worker_cancel_long_running_tasks_on_connection_loss=False,
        broker_transport_options=transport_options(broker_url),
        worker_soft_shutdown_timeout=SHUTDOWN_SECONDS,
        worker_enable_soft_shutdown_on_idle=False,
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
        worker_send_task_events=False,
        worker_proc_alive_timeout=30.0,
    )
    register_tasks(app, Desk(settings, broker_url))
    signals.worker_shutting_down.connect(_stop, weak=False)
    return app


def transport_options(broker_url: str) -> dict[str, Any]:
    """Return what kombu needs to give back lost tasks (Redis), or to be quick (in memory)."""
    if broker_url.startswith("memory:"):
        return {"polling_interval": 0.02}
    return {
        "visibility_timeout": VISIBILITY_SECONDS,
        "unacked_restore_interval": 30,
        "unacked_restore_throttle": 1,
        "socket_keepalive": True,
        "socket_connect_timeout": 5,
    }


def _stop(**_details: object) -> None:
    stopping.stop_all()
