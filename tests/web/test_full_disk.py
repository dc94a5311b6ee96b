"""A form that is posted while the disk is full: said so, nothing half done, and taken the next time."""

from collections.abc import Iterator

import pytest
import structlog
from sqlalchemy import event
from structlog.testing import capture_logs

from service.clock import SettableClock
from service.config import Settings
from service.database import Database
from service.migrations import migrate
from tests.outages import Disk
from tests.web.conftest import ADDRESS, Visitor, make_visitor


@pytest.fixture
def visitor(disk: Disk, settings: Settings, clock: SettableClock) -> Iterator[Visitor]:
    url = f"sqlite:///{disk.folder / 'paperlark.sqlite3'}"
    migrate(url)
    database = Database(url)
    # Nothing of the log may be written over: on a full disk that would still find room.
    event.listen(database.engine, "connect", lambda c, _record: c.execute("PRAGMA wal_autocheckpoint=0"))
    yield make_visitor(database, settings, clock)
    database.close()


@pytest.mark.trust(85, 102)
@pytest.mark.parametrize("path", ["/subscribe", "/api/v1/subscriptions"])
def test_a_form_posted_while_the_disk_is_full_is_refused_whole_and_taken_later(
    path: str, disk: Disk, visitor: Visitor
) -> None:
    def post() -> tuple[int, str, str | None]:
        if path == "/subscribe":
            answer = visitor.subscribe()
        else:
            answer = visitor.post(path, json={"address": ADDRESS})
        return answer.status_code, answer.text, answer.headers.get("retry-after")

    stamp = visitor.stamp()
    before = visitor.dump()
    structlog.reset_defaults()
    with capture_logs() as logs:
        disk.fill()
        if path == "/subscribe":
            answer = visitor.post(path, data={"address": ADDRESS, "stamp": stamp})
        else:
            answer = visitor.post(path, json={"address": ADDRESS})
        readable = visitor.get("/").status_code
        disk.free()
    assert (answer.status_code, answer.headers.get("retry-after"), readable) == (503, "120", 200)
    assert "try again in a few minutes" in answer.text
    assert visitor.dump() == before
    assert visitor.rings == []
    (said,) = [entry for entry in logs if entry["event"] == "http.failed"]
    assert said["reason"] in {"database or disk is full", "disk I/O error"}
    assert ADDRESS not in str(logs)

    assert post()[0] in {202, 303}
    assert visitor.subscriber() is not None
    assert [ring for ring in visitor.rings if ring[0] == "mail.deliver"] == [
        ("mail.deliver", "transactional")
    ]
