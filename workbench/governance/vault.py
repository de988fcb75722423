"""The hospital's vault, asked by a program of the hospital's own (`WORKBENCH_KEY_COMMAND`) for the master key.

The program is called with one more argument, a key's id or `current`, and prints one line: the key's id, a space, and
the key, 32 bytes in base64url. It runs without a shell, with three variables of environment, for ten seconds at most.
What it prints is never shown, logged or written to a file; its error stream is thrown away, for it may hold the key.
Why: docs/decisions/0025-reviews-and-vaults.md.
"""

from __future__ import annotations

import base64
import os
import re
import selectors
import signal
import stat
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from workbench.governance.key_files import BYTES
from workbench.kernel.errors import Unavailable

CURRENT: Final = "current"
"""What the program is asked for where the newest key is wanted; no key's id."""
SECONDS: Final = 10.0
LARGEST: Final = 1024
"""Bytes of an answer."""
ENVIRONMENT: Final = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8", "HOME": "/nonexistent"}
_LINE: Final = re.compile(rb"([A-Za-z0-9][A-Za-z0-9._-]{0,63}) ([A-Za-z0-9_-]{43})=?\r?\n?")


class Vault:
    """The program that reads the vault. A key once read stays in this process's memory, and nowhere else."""

    def __init__(self, command: Sequence[str], seconds: float = SECONDS) -> None:
        self._command = tuple(command)
        self._seconds = seconds
        self._known: dict[str, bytes] = {}

    def key(self, key_id: str) -> bytes:
        """Return the key of an id; errors as `current`, and `governance.vault_garbled` where another one is printed."""
        if key_id not in self._known:
            named, key = self._ask(key_id)
            if named != key_id:
                raise Unavailable("governance.vault_garbled", program=self._command[0])
            self._known = {key_id: key}
        return self._known[key_id]

    def current(self) -> tuple[str, bytes]:
        """Return the id and the 32 bytes of the vault's newest key, asked anew.

        Raises `Unavailable`: `governance.vault_program` where others could change the program,
        `governance.vault_failed`, `governance.vault_slow`, `governance.vault_garbled`.
        """
        return self._ask(CURRENT)

    def _ask(self, key_id: str) -> tuple[str, bytes]:
        program = checked(Path(self._command[0]))
        printed = self._run([str(program), *self._command[1:], key_id])
        found = _LINE.fullmatch(printed)
        key = base64.urlsafe_b64decode(found[2] + b"=") if found else b""
        # The last letter of 43 holds two bits too many: an answer with them set was cut or mistyped.
        if not found or len(key) != BYTES or base64.urlsafe_b64encode(key).rstrip(b"=") != found[2]:
            raise Unavailable("governance.vault_garbled", program=self._command[0])
        named = found[1].decode()
        if named == CURRENT:
            raise Unavailable("governance.vault_garbled", program=self._command[0])
        return named, key

    def _run(self, command: list[str]) -> bytes:
        """Return what the program prints, at most one byte more than `LARGEST`; it and its children are ended after."""
        quiet = subprocess.DEVNULL
        try:
            process = subprocess.Popen(
                command, stdin=quiet, stdout=subprocess.PIPE, stderr=quiet, env=ENVIRONMENT, cwd="/",
                start_new_session=True,
            )  # fmt: skip
        except OSError:
            raise Unavailable("governance.vault_failed", program=self._command[0], status="–") from None
        until = time.monotonic() + self._seconds
        try:
            printed = _read(process, until)
            status = process.wait(max(0.0, until - time.monotonic())) if len(printed) <= LARGEST else 0
        except (TimeoutError, subprocess.TimeoutExpired):
            raise Unavailable("governance.vault_slow", program=self._command[0], seconds=f"{self._seconds:g}") from None
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            assert process.stdout
            process.stdout.close()
        if status:
            raise Unavailable("governance.vault_failed", program=self._command[0], status=str(status))
        return printed


def checked(program: Path) -> Path:
    """Return the file that a program's name leads to.

    Raises `Unavailable` (`governance.vault_program`) unless it is a file that can be run, owned by root or by the
    user who runs this, that nobody else can write to, in folders of theirs that not everybody can write to.
    """
    real = Path(os.path.realpath(program))
    try:
        found = real.stat()
        ours = {0, os.geteuid()}
        good = stat.S_ISREG(found.st_mode) and found.st_uid in ours and not found.st_mode & 0o022
        good = good and os.access(real, os.X_OK)
        for folder in {*program.parents, *real.parents}:
            held = folder.stat()
            good = good and (held.st_uid in ours) and (not held.st_mode & 0o002 or bool(held.st_mode & stat.S_ISVTX))
    except OSError:
        good = False
    if not good or not program.is_absolute():
        raise Unavailable("governance.vault_program", program=str(program))
    return real


def _read(process: subprocess.Popen[bytes], until: float) -> bytes:
    assert process.stdout
    printed = b""
    with selectors.DefaultSelector() as waiting:
        waiting.register(process.stdout, selectors.EVENT_READ)
        while len(printed) <= LARGEST:
            if not waiting.select(max(0.0, until - time.monotonic())):
                raise TimeoutError
            piece = os.read(process.stdout.fileno(), LARGEST + 1)
            if not piece:
                break
            printed += piece
    return printed
