"""Another Unix user of the machine reads neither releases nor extracts nor keys nor the store."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import absent
from tests.homes import copy_home


@pytest.fixture
def home(finished_demo: Path) -> Iterator[Path]:
    """A home in a folder that everybody may enter."""
    if os.getuid() != 0:
        absent("the right to become another user", "run the tests as root")
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        place.chmod(0o755)
        yield copy_home(finished_demo, place)
        shutil.rmtree(place / "mlruns", ignore_errors=True)


def readable(*places: Path) -> list[str]:
    """What a user without any right can list or open there."""
    other = pwd.getpwnam("nobody")
    command = ["find", *map(str, places), "-readable"]
    done = subprocess.run(command, user=other.pw_uid, group=other.pw_gid, extra_groups=[], capture_output=True,
                          text=True, check=False, cwd="/")  # fmt: skip
    return done.stdout.split()


def test_another_user_reads_nothing(home: Path) -> None:
    open_to_all = home.parent / "open.txt"
    open_to_all.write_text("x")
    open_to_all.chmod(0o644)
    assert str(open_to_all) in readable(home.parent), "the probe can see what it may see"
    assert readable(home, home.with_name("home-keys")) == []
