"""The libraries people uploaded: kept, listed, replaced, deleted; their interests and examples for ranking.

What a library holds is personal: it is compared with, and never shown to or chosen for anybody else.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, delete, func, insert, select, update
from sqlalchemy.orm import Session

from service.bulk import among
from service.papers.tables import PaperRow
from service.ranking.values import Candidate, Interest
from service.subscribers.libraries.values import Item, Library
from service.subscribers.library_tables import LibraryItemRow, LibraryRow

MOST_LIBRARIES = 5  # of one person
EXAMPLES = 50  # the latest items of a library count: interests move on, and each costs a comparison
PREFIX = "library:"
IDS_AT_ONCE = 5_000


class TooManyLibraries(ValueError):
    """A person has as many libraries as one may have; the message says so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A library as its owner sees it listed."""

    id: int
    name: str
    format: str
    item_count: int
    known_count: int  # items whose paper is known here
    weight: float
    uploaded_at: datetime


@dataclass(frozen=True, slots=True)
class Read:
    """What ranking is given of one person's libraries."""

    interests: tuple[Interest, ...] = ()
    owned: frozenset[str] = frozenset()  # known papers in a library: not new to its owner


def keep(
    session: Session,
    subscriber_id: int,
    name: str,
    library: Library,
    now: datetime,
    *,
    weight: float = 1.0,
    format_: str | None = None,
) -> int:
    """Keep a library under a name; one of the same name is replaced, but for its weight. Returns its id.

    ``format_`` is what it was read as at first, where that is no longer told by ``library``.

    Raises:
        TooManyLibraries: the person has :data:`MOST_LIBRARIES` others.
    """
    present = select(LibraryRow.id, LibraryRow.name, LibraryRow.weight).where(
        LibraryRow.subscriber_id == subscriber_id
    )
    rows = session.execute(present).all()
    same = [row for row in rows if row.name.casefold() == name.casefold()]
    if len(rows) - len(same) >= MOST_LIBRARIES:
        raise TooManyLibraries(f"You have {MOST_LIBRARIES} libraries already; please delete one first.")
    for row in same:
        remove(session, subscriber_id, row.id)
        weight = row.weight
    library_id = session.scalars(
        insert(LibraryRow).returning(LibraryRow.id),
        [
            {
                "subscriber_id": subscriber_id,
                "name": name,
                "format": format_ or library.format,
                "item_count": len(library.items),
                "weight": weight,
                "uploaded_at": now,
            }
        ],
    ).one()
    session.execute(
        insert(LibraryItemRow),
        [
            {"library_id": library_id, "position": position, **_columns(item)}
            for position, item in enumerate(library.items)
        ],
    )
    return library_id


def remove(session: Session, subscriber_id: int, library_id: int) -> str | None:
    """Delete one of a person's libraries with all it holds; return its name, None if there is no such one."""
    name = session.scalar(select(LibraryRow.name).where(*_mine(subscriber_id, library_id)))
    if name is not None:
        session.execute(delete(LibraryItemRow).where(LibraryItemRow.library_id == library_id))
        session.execute(delete(LibraryRow).where(LibraryRow.id == library_id))
    return name


def weigh(session: Session, subscriber_id: int, library_id: int, weight: float) -> bool:
    """Set how much a library counts; False if there is no such one."""
    mine = select(LibraryRow.id).where(*_mine(subscriber_id, library_id))
    found = session.scalar(mine) is not None
    if found:
        session.execute(update(LibraryRow).where(LibraryRow.id == library_id).values(weight=weight))
    return found


def list_libraries(session: Session, subscriber_id: int) -> list[Kept]:
    """Return a person's libraries, the oldest first."""
    known = (
        select(func.count())
        .select_from(LibraryItemRow)
        .join(PaperRow, PaperRow.id == LibraryItemRow.paper_id)
        .where(LibraryItemRow.library_id == LibraryRow.id)
        .scalar_subquery()
    )
    rows = session.execute(
        select(LibraryRow, known).where(LibraryRow.subscriber_id == subscriber_id).order_by(LibraryRow.id)
    )
    return [
        Kept(
            id=row.id,
            name=row.name,
            format=row.format,
            item_count=row.item_count,
            known_count=count,
            weight=row.weight,
            uploaded_at=row.uploaded_at,
        )
        for row, count in rows
    ]


def export_libraries(session: Session, subscriber_id: int) -> list[dict[str, Any]]:
    """Return all that is kept of a person's libraries, as JSON values."""
    libraries = []
    for kept in list_libraries(session, subscriber_id):
        rows = session.scalars(
            select(LibraryItemRow)
            .where(LibraryItemRow.library_id == kept.id)
            .order_by(LibraryItemRow.position)
        )
        libraries.append(
            {
                "name": kept.name,
                "format": kept.format,
                "weight": kept.weight,
                "uploaded_at": kept.uploaded_at.isoformat(),
                "items": [
                    {"title": row.title, "abstract": row.abstract, "paper_id": row.paper_id} for row in rows
                ],
            }
        )
    return libraries


