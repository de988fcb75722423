"""Pseudonyms: HMAC-SHA-256 with a key of study and purpose, cut to 53 bits (R reads OMOP ids as doubles).

Plain hashes are not pseudonyms: all national numbers of one commune can be tried in seconds. So are not ids of one
key used everywhere: two studies could be joined.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt

from workbench.governance.keys import Purpose, derive

BITS: Final = 53
_Ints = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Pseudonyms:
    """Distinct real ids (sorted) and their pseudonyms, position by position; `collisions` were resolved."""

    ids: _Ints = field(repr=False)
    values: _Ints = field(repr=False)
    collisions: int


def pseudonymize(secret: bytes, purpose: Purpose, ids: npt.ArrayLike, bits: int = BITS) -> Pseudonyms:
    """Return the pseudonyms of the distinct 64-bit ids, unique among them, each in 0 … 2^bits - 1.

    Where two ids fall on one value, the smaller keeps it and the other is computed again with a counter, until all
    differ: the same ids give the same result in any order. About 2 µs of CPU per distinct id; a quarter of that where
    ids are dense, as the keys of a warehouse mostly are.
    """
    key = derive(secret, purpose)
    # np.unique goes through a hash table, which takes ten times as long as sorting
    rising: _Ints = np.sort(np.asarray(ids, dtype=np.int64), axis=None)
    distinct = rising[np.flatnonzero(np.diff(rising, prepend=rising[:1] - 1))]
    values = _first_macs(key, distinct, bits)
    collisions, counter = 0, 0
    while True:
        clashing = _later_twins(values)
        if clashing.size == 0:
            return Pseudonyms(distinct, values, collisions)
        collisions += int(clashing.size) if counter == 0 else 0
        counter += 1
        values[clashing] = _macs(key, distinct[clashing], counter, bits)


def keyed_days(secret: bytes, ids: npt.ArrayLike, low: int, high: int, label: str) -> _Ints:
    """Return for each id, in the order given, a keyed number of days from `low` to `high`, both included.

    `label` separates uses (the cut at the end, the cut at the start): their numbers are unrelated.
    """
    key = derive(secret, f"dates/{label}")
    drawn = _first_macs(key, np.asarray(ids, dtype=np.int64), BITS)
    return low + drawn % (high - low + 1)


def _first_macs(key: bytes, ids: _Ints, bits: int) -> _Ints:
    """Return what `_macs` does without a counter: dense ids together, the others one by one."""
    near = (ids > 0) & (ids <= min(_SPARSE * ids.size, _DENSEST))
    if np.count_nonzero(near) * _SPARSE < int(ids[near].max(initial=0)):
        return _macs(key, ids, 0, bits)
    values = np.empty(ids.size, dtype=np.int64)
    values[near] = _dense_macs(key, ids[near], bits)
    values[~near] = _macs(key, ids[~near], 0, bits)
    return values


_SPARSE, _DENSEST = 4, 2**24
"""Ids are dense where the greatest is at most so many times their number, and at most this (512 MB of results)."""


def _dense_macs(key: bytes, ids: _Ints, bits: int) -> _Ints:
    """Return the first `bits` bits of HMAC-SHA-256 of each id (1 … 2^32 - 1) as 8 bytes, big-endian.

    PBKDF2 with one round is, block by block, the HMAC of its salt and the block's number (1, 2, … in 4 bytes,
    big-endian; RFC 8018, 5.2): with four zero bytes for a salt, that of each number up to the greatest id, in one call.
    """
    if not ids.size:
        return ids
    blocks = hashlib.pbkdf2_hmac("sha256", key, bytes(4), 1, 32 * int(ids.max()))
    return (np.frombuffer(blocks, dtype=">u8")[4 * (ids - 1)] >> np.uint64(64 - bits)).astype(np.int64)


def _macs(key: bytes, ids: _Ints, counter: int, bits: int) -> _Ints:
    """Return HMAC-SHA-256 of each id (8 bytes, big-endian, then the counter if any), the first `bits` bits.

    HMAC written out (RFC 2104), key and message hashed in one piece: half of what `hmac.digest` takes, and less than
    copying states made once, since OpenSSL's copies are dear.
    """
    block = key.ljust(64, b"\0")
    inner, outer = (bytes(byte ^ pad for byte in block) for pad in (0x36, 0x5C))
    suffix = counter.to_bytes(4, "big") if counter else b""
    raw, sha256 = ids.astype(">i8").tobytes(), hashlib.sha256

    def mac(start: int) -> bytes:
        return sha256(outer + sha256(inner + raw[start : start + 8] + suffix).digest()).digest()[:8]

    digests = b"".join(map(mac, range(0, len(raw), 8)))
    return (np.frombuffer(digests, dtype=">u8") >> np.uint64(64 - bits)).astype(np.int64)


def _later_twins(values: _Ints) -> _Ints:
    """Return the positions whose value already stands at an earlier position."""
    rising = np.sort(values)  # a sort without places costs a tenth, and there is hardly ever one
    if not (rising[1:] == rising[:-1]).any():
        return np.empty(0, dtype=np.int64)
    order = np.argsort(values, kind="stable")
    repeated = np.flatnonzero(values[order][1:] == values[order][:-1]) + 1
    return np.sort(order[repeated])
