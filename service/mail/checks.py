"""What the doctor looks at in the mail: sender, signature, relay, and the names published in DNS.

Each check says what it found and, where something is off, what to do. No mail is sent.
"""

import asyncio
import ipaddress
import ssl
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Literal, Protocol

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey

from service.config import Environment, Settings
from service.endpoints import SmtpEndpoint
from service.mail.breaker import ALL
from service.mail.dkim import RECOMMENDED_RSA_BITS, Signer
from service.mail.message import sender_from
from service.mail.pool import RelayUnavailable
from service.mail.state import Sending
from service.mail.transport import open_relay

RELAY_SECONDS = 15
# Ends of the names under which providers take mail in: it leaves from other addresses, which are their care.
PROVIDERS_OF_RELAYS = (
    "amazonaws.com", "azurecomm.net", "brevo.com", "elasticemail.com", "fastmail.com", "gmail.com", "gmx.net",
    "google.com", "icloud.com", "infomaniak.com", "ionos.com", "ionos.de", "mailbox.org", "mailersend.net",
    "mailgun.org", "mailjet.com", "mandrillapp.com", "messagingengine.com", "migadu.com", "office365.com",
    "outlook.com", "ovh.net", "postmarkapp.com", "proton.me", "protonmail.ch", "resend.com", "scaleway.com",
    "sendgrid.net", "sendinblue.com", "smtp2go.com", "socketlabs.com", "sparkpostmail.com", "yahoo.com",
    "zeptomail.com", "zoho.com", "zoho.eu",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One thing looked at."""

    name: str
    state: Literal["pass", "warn", "fail"]
    found: str
    advice: str | None = None


class Resolver(Protocol):
    """Looks names up in DNS; an empty list where there is nothing. Raises OSError when DNS can't be asked."""

    def txt(self, name: str) -> list[str]:
        """Return the texts of the TXT records of ``name``."""

    def mx(self, name: str) -> list[str]:
        """Return the hosts of the MX records of ``name``, the preferred first."""

    def addresses(self, name: str) -> list[str]:
        """Return the A and AAAA records of ``name``."""

    def names(self, address: str) -> list[str]:
        """Return the names in the PTR records of an IP address."""


def check_mail(settings: Settings, *, tls_context: ssl.SSLContext | None = None) -> Iterator[Check]:
    """Check sender, foot, signature and relay."""
    yield _sender(settings)
    yield _foot(settings)
    yield _public_address(settings)
    yield from _signature(settings)
    yield from _relays(settings, tls_context)


def check_names(settings: Settings, resolver: Resolver) -> Iterator[Check]:
    """Check SPF, DKIM, DMARC, where bounces and the EHLO name lead, and the relays' names."""
    for look in (_spf, _published_key, _dmarc, _bounce_host, _helo_host):
        name = f"DNS: {look.__name__.strip('_').replace('_', ' ')}"
        yield _asked(name, partial(look, settings, resolver))
    for endpoint in settings.relays:
        name = "DNS: PTR" if len(settings.relays) == 1 else f"DNS: PTR {endpoint.name}"
        yield _asked(name, partial(_reverse_name, name, endpoint.host, resolver))


def _asked(name: str, look: Callable[[], Check]) -> Check:
    try:
        return look()
    except OSError as error:
        return Check(
            name=name,
            state="fail",
            found=f"DNS can't be asked: {error}",
            advice="check the machine's resolver, then run doctor --dns again",
        )


def _sender(settings: Settings) -> Check:
    if settings.sender_domain.endswith((".localhost", ".test", ".example", ".invalid")):
        return Check(
            name="sender",
            state="warn",
            found=f"{settings.sender_address} is no address on the Internet",
            advice="set PAPERLARK_SENDER_ADDRESS to an address at a domain of yours before mailing others",
        )
    return Check(name="sender", state="pass", found=f"{settings.sender_name} <{settings.sender_address}>")


def _foot(settings: Settings) -> Check:
    if settings.postal_address is None:
        return Check(
            name="postal address",
            state="fail" if settings.environment is Environment.PRODUCTION else "warn",
            found="no postal address in the foot of the digests",
            advice="set PAPERLARK_POSTAL_ADDRESS; the law of most countries asks for it",
        )
    return Check(name="postal address", state="pass", found=settings.postal_address)


def _public_address(settings: Settings) -> Check:
    if not settings.base_url.startswith("https://"):
        return Check(
            name="links",
            state="warn",
            found=f"links in mails begin with {settings.base_url}",
            advice="set PAPERLARK_BASE_URL to https://…; one-click unsubscribing (RFC 8058) needs it",
        )
    return Check(name="links", state="pass", found=settings.base_url)


def _signature(settings: Settings) -> Iterator[Check]:
    try:
        signers = sender_from(settings).signers
    except ValueError as error:
        yield Check(name="DKIM key", state="fail", found=str(error), advice="mend or replace the key file")
        return
    if not signers:
        yield Check(
            name="DKIM key",
            state="warn",
            found="mails are not signed here",
            advice="set PAPERLARK_DKIM_KEY_FILE and PAPERLARK_DKIM_SELECTOR, unless the relay signs with "
            "d= of your domain and covers List-Unsubscribe and List-Unsubscribe-Post",
        )
    for signer in signers:
        yield _key(settings, signer)


def _key(settings: Settings, signer: Signer) -> Check:
    publish = f"publish the TXT record {signer.record_name}  {signer.record}"
    if isinstance(signer.key, RSAPrivateKey) and signer.key.key_size < RECOMMENDED_RSA_BITS:
        found = f"an RSA key of {signer.key.key_size} bits"
        return Check(name="DKIM key", state="warn", found=found, advice="make one of 2048 bits")
    if not _aligned(signer.domain, settings.sender_domain):
        return Check(
            name="DKIM key",
            state="fail",
            found=f"signs for {signer.domain}, From is at {settings.sender_domain}: DMARC will not count it",
            advice="set PAPERLARK_DKIM_DOMAIN to the domain of From or one above it",
        )
    return Check(
        name="DKIM key", state="pass", found=f"{signer.algorithm} for {signer.domain}", advice=publish
    )


def _relays(settings: Settings, tls_context: ssl.SSLContext | None) -> Iterator[Check]:
    if settings.embedded_mailbox:
        yield Check(
            name="relay",
            state="pass" if settings.environment is not Environment.PRODUCTION else "fail",
            found="mail stays in the local mailbox",
            advice="set PAPERLARK_SMTP_URL to send it to people",
        )
    for endpoint in settings.relays:
        yield _relay(settings, endpoint, tls_context)


def _relay(settings: Settings, endpoint: SmtpEndpoint, tls_context: ssl.SSLContext | None) -> Check:
    name = "relay" if len(settings.relays) == 1 else f"relay {endpoint.name}"
    quick = settings.model_copy(
        update={"smtp_timeout_seconds": min(RELAY_SECONDS, settings.smtp_timeout_seconds)}
    )
    relay = open_relay(quick, endpoint=endpoint, tls_context=tls_context)

    async def greet() -> None:
        try:
            await relay.ready()
        finally:
            await relay.close()

    try:
        asyncio.run(greet())
    except RelayUnavailable as unavailable:
        return Check(
            name=name,
            state="fail",
            found=str(unavailable),
            advice="check PAPERLARK_SMTP_URL, the firewall, and the relay's own log",
        )
    over = "TLS" if endpoint.implicit_tls or endpoint.starttls else "no TLS"
    login = "logged in" if endpoint.username else "no login"
    return Check(name=name, state="pass", found=f"{endpoint.name} answers ({over}, {login})")


def check_sending(sending: Sending, slowed: Mapping[str, float] | None) -> Iterator[Check]:
    """Say what was stopped and slowed down."""
    for scope, breaker in sorted(sending.stopped.items()):
        yield Check(
            name="breaker",
            state="fail",
            found=f"digests to {'anybody' if scope == ALL else scope} are stopped: {breaker.detail}",
            advice="find out why (docs/deliverability.md), then type: paperlark release",
        )
    if not sending.stopped:
        sent = sum(tally.sent for tally in sending.fared.values())
        found = f"closed; within a day {sent} digests sent, {sending.complaints} complaints"
        yield Check(name="breaker", state="pass", found=found)
    if slowed is None:
        yield Check(name="limits", state="warn", found="each worker keeps to its share: Redis can't be asked")
    elif slowed:
        rates = sorted(slowed.items())
        found = ", ".join(f"{name.removeprefix('relay:')} {60 * rate:.0f}/m" for name, rate in rates)
        yield Check(
            name="limits",
            state="warn",
            found=f"slowed down after answers that asked for it: {found}",
            advice="it recovers within 20 minutes of peace; if it doesn't, set PAPERLARK_DOMAIN_LIMITS",
        )
    else:
        yield Check(name="limits", state="pass", found="nothing is slowed down")


def _spf(settings: Settings, resolver: Resolver) -> Check:
    domain = settings.envelope_domain
    records = [text for text in resolver.txt(domain) if text.lower().startswith("v=spf1")]
    if len(records) != 1:
        found = "no SPF record" if not records else f"{len(records)} SPF records, which void each other"
        return Check(
            name="DNS: SPF",
            state="fail",
            found=f"{domain} has {found}",
            advice=f'publish one TXT record at {domain}: "v=spf1 include:<your relay> -all"',
        )
    if not _aligned(domain, settings.sender_domain):
        return Check(
            name="DNS: SPF",
            state="warn",
            found=f"{domain} is not of the same organisation as {settings.sender_domain}",
            advice="DMARC then rests on DKIM alone; take a bounce domain below that of From",
        )
    return Check(name="DNS: SPF", state="pass", found=records[0])


def _published_key(settings: Settings, resolver: Resolver) -> Check:
    try:
        signers = sender_from(settings).signers
    except ValueError:
        signers = ()
    if not signers:
        return Check(name="DNS: DKIM", state="warn", found="nothing to compare: mails are not signed here")
    for signer in signers:
        wanted = _tags(signer.record)["p"]
        published = [_tags(text).get("p", "") for text in resolver.txt(signer.record_name)]
        if published != [wanted]:
            return Check(
                name="DNS: DKIM",
                state="fail",
                found=f"{signer.record_name} {'holds another key' if published else 'is not published'}",
                advice=f"publish there: {signer.record}",
            )
    names = ", ".join(signer.record_name for signer in signers)
    held = "holds our key" if len(signers) == 1 else "hold our keys"
    return Check(name="DNS: DKIM", state="pass", found=f"{names} {held}")


def _dmarc(settings: Settings, resolver: Resolver) -> Check:
    labels = settings.sender_domain.split(".")
    for start in range(len(labels) - 1):
        name = "_dmarc." + ".".join(labels[start:])
        records = [text for text in resolver.txt(name) if text.lower().startswith("v=dmarc1")]
        if len(records) == 1:
            return Check(name="DNS: DMARC", state="pass", found=f"{name}: {records[0]}")
    return Check(
        name="DNS: DMARC",
        state="fail",
        found=f"no DMARC record for {settings.sender_domain}",
        advice=f'publish a TXT record at _dmarc.{settings.sender_domain}: "v=DMARC1; p=none; rua=mailto:…"',
    )


def _bounce_host(settings: Settings, resolver: Resolver) -> Check:
    domain = settings.envelope_domain
    hosts = resolver.mx(domain) or (["(its own address)"] if resolver.addresses(domain) else [])
    if not hosts:
        return Check(
            name="DNS: bounces",
            state="fail",
            found=f"bounces to {domain} lead nowhere",
            advice=f"publish an MX record for {domain}: many refuse mail from senders that take none back",
        )
    return Check(name="DNS: bounces", state="pass", found=f"{domain} is served by {', '.join(hosts)}")


def _helo_host(settings: Settings, resolver: Resolver) -> Check:
    if not resolver.addresses(settings.helo_name):
        return Check(
            name="DNS: EHLO name",
            state="warn",
            found=f"{settings.helo_name} has no address",
            advice="set PAPERLARK_SMTP_HELO_NAME to a name of this machine that resolves both ways",
        )
    return Check(name="DNS: EHLO name", state="pass", found=settings.helo_name)


def _reverse_name(name: str, host: str, resolver: Resolver) -> Check:
    """Look whether each public address of a relay has a name that leads back to it (Gmail: 5.7.25)."""
    host = host.rstrip(".").lower()
    if provider := next((end for end in PROVIDERS_OF_RELAYS if f".{host}".endswith(f".{end}")), None):
        found = f"nothing to look up: {host} is {provider}'s, who see to the names of what they send from"
        return Check(name=name, state="pass", found=found)
    addresses = [host] if _is_address(host) else resolver.addresses(host)
    public = [one for one in addresses if ipaddress.ip_address(one).is_global]
    if not public:
        here = "leads to no public address" if addresses else "is no name of the public DNS"
        return Check(
            name=name,
            state="pass",
            found=f"nothing to look up: {host} {here}",
            advice="the address it sends from needs a PTR record that leads to a name, and that name to it",
        )
    for address in sorted(_plainly(public)):
        names = resolver.names(address)
        if not any(address in _plainly(resolver.addresses(one)) for one in names):
            wrong = f"{names[0]}, which does not lead back to it" if names else "no name (PTR)"
            return Check(
                name=name,
                state="fail",
                found=f"{host} is {address}, which has {wrong}",
                advice=f"have whoever gave you the address set its PTR record to {_wanted(host)}, and that"
                " name's A or AAAA record to the address: Gmail and others refuse mail without. If the relay"
                " sends from another address, look at that one",
            )
    return Check(name=name, state="pass", found=f"{', '.join(public)} and {host}: names lead there and back")


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _plainly(addresses: list[str]) -> set[str]:
    """Return addresses in the one way of writing them."""
    return {str(ipaddress.ip_address(one)) for one in addresses}


def _wanted(host: str) -> str:
    return "a name of the relay's" if _is_address(host) else host


def _aligned(one: str, other: str) -> bool:
    """Say whether one domain is the other or lies below or above it (relaxed alignment, nearly)."""
    return one == other or one.endswith("." + other) or other.endswith("." + one)


def _tags(record: str) -> dict[str, str]:
    pairs = (part.partition("=") for part in record.split(";"))
    return {name.strip(): "".join(value.split()) for name, _, value in pairs}
