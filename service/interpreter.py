"""How Python itself is set: for many small pieces of work, and threads that wait for the database."""

import gc
import sys

NEW_OBJECTS = 50_000  # more than a chunk of digests makes; each of them is freed by its count
YOUNGER = 20  # collections of a generation until the one above it is looked at
SWITCH_SECONDS = 0.0005


def tune() -> None:
    """Look for cycles rarely, and let a thread go on soon after the database has answered it.

    What planning and sending make in great numbers holds no cycle; at Python's 700 new objects a tenth of a
    mail's time went into looking. Python's 5 ms until a thread that computes makes way are longer than a
    statement takes.
    """
    gc.set_threshold(NEW_OBJECTS, YOUNGER, YOUNGER)
    sys.setswitchinterval(SWITCH_SECONDS)
