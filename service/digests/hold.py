"""The hold: no digest is planned or sent while the operator, or the guard after a restore, says so.

A database restored from a dump has forgotten what was planned and sent since; left alone it would send all of
it again. It can't know by itself. So every step that plans or sends raises a number in the database and then
writes it to a file beside it, in the data folder. A file that is ahead of the database tells of a restore.
"""

import json
import os
import secrets
import tempfile
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path

import structlog
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from service.database import Database
from service.digests.storing import insert_planner
from service.digests.tables import HoldRow, PlannerRow
from service.folders import make_folder
from service.mail.alerts import raise_alert
from service.mail.delivery import CANCELLABLE, Status
from service.mail.tables import IS_OPEN, DeliveryRow

MARK_FILE = "planned.json"
RESTORED = (
    "the database is older than what was already planned or sent; after 'paperlark release' nothing of the"
    " time between is sent again"
)
ADVICE = (
    "The database is older than what was already planned or sent: was a backup put back?",
    'Confirmation mails go on. Read "Backups and restore" in docs/operations.md; digests go on once you have'
    " typed: paperlark release",
)

log = structlog.get_logger()


class Kind(StrEnum):
    """Who holds."""

    OPERATOR = "operator"  # somebody typed "paperlark hold"
    RESTORE = "restore"  # the guard found the database older than what was already sent
    BREAKER = "breaker"  # too many complaints, or the relays refuse us (service/mail/breaker.py)


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """A hold that stands."""

    kind: Kind
    since: datetime
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """How far a database had come."""

    database_id: str
    generation: int


def standing(session: Session) -> Hold | None:
    """Return the hold that stands, None if nothing is held."""
    row = session.scalars(
        select(HoldRow).where(HoldRow.released_at.is_(None)).order_by(HoldRow.id).limit(1)
    ).first()
    return None if row is None else Hold(kind=Kind(row.kind), since=row.since, reason=row.reason)


def place(session: Session, now: datetime, *, kind: Kind, reason: str) -> None:
    """Place a hold, unless one stands already; a restore's takes the place of the operator's."""
    present = standing(session)
    if present is not None and (present.kind == kind or present.kind is Kind.RESTORE):
        return
    session.execute(update(HoldRow).where(HoldRow.released_at.is_(None)).values(released_at=now))
    session.add(HoldRow(kind=kind, since=now, reason=reason[:200]))


def lift(session: Session, data_dir: Path, now: datetime) -> Mark:
    """Release every hold and bring the database level with the file; write the returned mark after commit."""
    session.execute(update(HoldRow).where(HoldRow.released_at.is_(None)).values(released_at=now))
    row = planner(session)
    mark = read_mark(data_dir)
    if mark is not None and mark.database_id == row.database_id:
        row.generation = max(row.generation, mark.generation)
    return advance(session)


def check(database: Database, data_dir: Path, now: datetime) -> Hold | None:
    """Return the hold that stands; first place one if the file tells of a restore.

    No file, or the file of another database, tells nothing.
    """
    mark = read_mark(data_dir)
    with database.reading() as session:
        present = standing(session)
        row = session.get(PlannerRow, 1)
        is_behind = (
            mark is not None
            and row is not None
            and row.database_id == mark.database_id
            and row.generation < mark.generation
        )
    if not is_behind or (present is not None and present.kind is Kind.RESTORE):
        return present
    with database.transaction() as session:
        place(session, now, kind=Kind.RESTORE, reason=RESTORED)
        raise_alert(session, topic="restore", headline="all digests are held", lines=ADVICE, now=now)
    log.error("restore_detected", hint=RESTORED)
    return Hold(kind=Kind.RESTORE, since=now, reason=RESTORED)


def cancel_waiting_digests(session: Session, now: datetime) -> int:
    """Cancel every digest that waits; return how many. Their papers stay in the ledger: they may be out."""
    statement = (
        update(DeliveryRow)
        .where(IS_OPEN, DeliveryRow.kind == "digest", DeliveryRow.status.in_(CANCELLABLE))
        .values(status=Status.CANCELLED, reason="held", finished_at=now, claimed_by=None, lease_until=None)
        .returning(DeliveryRow.id)
        .execution_options(synchronize_session=False)
    )
    return len(session.scalars(statement).all())


def planner(session: Session) -> PlannerRow:
    """Return what planning remembers, made at first use; locked until the transaction ends."""
    query = select(PlannerRow).where(PlannerRow.id == 1).with_for_update()
    row = session.scalars(query).first()
    if row is None:
        insert_planner(session, secrets.token_hex(16))
        row = session.scalars(query).one()
    return row


def advance(session: Session) -> Mark:
    """Raise the number; the mark goes to the file by :func:`write_mark` once the transaction is committed."""
    row = planner(session)
    row.generation += 1
    session.flush()
    return Mark(database_id=row.database_id, generation=row.generation)


def read_mark(data_dir: Path) -> Mark | None:
    """Read the file; None if there is none that can be read."""
    try:
        data = json.loads((data_dir / MARK_FILE).read_text())
        return Mark(database_id=str(data["database_id"]), generation=int(data["generation"]))
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None


def write_mark(data_dir: Path, mark: Mark) -> bool:
    """Write the file whole or not at all, and say whether it now tells of ``mark``: a disk may be full.

    A mark behind the file's own is dropped. Two processes may write at once and the lower number win: it is
    then behind the database, which tells nothing.
    """
    present = read_mark(data_dir)
    if present and present.database_id == mark.database_id and present.generation >= mark.generation:
        return True
    draft: Path | None = None
    try:
        make_folder(data_dir)
        descriptor, name = tempfile.mkstemp(prefix=f".{MARK_FILE}-", dir=data_dir)
        draft = Path(name)
        with os.fdopen(descriptor, "w") as file:
            json.dump({"database_id": mark.database_id, "generation": mark.generation}, file)
        draft.replace(data_dir / MARK_FILE)
    except OSError as error:
        log.error("mark_not_written", reason=error.strerror)  # noqa: TRY400 - the reason is the message
        if draft is not None:
            draft.unlink(missing_ok=True)
        return False
    return True
