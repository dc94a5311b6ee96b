"""Sixty days of many people, in fast motion, and a judge who reads every mail.

    python -m benchmarks.simulation [--days 60] [--people 1000] [--from 2025-09-08] [--step 1] [--every 5]

Without anything said it is a week of a hundred people; the whole takes a quarter of an hour.

Papers are the recorded ones of PAPERLARK_TEST_DATA (or ../shared/data), known only from the instant they
were recorded on. People live in many zones, want mail daily, on weekdays or weekly, mute words, pause, move,
change what they care about, and answer. Every mail is taken apart as a reader would see it and searched for
muted words by a rule of its own. Leaves with 1 when a promise was broken. Without recordings it says so.

The judge looks at every mail for words, and at every digest for papers sent before, authors and papers off
the interests; at the digests of every --every'th day also for whether each interest got its place, which
takes the whole matching again.
"""

import argparse
import html.parser
import os
import random
import re
import sys
import tempfile
import time
import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any

import structlog
from sqlalchemy import delete, insert, select
from sqlalchemy.orm import Session

from benchmarks.replay import HOUR, ZONES, drop, import_people, ticks
from service.bootstrap import Parts, open_parts
from service.commands.output import progress_bar
from service.config import Settings
from service.digests import running
from service.digests.accounting import account
from service.digests.planning import patience
from service.digests.tables import DigestRow
from service.digests.window import Shelves
from service.mail.courier import open_courier
from service.mail.delivery import Outcome, Stage, Verdict
from service.mail.message import Parcel
from service.migrations import prepare
from service.papers.collecting import collect
from service.papers.sources import open_sources
from service.papers.tables import PaperRow
from service.progress import Progress
from service.ranking.explaining import OFF_INTERESTS
from service.ranking.groups import EXPLORING_LEAST, SAME_AUTHOR_LIMIT
from service.ranking.hiding import mutes_of, named_by
from service.ranking.matching import match
from service.ranking.muting import muted
from service.subscribers import answers
from service.subscribers.profiles import load_profiles
from service.subscribers.tables import InterestRow, SubscriberRow
from service.subscribers.topics import CATALOGUE, Topic

START = date(2025, 9, 8)  # of sixty days that were recorded without a gap
COLLECT_EVERY = 6 * HOUR
MUTES = ("survey", "video", "benchmark", "speech", "agent", "language model", "diffusion", "policy")
OWN_PHRASES = ("mixture of experts", "chain of thought", "3D reconstruction", "tool use", "image editing")
DAILY_CHANCES = {"pause": 0.02, "move": 0.01, "change": 0.02, "mute": 0.01, "answer": 0.25}

Feed = Callable[[datetime], object]


@dataclass(slots=True)
class Findings:
    """What the judge counted, and what was broken, with where."""

    counts: Counter[str] = field(default_factory=Counter)
    broken: list[str] = field(default_factory=list)

    def expect(self, is_kept: bool, promise: str, where: str) -> None:
        """Count a promise as looked at, and note where it was broken."""
        self.counts[promise] += 1
        if not is_kept:
            self.broken.append(f"{promise}: {where}")


class Visible(html.parser.HTMLParser):
    """Gathers what a reader sees or hears of a page: text, and names that are read out."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.texts: list[str] = []
        self._hidden = 0

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        """Take names of links and pictures; look away from styles."""
        self._hidden += tag in {"style", "script", "head"}
        self.texts += [text for name, text in attributes if name in {"aria-label", "alt", "title"} and text]

    def handle_endtag(self, tag: str) -> None:
        """Look again."""
        self._hidden -= tag in {"style", "script", "head"}

    def handle_data(self, data: str) -> None:
        """Take text."""
        if not self._hidden:
            self.texts.append(data)


def shows(text: str, mute: str) -> bool:
    """Say whether a text shows a word, alone or in the plural: a rule of the judge's own, by letters."""
    return re.search(rf"(?<!\w){re.escape(_folded(mute))}(?:e?s)?(?!\w)", text) is not None


def _folded(text: str) -> str:
    plain = "".join(one for one in unicodedata.normalize("NFKD", text) if not unicodedata.combining(one))
    return " ".join(re.sub(r"https?://\S+", " ", plain.casefold()).replace("-", " ").split())


def read_mail(data: bytes) -> tuple[str, str]:
    """Give all that is to be seen of a mail, folded: subject and text, and the page."""
    message = message_from_bytes(data, policy=policy.default)
    text, page = message.get_body(("plain",)), message.get_body(("html",))
    if text is None or page is None:
        raise ValueError("a digest without text or page")
    visible = Visible()
    visible.feed(page.get_content())
    return _folded(f"{message['subject']} {text.get_content()}"), _folded(" ".join(visible.texts))


