"""Why each chosen paper was chosen: entries with true reasons, each worked out once and shared."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from service.ranking import matching
from service.ranking.corpus import Corpus
from service.ranking.muting import shows_muted
from service.ranking.orders import OrderTable
from service.ranking.values import Interest, Ranked, Trend

INTERESTS_NAMED = 2
KEPT_ENTRIES = 50_000
LIKED = "papers you liked"
OFF_INTERESTS = "outside your interests, for a change"

Why = Callable[[int], tuple[str, ...]]  # a place -> lines


@dataclass(frozen=True, slots=True, eq=False)
class Holder:
    """An interest in which a paper stands; ``share`` is larger the higher it stands there."""

    number: int  # of the interest; -1 for what a person's answers say
    name: str
    share: float
    why: Why


class Explainer:
    """Makes entries over one corpus."""

    def __init__(self, corpus: Corpus, trends: Mapping[str, Trend], table: OrderTable) -> None:
        """Know the papers, how they trend, and what the interests match."""
        self._corpus, self._trends, self._table = corpus, trends, table
        self._places: dict[int, dict[int, int]] = {}
        self._entries: dict[object, Ranked] = {}
        self._can_say: dict[tuple[str, ...], bool] = {}

    def holder(self, number: int, interest: Interest, weight: float, place: int) -> Holder | None:
        """Say how an interest holds the paper at ``place``; None where it does not match."""
        places = self._places.get(number)
        if places is None:
            columns = self._table.orders[number].columns.tolist()
            places = self._places[number] = {column: at for at, column in enumerate(columns)}
        at = places.get(place)
        if at is None:
            return None
        share = weight / (2 * at + 1)
        return Holder(number, interest.name, share, lambda one: matching.reasons(self._corpus, interest, one))

    def entry(
        self,
        holders: Sequence[Holder],
        place: int,
        mutes: tuple[str, ...],
        *,
        score: float,
        leading_trend: bool | None,
        is_exploration: bool = False,
    ) -> Ranked:
        """Make the entry of the paper at ``place``, the interests that hold it best first.

        Its trend leads the reasons, follows them, or (None) is left out. No line shows a mute.
        """
        named = holders[:INTERESTS_NAMED]
        numbers = [one.number for one in named]
        key = (place, leading_trend, is_exploration, mutes, score, *numbers)
        if -1 not in numbers and (kept := self._entries.get(key)) is not None:
            return kept
        entry = self._explain(
            named, place, mutes, score=score, leading_trend=leading_trend, is_exploration=is_exploration
        )
        if -1 not in numbers:
            if len(self._entries) >= KEPT_ENTRIES:
                self._entries.clear()
            self._entries[key] = entry
        return entry

    def can_say_off(self, mutes: tuple[str, ...]) -> bool:
        """Say whether the label of a paper off the interests can be shown to somebody with these mutes."""
        if not mutes:
            return True
        if mutes not in self._can_say:
            if len(self._can_say) >= KEPT_ENTRIES:
                self._can_say.clear()
            self._can_say[mutes] = not shows_muted(OFF_INTERESTS, mutes)
        return self._can_say[mutes]

    def _explain(
        self,
        holders: Sequence[Holder],
        place: int,
        mutes: tuple[str, ...],
        *,
        score: float,
        leading_trend: bool | None,
        is_exploration: bool,
    ) -> Ranked:
        paper = self._corpus.papers[place]
        lines = [line for one in holders for line in one.why(place)]
        if leading_trend is not None and (trend := self._trends.get(paper.id)) is not None:
            lines.insert(0 if leading_trend else len(lines), trend.reason)
        if is_exploration:
            lines.insert(0, OFF_INTERESTS)
        interest = holders[0].name if holders else None
        # What we say of a paper is shown with it, so mutes hold for it too.
        if interest is not None and shows_muted(interest, mutes):
            interest = None
        return Ranked(
            id=paper.id,
            score=score,
            reasons=tuple(dict.fromkeys(line for line in lines if not shows_muted(line, mutes))),
            interest=interest,
            is_exploration=is_exploration,
        )
