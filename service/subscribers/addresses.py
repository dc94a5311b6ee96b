"""Mail addresses: what is accepted, and the one spelling under which each is kept.

An address is kept in lower case as a whole. RFC 5321 lets a server tell ``Ann@`` from ``ann@``, but also says
that none should rely on it (section 2.4), and a person who types her address twice is one person.
"""

import re
import unicodedata
from functools import lru_cache

from email_validator import SPECIAL_USE_DOMAIN_NAMES, EmailNotValidError, validate_email

MAXIMUM_LENGTH = 254  # RFC 5321: a path of 256 octets with its angle brackets
MAXIMUM_LOCAL_LENGTH = 64

# Most addresses are as plain as this; email-validator, which knows the rest, takes ten times as long.
_PLAIN_LOCAL = re.compile(r"[a-z0-9_+-]+(?:\.[a-z0-9_+-]+)*", re.ASCII)
_PLAIN_DOMAIN = re.compile(
    r"(?=.{4,253}$)(?!.*--)(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,63}", re.ASCII
)
_RESERVED_ENDINGS = frozenset(name.rpartition(".")[2] for name in SPECIAL_USE_DOMAIN_NAMES)
_PLAIN = re.compile(r"[A-Za-z0-9_+.-]+@[A-Za-z0-9.-]+", re.ASCII)
# Providers that deliver a.b@ and ab@ to one mailbox, under two names.
_SAME_DOMAIN = {"googlemail.com": "gmail.com"}


class InvalidAddress(ValueError):
    """The text is no address we can write to; the message is for the person who typed it."""


def parse_address(text: str) -> str:
    """Return the address normalised: lower case, its domain as A-labels.

    Raises:
        InvalidAddress: the message says in plain words what is wrong.
    """
    address = text.strip(" \t")
    if not address:
        raise InvalidAddress("Please type your mail address.")
    if len(address) > MAXIMUM_LENGTH:
        raise InvalidAddress("This address is too long.")
    if not _PLAIN.fullmatch(address) and any(map(_is_out_of_place, address)):
        raise InvalidAddress("Please type one address only, such as ann@example.org.")
    local, at, domain = address.rpartition("@")
    if not at or not local or not domain:
        raise InvalidAddress("An address looks like ann@example.org.")
    if not local.isascii():
        raise InvalidAddress("We can't write to addresses with letters beyond a-z before the @ sign.")
    if len(local) > MAXIMUM_LOCAL_LENGTH:
        raise InvalidAddress("The part before the @ sign is too long.")
    local = local.lower()
    if not _PLAIN_LOCAL.fullmatch(local):
        _validated(f"{local}@example.org")
    normalised = f"{local}@{_parse_domain(domain.lower())}"
    if len(normalised) > MAXIMUM_LENGTH:
        raise InvalidAddress("This address is too long.")
    return normalised


def limit_key(address: str) -> str:
    """Return the spelling by which limits count a normalised address: no plus-tag, no dots before the @.

    For limits only. Mail goes to the address as it was given.
    """
    local, _, domain = address.rpartition("@")
    bare = local.partition("+")[0].replace(".", "")
    return f"{bare or local}@{_SAME_DOMAIN.get(domain, domain)}"


def domain_of(address: str) -> str:
    """Return the domain of a normalised address."""
    return address.rpartition("@")[2]


def _is_out_of_place(sign: str) -> bool:
    return sign in '<>",;()' or sign.isspace() or unicodedata.category(sign)[0] == "C"


@lru_cache(maxsize=16_384)
def _parse_domain(domain: str) -> str:
    if _PLAIN_DOMAIN.fullmatch(domain) and domain.rpartition(".")[2] not in _RESERVED_ENDINGS:
        return domain
    ascii_domain = _validated(f"a@{domain}").rpartition("@")[2].lower()
    if "." not in ascii_domain:
        raise InvalidAddress("The part after the @ sign lacks its ending, such as .org.")
    return ascii_domain


def _validated(address: str) -> str:
    try:
        # "test_environment" lets *.test pass, where no mail can go astray; other reserved names are refused.
        found = validate_email(
            address, check_deliverability=False, allow_smtputf8=False, test_environment=True
        )
    except EmailNotValidError as error:
        raise InvalidAddress(str(error)) from error
    if found.ascii_email is None:
        raise InvalidAddress("This address can't be written in the letters mail servers share.")
    return found.ascii_email
