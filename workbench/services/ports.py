"""Whether the app's port is free, asked before anything long is started."""

from __future__ import annotations

import socket

from workbench.kernel.errors import Unavailable

LOOPBACK = "127.0.0.1"


def check_free(port: int) -> None:
    """Raise `Unavailable` (`services.port_taken`) where another program listens on this port of this machine."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError as error:
            raise Unavailable("services.port_taken", port=port) from error
