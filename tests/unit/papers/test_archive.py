"""The archive gives back what was known at an instant, and nothing that came later."""

import gzip
import json
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from service.papers.paper import Observation, Paper
from service.papers.sources import Answer, Parsed, Resumable, SourceUnavailable, UnusableAnswer
from service.papers.sources.archive import ArchiveSource

MORNING = datetime(2026, 2, 12, 8, tzinfo=UTC)
EVENING = datetime(2026, 2, 12, 20, tzinfo=UTC)
NEXT_DAY = datetime(2026, 2, 13, 8, tzinfo=UTC)
LARK = "2602.00001"
FINCH = "2602.00002"


def a_text(id_: str, **paper: Any) -> dict[str, Any]:
    inner = {"id": id_, "title": f"Paper {id_}", "summary": "About birds.", "authors": ["Ada"], **paper}
    return {"paper": inner, "list_date": "2026-02-12", "text_source": "api"}


def a_snapshot(id_: str, at: datetime, **seen: Any) -> dict[str, Any]:
    return {"id": id_, "list_date": "2026-02-12", "at": f"{at:%Y-%m-%dT%H:%M:%SZ}", "src": "x", **seen}


def write_pair(folder: Path, texts: list[Any], snapshots: list[Any], suffix: str = ".jsonl.gz") -> Path:
    for name, lines in (("papers", texts), ("snapshots", snapshots)):
        text = "\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines).encode()
        (folder / f"{name}{suffix}").write_bytes(gzip.compress(text) if suffix.endswith(".gz") else text)
    return folder


def birds(folder: Path) -> Path:
    lark = a_text(
        LARK, ai_keywords=["larks"], ai_summary="Larks.", githubRepo="https://github.com/e/lark", upvotes=99
    )
    snapshots = [
        a_snapshot(LARK, EVENING, upvotes=12, numComments=1, githubStars=5, hasKw=1, hasRepo=1),
        a_snapshot(LARK, MORNING, upvotes=4),
        a_snapshot(FINCH, NEXT_DAY, upvotes=7, numComments=0),
    ]
    return write_pair(folder, [lark, a_text(FINCH)], snapshots)


def read(source: ArchiveSource, answers: list[Answer]) -> Parsed:
    parsed = [source.parse(answer) for answer in answers]
    return Parsed(
        papers=tuple(paper for one in parsed for paper in one.papers),
        observations=tuple(seen for one in parsed for seen in one.observations),
        malformed=tuple(bad for one in parsed for bad in one.malformed),
    )


def known_at(path: Path, now: datetime, since: datetime | None = None) -> Parsed:
    source = ArchiveSource(path)
    return read(source, list(source.fetch_after(since, now)))


def an_observation(id_: str, at: datetime, *counts: int | None) -> Observation:
    upvotes, comments, stars = counts
    return Observation(
        paper_id=id_, source="archive", observed_at=at, upvotes=upvotes, comments=comments, stars=stars
    )


def test_in_the_morning_only_what_the_morning_showed_is_known(tmp_path: Path) -> None:
    known = known_at(birds(tmp_path), MORNING)

    assert known.papers == (
        Paper(
            id=LARK, title=f"Paper {LARK}", abstract="About birds.", authors=("Ada",), author_count=1,
            listed_on=date(2026, 2, 12), source="archive",
        ),
    )  # fmt: skip
    assert known.observations == (an_observation(LARK, MORNING, 4, None, None),)


def test_keywords_summary_and_repository_come_with_the_snapshot_that_saw_them(tmp_path: Path) -> None:
    lark = known_at(birds(tmp_path), EVENING).papers[0]

    assert (lark.keywords, lark.summary) == (("larks",), "Larks.")
    assert lark.repository_url == "https://github.com/e/lark"


def test_before_the_first_snapshot_nothing_is_known(tmp_path: Path) -> None:
    assert known_at(birds(tmp_path), MORNING - timedelta(seconds=1)).papers == ()


