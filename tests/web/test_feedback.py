"""Answers by the links beside papers: GET shows, POST acts, everything can be taken back, nothing leaks."""

import re
from datetime import timedelta

import pytest
from sqlalchemy import select

from service.clock import SettableClock
from service.keys import Purpose
from service.subscribers import answers
from service.subscribers.links import list_token, preferences_token, unsubscribe_token
from service.subscribers.tables import AnswerRow
from tests.web.conftest import ADDRESS, Visitor, add_paper, add_run

PAPER = "2602.00001"
OTHER = "2602.00002"


@pytest.fixture
def reader(visitor: Visitor) -> Visitor:
    """A visitor with two papers on the shelf, on each database in turn."""
    return stocked(visitor)


@pytest.fixture
def quick(lite: Visitor) -> Visitor:
    """The same where the kind of database makes no difference."""
    return stocked(lite)


def stocked(visitor: Visitor) -> Visitor:
    add_paper(visitor.parts.database, PAPER)
    add_paper(visitor.parts.database, OTHER, title="A paper about wrens", abstract="Wrens are small.")
    add_run(visitor.parts.database, visitor.parts.clock())
    return visitor


def own(visitor: Visitor) -> str:
    """Join if need be, and return the path of one's list."""
    return f"/list/{list_token(visitor.parts.keyring, visitor.subscriber() or visitor.join(words='larks'))}"


def drives(visitor: Visitor) -> str:
    row = visitor.subscriber()
    assert row is not None
    return f"/preferences/{preferences_token(visitor.parts.keyring, row)}/drives"


def said(visitor: Visitor) -> list[tuple[str, str]]:
    row = visitor.subscriber()
    assert row is not None
    with visitor.parts.database.reading() as session:
        return [(one.paper_id, one.word) for one in answers.load(session, row.id)]


def test_looking_answers_nothing_and_a_press_does(reader: Visitor) -> None:
    """Scanners follow each link of a mail, by GET and HEAD."""
    path = own(reader)
    before = reader.dump()
    for door in ("", f"/papers/{PAPER}", f"/more/{PAPER}", f"/less/{PAPER}"):
        for method in ("GET", "HEAD"):
            assert reader.request(method, path + door).status_code == 200, door
    assert reader.dump() == before
    answer = reader.post(f"{path}/more/{PAPER}")
    assert answer.status_code == 200
    assert "Noted: more like this" in answer.text
    assert "A paper about larks" in answer.text
    assert "From your next digest on" in answer.text
    assert f'action="{path}/undo/{PAPER}"' in answer.text
    assert said(reader) == [(PAPER, "more")]


def test_an_answer_is_changed_and_taken_back(reader: Visitor, clock: SettableClock) -> None:
    path = own(reader)
    for _ in range(2):
        reader.post(f"{path}/more/{PAPER}")
    clock.advance(timedelta(days=1))
    assert "You have said so already, on 13 Feb 2026" in reader.get(f"{path}/more/{PAPER}").text
    assert "One press changes that" in reader.get(f"{path}/less/{PAPER}").text
    assert "Noted: not for you" in reader.post(f"{path}/less/{PAPER}").text
    assert said(reader) == [(PAPER, "less")]
    assert "Taken back" in reader.post(f"{path}/undo/{PAPER}").text
    assert "Nothing to take back" in reader.post(f"{path}/undo/{PAPER}").text
    assert said(reader) == []


def test_the_list_shows_what_would_come_with_buttons_and_follows_answers(reader: Visitor) -> None:
    path = own(reader)
    page = reader.get(path).text
    for paper in (PAPER, OTHER):
        assert f'href="{path}/papers/{paper}"' in page
        for word in ("more", "less"):
            assert f'method="post" action="{path}/{word}/{paper}"' in page
    assert "<li>Matches " in page
    reader.post(f"{path}/less/{OTHER}")
    assert "A paper about wrens" not in reader.get(path).text


def test_a_paper_s_own_page_says_what_was_said_and_how_to_share_it(quick: Visitor) -> None:
    path = own(quick)
    quick.post(f"{path}/more/{PAPER}")
    page = quick.get(f"{path}/papers/{PAPER}").text
    assert "You said on 13 Feb 2026" in page
    assert "Take it back" in page
    assert f'<link rel="canonical" href="http://127.0.0.1:8000/papers/{PAPER}">' in page
    public = quick.get(f"/papers/{PAPER}").text
    assert "/list/" not in public
    assert "Take it back" not in public


@pytest.mark.parametrize(
    "asked",
    [
        "2602.99999",
        "x",
        "..%2F..%2Fpreferences",
        "2602.00001%00",
        "1" * 500,
        "<script>alert(1)</script>",
        "%F0%9F%92%A9",
    ],
)
def test_hostile_ids_are_refused_and_keep_nothing(reader: Visitor, asked: str) -> None:
    path = own(reader)
    before = reader.dump()
    for method, door in (
        ("GET", "papers"),
        ("GET", "more"),
        ("POST", "more"),
        ("POST", "less"),
        ("POST", "undo"),
    ):
        answer = reader.request(method, f"{path}/{door}/{asked}")
        assert answer.status_code == 404, door
        assert "<script>alert" not in answer.text
    assert "nothing was kept" in reader.post(f"{path}/more/2602.99999").text
    assert reader.post(f"{path}/most/{PAPER}").status_code == 404
    assert reader.dump() == before


