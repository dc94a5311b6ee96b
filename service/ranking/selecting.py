"""Which papers a person gets: a list of what trends and a list of what fits, with reasons.

People are worked out in chunks, as arrays; entries with reasons are made only of what is asked for.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import islice
from operator import attrgetter

import numpy as np
import numpy.typing as npt

from service.ranking import matching, turns
from service.ranking.alike import cosines
from service.ranking.answers import Answering, by_learning
from service.ranking.corpus import Corpus, Floats, Ints
from service.ranking.explaining import Explainer, Role
from service.ranking.groups import LIKENESS_COST, Field, Wide, pool_depth, trending_count
from service.ranking.hiding import hidden, mutes_of
from service.ranking.holding import held
from service.ranking.names import name_key
from service.ranking.orders import Order, OrderTable, fused
from service.ranking.people import People
from service.ranking.values import Interest, Profile, Ranked, Selection, Trend

__all__ = ["FORMULA", "Choices", "Ranking", "choose", "rank", "select", "trending_count"]

FORMULA = "ranking-3"  # raise when the same papers and profile would be ranked otherwise

CHUNK = 1024  # people worked out together: bounds memory
ORDER_WIDTH = pool_depth(40)  # columns of each interest at hand
KEPT_ORDERS = 20_000  # interests known at a time
WHOLE_LIKENESS = 4_096  # candidates up to which all are compared with all, once
COMPARED = 64  # people whose papers are compared at once, where there are more

Scores = npt.NDArray[np.float64]

# All of an interest that decides what it matches and what is said of it.
_key = attrgetter(*(one.name for one in fields(Interest) if one.name not in {"weight", "mutes"}))


def rank(
    profile: Profile, corpus: Corpus, trends: Mapping[str, Trend], *, answering: Answering = by_learning
) -> list[Ranked]:
    """Order every candidate that is new to one person and not muted, best first.

    Matches of the interests come first, in turns, and what fits as well as the better half of them; then the
    others by how well they fit and by their trend.
    A paper the person has named (an example, liked, disliked) is not new.
    """
    return Ranking.of(corpus, trends).rank(profile, answering)


def select(
    profiles: Sequence[Profile],
    corpus: Corpus,
    trends: Mapping[str, Trend],
    *,
    counts: Sequence[int],
    seeds: Sequence[int] | None = None,
    answering: Answering = by_learning,
    likeness_cost: float = LIKENESS_COST,
) -> list[Selection]:
    """Choose for each profile at most its count of papers, with reasons. See :func:`choose`."""
    chosen = choose(
        profiles,
        corpus,
        trends,
        counts=counts,
        seeds=seeds,
        answering=answering,
        likeness_cost=likeness_cost,
    )
    return [selection for choices in chosen for selection in choices.selections()]


def choose(
    profiles: Sequence[Profile],
    corpus: Corpus,
    trends: Mapping[str, Trend],
    *,
    counts: Sequence[int],
    seeds: Sequence[int] | None = None,
    answering: Answering = by_learning,
    likeness_cost: float = LIKENESS_COST,
) -> "Iterator[Choices]":
    """Choose for each profile at most its count of papers, in two lists that share none, chunk by chunk.

    About two fifths are trending, the rest are true matches of the interests; where there are too few of
    either, the other list is longer. Each interest with a match gets a paper, as far as ``counts`` reach.
    ``seeds`` (one for each person and day) draw the paper off the interests; without them there is none.
    ``likeness_cost`` is what likeness to the papers chosen before takes off; 0 lets papers repeat each other.
    """
    ranking = Ranking.of(corpus, trends, likeness_cost=likeness_cost)
    for start in range(0, len(profiles), CHUNK):
        chunk = slice(start, start + CHUNK)
        yield ranking.choose(
            profiles[chunk], counts[chunk], None if seeds is None else seeds[chunk], answering
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Choices:
    """What a chunk of people gets, as places in the corpus; -1 where nothing is."""

    trending: Ints  # (people, most papers), best first
    for_you: Ints
    explored: Ints  # (people,)
    profiles: Sequence[Profile]
    ranking: "Ranking"
    people: People

    def __len__(self) -> int:
        """Say how many people there are."""
        return len(self.profiles)

    def selections(self) -> list[Selection]:
        """Make everybody's lists, with reasons."""
        return self.ranking.selections(self)