def test_going_on_gives_only_what_is_new_but_with_all_that_is_known(tmp_path: Path) -> None:
    folder = birds(tmp_path)

    evening = known_at(folder, EVENING, since=MORNING)
    assert evening.observations == (an_observation(LARK, EVENING, 12, 1, 5),)
    assert evening.papers[0].keywords == ("larks",)
    assert known_at(folder, NEXT_DAY, since=EVENING).observations == (
        an_observation(FINCH, NEXT_DAY, 7, 0, None),
    )
    assert known_at(folder, NEXT_DAY, since=NEXT_DAY) == Parsed()


@pytest.mark.parametrize("name", ["papers.jsonl", "snapshots.jsonl"])
def test_either_file_of_the_pair_stands_for_both_packed_or_not(tmp_path: Path, name: str) -> None:
    folder = write_pair(tmp_path, [a_text(LARK)], [a_snapshot(LARK, MORNING, upvotes=4)], ".jsonl")

    assert len(known_at(folder / name, NEXT_DAY).observations) == 1
    assert len(known_at(folder, NEXT_DAY).observations) == 1


def test_lines_that_cannot_be_read_are_counted_once(tmp_path: Path) -> None:
    texts = ["{broken", a_text("no-id"), a_text(LARK), "[1]", a_text(FINCH, title="")]
    snapshots = [
        "not json", {"id": LARK}, {"id": LARK, "at": "soon"}, {"id": "nope", "at": "2026-02-12T00:00:00Z"},
        f'{{"id": "{LARK}", "list_date": null, "at": "2026-02-12T07:00:00Z", broken',
        a_snapshot(LARK, MORNING, upvotes=4), a_snapshot(FINCH, MORNING), a_snapshot("2602.00003", MORNING),
    ]  # fmt: skip
    folder = write_pair(tmp_path, texts, snapshots)

    known = known_at(folder, NEXT_DAY)

    assert [paper.id for paper in known.papers] == [LARK]
    assert known.observations == (an_observation(LARK, MORNING, 4, None, None),)
    # Three texts without id, one without title, five snapshots, and one of a paper without text.
    assert len(known.malformed) == 10
    assert "2602.00003 has snapshots but no text" in [one.reason for one in known.malformed]
    assert known_at(folder, NEXT_DAY, since=MORNING).malformed == ()


def write_answer(folder: Path, name: str, body: Any) -> None:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    (folder / name).write_bytes(gzip.compress(raw) if name.endswith(".gz") else raw)


def test_recorded_answers_are_read_in_the_order_of_their_instants(tmp_path: Path) -> None:
    item = {"paper": {"id": LARK, "title": "Lark", "upvotes": 4}}
    write_answer(tmp_path, "2026-02-12__who__2026-02-12T200000Z.json.gz", [item])
    write_answer(tmp_path, "2026-02-12__z__2026-02-12T160000+08.json", [item])
    write_answer(tmp_path, "2026-02-12__a__2026-02-13T013000+0530.json", [item])
    (tmp_path / "README.md").write_text("words")

    known = known_at(tmp_path, EVENING)

    assert [one.observed_at for one in known.observations] == [MORNING, EVENING, EVENING]
    assert {paper.listed_on for paper in known.papers} == {date(2026, 2, 12)}
    assert len(known_at(tmp_path, MORNING).observations) == 1
    assert len(known_at(tmp_path, EVENING, since=MORNING).observations) == 2
    single = tmp_path / "2026-02-12__who__2026-02-12T200000Z.json.gz"
    assert len(known_at(single, EVENING).observations) == 1


