"""Whether the quotes of a delimited text leave no doubt, found in vectors over its bytes."""

from __future__ import annotations

import numpy as np

_QUOTE = ord('"')


class Quotes:
    """Whether quotes come in pairs that open at a value's beginning and close at its end; `""` inside is a closing and
    an opening side by side. Vectors over blocks; a block is held back by one byte, so that neighbours are known."""

    def __init__(self, delimiter: int) -> None:
        self._ends = np.zeros(256, dtype=bool)
        self._ends[[delimiter, ord("\n"), ord("\r"), _QUOTE]] = True
        self._open, self._fine, self._before, self._held = 0, True, ord("\n"), b""

    def add(self, block: bytes) -> None:
        """Look at the next block."""
        if not self._fine or not block:
            return
        self._look(self._held + block[:-1], block[-1])
        self._held = block[-1:]

    def paired(self) -> bool:
        """Answer after the last block."""
        if self._fine and self._held:
            self._look(self._held, ord("\n"))
        return self._fine and not self._open

    def _look(self, block: bytes, after: int) -> None:
        if block and _QUOTE in block:
            codes = np.frombuffer(bytes([self._before]) + block + bytes([after]), dtype=np.uint8)
            places = np.flatnonzero(codes[1:-1] == _QUOTE) + 1
            opens = (np.arange(len(places)) + self._open) % 2 == 0
            neighbours = np.where(opens, codes[places - 1], codes[places + 1])
            self._fine = bool(self._ends[neighbours].all())
            self._open = (self._open + len(places)) % 2
        if block:
            self._before = block[-1]
