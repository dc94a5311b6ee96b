"""Figures for the operator's monitoring, counted in SQL at the moment they are asked for."""

import hmac
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from fastapi import APIRouter, HTTPException, Request
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from sqlalchemy import func, select
from sqlalchemy.orm import Session
from starlette.responses import Response

from service.config import Settings
from service.digests import hold
from service.digests.accounting import SKIPPED
from service.digests.tables import DigestRow
from service.mail import state
from service.mail.tables import IS_WAITING, DeliveryRow, SuppressionRow
from service.papers import shelf
from service.papers.tables import PaperRow
from service.subscribers.tables import SubscriberRow
from service.web.client import is_local
from service.web.dependencies import Reading, SiteDep

router = APIRouter(include_in_schema=False)
# As in the books: what a worker holds has not gone out.
OUTCOMES = {"claimed": "queued", "sending": "queued"}


@router.get("/metrics")
def metrics(request: Request, site: SiteDep, session: Reading) -> Response:
    """Answer in Prometheus' text format, to this machine or to the holder of the operator's token."""
    if not (is_local(request, site.trusted) or _bears_token(request, site)):
        raise HTTPException(404)
    registry = CollectorRegistry()
    registry.register(Figures(session, site.now()))
    registry.register(SendingFigures(session, site.now(), site.parts.settings))
    return Response(generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_LATEST})


def _bears_token(request: Request, site: SiteDep) -> bool:
    token = site.parts.settings.operator_token
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    if token is None or scheme.lower() != "bearer":
        return False
    return hmac.compare_digest(given.strip().encode(), token.get_secret_value().encode())


@dataclass(frozen=True, slots=True)
class Figures:
    """Counts what the tables hold; addresses and ids stay out."""

    session: Session
    now: datetime

    def collect(self) -> Iterator[Metric]:
        """Give every figure."""
        deliveries = self._deliveries()
        yield deliveries
        yield self._digests(deliveries)
        yield self._queue_age()
        yield self._hold()
        yield self._grouped("paperlark_subscribers", "Subscribers by status", SubscriberRow.status)
        yield self._grouped("paperlark_suppressed", "Suppressed addresses by reason", SuppressionRow.reason)
        yield self._grouped("paperlark_papers", "Papers by source", PaperRow.source)
        yield self._sources()

    def describe(self) -> Iterable[Metric]:
        """Name nothing beforehand: registering would otherwise count everything once for nothing."""
        return ()

    def _deliveries(self) -> Metric:
        return self._grouped(
            "paperlark_deliveries", "Deliveries by kind and status", DeliveryRow.kind, DeliveryRow.status
        )

    def _digests(self, deliveries: Metric) -> Metric:
        """Count digests by what became of them; one with a delivery was planned, and no more than that."""
        counts: Counter[tuple[str, str]] = Counter()
        for sample in deliveries.samples:
            if sample.labels["kind"] == "digest":
                status = sample.labels["status"]
                counts[OUTCOMES.get(status, status), ""] += int(sample.value)
        skipped = (
            select(DigestRow.skip_reason, func.count())
            .where(DigestRow.outcome == SKIPPED)
            .group_by(DigestRow.skip_reason)
        )
        for reason, count in self.session.execute(skipped):
            counts[SKIPPED, reason or ""] += count
        metric = GaugeMetricFamily(
            "paperlark_digests", "Digests by what became of them", labels=["outcome", "skip_reason"]
        )
        for (outcome, reason), count in sorted(counts.items()):
            metric.add_metric([outcome, reason], count)
        return metric

    def _queue_age(self) -> Metric:
        metric = GaugeMetricFamily(
            "paperlark_queue_age_seconds", "How long the oldest due delivery has waited", labels=["queue"]
        )
        oldest = (
            select(DeliveryRow.queue, func.min(DeliveryRow.next_at))
            .where(IS_WAITING, DeliveryRow.next_at <= self.now)
            .group_by(DeliveryRow.queue)
        )
        ages = {queue: (self.now - since).total_seconds() for queue, since in self.session.execute(oldest)}
        for queue in ("transactional", "bulk"):
            metric.add_metric([queue], ages.get(queue, 0.0))
        return metric

    def _grouped(self, name: str, text: str, *columns: Any) -> Metric:
        metric = GaugeMetricFamily(name, text, labels=[column.key for column in columns])
        for *labels, count in self.session.execute(select(*columns, func.count()).group_by(*columns)):
            metric.add_metric([label or "" for label in labels], count)
        return metric

    def _hold(self) -> Metric:
        metric = GaugeMetricFamily("paperlark_hold", "1 where all digests are held", labels=["kind"])
        present = hold.standing(self.session)
        for kind in hold.Kind:
            metric.add_metric([kind], 1.0 if present is not None and present.kind is kind else 0.0)
        return metric

    def _sources(self) -> Metric:
        metric = GaugeMetricFamily(
            "paperlark_source_up", "1 where the source's last run went well", labels=["source", "state"]
        )
        for source in shelf.source_states(self.session, self.now):
            metric.add_metric([source.source, source.state], 1.0 if source.state in {"ok", "quiet"} else 0.0)
        return metric


@dataclass(frozen=True, slots=True)
class SendingFigures:
    """How sending stands; destinations are big providers, relays and "other"."""

    session: Session
    now: datetime
    settings: Settings

    def collect(self) -> Iterator[Metric]:
        """Give every figure."""
        sending = state.look(self.session, self.now)
        fared = GaugeMetricFamily(
            "paperlark_digests_day", "Digests of a day by destination", labels=["destination", "outcome"]
        )
        for name, tally in sorted(sending.fared.items()):
            fared.add_metric([name, "sent"], tally.sent)
            fared.add_metric([name, "policy"], tally.policy)
        yield fared
        yield GaugeMetricFamily(
            "paperlark_complaints_day", "Complaints within a day", value=sending.complaints
        )
        stopped = GaugeMetricFamily(
            "paperlark_breaker_open", "1 where digests are stopped", labels=["destination", "cause"]
        )
        for name, breaker in sorted(sending.stopped.items()):
            stopped.add_metric([name, breaker.cause], 1.0)
        yield stopped
        hindered = GaugeMetricFamily(
            "paperlark_hindered", "Deliveries that a limit, breaker or relay keeps waiting", labels=["reason"]
        )
        for reason in state.HINDRANCES:
            hindered.add_metric([reason], sending.hindered.get(reason, 0))
        yield hindered
        yield from self._rates()

    def describe(self) -> Iterable[Metric]:
        """Name nothing beforehand."""
        return ()

    def _rates(self) -> Iterator[Metric]:
        rates = state.slowed(self.settings)
        if rates is None:
            return
        metric = GaugeMetricFamily(
            "paperlark_slowed_rate", "Messages a second to what asked for less", labels=["destination"]
        )
        for name, rate in sorted(rates.items()):
            metric.add_metric([name], rate)
        yield metric
