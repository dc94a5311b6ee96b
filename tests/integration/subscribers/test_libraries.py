"""Libraries kept: replaced, deleted, handed out, erased; ranked by, never shown to or chosen for others."""

import json
from datetime import timedelta

import pytest
from sqlalchemy import func, select

from service.digests.choosing import load_full_profiles
from service.digests.previewing import draft_now
from service.digests.window import Shelves
from service.subscribers import personal_data
from service.subscribers.libraries import keeping
from service.subscribers.libraries.reading import read_library
from service.subscribers.library_tables import LibraryItemRow, LibraryRow
from service.subscribers.profiles import load_interest_names, load_profiles
from service.subscribers.tables import SubscriberRow
from tests.digest_world import add_papers
from tests.subscriber_desk import Desk, some_preferences

BIBTEX = """
@article{a, title={Paper 1 of the shelf}, eprint={2602.13001}, archiveprefix={arXiv}, year=2026}
@article{b, title={Unknown to us}, eprint={1901.00001}, archiveprefix={arXiv}, year=2025,
  abstract={Corvids cache acorns and recall each cache for months.}}
@article{c, title={Without an id}, year=2024, abstract={Spoken larks.}}
"""


def keep(desk: Desk, person: SubscriberRow, name: str = "Mine", text: str = BIBTEX) -> int:
    with desk.database.transaction() as session:
        return keeping.keep(session, person.id, name, read_library(text.encode()), desk.clock())


def count(desk: Desk, table: type) -> int:
    with desk.database.reading() as session:
        return session.scalar(select(func.count()).select_from(table)) or 0


def test_a_library_is_one_more_interest(desk: Desk) -> None:
    person = desk.subscribe()
    add_papers(desk.database, desk.clock() - timedelta(hours=9), 3, prefix="2602.13")
    keep(desk, person)

    with desk.database.reading() as session:
        profile = load_profiles(session, [person.id])[person.id]
        names = load_interest_names(session, [person.id])
        items = keeping.load_items(session, [id_ for id_ in profile.interests[-1].examples if ":" in id_])
        listed = keeping.list_libraries(session, person.id)

    interest = profile.interests[-1]
    assert (interest.name, interest.library, interest.weight) == ("Mine", True, 1.0)
    assert names[person.id] == ("mamba", "Mine")
    assert interest.examples[0] == "2602.13001"  # known here: by its paper
    assert [items[id_].title for id_ in interest.examples[1:]] == ["Unknown to us", "Without an id"]
    assert profile.seen == {"2602.13001"}  # nothing new to its owner
    assert [(one.item_count, one.known_count) for one in listed] == [(3, 1)]


def test_what_is_like_an_item_is_chosen_and_what_stands_in_it_is_not(quick_desk: Desk) -> None:
    desk = quick_desk
    person = desk.subscribe(preferences=some_preferences(words="", papers=3, explore="no"))
    other = desk.subscribe("ben@example.org", some_preferences(words=""))
    keep(desk, person)
    seen_at = desk.clock() - timedelta(hours=9)
    add_papers(desk.database, seen_at, 3, prefix="2602.13")
    add_papers(desk.database, seen_at, 20, prefix="2602.14", title="Robots walk", abstract="Legs and motors.")
    add_papers(
        desk.database,
        seen_at,
        1,
        prefix="2602.15",
        title="Memory of corvids",
        abstract="Corvids recall where each acorn cache lies, for months.",
        upvotes=0,
    )

    def draft(one: SubscriberRow) -> list[tuple[str, tuple[str, ...]]]:
        with desk.database.reading() as session:
            profile = load_full_profiles(session, [one.id], desk.clock(), days=14)[one.id]
            drafted = draft_now(session, one, profile, Shelves(desk.clock(), patience=timedelta(days=9)))
        assert drafted
        assert drafted.selection
        return [(paper.id, paper.reasons) for _, papers in drafted.selection.lists for paper in papers]

    mine = dict(draft(person))
    assert "2602.15000" in mine
    assert any("similar to Unknown to us" in reason for reason in mine["2602.15000"])
    assert "2602.13001" not in mine
    assert not any(id_.startswith("library:") for id_ in mine)
    assert "Unknown to us" not in json.dumps(draft(other))


def test_the_same_name_replaces_and_keeps_the_weight(desk: Desk) -> None:
    person = desk.subscribe()
    first = keep(desk, person)
    with desk.database.transaction() as session:
        assert keeping.weigh(session, person.id, first, 2.0)

    keep(desk, person, "MINE", "@article{x, title={Only one}}")

    with desk.database.reading() as session:
        listed = keeping.list_libraries(session, person.id)
    assert [(one.name, one.item_count, one.weight) for one in listed] == [("MINE", 1, 2.0)]
    assert count(desk, LibraryItemRow) == 1


def test_nobody_touches_the_library_of_another(desk: Desk) -> None:
    person, other = desk.subscribe(), desk.subscribe("ben@example.org")
    library = keep(desk, person)

    with desk.database.transaction() as session:
        assert keeping.remove(session, other.id, library) is None
        assert not keeping.weigh(session, other.id, library, 0)
        assert keeping.list_libraries(session, other.id) == []
    with desk.database.transaction() as session:
        assert keeping.remove(session, person.id, library) == "Mine"
    assert (count(desk, LibraryRow), count(desk, LibraryItemRow)) == (0, 0)


def test_there_is_a_most(quick_desk: Desk) -> None:
    person = quick_desk.subscribe()
    for number in range(keeping.MOST_LIBRARIES):
        keep(quick_desk, person, f"Library {number}")

    with pytest.raises(keeping.TooManyLibraries, match="delete one"):
        keep(quick_desk, person, "One more")
    keep(quick_desk, person, "Library 3")  # in place of itself


def test_the_latest_items_count(quick_desk: Desk) -> None:
    person = quick_desk.subscribe()
    text = "\n".join(f"@a{{k{n}, title={{Number {n}}}, year={1900 + n}}}" for n in range(180))
    keep(quick_desk, person, text=text.replace("@a{", "@article{"))

    with quick_desk.database.reading() as session:
        examples = load_profiles(session, [person.id])[person.id].interests[-1].examples
        titles = [item.title for item in keeping.load_items(session, examples).values()]
    assert len(examples) == keeping.EXAMPLES
    assert "Number 179" in titles
    assert "Number 0" not in titles


def test_a_library_is_handed_out_and_erased_with_the_rest(desk: Desk) -> None:
    person = desk.subscribe()
    keep(desk, person)

    with desk.database.reading() as session:
        document = personal_data.export(session, person.id)
    assert document["libraries"][0]["name"] == "Mine"
    assert [item["title"] for item in document["libraries"][0]["items"]] == [
        "Paper 1 of the shelf",
        "Unknown to us",
        "Without an id",
    ]

    with desk.database.transaction() as session:
        personal_data.erase(session, desk.keyring, person.id, desk.clock())
    assert (count(desk, LibraryRow), count(desk, LibraryItemRow)) == (0, 0)
