"""What a digest says, looked up when it is about to go: frozen papers, and consent as it stands now.

Asked inside the claim's transaction. Whoever left, paused or is suppressed since planning gets nothing; a
word muted since then takes its papers out.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from service.digests.tables import DigestRow
from service.mail.composing import Claimed, Refusal
from service.mail.letters import Card, DigestLetter, Letter
from service.mail.suppression import suppressed
from service.papers import shelf
from service.papers.tables import PaperRow
from service.ranking.corpus import Corpus
from service.ranking.muting import muted
from service.ranking.values import Profile
from service.subscribers.links import Links
from service.subscribers.profiles import load_profiles
from service.subscribers.status import Status
from service.subscribers.tables import SubscriberRow

KINDS = ("digest",)
AUTHORS_SHOWN = 3
ARXIV_PAGE = "https://arxiv.org/abs/{}"


@dataclass(frozen=True, slots=True)
class DigestComposer:
    """Composer for the kinds of :data:`KINDS`."""

    links: Links

    def compose(
        self, session: Session, deliveries: Sequence[Claimed], now: datetime
    ) -> Mapping[int, Letter | Refusal]:
        """Return a letter or a refusal for the id of every delivery given."""
        ids = [delivery.subscriber_id for delivery in deliveries if delivery.subscriber_id is not None]
        people = _by_id(session.scalars(select(SubscriberRow).where(SubscriberRow.id.in_(ids))))
        digest_ids = [delivery.digest_id for delivery in deliveries]
        digests = _by_id(session.scalars(select(DigestRow).where(DigestRow.id.in_(digest_ids))))
        chosen = {item["paper"] for digest in digests.values() for item in digest.selection}
        desk = _Desk(
            papers=shelf.papers_by_id(session, sorted(chosen)),
            profiles=load_profiles(session, list(people)),
            suppressed=self._suppressed(session, people),
            links=self.links,
            now=now,
        )
        return {
            delivery.id: desk.letter(
                people.get(delivery.subscriber_id or 0), digests.get(delivery.digest_id or 0), delivery
            )
            for delivery in deliveries
        }

    def _suppressed(self, session: Session, people: Mapping[int, SubscriberRow]) -> set[int]:
        keyring = self.links.keyring
        keys = {key: person.id for person in people.values() for key in keyring.address_keys(person.address)}
        return {keys[key] for key in suppressed(session, keys)}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Desk:
    """What a chunk of letters is written with."""

    papers: Mapping[str, PaperRow]
    profiles: Mapping[int, Profile]
    suppressed: set[int]
    links: Links
    now: datetime

    def letter(
        self, person: SubscriberRow | None, digest: DigestRow | None, delivery: Claimed
    ) -> Letter | Refusal:
        if person is None or digest is None:
            return Refusal("erased")
        if person.status != Status.ACTIVE:
            return Refusal(person.status)
        if person.id in self.suppressed:
            return Refusal("suppressed")
        if person.paused_until is not None and person.paused_until > self.now:
            return Refusal("paused")
        items = self._still_wanted(person, digest)
        if not items:
            return Refusal("muted")
        return compose_letter(
            person,
            digest,
            items,
            papers=self.papers,
            interests=[interest.name for interest in self.profiles[person.id].interests],
            notice=delivery.parameters.get("notice"),
            links=self.links,
        )

    def _still_wanted(self, person: SubscriberRow, digest: DigestRow) -> list[dict[str, Any]]:
        """Leave out papers withdrawn since planning, and those a mute added since then speaks of."""
        items = [item for item in digest.selection if self._is_here(item["paper"])]
        profile = self.profiles[person.id]
        if person.updated_at <= digest.planned_at or not has_mutes(profile):
            return items
        wanted = unmuted(profile, [self.papers[item["paper"]] for item in items])
        return [item for item in items if item["paper"] in wanted]

    def _is_here(self, paper_id: str) -> bool:
        return paper_id in self.papers and self.papers[paper_id].withdrawn_at is None


def compose_letter(
    person: SubscriberRow,
    digest: DigestRow,
    items: Sequence[Mapping[str, Any]],
    *,
    papers: Mapping[str, PaperRow],
    interests: Sequence[str],
    notice: str | None,
    links: Links,
) -> DigestLetter:
    """Write the letter of a digest with the frozen ``items`` of its selection."""

    def cards(list_name: str) -> tuple[Card, ...]:
        return tuple(_card(papers[item["paper"]], item) for item in items if item["list"] == list_name)

    return DigestLetter(
        recipient=person.address,
        issue_date=digest.issue_date,
        trending=cards("trending"),
        for_you=cards("for_you"),
        interests=tuple(interests),
        is_first=digest.is_first,
        notice=notice,
        list_url=links.reading_list(person),
        preferences_url=links.preferences(person),
        unsubscribe_url=links.unsubscribe(person),
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


def _card(row: PaperRow, item: Mapping[str, Any]) -> Card:
    return Card(
        paper_id=row.id,
        title=row.title,
        url=ARXIV_PAGE.format(row.id),
        authors=tuple(row.authors[:AUTHORS_SHOWN]),
        author_count=max(row.author_count, len(row.authors)),
        abstract=row.abstract,
        summary=row.summary,
        listed_on=row.listed_on,
        upvotes=item["upvotes"],
        comments=item["comments"],
        stars=item["stars"],
        repository_url=row.repository_url,
        reasons=tuple(item["reasons"]),
    )


def _by_id(rows: Any) -> dict[int, Any]:
    return {row.id: row for row in rows}
