"""Commands that run the system: everything at once, or one kind of process each."""

import gc
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from service.commands.output import fail, say

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from service.config import Settings

PortOption = Annotated[
    int | None, typer.Option("--port", min=1, max=65535, help="Port to listen on; else that of BASE_URL.")
]
HostOption = Annotated[str | None, typer.Option("--host", help="Interface to listen on; else BIND_HOST.")]


AliveOption = Annotated[
    Path | None, typer.Option("--alive-file", help="File to touch while work gets done, for health checks.")
]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(serve)
    app.command()(web)
    app.command()(worker)
    app.command()(scheduler)
    app.command()(migrate)


def serve(
    port: PortOption = None,
    host: HostOption = None,
    data_dir: Annotated[
        Path | None, typer.Option(help="Folder for everything kept on disk; else DATA_DIR.")
    ] = None,
) -> None:
    """Run everything on this machine: web pages, scheduler, worker, broker and a local mailbox.

    What the settings name (a database, a broker, a relay) is used; what they leave out is started here.

    Examples:

      paperlark serve

      PAPERLARK_SOURCES=demo paperlark serve --port 9000
    """
    from service.embedded.broker import BrokerFailed
    from service.embedded.lock import AlreadyRunning, only_one

    gc.disable()  # until everything is loaded (service/embedded/serving.py)
    settings = _settings_for_serving(port, host, data_dir)
    try:
        with only_one(settings.data_dir), _listen(settings) as web_socket:
            from service.embedded.serving import serve as serve_all

            _log_to_stderr(settings)
            serve_all(settings, web_socket, say=_say_where(settings))
    except (AlreadyRunning, BrokerFailed) as failure:
        fail(str(failure))


def web(port: PortOption = None, host: HostOption = None) -> None:
    """Run the web pages alone; workers and a scheduler run beside it.

    Example:

      PAPERLARK_DATABASE_URL=postgresql://… PAPERLARK_REDIS_URL=redis://… paperlark web --host 0.0.0.0
    """
    settings = _settings_for_serving(port, host, None)
    broker_url = _needs_broker(settings)
    with _listen(settings) as web_socket:
        import uvicorn

        from service.bootstrap import open_parts
        from service.migrations import prepare
        from service.web.app import create_app
        from workers.bell import CeleryBell

        _log_to_stderr(settings)
        prepare(settings)
        pages = create_app(open_parts(settings, bell=CeleryBell(broker_url)))
        config = uvicorn.Config(
            pages,
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=10,
        )
        uvicorn.Server(config).run(sockets=[web_socket])


def worker(
    queues: Annotated[
        str | None, typer.Option(help="Queues to serve, separated by commas; else all of them.")
    ] = None,
    concurrency: Annotated[int, typer.Option(min=1, max=256, help="Tasks at a time.")] = 2,
    pool: Annotated[str, typer.Option(help="prefork, threads or solo.")] = "prefork",
    alive_file: AliveOption = None,
    with_parent: Annotated[
        bool, typer.Option("--with-parent", hidden=True, help="Stop at the end of standard input.")
    ] = False,
) -> None:
    """Run a worker. The queues are papers, digests, mail.transactional and mail.bulk.

    Examples:

      paperlark worker --queues papers,digests

      paperlark worker --queues mail.transactional,mail.bulk --concurrency 4
    """
    from service.config import Settings
    from service.migrations import prepare
    from workers.queues import QUEUES
    from workers.running import run_worker

    settings = Settings()
    wanted = [name.strip() for name in queues.split(",")] if queues else list(QUEUES)
    if unknown := [name for name in wanted if name not in QUEUES]:
        fail(f"no such queue: {', '.join(unknown)}; there are {', '.join(QUEUES)}", code=2)
    if pool not in {"prefork", "threads", "solo"}:
        fail(f"no such pool: {pool}; there are prefork, threads and solo", code=2)
    broker_url = _needs_broker(settings)
    _log_to_stderr(settings)
    prepare(settings)
    code = run_worker(
        settings,
        broker_url,
        wanted,
        concurrency=concurrency,
        pool=pool,
        with_parent=with_parent,
        alive_file=alive_file,
    )
    raise typer.Exit(code)


def scheduler(alive_file: AliveOption = None) -> None:
    """Run the scheduler, which rings for work each minute. One is enough; two do no harm."""
    from service.bootstrap import open_parts
    from service.config import Settings
    from service.migrations import prepare
    from workers.bell import CeleryBell
    from workers.running import run_scheduler

    settings = Settings()
    broker_url = _needs_broker(settings)
    _log_to_stderr(settings)
    prepare(settings)
    run_scheduler(open_parts(settings, bell=CeleryBell(broker_url)), alive_file=alive_file)


def migrate() -> None:
    """Bring the database to the tables this version needs. Run it once for each release, before the rest.

    Example:

      PAPERLARK_DATABASE_URL=postgresql://… paperlark migrate
    """
    from service.config import Settings
    from service.folders import make_folder
    from service.migrations import is_current
    from service.migrations import migrate as upgrade

    settings = Settings()
    if settings.database_url is None:
        make_folder(settings.data_dir)
    if is_current(settings.sqlalchemy_url):
        say("The database is up to date.")
        return
    upgrade(settings.sqlalchemy_url)
    say("The database was brought up to date.")


def _settings_for_serving(port: int | None, host: str | None, data_dir: Path | None) -> "Settings":
    from service.config import Settings

    given = {"bind_port": port, "bind_host": host, "data_dir": data_dir}
    settings = Settings().model_copy(
        update={name: value for name, value in given.items() if value is not None}
    )
    if "base_url" not in settings.model_fields_set and settings.bind_port is not None:
        # Links in mails must lead to where we listen.
        settings = settings.model_copy(update={"base_url": f"http://127.0.0.1:{settings.bind_port}"})
    return settings


def _needs_broker(settings: "Settings") -> str:
    if settings.redis_url is None:
        fail("set PAPERLARK_REDIS_URL: the processes meet there ('paperlark serve' needs none)", code=2)
    return settings.redis_url


def _listen(settings: "Settings") -> "socket.socket":
    import socket

    port = settings.listen_port
    try:
        return socket.create_server((settings.bind_host, port), backlog=2048)
    except OSError as error:
        fail(f"can't listen on {settings.bind_host}:{port}: {error.strerror}. Choose another with --port.")


def _say_where(settings: "Settings") -> "Callable[[str], None]":
    mail = "Mail is caught and shown at /mailbox. " if settings.embedded_mailbox else ""
    return lambda address: say(f"Paperlark is at {address} ({mail}Ctrl-C stops it.)")


def _log_to_stderr(settings: "Settings") -> None:
    from service.logs import configure_logging

    configure_logging(settings.log_format)
