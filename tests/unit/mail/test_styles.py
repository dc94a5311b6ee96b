"""Styles set inline in templates, judged by css-inline on what they render."""

import re
from pathlib import Path

import css_inline
import pytest

from service.mail import templates
from service.mail.styles import inline, read_sheet
from tests.unit.mail.letter_samples import a_digest, a_sender, every_letter

SHEET = (Path(templates._folder()) / "_base" / "styles.css").read_text()
STYLE = re.compile(r' style="([^"]*)"')
RULE = re.compile(r"\s*([a-z-]+)\s*:\s*([^;]+?)\s*(?:;|$)")


def declarations(html: str) -> list[dict[str, str]]:
    """Return what each style attribute declares, in order of the document."""
    return [
        {
            name: re.sub(r",\s+", ",", value.replace('"', "'"))
            for name, value in RULE.findall(style.replace("&quot;", "'"))
        }
        for style in STYLE.findall(html)
    ]


@pytest.mark.parametrize("letter", [*every_letter(), a_digest(notice="x", is_first=True)])
def test_each_element_gets_what_the_sheet_says(letter: object) -> None:
    html = templates.render(letter, a_sender().imprint).html
    bare = STYLE.sub("", html)
    judge = css_inline.CSSInliner(load_remote_stylesheets=False, extra_css=SHEET)
    assert declarations(html) == declarations(judge.inline(bare))
    assert len(declarations(html)) > 10


def test_a_class_wins_over_its_element_wherever_it_stands() -> None:
    sheet = read_sheet("/* why */ .a, .b { color: red; } p { color: blue; margin: 0; } .b { margin: 1px; }")
    styled = '<p class="b a" style="color:red;margin:1px">'
    assert inline('<p class="b a">x</p><i class="c">', sheet) == f'{styled}x</p><i class="c">'


def test_a_longhand_stays_behind_the_shorthand_that_would_undo_it() -> None:
    sheet = read_sheet("p { font-size: 1px; font: 2px/1.5 'A b',  serif; } .a { font-size: 3px; }")
    assert inline('<p class="a">', sheet) == '<p class="a" style="font:2px/1.5 \'A b\',serif;font-size:3px">'
    sheet = read_sheet("p { font-size: 1px; } .a { font: 2px serif; }")
    assert inline('<p class="a">', sheet) == '<p class="a" style="font-size:1px;font:2px serif">'


@pytest.mark.parametrize("css", ["p > a { color: red; }", "a:hover { color: red; }", 'p { font: "x"; }'])
def test_what_a_tag_alone_cannot_decide_is_refused(css: str) -> None:
    with pytest.raises(ValueError, match="inline"):
        read_sheet(css)


def test_a_tag_with_a_style_of_its_own_is_refused() -> None:
    with pytest.raises(ValueError, match="two styles"):
        inline('<p style="margin: 0">', read_sheet("p { margin: 1px; }"))
