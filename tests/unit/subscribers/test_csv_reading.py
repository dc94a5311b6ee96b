"""Lists as people make them: what is read, and how each line that can't be is reported."""

import io
import json

import pytest

from service.subscribers.csv_reading import BadHeader, Line, Problem, read_csv
from service.subscribers.preferences import Preferences, read_preferences
from service.subscribers.topics import CATALOGUE


def read(content: str | bytes) -> list[Line | Problem]:
    return list(read_csv(io.BytesIO(content.encode() if isinstance(content, str) else content)))


def test_all_columns_are_read() -> None:
    header = "email,timezone,hour,weekdays,topics,mutes,papers\n"
    row = f"Ann@example.org,Europe/Berlin,7,mon;thu,{CATALOGUE[0].slug};protein folding,crypto; nft,5\n"

    assert read(header + row) == [
        Line(
            2,
            "ann@example.org",
            read_preferences(
                {
                    "timezone": "Europe/Berlin",
                    "hour": 7,
                    "weekdays": ["mon", "thu"],
                    "topics": [CATALOGUE[0].slug],
                    "words": "protein folding",
                    "mutes": ["crypto", "nft"],
                    "papers": 5,
                }
            ),
        )
    ]


@pytest.mark.parametrize(
    "content",
    [
        b"email\nann@example.org\n",
        b"\xef\xbb\xbfEmail\r\nann@example.org\r\n",
        b"hour,email\n\n8,ann@example.org",
        b"email,topics\nann@example.org\n",
        b'email,topics\n"ann@example.org",""\n,\n\n',
    ],
)
def test_byte_order_mark_line_ends_order_and_gaps_do_not_matter(content: bytes) -> None:
    [line] = read(content)

    assert isinstance(line, Line)
    assert (line.address, line.preferences) == ("ann@example.org", Preferences())


def test_each_problem_names_its_line_and_field_and_the_rest_is_kept() -> None:
    lines = read(
        "email,hour,timezone\n"
        "ann@example.org,8,UTC\n"
        "not an address,25,Nowhere\n"
        "\n"
        "bob@example.org,9,Asia/Tokyo,more\n"
        '"carol@example.org","10",UTC\n'
        "ANN@example.org,8,UTC\n"
        "dave@example.org\n"
    )

    taken = [(line.number, line.address) for line in lines if isinstance(line, Line)]
    assert taken == [(2, "ann@example.org"), (6, "carol@example.org"), (8, "dave@example.org")]
    problems = [(each.number, each.kind, each.field) for each in lines if isinstance(each, Problem)]
    assert problems == [
        (3, "unreadable", "email"),
        (3, "unreadable", "timezone"),
        (3, "unreadable", "hour"),
        (5, "unreadable", "line"),
        (7, "duplicate", "email"),
    ]


def test_a_stray_quote_spoils_its_own_line_only() -> None:
    lines = read(
        "email,topics\n"
        '"unclosed@example.org,x\n'
        "z1@example.org,speech\r\n"
        'z2@example.org,"speech ""quoted"", aloud"\n'
        "not an address,speech\n"
        'z3@example.org,3" wafers\n'
        'z4@example.org,"open to the end'
    )

    taken = [(line.number, line.address) for line in lines if isinstance(line, Line)]
    assert taken == [(3, "z1@example.org"), (4, "z2@example.org"), (6, "z3@example.org")]
    first, address, last = (line for line in lines if isinstance(line, Problem))
    assert first == Problem(2, "unreadable", "line", "a quote opened on line 2 is not closed")
    assert (address.number, address.field) == (5, "email")
    assert last == Problem(7, "unreadable", "line", "a quote opened on line 7 is not closed")


def test_bytes_that_are_no_utf8_spoil_one_line_only() -> None:
    lines = read(b"email,topics\nann@example.org,caf\xe9\nbob@example.org,caf\xc3\xa9\n")

    assert lines[0] == Problem(2, "unreadable", "line", "is not UTF-8")
    assert isinstance(lines[1], Line)
    assert lines[1].preferences.interests[0].name == "café"


def test_a_cell_beyond_measure_spoils_one_line_only() -> None:
    lines = read("email,topics\nann@example.org," + "x" * 200_000 + "\nbob@example.org,speech\n")

    assert [type(line) for line in lines] == [Problem, Line]


def test_no_problem_repeats_an_address() -> None:
    lines = read("email\nann@example.org\nANN@example.org\nsecret.person@\n")
    problems = [line for line in lines if isinstance(line, Problem)]

    assert [(problem.number, problem.kind) for problem in problems] == [(3, "duplicate"), (4, "unreadable")]
    assert problems[0].reason == "same as line 2"
    assert "secret" not in problems[1].reason


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "empty"),
        ("\n", "the column email"),
        ("email;hour\nann@example.org;8\n", "use commas between columns; semicolons are for lists inside"),
        ('"email";"hour"\n"ann@example.org";"8"\n', "use commas between columns"),
        ('email,"hour\nann@example.org,8\n', "a quote opened on line 1 is not closed"),
        ("email,time_zone\n", "time_zone"),
        ("hour\n8\n", "email"),
        ("email,hour,hour\n", "once"),
    ],
)
def test_a_header_that_misleads_stops_the_import(content: str, words: str) -> None:
    with pytest.raises(BadHeader, match=words):
        read(content)


@pytest.mark.parametrize(
    ("content", "column"),
    [
        ("ann@example.org\n", 1),
        ("ann@example.org;8\n", 1),
        ("UTC,Ann <ann@example.org>,mon;thu\nUTC,bob@example.org\n", 2),
    ],
)
def test_a_file_without_a_header_is_told_so_without_its_addresses(content: str, column: int) -> None:
    with pytest.raises(BadHeader, match=f"no header: column {column} holds an @") as raised:
        read(content)

    assert "ann" not in str(raised.value).lower()


def test_interests_stand_in_cells_of_their_own() -> None:
    named = json.dumps([{"name": "Mine", "text": "LoRA, not vision", "weight": 2}]).replace('"', '""')
    [line] = read(
        "email,about,words,categories,authors,examples,interests,explore\n"
        f'ann@example.org,"speech, not music; by Ada Lovelace",mamba,cs.*,,2401.01234,"{named}",no\n'
    )

    assert isinstance(line, Line)
    assert line.preferences == read_preferences(
        {
            "about": "speech, not music\nby Ada Lovelace",
            "words": "mamba",
            "categories": "cs.*",
            "examples": "2401.01234",
            "interests": [{"name": "Mine", "phrases": ["LoRA"], "against": ["vision"], "weight": 2}],
            "explore": "no",
        }
    )
    assert not line.preferences.explores


@pytest.mark.parametrize("cell", ["[", "{}", "3", '[{""text"": 3}]', '[{""txt"": ""x y""}]'])
def test_interests_that_are_none_are_named(cell: str) -> None:
    [problem] = read(f'email,interests\nann@example.org,"{cell}"\n')[:1]

    assert isinstance(problem, Problem)
    assert problem.field.startswith("interests")