@dataclass(slots=True)
class ReadingRelay:
    """Takes every mail and reads it as its reader, with the mutes of that moment."""

    findings: Findings
    mutes: dict[str, tuple[str, ...]] = field(default_factory=dict)  # by address
    labelled: Counter[str] = field(default_factory=Counter)  # mails that show a paper off the interests

    async def ready(self) -> None:
        """Be there."""

    def admit(self, recipients: Sequence[str]) -> Sequence[float | None]:
        """Let all go."""
        return [None] * len(recipients)

    async def deliver(self, parcel: Parcel) -> Outcome:
        """Read."""
        text, page = read_mail(parcel.data)
        for mute in self.mutes.get(parcel.recipient, ()):
            is_quiet = not shows(text, mute) and not shows(page, mute)
            self.findings.expect(is_quiet, "no muted word in a mail", f"{mute!r} to {parcel.recipient}")
        labels = (text.count(_folded(OFF_INTERESTS)), page.count(_folded(OFF_INTERESTS)))
        self.findings.expect(
            labels in {(0, 0), (1, 1)}, "one label at most in a mail", f"{labels} to {parcel.recipient}"
        )
        self.labelled["mails"] += 1
        self.labelled["with a paper off the interests"] += labels == (1, 1)
        return Outcome(verdict=Verdict.SENT, stage=Stage.DOT, code=250)

    async def close(self) -> None:
        """Do nothing."""


class World:
    """People who live on from day to day, by a fixed chance."""

    def __init__(self, parts: Parts, relay: ReadingRelay, *, seed: int = 20251103) -> None:
        """Let the people of a database live."""
        self.parts, self.relay, self._chance = parts, relay, random.Random(seed)
        self.happened: Counter[str] = Counter()

    def begin(self, now: datetime) -> None:
        """Give every third person an interest in their own words, and mutes that are not in any."""
        with self.parts.database.transaction() as session:
            for person in self._people(session):
                self._set_mutes(session, person, list(person.mutes), now)
                if self._chance.random() < 1 / 3:
                    self._add_interest(session, person.id, None)
        self.note_mutes()

    def live(self, now: datetime) -> None:
        """Let a day's things happen."""
        with self.parts.database.transaction() as session:
            for person in self._people(session):
                for what, chance in DAILY_CHANCES.items():
                    if self._chance.random() < chance and getattr(self, f"_{what}")(session, person, now):
                        self.happened[what] += 1
        self.note_mutes()

    def note_mutes(self) -> None:
        """Tell the reader of mails what each person mutes now."""
        with self.parts.database.reading() as session:
            rows = session.execute(select(SubscriberRow.address, SubscriberRow.mutes))
            self.relay.mutes = {address: tuple(mutes) for address, mutes in rows}

    def _people(self, session: Session) -> Sequence[SubscriberRow]:
        return session.scalars(select(SubscriberRow).order_by(SubscriberRow.id)).all()

    def _pause(self, _session: Session, person: SubscriberRow, now: datetime) -> bool:
        person.paused_until = now + timedelta(days=self._chance.randint(2, 9))
        return True

    def _move(self, _session: Session, person: SubscriberRow, now: datetime) -> bool:
        person.timezone, person.send_hour = self._chance.choice(ZONES), self._chance.randrange(24)
        person.updated_at = now
        return True

    def _change(self, session: Session, person: SubscriberRow, now: datetime) -> bool:
        held = session.scalars(select(InterestRow).where(InterestRow.subscriber_id == person.id)).all()
        if len(held) > 1:
            session.execute(delete(InterestRow).where(InterestRow.id == self._chance.choice(held).id))
        self._add_interest(session, person.id, self._chance.choice((None, *CATALOGUE)))
        self._set_mutes(session, person, list(person.mutes), now)
        return True

    def _mute(self, session: Session, person: SubscriberRow, now: datetime) -> bool:
        self._set_mutes(session, person, [*person.mutes, self._chance.choice(MUTES)], now)
        return True

    def _answer(self, session: Session, person: SubscriberRow, now: datetime) -> bool:
        last = session.scalars(
            select(DigestRow)
            .where(DigestRow.subscriber_id == person.id, DigestRow.outcome == "mailed")
            .order_by(DigestRow.id.desc())
            .limit(1)
        ).first()
        if last is None or not last.selection:
            return False
        paper = self._chance.choice(last.selection)["paper"]
        answers.give(session, person.id, paper, self._chance.choice(("more", "less", "less")), now)
        return True

    def _add_interest(self, session: Session, person: int, topic: Topic | None) -> None:
        values: dict[str, Any] = {"subscriber_id": person, "position": self._chance.randrange(10, 99)}
        values["weight"] = self._chance.choice((0.5, 1.0, 2.0))
        if topic is None:
            phrase = self._chance.choice(OWN_PHRASES)
            values |= {"name": phrase, "phrases": [phrase]}
        else:
            values |= {"name": topic.name, "topic": topic.slug, "phrases": []}
        session.execute(insert(InterestRow).values(**values))

    def _set_mutes(self, session: Session, person: SubscriberRow, mutes: list[str], now: datetime) -> None:
        """Mute words, but none of the names of one's own interests: those stand in every mail."""
        names = session.scalars(select(InterestRow.name).where(InterestRow.subscriber_id == person.id)).all()
        own = _folded(" ".join(names))
        kept = [mute for mute in dict.fromkeys(mutes) if not shows(own, mute)]
        if kept != list(person.mutes):
            person.mutes, person.updated_at = kept, now


