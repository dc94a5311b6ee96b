"""From the form to the unsubscribe that holds, over running systems: embedded, and as separate processes."""

import itertools
import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

import pytest

from service.mailbox.store import CaughtMail
from tests import systems
from tests.systems import Recorded, System, header, link_in, papers_in

READER = "reader@example.org"
NEIGHBOUR = "neighbour@example.org"

SUBJECTS = {
    "diffusion": "Diffusion models for image generation",
    "protein": "Protein folding with language models",
    "audio": "Audio codecs for speech",
    "robot": "Robot grasping from demonstrations",
}


def recordings(first: datetime, second: datetime) -> list[Recorded]:
    """Return 24 papers of four subjects known from ``first`` on, and 24 more from ``second`` on."""
    numbers = itertools.count(1)
    return [
        Recorded(
            id=f"2602.{next(numbers):05}",
            title=f"{title}, part {turn} of {at:%A}",
            at=at,
            upvotes=3 + (7 * turn + len(title)) % 11,
        )
        for at in (first, second)
        for turn in range(6)
        for title in SUBJECTS.values()
    ]


def ids_of(papers: list[Recorded], subject: str) -> set[str]:
    return {paper.id for paper in papers if paper.title.startswith(SUBJECTS[subject])}


@pytest.fixture(params=["embedded", "separate"])
def system(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[System]:
    settings = {"sources": "archive", "archive_path": str(tmp_path / "recordings")}
    systems.write_recordings(tmp_path / "recordings", recordings(yesterday(), tomorrow(1)))
    if request.param == "embedded":
        with systems.embedded(tmp_path, **settings) as system:
            yield system
        return
    postgres, redis = request.getfixturevalue("postgres_url"), request.getfixturevalue("redis_url")
    with systems.separate(tmp_path, postgres, f"{redis.rpartition('/')[0]}/7", **settings) as system:
        yield system


def yesterday() -> datetime:
    return datetime.now(UTC).replace(microsecond=0) - timedelta(days=1)


def tomorrow(hour: int, days: int = 1) -> datetime:
    # An hour of margin: the test may begin just before midnight.
    day: date = (datetime.now(UTC) + timedelta(hours=1)).date() + timedelta(days=days)
    return datetime.combine(day, time(hour), UTC)


FORM = {
    "words": "diffusion models",
    "mutes": "audio codecs",
    "timezone": "UTC",
    "hour": "8",
    "papers": "6",
    "weekdays": ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"],
}


def subscribe(system: System, address: str) -> None:
    with system.pages as pages:
        stamp = re.search(r'name="stamp" value="([^"]+)"', pages.get("/").text)
        assert stamp is not None
        answer = pages.post("/subscribe", data={**FORM, "address": address, "stamp": stamp[1]})
    assert (answer.status_code, answer.headers["location"]) == (303, "/subscribed"), answer.text


def confirm(system: System, mail: CaughtMail) -> None:
    link = link_in(mail, "/confirm/")
    assert link.startswith(system.url)
    with system.pages as pages:
        assert pages.get(link).status_code == 200
        assert pages.get(link).status_code == 200  # a mail scanner's look confirms nothing
        assert len(system.mails(READER)) == 1
        assert pages.post(link).status_code == 200


def send_due(system: System, at: datetime) -> None:
    """Do what scheduler and workers do at that instant, beside them."""
    instant = at.isoformat()
    system.command("collect", "--at", instant)
    system.command("run-due", "--at", instant)


def test_from_the_form_to_an_unsubscribe_that_holds(system: System) -> None:
    papers = recordings(yesterday(), tomorrow(1))
    shown = wait_for_papers(system)
    assert shown <= {paper.id for paper in papers[:24]}

    subscribe(system, NEIGHBOUR)  # who never confirms
    subscribe(system, READER)
    confirm(system, system.wait_for_mail(READER, 1))
    first = system.wait_for_mail(READER, 2)
    check_digest(first)
    assert set(papers_in(first)) <= {paper.id for paper in papers[:24]}
    assert not set(papers_in(first)) & ids_of(papers, "audio")
    assert set(papers_in(first)) & ids_of(papers, "diffusion")

    change_to(system, first, words="protein folding", mutes="robot grasping", papers="8")
    send_due(system, tomorrow(8))
    second = system.wait_for_mail(READER, 3)
    check_digest(second)
    chosen = second.text.partition("FOR YOU")[2]  # type: ignore[union-attr]
    assert set(papers_in(second)) & ids_of(papers, "protein")
    assert re.findall("protein folding", chosen, re.IGNORECASE)
    assert not set(papers_in(second)) & ids_of(papers, "robot")
    assert not set(papers_in(second)) & set(papers_in(first))
    assert len(papers_in(second)) <= 8

    send_due(system, tomorrow(8))  # again: nothing comes twice
    leave_by_one_click(system, second)
    send_due(system, tomorrow(8, days=2))
    assert len(system.mails(READER)) == 3
    assert len(system.mails(NEIGHBOUR)) == 1
    books = system.command("accounting", "--date", tomorrow(8).date().isoformat())
    assert (books["due"], books["sent"]) == (1, 1)
    log = system.log.read_text()
    for event in ("source_collected", "mail_delivered"):  # of the worker, whose log Celery reaches for
        assert re.search(rf"\[info *\] {event} ", log), event
    assert not re.search(r"\[info *\].*\[(?:celery|kombu)", log)


def wait_for_papers(system: System) -> set[str]:
    with system.pages as pages:

        def look() -> set[str]:
            return set(re.findall(r"/papers/(\d{4}\.\d{5})", pages.get("/").text))

        try:
            return systems.wait_for(look, "paper on the page")
        except AssertionError as error:
            raise AssertionError(f"{error}; log: {system.tail()}") from None


def check_digest(mail: CaughtMail) -> None:
    assert 1 <= len(papers_in(mail)) <= 8
    assert "<html" in (mail.html or "")
    assert header(mail, "List-Unsubscribe-Post") == "List-Unsubscribe=One-Click"
    assert header(mail, "List-Id")
    assert header(mail, "Message-ID")
    assert READER not in mail.summary.sender
    assert len(mail.raw) < 90_000


def change_to(system: System, digest: CaughtMail, **changes: str) -> None:
    link = link_in(digest, "/preferences/")
    with system.pages as pages:
        assert "diffusion models" in pages.get(link).text
        answer = pages.post(link, data={**FORM, **changes, "do": "save"})
        assert answer.status_code in {200, 303}, answer.text
        assert changes["words"] in pages.get(link).text


def leave_by_one_click(system: System, digest: CaughtMail) -> None:
    target = re.search(r"<(https?://[^>]+)>", header(digest, "List-Unsubscribe") or "")
    assert target is not None
    with system.pages as pages:
        answer = pages.post(
            target[1],
            content=b"List-Unsubscribe=One-Click",
            headers={"Content-Type": "application/x-www-form-urlencoded"},
        )
    assert answer.status_code == 200, answer.text
