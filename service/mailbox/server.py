"""The SMTP server before the mailbox: takes every mail for anybody, sends nothing on."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from aiosmtpd.smtp import SMTP

from service.clock import Clock, system_clock
from service.mailbox.store import MailboxStore

LARGEST_MAIL = 32 * 1024 * 1024
STOP_SECONDS = 3


class _Catcher:
    """Files every mail before it says so."""

    def __init__(self, store: MailboxStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def handle_DATA(self, _server: SMTP, _session: object, envelope: Any) -> str:  # noqa: N802 - aiosmtpd's name
        """Keep the bytes as they came; a full disk is the sender's to know (4xx: it tries again)."""
        try:
            mail = self._store.add(
                envelope.original_content,
                sender=envelope.mail_from or "",
                recipients=envelope.rcpt_tos,
                now=self._clock(),
            )
        except OSError as error:
            return f"452 4.3.1 can't keep it: {error.strerror}"
        return f"250 2.0.0 kept as {mail.id}"


def listen(host: str = "127.0.0.1", port: int = 0) -> socket.socket:
    """Open the listening socket ahead of the server: clients may be told its port, and wait in its queue.

    Raises:
        OSError: the port is taken.
    """
    return socket.create_server((host, port), backlog=128)


async def start(
    store: MailboxStore,
    host: str = "127.0.0.1",
    port: int = 0,
    *,
    listening: socket.socket | None = None,
    clock: Clock = system_clock,
) -> asyncio.Server:
    """Start the server in the running loop, on ``listening`` or on a new socket; ``close()`` ends it."""
    loop = asyncio.get_running_loop()
    catcher = _Catcher(store, clock)

    def protocol() -> SMTP:
        return SMTP(
            catcher,
            hostname="mailbox.localhost",
            ident="Paperlark mailbox",
            data_size_limit=LARGEST_MAIL,
            enable_SMTPUTF8=True,
            loop=loop,
        )

    return await loop.create_server(protocol, sock=listening or listen(host, port))


def smtp_url(listening: socket.socket) -> str:
    """Return the relay URL (``PAPERLARK_SMTP_URL``) of a mailbox on this socket."""
    host, port = listening.getsockname()[:2]
    return f"smtp://{host}:{port}?starttls=never"


@contextmanager
def running_mailbox(
    store: MailboxStore, host: str = "127.0.0.1", port: int = 0, *, clock: Clock = system_clock
) -> Iterator[str]:
    """Run a mailbox in a thread while the block lasts; gives its relay URL.

    For commands that do all the work themselves, such as ``run-due``, when no relay is set.
    """
    listening = listen(host, port)
    loop = asyncio.new_event_loop()
    stopping = asyncio.Event()

    async def serve() -> None:
        server = await start(store, listening=listening, clock=clock)
        await stopping.wait()
        server.close()
        connections = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for connection in connections:
            connection.cancel()
        await asyncio.gather(*connections, return_exceptions=True)

    def run() -> None:
        try:
            loop.run_until_complete(serve())
        finally:
            loop.close()

    thread = threading.Thread(target=run, name="mailbox", daemon=True)
    thread.start()
    try:
        yield smtp_url(listening)
    finally:
        loop.call_soon_threadsafe(stopping.set)
        thread.join(STOP_SECONDS)
