"""Many rows in one statement whose text is always the same.

Postgres takes each column as one array: a list of thousands of placeholders takes the driver longer to read
than the server to answer. SQLite takes rows one by one, which costs it nothing.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any

from sqlalchemy import (
    JSON,
    ColumnElement,
    DateTime,
    String,
    Table,
    Text,
    UpdateBase,
    any_,
    bindparam,
    cast,
    column,
    func,
    insert,
    select,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import QueryableAttribute, Session
from sqlalchemy.types import TypeEngine

from service.database import UtcDateTime, write_json

# Parts written JSON, in which it can't stand. As an array every quote in it would have to be escaped.
_PART = "\x1e"
Rows = Sequence[Mapping[str, Any]]


def is_postgres(session: Session) -> bool:
    """Say whether the session's database is a Postgres."""
    return session.get_bind().dialect.name == "postgresql"


def among(session: Session, given: QueryableAttribute[Any], values: Iterable[Any]) -> ColumnElement[bool]:
    """Ask whether a column's value is one of many."""
    if is_postgres(session):
        return given == any_(bindparam(None, list(values), type_=ARRAY(given.type)))
    return given.in_(list(values))


def insert_many(session: Session, table: Table, rows: Rows) -> None:
    """Insert rows, which all have the same keys. What they don't name takes the database's default."""
    if not rows:
        return
    if is_postgres(session):
        statement, values = _as_arrays(table, rows)
        session.connection().execute(statement, values)
    else:
        session.connection().execute(insert(table), [dict(row) for row in rows])


def insert_new(session: Session, table: Table, rows: Rows, *, key: tuple[str, ...]) -> list[tuple[Any, ...]]:
    """Insert the rows whose ``key`` is not there yet; return the id and the key of each one inserted."""
    if not rows:
        return []
    returned = [table.c.id, *(table.c[name] for name in key)]
    if is_postgres(session):
        statement, values = _as_arrays(table, rows, key)
        return [tuple(row) for row in session.connection().execute(statement, values)]
    new = sqlite.insert(table).on_conflict_do_nothing(index_elements=key).returning(*returned)
    return [tuple(row) for row in session.connection().execute(new, [dict(row) for row in rows])]


def _as_arrays(table: Table, rows: Rows, key: tuple[str, ...] = ()) -> tuple[UpdateBase, dict[str, Any]]:
    """Return the statement and its parameters; a value that all rows share is given once."""
    shared: list[str] = []
    values: dict[str, Any] = {}
    for name in rows[0]:
        of_rows = [row[name] for row in rows]
        is_json = isinstance(table.c[name].type, JSON)
        if is_json:
            of_rows = [write_json(value) for value in of_rows]
        if len(of_rows) > 1 and of_rows.count(of_rows[0]) == len(of_rows):
            shared.append(name)
            values[f"b_{name}"] = of_rows[0]
        else:
            values[f"b_{name}"] = _PART.join(of_rows) if is_json else of_rows
    return _statement(table, tuple(rows[0]), frozenset(shared), key), values


@cache
def _statement(
    table: Table, names: tuple[str, ...], shared: frozenset[str], key: tuple[str, ...]
) -> UpdateBase:
    kinds = {name: _kind(table.c[name].type) for name in names}
    many = [name for name in names if name not in shared]
    arrays = [_array(name, table.c[name].type, kinds[name]) for name in many]
    given = func.unnest(*arrays).table_valued(*(column(name, kinds[name]) for name in many), name="given")
    found = given.render_derived().c
    values = [
        _typed(
            table.c[name].type, cast(bindparam(f"b_{name}"), kinds[name]) if name in shared else found[name]
        )
        for name in names
    ]
    statement = postgresql.insert(table).from_select(names, select(*values), include_defaults=False)
    if not key:
        return statement
    returned = [table.c.id, *(table.c[name] for name in key)]
    return statement.on_conflict_do_nothing(index_elements=key).returning(*returned)


def _array(name: str, of_column: TypeEngine[Any], kind: TypeEngine[Any]) -> ColumnElement[Any]:
    if isinstance(of_column, JSON):
        return func.string_to_array(cast(bindparam(f"b_{name}"), kind), _PART)
    return cast(bindparam(f"b_{name}"), ARRAY(kind))


def _kind(of_column: TypeEngine[Any]) -> TypeEngine[Any]:
    """Return the type in which a column's values travel."""
    if isinstance(of_column, UtcDateTime):
        return DateTime(timezone=True)  # the driver's own way is quicker, and as right for aware values
    return Text() if isinstance(of_column, JSON | String) else of_column


def _typed(of_column: TypeEngine[Any], value: ColumnElement[Any]) -> ColumnElement[Any]:
    return cast(value, of_column) if isinstance(of_column, JSON) else value
