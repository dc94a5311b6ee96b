"""What a bounce's codes and words mean: classes of RFC 3463 first, known phrases where codes are vague."""

import re
from enum import StrEnum
from itertools import pairwise


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
_REFUSAL_CODE = re.compile(r"(?<![\d.#-])55[0-4](?![\d.])")
_DEFERRAL_CODE = re.compile(r"(?<![\d.#-])4(?:21|5[0-4])(?![\d.])")
_NAMES_RECIPIENT = re.compile(
    r"^[ \t]{0,3}[<\"'(]{0,2}[^\s<>@;,()\[\]:\"'=]{1,64}@[A-Za-z0-9][A-Za-z0-9.-]{1,253}"
    r"[>\"')]{0,2}(?:[ \t:]|$)",
    re.MULTILINE,
)
# What the recipient's server was answering, where a report says so.
_TO_RECIPIENT = re.compile(
    r"(?:to|our|after|>>>|<<<) RCPT|does not like recipient|(?:recipient"
    r"|address)(?: address)? (?:was )?rejected"
    r"|rejected (?:the |your )?(?:recipient|address)|recipient rejected|mailbox unavailable"
    r"|address (?:was )?not found|address could ?n[o']t be found",
    re.IGNORECASE,
)
# What follows DATA once RCPT was refused, in transcripts of commands sent together.
_NO_RECIPIENT_LEFT = re.compile(r"no (?:valid )?recipients|need RCPT", re.IGNORECASE)
# Said of the mailbox even after the message: so do those who look it up only then. A bare "unknown user
# x@example.org" doesn't suffice; it is what some say of a message that its reader's filter refuses.
_NAMES_MAILBOX = re.compile(
    r"\bmailbox [^\s@]{1,64}@[A-Za-z0-9.-]{1,253} is unavailable"
    r"|doesn'?t have an? \S{1,80} (?:account|mailbox)",
    re.IGNORECASE,
)
_FOOTER = re.compile(r"^[_*]{20,}[ \t]*$", re.MULTILINE)
_TO_MESSAGE = re.compile(
    r"(?:reply|response) to (?:the )?(?:end of )?(?:DATA|message)|end of (?:DATA|message|mail data)"
    r"|(?:after|following) (?:the )?(?:DATA|end of)|<CRLF>\.<CRLF>|message (?:content )?rejected after",
    re.IGNORECASE,
)


def _any(*phrases: str) -> re.Pattern[str]:
    return re.compile("|".join(phrases), re.IGNORECASE | re.MULTILINE)


