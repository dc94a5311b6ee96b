"""Whether the process lives, and whether it can work."""

import redis
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from fastapi import APIRouter
from redis.backoff import NoBackoff
from redis.retry import Retry
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session
from starlette.responses import JSONResponse

from service.config import Settings
from service.migrations import migration_config
from service.web.dependencies import SiteDep

router = APIRouter(include_in_schema=False)

PROBE_SECONDS = 1.0


@router.get("/healthz")
async def healthz() -> JSONResponse:
    """Answer as long as the process does; nothing else is asked."""
    return JSONResponse({"status": "up"})


@router.get("/readyz")
def readyz(site: SiteDep) -> JSONResponse:
    """Answer 200 when the database is there and migrated, and Redis too where one is set; else 503."""
    checks = {"database": _database_state(site), "redis": _redis_state(site.parts.settings)}
    ready = all(state in {"ok", "unused"} for state in checks.values())
    return JSONResponse({"status": "ready" if ready else "not ready", **checks}, 200 if ready else 503)


def _database_state(site: SiteDep) -> str:
    try:
        with site.parts.database.reading() as session:
            present = _revision(session)
    except SQLAlchemyError:
        return "unreachable"
    if "head" not in site.memo:
        config = migration_config(site.parts.settings.sqlalchemy_url)
        site.memo["head"] = ScriptDirectory.from_config(config).get_current_head()
    return "ok" if present == site.memo["head"] else "not migrated"


def _revision(session: Session) -> str | None:
    return MigrationContext.configure(session.connection()).get_current_revision()


def _redis_state(settings: Settings) -> str:
    if settings.redis_url is None:
        return "unused"
    # Without retries: redis-py's own ten would make a probe wait for seconds.
    client = redis.Redis.from_url(
        settings.redis_url,
        socket_connect_timeout=PROBE_SECONDS,
        socket_timeout=PROBE_SECONDS,
        retry=Retry(NoBackoff(), 0),
    )
    try:
        client.ping()
    except redis.RedisError:
        return "unreachable"
    finally:
        client.close()
    return "ok"
