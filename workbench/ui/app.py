"""The app as one ASGI application: Streamlit's pages behind our gate, with our own routes beside them."""

from __future__ import annotations

import logging
import uuid
from pathlib import Path
from typing import Any

import streamlit as st
from starlette.middleware import Middleware
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from streamlit.web import bootstrap

from workbench.kernel.errors import UserError
from workbench.services.context import Workbench
from workbench.ui import downloads, hospital, signin, state
from workbench.ui.gate import Gate
from workbench.ui.parts.errors import panel, unexpected

HERE = Path(__file__).parent
log = logging.getLogger("workbench.ui")

OPTIONS: dict[str, Any] = {
    "browser.gatherUsageStats": False,
    "browser.serverAddress": "127.0.0.1",
    "client.showErrorDetails": "none",
    "client.showErrorLinks": False,
    "client.toolbarMode": "minimal",
    "global.developmentMode": False,
    "logger.level": "warning",
    "runner.magicEnabled": False,
    "server.address": "127.0.0.1",
    "server.enableAgentApi": False,
    "server.enableStaticServing": False,
    "server.fileWatcherType": "none",
    "server.headless": True,
    "server.maxUploadSize": 5,
    "theme.base": "light",
    "theme.primaryColor": "#0B5A6B",
    "theme.backgroundColor": "#FBFCFC",
    "theme.secondaryBackgroundColor": "#F0F4F4",
    "theme.textColor": "#16262B",
    "theme.linkColor": "#0B5A6B",
    "theme.borderColor": "#CFDADC",
    "theme.baseRadius": "4px",
    "theme.baseFontSize": 15,
    "theme.headingFontSizes": ["1.65rem", "1.3rem", "1.2rem", "1.05rem", "1rem", "0.95rem"],
    "theme.paddingTop": "0.5rem",
    "theme.paddingBottom": "3rem",
    "theme.sidebar.backgroundColor": "#F0F4F4",
    "theme.sidebar.secondaryBackgroundColor": "#FBFCFC",
}
"""Streamlit's settings as shipped: no telemetry, no outside address, one light theme with one accent."""


def create_app(workbench: Workbench, port: int) -> st.App:
    """Return the app of an open workbench; `port` is where it will be served, for its own origin and cookie."""
    openid = workbench.settings.openid
    reached = {"browser.serverAddress": openid.host} if openid else {}
    bootstrap.load_config_options({**OPTIONS, "server.port": port, "browser.serverPort": port, **reached})
    state.start(state.Serving(workbench, port))
    return st.App(
        HERE / "main.py",
        routes=[
            Mount("/workbench/assets", StaticFiles(directory=HERE / "assets")),
            Route("/connexion", signin.page, methods=["GET"]),
            Route("/connexion", signin.enter, methods=["POST"]),
            Route("/connexion/depart", hospital.depart, methods=["GET"]),
            Route("/connexion/retour", hospital.come_back, methods=["GET"]),
            Route("/connexion/fin", hospital.logged_out, methods=["GET", "POST"]),
            Route("/connexion/preuve", hospital.prove, methods=["GET"]),
            Route("/download/{name}", downloads.download, methods=["GET"]),
            Route("/download/lettre/{id}", downloads.letter, methods=["GET"]),
            Route("/download/sortie/{id}", downloads.output, methods=["GET"]),
        ],
        middleware=[Middleware(Gate)],
        on_script_error=on_script_error,
    )


def on_script_error(error: BaseException) -> bool:
    """Show an error as this app shows errors: an answer by its sentences, a bug by a reference and no traceback."""
    if isinstance(error, UserError):
        panel(error)
        return True
    reference = uuid.uuid4().hex[:8]
    log.error("page error %s", reference, exc_info=error)
    unexpected(reference)
    return True
