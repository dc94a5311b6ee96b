"""What goes into matching. Parts are left out for one purpose alone: to measure what they are worth."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """The parts of matching that can be left out, one by one."""

    lexical: bool = True
    dense: bool = True
    feedback: bool = True  # the best papers by all else lend their words and meaning to the interest
    centring: bool = True  # what any paper has in common counts nothing
    contrast: bool = True  # what sets examples apart from all other papers (linear discriminant)
    acronyms: bool = True
    authors: bool = True  # of examples
    against: bool = True
    by_ranks: bool = False  # join by reciprocal ranks instead of standard scores


WHOLE = Recipe()
