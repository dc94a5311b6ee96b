"""An interest finds what it names, and says truly why."""

import pytest

from service.ranking.corpus import Corpus
from service.ranking.matching import match, reasons
from service.ranking.values import Candidate, Interest


def a_corpus(*texts: str, **changes: object) -> Corpus:
    """Make a corpus with one paper for each title, or "title | abstract"."""
    papers = []
    for number, text in enumerate(texts, 1):
        title, _, abstract = text.partition("|")
        papers.append(
            Candidate(id=f"2601.{number:05}", title=title.strip(), abstract=abstract.strip(), **changes)  # type: ignore[arg-type]
        )
    return Corpus.build(papers)


def order(corpus: Corpus, interest: Interest) -> list[int]:
    """Give the numbers of the papers that match, best first."""
    scores = match(corpus, interest).scores
    return [int(place) + 1 for place in (-scores).argsort(kind="stable") if scores[place] > 0]


def phrases(*given: str, **more: object) -> Interest:
    return Interest(name="Test", phrases=given, **more)  # type: ignore[arg-type]


def test_words_side_by_side_count_more_than_scattered_ones() -> None:
    corpus = a_corpus(
        "Owls | The tool is of use. Some use of every tool.",
        "Owls | Models learn tool use here.",
        "Owls | Nothing of the kind.",
        "Tool use | Owls.",
        "Owls | A tool for many things that no owl has ever seen in the woods. There is no use.",
    )
    assert order(corpus, phrases("tool use")) == [4, 2]


def test_words_close_together_in_the_title_are_enough() -> None:
    far = "Tools | A long way off are all those many other things that one may well be planning"
    corpus = a_corpus("Planning with a new tool", far)
    assert order(corpus, phrases("tool planning")) == [1]
    assert reasons(corpus, phrases("tool planning"), 0) == ("matches 'Test': tool … planning",)


@pytest.mark.parametrize(
    ("phrase", "text"),
    [
        ("fine-tuning", "Finetuned owls"),
        ("finetuning", "Fine-tuning owls"),
        ("pretraining data", "Pre-training data for owls"),
        ("pre-training", "Pretrained owls"),
        ("chain of thought", "Chain-of-Thought owls"),
        ("LLM agents", "An LLM agent"),
        ("3D reconstruction", "3D reconstructions"),
        ("café", "A CAFE"),
        ("扩散模型", "关于扩散模型的研究"),
    ],
)
def test_spellings_of_a_phrase_meet(phrase: str, text: str) -> None:
    assert order(a_corpus(text, "Larks"), phrases(phrase)) == [1]


def test_a_description_needs_most_of_its_words() -> None:
    wish = phrases("LoRA adapters for efficient small language models on phones")
    corpus = a_corpus(
        "LoRA for phones | Efficient small language models with adapters.",
        "Language models | They are efficient.",
        *["Owls in the woods"] * 10,
    )
    assert order(corpus, wish) == [1]


def test_the_title_counts_more_than_the_abstract_and_rare_phrases_more_than_common_ones() -> None:
    corpus = a_corpus("Planning | Owls", "Owls | Planning", "Owls | owls planning rare bird", "Owls")
    assert order(corpus, phrases("planning"))[0] == 1
    assert order(corpus, phrases("planning", "rare bird"))[0] == 3


def test_reasons_give_the_words_as_the_paper_has_them() -> None:
    corpus = a_corpus("Planned owls | We use tools: tool use, LLM agents.", "Larks")
    wish = Interest(name="Agents", phrases=("planning", "tool use", "llm agent", "video"))
    (line,) = reasons(corpus, wish, 0)
    assert line.startswith("matches 'Agents': ")
    assert set(line.removeprefix("matches 'Agents': ").split(", ")) == {"planned", "tool use", "llm agents"}
    assert reasons(corpus, wish, 1) == ()


def test_authors_come_first_whatever_the_spelling() -> None:
    papers = [
        Candidate(id="2601.00001", title="Planning planning", authors=("Bo Wren",)),
        Candidate(id="2601.00002", title="Owls", authors=("X Y", "A. Lárk")),
    ]
    corpus = Corpus.build(papers)
    wish = phrases("planning", authors=("Lark, Ada",))
    assert order(corpus, wish) == [2, 1]
    assert reasons(corpus, wish, 1) == ("by A. Lárk, an author you follow",)


def test_categories_match_whole_codes_and_archives() -> None:
    papers = [
        Candidate(id=f"2601.0000{number}", title="Owls", categories=codes)
        for number, codes in enumerate([("cs.CV",), ("cs.CL", "stat.ML"), ("math.CO",), ()], 1)
    ]
    corpus = Corpus.build(papers)
    assert order(corpus, Interest(name="V", categories=("CS.cv",))) == [1]
    assert order(corpus, Interest(name="V", categories=("cs.*",))) == [1, 2]
    assert order(corpus, Interest(name="V", categories=("stat", "math.CO"))) == [2, 3]
    assert order(corpus, Interest(name="V", categories=("c",))) == []
    assert reasons(corpus, Interest(name="V", categories=("stat",)), 1) == ("matches 'V': stat.ML",)


def test_examples_find_their_like_and_are_named() -> None:
    example = Candidate(
        id="2501.00001", title="Gaussian splatting of night scenes", abstract="Splats of owls at night."
    )
    papers = [
        Candidate(id="2601.00001", title="Night scenes by gaussian splatting", abstract="Splats, at night."),
        Candidate(id="2601.00002", title="Language models of trade", abstract="Prices, mostly."),
        *(
            Candidate(id=f"2602.0000{n}", title=f"Other thing {n}", abstract="Words of no account")
            for n in range(5)
        ),
    ]
    corpus = Corpus.build(papers, examples=[example])
    wish = Interest(name="Mine", examples=("2501.00001", "2401.00009"))
    assert order(corpus, wish) == [1]
    assert reasons(corpus, wish, 0) == ("similar to Gaussian splatting of night scenes",)


def test_an_empty_interest_and_an_empty_corpus_match_nothing() -> None:
    assert order(a_corpus("Owls"), Interest(name="Nothing")) == []
    assert order(a_corpus("Owls"), phrases("", "—", "the")) == []
    assert order(Corpus.build([]), phrases("owls", authors=("Ada Lark",), examples=("2601.00001",))) == []
