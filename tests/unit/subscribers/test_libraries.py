"""Files of reference managers: what is read, what is told by line, and that no file stops or exhausts us."""

import contextlib
import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.subscribers.libraries.reading import name_of_file, read_library
from service.subscribers.libraries.values import MOST_BYTES, MOST_ITEMS, Item, Library, UnreadableLibrary

BIBTEX = r"""
% exported by hand; a stray @ in a comment
@string{conf = "Proceedings of "}
@preamble{"\newcommand{\noopsort}[1]{}" # conf}
@comment{jabref-meta: databaseType:bibtex;}
@inproceedings{hu2021,
  title = {The {LoRA} of {\"U}mlauts and \'{e}tudes: \emph{fast} \& $O(n)$},
  abstract = "We {"quote"} things -- \textbf{twice}",
  booktitle = conf # "something" # { else},
  year = 2021, archivePrefix = {arXiv}, eprint = {2106.09685v2}, primaryClass={cs.CL} }
@article{scholar, title = "Google Scholar's way", journal={arXiv preprint arXiv:1706.03762}, year={2017}}
@article{dblp, title={DBLP's way}, journal={CoRR}, volume={abs/1810.04805}, year=2018}
@article(old, title={In parentheses}, url={https://arxiv.org/abs/hep-th/9901001v3}, year=1999)
@inproceedings{child, title={A child}, crossref={proc}}
@proceedings{proc, title={Its parent}, year=2019}
@article{broken, title={No closing brace, year = 2020,
  author = "x"
}
@article{nokomma title={Missing comma}}
@misc{untitled, year=2018}
@article{dup1, title={Said twice}, doi={10.48550/arXiv.2401.00001}}
@article{dup2, title={Said twice, again}, note={arXiv:2401.00001}, abstract={Told here.}}
@article{notarxiv, title={Another archive}, eprint={2401.00002}, eprinttype={hal}, year=2000}
@article{last, title={Unclosed at the end"""


def read(text: str | bytes) -> Library:
    return read_library(text.encode() if isinstance(text, str) else text)


def by_title(library: Library) -> dict[str, Item]:
    return {item.title: item for item in library.items}


def test_bibtex_as_people_have_it() -> None:
    library = read(BIBTEX)

    assert library.format == "BibTeX"
    items = by_title(library)
    assert items["The LoRA of Ümlauts and études: fast & O(n)"] == Item(
        title="The LoRA of Ümlauts and études: fast & O(n)",
        abstract='We "quote" things – twice',  # noqa: RUF001
        paper_id="2106.09685",
        added="2021",
    )
    assert {title: item.paper_id for title, item in items.items() if item.paper_id} == {
        "The LoRA of Ümlauts and études: fast & O(n)": "2106.09685",
        "Google Scholar's way": "1706.03762",
        "DBLP's way": "1810.04805",
        "In parentheses": "hep-th/9901001",
        "Said twice, again": "2401.00001",
    }
    assert items["A child"].added == "2019"  # from what it refers to
    assert library.repeated == 1
    assert [item.title for item in library.items][:2] == [
        "The LoRA of Ümlauts and études: fast & O(n)",
        "Its parent",
    ]
    assert {problem.where for problem in library.problems} == {"line 16", "line 19", "line 20", "line 24"}
    assert library.abstract_count == 2


def test_a_broken_entry_costs_itself_alone() -> None:
    good = "\n@article{k%d, title={Good %d}}\n"
    text = (
        good % (1, 1)
        + "@article{bad, title={Open {{ brace}\n"
        + good % (2, 2)
        + '@a{q, title="open}\n'
        + good % (3, 3)
    )

    library = read(text)

    assert set(by_title(library)) == {"Good 1", "Good 2", "Good 3"}
    assert [problem.where for problem in library.problems] == ["line 3", "line 6"]


