"""What people say of papers is kept once, in order, in their own hands, and reaches the ranking."""

from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import insert

from service.keys import Purpose
from service.ranking.values import Profile
from service.subscribers import answers, leaving, personal_data
from service.subscribers.answers import Answer
from service.subscribers.links import list_token, unsubscribe_token
from service.subscribers.tables import AnswerRow, SubscriberRow
from tests.subscriber_desk import Desk, an_origin

PAPERS = ("2602.00001", "2602.00002", "cs/0112017")
STEPS = st.lists(st.tuples(st.sampled_from(PAPERS), st.sampled_from(["more", "less", "undo"])), max_size=12)


def say(desk: Desk, paper: str, word: str, subscriber_id: int) -> None:
    with desk.database.transaction() as session:
        if word == "undo":
            answers.take_back(session, subscriber_id, paper)
        else:
            answers.give(session, subscriber_id, paper, word, desk.clock())  # type: ignore[arg-type]


def said(desk: Desk, subscriber_id: int) -> list[Answer]:
    with desk.database.reading() as session:
        return answers.load(session, subscriber_id)


def test_the_last_word_counts_and_a_second_press_changes_nothing(desk: Desk) -> None:
    person = desk.subscribe()
    say(desk, PAPERS[0], "more", person.id)
    first = said(desk, person.id)
    desk.clock.advance(timedelta(days=3))
    say(desk, PAPERS[0], "more", person.id)
    assert said(desk, person.id) == first
    say(desk, PAPERS[1], "less", person.id)
    say(desk, PAPERS[0], "less", person.id)
    changed = {one.paper_id: (one.word, one.at) for one in said(desk, person.id)}
    assert changed == dict.fromkeys(PAPERS[:2], ("less", desk.clock()))
    say(desk, PAPERS[0], "undo", person.id)
    say(desk, PAPERS[0], "undo", person.id)
    assert [one.paper_id for one in said(desk, person.id)] == [PAPERS[1]]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS)
def test_any_order_of_presses_ends_as_a_plain_book_would(
    quick_desk: Desk, steps: list[tuple[str, str]]
) -> None:
    desk = quick_desk
    person = desk.subscriber() if desk.count(SubscriberRow) else desk.subscribe()
    book: dict[str, tuple[str, object]] = {}
    for paper, word in steps:
        desk.clock.advance(timedelta(minutes=1))
        say(desk, paper, word, person.id)
        if word == "undo":
            book.pop(paper, None)
        elif book.get(paper, ("",))[0] != word:
            book.pop(paper, None)
            book[paper] = (word, desk.clock())
    assert [(one.paper_id, one.word, one.at) for one in said(desk, person.id)] == [
        (paper, word, at) for paper, (word, at) in book.items()
    ]
    with desk.database.transaction() as session:
        assert answers.forget_all(session, person.id) == len(book)


def test_ranking_learns_what_was_said_until_then_with_its_age(desk: Desk) -> None:
    ann, ben = desk.subscribe(), desk.subscribe("ben@example.org")
    say(desk, PAPERS[0], "more", ann.id)
    desk.clock.advance(timedelta(days=2, hours=5))
    say(desk, PAPERS[1], "less", ann.id)
    say(desk, PAPERS[2], "more", ann.id)
    then = desk.clock()
    desk.clock.advance(timedelta(days=1))
    say(desk, "2602.00009", "more", ann.id)
    profiles = {ann.id: Profile(mutes=("x",)), ben.id: Profile()}
    with desk.database.reading() as session:
        found = answers.with_answers(session, profiles, then)
    assert found[ann.id] == Profile(
        mutes=("x",), liked=(PAPERS[0], PAPERS[2]), disliked=(PAPERS[1],), answer_days=(2.0, 0.0, 0.0)
    )
    assert found[ben.id] == Profile()


def test_of_very_many_answers_the_newest_are_learned_from(quick_desk: Desk) -> None:
    person = quick_desk.subscribe()
    with quick_desk.database.transaction() as session:
        for number in range(answers.MOST_LEARNED + 3):
            answers.give(session, person.id, f"2602.{number:05}", "more", quick_desk.clock())
        found = answers.with_answers(session, {person.id: Profile()}, quick_desk.clock())[person.id]
    assert found.liked == tuple(f"2602.{number:05}" for number in range(3, answers.MOST_LEARNED + 3))


def test_more_than_is_kept_is_refused(quick_desk: Desk) -> None:
    person = quick_desk.subscribe()
    rows = [
        {"subscriber_id": person.id, "paper_id": f"{number}", "is_liked": True, "at": quick_desk.clock()}
        for number in range(answers.MOST_ANSWERS)
    ]
    with quick_desk.database.transaction() as session:
        session.execute(insert(AnswerRow), rows)
    with quick_desk.database.transaction() as session:
        answers.give(session, person.id, "7", "less", quick_desk.clock())  # known already: may be changed
        with pytest.raises(answers.TooManyAnswers, match="5,000"):
            answers.give(session, person.id, "new", "more", quick_desk.clock())


def test_the_link_is_void_when_its_reader_has_left_and_for_every_other_purpose(desk: Desk) -> None:
    person = desk.subscribe()
    token = list_token(desk.keyring, person)
    with desk.database.reading() as session:
        found = answers.find_reader(session, desk.keyring, token)
        assert found is not None
        assert found.id == person.id
        for purpose in set(Purpose) - {Purpose.FEEDBACK}:
            other = desk.keyring.sign(purpose, person.public_id, person.token_version)
            assert answers.find_reader(session, desk.keyring, other) is None
        assert answers.find_reader(session, desk.keyring, "rubbish") is None
    say(desk, PAPERS[0], "more", person.id)
    with desk.database.transaction() as session:
        leaving.leave(
            session, desk.keyring, unsubscribe_token(desk.keyring, person), desk.clock(), an_origin()
        )
    with desk.database.reading() as session:
        assert answers.find_reader(session, desk.keyring, token) is None
    # As with topics: kept until the row goes, for somebody who comes back within the month.
    assert [one.paper_id for one in said(desk, person.id)] == [PAPERS[0]]


def test_a_copy_of_ones_data_holds_the_answers_and_erasing_ends_them(desk: Desk) -> None:
    person, other = desk.subscribe(), desk.subscribe("ben@example.org")
    say(desk, PAPERS[0], "more", person.id)
    say(desk, PAPERS[1], "less", other.id)
    at = desk.clock().isoformat()
    with desk.database.transaction() as session:
        document = personal_data.export(session, person.id)
        assert document["answers"] == [{"paper": PAPERS[0], "answer": "more", "at": at}]
        assert personal_data.erase(session, desk.keyring, person.id, desk.clock())
    assert said(desk, person.id) == []
    assert len(said(desk, other.id)) == desk.count(AnswerRow) == 1
