"""Interests and libraries by pages and API: tried out, saved, shown back; hostile text stays text."""

import html
import json
import re
from typing import Any

import pytest
from sqlalchemy import select

from service.subscribers.interests import MAXIMUM_INTERESTS
from service.subscribers.libraries.values import MOST_BYTES
from service.subscribers.library_tables import LibraryItemRow, LibraryRow
from service.subscribers.limits import Limit
from service.subscribers.links import preferences_token
from service.subscribers.storing import load_preferences
from service.subscribers.tables import SubscriberRow
from service.web.throttle import Throttle
from tests.web.conftest import ADDRESS, Visitor, add_paper

ABOUT = "larks singing, not vision\nby Ada Lovelace"
BIBTEX = "@article{a, title={Larks at dawn}, abstract={Larks sing at dawn.}}\n@article{b, title=}"
HOSTILE = "<script>alert(1)</script>\u202e\x00 😀 " + "x" * 40


def token_of(visitor: Visitor, row: SubscriberRow) -> str:
    return preferences_token(visitor.parts.keyring, row)


def stored(visitor: Visitor) -> Any:
    row = visitor.subscriber()
    assert row is not None
    with visitor.parts.database.reading() as session:
        return load_preferences(session, row)


def form_of(page: str) -> dict[str, Any]:
    """Return what a browser would send of the page's first big form, its buttons left out."""
    fields: dict[str, Any] = {}
    for tag in re.findall(r"<input\b[^>]*>", page):
        given = dict(re.findall(r'([a-z]+)="([^"]*)"', tag))
        if given.get("type") == "checkbox" and not tag.rstrip(">").endswith(" checked"):
            continue
        if "name" in given and given.get("type") not in {"submit", "file"}:
            fields.setdefault(given["name"], []).append(html.unescape(given.get("value", "on")))
    for attributes, text in re.findall(r"<textarea\b([^>]*)>\n?(.*?)</textarea>", page, re.DOTALL):
        fields[re.findall(r'name="([^"]+)"', attributes)[0]] = [html.unescape(text)]
    for name, body in re.findall(r'<select\b[^>]*name="([^"]+)"[^>]*>(.*?)</select>', page, re.DOTALL):
        chosen = re.findall(r'<option(?: value="([^"]*)")? selected>([^<]*)', body)
        if chosen and name != "days":
            fields[name] = [chosen[0][0] or chosen[0][1]]
    return fields


def main_form(page: str) -> dict[str, Any]:
    return form_of(page.split("</form>", maxsplit=1)[0])


def test_one_box_is_enough(visitor: Visitor) -> None:
    visitor.join(about=ABOUT)

    first, second = stored(visitor).interests
    assert (first.phrases, first.against) == (("larks singing",), ("vision",))
    assert second.authors == ("Ada Lovelace",)


def test_the_confirmation_says_what_counts_against(lite: Visitor) -> None:
    lite.subscribe(about=ABOUT)

    assert "larks singing (not vision)" in lite.get(f"/confirm/{lite.confirm_token()}").text


def test_saving_what_the_page_shows_changes_nothing(visitor: Visitor) -> None:
    row = visitor.join(
        about=f"{ABOUT}\nLLM agents, not robots",
        topics=["llm-reasoning"],
        words="mamba",
        mutes="crypto",
        explore="no",
    )
    before = stored(visitor)
    path = f"/preferences/{token_of(visitor, row)}"

    answer = visitor.post(path, data=main_form(visitor.get(path).text))

    assert "Saved" in answer.text
    after = stored(visitor)
    assert set(after.interests) == set(before.interests)
    assert (after.mutes, after.explores) == (("crypto",), False)


def test_what_was_understood_is_shown_back(lite: Visitor) -> None:
    row = lite.join(about=ABOUT)

    page = lite.get(f"/preferences/{token_of(lite, row)}").text

    assert "<b>Looks for</b> “larks singing”; <b>counts against</b> “vision”." in page


