"""What a bounce's codes and words mean: classes of RFC 3463 first, known phrases where codes are vague."""

import re
from enum import StrEnum


class Kind(StrEnum):
    """What a message that came back means for us."""

    HARD = "hard"  # the address is dead: suppress
    SOFT = "soft"  # a failure that may pass: count
    POLICY = "policy"  # about us, our content or our reputation: never suppress, tell the operator
    COMPLAINT = "complaint"  # the reader called it spam: suppress at once
    DELAY = "delay"  # not yet delivered: nothing
    AUTO_REPLY = "auto_reply"  # nothing
    OTHER = "other"


_STATUS = re.compile(r"(?<![\d.])([245])\.(\d{1,3})\.(\d{1,3})(?![\d.]*\d)")


def _any(*phrases: str) -> re.Pattern[str]:
    return re.compile("|".join(phrases), re.IGNORECASE)


_DEAD = _any(
    r"user(?:name)? (?:is )?(?:unknown|not known|not found|doesn'?t exist|does not exist)",
    r"unknown (?:local |e-?mail )?(?:user|recipient|address|mailbox|account)",
    r"(?:no such|invalid|bad destination|non-?existent|nonexistant) (?:user|mailbox|recipient"
    r"|address|person|local|account|domain|host|email)",
    r"(?:mailbox|recipient|address|account|user|addressee|mail address)(?: \S+){0,3} (?:does not "
    r"exist|doesn'?t exist|not exist|not found|unknown|unavailable or not|is invalid|could not be "
    r"found|is not valid|not recogni[sz]ed|rejected: user)",
    r"(?:doesn'?t|does not|don'?t) have (?:an?|any) (?:\S+ )?(?:account|mailbox|user)",
    r"not (?:a |our )?(?:valid|known) (?:user|mailbox|recipient|address|customer)",
    r"not listed in (?:public )?(?:domino|name)",
    r"no (?:mailbox|account|user) (?:here )?by that name",
    r"recipient(?:'s)? (?:e-?mail )?address (?:was )?not found",
    r"requested action not taken: mailbox unavailable",
    r"(?:host|domain)(?: name)? (?:unknown|not found|does not exist|is not known)",
    r"unknown (?:host|domain)",
    r"name or service not known",
    r"unrouteable address",
    r"unrouteable mail domain",
    r"no mx record",
    r"host not found",
    r"couldn'?t find any host",
    r"domain name not found",
    r"nullmx",
    r"does not accept mail",
    r"has moved",
    r"no longer (?:valid|with|active|in use|works|at this|available)",
    r"account (?:has been )?(?:deleted|closed|terminated|expired|disabled)",
    r"mailbox (?:has been )?(?:disabled|deleted|closed|suspended|inactive)",
    r"\baddress no longer\b",
    r"this user doesn",
    r"no existe",
    r"n'existe pas",
    r"unbekannt",
    r"\u5b58\u5728\u3057",
    r"\u5b9b\u5148\u4e0d\u660e",
)
_FULL = _any(
    r"(?:mail ?box|folder|account|inbox|maildir|quota|storage|disk)(?: \S+){0,6} (?:is )?(?:full"
    r"|exceed|exhausted|over)",
    r"over(?:\s|-)?(?:quota|limit|the allowed)",
    r"quota (?:exceed|limit|violation|reached|full)",
    r"exceed(?:s|ed|ing)? (?:\S+ ){0,5}(?:quota|storage|limit|size)",
    r"insufficient (?:disk|system|storage)",
    r"not enough (?:disk|storage|space)",
    r"mailfolder is full",
    r"too many messages",
    r"message(?: size)? (?:is )?too (?:big|large)",
)
_REFUSED_BY_POLICY = _any(
    r"\bspam",
    r"spamhaus|spamcop|barracuda|proofpoint|rbl\b|dnsbl|block ?list|black ?list|blacklisted",
    r"\bblocked\b",
    r"reputation",
    r"\bdmarc\b|\bspf\b|\bdkim\b",
    r"relay(?:ing)? (?:access )?(?:denied|not|is)",
    r"reverse dns|ptr record|rdns",
    r"polic(?:y|ies)",
    r"not authorized|unauthorized|unauthenticated|authentication (?:is )?required",
    r"access denied",
    r"virus|malware|infected",
    r"too many connections|rate limit|throttl",
    r"prohibited|not accepted for policy|banned|unsolicited",
    r"grey ?list",
    r"must issue a starttls",
    r"message content rejected|content (?:rejected|filter)",
)
_PASSING = _any(
    r"timed? ?out",
    r"connection (?:refused|reset|lost|dropped)",
    r"too long in (?:the )?queue",
    r"(?:delivery|message|retry)(?: \S+){0,4} (?:expired|time ?out)",
    r"temporar",
    r"try again",
    r"unable to (?:connect|reach)",
    r"not been able to deliver",
    r"loop",
    r"too many hops",
    r"resources temporarily",
    r"service unavailable",
    r"cannot connect",
)
_DELAYED = _any(
    r"delivery (?:status notification \(delay|delayed|temporarily suspended)",
    r"\bwarning: (?:could not send|message)",
    r"will (?:be retried|continue to (?:try|be)|keep trying|try again|retry)",
    r"not yet (?:been )?delivered",
    r"has been delayed|is delayed|delayed mail|delayed by",
    r"still (?:being )?(?:retried|trying|in queue)",
    r"delivery attempts will continue",
    r"no action is required on your part",
    r"you do not need to re-?send",
    r"this is a warning message only|warning message only",
)
_FAILED = _any(
    r"undeliver(?:able|ed)",
    r"error (?:sending|delivering) (?:your|the) (?:mail|message)",
    r"rejected recipient",
    r"returned mail|returned to sender|return(?:ed)? message|mail returned",
    r"deliver(?:y|ed|ing)? (?:\S+ ){0,3}(?:fail|problem|error|unsuccessful|impossible|report|status"
    r"|notification)",
    r"fail(?:ure|ed) (?:notice|notification|to deliver|mail|delivery)",
    r"could(?: not|n'?t) be (?:delivered|sent)",
    r"cannot be delivered|can'?t be delivered|unable to deliver|not (?:be )?delivered|wasn'?t "
    r"(?:able|delivered)",
    r"permanent (?:fatal )?error",
    r"message (?:status )?(?:-|:)? ?undeliver",
    r"mail (?:system )?(?:delivery )?(?:error|failure|status)",
    r"non remis|unzustellbar|zustell|no entregado|mensaje no|nondeliverable|non-?delivery|mail could "
    r"not",
)
_MAIL_SYSTEM = _any(
    r"mailer-?daemon",
    r"postmaster",
    r"mail delivery (?:sub)?system",
    r"mail ?administrator",
    r"\bmdaemon\b|mta@|bounce|mail-?system|\bsmtp\b|noreply-deliver",
)
_ABSENT = _any(
    r"^\s*(?:auto(?:matic)?[ -]?(?:reply|response|respond|antwort)|autoreply|out of (?:the )?office"
    r"|ooo\b|abwesenheit|r.ponse automatique|vacation|away from)",
    r"out of (?:the )?office",
    r"automatic reply",
)
_QUOTED_MAIL = re.compile(
    r"^(?:[ \t>]*[-=_*]{2,}[^\n]{0,80}(?:original message|copy of (?:the|your) message"
    r"|message (?:header|text|follow)|returned message|below this line|headers? follow"
    r"|undelivered message)[^\n]*"
    r"|[^\n]{0,60}(?:original message follows|copy of the message|message headers follow"
    r"|unsent message|message follows)[^\n]*"
    r"|Received: from [^\n]*|Return-Path: [^\n]*)$",
    re.IGNORECASE | re.MULTILINE,
)


