"""What a digest says, looked up when it is about to go: frozen papers, and consent as it stands now.

Asked inside the claim's transaction. Whoever left, paused or is suppressed since planning gets nothing; a
word muted since then takes its papers out.
"""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import lru_cache
from typing import Any, NamedTuple, Protocol

from sqlalchemy import Row, Select, Text, cast, select
from sqlalchemy.orm import Session

from service.bulk import among
from service.digests.tables import DigestRow
from service.mail.composing import Claimed, Refusal
from service.mail.letters import Card, DigestLetter, Letter
from service.mail.suppression import suppressed
from service.papers import shelf
from service.papers.tables import PaperRow
from service.ranking.corpus import Corpus
from service.ranking.muting import muted
from service.ranking.values import Profile
from service.selections import part_lines, read_line
from service.subscribers.links import Holder, Links
from service.subscribers.profiles import load_interest_names, load_profiles
from service.subscribers.status import Status
from service.subscribers.tables import SubscriberRow

KINDS = ("digest",)
AUTHORS_SHOWN = 3
ARXIV_PAGE = "https://arxiv.org/abs/{}"
Columns = Row[*tuple[Any, ...]]
LINES = 16_384  # lines of selections kept, read: a quarter of a kilobyte each
CARDS = 8_192

_DIGEST, _PERSON = DigestRow.__table__.c, SubscriberRow.__table__.c
# What a card shows of a paper as it stands now.
_PAPER = (
    PaperRow.id,
    PaperRow.title,
    cast(PaperRow.authors, Text).label("authors"),  # read only where a card is made anew
    PaperRow.author_count,
    PaperRow.abstract,
    PaperRow.summary,
    PaperRow.listed_on,
    PaperRow.repository_url,
)


class Person(Holder, Protocol):
    """What a letter needs of its reader: a row, or what was found of it."""

    @property
    def address(self) -> str: ...


class Found(NamedTuple):
    """A digest and whom it is for. Not the database's own row: a name costs that twenty times as much."""

    id: int
    subscriber_id: int
    issue_date: date
    is_first: bool
    selection: str
    public_id: int
    address: str
    status: str
    token_version: int
    is_paused: bool | None
    is_changed: bool


@dataclass(frozen=True, slots=True, eq=False)
class Item:
    """One paper of a frozen selection. The same line of selections is the same object, and known by that."""

    paper: str
    is_trending: bool
    upvotes: int | None
    comments: int | None
    stars: int | None
    reasons: tuple[str, ...]


@dataclass(slots=True)
class CardShelf:
    """Cards as they were made last: one object as long as paper and item say the same.

    Whoever keeps something by the card then finds it again.
    """

    limit: int = CARDS
    _rows: dict[str, Columns] = field(default_factory=dict)
    _cards: dict[Item, Card] = field(default_factory=dict)

    def load(self, session: Session, items: Iterable[Item]) -> dict[Item, Card]:
        """Return the cards of those items whose papers are there and not withdrawn."""
        wanted = set(items)
        query = select(*_PAPER).where(
            among(session, PaperRow.id, {item.paper for item in wanted}), PaperRow.withdrawn_at.is_(None)
        )
        rows = {row[0]: row for row in session.connection().execute(query)}
        changed = {id_ for id_, row in rows.items() if self._rows.get(id_) != row}
        if changed or len(self._cards) > self.limit:
            is_full = len(self._cards) > self.limit
            self._rows = rows if is_full else self._rows | rows
            kept = () if is_full else self._cards.items()
            self._cards = {item: card for item, card in kept if item.paper not in changed}
        found: dict[Item, Card] = {}
        for item in wanted:
            if row := rows.get(item.paper):
                found[item] = self._cards.get(item) or self._cards.setdefault(item, _card(row, item))
        return found


@dataclass(frozen=True, slots=True)
class DigestComposer:
    """Composer for the kinds of :data:`KINDS`."""

    links: Links
    shelf: CardShelf = field(default_factory=CardShelf, compare=False)

    def compose(
        self, session: Session, deliveries: Sequence[Claimed], now: datetime
    ) -> Mapping[int, Letter | Refusal]:
        """Return a letter or a refusal for the id of every delivery given."""
        ids = [delivery.digest_id for delivery in deliveries if delivery.digest_id is not None]
        found = [Found._make(row) for row in session.connection().execute(_wanted(session, ids, now))]
        items = {row.id: read_selection(row.selection) for row in found}
        people = {row.subscriber_id: row.address for row in found}
        changed = {row.subscriber_id for row in found if row.is_changed}
        desk = _Desk(
            items=items,
            cards=self.shelf.load(session, {item for each in items.values() for item in each}),
            interests=load_interest_names(session, list(people)),
            changed=_load_changes(session, changed, (item for each in items.values() for item in each)),
            suppressed=self._suppressed(session, people),
            links=self.links,
        )
        rows = {row.id: row for row in found}
        return {
            delivery.id: desk.letter(rows.get(delivery.digest_id or 0), delivery) for delivery in deliveries
        }

    def _suppressed(self, session: Session, people: Mapping[int, str]) -> set[int]:
        keys_of = self.links.keyring.address_keys
        keys = {key: id_ for id_, address in people.items() for key in keys_of(address)}
        return {keys[key] for key in suppressed(session, keys)}