def test_an_interest_is_added_changed_and_removed_by_plain_posts(lite: Visitor) -> None:
    row = lite.join(about="larks singing, not vision")
    path = f"/preferences/{token_of(lite, row)}"
    form = main_form(lite.get(path).text)
    before = lite.dump()

    added = lite.post(path, data={**form, "step": "add"})
    assert "Nothing is saved yet" in added.text
    assert lite.dump() == before
    form = main_form(added.text)
    assert "interest-1-text" in form
    form |= {"interest-1-text": "robots", "interest-1-weight": "2", "interest-1-name": "Machines",
             "interest-0-text": "larks at dawn"}  # fmt: skip
    lite.post(path, data=form)
    assert {one.name: (one.phrases, one.weight) for one in stored(lite).interests} == {
        "larks singing": (("larks at dawn",), 1.0),
        "Machines": (("robots",), 2.0),
    }

    form = main_form(lite.get(path).text)
    removed = lite.post(path, data={**form, "step": "remove-0"})
    assert "Removed" in removed.text
    assert [one.name for one in stored(lite).interests] == ["Machines"]


def test_errors_stand_beside_the_interest(lite: Visitor) -> None:
    row = lite.join(about="larks singing, not vision")
    path = f"/preferences/{token_of(lite, row)}"
    form = main_form(lite.get(path).text) | {"interest-0-text": "not vision", "interest-0-authors": "x"}

    answer = lite.post(path, data=form)

    assert answer.status_code == 422
    assert 'id="interest-0-authors-error"' in answer.text
    assert re.search(r'id="interest-0-authors"[^>]*aria-invalid="true"', answer.text)
    assert [one.phrases for one in stored(lite).interests] == [("larks singing",)]


def test_a_step_of_signing_up_keeps_what_was_typed_and_stores_nothing(lite: Visitor) -> None:
    before = lite.dump()

    answer = lite.subscribe(about=ABOUT, topics=["llm-agents"], step="add")

    assert answer.status_code == 200
    assert lite.dump() == before
    assert lite.rings == []
    form = main_form(answer.text)
    assert (form["address"], form["about"], form["topics"]) == ([ADDRESS], [ABOUT], ["llm-agents"])
    again = lite.post("/subscribe", data={**form, "interest-0-text": "robots"})
    assert again.status_code == 303


def test_no_more_interests_than_are_read(lite: Visitor) -> None:
    fields = {f"interest-{number}-text": f"thing {number}" for number in range(MAXIMUM_INTERESTS)}

    assert "Add an interest" not in lite.subscribe(**fields, step="add").text
    fields[f"interest-{MAXIMUM_INTERESTS}-text"] = "one more"
    assert "At most 20 interests" in lite.subscribe(**fields).text


@pytest.mark.parametrize("path", ["/subscribe", "preferences"])
def test_a_preview_shows_papers_with_reasons_and_keeps_nothing(visitor: Visitor, path: str) -> None:
    add_paper(visitor.parts.database, "2602.00001", title="Larks singing together")
    add_paper(
        visitor.parts.database, "2602.00002", title="Blockchain for owls", abstract="Owls.", keywords=[]
    )
    form: dict[str, Any] = {"address": ADDRESS, "stamp": visitor.stamp(), "hour": "8", "timezone": "UTC"}
    if path == "preferences":
        path = f"/preferences/{token_of(visitor, visitor.join())}"
    before = visitor.dump()

    answer = visitor.post(
        path, data={**form, "about": ABOUT, "mutes": "blockchain, larks", "step": "preview"}
    )

    assert answer.status_code == 200
    assert visitor.dump() == before
    assert "Your muted words hide every one of the 2 papers" in answer.text
    assert "blockchain: 1" in answer.text
    answer = visitor.post(path, data={**form, "about": ABOUT, "step": "preview"})
    tried = answer.text.split('id="preview"')[1]
    assert "Larks singing together" in tried
    assert "<li>Matches " in tried
    assert "larks singing" in tried.split("Larks singing together")[1]
    assert "<b>counts against</b> “vision”" in tried


