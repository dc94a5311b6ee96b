"""Settings: one typed object, read once from the environment, refused at the door when unsafe."""

import re
from base64 import b64decode
from datetime import timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from service.endpoints import Limit, SmtpEndpoint, read_domain_limits, read_relays, split_url
from service.inboxes import read_imap, read_listener

SourceName = Literal["huggingface", "arxiv", "archive", "demo"]

MINIMUM_SECRET_LENGTH = 32
SHORTEST_WEBHOOK_SECRET = 16
DATABASE_SCHEMES = frozenset({"postgresql", "postgres", "postgresql+psycopg", "sqlite"})
WEAK_SECRETS = frozenset({"changethis", "changeme", "secret", "development", "paperlark", "password"})
FREEMAIL_DOMAINS = frozenset(
    {
        "gmail.com", "googlemail.com", "yahoo.com", "ymail.com", "outlook.com", "hotmail.com", "live.com",
        "msn.com", "aol.com", "icloud.com", "me.com", "mac.com", "gmx.de", "gmx.net", "web.de", "mail.ru",
        "yandex.ru", "qq.com", "163.com", "proton.me", "protonmail.com",
    }
)  # fmt: skip

# What stands in headers, envelopes and EHLO: found wrong here, before it stops a morning's mail.
_LABELS = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,251}[A-Za-z0-9])?")
_HELO = re.compile(_LABELS.pattern + r"|\[[A-Za-z0-9.:]+\]")
_LOCAL_PART = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}")


class Environment(StrEnum):
    """Where this runs: production refuses unsafe settings, the others fill in what is missing."""

    DEVELOPMENT = "development"
    TEST = "test"
    PRODUCTION = "production"


def _split_names(value: object) -> object:
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


def _split_paths(value: object) -> object:
    return () if value is None else (value,) if isinstance(value, Path) else _split_names(value)


NameList = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split_names)]
PathList = Annotated[tuple[Path, ...], NoDecode, BeforeValidator(_split_paths)]


