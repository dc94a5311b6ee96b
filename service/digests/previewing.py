"""Shows the digest somebody would get at an instant. Reads only: nothing is planned, sent or remembered."""

from datetime import datetime, timedelta

from sqlalchemy import select
from sqlalchemy.orm import Session

from service.digests.choosing import Draft, choose, load_full_profiles
from service.digests.composing import CardShelf, compose_letter, read_selection
from service.digests.due import Due
from service.digests.freezing import freeze_selection
from service.digests.schedule import local_date, open_zone
from service.digests.window import LONGEST_DAYS, Shelves, window_days
from service.mail.letters import DigestLetter
from service.papers.embedding.phrases import PhraseVectors
from service.ranking.values import Profile
from service.subscribers.links import Links
from service.subscribers.tables import SubscriberRow

STRANGER_ADDRESS = "reader@example.org"


def preview_subscriber(
    session: Session,
    address: str,
    now: datetime,
    *,
    links: Links,
    patience: timedelta,
    phrases: PhraseVectors | None = None,
) -> DigestLetter | None:
    """Return the digest the subscriber with this normalised address would get; None if it would be empty.

    Raises:
        LookupError: nobody has this address.
    """
    person = session.scalars(select(SubscriberRow).where(SubscriberRow.address == address)).first()
    if person is None:
        raise LookupError("nobody has subscribed with this address")
    profile = load_full_profiles(session, [person.id], now, days=LONGEST_DAYS)[person.id]
    return _preview(session, person, profile, Shelves(now, patience=patience, phrases=phrases), links)


def preview_profile(
    session: Session,
    profile: Profile,
    now: datetime,
    *,
    count: int,
    links: Links,
    patience: timedelta,
    phrases: PhraseVectors | None = None,
) -> DigestLetter | None:
    """Return the digest of ``count`` papers that a stranger with this profile would get, in UTC."""
    stranger = SubscriberRow(
        id=0, public_id=0, address=STRANGER_ADDRESS, timezone="UTC", paper_count=count, token_version=0
    )
    return _preview(session, stranger, profile, Shelves(now, patience=patience, phrases=phrases), links)


def _preview(
    session: Session,
    person: SubscriberRow,
    profile: Profile,
    shelves: Shelves,
    links: Links,
) -> DigestLetter | None:
    draft = draft_now(session, person, profile, shelves)
    return _letter(session, person, profile, draft, links) if draft else None


def draft_now(session: Session, person: SubscriberRow, profile: Profile, shelves: Shelves) -> Draft | None:
    """Draft the digest a person would get at the instant of ``shelves``; None if it would be empty."""
    now = shelves.now
    due = Due(
        subscriber_id=person.id,
        public_id=person.public_id,
        issue_date=local_date(open_zone(person.timezone), now),
        due_at=now,
        cutoff_at=now,
        paper_count=person.paper_count,
        last_digest_at=person.last_digest_at,
        is_first=True,  # an empty one is to be nothing, not a record
    )
    had_one = person.last_digest_at is not None
    days = window_days(now, person.last_digest_at) if had_one else shelves.days_for(session, due)
    drafts = choose(session, shelves, days, [due], {person.id: profile})
    return drafts[0] if drafts else None


def _letter(
    session: Session, person: SubscriberRow, profile: Profile, draft: Draft, links: Links
) -> DigestLetter:
    items = read_selection(freeze_selection(draft))
    return compose_letter(
        person,
        draft.due.issue_date,
        items,
        cards=CardShelf().load(session, items),
        interests=[interest.name for interest in profile.interests],
        is_first=False,
        notice=draft.notice,
        links=links,
    )
