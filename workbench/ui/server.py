"""Serving the app on the loopback address."""

from __future__ import annotations

import socket

from workbench.kernel.errors import Unavailable
from workbench.kernel.settings import Settings
from workbench.services.provider import read_secret

HOST = "127.0.0.1"
"""Loopback, always: what is wider is a proxy's, which ends TLS; what it says of who calls is not believed."""


def serve(settings: Settings, port: int) -> None:
    """Serve the home's app on the loopback address until it is interrupted; opens no browser, prints nothing.

    Raises `Unavailable`: `services.port_taken` and `signin.secret_file` before anything is started, and what opening
    the home raises.
    """
    if settings.openid:
        read_secret(settings.openid)
    listening = _listen(port)
    try:
        _serve(settings, listening)
    finally:
        listening.close()


def _listen(port: int) -> socket.socket:
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((HOST, port))
    except OSError as error:
        listening.close()
        raise Unavailable("services.port_taken", port=port) from error
    return listening


def _serve(settings: Settings, listening: socket.socket) -> None:
    # Late: Streamlit costs a second and a half, which a taken port should not.
    import uvicorn  # noqa: PLC0415

    from workbench.services.context import open_workbench  # noqa: PLC0415
    from workbench.ui.app import create_app  # noqa: PLC0415

    workbench = open_workbench(settings)
    try:
        app = create_app(workbench, listening.getsockname()[1])
        config = uvicorn.Config(
            app, host=HOST, port=listening.getsockname()[1], log_level="warning", access_log=False, lifespan="on",
            server_header=False, timeout_graceful_shutdown=2, proxy_headers=False,
        )  # fmt: skip
        uvicorn.Server(config).run(sockets=[listening])
    finally:
        workbench.close()
