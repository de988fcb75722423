"""Other users of the machine reach the workbench by its socket: each as who they are, with their own files alone."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
import typer

import workbench.notebook as wbn
from tests.conftest import absent, workbench
from tests.homes import copy_home
from workbench.cli.main import app
from workbench.cli.remote import commands, door, served, wire
from workbench.kernel.settings import load_settings

pytestmark = pytest.mark.xdist_group("other users")

RESEARCHER, OFFICER, STRANGER = "nobody", "daemon", "bin"
"""Users that every Debian has; the first two get accounts."""


@dataclass
class Machine:
    """A served home, and folders of two users who may not read it."""

    home: Path
    socket: Path
    process: subprocess.Popen[str]

    def folder(self, user: str) -> Path:
        return self.home.parent / user

    def start(self, user: str, *arguments: str, said: str | None = None) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "tests.cli.other_user", user, str(self.folder(user)), *arguments]
        return subprocess.Popen(
            command, env=environment(self.socket), text=True,
            stdin=subprocess.PIPE if said is not None else subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    def run(self, user: str, *arguments: str, said: str | None = None) -> tuple[int, str, str]:
        process = self.start(user, *arguments, said=said)
        out, err = process.communicate(said, timeout=120)
        return process.returncode, out, err

    def commands(self) -> int:
        """How many commands run now."""
        told = subprocess.run(["pgrep", "-cP", str(self.process.pid)], capture_output=True, text=True, check=False)
        return int(told.stdout)

    def left(self) -> list[Path]:
        """What commands left behind."""
        return list((self.home.parent / "tmp").iterdir())

    def log(self) -> list[dict[str, str]]:
        return json.loads(
            workbench(
                "audit", "list", "--json", "--as", "ethics", "--home", str(self.home), cwd=self.home.parent
            ).stdout
        )


def environment(place: Path | None, **more: str) -> dict[str, str]:
    given = {"WORKBENCH_LANG": "en", **more, **({"WORKBENCH_SOCKET": str(place)} if place else {})}
    return {**os.environ, **given}


def serve(home: Path, place: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "workbench", "daemon"]
    env = environment(place, WORKBENCH_HOME=str(home), TMPDIR=str(home.parent / "tmp"))
    process = subprocess.Popen(command, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert str(place) in process.stdout.readline()
    return process


@pytest.fixture(scope="module")
def machine(finished_demo: Path) -> Iterator[Machine]:
    if os.getuid() != 0:
        absent("the right to become another user", "run the tests as root")
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder)
        base.chmod(0o755)
        home = copy_home(finished_demo, base)
        for user, role in ((RESEARCHER, "researcher"), (OFFICER, "ethics_officer"), (STRANGER, None)):
            (base / user).mkdir(mode=0o700)
            os.chown(base / user, pwd.getpwnam(user).pw_uid, -1)
            if role:
                added = ("add", f"person-{user}", "--role", role, "--display", user, "--os-user", user)
                workbench("user", *added, "--home", str(home), cwd=base)
        (base / "run").mkdir(mode=0o755)
        (base / "tmp").mkdir()
        process = serve(home, base / "run" / "commands.sock")
        yield Machine(home, base / "run" / "commands.sock", process)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
        assert not (base / "run" / "commands.sock").exists()
        shutil.rmtree(base / "mlruns", ignore_errors=True)


def test_a_command_is_run_and_logged_as_who_sends_it(machine: Machine) -> None:
    code, out, err = machine.run(RESEARCHER, "cohort", "count", "nsaid_new_users", "--json")
    assert code == 0, err
    assert "persons" in out
    assert machine.log()[0]["actor"] == f"person-{RESEARCHER}"
    code, _, err = machine.run(RESEARCHER, "audit", "export", "--csv", "log.csv")
    assert code == 1
    assert "person-nobody" in err or "may not" in err
    assert not (machine.folder(RESEARCHER) / "log.csv").exists()


def test_without_an_account_nothing_is_done(machine: Machine) -> None:
    code, out, err = machine.run(STRANGER, "cohort", "count", "nsaid_new_users")
    assert (code, out) == (1, "")
    assert STRANGER in err


def test_own_files_are_read_by_their_owner_and_results_are_written_by_them(machine: Machine) -> None:
    mine = machine.folder(RESEARCHER) / "drafts"
    mine.mkdir(mode=0o700)
    source = Path(__file__).parents[2] / "cohorts" / "gi_bleed.json"
    (mine / "mine.json").write_bytes(source.read_bytes())
    for path in (mine, mine / "mine.json"):
        os.chown(path, pwd.getpwnam(RESEARCHER).pw_uid, -1)
    (mine / "mine.json").chmod(0o600)
    for given in ("drafts/mine.json", str(mine / "mine.json"), "drafts", f"../{RESEARCHER}/drafts"):
        code, out, err = machine.run(RESEARCHER, "cohort", "count", given, "--json")
        assert code == 0, err
        assert "mine" in out
    twice = ("drafts/mine.json", f"../{RESEARCHER}/drafts/mine.json")
    for two in (twice, twice[:1] * 2):
        code, _, err = machine.run(RESEARCHER, "cohort", "diff", *two)
        assert code == 0, err
    code, _, err = machine.run(OFFICER, "audit", "export", "--csv", "log.csv")
    assert code == 0, err
    written = machine.folder(OFFICER) / "log.csv"
    assert written.stat().st_uid == pwd.getpwnam(OFFICER).pw_uid
    assert written.read_text().count("\n") > 20
    code, _, err = machine.run(RESEARCHER, "cohort", "draw", "drafts/mine.json", "--out", "drafts/mine.svg")
    assert code == 0, err
    assert (mine / "mine.svg").read_text().startswith("<svg")
    assert not machine.left(), "what was sent is gone"


def test_a_file_that_only_the_service_can_read_stays_unread(machine: Machine) -> None:
    secret = machine.home / "app.sqlite"
    code, _, err = machine.run(RESEARCHER, "cohort", "count", str(secret))
    assert code == 2
    assert "sqlite" in err


@pytest.mark.parametrize(
    "arguments",
    [
        ["study", "list", "--as", "ethics"],
        ["key", "rotate", "--master", "--reason", "mine"],
    ],
)
def test_nobody_takes_anothers_name_or_the_master_key(machine: Machine, arguments: list[str]) -> None:
    code, out, err = machine.run(OFFICER, *arguments)
    assert (code, out) == (2, "")
    assert "master key" in err


RAW = [
    ["load", "omop", "/etc"],
    ["daemon"],
    ["demo"],
    ["doctor"],
    ["study", "list", "--home", "/srv"],
    ["study", "list", "--home=/srv"],
    ["study", "list", "--as=ethics"],
    ["cohort", "count", "x", "--database", "/etc/passwd"],
    ["cohort", "count", "/etc/passwd"],
    ["cohort", "count", "../../etc/passwd"],
    ["study", "create", "/etc/passwd"],
    ["audit", "export", "--csv=/srv/x.csv"],
    ["output", "download", "x", "--into", "/srv"],
    ["output", "download", "x", "--into", "a/../../.."],
    [],
    "a string",
    None,
]


@pytest.mark.parametrize("arguments", RAW, ids=str)
def test_what_no_client_of_ours_sends_is_refused(machine: Machine, arguments: object, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as link, (tmp_path / "said").open("w+b") as said:
        link.connect(str(machine.socket))
        assert wire.is_welcome(link)
        stream = said.fileno()
        wire.send(link, {"arguments": arguments, "lang": "en"}, streams=(stream, stream, stream))
        header, names, _ = wire.receive(link, tmp_path / "came")
        said.seek(0)
        assert (header["exit"], names) == (2, [])
        assert b"Nothing was done" in said.read()


HEADERS: dict[str, bytes] = {
    "nothing": b"",
    "half a length": b"\0\0",
    "a huge length": struct.pack("!I", 2**32 - 1),
    "no JSON": struct.pack("!I", 3) + b"{{{",
    "a list": struct.pack("!I", 2) + b"[]",
    "a way out": (text := json.dumps({"arguments": [], "files": [{"name": "../x", "size": 1}]}).encode()) and (
        struct.pack("!I", len(text)) + text + b"x"
    ),
    "a name that no file has": (long := json.dumps({"files": [{"name": "x" * 300, "size": 1}]}).encode()) and (
        struct.pack("!I", len(long)) + long + b"x"
    ),
    "a file in a file": (file := json.dumps({"files": [{"name": "x", "size": 0}, {"name": "x/y", "size": 0}]})) and (
        struct.pack("!I", len(file)) + file.encode()
    ),
    "no number": (odd := b'{"files": [{"name": "x", "size": 1e999}]}') and struct.pack("!I", len(odd)) + odd,
    "a bomb": (bomb := json.dumps({"arguments": [], "files": [{"name": "x", "size": 2**40}]}).encode()) and (
        struct.pack("!I", len(bomb)) + bomb
    ),
}  # fmt: skip


@pytest.mark.parametrize("sent", HEADERS.values(), ids=HEADERS.keys())
@pytest.mark.parametrize("streams", [0, 3])
def test_garbage_gets_no_answer_and_harms_nobody(machine: Machine, sent: bytes, streams: int) -> None:
    with socket.socket(socket.AF_UNIX) as link:
        link.connect(str(machine.socket))
        assert wire.is_welcome(link)
        null = os.open(os.devnull, os.O_RDWR)
        if sent and streams:
            socket.send_fds(link, [sent], [null] * streams)
        else:
            link.sendall(sent)
        os.close(null)
        link.shutdown(socket.SHUT_WR)
        with suppress(ConnectionResetError):  # closed before all of it was read
            assert link.recv(1) == b""
    assert machine.process.poll() is None
    assert not machine.left()


def test_no_interpreter_imports_from_what_was_sent(tmp_path: Path) -> None:
    (tmp_path / "json.py").write_text("raise SystemExit('of the sender')")
    env = door._environment(load_settings(tmp_path / "home", {}))
    importing = [sys.executable, "-c", "import json"]
    assert subprocess.run(importing, cwd=tmp_path, env=env, check=False).returncode == 0


def test_only_what_a_command_was_told_to_write_goes_back(tmp_path: Path) -> None:
    for name in ("sent.json", "out.csv", "folder/a/b.txt", "rows.parquet", "out.csv.other"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    made = served._made(tmp_path, {"sent.json"}, [Path("out.csv"), Path("./folder")])
    assert [each.name for each in made] == ["folder/a/b.txt", "out.csv"]
    assert [each.name for each in served._made(tmp_path, {"sent.json"}, [])] == []
    assert len(served._made(tmp_path, {"sent.json"}, [Path()])) == 4


def test_one_person_does_not_shut_out_the_others(machine: Machine) -> None:
    wait_for(lambda: machine.commands() == 0)
    waiting = [socket.socket(socket.AF_UNIX) for _ in range(door.EACH + 1)]
    try:
        for link in waiting:
            link.connect(str(machine.socket))
        assert [wire.is_welcome(link) for link in waiting] == [True] * door.EACH + [False]
        code, _, err = machine.run(RESEARCHER, "study", "list")
        assert code == 0, err
    finally:
        for link in waiting:
            link.close()


def wait_for(what: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.1)


@pytest.mark.parametrize("way", [signal.SIGINT, signal.SIGKILL])
def test_a_command_ends_when_its_sender_stops_it_or_dies(machine: Machine, way: signal.Signals) -> None:
    wait_for(lambda: machine.commands() == 0)
    reading = ("optout", "add", "-", "--scope", "study", "--study", "x")
    process = machine.start(OFFICER, *reading, said="")
    wait_for(lambda: machine.commands() == 1)
    time.sleep(2)  # until it reads what nobody types
    process.send_signal(way)
    process.wait(60)
    assert process.stderr is not None
    assert way == signal.SIGKILL or (process.returncode, "topped" in process.stderr.read()) == (1, True)
    wait_for(lambda: machine.commands() == 0)


def test_a_notebook_asks_by_the_same_commands(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKBENCH_HOME", str(machine.home))
    monkeypatch.setenv("WORKBENCH_LANG", "en")
    assert wbn.ask("releases", "list")[0]["current"]
    with pytest.raises(wbn.CommandFailed, match="Check the id"):
        wbn.ask("releases", "show", "rel-000000000000")


def test_the_socket_of_a_service_that_died_is_replaced_and_no_other(machine: Machine, tmp_path: Path) -> None:
    place = tmp_path / "run" / "c.sock"
    place.parent.mkdir(mode=0o755)
    first = serve(machine.home, place)
    taken = workbench_fails("daemon", place, machine.home)
    assert "already answers" in taken
    first.kill()
    first.wait()
    assert place.exists()
    second = serve(machine.home, place)
    second.send_signal(signal.SIGTERM)
    assert second.wait(60) == 0
    place.write_text("a file of somebody's")
    assert "no socket" in workbench_fails("daemon", place, machine.home)
    assert place.read_text() == "a file of somebody's"
    place.parent.chmod(0o777)
    assert "may write in it" in workbench_fails("daemon", place, machine.home)
    assert "No socket is named" in workbench_fails("daemon", None, machine.home)


def workbench_fails(verb: str, place: Path | None, home: Path) -> str:
    command = [sys.executable, "-m", "workbench", verb]
    env = environment(place, WORKBENCH_HOME=str(home))
    if place is None:
        env.pop("WORKBENCH_SOCKET", None)
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode in (1, 2)
    return done.stderr


READ: dict[tuple[str, ...], list[str]] = {
    ("audit", "verify"): ["head"], ("cohort", "attrition"): ["files"], ("cohort", "check"): ["files"],
    ("cohort", "controls"): ["rule"], ("cohort", "count"): ["files"], ("cohort", "describe"): ["files"],
    ("cohort", "diff"): ["before", "after"], ("cohort", "draw"): ["file"], ("cohort", "generate"): ["files"],
    ("cohort", "inclusion"): ["files"], ("cohort", "sql"): ["files"], ("cohort", "why"): ["file"],
    ("extract", "request"): ["file"], ("features", "build"): ["design"], ("finding", "report"): ["file"],
    ("optout", "add"): ["file"], ("output", "check"): ["file", "declaration"],
    ("output", "request"): ["file", "declaration"], ("output", "table"): ["declaration"],
    ("releases", "catalogue"): ["facts"], ("releases", "show"): ["facts"], ("study", "amend"): ["file"],
    ("study", "create"): ["file"],
}  # fmt: skip


def test_every_path_of_every_verb_is_the_senders_or_the_protocols() -> None:
    """A new verb's path fails here until somebody says whether it is read, written, or a destination of a protocol."""
    declared = {(*words, name) for words, names in READ.items() for name in names}
    found: set[tuple[str, ...]] = set()
    for verb in sorted(commands.VERBS):
        for words, target in leaves((verb,), typer.main.get_command(app(verb)).commands[verb]):
            found |= {(*words, name) for name in commands.path_names(target)}
    assert found == declared | commands.WRITES | commands.DESTINATIONS


def leaves(words: tuple[str, ...], command: object) -> Iterator[tuple[tuple[str, ...], typer.core.TyperCommand]]:
    if isinstance(command, typer.core.TyperGroup):
        for name, inner in command.commands.items():
            yield from leaves((*words, name), inner)
    elif isinstance(command, typer.core.TyperCommand):
        yield words, command
