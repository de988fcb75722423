"""Files are whole or absent, whatever goes wrong, and what the dead left is found."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from workbench.kernel.errors import Refused, Unavailable
from workbench.store import files


def test_sha256_file(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"abc")
    assert files.sha256_file(tmp_path / "a").startswith("ba7816bf")


def test_write_text_replaces_whole(tmp_path: Path) -> None:
    files.write_text(tmp_path / "deep/current", "one\n")
    files.write_text(tmp_path / "deep/current", "two é\n")
    assert (tmp_path / "deep/current").read_text(encoding="utf-8") == "two é\n"
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["current"]


def test_writing_shows_nothing_before_its_end(tmp_path: Path) -> None:
    with files.writing(tmp_path / "made") as aside:
        assert aside.stat().st_mode & 0o777 == 0o600
        aside.write_text("x")
        assert not (tmp_path / "made").exists()
    assert (tmp_path / "made").read_text() == "x"
    assert [path.name for path in tmp_path.iterdir()] == ["made"]


def broken_off(place: Path, error: BaseException) -> None:
    with files.writing(place) as aside:
        aside.write_text("x")
        raise error


def test_writing_leaves_nothing_behind_an_error(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        broken_off(tmp_path / "made", KeyboardInterrupt())
    assert list(tmp_path.iterdir()) == []


def test_two_writers_of_one_file_do_not_meet(tmp_path: Path) -> None:
    with files.writing(tmp_path / "made") as first, files.writing(tmp_path / "made") as second:
        assert first != second
        first.write_text("one")
        second.write_text("two")
    assert (tmp_path / "made").read_text() == "one"
    assert [path.name for path in tmp_path.iterdir()] == ["made"]


def test_a_folder_is_not_written_over(tmp_path: Path) -> None:
    with pytest.raises(Refused) as refusal:
        files.write_text(tmp_path, "x")
    assert refusal.value.code == "files.exists"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (OSError(errno.ENOSPC, "full"), "files.disk_full"),
        (OSError(errno.EROFS, "read-only"), "files.read_only"),
        (RuntimeError("Could not write file: No space left on device"), "files.disk_full"),
    ],
)
def test_a_full_or_closed_disk_is_said_in_words(tmp_path: Path, error: Exception, code: str) -> None:
    with pytest.raises(Unavailable) as refusal:
        broken_off(tmp_path / "made", error)
    assert refusal.value.code == code
    assert "made" in refusal.value.text("fr").what
    assert list(tmp_path.iterdir()) == []


def test_other_errors_pass_unchanged(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError):
        broken_off(tmp_path / "made", ZeroDivisionError())


def test_what_a_killed_process_left_goes_at_the_next_writing(tmp_path: Path) -> None:
    script = (
        "import sys, time; from pathlib import Path; from workbench.store.files import writing\n"
        "with writing(Path(sys.argv[1])) as aside:\n"
        "    aside.write_text('x'); print('ready', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", script, str(tmp_path / "made")], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        files.write_text(tmp_path / "made", "another writer leaves the living one's file alone")
        assert len(list(tmp_path.iterdir())) == 2
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    files.write_text(tmp_path / "made", "whole")
    assert [path.name for path in tmp_path.iterdir()] == ["made"]