RIS = """TY  - JOUR
TI  - A title that
      goes on
AB  - What it says.
UR  - https://arxiv.org/abs/2401.01234v2
DA  - 2024/01/03
ER  -
TY  - JOUR
T1  - Without an end
TY  - JOUR
AB  - no title
ER  -
"""
ZOTERO_CSV = (
    '"Key","Item Type","Publication Year","Author","Title","DOI","Url","Abstract Note","Date Added","Extra"\n'
    '"A1","preprint","2023","Lark, Ada","A <i>marked</i> title","","","Two\nlines.","2024-05-01 10:00:00",'
    '"arXiv:2305.01234 [cs]"\n'
    '"A2","attachment","","","Snapshot","","","","2024-05-02",""\n'
    '"A3","journalArticle","2020","Wren, Ben","Newer here","10.1000/1","","","2024-06-01 10:00:00",""\n'
    '"A4","journalArticle","2020","","","","","","",""\n'
)
S2_CSV = (
    "Title,Authors,Year,Abstract,URL,arXiv ID\nSemantic one,Ada,2024,It says,https://x.example,2402.00001\n"
)
CSL = json.dumps(
    [
        {"type": "article", "title": "CSL one", "abstract": "Says.", "issued": {"date-parts": [[2022, 3]]},
         "URL": "http://arxiv.org/abs/2203.00001"},
        {"type": "article", "title": "Other", "externalIds": {"ArXiv": "2203.00002"}},
        "nonsense",
        {"title": 3, "abstract": None},
    ]
)  # fmt: skip
BETTER = json.dumps({"items": [{"itemType": "preprint", "title": "Better one", "abstractNote": "Says.",
                                "extra": "arXiv:2203.00003", "dateAdded": "2024-01-01T00:00:00Z"},
                               {"itemType": "note", "note": "<p>x</p>"}]})  # fmt: skip
RDF = """<?xml version="1.0"?>
<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#" xmlns:z="http://www.zotero.org/namespaces/export#"
 xmlns:dcterms="http://purl.org/dc/terms/" xmlns:bib="http://purl.org/net/biblio#"
 xmlns:dc="http://purl.org/dc/elements/1.1/">
 <bib:Article rdf:about="http://arxiv.org/abs/2203.00004"><z:itemType>journalArticle</z:itemType>
  <dc:title>RDF one</dc:title><dcterms:abstract>Says.</dcterms:abstract><dc:date>2022</dc:date></bib:Article>
 <z:Attachment rdf:about="#item_2"><z:itemType>attachment</z:itemType><dc:title>PDF</dc:title></z:Attachment>
</rdf:RDF>"""


@pytest.mark.parametrize(
    ("text", "format_", "titles", "papers", "problems"),
    [
        (RIS, "RIS", ["A title that goes on", "Without an end"], ["2401.01234"], ["line 8", "line 10"]),
        (ZOTERO_CSV, "CSV", ["Newer here", "A marked title"], ["2305.01234"], ["line 6"]),
        (S2_CSV, "CSV", ["Semantic one"], ["2402.00001"], []),
        (S2_CSV.replace(",", "\t"), "CSV", ["Semantic one"], ["2402.00001"], []),
        (CSL, "JSON", ["CSL one", "Other"], ["2203.00001", "2203.00002"], ["entry 3", "entry 4"]),
        (BETTER, "JSON", ["Better one"], ["2203.00003"], []),
        (RDF, "Zotero RDF", ["RDF one"], ["2203.00004"], []),
        ("2401.01234v2\nhf.co/papers/2401.01235\nno", "list", None, ["2401.01235", "2401.01234"], ["line 3"]),
    ],
)  # fmt: skip
def test_other_programs(
    text: str, format_: str, titles: list[str] | None, papers: list[str], problems: list[str]
) -> None:
    library = read(text)

    assert library.format == format_
    assert titles is None or [item.title for item in library.items] == titles
    assert [item.paper_id for item in library.items if item.paper_id] == papers
    assert [problem.where for problem in library.problems] == problems


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "empty"),
        (b"   \n", "empty"),
        (b"hello world", "can't tell"),
        (b"name,year\na,b", "can't tell|no entry"),
        (b"PK\x03\x04" + bytes(range(256)), "can't tell"),
        (b"%PDF-1.7 \xff\xfe", "can't tell"),
        (b"{", "line 1"),
        (b"[" * 100_000, "can't be read"),
        (b"<html><body>x</body></html>", "not Zotero"),
        (b"<rdf", "line 1"),
        (b"[]", "no entry"),
        (b"@article{a, title={}}", "line 1.*no title"),
        (b"x" * (MOST_BYTES + 1), "larger than 4 MB"),
        (b'<!DOCTYPE x [<!ENTITY a "b"><!ENTITY c "&a;&a;">]><rdf>&c;</rdf>', "entities"),
        (b'<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><rdf>&a;</rdf>', "entities"),
    ],
)
def test_what_is_no_library_is_refused_in_words(data: bytes, words: str) -> None:
    with pytest.raises(UnreadableLibrary, match=words):
        read_library(data)


