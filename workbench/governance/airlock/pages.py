"""What a Parquet file's pages say that they unpack to, each in its own header, whatever the footer says of them.

A page's header is a Thrift struct in the compact protocol, whose second and third fields are its sizes; the rest is
stepped over.
"""

from __future__ import annotations

from typing import Any

_VARINTS = frozenset({4, 5, 6})


def unpacked_size(raw: bytes, about: Any) -> int:
    """Return the bytes that all pages of a file unpack to, by their headers (`about`: its footer, from pyarrow).

    Raises `ValueError` where headers are not where the footer says, or are not such.
    """
    total = 0
    for group in range(about.num_row_groups):
        for place in range(about.num_columns):
            column = about.row_group(group).column(place)
            starts = [column.data_page_offset]
            if column.has_dictionary_page:
                starts.append(column.dictionary_page_offset)
            total += _column(raw, min(starts), min(starts) + column.total_compressed_size)
    return total


def _column(raw: bytes, at: int, end: int) -> int:
    if not 0 < at < end <= len(raw):
        raise ValueError("no pages where the footer says")
    total = 0
    while at < end:
        reader = _Reader(raw, at)
        sizes = reader.struct()
        if not {2, 3} <= sizes.keys() or min(sizes[2], sizes[3]) < 0:
            raise ValueError("no sizes in the header of a page")
        total += sizes[2]
        at = reader.at + sizes[3]
    return total


class _Reader:
    """Steps over values of the compact protocol."""

    def __init__(self, raw: bytes, at: int) -> None:
        self.raw, self.at = raw, at

    def struct(self, depth: int = 0) -> dict[int, int]:
        """Step over a struct and return its whole numbers by field."""
        found: dict[int, int] = {}
        field = 0
        while (head := self._byte()) != 0:
            field = field + (head >> 4) if head >> 4 else _zigzag(self._varint())
            value = self._value(head & 15, depth)
            if value is not None:
                found[field] = value
        return found

    def _value(self, kind: int, depth: int) -> int | None:
        if depth > 8:
            raise ValueError
        if kind in _VARINTS:
            return _zigzag(self._varint())
        if kind == 8:
            length = self._varint()
            self.at += length
        elif kind == 12:
            self.struct(depth + 1)
        elif kind in {9, 10}:
            self._list(depth)
        elif kind in {3, 7}:
            self.at += 1 if kind == 3 else 8
        elif kind not in {1, 2}:
            raise ValueError
        return None

    def _list(self, depth: int) -> None:
        head = self._byte()
        size = self._varint() if head >> 4 == 15 else head >> 4
        for _ in range(size):
            # In a list a truth value has a byte of its own.
            self._value(3 if head & 15 in {1, 2} else head & 15, depth + 1)

    def _varint(self) -> int:
        value = shift = 0
        while True:
            byte = self._byte()
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value
            if shift > 63:
                raise ValueError

    def _byte(self) -> int:
        if self.at >= len(self.raw):
            raise ValueError
        self.at += 1
        return self.raw[self.at - 1]


def _zigzag(value: int) -> int:
    return (value >> 1) ^ -(value & 1)
