"""``paperlark rank`` and ``paperlark trend``, as they are typed."""

import gzip
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

from service.commands import ranking
from service.database import Database
from service.migrations import migrate
from service.papers.tables import PaperRow

AT = "2026-02-13T08:00:00Z"


@pytest.fixture
def run(tmp_path: Path) -> Any:
    app = typer.Typer()
    ranking.register(app)

    def typed(*words: str) -> Result:
        return CliRunner().invoke(app, [*words], env={"PAPERLARK_DATA_DIR": str(tmp_path / "data")})

    return typed


def an_item(number: int, title: str, *, nested: bool = True, **more: Any) -> dict[str, Any]:
    inner = {
        "id": f"2602.{number:05}",
        "title": title,
        "summary": f"We study {title.lower()}.",
        "authors": [{"name": f"Given{number} Family{number}", "hidden": False}],
        "submittedOnDailyAt": "2026-02-13T00:00:00.000Z",
        "upvotes": number,
    } | more
    return {"paper": inner, "title": title, "numComments": 1} if nested else inner


def write(path: Path, *items: Any) -> str:
    lines = "".join((one if isinstance(one, str) else json.dumps(one)) + "\n" for one in items)
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(lines.encode()))
    else:
        path.write_text(lines)
    return str(path)


def profile(path: Path, **fields: Any) -> str:
    path.write_text(json.dumps(fields))
    return str(path)


def test_rank_orders_with_reasons(run: Any, tmp_path: Path) -> None:
    papers = write(
        tmp_path / "papers.jsonl",
        an_item(1, "Tool use by owls"),
        an_item(2, "Video of owls"),
        an_item(3, "Larks"),
        an_item(4, "Seen owls"),
        an_item(5, "Flat owls planning", nested=False, authors=["Ada Lark"], categories=["cs.RO"]),
    )
    interests = [{"name": "Agents", "phrases": ["tool use", "planning"], "mutes": ["video"]}]
    me = profile(tmp_path / "me.json", interests=interests, seen=["2602.00004v2"])
    result = run("rank", "--profile", me, "--candidates", papers, "--at", AT, "--json")
    assert result.exit_code == 0, result.output
    rows = json.loads(result.stdout)
    assert [set(row) for row in rows] == [{"id", "score", "reasons"}] * 3
    assert {row["id"] for row in rows[:2]} == {"2602.00001", "2602.00005"}
    assert rows[2]["id"] == "2602.00003"
    assert rows[2]["reasons"] == ["3 votes in its first 8 hours"]
    by_id = {row["id"]: row for row in rows}
    assert by_id["2602.00001"]["reasons"] == ["matches 'Agents': tool use", "1 vote in its first 8 hours"]
    assert [row["score"] for row in rows] == sorted((row["score"] for row in rows), reverse=True)


def test_rank_without_interests_goes_by_trend_and_reads_gzip(run: Any, tmp_path: Path) -> None:
    papers = write(tmp_path / "papers.jsonl.gz", *(an_item(n, f"Owl {n}") for n in (3, 9, 5)))
    result = run(
        "rank", "--profile", profile(tmp_path / "me.json"), "--candidates", papers, "--at", AT, "--json"
    )
    assert [row["id"] for row in json.loads(result.stdout)] == ["2602.00009", "2602.00005", "2602.00003"]


def test_bad_lines_are_named_and_the_rest_is_kept(run: Any, tmp_path: Path) -> None:
    papers = write(
        tmp_path / "papers.jsonl",
        an_item(1, "Owls"),
        "{broken",
        "",
        [1],
        {"paper": {"title": "No id"}},
        an_item(2, "Larks"),
    )
    result = run(
        "rank", "--profile", profile(tmp_path / "me.json"), "--candidates", papers, "--at", AT, "--json"
    )
    assert result.exit_code == 3
    assert len(json.loads(result.stdout)) == 2
    named = result.stderr.splitlines()
    assert [line.split(":")[1] for line in named] == ["2", "4", "5"]
    assert "is not JSON" in named[0]


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ("{", "Expecting"),
        ("[]", "a profile is a JSON object"),
        ('{"interests": {}}', "interests is not a list"),
        ('{"interests": [{"phrases": "tool use"}]}', "interests[0].phrases is not a list of texts"),
        ('{"interests": [{"weight": -1}]}', "interests[0].weight"),
        ('{"interests": [{"weight": NaN}]}', "interests[0].weight"),
        ('{"liked": [1]}', "liked is not a list of texts"),
    ],
)
def test_a_profile_that_is_none_is_refused_by_field(run: Any, tmp_path: Path, given: str, says: str) -> None:
    (tmp_path / "me.json").write_text(given)
    papers = write(tmp_path / "papers.jsonl", an_item(1, "Owls"))
    result = run("rank", "--profile", str(tmp_path / "me.json"), "--candidates", papers)
    assert result.exit_code == 2
    assert says in result.stderr


def test_missing_files_and_instants_are_usage_errors(run: Any, tmp_path: Path) -> None:
    papers = write(tmp_path / "papers.jsonl", an_item(1, "Owls"))
    me = profile(tmp_path / "me.json")
    absent = str(tmp_path / "absent")
    assert run("rank", "--profile", me, "--candidates", absent).exit_code == 2
    assert run("rank", "--profile", absent, "--candidates", papers).exit_code == 2
    assert run("rank", "--profile", me, "--candidates", papers, "--at", "soon").exit_code == 2
    assert run("trend", "--snapshots", absent).exit_code == 2
    (tmp_path / "cut.gz").write_bytes(gzip.compress(b"x" * 999)[:-9])
    assert run("trend", "--snapshots", str(tmp_path / "cut.gz")).exit_code == 2


