"""The ``paperlark`` command: joins the commands of each part."""

import importlib.util

import typer

app = typer.Typer(
    name="paperlark",
    help="Mails people the research papers trending in what they care about.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

# Each module has a function register(app) that adds its commands.
COMMAND_MODULES = ("runtime", "papers", "ranking", "subscribers", "digests", "mail")


def main() -> None:
    """Run the command line."""
    for name in COMMAND_MODULES:
        if importlib.util.find_spec(f"service.commands.{name}") is None:
            continue
        importlib.import_module(f"service.commands.{name}").register(app)
    app()
if __name__ == "__main__":
    main()