# What finds fault with the sending side; said of a "domain that does not exist", too, if it is ours.
_ABOUT_US = _any(
    r"too many (?:\S+ ){0,2}(?:connections?|sessions?|requests|errors|recipients)",
    r"(?:sending|message|mail|connection|hourly|daily|rate)(?: \S+)? ?(?:rate|limit|quota|frequency)s?"
    r"(?: \S+){0,4} (?:exceed|reach|over|limited)",
    r"rate[- ]?limit|throttl|speeding",
    r"sender(?:'s)? (?:\S+ )?(?:rejected|denied|invalid|unknown|verif|not (?:allowed|verified|exist)|does)",
    r"(?:domain of|rejected|invalid|unknown|unverified) (?:the )?sender|sender domain|from address",
    r"(?:your|client|sending|connecting) (?:ip|host|server|mail server|network|computer|address|domain)"
    r"(?: \S+){0,8} (?:block|listed|denied|reject|refused|not (?:allowed|accepted|permitted)|blacklist)",
    r"(?:not|no longer) (?:accept|receiv|allow)(?:ing|ed|s)?(?: \S+){0,3} from (?:your|this|the) ",
    r"not accept(?:ing)? (?:any )?(?:e-?mails?|mails?|messages) (?:from|with|containing|of) ",
    r"\bip(?:[- ]address)?(?: \S+){0,2} (?:is |was |has been )?(?:block|black|deny|listed|banned|denied)",
    r"(?:don't|do not|not) have permission to (?:post|send)|not (?:allowed|permitted"
    r"|authori[sz]ed) to (?:post|send)",
    r"(?:after|reply to) MAIL FROM|unroute?able sender",
    r"sender policy framework|\b(?:spf|dkim|dmarc)\)? (?:check |validation |verification )?fail",
    r"not a member|only members|members only|moderat",
    r"\u6a29\u9650\u304c\u306a\u3044",
)
_DEAD_HOSTS = (
    r"(?:host|domain|server)(?:\s?name)?(?: \S+){0,3} (?:unknown|not found|does ?n[o']t exist"
    r"|not exist|is not known"
    r"|cannot be found|could not be found)",
    r"(?:unknown|no such|non-?existent|bad) (?:host|domain|mail ?server)",
    r"(?:cannot|can't|could ?n[o']t|unable to) (?:find|locate|resolve)(?: \S+){0,3} (?:host|domain"
    r"|server|mx)",
    r"name or service not known|nxdomain|nonexistentdomain|domain (?:is )?invalid",
    r"unroute?able (?:\S+ )?(?:address|domain)",
    r"\bno (?:\S+ )?mx (?:record|host|found)|mx records? (?:point|lead|refer)(?:s|ing)? to non",
    r"host address lookups? failed permanently",
    r"couldn'?t find any host|illegal host/domain",
    r"domain is not reachable",
    r"null ?mx|no smtp service here",
    r"(?:does not|doesn'?t|not) accept(?:ing)? (?:any )?(?:e-?mail|mail)\b",
)
_DEAD_HOST = _any(*_DEAD_HOSTS)
_DEAD = _any(
    *_DEAD_HOSTS,
    r"user(?:name)?(?:id)? (?:is )?(?:unknown|not known|not found|not exist|doesn'?t exist|does not exist)",
    r"unknown (?:or (?:illegal|invalid) )?(?:local |e-?mail |virtual )?(?:user|recipient|addressee"
    r"|address|mailbox"
    r"|account|alias|login|part)",
    r"(?:no such|invalid|bad|bad destination|non-?existent|nonexistant|illegal|incorrect"
    r"|wrong) (?:e-?mail |local |"
    r"destination |virtual )?(?:user|mailbox|recipient|addressee|address|person|local|account|alias"
    r"|domain|host"
    r"|email|name)",
    r"(?:mail ?box|recipient|address|account|user|addressee|mail address|alias"
    r"|name)(?: \S+){0,4} (?:does ?not "
    r"exist|do not exist|doesn'?t exist|not exist|not found|unknown|unavailable or not|is invalid"
    r"|could ?n[o']t be "
    r"found|cannot be found|is not valid|not valid|not recogni[sz]ed|not known|was not found|rejected: user"
    r"|no longer exists?)",
    r"(?:doesn'?t|does not|don'?t) have (?:an?|any) (?:\S+ )?(?:account|mailbox|user)",
    r"not (?:a |an |our |an? existing )?(?:valid|known|existing|active) (?:user|mailbox|recipient|address"
    r"|customer|account)",
    r"not our customer",
    r"(?:not listed|no entry|not found) in (?:public |the )?(?:domino|name|directory|address ?book)",
    r"no (?:mailbox|account|user|one|recipient)(?: is)? (?:here )?(?:by|with|under|of) that (?:name|address)",
    r"no (?:mailbox|account|user) (?:found|here)",
    r"nobody (?:here )?by (?:that|this) name",
    r"recipient(?:'s)? (?:e-?mail )?address (?:was )?not found",
    r"recip(?:ient)?notfound",
    r"requested action not taken:? (?:mailbox unavailable|no such)",
    r"has moved|moved (?:to|away)|address has changed",
    r"no longer (?:valid|with|active|in use|works|at this|available|exists?|accepts?|employed)",
    r"account (?:has been |is )?(?:deleted|closed|terminated|expired|removed)",
    r"mail ?box (?:has been |is )?(?:deleted|closed|removed)",
    r"\baddress no longer\b",
    r"this user doesn",
    r"recipient address rejected\.?\s*(?:\(|$)|no valid recipients",
    r"n[ao]o existe|no existe|inexistente|desconocid[oa]|desconhecid[oa]",
    r"n'existe (?:pas|plus)|inconnue?\b|introuvable",
    r"sconosciut[oa]|inesistente|non esiste",
    r"unbekannt|existiert nicht|nicht bekannt|konnte nicht gefunden werden",
    r"onbekend|bestaat niet|ok\u00e4nd|ukjent|ukendt|finns inte|findes ikke|finnes ikke",
    r"nie istnieje|nieznany (?:u\u017cytkownik|odbiorca)",
    r"u[z\u017e]ivatel (?:\S+ )?neexistuje|nezn\u00e1m[y\u00fd] u\u017eivatel",
    r"ismeretlen (?:felhaszn|c\u00edm)|nem l\u00e9tezik|bulunamad[i\u0131]|inexistent\b|nu exist[a\u0103]",
    r"\u043d\u0435 \u0441\u0443\u0449\u0435\u0441\u0442\u0432\u0443\u0435\u0442"
    r"|\u043d\u0435 \u043d\u0430\u0439\u0434\u0435\u043d",
    r"\u5b58\u5728\u3057\u307e\u305b\u3093|\u5b58\u5728\u3057\u306a\u3044|\u5b9b\u5148\u4e0d\u660e"
    r"|\u4e0d\u5b58\u5728|\u5730\u5740\u9519\u8bef",
)
# Closed for now, perhaps for good: a status of its own (5.2.1) says which.
_SHUT = _any(
    r"(?:account|mail ?box|user|recipient|address)(?: \S+){0,3} (?:disabled|suspended|inactive|deactivated"
    r"|discontinued|blocked|frozen|locked|restricted|not active|unavailable|limited)",
    r"(?:disabled|suspended|inactive|deactivated) (?:account|mail ?box|user|recipient|address)",
)
_TAKES_NO_MAIL = re.compile(r"(?<![\d.])521(?![\d.])")  # the reply code of RFC 7504
_UNKNOWN_TO_EXCHANGE = _any(r"recipient address rejected: access denied")
# Not the address but the program that files its mail.
_LOCAL_FAULT = _any(
    r"(?:can(?:no|')t|could(?:n'| no)t|unable to) (?:create|open|write|lock|append)",
    r"permission denied",
    r"(?:command|program) (?:died|failed|crashed|timed)",
    r"died of signal",
    r"input/output error",
)
_COMPLAINED = _any(
    r"this is an? (?:e-?mail )?abuse report (?:for|about)",
    r"^complaint about message from ",
)
_FULL = _any(
    r"(?:mail ?box|folder|account|inbox|maildir|quota|storage|disk)(?: \S+){0,6} (?:is )?(?:full"
    r"|exceed|exhausted|over)",
    r"over(?:\s|-)?(?:quota|limit|the allowed)",
    r"quota (?:exceed|limit|violation|reached|full)",
    r"exceed(?:s|ed|ing)? (?:\S+ ){0,5}(?:quota|storage|limit|size)",
    r"insufficient (?:disk|system|storage)",
    r"not enough (?:disk|storage|space)",
    r"mail ?folder is full|(?:full|over-?filled) mail ?box",
    r"too many messages",
    r"message(?: size)? (?:is )?too (?:big|large)|(?:message|mail) size(?: \S+){0,3} exceed",
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
    r"message content rejected|content (?:rejected|denied|filter|blocked|not allowed)",
    r"frequency limit|administrative prohibition",
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
    r"post[._-]?master",
    r"(?:mail|message|e-?mail) ?delivery (?:sub)?(?:system|service)|delivery subsystem",
    r"(?:mail|system) ?administrator|sysadmin@",
    r"\bmdaemon\b|mta@|bounce|mail-?system|\bsmtp\b|noreply-deliver|mail ?server|microsoft ?exchange",
)
# Words that only a mail system has reason for, whoever it says it is.
_UNMISTAKABLE = _any(
    r"(?:your (?:e-?)?mail|your message|message sent)[^.]{0,200}could not be delivered",
    r"(?:address|recipient)\(?s?\)? (?:failed|had (?:delivery problems|permanent fatal errors))",
    r"^<?[^\s<>@]{1,64}@[^\s<>]{1,253}>?:?\s+(?:\S+ ){0,8}55[0-4][ -]",
    r"error message (?:below|follows)[:\s]+55[0-4]",
)
_SUCCESS = _any(
    r"^(?!.*(?:\bnot\b|n't\b|undeliver|unsuccess|fail)).*\b(?:relayed|delivered|successful(?:ly)?|success)\b",
)
_AUTHENTICATION_REPORT = _any(
    r"dmarc (?:\S+ ){0,2}(?:forensic|failure|authentication)(?: \S+){0,2} report",
    r"failed (?:the |your )?(?:published )?dmarc",
)
# What mail programs put before the subject of an automatic answer, in the languages they speak.
_ABSENT = _any(
    r"^\s*(?:auto(?:matic)?[ -]?(?:reply|response|respond)|autoreply|out of (?:the )?office"
    r"|ooo\b|abwesen|absence du bureau|vacation|away from)",
    r"out of (?:the )?office",
    r"automatic (?:reply|response)",
    r"^[\[\s]*(?:"
    r"automatische antwort|r.ponse automatique|risposta automatica|respuesta autom.tica"
    r"|resposta autom.tica|automatisch antwoord|automatiskt? svar|autosvar|automaattinen vastaus"
    r"|odpowied. automatyczna|automatyczna odpowied.|automatick. odpov|automatikus v.lasz|otomatik yan.t"
    r"|r.spuns automat|samodejni odgovor|automatski odgovor|automatiz.ta atbilde|automatinis atsakymas"
    r"|\u03b1\u03c5\u03c4\u03cc\u03bc\u03b1\u03c4\u03b7 \u03b1\u03c0\u03ac\u03bd\u03c4"
    r"|\u0430\u0432\u0442\u043e\u043c\u0430\u0442\u0438\u0447\w+ "
    r"(?:\u043e\u0442\u0432\u0435\u0442|\u0432\u0456\u0434\u043f)"
    r"|\u81ea\u52d5\u5fdc\u7b54|\u81ea\u52a8\u7b54\u590d|\u81ea\u52a8\u56de\u590d|\u81ea\u52d5\u56de\u8986"
    r"|\uc790\ub3d9 (?:\ud68c\uc2e0|\uc751\ub2f5)"
    r"|\u05ea\u05e9\u05d5\u05d1\u05d4 \u05d0\u05d5\u05d8\u05d5\u05de\u05d8\u05d9\u05ea"
    r"|\u0631\u062f \u062a\u0644\u0642\u0627\u0626\u064a)",
)
# How mail systems begin the subject of a bounce; an answer to one, or its forwarding, begins otherwise.
_SUBJECT_OF_BOUNCE = _any(
    r"^\W{0,3}(?:undeliver(?:able|ed)\b|unzustellbar|non remis|returned mail|failure notice|non-?delivery"
    r"|mail (?:could not be delivered|delivery (?:failed|failure))|delivery (?:failure|status notification)"
    r"|(?:message|mail) delivery failure|mail system error)",
)
_QUOTED_MAIL = re.compile(
    r"^(?:[ \t>]*[-=_*]{2,90}[^\n]{0,80}(?:original message|copy of (?:the|your) message"
    r"|message (?:header|text|follow)|returned message|below this line|headers? follow"
    r"|undelivered message)[^\n]*"
    r"|[^\n]{0,60}(?:original message follows|copy of the message|message headers follow"
    r"|unsent message|message follows)[^\n]*"
    r"|[^\n]{0,60}original message follows?:?[^\n]*"
    r"|[ \t>]{0,4}Received: from [^\n]*|[ \t>]{0,4}Return-Path: [^\n]*)$",
    re.IGNORECASE | re.MULTILINE,
)


