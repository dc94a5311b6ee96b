"""Fetches what came back from a mailbox by IMAP, once each call.

A message is marked as seen only after it was recorded; killed in between, the same message comes again and
changes nothing. What is not for us (a person's letter) is flagged for whoever reads that mailbox, and left;
so is a message that nothing can be made of, lest it stop those behind it. Nothing is ever deleted.
"""

import contextlib
import imaplib
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import structlog
from sqlalchemy.exc import DataError, SQLAlchemyError

from service.inbound.taking import NOT_OURS
from service.inboxes import ImapInbox
from service.mail.bounce_parts import SIZE_LIMIT

log = structlog.get_logger()

SECONDS = 30.0  # for each answer
MESSAGES = 500  # in one call; the next takes the rest

Take = Callable[[bytes], str]
"""Takes a message in and says what was done (service/inbound/taking.py)."""


class InboxUnavailable(Exception):
    """The mailbox can't be asked now: the message says why, without the password."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PollTally:
    """How many messages were fetched, and what became of them."""

    taken: int = 0
    not_ours: int = 0  # or nothing can be made of it
    is_more: bool = False  # the limit was reached


def poll(
    inbox: ImapInbox,
    take: Take,
    *,
    should_stop: Callable[[], bool] = lambda: False,
    limit: int = MESSAGES,
    tls: ssl.SSLContext | None = None,
) -> PollTally:
    """Take in what is unseen in the mailbox, the oldest first.

    Raises:
        InboxUnavailable: it can't be reached, refuses the login, or has no such folder.
        sqlalchemy.exc.SQLAlchemyError: the database is away; what was not recorded stays unseen.
    """
    taken = not_ours = 0
    with _opened(inbox, tls) as server:
        waiting = _unseen(server)
        for uid in waiting[:limit]:
            if should_stop():
                break
            raw = _fetch(server, uid)
            if raw is None:  # somebody deleted it meanwhile
                continue
            is_foreign = _take(take, raw) == NOT_OURS
            _mark(server, uid, r"(\Seen \Flagged)" if is_foreign else r"(\Seen)")
            taken, not_ours = taken + (not is_foreign), not_ours + is_foreign
    return PollTally(taken=taken, not_ours=not_ours, is_more=len(waiting) > limit)


def _take(take: Take, raw: bytes) -> str:
    try:
        return take(raw)
    except SQLAlchemyError as error:
        if not isinstance(error, DataError):
            raise
        log.error("return_failed", error=type(error).__name__)  # noqa: TRY400 - it holds the parameters
        return NOT_OURS
    except Exception as error:  # noqa: BLE001 - one message must not stop the others for good
        log.error("return_failed", error=type(error).__name__)  # noqa: TRY400 - it may quote the message
        return NOT_OURS


@contextlib.contextmanager
def _opened(inbox: ImapInbox, tls: ssl.SSLContext | None) -> Iterator[imaplib.IMAP4]:
    server: imaplib.IMAP4 | None = None
    try:
        context = tls or ssl.create_default_context()
        if inbox.implicit_tls:
            server = imaplib.IMAP4_SSL(inbox.host, inbox.port, ssl_context=context, timeout=SECONDS)
        else:
            server = imaplib.IMAP4(inbox.host, inbox.port, timeout=SECONDS)
        if inbox.starttls:
            server.starttls(context)
        server.login(inbox.username, inbox.password)
        answer, _ = server.select(f'"{inbox.folder}"')
        if answer != "OK":
            raise InboxUnavailable(f"{inbox!r}: there is no such folder")
        yield server
    except (imaplib.IMAP4.error, OSError) as error:
        raise InboxUnavailable(f"{inbox!r}: {_reason(error)}") from error
    finally:
        if server is not None:
            with contextlib.suppress(imaplib.IMAP4.error, OSError):
                server.logout()
            with contextlib.suppress(OSError):
                server.shutdown()  # logout() leaves the socket open where the server is gone


def _reason(error: Exception) -> str:
    """Say what went wrong in words of ours: a server's own may repeat the login."""
    if isinstance(error, OSError):
        return error.strerror or type(error).__name__
    if isinstance(error, imaplib.IMAP4.readonly):
        return "the folder can't be written to"
    return "the connection was lost" if isinstance(error, imaplib.IMAP4.abort) else "the server refused"


def _unseen(server: imaplib.IMAP4) -> list[bytes]:
    answer, data = server.uid("SEARCH", "UNSEEN", "UNDELETED")
    return data[0].split() if answer == "OK" and data and data[0] else []


def _fetch(server: imaplib.IMAP4, uid: bytes) -> bytes | None:
    """Return the message, cut where we would stop reading; PEEK leaves it unseen."""
    answer, data = server.uid("FETCH", uid.decode("ascii"), f"(BODY.PEEK[]<0.{SIZE_LIMIT}>)")
    found = next((part[1] for part in data or () if isinstance(part, tuple)), None)
    return found if answer == "OK" and isinstance(found, bytes) else None


def _mark(server: imaplib.IMAP4, uid: bytes, flags: str) -> None:
    server.uid("STORE", uid.decode("ascii"), "+FLAGS.SILENT", flags)
