"""Where papers come from, behind one small interface: fetching touches the world, parsing does not."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Protocol, runtime_checkable

from service.config import Environment, Settings
from service.papers.paper import Observation, Paper


class SourceError(Exception):
    """Something is wrong with a source; the message is for the operator."""


class SourceUnavailable(SourceError):
    """The source can't be reached, or told us to stay away: the rest of this run is given up."""


class UnusableAnswer(SourceError):
    """One answer is not what was asked for (an error page, broken JSON); others may be fine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a source said, untouched.

    ``origin`` names it for people and logs ("list of 2026-02-13"); ``failure`` says why there is no body;
    ``records`` carries what was already read line by line, for sources that keep many papers in one file.
    """

    origin: str
    observed_at: datetime
    body: bytes = b""
    listed_on: date | None = None
    failure: str | None = None
    records: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Malformed:
    """An item that could not be read: its place in the answer, from 0, and why."""

    position: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Parsed:
    """What an answer held. Each item is in ``papers`` or in ``malformed``.

    ``unknown_keys`` counts the keys we do not know, which are ignored: the first sign of a changed contract.
    """

    papers: tuple[Paper, ...] = ()
    observations: tuple[Observation, ...] = ()
    malformed: tuple[Malformed, ...] = ()
    unknown_keys: Mapping[str, int] = field(default_factory=dict)


class Source(Protocol):
    """One place papers come from."""

    name: str

    def fetch(self, now: datetime) -> Iterator[Answer]:
        """Ask for what is known at ``now``, answer by answer.

        Raises:
            SourceUnavailable: the source can't be reached, or the rest has to be given up.
        """

    def parse(self, answer: Answer) -> Parsed:
        """Read an answer; pure.

        Raises:
            UnusableAnswer: this is not an answer to what was asked.
        """


@runtime_checkable
class Resumable(Protocol):
    """A source that can leave out what an earlier run has read.

    ``mark()`` names the state of what is recorded: as long as it is the same, ``fetch_after`` gives only
    what became known in (``since``, ``now``].
    """

    def mark(self) -> str:
        """Name the present state of the recordings."""

    def fetch_after(self, since: datetime, now: datetime) -> Iterator[Answer]:
        """Like ``fetch``, without what was known at ``since``."""


def open_sources(settings: Settings) -> list[Source]:
    """Make the sources the settings name, in their order."""
    return [_open(name, settings) for name in dict.fromkeys(settings.sources)]


def open_fallback(settings: Settings) -> Source | None:
    """Make the source that fills an empty shelf when nothing can be reached.

    Only for a first look: where the operator has named sources, or in production, an outage is shown as
    one and nothing takes its place.
    """
    if "sources" in settings.model_fields_set or settings.environment is Environment.PRODUCTION:
        return None
    return _open("demo", settings)


def _open(name: str, settings: Settings) -> Source:
    # Imported when named: a source that is not used costs nothing at start.
    if name == "huggingface":
        from service.papers.sources.huggingface import HuggingFaceSource

        token = settings.huggingface_token
        return HuggingFaceSource(
            settings.huggingface_url,
            token=token.get_secret_value() if token else None,
            contact=_contact(settings),
        )
    if name == "archive":
        from service.papers.sources.archive import ArchiveSource

        if settings.archive_path is None:  # the settings refuse this already
            raise SourceUnavailable("set PAPERLARK_ARCHIVE_PATH to the recorded answers")
        return ArchiveSource(settings.archive_path)
    if name == "demo":
        from service.papers.sources.demo import DemoSource

        return DemoSource()
    from service.papers.sources.arxiv import ArxivSource
    from service.papers.sources.fetching import open_client

    return ArxivSource(
        settings.arxiv_api_url,
        settings.arxiv_rss_url,
        settings.arxiv_categories,
        open_client(contact=_contact(settings)),
    )


def _contact(settings: Settings) -> str | None:
    """Give an address a source's operator can look at, if ours is reachable at all."""
    return settings.base_url if settings.base_url.startswith("https://") else None