def status_in(text: str) -> str | None:
    """Return the most telling enhanced status code in ``text``: one that is not general, else the first."""
    found = [match.groups() for match in _STATUS.finditer(text[:20_000])]
    telling = [groups for groups in found if groups[1] != "0" and groups[0] != "2"]
    chosen = (telling or found)[:1]
    return ".".join(str(int(number)) for number in chosen[0]) if chosen else None


def judge(status: str | None, diagnosis: str, prose: str) -> tuple[Kind, str | None]:
    """Decide what a failure means, and by which status, from its code and the words around it.

    ``diagnosis`` is what the recipient's server or the report said, ``prose`` the words around it.
    """
    # Where the report gives a code and no words, "scanned for viruses" in a footer is not the reason.
    told = _FOOTER.split(prose, maxsplit=1)[0] if status and not diagnosis else prose
    diagnosis, prose = diagnosis.replace("_", " "), told.replace("_", " ")  # BAD_RECIPIENT, for one
    if status is None or is_general(status):
        status = status_in(diagnosis) or status
    kind = _by_status(status, diagnosis or prose) or _by_words(diagnosis) or _by_words(prose)
    if kind is Kind.HARD and not _names_address(status) and not _speaks_of_recipient(diagnosis, prose):
        kind = Kind.POLICY if status is not None and status.split(".")[1] == "7" else Kind.SOFT
    # In doubt an address stays: a failure without a known reason is soft.
    return _can_pass(kind or Kind.SOFT, status, diagnosis or prose), status


