"""Letters with defaults, for tests of the mail."""

from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

from service.mail.letters import (
    AlertLetter,
    AlreadySubscribedLetter,
    Card,
    ConfirmLetter,
    DigestLetter,
    GoodbyeLetter,
    Letter,
    ManageLetter,
)
from service.mail.message import Sender

REQUESTED_AT = datetime(2026, 2, 12, 17, 5, tzinfo=UTC)
EXPIRES_AT = datetime(2026, 2, 14, 17, 5, tzinfo=UTC)
TOKEN = "s" * 34

ABSTRACT = (
    "We show that small models read long documents well when they are allowed to take notes. "
    "The notes are written by the model itself, kept between passes, and thrown away at the end. "
    "On eleven reading tasks this halves the number of wrong answers without any change of weights."
)


def a_card(number: int = 1, **changes: Any) -> Card:
    card = Card(
        paper_id=f"2602.{number:05}",
        title=f"Taking notes helps small models read, part {number}",
        url=f"https://arxiv.org/abs/2602.{number:05}",
        authors=("Ada Byron", "Émile Post", "周杰"),
        author_count=7,
        abstract=ABSTRACT,
        summary="Models that take notes make half as many mistakes.",
        listed_on=date(2026, 2, 12),
        upvotes=42,
        comments=3,
        stars=1204,
        repository_url=f"https://github.com/example/notes-{number}",
        reasons=("42 votes, 30 of them in the last day: top 5 % of papers of its age",),
    )
    return replace(card, **changes)


def a_digest(trending: int = 3, for_you: int = 3, **changes: Any) -> DigestLetter:
    digest = DigestLetter(
        recipient="reader@example.org",
        issue_date=date(2026, 2, 13),
        trending=tuple(a_card(number) for number in range(1, trending + 1)),
        for_you=tuple(
            a_card(100 + number, reasons=("Matches “language models”: language model, notes",))
            for number in range(1, for_you + 1)
        ),
        interests=("Language models", "Reading"),
        list_url=f"https://digest.example.org/list/{TOKEN}",
        preferences_url=f"https://digest.example.org/p/{TOKEN}",
        unsubscribe_url=f"https://digest.example.org/u/{TOKEN}",
    )
    return replace(digest, **changes)


def every_letter() -> list[Letter]:
    """One letter of each kind, and each side of the manage letter."""
    return [
        a_digest(),
        ConfirmLetter(
            recipient="reader@example.org",
            confirm_url=f"https://digest.example.org/confirm/{TOKEN}",
            requested_at=REQUESTED_AT,
            expires_at=EXPIRES_AT,
            interests=("Language models",),
            schedule="at 08:00 (Europe/Berlin) on Monday to Friday; the first at once",
        ),
        AlreadySubscribedLetter(
            recipient="reader@example.org",
            requested_at=REQUESTED_AT,
            preferences_url=f"https://digest.example.org/p/{TOKEN}",
            unsubscribe_url=f"https://digest.example.org/u/{TOKEN}",
        ),
        *(
            ManageLetter(
                recipient="reader@example.org",
                action=action,
                url=f"https://digest.example.org/{action}/{TOKEN}",
                requested_at=REQUESTED_AT,
                expires_at=EXPIRES_AT,
            )
            for action in ("export", "erase")
        ),
        GoodbyeLetter(
            recipient="reader@example.org", left_at=REQUESTED_AT, home_url="https://digest.example.org/"
        ),
        AlertLetter(
            recipient="operator@example.org",
            headline="No papers from huggingface since Wednesday",
            lines=("The last answer was 503.", "Digests go on with what arXiv sends."),
        ),
    ]


def a_sender(**changes: Any) -> Sender:
    sender = Sender(
        name="Paperlark",
        address="digest@news.example.org",
        contact="hello@example.org",
        postal_address="Paperlark, 1 Lark Lane, 1000 Testville",
        envelope_domain="bounces.example.org",
        list_id="digest.news.example.org",
        home_url="https://digest.example.org",
    )
    return replace(sender, **changes)
