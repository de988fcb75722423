"""What all tests share: the reference data, the typed release of the simulated patients, one demonstration home.

A test that needs something this machine lacks says so by `absent(...)`: it skips, naming how to enable it. Where
WORKBENCH_NO_SKIP is set (CI), it fails instead: there nothing may be skipped.
"""

from __future__ import annotations

import io
import os
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import NoReturn

import pytest

from tests.homes import copy_home
from workbench.cli.main import run

if not hasattr(sys.modules["__main__"], "__file__"):
    # A worker of the test runner has a main module without a file. Spark's client takes that for a run of its own
    # doctests and ends the process.
    sys.modules["__main__"].__file__ = __file__

ROOT = Path(__file__).parent.parent
CHROMIUM = Path("/usr/bin/chromium")
ENVIRONMENT = {"WORKBENCH_LANG": "en"}


def absent(what: str, how: str) -> NoReturn:
    """Skip the test, saying what is absent and how to enable it; fail where nothing may be skipped."""
    message = f"{what} is absent; to enable: {how}"
    if os.environ.get("WORKBENCH_NO_SKIP"):
        pytest.fail(message)
    pytest.skip(message)


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of reference data with independent expected results (`$WORKBENCH_SHARED`, else `../shared`)."""
    folder = Path(os.environ.get("WORKBENCH_SHARED", ROOT.parent / "shared"))
    if not (folder / "data" / "README.md").is_file():
        absent("the reference data", "set WORKBENCH_SHARED to its folder")
    return folder


@pytest.fixture(scope="session")
def chromium() -> Path:
    """The browser that drives the app."""
    if not CHROMIUM.exists():
        absent("Chromium", "apt-get install chromium")
    return CHROMIUM


def workbench(*arguments: str, cwd: Path, check: bool = True, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command line as a person would, in a folder, in English, with its own MLflow folder.

    In this process: a fresh one costs two seconds of imports. What a process of its own can show (start, kill, serve)
    is tested in one.
    """
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.chdir(cwd)
        for name in ("WORKBENCH_HOME", "WORKBENCH_KEYS", "WORKBENCH_STORE"):
            patch.delenv(name, raising=False)
        for name, value in {**ENVIRONMENT, "WORKBENCH_MLRUNS": str(cwd / "mlruns"), **environment}.items():
            patch.setenv(name, value)
        code = run(list(arguments))
    done = subprocess.CompletedProcess(arguments, code, out.getvalue(), err.getvalue())
    if check and done.returncode:
        pytest.fail(f"workbench {' '.join(arguments)} exited {done.returncode}\n{done.stdout}\n{done.stderr}")
    return done


@pytest.fixture(scope="session")
def finished_demo(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """A finished demonstration home, made once. It is copied, never opened: all workers share it."""
    base = tmp_path_factory.getbasetemp()
    place = (base if worker_id == "master" else base.parent) / "demo"
    return _made_once(place)


def _made_once(place: Path) -> Path:
    import fcntl

    place.mkdir(exist_ok=True)
    with (place / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (place / ".done").exists():
            workbench("demo", "--no-serve", "--home", str(place / "home"), cwd=place)
            (place / ".done").touch()
    return place / "home"


@pytest.fixture(scope="session")
def demo_home(finished_demo: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """This worker's demonstration home, for tests that only look; those that change it take `demo_copy`."""
    return copy_home(finished_demo, tmp_path_factory.mktemp("demo"))


@pytest.fixture
def demo_copy(finished_demo: Path, tmp_path: Path) -> Path:
    """A copy of the demonstration home, with its keys and MLflow folder, to be changed at will."""
    return copy_home(finished_demo, tmp_path)