def test_encodings_and_hidden_signs() -> None:
    text = "@article{a, title={Grüße\u202e <script>alert(1)</script>}}"

    titles = [
        read_library(text.encode(encoding)).items[0].title for encoding in ("utf-8-sig", "utf-16")
    ]  # with their marks
    assert set(titles) == {"Grüße <script>alert(1)</script>"}
    assert read_library("@a{a,title={Grüße an NUL\x00}}".encode("cp1252")).items[0].title == "Grüße an NUL"


def test_a_long_library_keeps_its_latest_items() -> None:
    entries = (
        f"@article{{k{n}, title={{Number {n}}}, year={1990 + n % 30}}}" for n in range(MOST_ITEMS + 500)
    )

    library = read("\n".join(entries))

    assert (len(library.items), library.left_out) == (MOST_ITEMS, 500)
    assert [item.added for item in library.items] == sorted((i.added for i in library.items), reverse=True)


@pytest.mark.parametrize(
    "text",
    [
        "@article{k, title={" + "{" * 3_000_000,
        "@" * 3_000_000,
        "@a{" * 1_000_000,
        '@string{a="' + "x" * 900 + '"}\n' + "@string{b=a#a#a#a}@string{a=b#b#b#b}" * 5_000 + "@a{k,title=a}",
        "@comment{" * 400_000,
        "@a{b,c={" * 400_000,
        "\n@a{b,c={" * 100_000,
        "@article{x,title=" + "a #" * 900_000,
        "TY  - A\n" * 300_000,
        "TY  - A\nTI  - abc\n" + "b\n" * 1_900_000,
        "title\n" + '"' * 3_000_000,
        "title\n" + '"a\n' * 500_000,
        "[" + '{"title":"x"},' * 100_000 + "{}]",
        "arxiv " * 500_000,
    ],
)
def test_no_file_exhausts_us(text: str) -> None:
    """Processor time grows with the size, whatever stands in it; the bound is for the slowest of machines."""
    start = time.process_time()
    with contextlib.suppress(UnreadableLibrary):
        read(text)
    assert time.process_time() - start < 15


def test_lines_outside_the_entries_of_a_ris_file_are_passed_over() -> None:
    first = "TY  - JOUR\nTI  - The first\n  goes on\nER  - \n"
    text = f"PB  - Stray\ngoes on\n{first}PB  - Stray\ngoes on\nTY  - JOUR\nTI  - The next\nER  - \n"

    assert {item.title for item in read(text).items} == {"The first goes on", "The next"}


PIECES = st.sampled_from(
    [
        "@article{",
        "@string{",
        "title",
        "=",
        "{",
        "}",
        '"',
        ",",
        "#",
        "\n",
        "\\",
        "a",
        "(",
        ")",
        "TY  - ",
        "ER  - ",
    ]
)


@given(st.lists(PIECES, max_size=30).map("".join) | st.text(max_size=60))
def test_any_file_is_read_or_refused(text: str) -> None:
    try:
        library = read(text.encode("utf-8", "replace"))
    except UnreadableLibrary:
        return
    assert all(item.title for item in library.items)


@pytest.mark.parametrize(
    ("filename", "name"),
    [
        ("My_Library.bib", "My Library"),
        ("C:\\Users\\ann\\zotero.rdf", "zotero"),
        ("../../etc/passwd", "passwd"),
        ("a\u202eb.csv", "ab"),
        ("", "My library"),
        (None, "My library"),
        ("x" * 200 + ".bib", "x" * 80),
    ],
)
def test_names_come_from_files(filename: str | None, name: str) -> None:
    assert name_of_file(filename) == name
