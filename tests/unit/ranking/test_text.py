"""Words, names and mutes: what folds together, and what must not."""

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.ranking.corpus import Corpus
from service.ranking.muting import muted, shows_muted
from service.ranking.names import may_be_same, name_key, parse_name
from service.ranking.text import fold, stem, words
from service.ranking.tokens import parts
from service.ranking.values import Candidate


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Text-to-Image", ["text", "to", "image"]),
        ("Schrödinger's Köln", ["schrodinger", "s", "koln"]),
        ("C++ and C#, c", ["c++", "and", "c#", "c"]),
        ("GP\u200bT-4 ﬁne", ["gpt", "4", "fine"]),
        ("扩散模型 v2", ["扩", "散", "模", "型", "v2"]),
        ("$\\pi_0$ at 3.5%", ["pi", "0", "at", "3", "5"]),
        ("…", []),
    ],
)
def test_words_are_folded_and_parted_by_marks(text: str, expected: list[str]) -> None:
    assert words(text) == expected


@pytest.mark.parametrize(
    "family",
    [
        "planning planned plan plans",
        "tuning tuned tune tunes",
        "quantization quantisation quantize quantized quantizer",
        "generation generative generate generated generating",
        "embeddings embedding embedded embed",
        "modelling modeling models modeled",
        "policies policy",
        "batches batch",
        "caches cache caching",
    ],
)
def test_one_family_has_one_stem(family: str) -> None:
    assert len({stem(word) for word in family.split()}) == 1


@pytest.mark.parametrize(
    ("left", "right"),
    [("planning", "plane"), ("plan", "planet"), ("agent", "agency"), ("news", "new"), ("lens", "len")],
)
def test_other_words_keep_other_stems(left: str, right: str) -> None:
    assert stem(left) != stem(right)


@given(st.text(max_size=60))
def test_folding_twice_changes_nothing_more(text: str) -> None:
    assert fold(fold(text)) == fold(text)
    assert words(fold(text)) == words(text)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("Yann LeCun", "LeCun, Yann"),
        ("Y. LeCun", "Yann LeCun"),
        ("Christopher D. Manning", "Christopher Manning"),
        ("Jürgen Schmidhuber", "Jurgen Schmidhuber"),
        ("Jean-Luc Picard", "J.-L. Picard"),
        ("Robert Downey Jr.", "Robert Downey"),
        ("Smith, John, Jr.", "John Smith"),
        ("Laurens van der Maaten", "L. van der Maaten"),
    ],
)
def test_spellings_of_one_name_meet(left: str, right: str) -> None:
    assert may_be_same(parse_name(left), parse_name(right))
    assert may_be_same(parse_name(right), parse_name(left))


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("Yann LeCun", "Yoshua LeCun"),
        ("Jane Smith", "Jane Smithson"),
        ("Wei Wang", "Wang"),
        ("John A. Smith", "John B. Smith"),
        ("", "Jane Smith"),
    ],
)
def test_other_people_stay_apart(left: str, right: str) -> None:
    assert not may_be_same(parse_name(left), parse_name(right))


def test_name_key_joins_initials_and_accents() -> None:
    assert name_key("J. Müller") == name_key("Muller, Jan") != name_key("K. Müller")


LETTERS = "abeGgoPrtTÉéß -"
PLAIN_TEXT = st.text(LETTERS, max_size=30)
PAPERS = st.builds(
    lambda title, abstract, summary, keywords, authors, organization, shown: Candidate(
        id="2601.00001",
        title=title,
        abstract=abstract,
        summary=summary,
        keywords=tuple(keywords),
        authors=tuple(authors),
        categories=("cs.CV",),
        organization=organization,
        shown=tuple(shown),
    ),
    PLAIN_TEXT,
    PLAIN_TEXT,
    PLAIN_TEXT,
    *(st.lists(PLAIN_TEXT, max_size=2) for _ in range(2)),
    st.none() | PLAIN_TEXT,
    st.lists(PLAIN_TEXT, max_size=1),
)


def _bare(text: str) -> str:
    """Fold case and accents by other means than the code under test."""
    parted = unicodedata.normalize("NFKD", text.casefold())
    return "".join(one for one in parted if not unicodedata.combining(one))


def _stands_in(mute: str, text: str) -> bool:
    bare = _bare(mute).strip()
    return bool(bare) and re.search(rf"(?<!\w){re.escape(bare)}(?!\w)", _bare(text)) is not None


@given(PAPERS, st.text(LETTERS, min_size=1, max_size=6))
def test_a_paper_that_shows_a_muted_word_anywhere_is_marked(paper: Candidate, mute: str) -> None:
    marked = bool(muted(Corpus.build([paper]), [mute])[0])
    if words(mute) and any(_stands_in(mute, text) for _, text in parts(paper)):
        assert marked
    if words(mute):
        assert marked == any(shows_muted(text, [mute]) for _, text in parts(paper))


def a_paper(**changes: object) -> Candidate:
    """Make a paper about retrieval by an author of organisations."""
    given: dict[str, object] = {
        "id": "2601.00001",
        "title": "Fragment storage for LLMs",
        "abstract": "We study video-to-text models.\nNew lenses.",
        "summary": "Retrieval-augmented generation.",
        "keywords": ("knowledge graph", "Köln corpus"),
        "categories": ("cs.CV",),
        "authors": ("Ada Lark",),
        "organization": "Nest Labs",
        "shown": ("https://github.com/nest/owl-bench",),
    }
    return Candidate(**(given | changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "mute",
    [
        "video",
        "VIDEO",
        "llm",
        "LLMs",
        "koln",
        "cs.CV",
        "Lark",
        "nest labs",
        "knowledge graphs",
        "owl",
        "augmented generation",
        "video to text",
        "2601.00001",
    ],
)
def test_mutes_look_everywhere_a_reader_does(mute: str) -> None:
    assert muted(Corpus.build([a_paper()]), [mute])[0]


@pytest.mark.parametrize("mute", ["rag", "frag", "news", "graph köln", "text models new lens generation"])
def test_mutes_take_whole_words_within_one_part(mute: str) -> None:
    assert not muted(Corpus.build([a_paper()]), [mute])[0]


def test_a_sign_can_be_muted() -> None:
    corpus = Corpus.build([a_paper(title="Great 🚀 results"), a_paper(id="2601.00002")])
    assert muted(corpus, ["🚀"]).tolist() == [True, False]
    assert muted(corpus, ["", "  "]).tolist() == [False, False]