def status_in(text: str) -> str | None:
    """Return the most telling enhanced status code in ``text``: one that is not general, else the first."""
    found = [match.groups() for match in _STATUS.finditer(text[:20_000])]
    telling = [groups for groups in found if groups[1] != "0" and groups[0] != "2"]
    chosen = (telling or found)[:1]
    return ".".join(str(int(number)) for number in chosen[0]) if chosen else None


def judge(status: str | None, diagnosis: str, prose: str) -> tuple[Kind, str | None]:
    """Decide what a failure means, and by which status, from its code and the words around it."""
    if status is None or is_general(status):
        status = status_in(diagnosis) or status
    text = diagnosis or prose
    kind = _by_status(status, text) or _by_words(diagnosis) or _by_words(prose)
    # In doubt an address stays: a failure without a known reason is soft.
    return _can_pass(kind or Kind.SOFT, status), status


def is_general(status: str) -> bool:
    """Say whether a status tells no more than "failed"."""
    return status.split(".")[1] == "0"


def _by_status(status: str | None, text: str) -> Kind | None:
    """Read a status that is not general; None where its class is known to be used loosely."""
    if status is None or is_general(status):
        return None
    group, subject, detail = status.split(".")
    if subject == "7":
        # 5.7.1 is also what some say of an unknown user; the other codes of this class are about us.
        dead = detail in {"0", "1"} and _DEAD.search(text) and not _REFUSED_BY_POLICY.search(text)
        return Kind.HARD if dead else Kind.POLICY
    if group == "4":
        return Kind.SOFT
    if subject == "1":
        return _about_address(detail, text)
    if f"{subject}.{detail}" in {"4.3", "4.4"} and _DEAD.search(text):
        return Kind.HARD  # no such host
    by_words = _by_words(text) if subject in {"5", "6"} or f"{subject}.{detail}" == "2.1" else Kind.SOFT
    return by_words or (Kind.HARD if subject == "2" else None)


def _about_address(detail: str, text: str) -> Kind:
    if _FULL.search(text):
        return Kind.SOFT
    # 5.1.7 and 5.1.8 find fault with the sender's address.
    return Kind.POLICY if detail in {"7", "8"} or _blames_us(text) else Kind.HARD


def _blames_us(text: str) -> bool:
    return bool(_REFUSED_BY_POLICY.search(text)) and not _DEAD.search(text)


def _can_pass(kind: Kind, status: str | None) -> Kind:
    return Kind.SOFT if kind is Kind.HARD and status is not None and status.startswith("4") else kind


def _by_words(text: str) -> Kind | None:
    if _FULL.search(text):
        return Kind.SOFT
    if _DEAD.search(text):
        return Kind.HARD
    if _REFUSED_BY_POLICY.search(text):
        return Kind.POLICY
    return Kind.SOFT if _PASSING.search(text) else None


def tells_of_failure(text: str) -> bool:
    """Say whether words tell of mail that was not delivered."""
    return bool(_FAILED.search(text))


def tells_of_delay(text: str) -> bool:
    """Say whether words tell of mail that is still being tried."""
    return bool(_DELAYED.search(text))


def tells_of_absence(subject: str) -> bool:
    """Say whether a subject is that of an automatic answer."""
    return bool(_ABSENT.search(subject))


def is_mail_system(sender: str) -> bool:
    """Say whether a From field names a mail system."""
    return bool(_MAIL_SYSTEM.search(sender))


def without_quoted_mail(text: str) -> str:
    """Cut a report where the mail it gives back begins."""
    found = _QUOTED_MAIL.search(text)
    return text[: found.start()] if found and found.start() > 0 else text
