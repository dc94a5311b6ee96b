"""Where mail comes back: the socket we listen on, the mailbox we ask. Read from URLs; pure."""

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})


def _split(url: str) -> tuple[SplitResult | None, int | None]:
    """Split a URL that may bear a password; the library's own complaints would quote it."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None, None
    return parts, port


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    """Where the receiver listens: a TCP port or, with LMTP, a socket file."""

    is_lmtp: bool
    host: str = ""
    port: int = 0
    path: Path | None = None


def read_listener(url: str) -> Listener:
    """Read ``lmtp://host:port``, ``lmtp:///path/of.sock`` or ``smtp://host:port``.

    Raises:
        ValueError: it is none of these.
    """
    parts, port = _split(url)
    problem = "must look like lmtp://127.0.0.1:8024, lmtp:///run/paperlark.sock or smtp://0.0.0.0:25"
    if parts is None or parts.scheme not in {"lmtp", "smtp"}:
        raise ValueError(problem)
    is_lmtp = parts.scheme == "lmtp"
    if not parts.netloc and is_lmtp and parts.path.startswith("/"):
        return Listener(is_lmtp=True, path=Path(unquote(parts.path)))
    if not parts.hostname or port is None or parts.path not in {"", "/"} or parts.username:
        raise ValueError(problem)
    return Listener(is_lmtp=is_lmtp, host=parts.hostname, port=port)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImapInbox:
    """A mailbox at an IMAP server. The password stays out of every text made of this."""

    host: str
    port: int
    username: str
    password: str
    folder: str = "INBOX"
    implicit_tls: bool = True
    starttls: bool = False

    def __repr__(self) -> str:
        """Name the place only."""
        return f"{self.host}:{self.port}/{self.folder}"


def read_imap(url: str) -> ImapInbox:
    """Read ``imaps://user:password@host:993/INBOX``, or ``imap://…?starttls=required``.

    Raises:
        ValueError: no such URL, or a password that would travel in clear.
    """
    parts, given_port = _split(url)
    if parts is None or parts.scheme not in {"imap", "imaps"} or not parts.hostname:
        raise ValueError("must look like imaps://user:password@host:993/INBOX")
    if not parts.username or not parts.password:
        raise ValueError("needs a user and a password: imaps://user:password@host/INBOX")
    implicit = parts.scheme == "imaps"
    wish = parse_qs(parts.query).get("starttls", ["never" if implicit else "required"])[-1]
    if wish not in {"required", "never"}:
        raise ValueError("starttls is 'required' or 'never'")
    if not implicit and wish == "never" and parts.hostname not in LOCAL:
        raise ValueError("a password would be sent in clear; use imaps:// or starttls=required")
    folder = unquote(parts.path.strip("/")) or "INBOX"
    if not folder.isascii() or any(sign in folder for sign in '"\\\r\n') or not folder.isprintable():
        raise ValueError("the folder's name must be plain ASCII")
    return ImapInbox(
        host=parts.hostname,
        port=given_port or (993 if implicit else 143),
        username=unquote(parts.username),
        password=unquote(parts.password),
        folder=folder,
        implicit_tls=implicit,
        starttls=wish == "required" and not implicit,
    )
