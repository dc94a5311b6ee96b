"""The tasks: each calls the domain once with what its process has opened, and says whether work is left."""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import date, timedelta
from functools import partial
from typing import Any

import structlog
from celery import Celery

from service.digests.planning import plan_due, plan_first
from service.digests.running import deliver, sweep_deliveries
from service.digests.spreading import window_for
from service.inbound.polling import InboxUnavailable
from service.mail.outbox import BULK, TRANSACTIONAL
from service.papers.collecting import collect
from service.papers.embedding.store import embed_missing
from service.papers.sources import open_fallback
from service.subscribers.retention import expire
from workers.desk import Desk, OpenedDesk
from workers.stopping import should_stop_after

log = structlog.get_logger()


def register_tasks(app: Celery, desk: Desk) -> None:
    """Register every task with ``app``; they work with what ``desk`` opens."""
    for name, work in WORK.items():
        app.task(_in_turn(desk, name, work), name=name, shared=False)


def _in_turn(desk: Desk, name: str, work: Callable[..., bool]) -> Callable[..., None]:
    def run(*arguments: int | str) -> None:
        opened = desk.open()
        opened.take_turn(name, *arguments, work=partial(work, opened, *arguments))

    return run


def collect_papers(opened: OpenedDesk) -> bool:
    """Bring new papers and observations from the sources."""
    parts = opened.parts
    fallback = open_fallback(parts.settings)
    for report in collect(parts.database, parts.open_sources(), parts.clock(), fallback=fallback):
        log.info("source_collected", **_words(asdict(report)))
    parts.bell.ring("papers.embed")
    return False


def embed_papers(opened: OpenedDesk) -> bool:
    """Turn the texts of papers into vectors, where the extra for it is installed."""
    parts, should_stop = opened.parts, should_stop_after()
    if parts.embedder is None:
        return False
    if count := embed_missing(parts.database, parts.embedder, should_stop=should_stop):
        log.info("papers_embedded", papers=count, model=parts.embedder.model)
    return should_stop()


def plan_due_digests(opened: OpenedDesk) -> bool:
    """Plan the digests that are due; ring with each chunk: the first go while others are planned."""
    parts, should_stop = opened.parts, should_stop_after()

    def ring(planned: int, _total: int | None, _what: str) -> None:
        if planned:
            parts.bell.ring("mail.deliver", BULK)

    plan_due(
        parts.database,
        parts.clock(),
        settings=parts.settings,
        phrases=parts.phrase_vectors,
        spread=partial(window_for, longest=timedelta(minutes=parts.settings.spread_minutes)),
        should_stop=should_stop,
        progress=ring,
    )
    return should_stop()


def plan_first_digest(opened: OpenedDesk, subscriber_id: int) -> bool:
    """Plan the digest that comes right after confirming, and ring for it."""
    parts = opened.parts
    if plan_first(
        parts.database, subscriber_id, parts.clock(), settings=parts.settings, phrases=parts.phrase_vectors
    ):
        parts.bell.ring("mail.deliver", TRANSACTIONAL)
    return False


def deliver_mail(opened: OpenedDesk, queue: str) -> bool:
    """Send what waits in a mail queue."""
    parts, should_stop = opened.parts, should_stop_after()
    tally = deliver(
        parts.database,
        settings=parts.settings,
        keyring=parts.keyring,
        composers=parts.composers,
        courier=opened.courier(queue),
        clock=parts.clock,
        queue=queue,
        worker=opened.worker,
        should_stop=should_stop,
    )
    if words := _words(asdict(tally)):
        log.info("mail_delivered", queue=queue, **words)
    return should_stop() and tally.relay_problem is None


def sweep_mail(opened: OpenedDesk) -> bool:
    """Move on the deliveries whose worker died or whose time is up, and ring for those that wait again."""
    tally = sweep_deliveries(opened.parts.database, opened.parts.clock())
    if tally.total:
        log.info("mail_swept", **_words(asdict(tally)))
    if tally.requeued:
        for queue in (TRANSACTIONAL, BULK):
            opened.parts.bell.ring("mail.deliver", queue)
    return False


def poll_inbox(opened: OpenedDesk) -> bool:
    """Take in what came back to the IMAP mailbox, where the settings name one."""
    parts, should_stop = opened.parts, should_stop_after()
    try:
        tally = parts.poll_inbox(should_stop)
    except InboxUnavailable as problem:
        log.error("inbox_unavailable", problem=str(problem))  # noqa: TRY400 - the sentence says it all
        return False
    if tally is None:
        return False
    if words := _words(asdict(tally)):
        log.info("inbox_polled", **words)
    return tally.is_more and not should_stop()


def expire_records(opened: OpenedDesk) -> bool:
    """Delete what is kept no longer than it is needed."""
    with opened.parts.database.transaction() as session:
        counts = _words(expire(session, opened.parts.clock()))
    if counts:
        log.info("records_expired", **counts)
    return False


def _words(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields that say something, days as JSON can hold them."""
    told = {name: value for name, value in fields.items() if value}
    return {name: value.isoformat() if isinstance(value, date) else value for name, value in told.items()}


WORK: Mapping[str, Callable[..., bool]] = {
    "papers.collect": collect_papers,
    "papers.embed": embed_papers,
    "digests.plan_due": plan_due_digests,
    "digests.plan_first": plan_first_digest,
    "mail.deliver": deliver_mail,
    "mail.sweep": sweep_mail,
    "subscribers.expire": expire_records,
    "inbound.poll": poll_inbox,
}
