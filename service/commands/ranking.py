"""Commands that show the ranking at work: ``rank`` and ``trend``."""

import typer


def register(app: typer.Typer) -> None:
    """Add the commands of this module."""
