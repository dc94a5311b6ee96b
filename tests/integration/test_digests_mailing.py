"""From planned to mailed: consent asked once more, frozen papers, books that add up."""

from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy

import pytest
from sqlalchemy import delete, update

from service.database import Database
from service.digests import accounting, running
from service.digests.accounting import BooksOff, account
from service.digests.composing import DigestComposer
from service.digests.planning import plan_due
from service.digests.previewing import preview_profile, preview_subscriber
from service.digests.tables import DigestRow
from service.keys import Keyring
from service.mail.courier import MemoryRelay, open_courier
from service.mail.delivery import Outcome, Stage, Verdict
from service.mail.message import Parcel
from service.mail.suppression import suppress
from service.mail.tables import DeliveryRow
from service.papers.tables import PaperRow
from service.ranking.values import Interest, Profile
from service.sentences import as_sentence
from service.subscribers.links import Links
from service.subscribers.tables import SubscriberRow
from tests import digest_world as world

FRIDAY = datetime(2026, 2, 13, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
EIGHT = FRIDAY + 8 * HOUR


@pytest.fixture
def stocked(database: Database) -> Database:
    world.add_papers(database, FRIDAY + 6 * HOUR, 24)
    world.note_run(database, FRIDAY + 7 * HOUR)
    world.note_tick(database, FRIDAY)
    return database


@pytest.fixture
def links(keyring: Keyring) -> Links:
    return Links("https://lark.example", keyring)


@pytest.fixture
def relay() -> MemoryRelay:
    return MemoryRelay()


@pytest.fixture
def tick(stocked, settings, keyring, links, relay):
    def run(now: datetime) -> running.RunReport:
        return running.run_due(
            stocked,
            now,
            settings=settings,
            keyring=keyring,
            composers={"digest": DigestComposer(links)},
            courier=open_courier(settings, keyring, relay=relay),
        )

    return run


def body_of(parcel: Parcel) -> str:
    message = message_from_bytes(parcel.data, policy=policy.default)
    return message.get_body(("plain",)).get_content()


def test_the_mail_says_what_was_frozen(stocked, keyring, relay, tick, links) -> None:
    world.add_people(stocked, [world.a_person(1, keyring)])
    report = tick(EIGHT)

    (parcel,), (digest,) = relay.parcels, world.digests(stocked)
    body = body_of(parcel)
    flowed = " ".join(body.split())
    with stocked.reading() as session:
        own = links.reading_list(session.get(SubscriberRow, 1))
    for item in digest.selection:
        assert f"https://arxiv.org/abs/{item['paper']}" in body
        for door in ("papers", "more", "less"):
            assert f"{own}/{door}/{item['paper']}" in body
        assert f"{item['upvotes']} vote" in flowed
        assert as_sentence(item["reasons"][0]).split(":")[0] in flowed
    assert parcel.recipient == "reader1@example.org"
    assert report.accounting[FRIDAY.date()].as_dict() == {
        "due": 1, "sent": 1, "deferred": 0, "failed": 0, "unknown": 0, "queued": 0, "cancelled": 0,
        "skipped": {},
    }  # fmt: skip


@pytest.mark.trust(114)
def test_a_retry_says_the_same_although_the_votes_went_on(stocked, keyring, relay, tick) -> None:
    world.add_people(stocked, [world.a_person(1, keyring)])
    bodies: list[str] = []

    def answer(parcel: Parcel) -> Outcome:
        bodies.append(body_of(parcel))
        verdict = Verdict.DEFERRED if len(bodies) == 1 else Verdict.SENT
        return Outcome(verdict=verdict, stage=Stage.RCPT, code=450)

    relay.answer = answer
    assert tick(EIGHT).accounting[FRIDAY.date()].deferred == 1
    with stocked.transaction() as session:
        session.execute(update(PaperRow).values(upvotes=9_999))
    assert tick(EIGHT + HOUR).accounting[FRIDAY.date()].sent == 1

    assert bodies[0] == bodies[1]
    assert "9999" not in bodies[1]
    assert "9,999" not in bodies[1]


@pytest.mark.trust(24, 66)
@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"status": "unsubscribed"}, "unsubscribed"),
        ({"status": "complained"}, "complained"),
        ({"status": "bounced"}, "bounced"),
        ({"paused_until": EIGHT + DAY}, "paused"),
    ],
)
def test_consent_is_asked_once_more_before_sending(
    stocked, settings, keyring, relay, tick, values, reason
) -> None:
    world.add_people(stocked, [world.a_person(1, keyring), world.a_person(2, keyring)])
    plan_due(stocked, EIGHT, settings=settings)
    with stocked.transaction() as session:
        session.execute(update(SubscriberRow).where(SubscriberRow.id == 1).values(**values))

    books = tick(EIGHT).accounting[FRIDAY.date()]

    assert (books.due, books.sent, books.cancelled) == (2, 1, 1)
    assert [parcel.recipient for parcel in relay.parcels] == ["reader2@example.org"]
    assert [one.reason for one in world.deliveries(stocked) if one.subscriber_id == 1] == [reason]
    assert {subscriber_id for subscriber_id, _ in world.seen(stocked)} == {2}  # its papers are free again