def test_an_id_with_a_version_or_a_subject_class_is_the_same_paper(quick: Visitor) -> None:
    add_paper(quick.parts.database, "math/0309136")
    path = own(quick)
    quick.post(f"{path}/more/{PAPER}v3")
    quick.post(f"{path}/less/math.GT/0309136")
    assert said(quick) == [(PAPER, "more"), ("math/0309136", "less")]


def test_only_the_reader_s_own_link_opens_it(reader: Visitor) -> None:
    path = own(reader)
    row, keyring = reader.subscriber(), reader.parts.keyring
    assert row is not None
    before = reader.dump()
    others = [
        keyring.sign(purpose, row.public_id, row.token_version)
        for purpose in Purpose
        if purpose != "feedback"
    ]
    for token in (*others, "x", path[len("/list/") : -1], keyring.sign(Purpose.FEEDBACK, 1)):
        for door in ("", f"/papers/{PAPER}", f"/more/{PAPER}"):
            assert reader.get(f"/list/{token}{door}").status_code == 404
        assert reader.post(f"/list/{token}/more/{PAPER}").status_code == 404
        assert reader.post(f"/list/{token}/undo/{PAPER}").status_code == 404
    # And the list's token opens none of the doors of its betters.
    token = path.removeprefix("/list/")
    for door in ("preferences", "unsubscribe", "manage", "confirm"):
        assert reader.get(f"/{door}/{token}").status_code == 404
    assert reader.get(f"/preferences/{token}/drives").status_code == 404
    assert reader.dump() == before
    reader.post(f"/unsubscribe/{unsubscribe_token(keyring, row)}")
    assert reader.get(path).status_code == 404
    assert reader.post(f"{path}/more/{PAPER}").status_code == 404


def test_pages_of_one_s_own_are_kept_by_nobody_and_give_no_address_away(quick: Visitor) -> None:
    path = own(quick)
    token = preferences_token(quick.parts.keyring, quick.subscriber())  # type: ignore[arg-type]
    for door in ("", f"/papers/{PAPER}", f"/more/{PAPER}", "/more/none", f"/most/{PAPER}"):
        answer = quick.get(path + door)
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["cache-control"] == "no-store"
        assert "noindex" in answer.headers["x-robots-tag"]
        assert ADDRESS not in answer.text
        assert token not in answer.text
    assert "Disallow: /list/" in quick.get("/robots.txt").text


def test_who_has_answered_very_often_is_told_so(quick: Visitor) -> None:
    path, row = own(quick), quick.subscriber()
    assert row is not None
    with quick.parts.database.transaction() as session:
        session.add_all(
            AnswerRow(subscriber_id=row.id, paper_id=f"{number}", is_liked=True, at=quick.parts.clock())
            for number in range(answers.MOST_ANSWERS)
        )
    answer = quick.post(f"{path}/more/{PAPER}")
    assert answer.status_code == 409
    assert "no more answers are kept" in answer.text


# -- what drives a list -------------------------------------------------------------------------------------


def test_everything_that_drives_a_list_is_shown_and_can_be_taken_out(reader: Visitor) -> None:
    reader.join(topics=["llm-agents"], words="larks", mutes="quiet word")
    path, list_path = drives(reader), own(reader)
    reader.post(f"{list_path}/more/{PAPER}")
    reader.post(f"{list_path}/less/{OTHER}")
    before = reader.dump()
    page = reader.get(path).text
    assert reader.head(path).status_code == 200
    assert reader.dump() == before
    for word in (
        "LLM agents",
        "larks",
        "50 % of the turns",
        "quiet word",
        "A paper about larks",
        "not for me",
    ):
        assert word in page
    assert "Nothing yet" in page
    assert (
        "LLM agents"
        not in reader.post(path, data={"do": "interest", "what": "LLM agents"}).text.split("taken out")[1]
    )
    assert "is not muted any more" in reader.post(path, data={"do": "mute", "what": "quiet word"}).text
    assert "That answer is taken back" in reader.post(path, data={"do": "answer", "what": PAPER}).text
    row = reader.subscriber()
    assert row is not None
    assert row.mutes == []
    assert said(reader) == [(OTHER, "less")]
    form = reader.get(path.removesuffix("/drives")).text
    assert re.search(r'name="words"[^>]*value="larks"', form)
    # What is taken out already can't be taken out again, and rubbish takes nothing out.
    state = reader.dump()
    for data in (
        {"do": "interest", "what": "LLM agents"},
        {"do": "answer", "what": PAPER},
        {"do": "all"},
        {},
    ):
        answer = reader.post(path, data=data)
        assert answer.status_code == 422
        assert "Nothing was changed" in answer.text
    assert reader.dump() == state


