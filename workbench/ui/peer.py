"""Whose process is at the other end of a loopback connection.

Where the operating system's user stands for a person, another user of the same machine could open the app too: the
loopback address belongs to all of them. Linux says which user owns the other end (`/proc/net/tcp`).
"""

from __future__ import annotations

import os
import socket
import struct
from pathlib import Path

TABLE = Path("/proc/net/tcp")


def is_same_user(client: tuple[str, int] | None) -> bool:
    """Answer whether the connection's other end belongs to this process's user.

    True where the system does not tell (no such table); the caller then relies on the loopback address alone.
    """
    if not TABLE.exists():
        return True
    owner = _owner(client) if client else None
    return owner == os.getuid()


def _owner(client: tuple[str, int]) -> int | None:
    try:
        wanted = _as_listed(*client)
    except OSError:
        return None  # not an IPv4 address
    for line in TABLE.read_text(encoding="ascii").splitlines()[1:]:
        parts = line.split()
        if parts[1] == wanted:
            return int(parts[7])
    return None


def _as_listed(host: str, port: int) -> str:
    address = struct.unpack("=I", socket.inet_aton(host))[0]
    return f"{address:08X}:{port:04X}"