@pytest.mark.trust(66)
def test_suppressed_and_erased_people_get_nothing(stocked, settings, keyring, relay, tick) -> None:
    people = [world.a_person(n, keyring) for n in (1, 2)]
    world.add_people(stocked, people)
    plan_due(stocked, EIGHT, settings=settings)
    with stocked.transaction() as session:
        suppress(session, keyring.address_key("reader1@example.org"), "operator", EIGHT)
        session.execute(delete(SubscriberRow).where(SubscriberRow.id == 2))

    books = tick(EIGHT).accounting[FRIDAY.date()]

    assert relay.parcels == []
    assert (books.due, books.cancelled) == (2, 2)
    assert sorted(str(one.reason) for one in world.deliveries(stocked)) == ["erased", "suppressed"]


def test_a_word_muted_since_planning_takes_its_papers_out(stocked, settings, keyring, relay, tick) -> None:
    world.add_people(stocked, [world.a_person(n, keyring, paper_count=8) for n in (1, 2)])
    plan_due(stocked, EIGHT, settings=settings)
    frozen = {row.subscriber_id: [item["paper"] for item in row.selection] for row in world.digests(stocked)}
    words = {paper: world.WORDS[int(paper[-3:]) % len(world.WORDS)] for paper in frozen[1]}
    muted = words[frozen[1][0]]
    with stocked.transaction() as session:
        later = EIGHT + timedelta(minutes=1)
        session.execute(
            update(SubscriberRow).where(SubscriberRow.id == 1).values(mutes=[muted], updated_at=later)
        )
        session.execute(
            update(SubscriberRow)
            .where(SubscriberRow.id == 2)
            .values(mutes=list(world.WORDS), updated_at=later)
        )

    books = tick(EIGHT + timedelta(minutes=2)).accounting[FRIDAY.date()]

    (parcel,) = relay.parcels
    body = body_of(parcel)
    assert all((f"abs/{paper}" in body) == (words[paper] != muted) for paper in frozen[1])
    assert (books.sent, books.cancelled) == (1, 1)
    assert [one.reason for one in world.deliveries(stocked) if one.subscriber_id == 2] == ["muted"]


def test_a_paper_withdrawn_since_planning_is_left_out(stocked, settings, keyring, relay, tick) -> None:
    world.add_people(stocked, [world.a_person(1, keyring)])
    plan_due(stocked, EIGHT, settings=settings)
    gone = world.digests(stocked)[0].selection[0]["paper"]
    with stocked.transaction() as session:
        session.execute(update(PaperRow).where(PaperRow.id == gone).values(withdrawn_at=EIGHT))
    tick(EIGHT)
    assert f"abs/{gone}" not in body_of(relay.parcels[0])


def test_papers_of_a_digest_that_failed_come_again(stocked, keyring, relay, tick) -> None:
    world.add_people(stocked, [world.a_person(1, keyring)])
    relay.answer = lambda _parcel: Outcome(
        verdict=Verdict.REFUSED, stage=Stage.DOT, code=554, enhanced="5.6.0"
    )
    assert tick(EIGHT).accounting[FRIDAY.date()].failed == 1
    failed = [item["paper"] for item in world.digests(stocked)[0].selection]
    assert world.seen(stocked) == []

    relay.answer = MemoryRelay().answer
    world.note_run(stocked, EIGHT + DAY - HOUR)
    tick(EIGHT + DAY)
    again = [item["paper"] for item in world.digests(stocked)[1].selection]
    assert set(failed) & set(again)
    assert relay.parcels


def test_papers_of_an_unknown_delivery_never_come_again(stocked, keyring, relay, tick) -> None:
    world.add_people(stocked, [world.a_person(1, keyring)])
    relay.answer = lambda _parcel: Outcome(verdict=Verdict.UNKNOWN, stage=Stage.DOT)
    assert tick(EIGHT).accounting[FRIDAY.date()].unknown == 1
    relay.answer = MemoryRelay().answer
    world.note_run(stocked, EIGHT + DAY - HOUR)
    tick(EIGHT + DAY)

    papers = [item["paper"] for row in world.digests(stocked) for item in row.selection]
    assert len(papers) == len(set(papers)) == 10


