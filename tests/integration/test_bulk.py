"""Arrays and rows by the thousand, on SQLite and on Postgres alike."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import any_, literal, select, text
from sqlalchemy.exc import IntegrityError

from service.bulk import Columns, among, insert_columns, insert_new_columns, packed
from service.database import Database, JsonText
from service.digests.tables import DigestRow
from service.mail.suppression import suppress, suppressed
from service.mail.tables import DeliveryRow
from service.packed import PackedNumbers, PackedOctets

AT = datetime(2026, 2, 13, 8, tzinfo=UTC)
DELIVERIES = DeliveryRow.metadata.tables["deliveries"]
KEY = ("subscriber_id", "issue_date")
DIGESTS = DigestRow.metadata.tables["digests"]


def delivery(number: int, **changes: object) -> dict[str, object]:
    return {
        "nonce": number, "kind": "digest", "queue": "bulk", "status": "queued", "subscriber_id": None,
        "digest_id": number, "parameters": {}, "created_at": AT, "next_at": AT + timedelta(seconds=number),
        "expires_at": AT, "attempt_count": 0, "reason": None,
    } | changes  # fmt: skip


def digest(day: int, **changes: object) -> dict[str, object]:
    return {
        "subscriber_id": None, "issue_date": AT.date() + timedelta(days=day), "due_at": AT, "planned_at": AT,
        "is_first": False, "outcome": "mailed", "skip_reason": None, "selection": [],
    } | changes  # fmt: skip


def by_column(rows: Sequence[Mapping[str, object]]) -> Columns:
    return {name: [row[name] for row in rows] for name in rows[0]} if rows else {}


@pytest.mark.parametrize("count", [0, 1, 2, 700])
def test_rows_come_back_as_they_were_given(database: Database, count: int) -> None:
    rows = [
        delivery(
            number,
            parameters={"notice": f"“quoted”, {{braced}} \\ NULL \n {number}"} if number % 2 else {},
            subscriber_id=None if number % 3 else number,
            reason='"a", \\b {c}' if number % 5 else None,
        )
        for number in range(count)
    ]
    with database.transaction() as session:
        insert_columns(session, DELIVERIES, by_column(rows))
    with database.reading() as session:
        kept = session.execute(select(DELIVERIES).order_by(DELIVERIES.c.nonce)).mappings().all()
    assert [{name: row[name] for name in delivery(0)} for row in kept] == rows


def test_what_all_rows_share_is_each_rows_own(database: Database) -> None:
    with database.transaction() as session:
        insert_columns(
            session, DELIVERIES, by_column([delivery(number, parameters={"a": [1]}) for number in (1, 2)])
        )
        assert [row.parameters for row in session.scalars(select(DeliveryRow))] == [{"a": [1]}] * 2


def test_of_rows_with_a_known_key_the_first_stays(database: Database) -> None:
    def insert(*days: int) -> list[int]:
        with database.transaction() as session:
            rows = [digest(day, subscriber_id=None, selection=JsonText(f'[["{day}"]]')) for day in days]
            return [
                day.toordinal()
                for _, _, day in insert_new_columns(session, DIGESTS, by_column(rows), key=KEY)
            ]

    first = AT.date().toordinal()
    # Without a subscriber no key is the same as another (SQL's null).
    assert sorted(insert(1, 2)) == [first + 1, first + 2]
    with database.reading() as session:
        kept = session.scalars(select(DigestRow).order_by(DigestRow.issue_date))
        assert [row.selection for row in kept] == [[{"paper": "1"}], [{"paper": "2"}]]


def test_a_row_that_breaks_a_rule_takes_all_with_it(database: Database) -> None:
    with pytest.raises(IntegrityError), database.transaction() as session:
        insert_columns(session, DELIVERIES, by_column([delivery(1), delivery(2), delivery(3, nonce=1)]))
    with database.reading() as session:
        assert session.scalars(select(DeliveryRow)).all() == []


@pytest.mark.parametrize("wanted", [[], [2], [2, 3, 99], list(range(1000))])
def test_what_is_among_many_is_found(database: Database, wanted: list[int]) -> None:
    with database.transaction() as session:
        insert_columns(session, DELIVERIES, by_column([delivery(number) for number in range(1, 6)]))
        found = session.scalars(select(DeliveryRow.nonce).where(among(session, DeliveryRow.nonce, wanted)))
        assert sorted(found) == sorted({*wanted} & {*range(1, 6)})


def test_octets_of_every_kind_are_found(database: Database) -> None:
    keys = [bytes([octet]) * 32 for octet in (0, 34, 44, 92, 123, 255)]
    with database.transaction() as session:
        for key in keys[1:]:
            suppress(session, key, "operator", AT)
        assert suppressed(session, keys) == set(keys[1:])


@pytest.fixture
def postgres_database(postgres_url: str) -> Iterator[Database]:
    opened = Database(postgres_url.replace("postgresql:", "postgresql+psycopg:"))
    yield opened
    opened.close()


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.integers(-(2**63), 2**63 - 1), max_size=50), st.lists(st.binary(max_size=40), max_size=20))
def test_a_packed_array_is_read_as_what_it_holds(
    postgres_database: Database, numbers: list[int], octets: list[bytes]
) -> None:
    with postgres_database.reading() as session:
        as_given = text("SELECT :given")
        assert session.execute(as_given, {"given": PackedNumbers.of(numbers)}).scalar_one() == numbers
        assert session.execute(as_given, {"given": PackedOctets.of(octets)}).scalar_one() == octets
        is_five = select(literal(5) == any_(packed("given")))
        found = session.execute(is_five, {"given": PackedNumbers.of([*numbers, 6])}).scalar_one()
        assert found is (5 in numbers)
