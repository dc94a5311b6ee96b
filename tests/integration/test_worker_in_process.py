"""Where no broker can be run, a worker thread in the serving process does the work."""

from pathlib import Path

from pydantic import SecretStr

from service.bootstrap import open_parts
from service.config import Settings
from service.mailbox.server import running_mailbox
from service.mailbox.store import MailboxStore
from service.papers import shelf
from tests.systems import wait_for
from workers import stopping
from workers.bell import CeleryBell
from workers.thread import running_worker


def test_rings_reach_the_worker_thread_and_it_ends_with_the_block(settings: Settings, tmp_path: Path) -> None:
    bell = CeleryBell("memory://")
    parts = open_parts(settings, bell=bell)

    def days() -> list[object]:
        with parts.database.reading() as session:
            return list(shelf.list_days(session))

    with running_mailbox(MailboxStore(tmp_path / "caught")) as url:
        relayed = settings.model_copy(update={"smtp_url": SecretStr(url)})
        with running_worker(relayed, "memory://", threads=2):
            bell.ring("papers.collect")
            wait_for(days, "paper on the shelf")
    assert stopping.is_stopping()
    stopping._flag[0] = 0
    parts.database.close()
    bell.close()
