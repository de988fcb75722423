"""`workbench daemon`: the service account takes the commands of this machine's other users."""

from __future__ import annotations

import sys

import typer

from workbench.cli.common import Home, settings_of, tell, words
from workbench.cli.remote import door
from workbench.kernel.errors import InvalidInput
from workbench.kernel.settings import socket_path
from workbench.services.context import open_workbench


def register(app: typer.Typer) -> None:
    """Add the verb to the command line."""
    app.command("daemon")(daemon)


def daemon(home: Home = None) -> None:
    """Take commands at $WORKBENCH_SOCKET, each as the user of this machine who sends it."""
    place, places = socket_path(), settings_of(home)
    if place is None:
        raise InvalidInput("cli.no_socket")
    open_workbench(places).close()
    with door.listening(place) as listener:
        stop = door.Stop()
        tell(words("daemon", socket=place))
        sys.stdout.flush()
        door.answer(listener, places, stop)
