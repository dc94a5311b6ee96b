"""A site to ask: the real application on a migrated database, a clock that stands, a bell that remembers."""

import re
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import insert, select
from starlette.testclient import TestClient

from service.bell import RecordingBell
from service.bootstrap import Parts
from service.clock import SettableClock
from service.config import Settings
from service.database import Database
from service.keys import Keyring, Purpose
from service.mail.tables import DeliveryRow
from service.papers.tables import PaperRow, SourceRunRow
from service.subscribers.tables import SubscriberRow
from service.tables import Base
from service.web.app import create_app

ADDRESS = "ann@example.org"


class Visitor(TestClient):
    """A browser without JavaScript, and what a test needs to look behind the pages."""

    parts: Parts

    @property
    def rings(self) -> list[tuple[Any, ...]]:
        """What the web asked workers to do."""
        bell = self.parts.bell
        assert isinstance(bell, RecordingBell)
        return bell.rings

    def stamp(self) -> str:
        """Open the form and return its stamp."""
        found = re.search(r'name="stamp" value="([^"]+)"', self.get("/subscribe").text)
        assert found
        return found[1]

    def subscribe(self, address: str = ADDRESS, **fields: Any) -> Any:
        """Fill in the form and send it; extra fields override what the form has."""
        return self.post("/subscribe", data={"address": address, "stamp": self.stamp(), **fields})

    def confirm_token(self, address: str = ADDRESS) -> str:
        """Return the token in the newest confirmation mail to an address."""
        with self.parts.database.reading() as session:
            delivery = session.scalars(
                select(DeliveryRow)
                .join(SubscriberRow, SubscriberRow.id == DeliveryRow.subscriber_id)
                .where(SubscriberRow.address == address, DeliveryRow.kind == "confirm")
                .order_by(DeliveryRow.id.desc())
            ).first()
        assert delivery is not None
        return self.parts.keyring.sign(Purpose.CONFIRM, delivery.parameters["nonce"])

    def join(self, address: str = ADDRESS, **fields: Any) -> SubscriberRow:
        """Subscribe and confirm."""
        assert self.subscribe(address, **fields).status_code == 303
        assert self.post(f"/confirm/{self.confirm_token(address)}").status_code == 200
        row = self.subscriber(address)
        assert row is not None
        return row

    def subscriber(self, address: str = ADDRESS) -> SubscriberRow | None:
        """Return the row of an address."""
        with self.parts.database.reading() as session:
            return session.scalar(select(SubscriberRow).where(SubscriberRow.address == address))

    def dump(self) -> dict[str, list[Any]]:
        """Return every row of every table."""
        with self.parts.database.reading() as session:
            return {
                table.name: sorted(map(repr, session.execute(select(table)).all()))
                for table in Base.metadata.sorted_tables
            }


def make_visitor(database: Database, settings: Settings, clock: SettableClock, **options: Any) -> Visitor:
    """Open the site for a visitor at this machine; nothing is kept and nothing is held back unless asked."""
    keys = [settings.secret_key, *settings.retired_secret_keys]
    parts = Parts(
        settings=settings,
        database=database,
        keyring=Keyring([key.get_secret_value() for key in keys if key]),
        clock=clock,
        bell=RecordingBell(),
    )
    client = options.pop("client", ("127.0.0.1", 50_000))
    app = create_app(parts, **{"page_seconds": 0, "answer_seconds": 0, **options})
    visitor = Visitor(app, base_url="http://127.0.0.1:8000", follow_redirects=False, client=client)
    visitor.parts = parts
    return visitor


@pytest.fixture
def visitor(database: Database, settings: Settings, clock: SettableClock) -> Visitor:
    """A visitor of a site on each database in turn."""
    return make_visitor(database, settings, clock)


@pytest.fixture
def lite(sqlite_database: Database, settings: Settings, clock: SettableClock) -> Visitor:
    """A visitor where the kind of database makes no difference."""
    return make_visitor(sqlite_database, settings, clock)


def add_paper(database: Database, paper_id: str = "2602.00001", **fields: Any) -> None:
    """Put a paper on the shelf, by default one of Friday, 13 February 2026."""
    seen = datetime(2026, 2, 13, 1, tzinfo=UTC)
    values = {
        "id": paper_id,
        "title": "A paper about larks",
        "abstract": "Larks sing at dawn. We measure how early.",
        "authors": ["Ada Lark", "Ben Wren"],
        "author_count": 2,
        "published_at": seen - timedelta(days=1),
        "listed_on": date(2026, 2, 13),
        "first_seen_at": seen,
        "updated_at": seen,
        "keywords": ["larks"],
        "categories": ["cs.CL"],
        "source": "huggingface",
        "upvotes": 42,
        "comments": 3,
        **fields,
    }
    with database.transaction() as session:
        session.execute(insert(PaperRow).values(values))


def add_run(database: Database, at: datetime, outcome: str = "ok", **fields: Any) -> None:
    """Note that a source was asked."""
    values = {
        "source": "huggingface",
        "started_at": at,
        "finished_at": at,
        "outcome": outcome,
        "newest_listed_on": date(2026, 2, 13),
        **fields,
    }
    with database.transaction() as session:
        session.execute(insert(SourceRunRow).values(values))
