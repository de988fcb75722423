"""The socket of the service account: it takes connections and gives each a process; it reads nothing itself."""

from __future__ import annotations

import os
import select
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Final

from workbench.cli.remote import wire
from workbench.cli.remote.wire import RECEIVED
from workbench.kernel.errors import Refused, Unavailable
from workbench.kernel.settings import Settings

PROCESSES: Final = 32
EACH: Final = 4
"""The most commands at a time, of all and of one user: one person's scripts must not shut out the others."""
TICK: Final = 0.5
ENDING: Final = 40.0


@contextmanager
def listening(place: Path) -> Generator[socket.socket]:
    """Open the socket for every user of the machine and remove it after.

    Raises `Refused` (`cli.socket_folder`) where others could put another socket in its place, `Unavailable`
    (`cli.socket_taken`) where one already answers there.
    """
    folder = place.parent
    if not folder.is_dir() or folder.stat().st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise Refused("cli.socket_folder", folder=str(folder))
    _clear(place)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as door:
        door.bind(str(place))
        try:
            place.chmod(0o666)
            door.listen(PROCESSES)
            yield door
        finally:
            place.unlink(missing_ok=True)


def _clear(place: Path) -> None:
    """Remove the socket of a service that died."""
    if not place.exists():
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(place))
        except OSError:
            if stat.S_ISSOCK(place.lstat().st_mode):
                place.unlink()
                return
    raise Unavailable("cli.socket_taken", socket=str(place))


def answer(door: socket.socket, places: Settings, stop: Stop) -> None:
    """Give every connection a process of its own until SIGTERM or Ctrl-C; then end those that run, as Ctrl-C does."""
    _sweep("")
    running: list[tuple[int, subprocess.Popen[bytes]]] = []
    while not stop.asked:
        running = [(user, process) for user, process in running if not _ended(process)]
        if select.select([door], [], [], TICK)[0]:
            link, _ = door.accept()
            with link:
                _take(link, running, places)
    for _, process in running:
        process.send_signal(signal.SIGINT)
    for _, process in running:
        try:
            process.wait(ENDING)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        _ended(process)


def _ended(process: subprocess.Popen[bytes]) -> bool:
    if process.poll() is None:
        return False
    _sweep(f"{process.pid}-")
    return True


def _sweep(whose: str) -> None:
    """Remove what a command left that was killed, or all of them before any runs."""
    for left in Path(tempfile.gettempdir()).glob(f"{RECEIVED}{whose}*"):
        if left.lstat().st_uid == os.getuid():
            shutil.rmtree(left, ignore_errors=True)


def _take(link: socket.socket, running: list[tuple[int, subprocess.Popen[bytes]]], places: Settings) -> None:
    user = wire.peer(link)
    taken = len(running) < PROCESSES and sum(each == user for each, _ in running) < EACH
    try:
        wire.welcome(link, taken)
    except OSError:
        return  # who asked is gone
    if taken:
        number = link.fileno()
        command = [sys.executable, "-m", "workbench.cli.remote.served", str(number)]
        try:
            process = subprocess.Popen(
                command, pass_fds=[number], stdin=subprocess.DEVNULL, cwd="/", env=_environment(places)
            )
        except OSError:
            return  # no process or memory left just now: the others go on, and who asked is told that it was lost
        running.append((user, process))


def _environment(places: Settings) -> dict[str, str]:
    """Return the environment of a command: the service's own, its places absolute, since the folder changes.

    It works in the folder of what was sent: no interpreter that it starts may import from there (`PYTHONSAFEPATH`).
    """
    own = {"WORKBENCH_HOME": places.home, "WORKBENCH_KEYS": places.keys, "WORKBENCH_MLRUNS": places.mlruns}
    fixed = {"PYTHONUTF8": "1", "PYTHONSAFEPATH": "1"}
    return {**os.environ, **{name: str(place) for name, place in own.items()}, **fixed}


class Stop:
    """Whether a signal (SIGTERM, Ctrl-C) asked this process to stop, from its making on."""

    def __init__(self) -> None:
        self.asked = False
        for each in (signal.SIGTERM, signal.SIGINT):
            signal.signal(each, self._ask)

    def _ask(self, _signal: int, _frame: FrameType | None) -> None:
        self.asked = True
