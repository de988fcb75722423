"""One command of somebody else, run by the service in a process of its own: `python -m workbench.cli.remote.served FD`.

Who asks is what the kernel says of the connection; the command is understood once more here, whatever the other side
made of it.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import typer
from typer.exceptions import TyperException

from workbench.cli.remote import wire
from workbench.kernel.errors import InvalidInput, Stopped, Unavailable, UserError

if TYPE_CHECKING:
    from workbench.cli.remote.commands import Command

HEADER_SECONDS = 30.0
INTERRUPT_SECONDS = 30.0


def serve(link: socket.socket) -> None:
    """Receive one command, run it as who sent it, and send its exit code and what it wrote."""
    os.umask(0o077)
    with tempfile.TemporaryDirectory(prefix=f"{wire.RECEIVED}{os.getpid()}-") as name:
        folder = Path(name)
        link.settimeout(HEADER_SECONDS)
        header, came, streams = _received(link, folder)
        link.settimeout(None)
        _stand_in(streams)
        os.environ["WORKBENCH_LANG"] = "en" if header.get("lang") == "en" else "fr"
        os.chdir(folder)
        over = threading.Event()
        threading.Thread(target=_watch, args=(link, over, threading.get_ident()), daemon=True).start()
        code, writes = _run(wire.user_name(wire.peer(link)), header.get("arguments"))
        over.set()
        sys.stdout.flush()
        wire.send(link, {"exit": code}, _made(folder, set(came), writes))
        os.chdir("/")


def _received(link: socket.socket, folder: Path) -> tuple[dict[str, Any], list[str], list[int]]:
    """Receive what was sent; raises `Unavailable` (`cli.daemon_lost`) too where it has names or numbers that nothing on
    this machine can have."""
    try:
        return wire.receive(link, folder, streams=3)
    except (OSError, ValueError, ArithmeticError, RecursionError) as error:
        raise Unavailable("cli.daemon_lost") from error


def _stand_in(streams: list[int]) -> None:
    """Make the asker's own input, output and error stream those of this process."""
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    sys.stdin, sys.stdout, sys.stderr = os.fdopen(0, closefd=False), _writer(1), _writer(2)


def _writer(number: int) -> TextIO:
    return os.fdopen(number, "w", buffering=1, encoding="utf-8", closefd=False)


def _run(user: str, arguments: object) -> tuple[int, list[Path]]:
    """Understand a command and run it as a user of the operating system; nothing runs that was not understood. Return
    the exit code and the paths that the command writes."""
    try:
        return _understood(user, arguments)
    except KeyboardInterrupt:  # before the command began: it answers for itself
        from workbench.cli import common  # noqa: PLC0415 - as below

        return common.complain(Stopped("store.stopped"), as_json=False), []


def _understood(user: str, arguments: object) -> tuple[int, list[Path]]:
    # Imported when the whole command has come: what no client of ours sends costs next to nothing.
    from workbench.cli import common, main  # noqa: PLC0415
    from workbench.cli.remote import commands  # noqa: PLC0415
    from workbench.services import people  # noqa: PLC0415

    people.act_for(user)
    said = [str(each) for each in arguments] if isinstance(arguments, list) else []
    try:
        command = commands.understand(said)
        if command is None or not _stays(command):
            raise InvalidInput("cli.not_over_socket", verb=" ".join(said[:2]))
    except typer.Exit as leave:  # its help is shown by now
        return int(leave.exit_code), []
    except TyperException as error:
        return main.misunderstood(error), []
    except UserError as error:
        return common.complain(error, "--json" in said), []
    return main.run(said, here=True), [path for paths in command.writes.values() for path in paths]


def _stays(command: Command) -> bool:
    """Answer whether every path of a command is inside the folder of what came with it."""
    paths = [path for some in (*command.reads.values(), *command.writes.values()) for path in some]
    return all(str(path) in (".", "-") or wire.is_inside(str(path)) for path in paths)


def _made(folder: Path, came: set[str], writes: list[Path]) -> list[wire.Sent]:
    """Return what a command made where it was told to write: whatever else it left in the folder stays here."""
    found = (path for path in sorted(folder.rglob("*")) if path.is_file() and not path.is_symlink())
    names = {path: path.relative_to(folder) for path in found}
    return [
        wire.Sent(str(name), path)
        for path, name in names.items()
        if str(name) not in came and any(name.is_relative_to(each) for each in writes)
    ]


def _watch(link: socket.socket, over: threading.Event, main: int) -> None:
    """Take it for Ctrl-C when who asked is gone, or says so; a command that does not end by it is ended."""
    link.recv(1)
    if not over.is_set():
        # To the main thread: a signal that another takes does not wake it from waiting for input.
        signal.pthread_kill(main, signal.SIGINT)
    if not over.wait(INTERRUPT_SECONDS):
        os.kill(os.getpid(), signal.SIGTERM)


def main() -> None:
    """Serve the connection whose number is given."""
    link = socket.socket(fileno=int(sys.argv[1]))
    try:
        serve(link)
    except (UserError, BrokenPipeError, KeyboardInterrupt):
        sys.exit(1)  # who asked left, or sent what no client of ours sends; or the service ends


if __name__ == "__main__":
    main()
