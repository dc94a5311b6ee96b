"""Which candidates are in a category, and which are by an author: by exact rules, not by likeness."""

import re
from collections.abc import Sequence

import numpy as np

from service.ranking.corpus import Corpus, Mask
from service.ranking.names import Name, may_be_same, parse_name

_CATEGORY = re.compile(r"[a-z-]+(?:\.(?:[a-z-]+|\*))")


def is_category(text: str) -> bool:
    """Say whether a text is a category's code or all of an archive ("cs.CV", "cs.*"), not words."""
    return bool(_CATEGORY.fullmatch(text.strip().lower()))


def category_key(category: str) -> str:
    """Give the form by which categories are compared; "cs.*" and "cs" are one."""
    return category.strip().lower().removesuffix(".*")


def in_categories(corpus: Corpus, categories: Sequence[str]) -> Mask:
    """Mark the candidates in one of ``categories``; an archive ("cs", "cs.*") holds all of its own.

    Codes are taken as folded: papers and interests come with arXiv's aliases resolved.
    """
    found = np.zeros(corpus.count, np.bool_)
    members = corpus.kept.get("categories")
    if members is None:
        members = corpus.kept["categories"] = _members(corpus)
    for category in categories:
        found[members.get(category_key(category), [])] = True
    return found


def by_authors(corpus: Corpus, authors: Sequence[str]) -> Mask:
    """Mark the candidates by one of ``authors``, as far as names can tell."""
    found = np.zeros(corpus.count, np.bool_)
    if not authors:
        return found
    families = corpus.kept.get("authors")
    if families is None:
        families = corpus.kept["authors"] = _families(corpus)
    for author in authors:
        name = parse_name(author)
        for place, other in families.get(name[-1:], ()):
            if may_be_same(name, other):
                found[place] = True
    return found


def _members(corpus: Corpus) -> dict[str, list[int]]:
    members: dict[str, list[int]] = {}
    for place, paper in enumerate(corpus.candidates):
        codes = {category_key(one) for one in paper.categories}
        for code in codes | {one.split(".")[0] for one in codes}:
            members.setdefault(code, []).append(place)
    return members


def _families(corpus: Corpus) -> dict[Name, list[tuple[int, Name]]]:
    families: dict[Name, list[tuple[int, Name]]] = {}
    for place, paper in enumerate(corpus.candidates):
        for author in paper.authors:
            name = parse_name(author)
            families.setdefault(name[-1:], []).append((place, name))
    return families
