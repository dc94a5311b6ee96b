"""The demo issue: true facts, own words, always in the near past, placed once."""

import gzip
import json
import re
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.database import Database
from service.papers import shelf
from service.papers.collecting import collect
from service.papers.sources import Parsed, Resumable
from service.papers.sources.demo import DemoSource, placed_days
from service.papers.sources.demo_issue import ISSUE
from service.subscribers.topics import CATALOGUE

FRIDAY = datetime(2026, 2, 13, 8, tzinfo=UTC)


def _parsed(now: datetime) -> list[Parsed]:
    source = DemoSource()
    return [source.parse(answer) for answer in source.fetch(now)]


def _words(text: str) -> list[str]:
    return re.findall(r"[a-z0-9]+", text.lower())


def _runs(text: str, length: int) -> set[tuple[str, ...]]:
    words = _words(text)
    return {tuple(words[start : start + length]) for start in range(len(words) - length + 1)}


def test_holds_some_sixty_papers_each_once_with_a_sentence_and_keywords() -> None:
    papers = [paper for parsed in _parsed(FRIDAY) for paper in parsed.papers]
    assert 55 <= len(papers) == len({paper.id for paper in papers})
    for paper in papers:
        assert re.fullmatch(r"\d{4}\.\d{5}", paper.id)
        assert paper.summary, paper.id
        assert paper.summary.endswith(".")
        assert len(paper.summary) <= 200
        assert not paper.abstract
        assert 1 <= len(paper.authors) <= 6
        assert paper.author_count >= len(paper.authors)
        assert 3 <= len(paper.keywords) <= 6
        assert all(keyword == " ".join(keyword.lower().split()) for keyword in paper.keywords)
        assert paper.title == " ".join(paper.title.split())


def test_many_topics_of_the_catalogue_find_something_in_it() -> None:
    texts = [
        " ".join(["", *_words(" . ".join((entry.title, entry.summary, entry.keywords))), ""])
        for entries in ISSUE.values()
        for entry in entries
    ]
    found = {
        topic.slug
        for topic in CATALOGUE
        if any(f" {' '.join(_words(phrase))} " in text for phrase in topic.phrases for text in texts)
    }
    assert len(found) >= 40, sorted({topic.slug for topic in CATALOGUE} - found)


@given(
    st.integers(0, 20 * 366 * 24 * 60).map(
        lambda minutes: datetime(2020, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes)
    )
)
def test_lies_whole_in_the_near_past_whatever_the_hour(now: datetime) -> None:
    parsed = _parsed(now)
    days = [paper.listed_on for day in parsed for paper in day.papers]
    newest = max(day for day in days if day)
    assert all(day and day.weekday() < 5 for day in days)
    assert len(set(days)) == len(ISSUE)
    assert (
        timedelta(0) < now - datetime.combine(newest, datetime.min.time(), UTC) < timedelta(days=4, hours=1)
    )
    assert all(one.observed_at <= now for day in parsed for one in day.observations)


def test_sightings_keep_their_distance_from_the_list_day() -> None:
    thursday = next(iter(DemoSource().fetch(FRIDAY)))
    assert thursday.listed_on == date(2026, 2, 9)
    parsed = DemoSource().parse(thursday)
    seen = [one for one in parsed.observations if one.paper_id == "2603.02604"]
    assert [(one.observed_at, one.upvotes) for one in seen] == [
        (datetime(2026, 2, 9, 8, 4, tzinfo=UTC), 26),
        (datetime(2026, 2, 10, 0, 10, tzinfo=UTC), 92),
        (datetime(2026, 2, 13, 0, 15, tzinfo=UTC), 146),
    ]
    assert seen[0].stars is None


def test_every_paper_was_seen_and_its_votes_only_grow() -> None:
    for day in _parsed(FRIDAY):
        votes: dict[str, list[int]] = {}
        for one in day.observations:
            votes.setdefault(one.paper_id, []).append(one.upvotes or 0)
        assert set(votes) == {paper.id for paper in day.papers}
        assert all(counts == sorted(counts) for counts in votes.values())


@pytest.mark.parametrize(
    ("now", "newest"),
    [
        (
            datetime(2026, 2, 13, 0, 10, tzinfo=UTC),
            date(2026, 2, 11),
        ),  # Thursday's last counts are not in yet
        (datetime(2026, 2, 13, 0, 31, tzinfo=UTC), date(2026, 2, 12)),
        (datetime(2026, 2, 14, 12, tzinfo=UTC), date(2026, 2, 13)),  # Saturday
        (datetime(2026, 2, 16, 12, tzinfo=UTC), date(2026, 2, 13)),  # Monday
    ],
)
def test_newest_day_is_the_last_weekday_that_is_over(now: datetime, newest: date) -> None:
    assert placed_days(now, 4)[-1] == newest


def test_is_placed_once() -> None:
    source = DemoSource()
    assert isinstance(source, Resumable)
    assert list(source.fetch_after(FRIDAY, FRIDAY + timedelta(days=3))) == []
    assert source.mark() == DemoSource().mark()


def _recorded(folder: Path) -> Iterator[dict[str, object]]:
    ids = {entry.id for entries in ISSUE.values() for entry in entries}
    with gzip.open(folder / "hf_daily" / "papers.jsonl.gz", "rt") as lines:
        for line in lines:
            paper = json.loads(line)["paper"]
            if paper["id"] in ids:
                yield paper


@pytest.mark.data
def test_facts_are_true_and_sentences_our_own(recorded_data: Path) -> None:
    entries = {entry.id: entry for day in ISSUE.values() for entry in day}
    recorded = {str(paper["id"]): paper for paper in _recorded(recorded_data)}
    assert set(recorded) == set(entries)
    for id_, entry in entries.items():
        paper = recorded[id_]
        title = " ".join(str(paper["title"]).replace("\\$", "$").split())
        assert entry.title == title
        assert entry.author_count == len(paper["authors"])
        assert entry.authors.split(", ") == paper["authors"][:6]
        theirs = f"{paper.get('summary') or ''} . {paper.get('ai_summary') or ''}"
        copied = (_runs(entry.summary, 6) & _runs(theirs, 6)) - _runs(title, 6)
        assert not copied, (id_, copied)


def test_a_first_collect_shelves_it_and_later_ones_are_quiet(sqlite_database: Database) -> None:
    (first,) = collect(sqlite_database, [DemoSource()], FRIDAY)
    count = sum(len(entries) for entries in ISSUE.values())
    assert (first.outcome, first.new_count) == ("ok", count)
    assert first.newest_listed_on == date(2026, 2, 12)
    (later,) = collect(sqlite_database, [DemoSource()], FRIDAY + timedelta(days=4))
    assert (later.outcome, later.new_count, later.observation_count) == ("quiet", 0, 0)
    with sqlite_database.reading() as session:
        days = shelf.list_days(session)
        assert days == [date(2026, 2, day) for day in (12, 11, 10, 9)]
        assert sum(len(shelf.papers_of_day(session, day)) for day in days) == count
        helios = shelf.get_paper(session, "2603.04379")
        assert helios is not None
        assert helios.first_seen_at == datetime(2026, 2, 9, 3, 26, tzinfo=UTC)
        assert helios.upvotes == 136