class Judge:
    """Looks at digests as they are stored."""

    def __init__(self, parts: Parts, findings: Findings) -> None:
        """Judge what comes from now on."""
        self.parts, self.findings = parts, findings
        self._last_id = 0
        self._given: set[tuple[int, str]] = set()

    def look(self, now: datetime, *, closely: bool) -> None:
        """Judge the digests that are new; ``closely``: also whether each interest has its place."""
        with self.parts.database.reading() as session:
            query = select(DigestRow).where(DigestRow.id > self._last_id).order_by(DigestRow.id)
            rows = session.scalars(query).all()
            self._last_id = max([self._last_id, *(row.id for row in rows)])
            mailed = [row for row in rows if row.outcome == "mailed" and row.subscriber_id is not None]
            ids = {item["paper"] for row in mailed for item in row.selection}
            authors = dict(
                session.execute(select(PaperRow.id, PaperRow.authors).where(PaperRow.id.in_(ids))).all()
            )
            for row in mailed:
                self._judge(row, authors)
            if closely and mailed:
                self._judge_places(session, mailed, now)

    def _judge(self, row: DigestRow, authors: dict[str, list[str]]) -> None:
        where, items = f"digest {row.id}", row.selection
        for item in items:
            key = (row.subscriber_id or 0, item["paper"])
            self.findings.expect(key not in self._given, "no paper twice", f"{where}, {item['paper']}")
            self._given.add(key)
        firsts = Counter(_folded(authors[item["paper"]][0]) for item in items if authors.get(item["paper"]))
        most = max(firsts.values(), default=0)
        self.findings.expect(most <= SAME_AUTHOR_LIMIT, "two papers of a first author at most", where)
        off = [place for place, item in enumerate(items) if item.get("is_exploration")]
        is_well = not off or (
            off == [len(items) - 1]
            and len(items) <= EXPLORING_LEAST + 12
            and items[-1]["reasons"][0] == OFF_INTERESTS
        )
        self.findings.expect(is_well, "one paper off the interests at most, last and labelled", where)

    def _judge_places(self, session: Session, rows: Sequence[DigestRow], now: datetime) -> None:
        """See that each interest with papers to choose from has one in the digest."""
        profiles = load_profiles(session, [row.subscriber_id or 0 for row in rows])
        shelves = Shelves(now, patience=patience(self.parts.settings))
        counts = dict(
            session.execute(
                select(SubscriberRow.id, SubscriberRow.paper_count).where(SubscriberRow.id.in_(profiles))
            ).all()
        )
        for row in rows:
            profile = profiles[row.subscriber_id or 0]
            start = row.window_start or now
            window = shelves.window(
                session, round((row.planned_at - start) / timedelta(days=1)), named_by(profile)
            )
            corpus = window.corpus
            others = session.scalars(
                select(DigestRow.papers).where(
                    DigestRow.subscriber_id == row.subscriber_id,
                    DigestRow.id != row.id,
                    DigestRow.papers.is_not(None),
                )
            )
            seen = {id_ for papers in others for id_ in (papers or "").split()}
            hidden = muted(corpus, mutes_of(profile))
            shown = {item["paper"] for item in row.selection}
            firsts = Counter(
                corpus.papers[corpus.index[id_]].authors[:1] for id_ in shown if id_ in corpus.index
            )
            wishes = []
            for interest in profile.interests:
                scores = match(corpus, interest).scores
                wishes.append(
                    {
                        paper.id
                        for paper, score, is_hidden in zip(corpus.candidates, scores, hidden, strict=True)
                        if score > 0 and not is_hidden and paper.id not in seen
                    }
                )
            if sum(map(bool, wishes)) > counts[row.subscriber_id or 0]:
                self.findings.counts["more interests than places"] += 1
                continue
            off = {item["paper"] for item in row.selection if item.get("is_exploration")}
            for interest, wish in zip(profile.interests, wishes, strict=True):
                # What is left of it may all be by somebody who stands twice in the list.
                can_have = [
                    id_
                    for id_ in wish
                    if firsts[corpus.papers[corpus.index[id_]].authors[:1]] < SAME_AUTHOR_LIMIT
                ]
                is_placed = bool(wish & shown) or not can_have
                where = f"digest {row.id}, {interest.name!r}: {sorted(wish)[:3]}"
                self.findings.expect(is_placed, "each interest with papers has its place", where)
                self.findings.expect(not wish & off, "what is off the interests is off all of them", where)


