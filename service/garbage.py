"""How often Python looks for garbage that holds itself."""

import gc

NEW_OBJECTS = 50_000  # more than a chunk of digests makes; each of them is freed by its count
YOUNGER = 20  # collections of a generation until the one above it is looked at


def collect_seldom() -> None:
    """Look for cycles rarely: what planning and sending make in great numbers holds none.

    At Python's 700 new objects a tenth of a mail's time went into looking.
    """
    gc.set_threshold(NEW_OBJECTS, YOUNGER, YOUNGER)
