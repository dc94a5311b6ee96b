"""The ``paperlark`` command: joins the commands of each part."""

import errno
import importlib.util
import sys

import typer

from service.interpreter import tune

app = typer.Typer(
    name="paperlark",
    help="Mails people the research papers trending in what they care about.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

# Each module has a function register(app) that adds its commands; they import what they need when they run.
COMMAND_MODULES = ("runtime", "papers", "ranking", "subscribers", "digests", "mail", "inbound")


# Classes of SQLSTATE that tell of the server, not of our statements: connection, authorization, no such
# database, resources, shutdown (PostgreSQL, appendix A).
CONNECTION_STATES = ("08", "28", "3D", "53", "57P")
FILE_TROUBLES = {
    errno.EACCES, errno.EPERM, errno.EROFS, errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.ENOSPC,
    errno.EDQUOT,
}  # fmt: skip


def main() -> None:
    """Run the command line; what the operator can mend is said in a sentence, not in a traceback."""
    tune()
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
        case "OperationalError" | "DatabaseError" if type(error).__module__ == "sqlalchemy.exc":
            return _explain_database(error.orig)  # type: ignore[attr-defined]
        case "TimeoutError" if type(error).__module__ == "sqlalchemy.exc":
            return f"no connection to the database at {_database_place()} came free in time. Try again"
    return _explain_file(error) if isinstance(error, OSError) else None


def _explain_database(error: Exception) -> str | None:
    """Explain what the operator can mend: a server or a file that can't be used, not a wrong statement."""
    # libpq wraps its reason: 'connection to server at "db", port 5432 failed: FATAL:  no such user'.
    reason = " ".join(
        (str(error).rpartition(" failed: ")[2].splitlines() or [type(error).__name__])[0].split()
    )
    if hasattr(error, "sqlite_errorname"):
        if error.sqlite_errorname == "SQLITE_ERROR":
            return None
        return (
            f"the SQLite database can't be used: {reason}. Look at the file that PAPERLARK_DATABASE_URL"
            " names, else at paperlark.sqlite3 in the data folder; put a copy in its place if it is damaged"
        )
    if not (getattr(error, "sqlstate", None) or CONNECTION_STATES[0]).startswith(CONNECTION_STATES):
        return None
    return (
        f"the database at {_database_place()} can't be used: {reason}."
        " Check PAPERLARK_DATABASE_URL, and that the server runs"
    )


def _database_place() -> str:
    from sqlalchemy.engine import make_url

    from service.config import Settings

    url = make_url(Settings().sqlalchemy_url)
    return f"{url.host or url.query.get('host') or 'localhost'}:{url.port or 5432}"


def _explain_file(error: OSError) -> str | None:
    if error.filename is None or error.errno not in FILE_TROUBLES:
        return None
    reason = "it is a file, not a folder" if error.errno == errno.EEXIST else str(error.strerror).lower()
    return (
        f"{error.filename} can't be used: {reason}. Paperlark keeps its files in the folder"
        " PAPERLARK_DATA_DIR, which it must be able to make and to write"
    )


def _explain_settings(error: Exception) -> str:
    lines = []
    for problem in error.errors(include_url=False, include_input=False):  # type: ignore[attr-defined]
        name = "_".join(str(part) for part in problem["loc"][:1]).upper()
        text = problem["msg"].removeprefix("Value error, ")
        lines.append(f"PAPERLARK_{name}: {text}" if name else text)
    return "the settings can't be used:\n  " + "\n  ".join(lines)


if __name__ == "__main__":
    main()