def is_general(status: str) -> bool:
    """Say whether a status tells no more than "failed"."""
    return status.split(".")[1] == "0"


def _names_address(status: str | None) -> bool:
    """Say whether a status is by itself about the address or its host."""
    return status is not None and (
        status.split(".")[1] in {"1", "4"} or status.partition(".")[2] in {"2.1", "3.2"}
    )


def _speaks_of_recipient(diagnosis: str, prose: str) -> bool:
    """Say whether words that call an address dead are an answer about that address.

    Some servers take the recipient and say "user unknown" of a message they filter. So a bare 5xx counts only
    where it answered RCPT; the words of the sending system count anyway.
    """
    around = f"{diagnosis}\n{prose}"
    if _DEAD_HOST.search(around) or _NO_RECIPIENT_LEFT.search(around):
        return True
    if _TO_MESSAGE.search(around):
        return bool(_NAMES_MAILBOX.search(diagnosis or prose))
    return bool(_TO_RECIPIENT.search(around)) or not _REFUSAL_CODE.search(diagnosis or prose)


def _by_status(status: str | None, text: str) -> Kind | None:
    """Read a status that is not general; None where its class is known to be used loosely."""
    if status is None or is_general(status):
        return None
    group, subject, detail = status.split(".")
    if subject == "7":
        # 5.7.1 is also what some say of an unknown user; the other codes of this class are about us.
        # 5.7.27 is about null MX records, of the sender or, by some, of the recipient (RFC 7505).
        dead = detail in {"0", "1", "27"} and _DEAD.search(text) and not _blames_us(text, or_policy=True)
        return Kind.HARD if dead else Kind.POLICY
    if group == "4":
        return Kind.SOFT
    if subject == "1":
        return _about_address(detail, text)
    return _about_delivery(subject, detail, text)


