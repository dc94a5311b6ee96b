"""Keys are named by one byte in a token; two that share it are told apart by the signature."""

from base64 import urlsafe_b64decode
from itertools import count

from service.keys import Keyring, Purpose


def numbered(number: int, label: str) -> str:
    """Search for a secret whose tokens begin with ``number``."""
    tries = (f"{label}-{n:06d}-0123456789-abcdefghijkl" for n in count())
    return next(secret for secret in tries if _number(secret) == number)


def _number(secret: str) -> int:
    token = Keyring([secret]).sign(Purpose.FORM, 0)
    return urlsafe_b64decode(token + "==")[0]


def test_a_new_key_of_the_same_number_leaves_old_links_alive() -> None:
    old, new, other = numbered(7, "old"), numbered(7, "new"), numbered(8, "other")
    before, after = Keyring([old]), Keyring([new, other, old])
    assert old != new

    for purpose in Purpose:
        assert after.verify(purpose, before.sign(purpose, 42, 3), 3) == 42
        assert after.verify(purpose, after.sign(purpose, 43)) == 43
        assert after.verify(purpose, Keyring([other]).sign(purpose, 44)) == 44
    assert after.read_bounce_token(before.bounce_token(42)) == 42
    assert after.read_bounce_token(after.bounce_token(43)) == 43


def test_the_same_number_alone_opens_nothing() -> None:
    old, new = Keyring([numbered(7, "old")]), Keyring([numbered(7, "new")])
    assert new.verify(Purpose.UNSUBSCRIBE, old.sign(Purpose.UNSUBSCRIBE, 42)) is None
    assert new.read_bounce_token(old.bounce_token(42)) is None
    both = Keyring([numbered(7, "new"), numbered(7, "old")])
    assert both.verify(Purpose.PREFERENCES, old.sign(Purpose.UNSUBSCRIBE, 42)) is None
    assert both.verify(Purpose.UNSUBSCRIBE, old.sign(Purpose.UNSUBSCRIBE, 42, 1), 2) is None