def count_known(session: Session, items: Iterable[Item]) -> int:
    """Count the items whose paper is known here."""
    ids = sorted({item.paper_id for item in items if item.paper_id})
    return sum(
        session.scalar(
            select(func.count())
            .select_from(PaperRow)
            .where(PaperRow.id.in_(ids[start : start + IDS_AT_ONCE]))
        )
        or 0
        for start in range(0, len(ids), IDS_AT_ONCE)
    )


def load_names(session: Session, subscriber_ids: Sequence[int]) -> dict[int, list[str]]:
    """Return the names of each person's libraries in use."""
    names: dict[int, list[str]] = defaultdict(list)
    rows = session.execute(
        select(LibraryRow.subscriber_id, LibraryRow.name)
        .where(among(session, LibraryRow.subscriber_id, subscriber_ids), LibraryRow.weight > 0)
        .order_by(LibraryRow.id)
    )
    for subscriber_id, name in rows:
        names[subscriber_id].append(name)
    return names


def load_for_ranking(session: Session, subscriber_ids: Sequence[int]) -> Mapping[int, Read]:
    """Return what ranking needs of the libraries of each person who has any."""
    libraries = session.execute(
        select(LibraryRow.id, LibraryRow.subscriber_id, LibraryRow.name, LibraryRow.weight)
        .where(among(session, LibraryRow.subscriber_id, subscriber_ids))
        .order_by(LibraryRow.id)
    ).all()
    if not libraries:
        return {}
    ids = [row.id for row in libraries]
    examples, owned = _examples(session, ids), _owned(session, ids)
    found: dict[int, Read] = {}
    for row in libraries:
        before = found.get(row.subscriber_id, Read())
        interest = Interest(name=row.name, examples=tuple(examples[row.id]), weight=row.weight, library=True)
        found[row.subscriber_id] = Read((*before.interests, interest), before.owned.union(owned[row.id]))
    return found


def load_items(session: Session, ids: Iterable[str]) -> dict[str, Candidate]:
    """Return the items that examples such as "library:7" name, as papers to compare with."""
    numbers = sorted(int(id_.removeprefix(PREFIX)) for id_ in ids)
    found = {}
    for start in range(0, len(numbers), IDS_AT_ONCE):
        rows = session.execute(
            select(LibraryItemRow.id, LibraryItemRow.title, LibraryItemRow.abstract).where(
                LibraryItemRow.id.in_(numbers[start : start + IDS_AT_ONCE])
            )
        )
        for id_, title, abstract in rows:
            found[f"{PREFIX}{id_}"] = Candidate(id=f"{PREFIX}{id_}", title=title, abstract=abstract)
    return found


def _examples(session: Session, library_ids: Sequence[int]) -> dict[int, list[str]]:
    """Give the latest items of each library: by their paper where it is known here, else by themselves."""
    rows = session.execute(
        select(LibraryItemRow.library_id, LibraryItemRow.id, LibraryItemRow.title, PaperRow.id)
        .outerjoin(PaperRow, PaperRow.id == LibraryItemRow.paper_id)
        .where(among(session, LibraryItemRow.library_id, library_ids), LibraryItemRow.position < EXAMPLES)
        .order_by(LibraryItemRow.library_id, LibraryItemRow.position)
    )
    examples: dict[int, list[str]] = defaultdict(list)
    for library_id, item_id, title, known in rows:
        # An item that is an id and nothing else says nothing until its paper is known.
        if known is not None or not title.startswith("arXiv:"):
            examples[library_id].append(known or f"{PREFIX}{item_id}")
    return examples


def _owned(session: Session, library_ids: Sequence[int]) -> dict[int, set[str]]:
    owned: dict[int, set[str]] = defaultdict(set)
    rows = session.execute(
        select(LibraryItemRow.library_id, PaperRow.id)
        .join(PaperRow, PaperRow.id == LibraryItemRow.paper_id)
        .where(among(session, LibraryItemRow.library_id, library_ids))
    )
    for library_id, paper_id in rows:
        owned[library_id].add(paper_id)
    return owned


def _mine(subscriber_id: int, library_id: int) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return LibraryRow.id == library_id, LibraryRow.subscriber_id == subscriber_id


def _columns(item: Item) -> dict[str, Any]:
    return {"title": item.title, "abstract": item.abstract, "paper_id": item.paper_id}