def test_examples_are_looked_up_in_the_database(run: Any, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    url = f"sqlite:///{tmp_path / 'data' / 'paperlark.sqlite3'}"
    migrate(url)
    database = Database(url)
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    with database.transaction() as session:
        session.add(
            PaperRow(
                id="2501.00001", title="Gaussian splatting of scenes", abstract="Splats.",
                first_seen_at=moment, updated_at=moment, source="huggingface",
            )
        )  # fmt: skip
    database.close()
    others = [an_item(number, f"Matter {number}", summary=f"Quite {number}") for number in range(10, 20)]
    papers = write(tmp_path / "papers.jsonl", *others, an_item(1, "Scenes by gaussian splatting"))
    me = profile(tmp_path / "me.json", interests=[{"name": "Mine", "examples": ["2501.00001"]}])
    rows = json.loads(run("rank", "--profile", me, "--candidates", papers, "--at", AT, "--json").stdout)
    assert rows[0]["id"] == "2602.00001"
    assert rows[0]["reasons"][0] == "similar to Gaussian splatting of scenes"


def test_a_second_call_finds_the_same_with_what_was_kept(run: Any, tmp_path: Path) -> None:
    papers = write(tmp_path / "papers.jsonl", *(an_item(n, f"Owl {n} tool use") for n in range(1, 9)))
    me = profile(tmp_path / "me.json", interests=[{"phrases": ["tool use"]}])
    words = ("rank", "--profile", me, "--candidates", papers, "--at", AT, "--json")
    first = run(*words).stdout
    kept = tmp_path / "data" / "tokens.npz"
    written = kept.stat().st_mtime_ns
    assert run(*words).stdout == first
    assert kept.stat().st_mtime_ns == written
    kept.write_bytes(b"damaged")
    assert run(*words).stdout == first


def a_row(number: int, at: str, votes: Any, **more: Any) -> dict[str, Any]:
    return {"id": f"2602.{number:05}", "list_date": "2026-02-13", "at": at, "upvotes": votes} | more


def test_trend_orders_by_what_was_known(run: Any, tmp_path: Path) -> None:
    rows = write(
        tmp_path / "seen.jsonl",
        a_row(1, "2026-02-13T06:00:00Z", 3, numComments=1, githubStars=4),
        a_row(2, "2026-02-13T06:00:00Z", 9),
        a_row(1, "2026-02-13T09:00:00Z", 99),
    )
    result = run("trend", "--snapshots", rows, "--at", AT, "--json")
    assert result.exit_code == 0
    first, second = json.loads(result.stdout)
    assert (first["id"], second["id"]) == ("2602.00002", "2602.00001")
    assert first["reasons"] == ["9 votes in its first 6 hours"]
    assert sum(first["parts"].values()) == pytest.approx(first["score"], abs=1e-5)
    later = json.loads(run("trend", "--snapshots", rows, "--at", "2026-02-13T10:00:00Z", "--json").stdout)
    assert later[0]["id"] == "2602.00001"


def test_trend_knows_the_papers_where_it_is_given_them(run: Any, tmp_path: Path) -> None:
    """Of two papers with as many votes the one of an organization, listed later, is foretold to lead."""
    rows = write(tmp_path / "seen.jsonl", *(a_row(number, "2026-02-13T07:00:00Z", 3) for number in (1, 2)))
    papers = write(
        tmp_path / "papers.jsonl",
        an_item(1, "Owls", submittedOnDailyAt="2026-02-13T00:10:00.000Z"),
        an_item(
            2, "Larks", submittedOnDailyAt="2026-02-13T06:00:00.000Z", organization={"fullname": "Lark Lab"}
        ),
        "nonsense",
    )
    command = ("trend", "--snapshots", rows, "--at", AT, "--json")
    assert len({row["score"] for row in json.loads(run(*command).stdout)}) == 1
    first, second = json.loads(run(*command, "--papers", papers).stdout)
    assert first["id"] == "2602.00002"
    assert first["parts"]["organization"] > 0
    assert first["forecast"] > second["forecast"] > 3
    assert first["parts"]["hour_listed"] > 0 > second["parts"]["hour_listed"]
    assert run(*command, "--papers", str(tmp_path / "absent")).exit_code == 2


def test_trend_names_bad_lines(run: Any, tmp_path: Path) -> None:
    rows = write(
        tmp_path / "seen.jsonl",
        a_row(1, "2026-02-13T06:00:00Z", 3),
        a_row(2, "soon", 3),
        a_row(3, "2026-02-13T06:00:00Z", "many"),
        {"id": "x", "at": "2026-02-13T06:00:00Z"},
        "nonsense",
        a_row(4, "2026-02-13T06:00:00Z", None, list_date=None),
    )
    result = run("trend", "--snapshots", rows, "--at", AT, "--json")
    assert result.exit_code == 3
    assert [line.split(":")[1] for line in result.stderr.splitlines()] == ["2", "3", "4", "5"]
    assert [row["id"] for row in json.loads(result.stdout)] == ["2602.00001"]


def test_people_get_words(run: Any, tmp_path: Path) -> None:
    papers = write(tmp_path / "papers.jsonl", an_item(1, "Owls"))
    result = run("rank", "--profile", profile(tmp_path / "me.json"), "--candidates", papers, "--at", AT)
    assert "2602.00001  Owls" in result.stdout
    rows = write(tmp_path / "seen.jsonl", a_row(1, "2026-02-13T06:00:00Z", 3))
    assert "3 votes" in run("trend", "--snapshots", rows, "--at", AT).stdout
