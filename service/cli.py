"""The ``paperlark`` command: joins the commands of each part."""

import importlib.util
import sys

import typer

app = typer.Typer(
    name="paperlark",
    help="Mails people the research papers trending in what they care about.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

# Each module has a function register(app) that adds its commands; they import what they need when they run.
COMMAND_MODULES = ("runtime", "papers", "ranking", "subscribers", "digests", "mail")


def main() -> None:
    """Run the command line; what the operator can mend is said in a sentence, not in a traceback."""
    for name in COMMAND_MODULES:
        if importlib.util.find_spec(f"service.commands.{name}") is None:
            continue
        importlib.import_module(f"service.commands.{name}").register(app)
    try:
        app()
    except Exception as error:
        if (sentence := explain(error)) is None:
            raise
        sys.stderr.write(f"paperlark: {sentence}\n")
        sys.exit(2)


def explain(error: Exception) -> str | None:
    """Return a sentence for an error that the operator can mend; None for every other."""
    # By name: importing pydantic and Alembic only to compare would slow every command down.
    match type(error).__name__:
        case "ValidationError" if type(error).__module__.startswith("pydantic"):
            return _explain_settings(error)
        case "SchemaOutOfDate":
            return str(error)
    return None


def _explain_settings(error: Exception) -> str:
    lines = []
    for problem in error.errors(include_url=False, include_input=False):  # type: ignore[attr-defined]
        name = "_".join(str(part) for part in problem["loc"][:1]).upper()
        text = problem["msg"].removeprefix("Value error, ")
        lines.append(f"PAPERLARK_{name}: {text}" if name else text)
    return "the settings can't be used:\n  " + "\n  ".join(lines)


if __name__ == "__main__":
    main()