def simulate(
    parts: Parts,
    feed: Feed,
    begin: datetime,
    days: int,
    *,
    step: timedelta = HOUR,
    look_every: int = 5,
    progress: Progress,
) -> tuple[Findings, World, ReadingRelay]:
    """Let the people of a database live for some days; return what the judge found."""
    findings = Findings()
    relay = ReadingRelay(findings)
    courier = open_courier(parts.settings, parts.keyring, relay=relay)
    world, judge = World(parts, relay), Judge(parts, findings)
    world.begin(begin)
    for now in ticks(begin, days, step):
        day, of_day = divmod(now - begin, timedelta(days=1))
        if of_day % COLLECT_EVERY < step:
            feed(now)
        if day and not of_day:
            world.live(now)
            progress(day, days, "days")
        running.run_due(
            parts.database,
            now,
            settings=parts.settings,
            keyring=parts.keyring,
            composers=parts.composers,
            courier=courier,
        )
        judge.look(now, closely=day % look_every == 0)
    return findings, world, relay


def main() -> int:
    """Simulate and print."""
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--days", type=int, default=7)
    words.add_argument("--people", type=int, default=100)
    words.add_argument("--from", dest="start", type=date.fromisoformat, default=START)
    words.add_argument("--step", type=int, default=1, help="hours between two ticks")
    words.add_argument("--every", type=int, default=5, help="days between two close looks")
    chosen = words.parse_args()
    recorded = Path(os.environ.get("PAPERLARK_TEST_DATA") or Path(__file__).parents[2] / "shared" / "data")
    if not (recorded / "hf_daily").is_dir():
        print("The recordings are not here (set PAPERLARK_TEST_DATA to their folder): nothing to simulate.")
        return 0
    structlog.configure(processors=[drop])
    begin = datetime(chosen.start.year, chosen.start.month, chosen.start.day, tzinfo=UTC)
    with tempfile.TemporaryDirectory(prefix="paperlark-simulation-") as folder:
        settings = Settings(
            environment="test",
            data_dir=Path(folder),
            sources="archive",
            archive_path=recorded / "hf_daily",
            secret_key="a-secret-for-simulations-only-0123456789-abcdef",
        )
        prepare(settings)
        parts = open_parts(settings)
        import_people(parts, chosen.people, begin, hours=24)
        sources = open_sources(settings)
        spent = time.process_time()
        with progress_bar() as progress:
            findings, world, relay = simulate(
                parts,
                lambda now: collect(parts.database, sources, now),
                begin,
                chosen.days,
                step=chosen.step * HOUR,
                look_every=chosen.every,
                progress=progress,
            )
        print_report(parts, findings, world, relay)
        print(f"{time.process_time() - spent:,.0f} s of the processor")
        parts.database.close()
    return 1 if findings.broken else 0


def print_report(parts: Parts, findings: Findings, world: World, relay: ReadingRelay) -> None:
    """Print what happened, what was looked at and what was broken."""
    with parts.database.reading() as session:
        dates = list(session.scalars(select(DigestRow.issue_date).distinct()))
        books = [account(session, day) for day in dates]
    skipped: Counter[str] = Counter()
    for one in books:
        skipped.update(one.skipped)
    print(f"digests due {sum(one.due for one in books):,}, sent {sum(one.sent for one in books):,}")
    print(
        "  skipped " + (", ".join(f"{name} {count:,}" for name, count in sorted(skipped.items())) or "none")
    )
    print("mails read " + ", ".join(f"{name} {count:,}" for name, count in relay.labelled.items()))
    print("people did " + ", ".join(f"{name} {count:,}" for name, count in sorted(world.happened.items())))
    broken = Counter(line.partition(":")[0] for line in findings.broken)
    for promise, count in sorted(findings.counts.items()):
        print(f"{promise}: {count:,} times looked at, {broken[promise]:,} broken")
    for line in findings.broken[:20]:
        print(f"  BROKEN {line}")


if __name__ == "__main__":
    sys.exit(main())
