"""What goes over the socket: one question with its files and three open streams, one answer with its files.

Lengths come first and are checked before anything is read, so that neither side can be made to take more than it
wants. No path is ever sent to be opened: files travel as their bytes, under names without a way out of a folder.
"""

from __future__ import annotations

import json
import os
import pwd
import socket
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Final

from workbench.kernel.errors import InvalidInput, Unavailable

RECEIVED: Final = "workbench-received-"
"""How a command's temporary folder begins; it holds the files that came with it and goes when it ends."""
HEADER_BYTES: Final = 1 << 20
FILES: Final = 2_000
MEGABYTES: Final = 512
"""The most that one question, or one answer, may hold."""
_LENGTH: Final = struct.Struct("!I")
_CREDENTIALS: Final = struct.Struct("3i")
_BLOCK: Final = 1 << 20
_TAKEN: Final = b"+"
_BUSY: Final = b"-"


@dataclass(frozen=True)
class Sent:
    """A file on its way: the name under which it is put on the other side, and where its bytes are on this one."""

    name: str
    place: Path


def send(
    link: socket.socket, header: Mapping[str, Any], files: Iterable[Sent] = (), streams: tuple[int, ...] = ()
) -> None:
    """Send a header (JSON), files, and open streams (file descriptors), if any.

    Raises `InvalidInput` (`cli.too_much_sent`) before anything is sent.
    """
    sized = [(each, each.place.stat().st_size) for each in files]
    if len(sized) > FILES or sum(size for _, size in sized) > MEGABYTES << 20:
        raise InvalidInput("cli.too_much_sent", files=FILES, megabytes=MEGABYTES)
    listed = [{"name": each.name, "size": size} for each, size in sized]
    text = json.dumps({**header, "files": listed}).encode()
    if len(text) > HEADER_BYTES:
        raise InvalidInput("cli.too_much_sent", files=FILES, megabytes=MEGABYTES)
    length = _LENGTH.pack(len(text))
    if streams:
        socket.send_fds(link, [length], streams)
    else:
        link.sendall(length)
    link.sendall(text)
    for each, size in sized:
        _send_file(link, each.place, size)


def _send_file(link: socket.socket, place: Path, size: int) -> None:
    left = size
    with place.open("rb") as stream:
        while left and (block := stream.read(min(left, _BLOCK))):
            link.sendall(block)
            left -= len(block)
    if left:
        raise Unavailable("cli.daemon_lost")  # the file became shorter meanwhile: the answer could not be trusted


def receive(link: socket.socket, into: Path, streams: int = 0) -> tuple[dict[str, Any], list[str], list[int]]:
    """Receive a header, put the files that come with it into a folder (0600), and return the header, the files' names
    and the open streams.

    Raises `Unavailable` (`cli.daemon_lost`) where the other side stops in between, or says what it may not.
    """
    length, opened = _length(link, streams)
    if length > HEADER_BYTES:
        raise Unavailable("cli.daemon_lost")
    header = _object(_exactly(link, length))
    names = [_receive_file(link, into, name, size) for name, size in _listed(header)]
    return header, names, opened


def _length(link: socket.socket, streams: int) -> tuple[int, list[int]]:
    if not streams:
        return _LENGTH.unpack(_exactly(link, _LENGTH.size))[0], []
    first, opened, _, _ = socket.recv_fds(link, _LENGTH.size, streams)
    if len(opened) != streams:
        for each in opened:
            os.close(each)
        raise Unavailable("cli.daemon_lost")
    rest = _exactly(link, _LENGTH.size - len(first))
    return _LENGTH.unpack(first + rest)[0], list(opened)


def _object(text: bytes) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except ValueError as error:
        raise Unavailable("cli.daemon_lost") from error
    if not isinstance(found, dict):
        raise Unavailable("cli.daemon_lost")
    return found


def _listed(header: Mapping[str, Any]) -> list[tuple[str, int]]:
    try:
        pairs = [(str(each["name"]), int(each["size"])) for each in header["files"]]
    except (KeyError, TypeError, ValueError) as error:
        raise Unavailable("cli.daemon_lost") from error
    names = [name for name, _ in pairs]
    sound = len(set(names)) == len(names) <= FILES and all(map(is_inside, names))
    if not sound or any(size < 0 for _, size in pairs) or sum(size for _, size in pairs) > MEGABYTES << 20:
        raise Unavailable("cli.daemon_lost")
    return pairs


def is_inside(name: str) -> bool:
    """Answer whether a name stays inside the folder that it is put into."""
    path = PurePosixPath(name)
    return bool(path.parts) and not path.is_absolute() and ".." not in path.parts and "\0" not in name


def _receive_file(link: socket.socket, into: Path, name: str, size: int) -> str:
    place = into / name
    place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    left = size
    with os.fdopen(os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as stream:
        while left:
            left -= stream.write(_some(link, min(left, _BLOCK)))
    return name


def _exactly(link: socket.socket, size: int) -> bytes:
    found = bytearray()
    while len(found) < size:
        found += _some(link, size - len(found))
    return bytes(found)


def _some(link: socket.socket, most: int) -> bytes:
    try:
        block = link.recv(most)
    except OSError as error:
        raise Unavailable("cli.daemon_lost") from error
    if not block:
        raise Unavailable("cli.daemon_lost")
    return block


def welcome(link: socket.socket, taken: bool) -> None:
    """Tell who connected whether the command will be taken, before anything of it is sent."""
    link.sendall(_TAKEN if taken else _BUSY)


def is_welcome(link: socket.socket) -> bool:
    """Wait for the other side's `welcome`; raises `Unavailable` (`cli.daemon_lost`) where none comes."""
    return _exactly(link, 1) == _TAKEN


def peer(link: socket.socket) -> int:
    """Return the number of the operating system's user at the other end, as the kernel says it (`SO_PEERCRED`): of who
    connected, or of who listens."""
    raw = link.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    return _CREDENTIALS.unpack(raw)[1]


def user_name(number: int) -> str:
    """Return the name of a user of the operating system; a container may know a number that has none."""
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return f"uid-{number}"
