"""What somebody says they care about, in their own words: what to look for and what counts against. Pure.

"LoRA fine-tuning for small models, not vision" looks for the first and counts vision against a paper. Commas,
semicolons and line ends part one thing from the next; what stands in quotes is taken as it is. Whatever was
understood can be said again by :func:`as_text`, which reads as the same.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from service.papers.taxonomy import fold_category
from service.subscribers.fields import FieldError, clean_text, find_paper_id, fold_archive, quoted

LONGEST_TEXT = 2_000  # characters of one wish
LONGEST_PHRASE = 200
MOST_PHRASES = 40

# Of several languages; each is asked for with a blank or a sign around it, so that "non-linear" is a word.
_NOT_AT_START = (
    "not interested in", "not about", "no interest in", "i don't want", "i do not want", "don't want",
    "do not want", "nothing about", "nothing on", "nothing with", "anything but", "everything but", "not",
    "no", "without", "except for", "except", "excluding", "exclude", "other than", "rather than",
    "instead of", "minus", "never", "nor",
    "nicht", "nichts mit", "nichts über", "ohne", "kein", "keine", "keinen", "keinerlei", "außer", "ausser",
    "sans", "sauf", "pas de", "pas d'", "pas", "hormis", "excepté", "sin", "excepto", "salvo", "senza",
    "tranne", "eccetto", "exceto", "não", "zonder", "behalve", "geen", "niet", "bez", "oprócz", "nie",
    "без", "кроме", "не",
)  # fmt: skip
_NOT_WITHIN = (
    "but not", "but no", "but without", "and not", "and no", "not", "without", "except for", "except",
    "excluding", "other than", "rather than", "instead of",
    "aber nicht", "aber kein", "aber keine", "aber keinen", "aber ohne", "ohne", "außer", "ausser",
    "mais pas de", "mais pas d'", "mais pas", "mais sans", "sans", "sauf", "hormis", "pero no", "pero sin",
    "sin", "excepto", "ma non", "ma senza", "senza", "tranne", "mas não", "mas sem", "exceto", "maar geen",
    "maar niet", "zonder", "behalve", "ale nie", "ale bez", "oprócz", "но не", "но без", "без", "кроме",
)  # fmt: skip
# Written without blanks.
_NOT_UNSPACED = re.compile(r"(?:但是?|而)?(?:不要|不包括|不含|除了|排除)(.+)")
_UNSPACED_NOT = re.compile(r"(.+?)(?:以外|を除く|を除いて|は除く)")

# Names of things that hold such a word without refusing anything.
_NAMES = re.compile(
    r"(?<!\w)(?:learning|training|attention) without \w+"
    r"|without (?:forgetting|supervision|labels|replacement)(?!\w)"
    r"|(?<!\w)(?:why|if|is|are|does|do|can|may|should|whether|or|attention is) not(?!\w)",
    re.IGNORECASE,
)

_FILLER = re.compile(
    r"(?:(?:please|mainly|mostly|especially|also|and|or|plus|but|und|oder|auch|aber|et|ou|y|o|e)\s+"
    r"|(?:i(?:['’]m| am)\s+)?(?:very |really |mainly |mostly )?(?:interested in|looking for|working on)\s+"  # noqa: RUF001
    r"|i (?:really )?(?:like|love|want|need|follow|care about|work on|study)\s+"
    r"|(?:show|send|give) me\s+"
    r"|(?:all |any |new |recent |the latest |more )*(?:papers?|articles?|preprints?|research|works?"
    r"|stud(?:y|ies)|news|anything|everything|something|stuff|things|advances|progress)"
    r"\s+(?:about|on|in|around|regarding|related to|that (?:are|is) about|like)\s+"
    r"|(?:about|regarding|related to|(?:papers? )?similar to|like|papers?(?=\s+by\s))\s+"
    r"|(?:ich interessiere mich für|arbeiten (?:über|zu)|artikel (?:über|zu)|articles sur|artículos sobre"
    r"|articoli su|artigos sobre|статьи о)\s+)",  # noqa: RUF001
    re.IGNORECASE,
)
_FILLER_AGAINST = re.compile(
    r"(?:about|on|any|anything|the|of|for|in|with|just|only|interested in|papers?|work|articles?|by|if)\s+",
    re.IGNORECASE,
)

_MARKS = " \t-–—:.!?"  # noqa: RUF001 - around a clause they say nothing
_QUOTES = re.compile(r"\"([^\"\n]*)\"|“([^”\n]*)”|„([^“”\n]*)[“”]|«([^»\n]*)»|「([^」\n]*)」")
QUOTE_MARKS = re.compile(r"[\"“”„«»「」]")
_HELD = re.compile("\ue000(\\d+)\ue001")  # stands for what was quoted; typed ones are taken out before
_PART = re.compile(r"[,;\n\r\u2028\u2029，、；。]|(?<=\w\w)[.!?](?=\s|$)|(?<=[\w\ue001])[!?](?=\s|$)")  # noqa: RUF001
_COMMAS = frozenset(",，、")  # noqa: RUF001
_MINUS = re.compile(r"(?:(?<=\s)|^)[-\u2212](?=[^\W\d_]|\ue000)(\ue000\d+\ue001|[^\s]+)")
_OR = re.compile(r"\s+(?:and/or|or|oder|nor|ou)\s+", re.IGNORECASE)
_AND = re.compile(r"\s+(?:and|und|et|&)\s+", re.IGNORECASE)
_LIST_END = re.compile(r"^(?:and |und |et )?(?:or|nor|oder|ou|and|und|et)\s", re.IGNORECASE)
_ENDS_INSIDE = re.compile(r"\s(?:or|nor|oder|ou)\s", re.IGNORECASE)  # "not a, b or c"
_ENDS_WITHOUT_OR = re.compile(r"^(?:and|und|et)\s", re.IGNORECASE)
_RESET = re.compile(r"^(?:but|aber|sondern|mais|pero|ma|mas|maar|ale|но)\s", re.IGNORECASE)
_NAME_PART = r"(?:[^\W\d_a-z][\w'’.-]*|(?:van|von|de|der|den|del|da|di|la|le|al|bin|ibn|ter|el)(?=\s))"  # noqa: RUF001
_NAME = rf"{_NAME_PART}(?:\s+{_NAME_PART})+"
_BY = re.compile(
    rf"(?:^|(?P<before>.*?)\s+)(?:by|from|von|par|por)\s+(?P<name>{_NAME}(?:\s+(?:and|und|et|&)\s+{_NAME})*)"
    r"(?:\s+et al\.?)?$"
)
_CATEGORY = re.compile(
    r"(?:cs|econ|eess|math|stat|q-bio|q-fin|astro-ph|cond-mat|physics|nlin)\.(?:[A-Za-z-]+|\*)", re.IGNORECASE
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Understood:
    """What a text asks for. ``against`` holds phrases, or codes of arXiv categories."""

    phrases: tuple[str, ...] = ()
    against: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    authors: tuple[str, ...] = ()
    examples: tuple[str, ...] = ()  # arXiv ids

    @property
    def is_empty(self) -> bool:
        """Whether nothing is looked for."""
        return not (self.phrases or self.categories or self.authors or self.examples)


def understand(text: str) -> Understood:
    """Read what somebody wrote.

    Raises:
        FieldError: it is too long, names a category there is none of, or a word too short to be looked for.
    """
    if len(text) > LONGEST_TEXT:
        raise FieldError(f"That is longer than {LONGEST_TEXT:,} characters; please make it two.")
    found = _Found()
    text = "\n".join(clean_text(line) for line in re.split(r"[\n\r\u2028\u2029]", text))
    text = _QUOTES.sub(lambda match: found.hold(next(one for one in match.groups() if one is not None)), text)
    text = QUOTE_MARKS.sub(" ", text)  # one without its other half
    for clause, is_against in _clauses(text):
        for word in _MINUS.findall(clause):
            found.add_against(word)
        wanted = _MINUS.sub(" ", clause)
        if is_against:
            _add_against(found, wanted)
            continue
        positive, negative = _split_within(wanted)
        _add(found, positive)
        for part in negative:
            _add_against(found, part)
    return found.result()


def as_text(phrases: Iterable[str], against: Iterable[str] = (), *, names: Iterable[str] = ()) -> str:
    """Say phrases, and what counts against, in words that :func:`understand` reads as the same.

    ``names`` are put first as they are.
    """
    wanted = [*names, *(_said(phrase) for phrase in phrases)]
    return ", ".join([*wanted, *(f"not {_said_against(one)}" for one in against)])


@dataclass(slots=True)
class _Found:
    quoted: list[str] = field(default_factory=list)
    phrases: list[str] = field(default_factory=list)
    against: list[str] = field(default_factory=list)
    categories: list[str] = field(default_factory=list)
    authors: list[str] = field(default_factory=list)
    examples: list[str] = field(default_factory=list)

    def hold(self, text: str) -> str:
        text = clean_text(QUOTE_MARKS.sub(" ", text))
        if not text:
            return " "
        self.quoted.append(text)
        return f"\ue000{len(self.quoted) - 1}\ue001"

    def release(self, text: str) -> str:
        """Put what was quoted back."""
        return clean_text(_HELD.sub(lambda match: self.quoted[int(match[1])], text))

    def is_quoted(self, text: str) -> bool:
        return _HELD.fullmatch(text.strip()) is not None

    def add_phrase(self, text: str) -> None:
        self.phrases.append(checked(self.release(text)))

    def add_against(self, text: str) -> None:
        phrase = self.release(text)
        self.against.append(_category(phrase) or checked(phrase))

    def result(self) -> Understood:
        lists = (_each_once(one) for one in (self.phrases, self.against, self.authors))
        phrases, against, authors = (_few_enough(one) for one in lists)
        return Understood(
            phrases=phrases,
            against=against,
            categories=tuple(dict.fromkeys(self.categories)),
            authors=authors,
            examples=tuple(dict.fromkeys(self.examples)),
        )


def _clauses(text: str) -> Iterator[tuple[str, bool]]:
    """Give the clauses, and whether each is refused: "not a, b, or c" (or "b or c") refuses all three."""
    parts: list[str] = []
    goes_on: list[bool] = []  # a comma stands before, not the end of a line or sentence
    start, sign = 0, ""
    for found in (*_PART.finditer(text), None):
        part = _stripped(text[start : found.start() if found else len(text)])
        if part:
            parts.append(part)
            goes_on.append(sign in _COMMAS)
        start, sign = (found.end(), found[0]) if found else (start, sign)
    refused: list[str | None] = [_refused(part) for part in parts]
    for place, rest in enumerate(refused):
        if rest is None and place and refused[place - 1] is not None:
            end = _end_of_list(parts, refused, place, goes_on)
            for inside in range(place, end):
                refused[inside] = _LIST_END.sub("", parts[inside], count=1)
    for part, rest in zip(parts, refused, strict=True):
        yield (part, False) if rest is None else (rest, True)


def _stripped(part: str) -> str:
    part = part.strip()
    return part if _MINUS.match(part) else part.strip(_MARKS)


def _end_of_list(
    parts: Sequence[str], refused: Sequence[str | None], start: int, goes_on: Sequence[bool]
) -> int:
    """Give the place after the clause that ends a list with "or", or ``start`` where none does."""
    for place in range(start, len(parts)):
        if refused[place] is not None or _RESET.match(parts[place]):
            return start
        if _LIST_END.match(parts[place]) and not _ENDS_WITHOUT_OR.match(parts[place]):
            return place + 1
        if _ENDS_INSIDE.search(parts[place]) and not _ENDS_WITHOUT_OR.match(parts[place]):
            return place + 1 if all(goes_on[start : place + 1]) else start
    return start


def _refused(clause: str) -> str | None:
    """Give what a clause refuses as a whole, or None."""
    plain = _RESET.sub("", clause, count=1)
    if _NAMES.match(plain):
        return None
    found = _AT_START.match(plain)
    if found and not _is_acronym(found[0]):
        return plain[found.end() :]
    found = _NOT_UNSPACED.fullmatch(clause) or _UNSPACED_NOT.fullmatch(clause)
    return found[1] if found else None


def _split_within(clause: str) -> tuple[str, list[str]]:
    """Part "a without b" into what is wanted and what is refused."""
    names = [name.span() for name in _NAMES.finditer(clause)]
    for found in _WITHIN.finditer(clause):
        in_a_name = any(start <= found.start() < end for start, end in names)
        if not in_a_name and not _is_acronym(found[0]):
            return clause[: found.start()], [clause[found.end() :]]
    return clause, []


def _is_acronym(word: str) -> bool:
    """Tell NO, the gas, from no; whoever shouts NOT means it."""
    word = word.strip()
    return len(word) < 4 and word.isupper() and word != "NOT"


def _add(found: _Found, clause: str) -> None:
    clause = _without(_FILLER, clause)
    if not clause:
        return
    if by := _BY.match(clause):
        found.authors += [found.release(name) for name in _AND.split(by["name"])]
        if by["before"]:
            _add(found, by["before"])
        return
    if found.is_quoted(clause):
        found.add_phrase(clause)
    elif example := find_paper_id(found.release(clause)):
        found.examples.append(example)
    elif category := _category(clause):
        found.categories.append(category)
    elif len(parts := list(_alternatives(clause))) > 1:
        for part in parts:
            _add(found, part)
    else:
        for piece in _around_quotes(clause):
            found.add_phrase(piece)


def _without(filler: re.Pattern[str], clause: str) -> str:
    clause = clause.strip(_MARKS)
    while found := filler.match(clause):
        clause = clause[found.end() :].strip()
    return clause


def _add_against(found: _Found, clause: str) -> None:
    for part in _OR.split(clause):
        for piece in _AND.split(part):
            for one in _around_quotes(_without(_FILLER_AGAINST, piece)):
                found.add_against(one)


def _alternatives(clause: str) -> Iterator[str]:
    """Part at "or", and at "and" between phrases of several words: "vision and language" is one thing."""
    for part in _OR.split(clause):
        pieces = _AND.split(part)
        if len(pieces) > 1 and all(len(piece.split()) > 1 for piece in pieces):
            yield from pieces
        else:
            yield part


def _around_quotes(text: str) -> Iterator[str]:
    """Give what is quoted as phrases of their own, and what stands between them."""
    rest = text
    for held in _HELD.finditer(text):
        before, _, rest = rest.partition(held[0])
        if before.strip():
            yield before
        yield held[0]
    if rest.strip():
        yield rest


def _category(text: str) -> str | None:
    text = text.strip()
    known = fold_archive(text) if text.endswith(".*") else fold_category(text) if "." in text else None
    if known is None and _CATEGORY.fullmatch(text):
        raise FieldError(f"arXiv has no category {quoted(text)}; a category looks like cs.CL.")
    return known


def checked(phrase: str) -> str:
    """Return a phrase that can be looked for; raise FieldError if it can not."""
    if len(phrase) > LONGEST_PHRASE:
        raise FieldError(f"{quoted(phrase)} is too long: please put commas between things.")
    if len(phrase) < 2 or not any(sign.isalnum() for sign in phrase):
        raise FieldError(f"{quoted(phrase)} is too short to be looked for.")
    return phrase


def _each_once(texts: Iterable[str]) -> tuple[str, ...]:
    found: dict[str, str] = {}
    for text in texts:
        found.setdefault(text.casefold(), text)
    return tuple(found.values())


def _few_enough(texts: tuple[str, ...]) -> tuple[str, ...]:
    if len(texts) > MOST_PHRASES:
        raise FieldError(f"At most {MOST_PHRASES} things can stand in one interest; please make it two.")
    return texts


def _said(phrase: str) -> str:
    return phrase if _reads_as(phrase, Understood(phrases=(phrase,))) else _in_quotes(phrase)


def _said_against(phrase: str) -> str:
    return phrase if _reads_as(f"not {phrase}", Understood(against=(phrase,))) else _in_quotes(phrase)


def _reads_as(text: str, meant: Understood) -> bool:
    try:
        return understand(text) == meant
    except FieldError:
        return False


def _in_quotes(phrase: str) -> str:
    return f'"{phrase}"'


def _any_of(words: Iterable[str]) -> str:
    longest_first = sorted(words, key=len, reverse=True)
    return "|".join(r"\s+".join(map(re.escape, word.split())) for word in longest_first)


# A word that ends in an apostrophe ("pas d'") stands right before the next.
_AT_START = re.compile(rf"(?:{_any_of(_NOT_AT_START)})(?:(?<=')|\s+|:\s*)(?=\S)", re.IGNORECASE)
_WITHIN = re.compile(rf"\s+(?:{_any_of(_NOT_WITHIN)})(?:(?<=')|\s+)(?=\S)", re.IGNORECASE)
