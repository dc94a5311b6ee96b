"""Commands of the mail: ``doctor`` looks at all that sending needs, ``bounces read`` shows a reading."""

import json
import re
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from pydantic import ValidationError

from service.commands.messages import read_message
from service.commands.output import EXIT_FAILED, EXIT_PARTLY, JsonOption, print_json, say, warn
from service.config import Settings
from service.mail.checks import Check

if TYPE_CHECKING:
    from sqlalchemy import Connection

# Of Postgres: without them it confirms what is not on its disk yet.
DURABLE = ("fsync", "synchronous_commit")
bounces_app = typer.Typer(help="What comes back: bounces, complaints, auto-replies.", no_args_is_help=True)

_MARKS = {"pass": "ok  ", "warn": "look", "fail": "FAIL"}


def register(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(doctor)
    app.add_typer(bounces_app, name="bounces")


@bounces_app.command("read")
def read_bounces(
    files: Annotated[
        list[Path], typer.Argument(help="Message files, each one raw mail; - is standard input.")
    ],
    as_json: JsonOption = False,
) -> None:
    """Show how messages that came back are read; nothing is changed. JSON is one object a line.

    Leaves with 3 where some of the files can't be opened (each is named), with 1 where none can.

    Example: paperlark bounces read bounce.eml --json
    """
    from service.mail.bounces import read

    unopened = 0
    for file in files:
        try:
            raw = read_message(file)
        except OSError as error:
            warn(f"paperlark: {file} can't be read: {error.strerror}")
            unopened += 1
            continue
        reading = read(raw)
        if as_json:
            shown = {
                "file": str(file),
                "kind": reading.kind,
                "status": reading.status,
                "recipients": list(reading.recipients),
            }
            say(json.dumps(shown, ensure_ascii=False))
        else:
            recipients = ", ".join(reading.recipients) or "nobody named"
            say(f"{file}: {reading.kind} {reading.status or '-'} ({recipients})")
    if unopened:
        raise typer.Exit(EXIT_FAILED if unopened == len(files) else EXIT_PARTLY)


def doctor(
    dns: Annotated[bool, typer.Option("--dns", help="Also look up SPF, DKIM, DMARC, MX and PTR.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Look at everything sending needs, and say what to do where something is off. Sends no mail.

    Leaves with 1 if anything fails. Example: paperlark doctor --dns
    """
    checks = list(_look(dns=dns))
    if as_json:
        print_json([asdict(check) for check in checks])
    else:
        for check in checks:
            say(f"{_MARKS[check.state]}  {check.name}: {check.found}")
            if check.advice:
                say(f"      {check.advice}")
    if any(check.state == "fail" for check in checks):
        raise typer.Exit(EXIT_FAILED)


def _look(*, dns: bool) -> Iterator[Check]:
    from service.mail.checks import check_mail, check_names

    try:
        settings = Settings()
    except ValidationError as error:
        for problem in error.errors():
            name = "PAPERLARK_" + "_".join(str(part) for part in problem["loc"]).upper()
            yield Check(
                name="settings",
                state="fail",
                found=f"{name} {problem['msg']}" if problem["loc"] else problem["msg"],
                advice="change it in the environment",
            )
        return
    yield Check(name="settings", state="pass", found=f"valid for {settings.environment}")
    yield _secret(settings)
    database = _database(settings)
    yield database
    yield _broker(settings)
    if database.state != "fail":
        yield from _sending(settings)
    yield from check_mail(settings)
    yield _way_back(settings)
    if dns:
        yield from check_names(settings, DnsResolver())


def _sending(settings: Settings) -> Iterator[Check]:
    from service.clock import system_clock
    from service.database import Database
    from service.digests import hold
    from service.mail import state
    from service.mail.checks import check_sending

    database = Database(settings.sqlalchemy_url)
    try:
        with database.reading() as session:
            sending = state.look(session, system_clock())
            held = hold.standing(session)
    finally:
        database.close()
    if held is not None and held.kind is not hold.Kind.BREAKER:
        yield Check(
            name="hold",
            state="fail" if held.kind is hold.Kind.RESTORE else "warn",
            found=f"no digest has been planned or sent since {held.since:%Y-%m-%d %H:%M} UTC: {held.reason}",
            advice="look around (docs/operations.md), then type: paperlark release",
        )
    yield from check_sending(sending, state.slowed(settings))


def _way_back(settings: Settings) -> Check:
    """Look whether bounces and complaints can reach us: without them dead addresses are mailed for ever."""
    ways = {
        "LMTP or SMTP": settings.inbound_listen,
        "IMAP": settings.inbound_imap_url,
        "SES": settings.webhook_ses_topics,
        "SendGrid": settings.webhook_sendgrid_key,
        "Mailgun": settings.webhook_mailgun_key,
        "Postmark": settings.webhook_postmark_secret,
    }
    if found := [name for name, setting in ways.items() if setting]:
        return Check(
            name="way back", state="pass", found=f"bounces and complaints come by {', '.join(found)}"
        )
    if settings.embedded_mailbox:
        return Check(name="way back", state="pass", found="mail stays on this machine")
    return Check(
        name="way back",
        state="warn",
        found="nothing brings bounces and complaints back",
        advice="set PAPERLARK_INBOUND_LISTEN, …_IMAP_URL or a webhook: see docs/deliverability.md",
    )


def _secret(settings: Settings) -> Check:
    if settings.secret_key is None:
        return Check(
            name="secret key",
            state="warn",
            found=f"kept in {settings.data_dir / 'secret_key'}",
            advice="back that file up with the database: without it no link in sent mails works any more",
        )
    return Check(name="secret key", state="pass", found="set")


def _database(settings: Settings) -> Check:
    from alembic.runtime.migration import MigrationContext
    from alembic.script import ScriptDirectory
    from sqlalchemy.exc import SQLAlchemyError

    from service.database import Database
    from service.migrations import migration_config

    url = settings.sqlalchemy_url
    where = re.sub(r"//[^@/]*@", "//…@", url)
    if url.startswith("sqlite:///") and not Path(url.removeprefix("sqlite:///")).exists():
        return Check(
            name="database", state="fail", found=f"{where} is not there", advice="run: paperlark migrate"
        )
    head = ScriptDirectory.from_config(migration_config(url)).get_current_head()
    database = Database(url)
    try:
        with database.engine.connect() as connection:
            present = MigrationContext.configure(connection).get_current_revision()
            careless = [name for name in DURABLE if _is_off(connection, name)]
    except SQLAlchemyError as error:
        reason = str(error.__cause__ or type(error).__name__).splitlines()[0]
        return Check(
            name="database",
            state="fail",
            found=f"{where} can't be reached: {reason}",
            advice="check PAPERLARK_DATABASE_URL and that the server runs",
        )
    finally:
        database.close()
    if present != head:
        found = f"{where} is at {present or 'nothing'}, this version needs {head}"
        return Check(name="database", state="fail", found=found, advice="run: paperlark migrate")
    if careless:
        return Check(
            name="database",
            state="warn",
            found=f"{where} is up to date, but has {' and '.join(careless)} off",
            advice="set them on: a crash would take back what was committed, and send mail a second time",
        )
    return Check(name="database", state="pass", found=f"{where} is up to date")


def _is_off(connection: "Connection", setting: str) -> bool:
    """Say whether a Postgres has a setting off; others have none."""
    from sqlalchemy import text

    if connection.dialect.name != "postgresql":
        return False
    return bool(connection.scalar(text("SELECT current_setting(:name) = 'off'"), {"name": setting}))


def _broker(settings: Settings) -> Check:
    if settings.redis_url is None:
        return Check(name="broker", state="pass", found="'paperlark serve' starts its own")
    from redis import Redis
    from redis.backoff import NoBackoff
    from redis.exceptions import RedisError
    from redis.retry import Retry

    where = re.sub(r"//[^@/]*@", "//…@", settings.redis_url)
    client = Redis.from_url(
        settings.redis_url, socket_connect_timeout=3, socket_timeout=3, retry=Retry(NoBackoff(), 0)
    )
    try:
        client.ping()
        policy = client.config_get("maxmemory-policy").get("maxmemory-policy")
    except (RedisError, OSError) as error:
        return Check(
            name="broker",
            state="fail",
            found=f"{where} can't be reached: {type(error).__name__}",
            advice="check PAPERLARK_REDIS_URL and that the server runs; mail waits in the database meanwhile",
        )
    finally:
        client.close()
    if policy != "noeviction":
        found = f"{where} may throw tasks away (maxmemory-policy {policy})"
        return Check(name="broker", state="warn", found=found, advice="set maxmemory-policy noeviction")
    return Check(name="broker", state="pass", found=f"{where} answers")


class DnsResolver:
    """Asks the machine's resolver."""

    def txt(self, name: str) -> list[str]:
        """Return the texts of the TXT records of ``name``."""
        return [b"".join(record.strings).decode("utf-8", "replace") for record in self._ask(name, "TXT")]

    def mx(self, name: str) -> list[str]:
        """Return the hosts of the MX records of ``name``, the preferred first."""
        records = sorted(self._ask(name, "MX"), key=lambda record: record.preference)
        return [str(record.exchange).rstrip(".") for record in records]

    def addresses(self, name: str) -> list[str]:
        """Return the A and AAAA records of ``name``."""
        return [str(record) for kind in ("A", "AAAA") for record in self._ask(name, kind)]

    def names(self, address: str) -> list[str]:
        """Return the names in the PTR records of an IP address."""
        import dns.reversename

        asked = str(dns.reversename.from_address(address))
        return [str(record.target).rstrip(".") for record in self._ask(asked, "PTR")]

    @staticmethod
    def _ask(name: str, kind: str) -> list[Any]:
        import dns.exception
        import dns.resolver

        try:
            return list(dns.resolver.resolve(name, kind, lifetime=5))
        except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
            return []
        except dns.exception.DNSException as error:
            raise OSError(str(error) or type(error).__name__) from error
