"""Joiners stay where a reader sees what they do, and nowhere else."""

# ruff: noqa: RUF001 - the letters of other scripts are meant
import time
import unicodedata
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.joiners import MAY_JOIN, ZWJ, ZWNJ, without_stray_joiners
from service.mail import headers, templates
from service.mail.templates import render
from service.papers.cleaning import clean_line
from service.papers.sources.daily_papers import Context, read_item
from service.subscribers.fields import clean_text
from service.subscribers.interests import LONGEST_NAME, InterestDraft, name_of, read_interest
from tests.unit.mail.letter_samples import a_card, a_digest, a_sender

SEEN = [
    "\U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466",  # family
    "\U0001f9d1\U0001f3fd\u200d\U0001f91d\u200d\U0001f9d1\U0001f3fb",  # two of different skin hold hands
    "\u2764\ufe0f\u200d\U0001f525",  # heart on fire
    "\U0001f3f3\ufe0f\u200d\u26a7\ufe0f",
    "\U0001f642\u200d\u2194\ufe0f",  # shakes its head
    "\U0001f3f4\U000e0067\U000e0062\U000e0073\U000e0063\U000e0074\U000e007f",  # flag of Scotland
    "مدل\u200cهای زبانی می\u200cخوانند",  # Persian
    "کِ\u200cه",  # a vowel sign between
    "سال ۱۳۸۰ ه\u200d.ش",  # heh in its joined shape
    "क्\u200dष और क्\u200cष",  # Hindi: half letter, signs apart
    "ශ්\u200dරී ලංකාව",  # Sinhala
    "র\u200d্যাম",  # Bengali: ra, then ya-phala
    "ന്\u200d",  # Malayalam, as it was written before Unicode 5.1
]
HIDING = [
    "pay\u200dpal", "pay\u200cpal", "\u200dattention", "attention\u200d", "a\U0001f600\u200db", "漢\u200d字",
    "\U0001f468\u200d\u200d\U0001f469", "\U0001f468\u200c\U0001f469", "x\ufe0f\u200d\U0001f525",
    "مدل\u200c\u200cهای", "مدل\u200dهای", "ک\u200d\U000e0067ک", "ه\u200cِ\u200dه",
    "1\u200c2", "क\u200dष", " \u200d ",
    "ask\U000e0069\U000e0067\U000e006e\U000e006f\U000e0072\U000e0065", "\U0001f3f4\U000e0067\U000e0062",
]  # fmt: skip
TAGS = {chr(code) for code in range(0xE0000, 0xE0080)}
MIXED = st.lists(
    st.one_of(
        st.sampled_from(
            [ZWJ, ZWNJ, "\ufe0f", "\U0001f468", "\U0001f3fd", "\u2764", "=?", "?=", " ", "\U0001f3f4"]
        ),
        st.sampled_from(["ک", "ه", "ا", "ِ", "क", "्", "র", "\U000e0067", "\U000e007f", "ab", "漢", "\u200b"]),
        st.characters(),
    ),
    max_size=120,
).map("".join)
HIDDEN = "\u200b\u200e\u202e\u2066\u2069\ufeff\u00ad\U000e0001"  # no joiners: these go everywhere
BEFORE_CLEANING = st.lists(st.one_of(MIXED, st.sampled_from(HIDDEN + "\u0301\u0653\\")), max_size=20).map(
    "".join
)
CONTEXT = Context(source="huggingface", observed_at=datetime(2026, 3, 6, 8, tzinfo=UTC))


@pytest.mark.parametrize("text", SEEN)
def test_what_joiners_show_stays_in_subject_name_and_body(text: str) -> None:
    assert without_stray_joiners(text) == text
    assert headers.clean(text) == text
    assert templates.present(text) == text
    card = a_card(title=text, abstract=text)
    rendered = render(replace(a_digest(0, 0), trending=(card,)), a_sender().imprint)
    assert rendered.subject == text
    assert rendered.html.count(text) > 2
    assert rendered.text.count(text) == 2


@pytest.mark.parametrize("text", HIDING)
def test_what_joiners_hide_is_shown(text: str) -> None:
    plain = "".join(sign for sign in text if sign not in {ZWJ, ZWNJ, *TAGS})
    assert without_stray_joiners(text) == plain
    assert headers.clean(text) == " ".join(plain.split())
    assert templates.present(text) == plain


