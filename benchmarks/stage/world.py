"""A whole Paperlark to measure: settings, a database of its own, keys, made papers and people."""

import contextlib
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import psutil
import psycopg
import structlog
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa

from service.config import Settings
from service.interpreter import tune
from tests import servers

DAY = datetime(2026, 11, 20, tzinfo=UTC)  # a Friday
HOUR = timedelta(hours=1)
Key = Literal["none", "ed25519", "rsa"]


def make_settings(folder: Path, url: str | None, port: int, key: Key, connections: int) -> Settings:
    """Return settings that send to the relay at ``port``, signed by a key made now."""
    data = folder / "data"
    data.mkdir(exist_ok=True)
    return Settings(
        environment="test",
        data_dir=data,
        database_url=url,
        secret_key="only-for-measuring-0123456789-abcdefghij",
        sources="demo",
        base_url="https://digest.example.org",
        sender_address="digest@news.example.org",
        postal_address="Paperlark, 1 Lark Lane, 1000 Testville",
        smtp_url=f"smtp://127.0.0.1:{port}?starttls=never",
        smtp_connections=connections,
        **_signing(folder, key),
    )


def _signing(folder: Path, key: Key) -> dict[str, Any]:
    if key == "none":
        return {}
    made = ed25519.Ed25519PrivateKey.generate() if key == "ed25519" else rsa.generate_private_key(65537, 2048)
    path = folder / f"{key}.pem"
    path.touch(mode=0o600)
    path.write_bytes(
        made.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return {"dkim_key_file": path, "dkim_selector": "lark"}


@contextlib.contextmanager
def postgres() -> Iterator[str]:
    """Run a Postgres with an empty database; gives its URL."""
    with servers.postgres() as url:
        with psycopg.connect(f"{url}/postgres", autocommit=True) as connection:
            connection.execute("CREATE DATABASE measured")
        yield f"{url}/measured"


def postgres_seconds() -> float:
    """Return the seconds of processor that the Postgres begun here has used."""
    total = 0.0
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            if process.name().startswith("postgres"):
                times = process.cpu_times()
                total += times.user + times.system
                if process.ppid() == psutil.Process().pid:  # backends that have ended
                    total += times.children_user + times.children_system
    return total


def resident() -> float:
    """Return the memory held at this moment, in MB."""
    return float(psutil.Process().memory_info().rss) / 2**20


def behave() -> None:
    """Log nothing, for the tables say it, and set Python as the ``paperlark`` command does."""
    tune()
    structlog.configure(processors=[_drop])


def _drop(*_: object) -> dict[str, object]:
    raise structlog.DropEvent
