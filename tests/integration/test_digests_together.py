"""Planners that run at once, in processes of their own: each person gets one digest all the same."""

import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from service.config import Settings
from service.database import Database
from service.keys import Keyring
from tests import digest_world as world

FRIDAY = datetime(2026, 2, 13, tzinfo=UTC)
HOUR = timedelta(hours=1)
PEOPLE = 1_300

PLAN = """
import sys
from datetime import datetime
from pathlib import Path
from service.config import Settings
from service.database import Database
from service.digests.planning import plan_due
url, folder, at = sys.argv[1:]
settings = Settings(environment="test", data_dir=Path(folder), sources="demo")
database = Database(url)
print("ready", flush=True)
sys.stdin.readline()
print(plan_due(database, datetime.fromisoformat(at), settings=settings).planned)
database.close()
"""


def plan_at_once(url: str, folder: Path, now: datetime, processes: int) -> list[int]:
    command = [sys.executable, "-c", PLAN, url, str(folder), now.isoformat()]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    running = [subprocess.Popen(command, **pipes) for _ in range(processes)]
    for process in running:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in running:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    outputs = [process.communicate(timeout=120)[0] for process in running]
    assert [process.returncode for process in running] == [0] * processes
    return [int(output.splitlines()[-1]) for output in outputs]


@pytest.mark.trust(103, 111)
def test_planners_in_several_processes_give_each_person_one_digest(
    database: Database, database_url: str, settings: Settings, keyring: Keyring
) -> None:
    world.add_papers(database, FRIDAY + 6 * HOUR, 30)
    world.note_run(database, FRIDAY + 7 * HOUR)
    world.note_tick(database, FRIDAY)
    world.add_people(database, [world.a_person(n, keyring) for n in range(1, PEOPLE + 1)])

    counts = plan_at_once(database_url, settings.data_dir, FRIDAY + 8 * HOUR, processes=3)

    assert sum(counts) == PEOPLE
    digests = world.digests(database)
    assert Counter(row.subscriber_id for row in digests) == dict.fromkeys(range(1, PEOPLE + 1), 1)
    assert Counter(row.subscriber_id for row in world.deliveries(database)) == dict.fromkeys(
        range(1, PEOPLE + 1), 1
    )
    frozen = sorted((row.subscriber_id, item["paper"]) for row in digests for item in row.selection)
    assert world.seen(database) == frozen
