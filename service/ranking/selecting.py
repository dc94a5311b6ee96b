"""Which papers a person gets: a list of what trends and a list of what fits, with reasons."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from service.ranking import matching
from service.ranking.corpus import Corpus, Ints, Mask
from service.ranking.muting import muted, shows_muted
from service.ranking.names import name_key
from service.ranking.turns import SAME_AUTHOR_LIMIT, Order, choose, take_turns
from service.ranking.values import Interest, Profile, Ranked, Selection, Trend

FORMULA = "ranking-1"  # raise when the same papers and profile would be ranked otherwise

TRENDING_SHARE = 0.4
TRENDING_LEAST = 3  # where that is at most half of the count
INTERESTS_NAMED = 2
MOST_WEIGHT = 0.99  # of an interest: below 1, where the next turn begins
CHUNK = 1024  # people worked out together: bounds memory
LIKED = "papers you liked"


def rank(profile: Profile, corpus: Corpus, trends: Mapping[str, Trend]) -> list[Ranked]:
    """Order every candidate that is new to one person and not muted, best first.

    True matches of the interests come first, in turns, then the others by their words in common and trend.
    A paper the person has named (an example, liked, disliked) is not new.
    """
    ranking = _Ranking(corpus, trends)
    hidden, held = ranking.hidden([profile]), ranking.held(profile)
    keys = take_turns([[(one.order, one.weight) for one in held]], hidden, ranking.worse([profile]))[0]
    hints = np.max([one.hints for one in held], axis=0) if held else np.zeros(corpus.count)
    scores = np.where(keys > 0, 1 + keys, 0.5 * hints + 0.49 * ranking.heat)
    order = np.lexsort((-np.arange(corpus.count), -ranking.heat, -scores))
    person = _Person(profile, held, _mutes(profile))
    return [
        ranking.ranked(person, place, float(scores[place]), leading_trend=keys[place] == 0)
        for place in order.tolist()
        if not hidden[0, place]
    ]


def select(
    profiles: Sequence[Profile], corpus: Corpus, trends: Mapping[str, Trend], *, counts: Sequence[int]
) -> list[Selection]:
    """Choose for each profile at most its count of papers, in two lists that share none.

    About two fifths are trending, the rest are true matches of the interests; where there are too few of
    either, the other list is longer.
    """
    ranking = _Ranking(corpus, trends)
    selections: list[Selection] = []
    for start in range(0, len(profiles), CHUNK):
        chunk = slice(start, start + CHUNK)
        selections += ranking.select(profiles[chunk], counts[chunk])
    return selections


def trending_count(count: int) -> int:
    """Say how many of ``count`` papers are kept for what trends."""
    return max(round(TRENDING_SHARE * count), min(TRENDING_LEAST, count // 2))


@dataclass(frozen=True, slots=True)
class _Held:
    """An interest as one person holds it; ``number`` is the same for the same interest of others."""

    number: int
    interest: Interest
    order: Order
    hints: npt.NDArray[np.float32]
    weight: float = MOST_WEIGHT

    def weighing(self, weight: float) -> Self:
        """Give the same with another weight."""
        if weight == self.weight:
            return self
        return type(self)(self.number, self.interest, self.order, self.hints, weight)


@dataclass(frozen=True, slots=True)
class _Person:
    profile: Profile
    held: list[_Held]
    mutes: tuple[str, ...]

    def holders(self, place: int) -> list[_Held]:
        """Give the interests that match a paper, the one in which it stands highest first."""
        found = [
            (-one.weight / (2 * at + 1), turn, one)
            for turn, one in enumerate(self.held)
            if (at := one.order.places.get(place)) is not None
        ]
        return [one for *_, one in sorted(found)]


class _Ranking:
    """One call's view of a corpus: what trends, orders of interests and reasons, each worked out once."""

    def __init__(self, corpus: Corpus, trends: Mapping[str, Trend]) -> None:
        self.corpus = corpus
        self.trends = trends
        known = [trends.get(paper.id) for paper in corpus.candidates]
        self.heat = np.array([one.score if one else 0.0 for one in known])
        self.first_authors = _first_authors(corpus)
        self._held: dict[object, _Held] = {}
        self._reasons: dict[tuple[int, int], tuple[str, ...]] = {}
        self._entries: dict[object, tuple[tuple[str, ...], str | None]] = {}

    def select(self, profiles: Sequence[Profile], counts: Sequence[int]) -> list[Selection]:
        people = [_Person(profile, self.held(profile), _mutes(profile)) for profile in profiles]
        hidden, many = self.hidden(profiles), np.array(counts, np.int64)
        hot = np.where(hidden, np.float32(0), self.heat.astype(np.float32))
        trending = choose(hot, many, self.first_authors)
        tops = [
            list_[: trending_count(count) if person.held else count]
            for list_, person, count in zip(trending, people, counts, strict=True)
        ]
        for row, top in enumerate(tops):
            hidden[row, top] = True
        orders = [[(one.order, one.weight) for one in person.held] for person in people]
        keys = take_turns(orders, hidden, self.worse(profiles))
        wanted = np.where(many > 0, many - [len(top) for top in tops] + SAME_AUTHOR_LIMIT, 0)
        fitting = choose(keys, wanted, self.first_authors, self.corpus.likeness.sketches[: self.corpus.count])
        return [
            self._assemble(person, row, *self._fill(top, fits, more, count))
            for person, row, top, fits, more, count in zip(
                people, keys, tops, fitting, trending, counts, strict=True
            )
        ]

    def held(self, profile: Profile) -> list[_Held]:
        """Give the interests of ``profile`` in force, and what was liked as one more."""
        held = [(self._hold(one), one.weight) for one in profile.interests if one.weight > 0]
        heaviest = max((weight for _, weight in held), default=1.0)
        if profile.liked:
            held.append((self._hold_liked(profile), heaviest))
        return [one.weighing(MOST_WEIGHT * weight / heaviest) for one, weight in held]

    def _hold(self, interest: Interest) -> _Held:
        key = (interest.name, interest.phrases, interest.categories, interest.authors, interest.examples)
        if key not in self._held:
            self._held[key] = self._new(interest, matching.match(self.corpus, interest))
        return self._held[key]

    def _hold_liked(self, profile: Profile) -> _Held:
        key = (profile.liked, profile.disliked)
        if key not in self._held:
            liked = Interest(name=LIKED, examples=profile.liked)
            found = matching.match_liked(self.corpus, profile.liked, profile.disliked)
            self._held[key] = self._new(liked, found)
        return self._held[key]

    def _new(self, interest: Interest, found: matching.Match) -> _Held:
        order = Order.of(found.scores, found.by_author, self.heat)
        return _Held(len(self._held), interest, order, found.hints)

    def hidden(self, profiles: Sequence[Profile]) -> Mask:
        """Mark what each person must not get: muted, seen before, or named by themselves."""
        corpus = self.corpus
        hidden = np.zeros((len(profiles), corpus.count), bool)
        for row, profile in enumerate(profiles):
            if mutes := _mutes(profile):
                hidden[row] = muted(corpus, mutes)
            named = {id_ for one in profile.interests for id_ in one.examples}.union(
                profile.liked, profile.disliked
            )
            known = (corpus.index.keys() & profile.seen) | (corpus.index.keys() & named)
            hidden[row, [place for id_ in known if (place := corpus.index[id_]) < corpus.count]] = True
        return hidden

    def worse(self, profiles: Sequence[Profile]) -> Mask | None:
        """Mark what is like something a person disliked; None where nobody disliked anything."""
        if not any(profile.disliked for profile in profiles):
            return None
        worse = np.zeros((len(profiles), self.corpus.count), bool)
        for row, profile in enumerate(profiles):
            if profile.disliked:
                worse[row] = matching.like_disliked(self.corpus, profile.liked, profile.disliked)
        return worse

    def _fill(
        self, top: list[int], fits: list[int], more: list[int], count: int
    ) -> tuple[list[int], list[int]]:
        """Join the lists up to ``count``, with at most two papers of one first author over both."""
        authors: Counter[int] = Counter()
        trending = [place for place in top if self._admit(place, authors)]
        fitting: list[int] = []
        for place in fits:
            if len(trending) + len(fitting) < count and self._admit(place, authors):
                fitting.append(place)
        for place in more[len(top) :]:
            if len(trending) + len(fitting) < count and place not in fitting and self._admit(place, authors):
                trending.append(place)
        return trending, fitting

    def _admit(self, place: int, authors: Counter[int]) -> bool:
        author = int(self.first_authors[place])
        if author < 0:
            return True
        authors[author] += 1
        return authors[author] <= SAME_AUTHOR_LIMIT

    def _assemble(
        self, person: _Person, keys: npt.NDArray[np.float32], trending: list[int], fitting: list[int]
    ) -> Selection:
        return Selection(
            trending=tuple(
                self.ranked(person, place, float(self.heat[place]), leading_trend=True) for place in trending
            ),
            for_you=tuple(
                self.ranked(person, place, float(keys[place]), leading_trend=None) for place in fitting
            ),
        )

    def ranked(self, person: _Person, place: int, score: float, *, leading_trend: bool | None) -> Ranked:
        """Make the entry of one paper for one person; its trend leads the reasons, follows or is left out."""
        holders = person.holders(place)[:INTERESTS_NAMED]
        key = (place, leading_trend, person.mutes, *(one.number for one in holders))
        if key not in self._entries:
            self._entries[key] = self._explain(holders, place, leading_trend, person.mutes)
        lines, interest = self._entries[key]
        return Ranked(id=self.corpus.papers[place].id, score=score, reasons=lines, interest=interest)

    def _explain(
        self, holders: list[_Held], place: int, leading_trend: bool | None, mutes: tuple[str, ...]
    ) -> tuple[tuple[str, ...], str | None]:
        lines = [line for one in holders for line in self._why(one, place)]
        trend = self.trends.get(self.corpus.papers[place].id)
        if trend and leading_trend is not None:
            lines.insert(0 if leading_trend else len(lines), trend.reason)
        interest = holders[0].interest.name if holders else None
        # What we say of a paper is shown with it, so mutes hold for it too.
        if interest is not None and shows_muted(interest, mutes):
            interest = None
        return tuple(dict.fromkeys(line for line in lines if not shows_muted(line, mutes))), interest

    def _why(self, held: _Held, place: int) -> tuple[str, ...]:
        key = (held.number, place)
        if key not in self._reasons:
            if held.interest.name is LIKED:
                nearest = matching.nearest_example(self.corpus, held.interest.examples, place)
                title = self.corpus.papers[self.corpus.index[nearest]].title if nearest else ""
                self._reasons[key] = (f"similar to {title}, which you liked",) if nearest else ()
            else:
                self._reasons[key] = matching.reasons(self.corpus, held.interest, place)
        return self._reasons[key]


def _mutes(profile: Profile) -> tuple[str, ...]:
    return (*profile.mutes, *(mute for one in profile.interests for mute in one.mutes))


def _first_authors(corpus: Corpus) -> Ints:
    """Number the first authors; -1 where none is known."""
    numbers: dict[tuple[str, ...], int] = {}
    keys = (name_key(paper.authors[0]) if paper.authors else () for paper in corpus.candidates)
    return np.array([numbers.setdefault(key, len(numbers)) if key else -1 for key in keys], np.int32)
