"""Asking the service: the same command line, from any account of the machine."""

from __future__ import annotations

import os
import socket
import tempfile
from pathlib import Path

from workbench.cli.remote import wire
from workbench.cli.remote.commands import Command, belongs, inside, understand
from workbench.kernel import settings
from workbench.kernel.errors import Unavailable
from workbench.store import files

LONGEST = 7 * 86_400.0
"""How many seconds a command may take. With a limit, waiting is by `poll`, which Ctrl-C interrupts."""
PATIENCE = 60.0
"""How many seconds an interrupted command may take to leave nothing behind."""


def asked(arguments: list[str]) -> int | None:
    """Ask the service to run a command and return its exit code; None where the command is this account's own.

    That is so without `$WORKBENCH_SOCKET`, for the account that owns the socket, for a named home (`--home`) and for
    one's own data (`--database`). Raises `Unavailable`: `cli.no_daemon`, `cli.daemon_busy`, `cli.daemon_lost`.
    """
    place = settings.socket_path()
    if place is None or _owner(place) == os.getuid():
        return None
    command = understand(arguments)
    return None if command is None else _ask(place, command)


def _owner(place: Path) -> int | None:
    try:
        return place.stat().st_uid
    except OSError:
        return None


def _ask(place: Path, command: Command) -> int:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as link:
        try:
            link.connect(str(place))
        except OSError as error:
            raise Unavailable("cli.no_daemon", socket=str(place)) from error
        if wire.peer(link) != _owner(place):
            raise Unavailable("cli.no_daemon", socket=str(place))
        link.settimeout(LONGEST)
        if not wire.is_welcome(link):
            raise Unavailable("cli.daemon_busy")
        header = {"arguments": command.arguments(), "lang": settings.language()}
        wire.send(link, header, _sent(command), streams=(0, 1, 2))
        with tempfile.TemporaryDirectory() as folder:
            return _answer(link, command, Path(folder))


def _answer(link: socket.socket, command: Command, folder: Path) -> int:
    try:
        header, names, _ = wire.receive(link, folder)
    except KeyboardInterrupt:
        link.shutdown(socket.SHUT_WR)  # the other side takes it for Ctrl-C, and says so itself
        link.settimeout(PATIENCE)
        header, names, _ = wire.receive(link, folder)
    targets = [path for paths in command.writes.values() for path in paths]
    for name in names:
        target = belongs(name, targets)
        if target is None:
            raise Unavailable("cli.daemon_lost")
        with files.writing(target) as aside:
            aside.write_bytes((folder / name).read_bytes())
    return int(header.get("exit", 1))


def _sent(command: Command) -> list[wire.Sent]:
    """The files that the command reads, each once; a name that is none is the service's to judge (a shipped cohort has
    one)."""
    found: dict[str, Path] = {}
    for path in (each for paths in command.reads.values() for each in paths):
        if path.is_file():
            found[inside(path)] = path
        elif path.is_dir():
            inner = sorted(each for each in path.rglob("*") if each.is_file() and not each.name.startswith("."))
            found |= {inside(each): each for each in inner}
    return [wire.Sent(name, path) for name, path in found.items()]
