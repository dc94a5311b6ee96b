"""Takes in many subscribers at once, from a list the operator answers for.

An import never brings anybody back: who has left, bounced, complained or been erased stays away until their
own new confirmation. Unless the operator says that the people on the list have confirmed already, each gets
the confirmation mail first, at a steady rate and outside the limits that guard the form.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import insert, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from service.keys import Keyring, Purpose
from service.mail import outbox
from service.subscribers import storing, tokens
from service.subscribers.consent import Kind
from service.subscribers.csv_reading import Line, Problem
from service.subscribers.permission import suppression_reasons
from service.subscribers.preferences import as_json
from service.subscribers.signing_up import CONFIRM_WITHIN, new_subscriber
from service.subscribers.status import Status
from service.subscribers.tables import ConsentEventRow, InterestRow, SubscriberRow, TokenRow

CHUNK = 2_000  # lines to a transaction
MAIL_INTERVAL = timedelta(seconds=1)  # 3,600 confirmation mails an hour

_PRESENT = {
    Status.PENDING: ("existing", "is already waiting for confirmation"),
    Status.ACTIVE: ("existing", "is already subscribed"),
    Status.UNSUBSCRIBED: ("suppressed", "has unsubscribed; only their own sign-up brings them back"),
    Status.BOUNCED: ("suppressed", "the mailbox refused our mail; only their own sign-up brings them back"),
    Status.COMPLAINED: ("suppressed", "has reported our mail as spam"),
}
_SUPPRESSED = {
    "erased": "has been erased or has left; only their own sign-up brings them back",
    "bounce": _PRESENT[Status.BOUNCED][1],
    "complaint": _PRESENT[Status.COMPLAINED][1],
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """What became of a chunk of lines."""

    count: int
    problems: list[Problem]


def import_lines(
    session: Session,
    keyring: Keyring,
    now: datetime,
    lines: Sequence[Line],
    *,
    confirmed: bool,
    mails_before: int = 0,
) -> Imported:
    """Insert the subscribers of ``lines``, each address at most once among them.

    With ``confirmed`` they are active at once. Else they are pending and their confirmation mails are queued,
    one each second after the ``mails_before`` that earlier chunks have queued.
    """
    problems = _known_already(session, keyring, lines)
    taken = {problem.number for problem in problems}
    fresh = [line for line in lines if line.number not in taken]
    ids = _insert_subscribers(session, keyring, now, fresh, confirmed=confirmed)
    added = [(ids[line.address], line) for line in fresh if line.address in ids]
    problems += [_existing(line) for line in fresh if line.address not in ids]
    hashes: dict[int, bytes] = {}
    if confirmed:
        _insert(
            session,
            InterestRow,
            [row for id_, line in added for row in storing.interest_values(id_, line.preferences)],
        )
    else:
        hashes = _ask_to_confirm(session, keyring, now, added, mails_before)
    _record(session, keyring, now, added, hashes, confirmed=confirmed)
    return Imported(count=len(added), problems=sorted(problems, key=lambda problem: problem.number))


def _known_already(session: Session, keyring: Keyring, lines: Sequence[Line]) -> list[Problem]:
    addresses = [line.address for line in lines]
    rows = session.execute(
        select(SubscriberRow.address, SubscriberRow.status).where(SubscriberRow.address.in_(addresses))
    )
    present = {row.address: row.status for row in rows}
    reasons = suppression_reasons(session, keyring, addresses)
    problems = []
    for line in lines:
        if line.address in reasons:
            why = _SUPPRESSED.get(reasons[line.address], "is on the suppression list")
            problems.append(Problem(line.number, "suppressed", "email", why))
        elif line.address in present:
            kind, why = _PRESENT[Status(present[line.address])]
            problems.append(Problem(line.number, kind, "email", why))
    return problems


def _insert_subscribers(
    session: Session, keyring: Keyring, now: datetime, lines: Sequence[Line], *, confirmed: bool
) -> dict[str, int]:
    """Insert what is not there by now; return the ids of the inserted by address."""
    if not lines:
        return {}
    standing: dict[str, Any] = {"confirmed_at": None}
    if confirmed:
        standing = {"status": Status.ACTIVE.value, "confirmed_at": now}
    rows = [
        {**new_subscriber(keyring, line.address, now), **storing.columns(line.preferences), **standing}
        for line in lines
    ]
    make_insert = postgresql.insert if session.get_bind().dialect.name == "postgresql" else sqlite.insert
    statement = make_insert(SubscriberRow.__table__).on_conflict_do_nothing(index_elements=["address"])  # type: ignore[arg-type]
    # Asked for afterwards by their random numbers: RETURNING would make one huge statement of every thousand
    # rows, which psycopg takes longer to parse than to run.
    session.connection().execute(statement, rows)
    inserted = session.execute(
        select(SubscriberRow.address, SubscriberRow.id).where(
            SubscriberRow.public_id.in_([row["public_id"] for row in rows])
        )
    )
    return {row.address: row.id for row in inserted}


def _ask_to_confirm(
    session: Session,
    keyring: Keyring,
    now: datetime,
    added: Sequence[tuple[int, Line]],
    mails_before: int,
) -> dict[int, bytes]:
    """Queue the confirmation mails; return the hashes of their tokens by subscriber."""
    rows, mails = [], []
    for place, (subscriber_id, line) in enumerate(added, mails_before):
        next_at = now + place * MAIL_INTERVAL
        expires_at = next_at + CONFIRM_WITHIN
        token = tokens.values(
            keyring,
            Purpose.CONFIRM,
            subscriber_id=subscriber_id,
            now=now,
            expires_at=expires_at,
            requested=as_json(line.preferences),
        )
        rows.append(token)
        mails.append(
            {
                "kind": "confirm",
                "queue": outbox.TRANSACTIONAL,
                "now": now,
                "next_at": next_at,
                "expires_at": expires_at,
                "subscriber_id": subscriber_id,
                "parameters": {"nonce": token["nonce"]},
            }
        )
    _insert(session, TokenRow, rows)
    outbox.queue_many(session, mails)
    return {row["subscriber_id"]: row["token_hash"] for row in rows}


def _record(
    session: Session,
    keyring: Keyring,
    now: datetime,
    added: Sequence[tuple[int, Line]],
    hashes: dict[int, bytes],
    *,
    confirmed: bool,
) -> None:
    _insert(
        session,
        ConsentEventRow,
        [
            {
                "subscriber_id": subscriber_id,
                "address_key": keyring.address_key(line.address),
                "kind": Kind.IMPORTED.value,
                "at": now,
                "form": "import",
                "token_hash": hashes.get(subscriber_id),
                "details": {"confirmed": confirmed, "line": line.number},
            }
            for subscriber_id, line in added
        ],
    )


def _insert(session: Session, table: type[Any], rows: list[dict[str, Any]]) -> None:
    if rows:
        session.connection().execute(insert(table.__table__), rows)


def _existing(line: Line) -> Problem:
    kind, why = _PRESENT[Status.ACTIVE]
    return Problem(line.number, kind, "email", why)