def test_an_expired_digest_fails_and_its_papers_come_back(stocked, settings, keyring, tick) -> None:
    world.add_people(stocked, [world.a_person(1, keyring)])
    plan_due(stocked, EIGHT, settings=settings)
    books = tick(FRIDAY + 20 * HOUR).accounting[FRIDAY.date()]

    assert (books.due, books.failed) == (1, 1)
    assert world.deliveries(stocked)[0].reason == "expired"
    assert world.seen(stocked) == []
    with stocked.reading() as session:
        assert session.get(SubscriberRow, 1).last_digest_at is None


def test_a_dead_mailbox_ends_the_subscription(stocked, keyring, relay, tick) -> None:
    world.add_people(stocked, [world.a_person(1, keyring)])
    relay.answer = lambda _parcel: Outcome(
        verdict=Verdict.REFUSED, stage=Stage.RCPT, code=550, enhanced="5.1.1"
    )
    tick(EIGHT)
    with stocked.reading() as session:
        assert session.get(SubscriberRow, 1).status == "bounced"
    assert tick(EIGHT + DAY).planned.planned == 0


def test_a_failing_source_is_named_in_the_mail(stocked, keyring, relay, tick) -> None:
    world.add_people(stocked, [world.a_person(1, keyring)])
    world.note_run(stocked, FRIDAY + 7.5 * HOUR, outcome="failed")
    tick(EIGHT)
    flowed = " ".join(body_of(relay.parcels[0]).split())
    assert "Hugging Face has not answered since 13 February 2026, 07:30 UTC" in flowed


def test_books_that_do_not_add_up_are_refused(stocked, settings, keyring) -> None:
    world.add_people(stocked, [world.a_person(1, keyring)])
    plan_due(stocked, EIGHT, settings=settings)
    with stocked.transaction() as session:
        session.execute(delete(DeliveryRow))
    with stocked.reading() as session, pytest.raises(BooksOff):
        account(session, FRIDAY.date())


def test_books_count_by_local_date_and_reason(stocked, settings, keyring) -> None:
    zones = ["UTC", "Pacific/Auckland", "America/Los_Angeles"]
    world.add_people(stocked, [world.a_person(n, keyring, timezone=zone) for n, zone in enumerate(zones, 1)])
    for hour in range(8, 40):
        plan_due(stocked, FRIDAY + hour * HOUR, settings=settings)
    with stocked.reading() as session:
        rows = session.query(DigestRow).all()
        for day in {row.issue_date for row in rows}:
            books = account(session, day)
            assert books.due == sum(row.issue_date == day for row in rows)
            assert books.accounted == books.due
            assert books.queued == sum(row.issue_date == day and row.outcome == "mailed" for row in rows)
        assert account(session, FRIDAY.date() + 30 * DAY) == accounting.Accounting()


def test_a_preview_shows_the_digest_and_leaves_no_trace(stocked, settings, keyring, links) -> None:
    world.add_people(stocked, [world.a_person(1, keyring)])
    with stocked.reading() as session:
        letter = preview_subscriber(session, "reader1@example.org", EIGHT, links=links, patience=6 * HOUR)
    assert letter is not None
    assert len(letter.trending) + len(letter.for_you) == 5
    assert world.digests(stocked) == []

    plan_due(stocked, EIGHT, settings=settings)
    (digest,) = world.digests(stocked)
    shown = [card.paper_id for card in (*letter.trending, *letter.for_you)]
    assert shown == [item["paper"] for item in digest.selection]


def test_a_preview_of_a_profile_needs_no_subscriber(stocked, links) -> None:
    robots = Profile(interests=(Interest(name="Robots", phrases=("robotics",)),), mutes=("speech",))
    with stocked.reading() as session:
        letter = preview_profile(session, robots, EIGHT, count=6, links=links, patience=6 * HOUR)
        with pytest.raises(LookupError):
            preview_subscriber(session, "nobody@example.org", EIGHT, links=links, patience=HOUR)
    assert letter is not None
    assert letter.interests == ("Robots",)
    titles = [card.title for card in (*letter.trending, *letter.for_you)]
    assert any("robotics" in title for title in titles)
    assert not any("speech" in title for title in titles)


def test_a_preview_of_nothing_is_nothing(database, links) -> None:
    with database.reading() as session:
        letter = preview_profile(session, Profile(), EIGHT, count=6, links=links, patience=6 * HOUR)
    assert letter is None
