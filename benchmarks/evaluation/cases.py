"""The questions asked of every system: somebody's interest, the papers of the period, those truly chosen."""

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import date

from benchmarks.evaluation.recorded import Listed, Recorded, Saved
from service.ranking.values import Candidate

EXAMPLES = 10
LEAST_RELEVANT = 5
LIBRARY_CUTS = 4
MOST_SAVED = 50  # of the latest items before a cut stand for a library
LEAST_DISTRACTORS = 500
LIKED, DISLIKED = 5, 8
MOST_SECTIONS = 8  # of one list: two lists have far more headings than all others together
MOST_WORDS = 6  # longer headings are remarks

# fmt: off
# Headings that order a list, but name no subject.
SAYS_NOTHING = frozenset((
    "adjacent", "analysis", "application", "applications", "awesome", "benchmark", "benchmarks",
    "bibtex", "blog", "citation", "citations", "data", "dataset", "datasets", "document", "entries",
    "evaluation", "existing", "exiting", "feedback", "first", "frontier", "general", "generation",
    "introduction", "latest", "metrics", "misc", "must-read", "news", "non-canonical", "oldest",
    "other", "others", "paper", "papers", "read", "recent", "refer", "related", "report", "research",
    "speed", "survey", "surveys", "technical", "topics", "trending", "tutorial", "understanding", "xxx",
))
FILLERS = frozenset(("a", "and", "for", "from", "in", "most", "of", "on", "or", "the", "to", "with"))
GENERIC = frozenset(("learning", "llm", "llms", "model", "models"))  # in the names of unlike subjects
# fmt: on


@dataclass(frozen=True, eq=False)
class World:
    """The papers of a period, known to every system; ``kept`` holds what systems work out of them."""

    name: str
    papers: tuple[Candidate, ...]
    kept: dict[object, object] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Case:
    """One question. Cases of one ``group`` share a list or a person and are no independent witnesses."""

    name: str
    group: str
    world: World
    pool: frozenset[str]  # papers to be ordered
    relevant: frozenset[str]
    phrases: tuple[str, ...] = ()
    examples: tuple[Candidate, ...] = ()
    disliked: tuple[Candidate, ...] = ()
    against: tuple[str, ...] = ()  # phrases that count against a paper
    refused: frozenset[str] = frozenset()  # papers of the pool on what is disliked


def topic_of(repository: str) -> str:
    """Read a list's subject from its repository's name: "HuangOwen/Awesome-LLM-Compression"."""
    name = repository.rpartition("/")[2].replace("-", " ").replace("_", " ")
    return re.sub(r"(?i)\b(awesome|paper|papers|list|survey)\b", " ", name).strip().replace("  ", " ")


def subject_of(heading: str, topic: str) -> str | None:
    """Read a subject from a heading; None where it names none. One word alone leans on the list's subject."""
    text = re.sub(r"\[[^\]]*\]\([^)]*\)|https?://\S+|\(\s*\[.*$", " ", heading)
    text = re.sub(r"^\W*(?:[A-Z]?\d+(?:\.\d+)*\.?\s+)?", "", text)
    text = " ".join(re.findall(r"[^\W_]+(?:-[^\W_]+)*", text))
    telling = [word for word in text.lower().split() if not word.isdigit() and word not in FILLERS]
    if len(telling) > MOST_WORDS or all(word in SAYS_NOTHING for word in telling):
        return None
    return text if len(telling) > 1 else f"{topic} {text}"


def from_phrases(recorded: Recorded) -> Iterator[Case]:
    """Ask for a list by its name, and for its sections by their headings.

    The period is that of the list's own papers. Other sections' papers are no negatives: they may well fit.
    """
    for repository, items in recorded.lists.items():
        topic, world = topic_of(repository), _world(recorded, repository, items)
        everything = frozenset(paper.id for paper in world.papers)
        for name, members in _parts(items, topic):
            relevant = {item.id for item in members} & everything
            pool = everything - ({item.id for item in items} - relevant)
            if len(relevant) >= LEAST_RELEVANT:
                yield Case(
                    f"{repository}: {name}", repository, world, pool, frozenset(relevant), phrases=(name,)
                )


def from_examples(recorded: Recorded) -> Iterator[Case]:
    """Ask for the later papers of a list, or of a section, by its first ten.

    The pool holds what was listed after the last of the ten, up to the list's last paper.
    """
    for repository, items in recorded.lists.items():
        world = _world(recorded, repository, items)
        for name, members in _parts(items, topic_of(repository)):
            dated = [item for item in members if item.added]
            first, later = dated[:EXAMPLES], dated[EXAMPLES:]
            if not later:
                continue
            cutoff = max(recorded.day(item.id) for item in first)
            pool = {paper.id for paper in world.papers if (paper.listed_on or date.min) > cutoff}
            relevant = {item.id for item in later} & pool
            pool -= {item.id for item in items} - relevant
            if len(relevant) >= LEAST_RELEVANT:
                examples = tuple(recorded.papers[item.id] for item in first)
                yield Case(
                    f"{repository}: {name}", repository, world, frozenset(pool), frozenset(relevant),
                    examples=examples,
                )  # fmt: skip