def test_a_recording_that_is_no_answer_is_named_and_the_others_are_read(tmp_path: Path) -> None:
    write_answer(tmp_path, "undated.json", [])
    write_answer(tmp_path, "2026-02-12__who__2026-02-12T250000Z.json", [])
    (tmp_path / "2026-02-12__cut__2026-02-12T080000Z.json.gz").write_bytes(gzip.compress(b"[1, 2, 3]")[:-12])
    write_answer(tmp_path, "2026-02-12__one__2026-02-12T080000Z.json", 1)
    write_answer(
        tmp_path, "2026-02-12__who__2026-02-12T080000Z.json", [{"paper": {"id": LARK, "title": "L"}}]
    )
    source = ArchiveSource(tmp_path)

    answers = {
        answer.origin.split("__")[-2 if "__" in answer.origin else 0]: answer
        for answer in source.fetch(EVENING)
    }

    assert "recorded" in str(answers["undated.json"].failure)
    assert "can't be read" in str(answers["cut"].failure)
    with pytest.raises(UnusableAnswer, match="JSON int"):
        source.parse(answers["one"])
    assert [paper.id for paper in source.parse(answers["who"]).papers] == [LARK]


@pytest.mark.parametrize("name", ["", "missing", "missing.json"])
def test_where_nothing_is_recorded_the_source_says_so(tmp_path: Path, name: str) -> None:
    source = ArchiveSource(tmp_path / name)

    with pytest.raises(SourceUnavailable, match="PAPERLARK_ARCHIVE_PATH"):
        list(source.fetch(EVENING))
    with pytest.raises(SourceUnavailable):
        source.mark()


def test_a_broken_pair_makes_the_source_unavailable(tmp_path: Path) -> None:
    folder = birds(tmp_path)
    packed = (folder / "papers.jsonl.gz").read_bytes()
    (folder / "papers.jsonl.gz").write_bytes(packed[: len(packed) // 2])

    with pytest.raises(SourceUnavailable, match="can't be read"):
        list(ArchiveSource(folder).fetch(EVENING))


def test_the_mark_changes_with_the_recordings(tmp_path: Path) -> None:
    source = ArchiveSource(birds(tmp_path))
    before = source.mark()

    assert isinstance(source, Resumable)
    assert before == source.mark()
    write_answer(tmp_path, "2026-02-12__who__2026-02-12T080000Z.json", [])
    assert before != source.mark()


@pytest.mark.data
def test_every_recorded_answer_is_read_item_by_item(recorded_data: Path) -> None:
    folder = recorded_data / "hf_daily" / "raw_samples"
    source = ArchiveSource(folder)
    usable, refused, unknown = 0, [], set()
    for answer in source.fetch(datetime(2026, 4, 1, tzinfo=UTC)):
        try:
            parsed = source.parse(answer)
        except UnusableAnswer:
            refused.append(answer.origin)
            continue
        usable += 1
        unknown |= parsed.unknown_keys.keys()
        assert parsed.malformed == (), answer.origin
        assert len(parsed.papers) == len(parsed.observations)
        assert all(one.upvotes is not None for one in parsed.observations)
        assert all(paper.abstract and paper.published_at for paper in parsed.papers)

    assert usable == len(list(folder.glob("*.json.gz"))) - 1
    assert refused == ["2024-06-01__2404589803__2024-06-01T165731Z.json.gz"]  # the bare number 1
    assert unknown == set()


@pytest.mark.data
@pytest.mark.parametrize("now", [datetime(2025, 6, 17, 8, tzinfo=UTC), datetime(2026, 3, 11, tzinfo=UTC)])
def test_what_is_known_is_exactly_the_snapshots_up_to_then(recorded_data: Path, now: datetime) -> None:
    folder = recorded_data / "hf_daily"
    expected = set()
    with gzip.open(folder / "snapshots.jsonl.gz") as lines:
        for one in map(json.loads, lines):
            at = datetime.fromisoformat(one["at"])
            if at <= now:
                expected.add((one["id"], at, one["upvotes"], one.get("numComments"), one.get("githubStars")))

    known = known_at(folder, now)

    seen = {
        (one.paper_id, one.observed_at, one.upvotes, one.comments, one.stars) for one in known.observations
    }
    assert expected == seen
    assert {one[0] for one in expected} == {paper.id for paper in known.papers}
    assert known.malformed == ()
