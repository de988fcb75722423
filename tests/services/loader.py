"""Loads in processes of their own, to be killed: `python -m tests.services.loader HOME` forks one for each line read.

A line is the path of a source, `erase N` to erase a person, or `check RELEASE` to check one. The answers are lines too:
`pid N`, `at SHARE` as it goes on, `refused CODE`, `done ID`, and `ended STATUS` when the process is gone. Forking from
a process that has everything imported and nothing open makes a load begin at once.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from tests.conftest import ROOT
from workbench.kernel.errors import UserError
from workbench.kernel.settings import Settings, load_settings
from workbench.services import erasures, people, quality, releases
from workbench.services.context import open_workbench


def settings_of(home: Path) -> Settings:
    """The settings of a home, its MLflow folder beside it."""
    return load_settings(home, {"WORKBENCH_MLRUNS": str(home.with_name("mlruns"))})


def load(home: Path, source: Path | str) -> None:
    """Load a source, erase a person, or check a release, and say how it goes on."""
    wb = open_workbench(settings_of(home), create=True)
    try:
        progress = lambda share, _: print(f"at {share:.3f}", flush=True)  # noqa: E731
        steward, (word, _, what) = people.first_steward(wb), str(source).partition(" ")
        if word == "erase":
            view: Any = erasures.add(wb, steward, [int(what)], progress)
        elif word == "check":
            view = quality.check_release(wb, steward, what, progress)
        else:
            view = releases.load_omop(wb, steward, source, name="x", synthetic=True, progress=progress)
        print(f"done {view.id}", flush=True)
    except UserError as error:
        print(f"refused {error.code}", flush=True)
    finally:
        wb.close()


def main(home: Path) -> None:
    """Fork one load for each line."""
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            load(home, line.strip())
            os._exit(0)
        print(f"pid {child}", flush=True)
        print(f"ended {os.waitpid(child, 0)[1]}", flush=True)


class Loader:
    """A process that loads one source after the other into a home, or erases; ask with `start`, hear with `next`."""

    def __init__(self, home: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.services.loader", str(home)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def start(self, source: Path | str) -> int:
        """Begin a load (or `erase N`); return its process number."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{source}\n")
        self.process.stdin.flush()
        return int(self.until("pid")[-1].split()[1])

    def next(self) -> str:
        """Return the next line that it says."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def until(self, word: str, *, least: float = 0.0) -> list[str]:
        """Return what it says up to a line that begins with a word (of `at`, with at least this share), or the end."""
        said: list[str] = []
        while not said or not said[-1].startswith("ended"):
            said.append(self.next())
            first, _, rest = said[-1].partition(" ")
            if not said[-1] or (first == word and (word != "at" or float(rest) >= least)):
                break
        return said

    def run(self, source: Path | str) -> tuple[str, float]:
        """Load to the end; return the last thing that the load said, and its seconds."""
        start = time.monotonic()
        self.start(source)
        said = self.until("ended")
        return said[-2], time.monotonic() - start

    def close(self) -> None:
        """End the process."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:  # a test that failed left a child stopped
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