def _parts(items: list[Listed], topic: str) -> Iterator[tuple[str, list[Listed]]]:
    """Give the whole list, then its largest sections, each with its subject."""
    yield topic, items
    sections: dict[str, list[Listed]] = defaultdict(list)
    for item in items:
        subject = subject_of(item.heading, topic)
        if subject:
            sections[subject.lower()].append(item)
    parts = (entry for entry in sections.items() if len(entry[1]) < len(items))
    largest = sorted(parts, key=lambda entry: (-len(entry[1]), entry[0]))
    yield from largest[:MOST_SECTIONS]


def _world(recorded: Recorded, name: str, items: list[Listed]) -> World:
    days = [recorded.day(item.id) for item in items]
    last = max([item.added for item in items if item.added], default=date.max)
    first, last = min(days), min(max(days), last)
    papers = (paper for paper in recorded.papers.values() if paper.listed_on)
    return World(name, tuple(paper for paper in papers if first <= (paper.listed_on or date.min) <= last))


def from_libraries(recorded: Recorded) -> Iterator[Case]:
    """Ask for the next papers somebody saved by those saved before, among Daily Papers of that time.

    Each library is cut at four places in time. Both sides are title and abstract alone, so that no field
    betrays where a paper came from. Libraries older than the archive have distractors of another time; their
    names say so.
    """
    dailies = [paper for paper in recorded.papers.values() if paper.abstract and paper.listed_on]
    for person, items in recorded.libraries.items():
        for part in range(1, LIBRARY_CUTS + 1):
            place = len(items) * part // (LIBRARY_CUTS + 1)
            end = len(items) * (part + 1) // (LIBRARY_CUTS + 1)
            before, later = items[max(place - MOST_SAVED, 0) : place], items[place:end]
            later = [one for one in later if one.added > before[-1].added]
            if len(later) < LEAST_RELEVANT:
                continue
            first, last = later[0].added, later[-1].added
            among = [paper for paper in dailies if first <= (paper.listed_on or date.min) <= last]
            is_same_time = len(among) >= LEAST_DISTRACTORS
            when = "" if is_same_time else " (distractors of another time)"
            name = f"library {person}, part {part}{when}"
            yield _library_case(name, person, before, later, among if is_same_time else dailies)


def _library_case(
    name: str, person: str, before: list[Saved], later: list[Saved], among: list[Candidate]
) -> Case:
    had = {_title_key(one.paper.title) for one in before}
    wanted = {
        _title_key(one.paper.title): one.paper for one in later if _title_key(one.paper.title) not in had
    }
    distractors = [
        Candidate(id=paper.id, title=paper.title, abstract=paper.abstract)
        for paper in among
        if _title_key(paper.title) not in had and _title_key(paper.title) not in wanted
    ]
    chosen = {paper.id: paper for paper in wanted.values()}
    papers = (*(paper for paper in distractors if paper.id not in chosen), *chosen.values())
    return Case(
        name,
        person,
        World(name, papers),
        frozenset(paper.id for paper in papers),
        frozenset(chosen),
        examples=tuple({one.paper.id: one.paper for one in before if one.paper.id not in chosen}.values()),
    )


def against_dislikes(recorded: Recorded) -> Iterator[Case]:
    """Ask for a list's later papers with papers of the most similar other list refused.

    Five examples, eight refusals. Most similar is the list whose examples' titles share the largest part of
    their words, among those whose subject has another name.
    """
    subjects = {case.name: case for case in from_examples(recorded)}
    words = {name: _title_words(case.examples) for name, case in subjects.items()}
    for name, case in subjects.items():
        others = [one for one in subjects if not _overlaps(case, subjects[one])]
        if not others:
            continue
        other = subjects[max(others, key=lambda one: (_likeness(words[one], words[name]), one))]
        refused = (other.relevant & case.pool) - case.relevant
        disliked = tuple(paper for paper in other.examples if paper not in case.examples)[:DISLIKED]
        if len(refused) >= LEAST_RELEVANT:
            yield replace(
                case,
                name=f"{name}, not {other.name}",
                examples=case.examples[:LIKED],
                disliked=disliked,
                refused=refused,
            )


def _overlaps(case: Case, other: Case) -> bool:
    """Say whether two subjects can't be told apart: one list, a word in common, or many papers."""
    names = [set(one.name.partition(": ")[2].lower().split()) - FILLERS - GENERIC for one in (case, other)]
    shared = case.relevant & other.relevant
    return (
        case.group == other.group
        or bool(names[0] & names[1])
        or len(shared) > 0.1 * min(len(case.relevant), len(other.relevant))
    )


def _likeness(words: set[str], others: set[str]) -> float:
    return len(words & others) / max(len(words | others), 1)


def _title_words(papers: tuple[Candidate, ...]) -> set[str]:
    return {word for paper in papers for word in re.findall(r"[a-z]{4,}", paper.title.lower())}


def _title_key(title: str) -> str:
    return "".join(re.findall(r"[a-z0-9]+", title.lower()))
