"""Which papers hold a muted word, and which lines would show one."""

import re
from collections.abc import Iterable

import numpy as np

from service.ranking.corpus import Corpus, Mask
from service.ranking.text import fold, plain, words


def muted(corpus: Corpus, mutes: Iterable[str]) -> Mask:
    """Mark the candidates that show any of ``mutes`` in any part, as whole words; case and accents alike."""
    found = np.zeros(corpus.count, bool)
    for mute in set(mutes):
        found |= _holding(corpus, mute)
    return found


def shows_muted(text: str, mutes: Iterable[str]) -> bool:
    """Say whether ``text`` shows any of ``mutes``, by the same rule as :func:`muted`."""
    forms = [plain(word) for word in words(text)]
    for mute in mutes:
        sought = [plain(word) for word in words(mute)]
        if not sought:
            if _mark(mute) and _mark(mute) in fold(text):
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
    forms = [plain(word) for word in words(mute)]
    if not forms:
        if mark := _mark(mute):  # a sign such as an emoji is no word; look for it as it stands
            found[:] = [_has_mark(paper, mark) for paper in corpus.candidates]
        return found
    numbers = [corpus.plain_numbers.get(form) for form in forms]
    if None not in numbers:
        holders = corpus.paper_at[corpus.plain_postings.phrase([one for one in numbers if one is not None])]
        found[holders[holders < corpus.count]] = True
    return found


def _mark(mute: str) -> str:
    return re.sub(r"\s+", " ", fold(mute)).strip()


def _has_mark(paper: object, mark: str) -> bool:
    from dataclasses import fields

    for one in fields(paper):  # type: ignore[arg-type]
        value = getattr(paper, one.name)
        texts = value if isinstance(value, tuple) else (value,)
        if any(isinstance(text, str) and mark in fold(text) for text in texts):
            return True
    return False
