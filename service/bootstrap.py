"""The one place that wires parts: settings in, ready parts out. Commands, web and workers start here."""

import contextlib
import os
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from service.bell import Bell, SilentBell
from service.clock import Clock, system_clock
from service.config import Settings
from service.database import Database
from service.endpoints import SmtpEndpoint
from service.folders import make_folder
from service.keys import Keyring
from service.migrations import prepare

# What only some need is imported when asked for: pages answer half a second sooner without the mail.
if TYPE_CHECKING:
    from service.inbound.polling import PollTally
    from service.inbound.receiver import Receiver
    from service.mail.composing import Composer
    from service.mail.courier import Courier
    from service.mail.postbox import Ours, Postbox
    from service.papers.embedding import Embedder
    from service.papers.embedding.phrases import PhraseVectors
    from service.papers.sources import Source
    from service.subscribers.links import Links


@dataclass(frozen=True, kw_only=True)
class Parts:
    """What every entry point needs. The heavier parts are opened when first asked for."""

    settings: Settings
    database: Database
    keyring: Keyring
    clock: Clock
    bell: Bell

    @cached_property
    def links(self) -> "Links":
        """Builds the URLs that stand in mails."""
        from service.subscribers.links import Links

        settings = self.settings
        return Links(
            settings.base_url,
            self.keyring,
            leave_domain=settings.envelope_domain if settings.takes_mail_back else None,
        )

    @cached_property
    def composers(self) -> "Mapping[str, Composer]":
        """Who says what the mails of each kind say."""
        from service.digests import composing as digests
        from service.mail import alerts
        from service.subscribers import composing as subscribers

        operator = alerts.AlertComposer(self.settings.operator_mailbox, self.keyring)
        return {
            **dict.fromkeys(alerts.KINDS, operator),
            **dict.fromkeys(digests.KINDS, digests.DigestComposer(self.links)),
            **dict.fromkeys(subscribers.KINDS, subscribers.SubscriberComposer(self.links, self.keyring)),
        }

    @cached_property
    def embedder(self) -> "Embedder | None":
        """Turns texts into vectors; None where the extra is not installed or is turned off."""
        from service.papers.embedding import open_embedder

        return open_embedder(self.settings)

    @cached_property
    def phrase_vectors(self) -> "PhraseVectors | None":
        """Vectors of the short texts people write; None where there is no embedder."""
        from service.papers.embedding.phrases import PhraseVectors

        return PhraseVectors(self.embedder, self.settings.data_dir) if self.embedder else None

    @cached_property
    def postbox(self) -> "Postbox":
        """Knows the addresses at which mail comes back to us."""
        from service.mail.postbox import Postbox

        return Postbox(
            keyring=self.keyring,
            envelope_domain=self.settings.envelope_domain,
            sender_domain=self.settings.sender_domain,
        )

    def take_back(self, raw: bytes, recipients: "Sequence[Ours] | None" = None) -> str:
        """Take in a message that came back; return what was done, as a word.

        Without ``recipients`` the addresses in the message's own head count.
        """
        from service.inbound.taking import take

        now = self.clock()
        return take(self.database, self.keyring, self.postbox, raw, now=now, recipients=recipients)

    def poll_inbox(self, should_stop: "Callable[[], bool]" = lambda: False) -> "PollTally | None":
        """Take in what waits in the IMAP mailbox of the settings; None if they name none.

        Raises:
            service.inbound.polling.InboxUnavailable: it can't be asked.
        """
        from service.inbound.polling import poll
        from service.inboxes import read_imap

        if self.settings.inbound_imap_url is None:
            return None
        inbox = read_imap(self.settings.inbound_imap_url.get_secret_value())
        return poll(inbox, self.take_back, should_stop=should_stop)

    def make_receiver(self) -> "Receiver | None":
        """Make the receiver of returned mail; None if the settings name no place to listen.

        Raises:
            OSError: its certificate can't be read.
        """
        from service.inbound.receiver import Certificate, Handler, Receiver
        from service.inboxes import read_listener

        if self.settings.inbound_listen is None:
            return None
        certificate = self.settings.inbound_tls_certificate_file
        return Receiver(
            listener=read_listener(self.settings.inbound_listen),
            handler=Handler(self.postbox, self.take_back),
            hostname=self.settings.helo_name,
            certificate=Certificate(certificate, self.settings.inbound_tls_key_file) if certificate else None,
        )

    def open_sources(self) -> "list[Source]":
        """Open the sources of papers anew: each run starts with fresh connections."""
        from service.papers.sources import open_sources

        return open_sources(self.settings)

    def open_courier(self, endpoint: SmtpEndpoint | None = None) -> "Courier":
        """Make a courier, for one event loop at a time.

        ``endpoint`` is where mail goes when the settings name no relay.

        Raises:
            ValueError: no relay is known, or the DKIM key can't be used.
        """
        from service.mail.courier import open_courier

        return open_courier(self.settings, self.keyring, endpoint=endpoint)


def open_parts(
    settings: Settings | None = None, *, clock: Clock = system_clock, bell: Bell | None = None
) -> Parts:
    """Open the parts for ``settings``, by default those of the environment.

    A database of our own (SQLite) is made and brought up to date.

    Raises:
        pydantic.ValidationError: the settings are malformed or unsafe.
        SchemaOutOfDate: Postgres needs ``paperlark migrate``.
    """
    settings = settings or Settings()
    prepare(settings)
    return Parts(
        settings=settings,
        database=Database(settings.sqlalchemy_url),
        keyring=open_keyring(settings),
        clock=clock,
        bell=bell or SilentBell(),
    )


def open_keyring(settings: Settings) -> Keyring:
    """Make the keyring; without a secret key in the settings, keep one of our own in ``data_dir``."""
    retired = [key.get_secret_value() for key in settings.retired_secret_keys]
    present = settings.secret_key.get_secret_value() if settings.secret_key else _own_secret(settings)
    return Keyring([present, *retired])


def _own_secret(settings: Settings) -> str:
    make_folder(settings.data_dir)
    path = settings.data_dir / "secret_key"
    if not path.exists():
        # Several processes may come here at once: each writes a file of its own, the first link wins.
        draft = path.with_name(f".secret_key.{secrets.token_hex(8)}")
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_urlsafe(48))
            file.flush()
            os.fsync(file.fileno())
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)
        draft.unlink()
    return path.read_text().strip()