def test_previews_are_limited_by_network(lite: Visitor, clock: Any) -> None:
    throttle = Throttle(each=Limit(2, lite.app.state.site.previews._each.within))
    asked = [throttle.take("192.0.2.7", clock()) for _ in range(3)]
    assert asked == [True, True, False]
    assert throttle.take("198.51.100.7", clock())
    clock.advance(lite.app.state.site.previews._each.within)
    assert throttle.take("192.0.2.7", clock())

    site = lite.app.state.site
    while site.previews.take("127.0.0.1", clock()):
        pass
    answer = lite.subscribe(about=ABOUT, step="preview")
    assert answer.status_code == 429
    assert "many previews" in answer.text
    assert lite.post("/api/v1/preview", json={"about": [ABOUT]}).status_code == 429


@pytest.mark.parametrize(
    "field", ["about", "interest-0-text", "interest-0-name", "interest-0-authors", "mutes"]
)
def test_hostile_text_stays_text(lite: Visitor, field: str) -> None:
    form = {"interest-0-text": "larks", field: HOSTILE}

    for step in ("", "add", "preview"):
        answer = lite.subscribe("reader@example.org", **form, step=step)
        assert answer.status_code in {200, 303, 422}
        assert "<script>alert" not in answer.text
    row = lite.subscriber("reader@example.org")
    if row is not None:
        lite.post(f"/confirm/{lite.confirm_token('reader@example.org')}")
        page = lite.get(f"/preferences/{token_of(lite, row)}").text
        assert "<script>alert" not in page
        assert "\u202e" not in page


def test_api_takes_and_explains_interests(visitor: Visitor) -> None:
    body = {
        "address": ADDRESS,
        "about": ["larks singing, not vision"],
        "interests": [{"name": "Mine", "authors": ["Ada Lovelace"], "against": ["cs.CV"], "weight": 3}],
        "explore": False,
    }

    answer = visitor.post("/api/v1/subscriptions", json=body)

    assert answer.status_code == 202
    mine, larks = answer.json()["understood"]
    assert mine["says"] == "by Ada Lovelace; counts against cs.CV (Computer Vision and Pattern Recognition)"
    assert larks["against"] == ["vision"]
    visitor.post(f"/confirm/{visitor.confirm_token()}")
    assert not stored(visitor).explores
    assert [one.weight for one in stored(visitor).interests] == [3.0, 1.0]


def test_api_gives_and_changes_preferences(lite: Visitor) -> None:
    row = lite.join(about=ABOUT)
    bearer = {"Authorization": f"Bearer {token_of(lite, row)}"}

    present = lite.get("/api/v1/preferences", headers=bearer).json()
    assert present.pop("understood")[0]["says"] == "looks for “larks singing”; counts against “vision”"
    present["interests"][0]["mutes"] = ["crypto"]
    answer = lite.put("/api/v1/preferences", headers=bearer, json=present)

    assert answer.status_code == 200
    assert stored(lite).interests[0].mutes == ("crypto",)
    assert lite.get("/api/v1/preferences").status_code == 401
    assert lite.get("/api/v1/preferences", headers={"Authorization": "Bearer nonsense"}).status_code == 401
    wrong = lite.put("/api/v1/preferences", headers=bearer, json={"interests": [{"text": "not x y"}]})
    assert [error["field"] for error in wrong.json()["errors"]] == ["interests.0.text"]


def test_api_previews(lite: Visitor) -> None:
    add_paper(lite.parts.database, "2602.00001", title="Larks singing together")

    answer = lite.post("/api/v1/preview", json={"about": ["larks singing"], "mutes": ["owls"]}).json()

    papers = [*answer["trending"], *answer["for_you"]]
    assert [paper["id"] for paper in papers] == ["2602.00001"]
    assert any("larks singing" in reason for reason in papers[0]["reasons"])
    assert (answer["papers"], answer["hidden"]) == (1, {"owls": 0})


