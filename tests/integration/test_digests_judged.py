"""Some days of some people, every mail read by the judge of ``benchmarks.simulation``."""

import random
from datetime import UTC, datetime, timedelta

import pytest

from benchmarks.replay import import_people
from benchmarks.simulation import MUTES, Findings, ReadingRelay, read_mail, shows, simulate
from service.bootstrap import Parts, open_parts
from service.config import Settings
from service.mail.message import Parcel
from service.migrations import prepare
from service.progress import no_progress
from service.subscribers.topics import CATALOGUE
from tests import digest_world as world

BEGIN = datetime(2026, 2, 2, tzinfo=UTC)
PHRASES = [phrase for topic in CATALOGUE for phrase in topic.phrases]


@pytest.fixture
def parts(settings: Settings) -> Parts:
    prepare(settings)
    return open_parts(settings)


def add_day(parts: Parts, now: datetime, chance: random.Random) -> None:
    """Note that the source was asked; once a day it lists papers, some with words that many mute."""
    world.note_run(parts.database, now)
    if now.hour:
        return
    for number in range(60):
        words = [*chance.sample(PHRASES, 2), *(chance.sample(MUTES, 1) if number % 3 == 0 else ())]
        world.add_papers(
            parts.database,
            now,
            1,
            prefix=f"{now:%y%m.%d}{number:02}",
            title=f"On {words[0]}, part {number}",
            abstract=f"We study {', '.join(words)} with care.",
            authors=[f"Author {chance.randrange(40)}"],
        )


@pytest.mark.timeout(300)
def test_the_judge_finds_no_promise_broken_in_some_days(parts: Parts) -> None:
    chance = random.Random(7)
    import_people(parts, 30, BEGIN, hours=24)
    findings, lived, relay = simulate(
        parts,
        lambda now: add_day(parts, now, chance),
        BEGIN,
        6,
        step=timedelta(hours=2),
        look_every=2,
        progress=no_progress,
    )
    parts.database.close()
    assert findings.broken == []
    assert relay.labelled["mails"] > 60
    assert relay.labelled["with a paper off the interests"] > 5
    assert lived.happened["answer"] > 5
    assert min(findings.counts[promise] for promise in PROMISES) > 30


PROMISES = (
    "each interest with papers has its place",
    "no muted word in a mail",
    "no paper twice",
    "one paper off the interests at most, last and labelled",
    "two papers of a first author at most",
    "what is off the interests is off all of them",
)


@pytest.mark.parametrize(
    ("text", "is_shown"),
    [
        ("A survey of all", True),
        ("Surveys of all", True),
        ("Multi-survey, ÉTUDE", True),
        ("surveying the field", False),
        ("see https://example.org/survey", False),
    ],
)
async def test_the_judge_reads_page_and_text_alike(text: str, is_shown: bool) -> None:
    for html, plain in ((f"<style>survey</style><p>{text}</p>", "none"), ("<p>none</p>", text)):
        data = (
            "Subject: Digest\r\nMIME-Version: 1.0\r\n"
            'Content-Type: multipart/alternative; boundary="b"\r\n\r\n'
            f'--b\r\nContent-Type: text/plain; charset="utf-8"\r\n\r\n{plain}\r\n'
            f'--b\r\nContent-Type: text/html; charset="utf-8"\r\n\r\n{html}\r\n--b--\r\n'
        ).encode()
        assert any(shows(part, "survey") for part in read_mail(data)) == is_shown
        findings = Findings()
        relay = ReadingRelay(findings, mutes={"reader@example.org": ("survey",)})
        await relay.deliver(
            Parcel(
                envelope_sender="sender@example.org",
                recipient="reader@example.org",
                pieces=[data],
                message_id="id",
            )
        )
        assert bool(findings.broken) == is_shown