def _about_address(detail: str, text: str) -> Kind:
    if _FULL.search(text) or _LOCAL_FAULT.search(text) or detail == "9":
        return Kind.SOFT
    # 5.1.7 and 5.1.8 find fault with the sender's address.
    return Kind.POLICY if detail in {"7", "8"} or _blames_us(text) else Kind.HARD


def _about_delivery(subject: str, detail: str, text: str) -> Kind | None:
    """Read 5.2 to 5.6: of the mailbox, the system, the way, the protocol, the content."""
    code = f"{subject}.{detail}"
    if code in {"3.2", "4.3", "4.4"}:
        is_dead = _DEAD.search(text) or (code == "3.2" and _TAKES_NO_MAIL.search(text))
        return Kind.HARD if is_dead else Kind.SOFT  # no such host, or one that takes no mail (RFC 7504)
    if code == "4.1":
        # Exchange Online, of a recipient that its directory does not know.
        return Kind.HARD if _UNKNOWN_TO_EXCHANGE.search(text) else Kind.SOFT
    if code == "2.1":
        if _ABOUT_US.search(text):
            return Kind.POLICY
        return Kind.HARD if _SHUT.search(text) else _by_words(text) or Kind.HARD
    return _by_words(text) if subject in {"5", "6"} or code == "2.0" else Kind.SOFT


