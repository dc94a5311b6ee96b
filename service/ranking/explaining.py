"""Why each chosen paper was chosen: entries with true reasons, each worked out once and shared."""

from collections.abc import Callable, Iterable, Mapping
from enum import IntEnum

from service.ranking import matching
from service.ranking.corpus import Corpus
from service.ranking.holding import OWN
from service.ranking.muting import shows_muted
from service.ranking.values import Interest, Ranked, Trend

KEPT_ENTRIES = 50_000
LIKED = "papers you liked"
OFF_INTERESTS = "outside your interests, for a change"

Mutes = tuple[str, ...]
# What decides an entry but for mutes: place of the paper, role, the numbers of the two interests in which it
# stands highest (0: none), score. A plain tuple: each person has ten.
Key = tuple[int, int, int, int, float]
OwnReasons = Callable[[int], tuple[str, ...]]  # a place -> lines, of what a person's answers say


class Role(IntEnum):
    """Why a paper stands in a list, and so what is said of its trend."""

    HOT = 0  # the trend leads the reasons
    FITTING = 1  # the trend is left out
    ELSE = 2  # the trend follows the reasons
    EXPLORED = 3  # off the interests, and labelled so


class Explainer:
    """Makes entries over one corpus."""

    def __init__(self, corpus: Corpus, trends: Mapping[str, Trend]) -> None:
        """Know the papers and how they trend."""
        self._corpus, self._trends = corpus, trends
        self._interests: dict[int, Interest] = {}
        self._lines: dict[tuple[int, int], tuple[str, ...]] = {}
        self._entries: dict[Mutes, dict[Key, Ranked]] = {}
        self._count = 0
        self._can_say: dict[Mutes, bool] = {}

    def know(self, number: int, interest: Interest) -> None:
        """Learn which interest a number stands for."""
        self._interests[number] = interest

    def entries(
        self, keys: Iterable[Key], mutes: Mutes, own_reasons: OwnReasons | None = None
    ) -> list[Ranked]:
        """Make the entries of one person. No line of them shows a mute.

        What a person's own answers say is told by ``own_reasons``, and nobody else's.
        """
        if self._count > KEPT_ENTRIES:
            self._entries.clear()
            self._lines.clear()
            self._count = 0
        kept = self._entries.setdefault(mutes, {})
        return [kept.get(key) or self._make(key, mutes, kept, own_reasons) for key in keys]

    def can_say_off(self, mutes: Mutes) -> bool:
        """Say whether the label of a paper off the interests can be shown to somebody with these mutes."""
        if not mutes:
            return True
        if mutes not in self._can_say:
            if len(self._can_say) >= KEPT_ENTRIES:
                self._can_say.clear()
            self._can_say[mutes] = not shows_muted(OFF_INTERESTS, mutes)
        return self._can_say[mutes]

    def _make(
        self, key: Key, mutes: Mutes, kept: dict[Key, Ranked], own_reasons: OwnReasons | None
    ) -> Ranked:
        place, role, *numbers, score = key
        named = [number for number in numbers if number]
        paper = self._corpus.papers[place]
        lines = [line for number in named for line in self._reasons(number, place, own_reasons)]
        if role != Role.FITTING and (trend := self._trends.get(paper.id)) is not None:
            lines.insert(0 if role == Role.HOT else len(lines), trend.reason)
        if role == Role.EXPLORED:
            lines.insert(0, OFF_INTERESTS)
        interest = self._name(named[0]) if named else None
        # What we say of a paper is shown with it, so mutes hold for it too.
        if interest is not None and shows_muted(interest, mutes):
            interest = None
        entry = Ranked(
            id=paper.id,
            score=score,
            reasons=tuple(dict.fromkeys(line for line in lines if not shows_muted(line, mutes))),
            interest=interest,
            is_exploration=role == Role.EXPLORED,
        )
        if OWN not in named:
            kept[key] = entry
            self._count += 1
        return entry

    def _name(self, number: int) -> str:
        return LIKED if number == OWN else self._interests[number].name

    def _reasons(self, number: int, place: int, own_reasons: OwnReasons | None) -> tuple[str, ...]:
        if number == OWN:
            return own_reasons(place) if own_reasons is not None else ()
        lines = self._lines.get((number, place))
        if lines is None:
            lines = matching.reasons(self._corpus, self._interests[number], place)
            self._lines[number, place] = lines
        return lines
