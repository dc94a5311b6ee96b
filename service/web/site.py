"""What the routes share: the parts, the templates, the small cache of rendered pages."""

import hashlib
import re
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape
from starlette.responses import HTMLResponse

from service.bootstrap import Parts
from service.digests.schedule import open_zone
from service.mailbox.store import MailboxStore
from service.migrations import bundled_folder
from service.sentences import as_sentence
from service.subscribers.links import Links
from service.web.cache import PageCache
from service.web.client import Network
from service.web.listing import ListBoard
from service.web.throttle import Throttle
from service.web.trending import TrendBoard

MEDIA_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
SOURCE_NAMES = {"huggingface": "Hugging Face", "arxiv": "arXiv", "archive": "the archive", "demo": "the demo"}
SENTENCE_END = re.compile(r"(?<=[.!?])\s+(?=[A-Z0-9(\"“])")


@dataclass(frozen=True, slots=True)
class Asset:
    """A file served as it is."""

    body: bytes
    media_type: str
    version: str  # changes with the body, so that a browser may keep it for ever


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Everything a route may need; made once by the app."""

    parts: Parts
    links: Links
    templates: Environment
    assets: dict[str, Asset]
    trusted: tuple[Network, ...]
    mailbox: MailboxStore | None
    cache: PageCache
    answer_seconds: float  # a sign-up is answered no sooner, whatever the address (trust.md 79)
    minimum_fill_seconds: float
    lists: ListBoard
    previews: Throttle = field(default_factory=Throttle)
    trends: TrendBoard = field(default_factory=TrendBoard)
    memo: dict[str, str | None] = field(default_factory=dict)

    def now(self) -> datetime:
        """Return the present instant."""
        return self.parts.clock()

    def text(self, template: str, **context: Any) -> str:
        """Render a template of ``templates/web`` with its variables."""
        return self.templates.get_template(template).render(context)

    def page(self, template: str, *, status: int = 200, max_age: int = 0, **context: Any) -> HTMLResponse:
        """Render a page; ``max_age`` seconds lets browsers and caches keep a public one."""
        headers = {"Cache-Control": f"public, max-age={max_age}"} if max_age else None
        return HTMLResponse(self.text(template, **context), status_code=status, headers=headers)


def load_assets() -> dict[str, Asset]:
    """Read every file of ``templates/web/static``; there are few and small ones."""
    assets = {}
    for path in sorted((bundled_folder("templates") / "web" / "static").iterdir()):
        if path.suffix in MEDIA_TYPES:
            body = path.read_bytes()
            version = hashlib.sha256(body).hexdigest()[:12]
            assets[path.name] = Asset(body, MEDIA_TYPES[path.suffix], version)
    return assets


def load_templates(parts: Parts, assets: dict[str, Asset], *, mailbox: bool) -> Environment:
    """Make the environment of the web templates: every value is escaped, an unknown one is an error."""
    environment = Environment(
        loader=FileSystemLoader(bundled_folder("templates") / "web"),
        autoescape=select_autoescape(["html", "xml"]),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    settings = parts.settings
    environment.globals.update(
        site_name=settings.sender_name,
        base_url=settings.base_url,
        contact=settings.contact_address or settings.sender_address,
        postal_address=settings.postal_address,
        has_mailbox=mailbox,
        asset=lambda name: f"/static/{name}?v={assets[name].version}",
    )
    environment.filters.update(
        as_sentence=as_sentence,
        plural=plural,
        long_day=long_day,
        short_day=short_day,
        instant=instant,
        local_instant=local_instant,
        source_name=lambda name: SOURCE_NAMES.get(name, name),
        split_abstract=split_abstract,
    )
    return environment


def plural(count: int, one: str, many: str | None = None) -> str:
    """Return ``count`` with its noun: "1 vote", "1,204 votes"."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def long_day(day: date) -> str:
    """Return a day as "Friday 13 February 2026"."""
    return f"{day:%A} {day.day} {day:%B %Y}"


def short_day(day: date) -> str:
    """Return a day as "13 Feb 2026"."""
    return f"{day.day} {day:%b %Y}"


def instant(moment: datetime, zone: str = "UTC") -> str:
    """Return an instant as "13 Feb 2026, 08:00 UTC", in ``zone`` if another is named."""
    local = moment.astimezone(open_zone(zone))
    return f"{short_day(local.date())}, {local:%H:%M} {zone.replace('_', ' ')}"


def local_instant(moment: datetime, zone: str) -> str:
    """Return an instant as a person in ``zone`` says it: "Monday 16 February 2026, 08:00 (Europe/Berlin)"."""
    local = moment.astimezone(open_zone(zone))
    return f"{long_day(local.date())}, {local:%H:%M} ({zone})"


def split_abstract(text: str, *, least: int = 180, most: int = 420) -> tuple[str, str]:
    """Part a text into its opening and the rest, at a sentence's end if one lies within the bounds."""
    if len(text) <= most:
        return text, ""
    ends = [match.start() for match in SENTENCE_END.finditer(text, least, most)]
    cut = ends[-1] if ends else text.rfind(" ", least, most)
    cut = cut if cut > 0 else most
    return text[:cut].rstrip(), text[cut:].lstrip()
