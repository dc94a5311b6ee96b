"""Arrays for Postgres, written as the server reads them: the driver would write them one by one in Python.

The form is that of array_recv (src/backend/utils/adt/arrayfuncs.c): dimensions, whether any element is null,
the elements' type, length and first index; then each element behind its length. All big-endian.
"""

import struct
from collections.abc import Iterable

NUMBER, OCTETS = 20, 17  # types of elements: int8, bytea (pg_type.dat)
NUMBERS, MANY_OCTETS = 1016, 1001  # types of their arrays


class Packed:
    """An array, packed."""

    __slots__ = ("data",)

    def __init__(self, data: bytes) -> None:
        """Take the octets."""
        self.data = data


class PackedNumbers(Packed):
    """Whole numbers of 64 bits."""

    __slots__ = ()

    @classmethod
    def of(cls, values: Iterable[int]) -> "PackedNumbers":
        """Pack numbers."""
        given = list(values)
        elements = [8] * (2 * len(given))
        elements[1::2] = given
        return cls(_head(NUMBER, len(given)) + struct.pack(">" + "iq" * len(given), *elements))


class PackedOctets(Packed):
    """Strings of octets."""

    __slots__ = ()

    @classmethod
    def of(cls, values: Iterable[bytes]) -> "PackedOctets":
        """Pack octets."""
        given = list(values)
        elements = [struct.pack(">i", len(one)) + one for one in given]
        return cls(_head(OCTETS, len(given)) + b"".join(elements))


def _head(kind: int, count: int) -> bytes:
    return struct.pack(">iiIii", 1, 0, kind, count, 1) if count else struct.pack(">iiI", 0, 0, kind)


def teach_driver() -> None:
    """Let psycopg send packed arrays; done once, however often it is asked."""
    from psycopg import adapters
    from psycopg.adapt import Dumper
    from psycopg.pq import Format

    class PackedDumper(Dumper):
        format = Format.BINARY

        def dump(self, obj: Packed) -> bytes:
            return obj.data

    class NumbersDumper(PackedDumper):
        oid = NUMBERS

    class OctetsDumper(PackedDumper):
        oid = MANY_OCTETS

    adapters.register_dumper(PackedNumbers, NumbersDumper)
    adapters.register_dumper(PackedOctets, OctetsDumper)
