"""Which papers hold a muted word, and which lines would show one."""

import re
from collections.abc import Iterable

import numpy as np

from service.ranking.corpus import Corpus, Mask
from service.ranking.text import fold, plain, words
from service.ranking.tokens import parts


def muted(corpus: Corpus, mutes: Iterable[str]) -> Mask:
    """Mark the candidates that show any of ``mutes`` in any part, as whole words; case and accents alike."""
    found = np.zeros(corpus.count, bool)
    for mute in set(mutes):
        found |= _holding(corpus, mute)
    return found


def shows_muted(text: str, mutes: Iterable[str]) -> bool:
    """Say whether ``text`` shows any of ``mutes``, by the same rule as :func:`muted`."""
    forms: list[str] | None = None
    for mute in mutes:
        forms = _forms(text) if forms is None else forms
        sought = _forms(mute)
        if not sought:
            if _mark(mute) and _mark(mute) in _mark(text):
                return True
            continue
        size = len(sought)
        if any(forms[place : place + size] == sought for place in range(len(forms) - size + 1)):
            return True
    return False


def _holding(corpus: Corpus, mute: str) -> Mask:
    kept = corpus.kept.setdefault("mutes", {})
    if mute not in kept:
        kept[mute] = _search(corpus, mute)
    return kept[mute]  # type: ignore[no-any-return]


def _search(corpus: Corpus, mute: str) -> Mask:
    found = np.zeros(corpus.count, bool)
    forms = _forms(mute)
    if not forms:
        if mark := _mark(mute):  # a sign such as an emoji is no word; look for it as it stands
            found[:] = [any(mark in _mark(text) for _, text in parts(paper)) for paper in corpus.candidates]
        return found
    numbers = [corpus.plain_numbers.get(form) for form in forms]
    if None not in numbers:
        holders = corpus.paper_at[corpus.plain_postings.phrase([one for one in numbers if one is not None])]
        found[holders[holders < corpus.count]] = True
    return found


def _forms(text: str) -> list[str]:
    return [plain(word) for word in words(text)]


def _mark(text: str) -> str:
    return re.sub(r"\s+", " ", fold(text)).strip()