class Settings(BaseSettings):
    """Everything an operator can set, each as ``PAPERLARK_<NAME>`` in the environment.

    Raises:
        pydantic.ValidationError: a value is malformed, or unsafe for production.
    """

    model_config = SettingsConfigDict(
        env_prefix="PAPERLARK_",
        env_ignore_empty=True,  # compose files can't leave a variable out, only empty
        frozen=True,
        extra="ignore",
    )

    environment: Environment = Field(Environment.DEVELOPMENT, description="development, test or production")
    data_dir: Path = Field(Path("data"), description="Folder for everything Paperlark keeps on disk")
    database_url: str | None = Field(None, description="postgresql://… ; without it SQLite in DATA_DIR")
    redis_url: str | None = Field(None, description="redis://… ; without it a broker of our own is started")
    smtp_url: SecretStr | None = Field(
        None,
        description="The relay, or several separated by spaces, with options (see deliverability);"
        " without it mail goes to the local mailbox",
    )
    smtp_timeout_seconds: float = Field(300, gt=0, description="Limit for a relay's answer to a command")
    smtp_final_reply_timeout_seconds: float = Field(
        600, gt=0, description="Limit for the answer after the dot"
    )
    smtp_connections: int = Field(8, ge=1, le=256, description="Connections a mail worker keeps to a relay")
    smtp_helo_name: str | None = Field(None, description="Name given in EHLO; without it that of BASE_URL")
    domain_limits: str = Field(
        "", description="Limits of receiving domains, all workers together: gmail.com=20/s:50 *=300/m"
    )
    mx_lookup: bool = Field(
        False, description="Ask DNS which receiving domains share their servers, and with whom"
    )
    spread_minutes: int = Field(
        20, ge=0, le=55, description="Longest time over which the digests of an hour are spread; 0 for none"
    )
    base_url: str = Field("http://127.0.0.1:8000", description="Public address of the web pages, no path")
    bind_host: str = Field("127.0.0.1", description="Interface the web server listens on")
    bind_port: int | None = Field(
        None,
        ge=1,
        le=65535,
        description="Port the web server listens on; without it that of BASE_URL, or 8000",
    )
    trusted_proxies: NameList = Field(
        (), description="Addresses of proxies whose X-Forwarded-For is believed"
    )
    secret_key: SecretStr | None = Field(
        None, description="Signs tokens and keys hashes; at least 32 characters"
    )
    retired_secret_keys: Annotated[tuple[SecretStr, ...], NoDecode, BeforeValidator(_split_names)] = Field(
        (), description="Earlier secret keys, comma-separated: links signed with them go on working"
    )
    sources: Annotated[tuple[SourceName, ...], NoDecode, BeforeValidator(_split_names)] = Field(
        ("huggingface",), description="Where papers come from: huggingface,arxiv,archive,demo"
    )
    huggingface_url: str = Field("https://huggingface.co", description="Root of the Hugging Face site")
    huggingface_token: SecretStr | None = Field(
        None, description="Optional Hugging Face token: higher rate limit"
    )
    arxiv_api_url: str = Field("https://export.arxiv.org/api/query", description="arXiv query API")
    arxiv_rss_url: str = Field("https://rss.arxiv.org/atom", description="arXiv feeds")
    arxiv_categories: NameList = Field(
        ("cs.AI", "cs.CL", "cs.CV", "cs.LG"), description="Categories to follow at arXiv"
    )
    archive_path: Path | None = Field(
        None, description="File or folder of recorded answers for the archive source"
    )
    collect_minutes: int = Field(60, ge=5, le=1440, description="Minutes between two collections")
    embeddings: Literal["auto", "off"] = Field(
        "auto", description="Dense vectors of texts: auto where the extra embeddings is installed, or off"
    )
    embedding_threads: int = Field(1, ge=1, le=64, description="Threads that read one text into a vector")
    sender_name: str = Field("Paperlark", description="Display name in From")
    sender_address: str = Field("digest@paperlark.localhost", description="Address in From")
    bounce_domain: str | None = Field(
        None, description="Domain of the envelope senders; without it that of From"
    )
    postal_address: str | None = Field(None, description="Postal address in the foot of every digest")
    contact_address: str | None = Field(
        None, description="Where readers can write; without it SENDER_ADDRESS"
    )
    operator_address: str | None = Field(
        None, description="Where alerts are mailed; without it CONTACT_ADDRESS, without that only logged"
    )
    list_id: str | None = Field(None, description="List-Id domain; without it digest.<domain of From>")
    dkim_selector: NameList = Field((), description="DKIM selectors of DKIM_KEY_FILE, in the same order")
    dkim_domain: str | None = Field(None, description="DKIM d=; without it the domain of From")
    dkim_key_file: PathList = Field(
        (), description="PEM files with RSA or Ed25519 private keys, parted by commas; each signs every mail"
    )
    operator_token: SecretStr | None = Field(
        None, description="Bearer token that opens /metrics beyond loopback"
    )
    inbound_listen: str | None = Field(
        None,
        description="Where paperlark inbound takes mail back: lmtp://127.0.0.1:8024, lmtp:///path.sock or smtp://…",
    )
    inbound_tls_certificate_file: Path | None = Field(
        None,
        description="PEM file with a certificate: STARTTLS is offered where INBOUND_LISTEN says",
    )
    inbound_tls_key_file: Path | None = Field(
        None, description="PEM file with that certificate's key, if it is not in the same file"
    )
    inbound_imap_url: SecretStr | None = Field(
        None, description="Mailbox to fetch returned mail from: imaps://user:password@host/INBOX"
    )
    webhook_ses_topics: NameList = Field(
        (), description="ARNs of the SNS topics whose events of Amazon SES are taken at /webhooks/ses"
    )
    webhook_sendgrid_key: str | None = Field(
        None, description="Verification key of SendGrid's event webhook, for /webhooks/sendgrid"
    )
    webhook_mailgun_key: SecretStr | None = Field(
        None, description="HTTP webhook signing key of Mailgun, for /webhooks/mailgun"
    )
    webhook_postmark_secret: SecretStr | None = Field(
        None, description="user:password of the basic authentication in Postmark's webhook URL"
    )
    goodbye_mail: bool = Field(
        False, description="Whether one mail tells of an unsubscribe by the page or link"
    )
    mailbox_port: int = Field(0, ge=0, le=65535, description="Port of the local mailbox; 0 takes a free one")
    log_format: Literal["text", "json"] = Field("text", description="text for people, json for machines")

    @field_validator("base_url")
    @classmethod
    def _check_base_url(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in {"http", "https"} or not parts.hostname or parts.path not in {"", "/"}:
            raise ValueError("must look like https://digest.example.org, without a path")
        return value.rstrip("/")

    @field_validator("sender_name")
    @classmethod
    def _check_sender_name(cls, value: str) -> str:
        # trust.md 16: the display name names the sender and nothing else.
        name = value.strip()
        if not name or len(name) > 60 or any(not c.isprintable() or c in '<>@"' for c in name):
            raise ValueError("must be a plain name of at most 60 characters")
        if name.lower().startswith(("re:", "fw:", "fwd:")) or any(ord(c) >= 0x1F000 for c in name):
            raise ValueError("must name the sender only: no 'Re:', no emoji")
        if "=?" in name or "?=" in name:
            raise ValueError("must be written as it is read, not as an encoded-word")
        return name

    @field_validator("bounce_domain", "dkim_domain", "list_id")
    @classmethod
    def _check_domain(cls, value: str | None) -> str | None:
        if value is not None and not _LABELS.fullmatch(value):
            raise ValueError("must be a domain such as news.example.org (as A-labels)")
        return value

    @field_validator("smtp_helo_name")
    @classmethod
    def _check_helo_name(cls, value: str | None) -> str | None:
        if value is not None and not _HELO.fullmatch(value):
            raise ValueError("must be a host's name such as mail.example.org, or [192.0.2.1]")
        return value

    @field_validator("dkim_selector")
    @classmethod
    def _check_selectors(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if not all(_LABELS.fullmatch(selector) for selector in value):
            raise ValueError("must be selectors such as lark2026")
        return value

    @field_validator("operator_address")
    @classmethod
    def _check_operator_address(cls, value: str | None) -> str | None:
        # Any mailbox will do: nothing is sent from it.
        if value is None:
            return None
        local, at, domain = value.strip().rpartition("@")
        if not (at and local and domain) or not value.isascii() or any(c.isspace() for c in value.strip()):
            raise ValueError("must be an address such as operator@example.org (domains as A-labels)")
        return f"{local}@{domain.lower()}"

    @field_validator("sender_address", "contact_address")
    @classmethod
    def _check_address(cls, value: str | None) -> str | None:
        if value is None:
            return None
        local, _, domain = value.strip().rpartition("@")
        if not _LOCAL_PART.fullmatch(local) or "." not in domain or not _LABELS.fullmatch(domain):
            raise ValueError("must be an address such as digest@news.example.org (domains as A-labels)")
        if domain.lower() in FREEMAIL_DOMAINS:
            raise ValueError(
                f"{domain} is a mail provider's own domain; its DMARC policy forbids others to use it"
            )
        return f"{local}@{domain.lower()}"

    @field_validator("database_url")
    @classmethod
    def _check_database_url(cls, value: str | None) -> str | None:
        if value is None:
            return None
        # Only here: whoever names a database loads SQLAlchemy anyway, the others are spared it.
        from sqlalchemy.engine import make_url
        from sqlalchemy.exc import ArgumentError

        try:
            known = make_url(value).drivername in DATABASE_SCHEMES
        except (ArgumentError, ValueError):
            known = False
        if not known:
            raise ValueError("must look like postgresql://user:password@host:5432/name")
        return value

    @field_validator("redis_url")
    @classmethod
    def _check_redis_url(cls, value: str | None) -> str | None:
        if value is None:
            return None
        # Celery's transport knows no unix://, and takes a word without a scheme for a RabbitMQ host.
        parts, _ = split_url(value)
        if parts is None or not value.startswith(("redis://", "rediss://")):
            raise ValueError("must look like redis://:password@host:6379/0 (rediss:// for TLS)")
        return value

    @field_validator("smtp_url")
    @classmethod
    def _check_smtp_url(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            read_relays(value.get_secret_value())
        return value

    @field_validator("domain_limits")
    @classmethod
    def _check_domain_limits(cls, value: str) -> str:
        read_domain_limits(value)
        return value

    @field_validator("inbound_listen")
    @classmethod
    def _check_inbound_listen(cls, value: str | None) -> str | None:
        if value is not None:
            read_listener(value)
        return value

    @field_validator("inbound_imap_url")
    @classmethod
    def _check_inbound_imap_url(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            read_imap(value.get_secret_value())
        return value

    @field_validator("webhook_ses_topics")
    @classmethod
    def _check_webhook_ses_topics(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if any(not topic.startswith("arn:aws") or topic.count(":") != 5 for topic in value):
            raise ValueError("must be ARNs such as arn:aws:sns:eu-west-1:123456789012:ses-events")
        return value

    @field_validator("webhook_sendgrid_key")
    @classmethod
    def _check_webhook_sendgrid_key(cls, value: str | None) -> str | None:
        try:
            size = 64 if value is None else len(b64decode(value, validate=True))
        except ValueError:
            size = 0
        if size < 64:
            raise ValueError("must be the verification key as SendGrid shows it, in base64")
        return value

    @field_validator("webhook_mailgun_key", "webhook_postmark_secret")
    @classmethod
    def _check_webhook_secret(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and len(value.get_secret_value()) < SHORTEST_WEBHOOK_SECRET:
            raise ValueError(f"must have at least {SHORTEST_WEBHOOK_SECRET} characters")
        return value

    @field_validator("webhook_postmark_secret")
    @classmethod
    def _check_webhook_postmark_secret(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and ":" not in value.get_secret_value():
            raise ValueError("must look like user:password")
        return value

    @field_validator("secret_key")
    @classmethod
    def _check_secret(cls, value: SecretStr | None) -> SecretStr | None:
        if value is None:
            return None
        text = value.get_secret_value()
        if (
            len(text) < MINIMUM_SECRET_LENGTH
            or text.lower().strip("0123456789-_ ") in WEAK_SECRETS
            or len(set(text)) < 8
        ):
            raise ValueError(
                "is too weak: make one with python -c 'import secrets; print(secrets.token_urlsafe(48))'"
            )
        return value

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        if "archive" in self.sources and self.archive_path is None:
            raise ValueError(
                "PAPERLARK_SOURCES names archive: set PAPERLARK_ARCHIVE_PATH to its file or folder"
            )
        if len(self.dkim_key_file) != len(self.dkim_selector):
            raise ValueError("set PAPERLARK_DKIM_KEY_FILE and PAPERLARK_DKIM_SELECTOR together, one for each")
        if self.inbound_tls_key_file is not None and self.inbound_tls_certificate_file is None:
            raise ValueError("PAPERLARK_INBOUND_TLS_KEY_FILE needs PAPERLARK_INBOUND_TLS_CERTIFICATE_FILE")
        if self.environment is Environment.PRODUCTION:
            missing = [
                name for name in ("secret_key", "smtp_url", "postal_address") if getattr(self, name) is None
            ]
            if missing:
                names = ", ".join(f"PAPERLARK_{name.upper()}" for name in missing)
                raise ValueError(f"production needs {names}")
            if not self.base_url.startswith("https://"):
                raise ValueError("production needs PAPERLARK_BASE_URL to be https://…")
            if self.sender_domain.endswith(".localhost"):
                raise ValueError("production needs PAPERLARK_SENDER_ADDRESS at a domain of yours")
        return self

    @property
    def relays(self) -> tuple[SmtpEndpoint, ...]:
        """The relays of ``smtp_url``; none where mail stays in the local mailbox."""
        return read_relays(self.smtp_url.get_secret_value()) if self.smtp_url is not None else ()

    @property
    def limits_of_domains(self) -> dict[str, Limit]:
        """The limits of ``domain_limits``, by receiving domain; ``*`` is each that is not named."""
        return read_domain_limits(self.domain_limits)

    @property
    def embedded_mailbox(self) -> bool:
        """Whether mail is caught by the local mailbox, because no relay is set."""
        return self.smtp_url is None

    @property
    def listen_port(self) -> int:
        """Port the web server listens on. Behind a proxy BASE_URL names none: then 8000."""
        return self.bind_port or urlsplit(self.base_url).port or 8000

    @property
    def sqlalchemy_url(self) -> str:
        """The database's URL for SQLAlchemy: psycopg 3 for Postgres, SQLite in ``data_dir`` by default."""
        if self.database_url is None:
            return f"sqlite:///{(self.data_dir / 'paperlark.sqlite3').resolve()}"
        scheme, separator, rest = self.database_url.partition("://")
        return (
            f"postgresql+psycopg{separator}{rest}"
            if scheme in {"postgres", "postgresql"}
            else self.database_url
        )

    @property
    def sender_domain(self) -> str:
        """Domain of the From address."""
        return self.sender_address.rpartition("@")[2]

    @property
    def envelope_domain(self) -> str:
        """Domain of the per-delivery envelope senders."""
        return self.bounce_domain or self.sender_domain

    @property
    def operator_mailbox(self) -> str | None:
        """Where the operator is told of trouble by mail, if anywhere."""
        return self.operator_address or self.contact_address

    @property
    def takes_mail_back(self) -> bool:
        """Whether mail to our own addresses is read: only then may a mail offer them to its reader."""
        return self.inbound_listen is not None or self.inbound_imap_url is not None

    @property
    def helo_name(self) -> str:
        """Name given in EHLO."""
        return self.smtp_helo_name or urlsplit(self.base_url).hostname or "localhost"

    @property
    def list_identifier(self) -> str:
        """The List-Id's identifier, stable for ever (RFC 2919)."""
        return self.list_id or f"digest.{self.sender_domain}"

    @property
    def collect_interval(self) -> timedelta:
        """Time between two collections."""
        return timedelta(minutes=self.collect_minutes)
