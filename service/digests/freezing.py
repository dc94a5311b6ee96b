"""Freezes drafts: what a digest says is written down when it is planned, so that a retry says the same."""

import hashlib
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from functools import lru_cache

from sqlalchemy.orm import Session

from service.bulk import Columns
from service.database import JsonText
from service.digests import ledger
from service.digests.accounting import MAILED, SKIPPED
from service.digests.choosing import Draft
from service.digests.due import Due
from service.digests.spreading import send_at
from service.digests.storing import insert_digests
from service.digests.window import Window
from service.mail.outbox import BULK, NONCE_BITS, TRANSACTIONAL, queue_columns
from service.ranking.values import Ranked
from service.selections import join_lines, write_line

RETRY_SPAN = timedelta(hours=6)  # a relay that says "later" is asked again at least for so long
NO_SPREAD = timedelta()
LINES = 16_384  # papers as frozen that are kept


class Lines:
    """Papers as frozen, one a line, kept while drafts with the same papers follow.

    The same line stands in thousands of digests, and whoever has read it once need not again
    (service/digests/composing.py). It is found by the identity of its entry: ranking gives one object to all
    for whom it is the same, and to compare them costs more.
    """

    def __init__(self) -> None:
        """Know nothing yet."""
        self._known: dict[str, dict[int, str]] = {}
        self._entries: list[Ranked] = []  # an identity is good as long as its object is there

    def of(self, draft: Draft) -> list[str]:
        """Give the lines of one draft, in the order mailed."""
        if draft.selection is None:
            return []
        lines: list[str] = []
        for name, papers in draft.selection.lists:
            known = self._known.setdefault(name, {})
            try:
                lines += [known[id(paper)] for paper in papers]
            except KeyError:
                lines += self._write(name, papers, draft.window)
        return lines

    def _write(self, name: str, papers: Sequence[Ranked], window: Window | None) -> list[str]:
        if len(self._entries) > LINES:
            self._known.clear()
            self._entries.clear()
        known = self._known.setdefault(name, {})
        counts = window.counts if window is not None else {}
        for paper in papers:
            if id(paper) not in known:
                known[id(paper)] = _line(name, paper, counts.get(paper.id))
                self._entries.append(paper)
        return [known[id(paper)] for paper in papers]


def freeze(
    session: Session,
    drafts: Sequence[Draft],
    now: datetime,
    *,
    spread: timedelta = NO_SPREAD,
    lines: Lines | None = None,
) -> list[Draft]:
    """Store drafts with their deliveries; return those that are new, all others had a digest already.

    ``spread`` is over how long those of one hour go out (service/digests/spreading.py); ``lines`` are those
    of the drafts before.

    Raises:
        sqlalchemy.exc.IntegrityError: somebody is gone.
        service.digests.ledger.Overtaken: somebody was given another digest in the meantime.
    """
    # In one order, whoever plans: two with the same people in another would wait for each other's rows.
    drafts = sorted(drafts, key=lambda draft: draft.due.subscriber_id)
    ids = insert_digests(session, _digests(drafts, now, lines or Lines()))
    stored = [draft for draft in drafts if draft.due.subscriber_id in ids]
    mailed = [draft for draft in stored if draft.is_mailed]
    people = [draft.due.subscriber_id for draft in mailed]
    digest_ids = [ids[subscriber_id] for subscriber_id in people]
    ledger.count(session, people, [draft.due.digest_count for draft in mailed], now)
    queue_columns(session, _deliveries(mailed, digest_ids, now, spread))
    return stored


def freeze_selection(draft: Draft, lines: Lines | None = None) -> JsonText:
    """Return the selection as it is kept: list, reasons and the counts of that moment for each paper."""
    found = (lines or Lines()).of(draft)
    return JsonText(join_lines(found))


@lru_cache(LINES)
def _line(list_name: str, paper: Ranked, counts: tuple[int | None, int | None, int | None] | None) -> str:
    upvotes, comments, stars = counts or (None, None, None)
    words = {
        "paper": paper.id,
        "list": list_name,
        "score": round(paper.score, 6),
        "reasons": list(paper.reasons),
        "interest": paper.interest,
        "upvotes": upvotes,
        "comments": comments,
        "stars": stars,
    }
    if paper.is_exploration:
        words["is_exploration"] = True
    return write_line(words)


def digest_nonce(public_id: int, issue_date: date) -> int:
    """Return the number that names a subscriber's digest of a date, in Message-ID and envelope sender.

    The same whenever it is worked out, even after a database was put back from a dump: should a second copy
    ever be made, the reader's mailbox knows it for one. As hard to guess as the random ``public_id``.
    """
    digest = hashlib.sha256(f"paperlark/digest/{public_id}/{issue_date.isoformat()}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> (64 - NONCE_BITS)


def _digests(drafts: Sequence[Draft], now: datetime, lines: Lines) -> Columns:
    return {
        "subscriber_id": [draft.due.subscriber_id for draft in drafts],
        "issue_date": [draft.due.issue_date for draft in drafts],
        "due_at": [draft.due.due_at for draft in drafts],
        "planned_at": [now] * len(drafts),
        "is_first": [draft.due.is_first for draft in drafts],
        "outcome": [MAILED if draft.is_mailed else SKIPPED for draft in drafts],
        "skip_reason": [draft.skip_reason for draft in drafts],
        "window_start": [draft.window.start if draft.window else None for draft in drafts],
        "formula": [draft.formula for draft in drafts],
        "selection": [freeze_selection(draft, lines) for draft in drafts],
        "papers": [ledger.as_kept(draft.papers) if draft.is_mailed else None for draft in drafts],
    }


def _deliveries(
    drafts: Sequence[Draft], digest_ids: Sequence[int], now: datetime, spread: timedelta
) -> Columns:
    next_at = [_next_at(draft.due, now, spread) for draft in drafts]
    return {
        "nonce": [digest_nonce(draft.due.public_id, draft.due.issue_date) for draft in drafts],
        "kind": ["digest"] * len(drafts),
        # Somebody has just confirmed and waits for the first one: it must not stand behind a morning's bulk.
        "queue": [TRANSACTIONAL if draft.due.is_first else BULK for draft in drafts],
        "now": [now] * len(drafts),
        "next_at": next_at,
        "expires_at": [
            max(draft.due.cutoff_at, at + RETRY_SPAN) for draft, at in zip(drafts, next_at, strict=True)
        ],
        "subscriber_id": [draft.due.subscriber_id for draft in drafts],
        "digest_id": digest_ids,
        "parameters": [{"notice": draft.notice} if draft.notice else {} for draft in drafts],
    }


def _next_at(due: Due, now: datetime, spread: timedelta) -> datetime:
    if not spread or due.is_first:
        return now
    return send_at(due.public_id, due_at=due.due_at, cutoff_at=due.cutoff_at, now=now, window=spread)
