"""The suppression list keeps the gravest reason."""

from datetime import UTC, datetime

import pytest
from sqlalchemy import select

from service.database import Database
from service.mail.suppression import suppress
from service.mail.tables import SuppressionRow

NOW = datetime(2026, 2, 13, tzinfo=UTC)
KEY = b"k" * 32


@pytest.mark.parametrize(
    ("told", "kept"),
    [
        (["bounce", "complaint"], "complaint"),
        (["complaint", "bounce"], "complaint"),
        (["erased", "operator"], "operator"),
        (["complaint", "erased"], "complaint"),
        (["bounce", "bounce"], "bounce"),
    ],
)
def test_the_gravest_reason_stays(database: Database, told: list[str], kept: str) -> None:
    for reason in told:
        with database.transaction() as session:
            suppress(session, KEY, reason, NOW)
    with database.reading() as session:
        assert session.scalars(select(SuppressionRow.reason)).all() == [kept]


def test_an_unknown_reason_is_refused(sqlite_database: Database) -> None:
    with pytest.raises(ValueError, match="gossip"), sqlite_database.transaction() as session:
        suppress(session, KEY, "gossip", NOW)
