"""Names of people: whether two spellings may be one person."""

from functools import lru_cache

from service.ranking.text import words

_SUFFIXES = frozenset({"jr", "sr", "ii", "iii", "iv"})

Name = tuple[str, ...]


@lru_cache(maxsize=200_000)
def parse_name(text: str) -> Name:
    """Give the folded parts of a name, family name last; "Family, Given" is turned round."""
    family, comma, given = text.partition(",")
    if comma and not set(words(given)) <= _SUFFIXES:
        text = f"{given} {family}"
    parts = [part for part in words(text) if part not in _SUFFIXES]
    return tuple(parts)


def may_be_same(left: Name, right: Name) -> bool:
    """Say whether two names fit: same family name, given names equal or shortened to initials.

    Middle names may be missing on one side; those on both sides must fit in order. A family name alone fits
    only itself.
    """
    if not left or not right or left[-1] != right[-1]:
        return False
    if len(left) == 1 or len(right) == 1:
        return left == right
    if not _given_fits(left[0], right[0]):
        return False
    shorter, longer = sorted((left[1:-1], right[1:-1]), key=len)
    rest = iter(longer)
    return all(any(_given_fits(one, other) for other in rest) for one in shorter)


def name_key(text: str) -> Name:
    """Give a key under which the spellings of one name mostly meet: family name and first initial."""
    name = parse_name(text)
    return (name[-1], name[0][0]) if name else ()


def _given_fits(left: str, right: str) -> bool:
    return left == right or (1 in {len(left), len(right)} and left[0] == right[0])