def _blames_us(text: str, *, or_policy: bool = False) -> bool:
    policy = _REFUSED_BY_POLICY.search(text) and (or_policy or not _DEAD.search(text))
    return bool(_ABOUT_US.search(text) or policy)


def _can_pass(kind: Kind, status: str | None, text: str) -> Kind:
    if status is None or not status.startswith("4"):
        return kind
    if status == "4.1.1" and _DEAD.search(text):
        return (
            Kind.HARD
        )  # given up in the end; the code "is only useful for permanent failures" (RFC 3463, 3.2)
    return Kind.SOFT if kind is Kind.HARD else kind


def _by_words(text: str) -> Kind | None:
    if _FULL.search(text) or _LOCAL_FAULT.search(text):
        return Kind.SOFT
    if _ABOUT_US.search(text):
        return Kind.POLICY
    if _DEAD.search(text):
        return Kind.SOFT if _only_for_now(text) else Kind.HARD
    if _REFUSED_BY_POLICY.search(text):
        return Kind.POLICY
    return Kind.SOFT if _SHUT.search(text) or _PASSING.search(text) else None


def _only_for_now(text: str) -> bool:
    return bool(_DEFERRAL_CODE.search(text)) and not _REFUSAL_CODE.search(text)


def by_recipient(prose: str) -> list[str]:
    """Cut a report into pieces that each begin with an address, one for each recipient; none if none does."""
    starts = [match.start() for match in _NAMES_RECIPIENT.finditer(prose)]
    return [prose[start:end].strip() for start, end in pairwise([*starts, len(prose)])]


def tells_of_complaint(opening: str) -> bool:
    """Say whether words are those of a complaint that comes without a feedback report."""
    return bool(_COMPLAINED.search(opening))


def tells_of_authentication(opening: str) -> bool:
    """Say whether words report a failure of DMARC: about our domain, no reader's doing."""
    return bool(_AUTHENTICATION_REPORT.search(opening))


def tells_of_success(subject: str) -> bool:
    """Say whether a subject says that mail arrived, or was passed on."""
    return bool(_SUCCESS.search(subject))


def is_unmistakable(opening: str) -> bool:
    """Say whether words are those of a bounce, whoever sent them."""
    return bool(_UNMISTAKABLE.search(opening))


def tells_of_failure(text: str) -> bool:
    """Say whether words tell of mail that was not delivered."""
    return bool(_FAILED.search(text))


def tells_of_delay(text: str) -> bool:
    """Say whether words tell of mail that is still being tried."""
    return bool(_DELAYED.search(text))


def is_of_bounce(subject: str) -> bool:
    """Say whether a subject begins as mail systems begin that of a bounce."""
    return bool(_SUBJECT_OF_BOUNCE.search(subject))


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
