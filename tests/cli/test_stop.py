"""A query can be stopped, and says how far it is: a process of its own, a real terminal, a real Ctrl-C."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
PATIENCE = 60.0


class Terminal:
    """A command on a pseudo-terminal: what it shows on its error stream, and its process."""

    def __init__(self, command: list[str], cwd: Path) -> None:
        self.master, slave = pty.openpty()
        environment = {**os.environ, "WORKBENCH_LANG": "en", "TERM": "xterm", "COLUMNS": "100"}
        self.process = subprocess.Popen(command, cwd=cwd, stderr=slave, stdout=subprocess.PIPE, env=environment)
        os.close(slave)
        self.seen = ""

    def read(self, seconds: float) -> str:
        """Read what is shown within some seconds, or until the process ends; return all that was shown so far."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            ready, _, _ = select.select([self.master], [], [], 0.1)
            try:
                chunk = os.read(self.master, 65536) if ready else b""
            except OSError:  # the other side is closed
                break
            self.seen += chunk.decode("utf-8", "replace")
            if ready and not chunk:
                break
        return ANSI.sub("", self.seen)

    def wait_for(self, words: str) -> str:
        """Read until some words are shown."""
        end = time.monotonic() + PATIENCE
        while words not in self.read(0.2):
            assert self.process.poll() is None, ANSI.sub("", self.seen)
            assert time.monotonic() < end, f"{words!r} was never shown: {ANSI.sub('', self.seen)}"
        return self.read(0.0)


@contextmanager
def terminal(command: list[str], cwd: Path) -> Iterator[Terminal]:
    opened = Terminal(command, cwd)
    try:
        yield opened
    finally:
        opened.process.kill()
        opened.process.wait()
        os.close(opened.master)


def generating(shared: Path, out: Path) -> list[str]:
    """The work of a minute: every second definition of the library on a random database."""
    folder = shared / "data/circe"
    files = [str(path) for path in sorted((folder / "phenotype_library").glob("*.json"))[::2]]
    place = ["--database", str(folder / "phenotypes_00/database"), "--out", str(out)]
    return [sys.executable, "-m", "workbench", "cohort", "generate", *files, *place]


@pytest.mark.parametrize("moment", ["at once", "half way"])
def test_ctrl_c_leaves_no_trace(shared: Path, tmp_path: Path, moment: str) -> None:
    out = tmp_path / "rows.parquet"
    with terminal(generating(shared, out), tmp_path) as shown:
        shown.wait_for("Generating")
        if moment == "half way":
            _until(shown, 61)
        shown.process.send_signal(signal.SIGINT)
        assert shown.process.wait(timeout=PATIENCE) == 1
        told = shown.read(1.0)
    assert "stopped" in told, told[-600:]
    assert "Traceback" not in told
    assert list(tmp_path.iterdir()) == []


def _until(shown: Terminal, share: int) -> None:
    """Wait until the progress is beyond a share in percent."""
    end = time.monotonic() + PATIENCE
    while max([int(each) for each in re.findall(r"(\d+)%", shown.read(0.2))] or [0]) < share:
        assert time.monotonic() < end
        assert shown.process.poll() is None


def test_progress_is_shown_on_a_terminal_only(shared: Path, tmp_path: Path) -> None:
    out = tmp_path / "rows.parquet"
    command = [each for each in generating(shared, out) if not each.endswith(".json")]
    files = [str(path) for path in sorted((shared / "data/circe/phenotype_library").glob("*.json"))[:3]]
    command[5:5] = files
    with terminal(command, tmp_path) as shown:
        told = shown.wait_for("100%")
        assert shown.process.wait(timeout=PATIENCE) == 0
    assert "Generating" in told
    silent = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert silent.stderr == ""