class Ranking:
    """One view of a corpus: what trends, orders of interests and reasons, each worked out once."""

    def __init__(
        self, corpus: Corpus, trends: Mapping[str, Trend], *, likeness_cost: float = LIKENESS_COST
    ) -> None:
        """Look at ``corpus`` with ``trends`` as they are."""
        self.corpus, self.trends, self.likeness_cost = corpus, trends, likeness_cost
        known = [trends.get(paper.id) for paper in corpus.candidates]
        self.heat = np.array([one.score if one else 0.0 for one in known])
        self._forget()
        self._alike: Floats | None = None

    @classmethod
    def of(
        cls, corpus: Corpus, trends: Mapping[str, Trend], *, likeness_cost: float = LIKENESS_COST
    ) -> "Ranking":
        """Give the view of ``corpus`` made before, where all else is the same."""
        kept = corpus.kept.get("ranking")
        if not isinstance(kept, cls) or kept.trends is not trends or kept.likeness_cost != likeness_cost:
            kept = corpus.kept["ranking"] = cls(corpus, trends, likeness_cost=likeness_cost)
        return kept

    def _forget(self) -> None:
        count = self.corpus.count
        hottest = np.lexsort((-np.arange(count), -self.heat))
        self._numbers: dict[object, int] = {}
        self._table = OrderTable(count, min(ORDER_WIDTH, count))
        self._explainer = Explainer(self.corpus, self.trends)
        self._field = Field(
            table=self._table,
            hottest=hottest[self.heat[hottest] > 0].astype(np.int32),
            first_authors=_first_authors(self.corpus),
            alike=self._likeness,
            likeness_cost=self.likeness_cost,
        )

    def choose(
        self,
        profiles: Sequence[Profile],
        counts: Sequence[int],
        seeds: Sequence[int] | None = None,
        answering: Answering = by_learning,
    ) -> Choices:
        """Choose for one chunk of people."""
        if len(self._numbers) > KEPT_ORDERS:
            self._forget()
        people = self._people(profiles, counts, seeds, answering)
        most = max(counts, default=0)
        shape = (len(profiles), max(most, 0))
        trending, for_you = np.full(shape, -1, np.int32), np.full(shape, -1, np.int32)
        explored = np.full(len(profiles), -1, np.int32)
        most_at_once = CHUNK if self.corpus.count <= WHOLE_LIKENESS else COMPARED
        for rows, group in people.groups(most_at_once):
            chosen = turns.choose(self._field, group)
            trending[rows, : group.count] = chosen.trending
            for_you[rows, : group.count] = chosen.for_you
            explored[rows] = chosen.explored
        return Choices(
            trending=trending,
            for_you=for_you,
            explored=explored,
            profiles=profiles,
            ranking=self,
            people=people,
        )

    def _people(
        self,
        profiles: Sequence[Profile],
        counts: Sequence[int],
        seeds: Sequence[int] | None,
        answering: Answering,
    ) -> People:
        numbers, weights = self._held(profiles)
        mutes = [mutes_of(profile) for profile in profiles]
        explores = [
            # Whoever mutes a word of the label gets no paper that needs it.
            profile.explores and self._explainer.can_say_off(muted_by)
            for profile, muted_by in zip(profiles, mutes, strict=True)
        ]
        return People(
            counts=np.array(counts, np.int64),
            closed=hidden(self.corpus, profiles, mutes),
            numbers=numbers,
            weights=weights,
            answers=answering(self.corpus, profiles),
            seeds=None if seeds is None else np.array([seed % 2**63 for seed in seeds], np.uint64),
            explores=np.array(explores, np.bool_),
            mutes=mutes,
        )

    def _held(self, profiles: Sequence[Profile]) -> tuple[npt.NDArray[np.int64], Floats]:
        """Give the numbers of everybody's interests in force, and their shares of the heaviest."""
        sizes = np.array([len(profile.interests) for profile in profiles], np.int64)
        shape = (len(profiles), int(sizes.max(initial=0)))
        met: dict[int, int] = {}  # by identity: people of a catalogue's topic often share the very object
        find, number_of = met.get, self._number
        flat = [
            find(id(one)) or met.setdefault(id(one), number_of(one))
            for profile in profiles
            for one in profile.interests
        ]
        weight = [one.weight for profile in profiles for one in profile.interests]
        filled = np.arange(shape[1]) < sizes[:, None]
        weights = np.zeros(shape, np.float32)
        weights[filled] = np.maximum(weight, 0)
        numbers = np.zeros(shape, np.int64)
        numbers[filled] = flat
        numbers[weights == 0] = 0
        heaviest = weights.max(axis=1, keepdims=True, initial=0)
        heaviest[heaviest == 0] = 1
        return numbers, weights / heaviest

    def _number(self, interest: Interest) -> int:
        key = _key(interest)
        number = self._numbers.get(key)
        if number is None:
            number = self._numbers[key] = self._table.add(self._order(interest))
            self._explainer.know(number, interest)
        return number

    def _order(self, interest: Interest) -> Order:
        found = matching.match(self.corpus, interest)
        return Order.of(found.scores, found.by_author, self.heat)

    def _likeness(self, columns: Ints) -> tuple[Floats, Ints]:
        """Give the likeness of candidates with each other, and where each of ``columns`` stands in it.

        The last row and column, where ``columns`` are below 0 or no candidate, are 0.
        """
        likeness, count = self.corpus.likeness, self.corpus.count
        if count <= WHOLE_LIKENESS:
            if self._alike is None:
                self._alike = _padded(cosines(likeness, np.arange(count)))
            return self._alike, np.where(columns < 0, count, columns)
        used = np.zeros(count + 1, np.bool_)
        used[columns] = True  # -1 marks the last
        used[count] = False
        chosen = np.flatnonzero(used)
        position = np.full(count + 1, len(chosen), np.int32)
        position[chosen] = np.arange(len(chosen), dtype=np.int32)
        return _padded(cosines(likeness, chosen)), position[columns]

    def selections(self, choices: Choices) -> list[Selection]:
        """Make the lists of everybody in ``choices``, with reasons."""
        lists = np.column_stack([choices.trending, choices.for_you, choices.explored])
        rows, columns = np.nonzero(lists >= 0)
        roles = np.repeat([Role.HOT, Role.FITTING, Role.EXPLORED], [*2 * [choices.trending.shape[1]], 1])
        entries = self._entries(choices.people, rows, lists[rows, columns], roles[columns])
        hot, fitting = ((one >= 0).sum(axis=1).tolist() for one in (choices.trending, choices.for_you))
        return [
            Selection(
                trending=tuple(of_person[:first]),
                for_you=tuple(of_person[first : first + second]),
                exploration=of_person[-1] if len(of_person) > first + second else None,
            )
            for of_person, first, second in zip(entries, hot, fitting, strict=True)
        ]

    def _entries(
        self, people: People, rows: Wide, places: Ints, roles: Wide, scores: Scores | None = None
    ) -> Iterator[list[Ranked]]:
        """Make everybody's entries: each paper of ``places`` for the person of ``rows``, who ascend."""
        found = held(self._table, people, rows, places)
        is_explored = roles == Role.EXPLORED  # off the interests, whatever holds it
        if scores is None:
            scores = np.where(roles == Role.FITTING, found.shares, self.heat[places])
        keys = zip(
            places.tolist(),
            roles.tolist(),
            np.where(is_explored, 0, found.firsts).tolist(),
            np.where(is_explored, 0, found.seconds).tolist(),
            scores.tolist(),
            strict=True,
        )
        for row, count in enumerate(np.bincount(rows, minlength=len(people.mutes)).tolist()):
            yield self._explainer.entries(islice(keys, count), people.mutes[row], people.own_reasons(row))

    def _interests(self, profile: Profile, people: People, row: int) -> list[tuple[int, Interest, float]]:
        numbers, weights = people.numbers[row].tolist(), people.weights[row].tolist()
        return [
            (number, one, weight)
            for number, one, weight in zip(numbers, profile.interests, weights, strict=False)
            if number
        ]

    def rank(self, profile: Profile, answering: Answering = by_learning) -> list[Ranked]:
        """Order every candidate that is new to one person and not muted, best first."""
        people = self._people([profile], [0], None, answering)
        closed = people.closed[0, : self.corpus.count]
        keys = self._keys(profile, people)
        found = [matching.match(self.corpus, one).hints for one in profile.interests if one.weight > 0]
        own, worse, is_fused = people.of_one()
        if own is not None and is_fused:
            found.append(np.where(own > 0, own, own + 1))
        hints = np.max(found, axis=0) if found else np.zeros(self.corpus.count)
        scores = np.where(keys > 0, 1 + keys, 0.5 * hints + 0.49 * self.heat)
        if worse is not None:
            scores[worse[:-1] & (keys == 0)] -= 1
        order = np.lexsort((-np.arange(self.corpus.count), -self.heat, -scores))
        places: Ints = order[~closed[order]].astype(np.int32)
        roles = np.where(keys[places] == 0, Role.HOT, Role.ELSE)
        every = self._entries(people, np.zeros(len(places), np.int64), places, roles, scores[places])
        return next(every)

    def _keys(self, profile: Profile, people: People) -> Floats:
        """Give one person's keys of all candidates: higher is earlier, 0 is no match."""
        keys = np.zeros(self.corpus.count + 1, np.float32)
        own, worse, is_fused = people.of_one()
        for number, interest, weight in self._interests(profile, people, 0):
            order = self._table.orders[number]
            columns = matching.match(self.corpus, interest).columns()
            if own is not None and is_fused:
                columns = fused(columns[None, None], own[None])[0, 0]
            followed = np.isin(columns, order.columns[order.is_guaranteed])
            turns.raise_keys(keys, columns, weight, people.closed[0], worse, guaranteed=followed)
        if own is not None:
            liked = np.argsort(-own, kind="stable").astype(np.int32)
            liked = liked[own[liked] > 0]
            turns.raise_keys(keys, liked, 1.0, people.closed[0], worse, guaranteed=np.zeros(len(liked), bool))
        return keys[:-1]


def _padded(products: Floats) -> Floats:
    """Give ``products`` with a row and a column of zeros more."""
    return np.pad(products, ((0, 1), (0, 1)))


def _first_authors(corpus: Corpus) -> Ints:
    """Number the first authors; -1 where none is known."""
    numbers: dict[tuple[str, ...], int] = {}
    keys = (name_key(paper.authors[0]) if paper.authors else () for paper in corpus.candidates)
    return np.array([numbers.setdefault(key, len(numbers)) if key else -1 for key in keys], np.int32)
