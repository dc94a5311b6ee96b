"""Logging: structured events of ours and lines of libraries, through one handler that hides secrets.

Nothing of ours logs an address or a token; this is the second lock, for tracebacks and other people's code.
"""

import logging
import re
import sys
from typing import Literal, TextIO

import structlog

# Our tokens are 34 base64url characters; ids of tasks (UUIDs) and names in code have no mixed case.
_TOKEN = re.compile(r"(?<![\w-])(?=[\w-]*[a-z])(?=[\w-]*[A-Z])[A-Za-z0-9_-]{30,}(?![\w-])")
_CREDENTIALS = re.compile(r"(?<=://)[^/\s@'\"]*@")
_ADDRESS = re.compile(r"[^\s@<>\"'(),:;\[\]]+@[^\s@<>\"'(),:;\[\]]+")

# What these say at INFO is either noise or names mailboxes.
_QUIET = (
    "mail.log",
    "aiosmtplib",
    "httpx2",
    "httpcore2",
    "alembic",
    "apscheduler",
    "celery",
    "kombu",
    "amqp",
    "uvicorn",
)


def redact(line: str) -> str:
    """Return the line with everything that looks like an address, a token or a password masked."""
    line = _CREDENTIALS.sub("<secret>@", line)
    line = _TOKEN.sub("<token>", line)
    return _ADDRESS.sub("<address>", line)


class RedactingFormatter(logging.Formatter):
    """Another formatter's line, masked: whatever the line was made of, tracebacks too."""

    def __init__(self, inner: logging.Formatter) -> None:
        """Wrap ``inner``."""
        super().__init__()
        self._inner = inner

    def format(self, record: logging.LogRecord) -> str:
        """Return the masked line."""
        return redact(self._inner.format(record))


def configure_logging(
    style: Literal["text", "json"] = "text", *, level: int = logging.INFO, stream: TextIO | None = None
) -> None:
    """Send every log line of this process, ours and the libraries', to ``stream`` (standard error)."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(level),
        cache_logger_on_first_use=False,
    )
    renderer: list[structlog.typing.Processor] = (
        [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
        if style == "json"
        else [structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)]
    )
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(
        RedactingFormatter(
            structlog.stdlib.ProcessorFormatter(
                foreign_pre_chain=shared,
                processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderer],
            )
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