def _wanted(session: Session, digest_ids: Sequence[int], now: datetime) -> Select[*tuple[Any, ...]]:
    """Ask for what :class:`Found` says of digests whose reader is there, as consent stands at this moment."""
    return (
        select(
            _DIGEST.id,
            _DIGEST.subscriber_id,
            _DIGEST.issue_date,
            _DIGEST.is_first,
            cast(_DIGEST.selection, Text).label("selection"),
            _PERSON.public_id,
            _PERSON.address,
            _PERSON.status,
            _PERSON.token_version,
            (_PERSON.paused_until > now).label("is_paused"),
            (_PERSON.updated_at > _DIGEST.planned_at).label("is_changed"),
        )
        .join_from(DigestRow.__table__, SubscriberRow.__table__)
        .where(among(session, DigestRow.id, digest_ids))
    )


def read_selection(text: str) -> list[Item]:
    """Read a frozen selection, line by line where it has lines."""
    lines = part_lines(text)
    return [*map(_read_line, lines)] if lines is not None else [*map(_read_item, json.loads(text))]


@lru_cache(LINES)
def _read_line(line: str) -> Item:
    return _read_item(read_line(line))


def _read_item(item: Mapping[str, Any]) -> Item:
    return Item(
        paper=item["paper"],
        is_trending=item["list"] == "trending",
        upvotes=item["upvotes"],
        comments=item["comments"],
        stars=item["stars"],
        reasons=tuple(item["reasons"]),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Desk:
    """What a chunk of letters is written with."""

    items: Mapping[int, Sequence[Item]]  # by digest
    cards: Mapping[Item, Card]  # of the papers that are there
    interests: Mapping[int, tuple[str, ...]]  # their names by person
    changed: Mapping[int, "_Change"]  # who has mutes and changed something since it was planned
    suppressed: Collection[int]
    links: Links

    def letter(self, row: Found | None, delivery: Claimed) -> Letter | Refusal:
        if row is None or row.subscriber_id != delivery.subscriber_id:
            return Refusal("erased")
        if row.status != Status.ACTIVE:
            return Refusal(row.status)
        if row.subscriber_id in self.suppressed:
            return Refusal("suppressed")
        if row.is_paused:
            return Refusal("paused")
        items = [item for item in self.items[row.id] if item in self.cards]
        if change := self.changed.get(row.subscriber_id):
            items = _without_muted(items, change)
        if not items:
            return Refusal("muted")
        return compose_letter(
            row,
            row.issue_date,
            items,
            cards=self.cards,
            interests=self.interests.get(row.subscriber_id, ()),
            is_first=row.is_first,
            notice=delivery.parameters.get("notice"),
            links=self.links,
        )


@dataclass(frozen=True, slots=True)
class _Change:
    profile: Profile
    papers: Mapping[str, PaperRow]


def _without_muted(items: Sequence[Item], change: _Change) -> list[Item]:
    """Leave out papers that a mute added since planning speaks of."""
    wanted = unmuted(change.profile, [change.papers[item.paper] for item in items])
    return [item for item in items if item.paper in wanted]


def _load_changes(session: Session, people: Iterable[int], items: Iterable[Item]) -> dict[int, _Change]:
    """Load what is needed to judge again by mutes that may be new; for most chunks of letters nothing."""
    ids = list(people)
    if not ids:
        return {}
    profiles = {id_: one for id_, one in load_profiles(session, ids).items() if has_mutes(one)}
    papers = shelf.papers_by_id(session, sorted({item.paper for item in items})) if profiles else {}
    return {id_: _Change(profile, papers) for id_, profile in profiles.items()}


def compose_letter(
    person: Person,
    issue_date: date,
    items: Sequence[Item],
    *,
    cards: Mapping[Item, Card],
    interests: Sequence[str],
    is_first: bool,
    notice: str | None,
    links: Links,
) -> DigestLetter:
    """Write the letter of a digest with the frozen ``items`` of its selection."""
    return DigestLetter(
        recipient=person.address,
        issue_date=issue_date,
        trending=tuple([cards[item] for item in items if item.is_trending]),
        for_you=tuple([cards[item] for item in items if not item.is_trending]),
        interests=tuple(interests),
        is_first=is_first,
        notice=notice,
        list_url=links.reading_list(person),
        preferences_url=links.preferences(person),
        unsubscribe_url=links.unsubscribe(person),
        unsubscribe_address=links.unsubscribe_address(person),
    )


def has_mutes(profile: Profile) -> bool:
    """Say whether a profile mutes anything."""
    return bool(profile.mutes) or any(interest.mutes for interest in profile.interests)


def unmuted(profile: Profile, rows: Sequence[PaperRow]) -> set[str]:
    """Return the ids of the papers that no mute of ``profile`` speaks of, as ranking judges it."""
    corpus = Corpus.build([shelf.as_candidate(row) for row in rows])
    mutes = {*profile.mutes, *(mute for interest in profile.interests for mute in interest.mutes)}
    hidden = muted(corpus, mutes)
    return {paper.id for paper, is_hidden in zip(corpus.candidates, hidden, strict=True) if not is_hidden}


def _card(row: Columns, item: Item) -> Card:
    authors = json.loads(row.authors)
    return Card(
        paper_id=row.id,
        title=row.title,
        url=ARXIV_PAGE.format(row.id),
        authors=tuple(authors[:AUTHORS_SHOWN]),
        author_count=max(row.author_count, len(authors)),
        abstract=row.abstract,
        summary=row.summary,
        listed_on=row.listed_on,
        upvotes=item.upvotes,
        comments=item.comments,
        stars=item.stars,
        repository_url=row.repository_url,
        reasons=item.reasons,
    )
