"""How large the pages of a Parquet column are, from their headers: a page is unpacked whole, whatever it holds.

The file's footer has only the sum over a column's pages, from which a gigabyte in one page can't be told from a
gigabyte in a thousand, and pyarrow shows no headers. They are structs in Thrift's compact protocol.
"""

from dataclasses import dataclass
from typing import IO, Any

from stepward.errors import StepwardError

_LONGEST_HEADER = 2**22
_FIRST_LOOK = 2**12

_SIZE, _PACKED = 2, 3
_DICTIONARY = 7
_KINDS = {5: 2, 7: 2, 8: 4}  # of data, a dictionary, data in the second version: count first, and where the encoding is
_IN_DICTIONARY = (2, 8)


@dataclass(slots=True)
class Pages:
    """What the pages of a column in one row group come to.

    Attributes:
        dictionary: Bytes of the dictionary, unpacked.
        largest: Bytes of the largest other page, unpacked.
        values: Values of all pages.
        plain: Bytes of the pages whose values stand in them and not in the dictionary, unpacked.
    """

    dictionary: int = 0
    largest: int = 0
    values: int = 0
    plain: int = 0

    @property
    def held(self) -> int:
        """Bytes that are in memory at once."""
        return self.dictionary + self.largest


def read_pages(file: IO[bytes], start: int, length: int) -> Pages:
    """Reads the headers of a column's pages.

    Args:
        file: The Parquet file.
        start: Where the first page begins.
        length: Bytes of all pages, packed.

    Raises:
        StepwardError: A header can't be read: the file is damaged.
    """
    pages = Pages()
    end = start + length
    while start < end:
        header, size = _header(file, start)
        kind = next((number for number in _KINDS if isinstance(header.get(number), dict)), None)
        unpacked, packed = header.get(_SIZE), header.get(_PACKED)
        if not isinstance(unpacked, int) or not isinstance(packed, int) or unpacked < 0 or packed < 0:
            raise StepwardError(f"a page at byte {start:,} has no size", code="unreadable")
        if kind == _DICTIONARY:
            pages.dictionary = max(pages.dictionary, unpacked)
        elif kind is not None:
            pages.largest = max(pages.largest, unpacked)
            pages.values += max(int(header[kind].get(1, 0)), 0)
            pages.plain += unpacked if header[kind].get(_KINDS[kind]) not in _IN_DICTIONARY else 0
        start += size + packed
    return pages


def _header(file: IO[bytes], start: int) -> tuple[dict[int, Any], int]:
    """The header that begins at a byte, and its length."""
    look = _FIRST_LOOK
    while look <= _LONGEST_HEADER:  # a header may hold the least and the greatest value
        file.seek(start)
        raw = file.read(look)
        try:
            return _struct(raw, 0)
        except (IndexError, RecursionError):
            if len(raw) < look:
                break
        look *= 16
    raise StepwardError(f"the header of the page at byte {start:,} can't be read", code="unreadable")


def _struct(raw: bytes, at: int) -> tuple[dict[int, Any], int]:
    fields: dict[int, Any] = {}
    number = 0
    while first := raw[at]:
        at += 1
        if first >> 4:
            number += first >> 4
        else:
            number, at = _signed(raw, at)
        fields[number], at = _value(raw, at, first & 15)
    return fields, at + 1


def _value(raw: bytes, at: int, kind: int) -> tuple[Any, int]:
    """The value of a type that starts at a byte, and where it ends; headers have neither lists nor maps."""
    if kind in (1, 2):  # true and false, which are types
        return kind == 1, at
    if kind == 3:
        return raw[at], at + 1
    if kind in (4, 5, 6):
        return _signed(raw, at)
    if kind == 7:
        return None, at + 8
    if kind == 8:
        length, at = _unsigned(raw, at)
        return None, at + length
    if kind == 12:
        return _struct(raw, at)
    raise IndexError(kind)


def _unsigned(raw: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while raw[at] & 128:
        value |= (raw[at] & 127) << shift
        shift += 7
        at += 1
    return value | raw[at] << shift, at + 1


def _signed(raw: bytes, at: int) -> tuple[int, int]:
    value, at = _unsigned(raw, at)
    return value >> 1 ^ -(value & 1), at
