"""A small world for tests of digests: people, papers and source runs, put straight into the tables."""

import hashlib
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

from sqlalchemy import insert, select

from service.database import Database
from service.digests import hold
from service.digests.tables import DigestRow
from service.keys import Keyring
from service.mail.tables import DeliveryRow
from service.papers.tables import ObservationRow, PaperRow, SourceRunRow
from service.subscribers.consent import Kind
from service.subscribers.tables import ConsentEventRow, InterestRow, SubscriberRow

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
EVERY_DAY = 0b1111111
WORDS = ("diffusion", "agents", "retrieval", "speech", "robotics", "proofs", "protein", "graphs")


def a_person(number: int, keyring: Keyring, **changes: Any) -> dict[str, Any]:
    """Values of an active subscriber: UTC, 08:00, every day, five papers, confirmed long ago."""
    address = f"reader{number}@example.org"
    return {
        "id": number,
        "public_id": number + 1_000_000,
        "address": address,
        "address_key": keyring.address_key(address),
        "status": "active",
        "timezone": "UTC",
        "send_hour": 8,
        "weekdays": EVERY_DAY,
        "paper_count": 5,
        "mutes": [],
        "token_version": 0,
        "created_at": LONG_AGO,
        "updated_at": LONG_AGO,
        "confirmed_at": LONG_AGO,
        "left_at": None,
        "paused_until": None,
        "last_digest_at": None,
    } | changes


def add_people(database: Database, people: Sequence[dict[str, Any]]) -> None:
    """Store people, each with one interest."""
    with database.transaction() as session:
        session.execute(insert(SubscriberRow), list(people))
        session.execute(
            insert(InterestRow),
            [
                {"subscriber_id": one["id"], "name": word.title(), "phrases": [word], "position": 0}
                for one in people
                for word in [WORDS[one["id"] % len(WORDS)]]
            ],
        )


def note_confirmation(database: Database, person: dict[str, Any], at: datetime) -> None:
    """Write the consent event of a confirmation in the web form."""
    with database.transaction() as session:
        session.add(
            ConsentEventRow(
                subscriber_id=person["id"], address_key=person["address_key"], kind=Kind.CONFIRMED, at=at
            )
        )


def add_papers(
    database: Database, first_seen_at: datetime, count: int, *, prefix: str | None = None, **changes: Any
) -> list[str]:
    """Store papers first seen at an instant, with one observation each; return their ids."""
    prefix = prefix or f"{first_seen_at:%y%m.%d}"
    rows = [_paper(f"{prefix}{number:03}", number, first_seen_at) | changes for number in range(count)]
    with database.transaction() as session:
        session.execute(insert(PaperRow), rows)
        session.execute(
            insert(ObservationRow),
            [
                {
                    "paper_id": row["id"],
                    "observed_at": first_seen_at,
                    "source": "huggingface",
                    "upvotes": row["upvotes"],
                    "comments": 1,
                    "stars": None,
                }
                for row in rows
            ],
        )
    return [row["id"] for row in rows]


def _paper(paper_id: str, number: int, first_seen_at: datetime) -> dict[str, Any]:
    word = WORDS[number % len(WORDS)]
    votes = int(hashlib.sha256(paper_id.encode()).hexdigest()[:2], 16)
    return {
        "id": paper_id,
        "title": f"On {word}, part {number}",
        "abstract": f"We study {word} with care and find that {word} helps.",
        "authors": [f"Author {paper_id}", "Second Author"],
        "author_count": 2,
        "published_at": first_seen_at - timedelta(days=1),
        "listed_on": first_seen_at.date(),
        "first_seen_at": first_seen_at,
        "updated_at": first_seen_at,
        "source": "huggingface",
        "upvotes": votes,
        "comments": 1,
        "stars": None,
        "observed_at": first_seen_at,
    }


def note_run(database: Database, at: datetime, outcome: str = "ok") -> None:
    """Write that a source was asked at an instant."""
    with database.transaction() as session:
        session.add(
            SourceRunRow(source="huggingface", started_at=at, finished_at=at, outcome=outcome, details={})
        )


def note_tick(database: Database, at: datetime) -> None:
    """Write that planning was complete at an instant: nothing before it is asked about again."""
    with database.transaction() as session:
        hold.planner(session).ticked_at = at


def digests(database: Database) -> list[DigestRow]:
    """Read every digest, in the order planned."""
    with database.reading() as session:
        return list(session.scalars(select(DigestRow).order_by(DigestRow.id)))


def outcomes(database: Database) -> list[tuple[int | None, date, str]]:
    """Read who has which outcome for which date: ``mailed`` or the reason of the skip."""
    return [(row.subscriber_id, row.issue_date, row.skip_reason or row.outcome) for row in digests(database)]


def deliveries(database: Database) -> list[DeliveryRow]:
    """Read every delivery."""
    with database.reading() as session:
        return list(session.scalars(select(DeliveryRow).order_by(DeliveryRow.id)))


def seen(database: Database) -> list[tuple[int, str]]:
    """Read the ledger."""
    with database.reading() as session:
        rows = session.execute(
            select(DigestRow.subscriber_id, DigestRow.papers).where(DigestRow.subscriber_id.is_not(None))
        )
        return sorted((id_, paper) for id_, papers in rows for paper in (papers or "").split())


def stock(database: Database, now: datetime) -> None:
    """Put papers of this morning there, and a source that answered an hour before ``now``."""
    add_papers(database, now - timedelta(hours=2), 20)
    note_run(database, now - timedelta(hours=1))
    note_tick(database, now - timedelta(hours=1))
