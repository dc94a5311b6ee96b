"""Many rows in one statement whose text is always the same.

Postgres takes each column as one array: a list of thousands of placeholders takes the driver longer to read
than the server to answer. SQLite takes rows one by one, which costs it nothing.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    ColumnElement,
    DateTime,
    Dialect,
    Integer,
    LargeBinary,
    String,
    Table,
    Text,
    TypeDecorator,
    UpdateBase,
    any_,
    bindparam,
    cast,
    column,
    func,
    insert,
    select,
    type_coerce,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.orm import QueryableAttribute, Session
from sqlalchemy.types import NullType, TypeEngine

from service.database import UtcDateTime, write_json
from service.packed import Packed, PackedNumbers, PackedOctets

# Parts written JSON, in which it can't stand. As an array every quote in it would have to be escaped.
_PART = "\x1e"
Columns = Mapping[str, Sequence[Any]]  # the values of rows by column, all of one length


class JsonInText(TypeDecorator[Any]):
    """JSON that nobody asks the database about: it keeps the text, and does not parse it to do so."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:  # noqa: ARG002
        """Write it."""
        return None if value is None else write_json(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:  # noqa: ARG002
        """Read it."""
        return None if value is None else json.loads(value)


_DOCUMENTS = (JSON, JsonInText)


def is_postgres(session: Session) -> bool:
    """Say whether the session's database is a Postgres."""
    return session.get_bind().dialect.name == "postgresql"


def among(session: Session, given: QueryableAttribute[Any], values: Iterable[Any]) -> ColumnElement[bool]:
    """Ask whether a column's value is one of many."""
    if is_postgres(session):
        return given == any_(_array_of(values, given.type))
    return given.in_(list(values))


def among_given(given: QueryableAttribute[Any], *, in_arrays: bool) -> ColumnElement[bool]:
    """Ask whether a column of numbers is one of those in the parameters that :func:`ids_of` makes.

    For statements that are made once: one for Postgres (``in_arrays``), one for SQLite.
    """
    return given == any_(packed("ids")) if in_arrays else given.in_(bindparam("ids", expanding=True))


def ids_of(session: Session, values: Sequence[int]) -> dict[str, Any]:
    """Return the parameters of a statement with :func:`among_given`."""
    return {"ids": PackedNumbers.of(values) if is_postgres(session) else list(values)}


def _array_of(values: Iterable[Any], kind: TypeEngine[Any]) -> ColumnElement[Any]:
    """Give an array as a parameter that the planner can read: no cast, which a scan would repeat by row."""
    if isinstance(kind, Integer):
        return packed(None, PackedNumbers.of(values))
    if isinstance(kind, LargeBinary):
        return packed(None, PackedOctets.of(values))
    return bindparam(None, list(values), type_=ARRAY(kind))


def packed(name: str | None, value: Packed | None = None) -> ColumnElement[Any]:
    """Return the place of a packed array."""
    given = bindparam(name, value, type_=NullType()) if value else bindparam(name, type_=NullType())
    return type_coerce(given, ARRAY(BigInteger))


def numbers(values: Iterable[int | None]) -> str:
    """Write an array of numbers as Postgres reads it: the driver writes a list one by one in Python."""
    return f"{{{','.join(['NULL' if value is None else str(value) for value in values])}}}"


def numbers_given(name: str, kind: TypeEngine[Any]) -> ColumnElement[Any]:
    """Return the place of a parameter that :func:`numbers` wrote."""
    return cast(bindparam(name, type_=Text), ARRAY(kind))


def insert_columns(session: Session, table: Table, columns: Columns) -> None:
    """Insert rows that are given by column. What they don't name takes the database's default."""
    if not _count(columns):
        return
    if is_postgres(session):
        statement, values = _as_arrays(table, columns)
        session.connection().execute(statement, values)
    else:
        session.connection().execute(insert(table), _rows(columns))


def insert_new_columns(
    session: Session, table: Table, columns: Columns, *, key: tuple[str, ...]
) -> list[tuple[Any, ...]]:
    """Insert the rows whose ``key`` is not there yet; return the id and the key of each one inserted."""
    if not _count(columns):
        return []
    returned = [table.c.id, *(table.c[name] for name in key)]
    if is_postgres(session):
        statement, values = _as_arrays(table, columns, key)
        return list(map(tuple, session.connection().execute(statement, values)))
    new = sqlite.insert(table).on_conflict_do_nothing(index_elements=key).returning(*returned)
    return list(map(tuple, session.connection().execute(new, _rows(columns))))


def _rows(columns: Columns) -> list[dict[str, Any]]:
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _count(columns: Columns) -> int:
    return len(next(iter(columns.values()), ()))


def _apart(columns: Columns) -> tuple[frozenset[str], dict[str, Any]]:
    shared: list[str] = []
    values: dict[str, Any] = {}
    for name, of_rows in columns.items():
        values[name] = of_rows
        if len(of_rows) > 1 and of_rows.count(of_rows[0]) == len(of_rows):
            shared.append(name)
            values[name] = of_rows[0]
    return frozenset(shared), values


def unnested(arrays: Mapping[str, ColumnElement[Any]]) -> Mapping[str, ColumnElement[Any]]:
    """Return the columns of the rows that arrays make (Postgres); each name is also that of its column."""
    columns = [column(name, array.type.item_type) for name, array in arrays.items()]  # type: ignore[attr-defined]
    given = func.unnest(*arrays.values()).table_valued(*columns, name="given").render_derived()
    return {name: given.c[name] for name in arrays}


def _as_arrays(
    table: Table, columns: Columns, key: tuple[str, ...] = ()
) -> tuple[UpdateBase, dict[str, Any]]:
    """Return the statement and its parameters."""
    shared, values = _apart(columns)
    for name, value in values.items():
        kind = table.c[name].type
        if isinstance(kind, _DOCUMENTS):
            values[name] = write_json(value) if name in shared else _PART.join(map(write_json, value))
        elif isinstance(kind, Integer) and name not in shared:
            values[name] = numbers(value)
    return _statement(table, tuple(columns), shared, key), values


@cache
def _statement(
    table: Table, names: tuple[str, ...], shared: frozenset[str], key: tuple[str, ...]
) -> UpdateBase:
    columns = {name: table.c[name].type for name in names}
    found = unnested({name: _array(name, columns[name]) for name in names if name not in shared})
    values = [
        _typed(kind, found[name] if name in found else cast(bindparam(name), _kind(kind)))
        for name, kind in columns.items()
    ]
    statement = postgresql.insert(table).from_select(names, select(*values), include_defaults=False)
    if not key:
        return statement
    returned = [table.c.id, *(table.c[name] for name in key)]
    return statement.on_conflict_do_nothing(index_elements=key).returning(*returned)


def _array(name: str, of_column: TypeEngine[Any]) -> ColumnElement[Any]:
    if isinstance(of_column, _DOCUMENTS):
        return func.string_to_array(cast(bindparam(name), Text), _PART, type_=ARRAY(Text))
    if isinstance(of_column, Integer):
        return numbers_given(name, of_column)
    return cast(bindparam(name), ARRAY(_kind(of_column)))


def _kind(of_column: TypeEngine[Any]) -> TypeEngine[Any]:
    """Return the type in which a column's values travel."""
    if isinstance(of_column, UtcDateTime):
        return DateTime(timezone=True)  # the driver's own way is quicker, and as right for aware values
    return Text() if isinstance(of_column, (*_DOCUMENTS, String)) else of_column


def _typed(of_column: TypeEngine[Any], value: ColumnElement[Any]) -> ColumnElement[Any]:
    return cast(value, of_column) if isinstance(of_column, JSON) else value
