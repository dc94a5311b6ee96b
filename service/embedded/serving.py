"""``paperlark serve``: starts every part in order, looks after them, and stops them within seconds."""

import asyncio
import gc
import signal
import socket
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from types import FrameType

import structlog
import uvicorn
from pydantic import SecretStr

from service.bell import Bell
from service.bootstrap import open_parts
from service.config import Settings
from service.embedded.broker import Broker, BrokerFailed, find_valkey
from service.embedded.child import Child
from service.inbound.receiver import Receiver
from service.mailbox import server as mailbox_server
from service.mailbox.store import MailboxStore
from service.migrations import prepare
from service.web.app import create_app
from workers.bell import CeleryBell
from workers.scheduler import Scheduler

# Ctrl-C stops everything within three seconds: the pages get one, the worker two, the broker what is left.
PAGES_SECONDS = 1
WORKER_SECONDS = 2.0
LOOK_SECONDS = 0.1
WORKER_THREADS = 4  # one for each queue: none waits behind another

log = structlog.get_logger()


class _WebServer(uvicorn.Server):
    """Uvicorn, with a word when it answers."""

    def __init__(self, config: uvicorn.Config, when_ready: Callable[[], None]) -> None:
        super().__init__(config)
        self._when_ready = when_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._when_ready()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sockets:
    """Where we listen: opened first, so that a taken port is known before anything runs."""

    web: socket.socket
    mailbox: socket.socket | None  # None when a real relay is set


@dataclass(slots=True, kw_only=True)
class _Tree:
    """What runs beside the web pages."""

    broker: Broker | None
    worker: Child | None
    receiver: Receiver | None = None  # of mail that comes back

    def look_after(self) -> None:
        """Start again what died, the broker first: it keeps its address."""
        if self.broker is not None and not self.broker.is_running():
            log.error("broker_died")
            try:
                self.broker.restart()
            except BrokerFailed as failure:
                log.error("broker_failed", reason=str(failure))  # noqa: TRY400 - the reason is the message
        if self.worker is not None:
            self.worker.look_after()


def serve(settings: Settings, web_socket: socket.socket, *, say: Callable[[str], None]) -> None:
    """Run everything until a signal comes; the caller holds the folder's lock and has opened the socket.

    Raises:
        SchemaOutOfDate: Postgres needs ``paperlark migrate``.
        BrokerFailed: the broker of our own did not start.
    """
    prepare(settings)
    with ExitStack() as stack:
        broker = _start_broker(settings, stack)
        broker_url = settings.redis_url or (broker.url if broker else "memory://")
        caught = mailbox_server.listen(port=settings.mailbox_port) if settings.embedded_mailbox else None
        relayed = _with_relay(settings, caught)
        worker = None
        if broker_url == "memory://":
            _start_worker_thread(relayed, stack)
        else:
            worker = _worker_child(relayed, broker_url)
            stack.callback(worker.end)
        bell = CeleryBell(broker_url)
        stack.callback(bell.close)
        _run_loop(
            settings,
            _Sockets(web=web_socket, mailbox=caught),
            _Tree(broker=broker, worker=worker),
            bell=bell,
            say=say,
        )


def _start_broker(settings: Settings, stack: ExitStack) -> Broker | None:
    if settings.redis_url is not None:
        return None
    binary = find_valkey()
    if binary is None:
        log.warning("no_broker_here", meaning="tasks run in this process; what waits is found again by SQL")
        return None
    broker = Broker(binary, settings.data_dir.resolve() / "broker")
    broker.start()
    stack.callback(broker.stop)
    return broker


def _with_relay(settings: Settings, caught: socket.socket | None) -> Settings:
    """Return the settings of whoever sends: their relay is the local mailbox when there is no other."""
    if caught is None:
        return settings
    return settings.model_copy(update={"smtp_url": SecretStr(mailbox_server.smtp_url(caught))})


def _worker_child(settings: Settings, broker_url: str) -> Child:
    """Describe the worker; what the environment does not say already it is told by its environment."""
    environment = {
        "PAPERLARK_DATA_DIR": str(settings.data_dir.resolve()),
        "PAPERLARK_BASE_URL": settings.base_url,
        "PAPERLARK_REDIS_URL": broker_url,
    }
    if settings.smtp_url is not None:
        environment["PAPERLARK_SMTP_URL"] = settings.smtp_url.get_secret_value()
    options = ["--pool", "threads", "--concurrency", str(WORKER_THREADS), "--with-parent"]
    return Child("worker", [sys.executable, "-m", "service.cli", "worker", *options], environment)


def _start_worker_thread(settings: Settings, stack: ExitStack) -> None:
    from workers.thread import running_worker

    stack.enter_context(running_worker(settings, "memory://", threads=WORKER_THREADS))


def _run_loop(
    settings: Settings, sockets: _Sockets, tree: _Tree, *, bell: Bell, say: Callable[[str], None]
) -> None:
    parts = open_parts(settings, bell=bell)
    store = MailboxStore(settings.data_dir / "mailbox")
    app = create_app(parts, mailbox=store if sockets.mailbox else None)
    gc.freeze()
    gc.enable()  # off since the command began: collecting while modules load finds nothing
    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,  # the application believes the proxies in its settings, no others
        timeout_graceful_shutdown=PAGES_SECONDS,
    )

    def when_ready() -> None:
        say(settings.base_url)
        if tree.worker is not None:
            tree.worker.start()  # only now, for it takes a processor for a second or two to get ready

    web = _WebServer(config, when_ready)
    scheduler = Scheduler(parts)
    tree.receiver = parts.make_receiver()
    # Uvicorn raises the signal again when it is done; what is left to stop is ours to stop.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _ignore)
    with asyncio.Runner(loop_factory=config.get_loop_factory()) as runner:
        runner.run(_run(web, sockets, store, scheduler, tree))
    parts.database.close()


async def _run(
    web: uvicorn.Server, sockets: _Sockets, store: MailboxStore, scheduler: Scheduler, tree: _Tree
) -> None:
    mailbox = await mailbox_server.start(store, listening=sockets.mailbox) if sockets.mailbox else None
    await _start_receiver(tree)
    scheduler.start()
    watch = asyncio.create_task(_watch(web, tree))
    try:
        await web.serve(sockets=[sockets.web])
    finally:
        web.should_exit = True
        scheduler.stop()
        await watch
        await _stop_worker(tree)  # the mailbox stays open for it: what is being sent gets there
        if mailbox is not None:
            mailbox.close()
        if tree.receiver is not None:
            await tree.receiver.stop()


async def _start_receiver(tree: _Tree) -> None:
    """Listen for mail that comes back; if that can't be, the rest goes on, and the sender keeps its mail."""
    if tree.receiver is None:
        return
    try:
        await tree.receiver.start()
    except OSError as error:
        log.error("inbound_not_listening", reason=error.strerror)  # noqa: TRY400 - the reason is the message
        tree.receiver = None


async def _watch(web: uvicorn.Server, tree: _Tree) -> None:
    """Look after the children until the pages stop, then tell the worker so at once."""
    while not web.should_exit:
        tree.look_after()
        await asyncio.sleep(LOOK_SECONDS)
    if tree.worker is not None:
        tree.worker.ask_to_stop()


async def _stop_worker(tree: _Tree) -> None:
    deadline = time.monotonic() + WORKER_SECONDS
    while tree.worker is not None and tree.worker.is_running() and time.monotonic() < deadline:
        await asyncio.sleep(0.02)


def _ignore(_number: int, _frame: FrameType | None) -> None:
    """Take a signal that has been acted on already."""