@pytest.mark.parametrize(("explore", "told"), [("", "At most one paper of a digest"), ("no", "<p>None. <a")])
def test_drives_page_says_whether_other_papers_may_come(quick: Visitor, explore: str, told: str) -> None:
    quick.join(words="larks", explore=explore)
    assert told in quick.get(drives(quick)).text.split("From outside your interests")[1]


def test_examples_that_weigh_are_called_by_their_titles(quick: Visitor) -> None:
    examples = {f"2401.0100{n}": f"An example of plovers, part {n}" for n in range(4)}
    for id_, title in examples.items():
        add_paper(quick.parts.database, id_, title=title)
    list_path = f"/list/{list_token(quick.parts.keyring, quick.join(examples=', '.join(examples)))}"
    for id_ in (PAPER, OTHER):
        quick.post(f"{list_path}/less/{id_}")
    learned = quick.get(drives(quick)).text.split("The papers that weigh most now")[1]
    assert "An example of plovers" in learned
    assert not any(f"<li>{id_}" in learned for id_ in examples)


def test_answers_are_forgotten_at_one_press_and_choices_stay(reader: Visitor) -> None:
    list_path = own(reader)
    reader.post(f"{list_path}/more/{PAPER}")
    reader.post(f"{list_path}/less/{OTHER}")
    answer = reader.post(drives(reader), data={"do": "forget"})
    assert "All answers are forgotten: 2" in answer.text
    assert said(reader) == []
    assert "larks" in reader.get(drives(reader)).text
    assert "A paper about wrens" in reader.get(list_path).text


def test_drives_page_is_private_too(quick: Visitor) -> None:
    own(quick)
    answer = quick.get(drives(quick))
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert ADDRESS not in answer.text
    assert quick.get("/preferences/wrong/drives").status_code == 404
    assert quick.post("/preferences/wrong/drives", data={"do": "forget"}).status_code == 404


# -- the same as JSON ---------------------------------------------------------------------------------------


def test_answers_by_the_api(reader: Visitor) -> None:
    token = own(reader).removeprefix("/list/")
    headers = {"Authorization": f"Bearer {token}"}
    put = reader.put(f"/api/v1/answers/{PAPER}", json={"answer": "more"}, headers=headers)
    assert put.json() == {"paper": PAPER, "answer": "more", "at": "2026-02-13T08:00:00Z"}
    assert reader.put(f"/api/v1/answers/{OTHER}", json={"answer": "less"}, headers=headers).status_code == 200
    listed = reader.get("/api/v1/answers", headers=headers)
    assert [(one["paper"], one["answer"]) for one in listed.json()] == [(PAPER, "more"), (OTHER, "less")]
    assert listed.headers["cache-control"] == "no-store"
    assert reader.delete(f"/api/v1/answers/{PAPER}", headers=headers).status_code == 204
    assert said(reader) == [(OTHER, "less")]


def test_the_api_refuses_clearly(quick: Visitor) -> None:
    token = own(quick).removeprefix("/list/")
    good = {"Authorization": f"Bearer {token}"}
    before = quick.dump()
    wrong_words = ({}, {"answer": "most"}, {"answer": "more", "extra": 1}, {"answer": None}, ["more"])
    for headers in ({}, {"Authorization": "Bearer x"}, {"Authorization": f"Basic {token}"}):
        answer = quick.put(f"/api/v1/answers/{PAPER}", json={"answer": "more"}, headers=headers)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == "Bearer"
        assert "bearer token" in answer.json()["detail"]
        assert quick.get("/api/v1/answers", headers=headers).status_code == 401
        assert quick.delete(f"/api/v1/answers/{PAPER}", headers=headers).status_code == 401
    for body in wrong_words:
        assert quick.put(f"/api/v1/answers/{PAPER}", json=body, headers=good).status_code == 422
    assert quick.put("/api/v1/answers/2602.99999", json={"answer": "more"}, headers=good).status_code == 404
    assert quick.delete("/api/v1/answers/nothing", headers=good).status_code == 404
    assert quick.dump() == before


def test_the_api_describes_answers(quick: Visitor) -> None:
    described = quick.get("/api/v1/openapi.json").json()
    assert set(described["paths"]["/api/v1/answers/{paper_id}"]) == {"put", "delete"}
    assert described["paths"]["/api/v1/answers"]["get"]["security"] == [{"HTTPBearer": []}]


def test_two_presses_at_once_are_one_answer(reader: Visitor) -> None:
    """A double click, or two devices: the second waits for the first."""
    from concurrent.futures import ThreadPoolExecutor

    path = own(reader)
    with ThreadPoolExecutor(4) as pool:
        codes = list(
            pool.map(lambda word: reader.post(f"{path}/{word}/{PAPER}").status_code, ["more", "less"] * 4)
        )
    assert codes == [200] * 8
    with reader.parts.database.reading() as session:
        assert len(session.scalars(select(AnswerRow)).all()) == 1