def test_a_library_is_looked_at_then_kept_then_deleted(visitor: Visitor) -> None:
    path = f"/preferences/{token_of(visitor, visitor.join())}/libraries"
    before = visitor.dump()

    looked = visitor.post(path, data={"do": "look"}, files={"file": ("My_birds.bib", BIBTEX)})
    assert looked.status_code == 200
    assert visitor.dump() == before
    assert (
        "<b>1 work</b> from BibTeX: 1 with an abstract, 0 with an arXiv id, 0 of them known here"
        in looked.text
    )
    assert "line 2: " in looked.text
    form = main_form(looked.text)
    assert form["name"] == ["My birds"]
    kept = visitor.post(path, data=form, files={"none": ("", b"")})
    assert "“My birds” is kept: 1 works" in kept.text
    with visitor.parts.database.reading() as session:
        library = session.scalars(select(LibraryRow)).one()
        item = session.scalars(select(LibraryItemRow)).one()
    assert (library.name, library.format, item.title, item.abstract) == (
        "My birds", "BibTeX", "Larks at dawn", "Larks sing at dawn.",
    )  # fmt: skip

    weighed = visitor.post(path, data={"do": "weigh", "library": library.id, "weight": "2"})
    assert '<option value="2" selected>' in weighed.text
    assert "is deleted" in visitor.post(path, data={"do": "delete", "library": library.id}).text
    assert visitor.post(path, data={"do": "delete", "library": library.id}).status_code == 422


@pytest.mark.parametrize(
    ("data", "status", "words"),
    [
        (b"", 422, "This file is empty"),
        (b"hello", 422, "tell what this is"),
        (b"x" * (MOST_BYTES + 1), 422, "larger than 4 MB"),
        (b"x" * (3 * MOST_BYTES), 413, ""),
        (b"@article{a, title={<script>alert(1)</script> birds}}", 200, "&lt;script&gt;"),
    ],
)
def test_files_that_are_none(lite: Visitor, data: bytes, status: int, words: str) -> None:
    path = f"/preferences/{token_of(lite, lite.join())}/libraries"

    answer = lite.post(path, data={"do": "look"}, files={"file": ("a.bib", data)})

    assert answer.status_code == status
    assert words in html.unescape(answer.text) or words in answer.text
    assert "<script>alert" not in answer.text


def test_libraries_are_their_owner_s(lite: Visitor) -> None:
    assert lite.get("/preferences/nonsense/libraries").status_code == 404
    assert lite.post("/preferences/nonsense/libraries", data={"do": "look"}).status_code == 404
    assert lite.post("/preferences/nonsense/libraries?x", content=b"x" * 200_000).status_code in {
        400,
        404,
        422,
    }


def test_api_brings_lists_and_deletes_libraries(lite: Visitor) -> None:
    bearer = {"Authorization": f"Bearer {token_of(lite, lite.join())}"}

    looked = lite.post("/api/v1/libraries?name=Birds&keep=false", headers=bearer, content=BIBTEX).json()
    assert (looked["id"], looked["items"], looked["problem_count"]) == (None, 1, 1)
    assert looked["problems"][0]["where"] == "line 2"
    kept = lite.post("/api/v1/libraries?name=Birds", headers=bearer, content=BIBTEX).json()
    [listed] = lite.get("/api/v1/libraries", headers=bearer).json()
    assert (listed["id"], listed["name"], listed["items"]) == (kept["id"], "Birds", 1)
    assert lite.delete(f"/api/v1/libraries/{kept['id']}", headers=bearer).status_code == 204
    assert lite.delete(f"/api/v1/libraries/{kept['id']}", headers=bearer).status_code == 404
    assert lite.post("/api/v1/libraries", headers=bearer, content=b"").status_code == 422
    assert lite.post("/api/v1/libraries", content=BIBTEX).status_code == 401
    json.dumps(listed)
