"""Files that are whole or absent: written aside, synced, renamed; what dead processes left goes at the next writing.

A partial file is named `.<name>.partial-<pid>` and is locked (`flock`) by the process that writes it. The
kernel frees the lock when that process dies, however it dies, so a partial that can be locked belongs to nobody: the
process number alone would not tell, since numbers are used again (in a container nearly always).
"""

from __future__ import annotations

import errno
import fcntl
import glob
import hashlib
import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from workbench.kernel.errors import Refused, Unavailable, UserError

_MARK = ".partial-"
_FULL = (errno.ENOSPC, errno.EDQUOT)
_CLOSED = (errno.EROFS, errno.EACCES, errno.EPERM)


def sha256_file(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, in hexadecimal, read in blocks (bounded memory)."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 text file as `writing` does."""
    with writing(path) as aside, aside.open("w", encoding="utf-8", newline="") as stream:
        stream.write(text)


@contextmanager
def writing(path: Path) -> Generator[Path]:
    """Yield a file aside (0600); when the block ends well it is synced and renamed to `path`.

    An existing file is replaced; readers see the old or the new one, whole. Raises `Unavailable` (`files.disk_full`,
    `files.read_only`), `Refused` (`files.exists`) where `path` is a folder.
    """
    with user_errors(path):
        if path.is_dir():
            raise Refused("files.exists", place=str(path))
        path.parent.mkdir(parents=True, exist_ok=True)
        _sweep(path)
        aside, lock = _claim(path)
        try:
            yield aside
            sync(aside)
            aside.replace(path)
            sync(path.parent)
        except BaseException:
            aside.unlink(missing_ok=True)
            raise
        finally:
            os.close(lock)


def _sweep(path: Path) -> None:
    """Remove what dead processes left of earlier writings of a file."""
    for left in path.parent.glob(f".{glob.escape(path.name)}{_MARK}*"):
        descriptor = _lock(left)
        if descriptor is not None:
            left.unlink(missing_ok=True)
            os.close(descriptor)


def _claim(final: Path) -> tuple[Path, int]:
    """Make and lock a partial (0600) of `final`; again where a sweep took it between its making and its locking."""
    number = 0
    while True:
        suffix = f"-{number}" if number else ""
        aside = final.parent / f".{final.name}{_MARK}{os.getpid()}{suffix}"
        number += 1
        try:
            os.close(os.open(aside, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        except FileExistsError:
            continue
        lock = _lock(aside)
        if lock is not None:
            return aside, lock


def _lock(path: Path) -> int | None:
    """Return a descriptor that holds the lock of a partial, or None where somebody else holds or removed it."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(descriptor).st_ino == path.stat().st_ino:
            return descriptor
    except (BlockingIOError, FileNotFoundError):
        pass
    os.close(descriptor)
    return None


def sync_tree(folder: Path) -> None:
    """Bring a folder's files and its own entries to the disk (fsync), so that a rename names written content only."""
    for path in sorted(folder.rglob("*")):
        if not path.is_symlink():
            sync(path)
    sync(folder)


def sync(path: Path) -> None:
    """Bring one file, or one folder's entries, to the disk (fsync)."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def user_errors(place: Path) -> Generator[None]:
    """Turn a full disk and a place that cannot be written into answers for people; other errors pass unchanged."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        code = trouble(error)
        if code is None:
            raise
        raise Unavailable(code, place=str(place)) from error


def trouble(error: Exception) -> str | None:
    """Return the code of an error of the disk, else None: by its number, or by the system's words where a driver hides
    the number."""
    numbers = {getattr(error, "errno", None)}
    text = str(error)
    if numbers & set(_FULL) or os.strerror(errno.ENOSPC) in text:
        return "files.disk_full"
    if numbers & set(_CLOSED) or os.strerror(errno.EROFS) in text:
        return "files.read_only"
    return None