@given(MIXED)
def test_only_joiners_go_and_all_that_stay_stand_between_signs_they_act_upon(text: str) -> None:
    kept = without_stray_joiners(text)
    unseen = {ZWJ, ZWNJ, *TAGS}
    assert [one for one in kept if one not in unseen] == [one for one in text if one not in unseen]
    assert without_stray_joiners(kept) == kept
    for place, sign in enumerate(kept):
        if sign in {ZWJ, ZWNJ}:
            around = kept[max(0, place - 1) : place] + kept[place + 1 : place + 2]
            assert not set(around) & {ZWJ, ZWNJ}
            assert not around.isascii()


@given(
    st.lists(
        st.sampled_from(["\U0001f468", "\U0001f469\U0001f3fd", "\u2764\ufe0f", "\U0001f525"]), min_size=1
    )
)
def test_any_emoji_joined_by_one_joiner_stay_joined(emoji: list[str]) -> None:
    joined = ZWJ.join(emoji)
    assert without_stray_joiners(joined) == joined
    assert without_stray_joiners(f"a{ZWJ}{joined}{ZWJ}b") == f"a{joined}b"


@given(st.text(st.characters(max_codepoint=0x5FF)), st.text(st.characters(max_codepoint=0x5FF)))
def test_between_latin_greek_or_cyrillic_signs_none_is_left(before: str, after: str) -> None:
    for sign in (ZWJ, ZWNJ):
        assert sign not in without_stray_joiners(before + sign + after)


@given(MIXED, st.integers(2, 40))
def test_a_line_cut_short_ends_in_no_joiner_and_means_itself(text: str, limit: int) -> None:
    line = headers.clean(text, limit)
    assert len(line) <= limit
    assert headers.clean(line, limit) == line
    assert not line.endswith((ZWJ + "…", ZWNJ + "…")) or len(line) < 3


@pytest.mark.parametrize("text", SEEN)
def test_what_joiners_show_stays_from_a_feed_to_the_subject(text: str) -> None:
    item = {"id": "2603.00001", "title": f"\u202e{text} \u200b\u200d", "summary": text}
    paper, _ = read_item(item, CONTEXT)
    assert (paper.title, paper.abstract) == (text, text)
    card = a_card(title=paper.title, abstract=paper.abstract)
    rendered = render(replace(a_digest(0, 0), trending=(card,)), a_sender().imprint)
    assert headers.clean(rendered.subject) == text


@pytest.mark.parametrize("text", SEEN)
def test_what_joiners_show_stays_in_the_name_of_an_interest(text: str) -> None:
    draft = read_interest({"name": f"\u200b{text} \u200d", "phrases": ["larks"]})
    assert draft.name == text


@pytest.mark.parametrize("text", HIDING)
def test_what_joiners_hide_gets_neither_into_a_paper_nor_into_an_interest(text: str) -> None:
    plain = " ".join("".join(sign for sign in text if sign not in MAY_JOIN).split())
    assert clean_line(text, 200) == clean_text(text) == plain


@given(BEFORE_CLEANING, st.integers(2, 200))
def test_nothing_hidden_gets_into_a_paper_or_an_interest(text: str, limit: int) -> None:
    for clean in (clean_line(text, limit), clean_text(text)):
        assert not [one for one in clean if unicodedata.category(one)[0] == "C" and one not in MAY_JOIN]
        assert clean == without_stray_joiners(clean) == unicodedata.normalize("NFC", clean)
    assert clean_text(clean_text(text)) == clean_text(text)


@pytest.mark.parametrize("pair", ["\u0301\u200d", "\u064e\u200c"])
def test_thousands_of_joiners_among_marks_take_no_minutes(pair: str) -> None:
    """A form takes 128 KB, an abstract 40,000 signs: each joiner looked at all marks before it."""
    text = "ک" + pair * 16_000 + "ه"
    began = time.process_time()
    for clean in (clean_line(text, 10_000), clean_text(text)):
        assert without_stray_joiners(clean) == clean
    assert time.process_time() - began < 10


@pytest.mark.parametrize("pair", ["\u0301\u0334", "\u0301\u200d\u0334"])
def test_thousands_of_marks_upon_one_letter_are_not_sorted(pair: str) -> None:
    """A form takes 128 KB: to put its marks in order held up a whole process for seconds."""
    began = time.process_time()
    for clean in (clean_line("x" + pair * 25_000 + "y", 20_000), clean_text("x" + pair * 25_000 + "y")):
        assert clean == "x" + "\u0334" * 15 + "\u0301" * 15 + "y" * clean.endswith("y")
    assert time.process_time() - began < 1


def test_a_name_cut_short_ends_in_no_joiner() -> None:
    phrase = "x" * (LONGEST_NAME - 3) + SEEN[0]
    name = name_of(InterestDraft(name="", phrases=(phrase,)))
    assert len(name) == LONGEST_NAME - 1
    assert name.endswith("x\U0001f468…")
