"""The master key in the hospital's vault: real programs that answer well, badly, late or with another key."""

from __future__ import annotations

import base64
import json
import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.governance.test_key_rotation import all_of, bytes_under
from workbench.governance.keys import KeyRing, demonstration_entropy
from workbench.governance.vault import Vault
from workbench.kernel.errors import InvalidInput, Unavailable
from workbench.kernel.settings import load_settings
from workbench.kernel.text import LANGS

KEYS = {"k1": bytes(range(32)), "k2": b"\xfb" * 32}


def line(key_id: str, key: bytes | None = None) -> str:
    return f"{key_id} {base64.urlsafe_b64encode(key or KEYS[key_id]).decode().rstrip('=')}"


@pytest.fixture
def program(tmp_path: Path) -> Callable[[str], Path]:
    """Write a shell script that stands for the hospital's program; returns its place."""

    def written(body: str) -> Path:
        path = tmp_path / "vault-read"
        path.write_text(f"#!/bin/sh\n{body}\n")
        path.chmod(0o700)
        return path

    return written


def answering(newest: str) -> str:
    """A program that knows two keys."""
    cases = "\n".join(f"  {name}) echo '{line(name)}';;" for name in KEYS)
    return f'id="$1"; [ "$id" = current ] && id={newest}\ncase "$id" in\n{cases}\n  *) exit 3;;\nesac'


def test_a_folder_made_with_a_vault_never_holds_the_key(program: Callable[[str], Path], tmp_path: Path) -> None:
    folder, vault = tmp_path / "keys", [str(program(answering("k1")))]
    ring = KeyRing.open(folder, create=True, vault=Vault(vault))
    made = ring.create_study_secrets("one")
    assert KeyRing.open(folder, vault=Vault(vault)).study_secrets("one") == made
    assert ring.vault_id() == "k1"
    assert not (folder / "master.key").exists()
    left = bytes_under(folder)
    assert KEYS["k1"] not in left
    assert base64.urlsafe_b64encode(KEYS["k1"]).rstrip(b"=") not in left
    with pytest.raises(Unavailable, match="vault_unset"):
        KeyRing.open(folder)


def test_a_file_goes_into_the_vault_and_is_renewed_there(program: Callable[[str], Path], tmp_path: Path) -> None:
    folder = tmp_path / "keys"
    first = KeyRing.open(folder, create=True)
    first.create_study_secrets("one")
    before, master = all_of(first), (folder / "master.key").read_bytes()
    vault = Vault([str(program(answering("k1")))])
    ring = KeyRing.open(folder, vault=vault)
    assert (ring.vault_id(), ring.has_vault) == (None, True), "a file until it is renewed"
    ring.rotate_master()
    assert ring.vault_id() == "k1"
    assert master not in bytes_under(folder)
    assert all_of(ring) == before
    with pytest.raises(Unavailable, match="vault_same_key"):
        ring.rotate_master()
    program(answering("k2"))
    ring.rotate_master()
    assert ring.vault_id() == "k2"
    assert all_of(ring) == before == all_of(KeyRing.open(folder, vault=vault))
    with pytest.raises(Unavailable, match="vault_unset"):
        first.signing_key()


def test_a_move_into_the_vault_that_dies_is_carried_through(
    program: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from workbench.governance import rotation

    folder = tmp_path / "keys"
    ring = KeyRing.open(folder, create=True, vault=None)
    ring.create_study_secrets("one")
    before, vault = all_of(ring), Vault([str(program(answering("k1")))])
    real = rotation.shred

    def dying(path: Path) -> None:
        if path.name == "master.key":
            raise KeyboardInterrupt
        real(path)

    moving = KeyRing.open(folder, vault=vault)
    with monkeypatch.context() as patch:
        patch.setattr(rotation, "shred", dying)
        with pytest.raises(KeyboardInterrupt):
            moving.rotate_master()
    assert (folder / "master.key").exists(), "it died before the file went"
    assert all_of(KeyRing.open(folder, vault=vault)) == before
    assert not (folder / "master.key").exists()


BAD = {
    "fails": (f"echo '{line('k1')}'; echo '{line('k1')}' >&2; exit 4", "vault_failed"),
    "slow": (f"echo '{line('k1')}'; sleep 60", "vault_slow"),
    "leaves a child": (f"sleep 60 & echo '{line('k1')}'", "vault_slow"),
    "nothing": ("true", "vault_garbled"),
    "garbage": ("head -c 200 /dev/urandom", "vault_garbled"),
    "endless": ("yes", "vault_garbled"),
    "two lines": (f"echo '{line('k1')}'; echo '{line('k2')}'", "vault_garbled"),
    "short key": ("echo 'k1 AAAA'", "vault_garbled"),
    "loose bits": (f"echo '{line('k1')[:-1]}9'", "vault_garbled"),
    "no id": (f"echo '{line('k1').split()[1]}'", "vault_garbled"),
    "another id": (f"echo '{line('k2')}'", "vault_garbled"),
    "current as an id": (f"echo '{line('current', KEYS['k1'])}'", "vault_garbled"),
    "another key": (f"echo '{line('k1', KEYS['k2'])}'", "vault_wrong_key"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_answer_is_a_sentence_that_tells_no_key(
    case: str, program: Callable[[str], Path], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    folder, (body, code) = tmp_path / "keys", BAD[case]
    KeyRing.open(folder, create=True, vault=Vault([str(program(answering("k1")))]))
    held = bytes_under(folder)
    path, started = program(body), time.monotonic()
    with pytest.raises(Unavailable) as error:
        KeyRing.open(folder, vault=Vault([str(path)], seconds=1.0))
    assert error.value.code == f"governance.{code}"
    assert time.monotonic() - started < 5
    assert bytes_under(folder) == held
    said = "".join(str(error.value.text(lang)) for lang in LANGS) + "".join(capfd.readouterr())
    assert not any(line(name).split()[1][:20] in said for name in KEYS)


def test_a_new_folder_is_not_begun_without_the_vault(program: Callable[[str], Path], tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="vault_failed"):
        KeyRing.open(tmp_path / "keys", create=True, vault=Vault([str(program("exit 1"))]))
    assert not list((tmp_path / "keys").rglob("*.key"))


def test_the_program_runs_with_little_around_it(
    program: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORKBENCH_SECRET_OF_SOMEBODY", "x")
    seen = tmp_path / "seen"
    path = program(f'env > {seen}; pwd >> {seen}; echo "$@" >> {seen}; cat >> {seen}; echo "{line("k1")}"')
    assert Vault([str(path), "--mount", "a b; touch /tmp/never"]).current() == ("k1", KEYS["k1"])
    lines = seen.read_text().splitlines()
    assert "WORKBENCH_SECRET_OF_SOMEBODY=x" not in lines
    assert {each.split("=")[0] for each in lines[:-2]} <= {"PATH", "LANG", "HOME", "PWD", "OLDPWD", "_", "SHLVL"}
    assert lines[-2:] == ["/", "--mount a b; touch /tmp/never current"]


def test_a_program_that_others_could_change_is_not_run(program: Callable[[str], Path], tmp_path: Path) -> None:
    path = program(f"touch {tmp_path / 'ran'}; echo '{line('k1')}'")
    inside = tmp_path / "open"
    inside.mkdir()
    moved = inside / "vault-read"
    moved.write_bytes(path.read_bytes())
    moved.chmod(0o700)
    inside.chmod(0o777)
    link = tmp_path / "link"
    link.symlink_to(moved)
    cases = [tmp_path / "absent", tmp_path, moved, link, Path("vault-read")]
    for mode in (0o720, 0o702, 0o600 if os.geteuid() else 0o602):
        copy = tmp_path / f"mode{mode:o}"
        copy.write_bytes(path.read_bytes())
        copy.chmod(mode)
        cases.append(copy)
    if os.geteuid() == 0:
        other = tmp_path / "other"
        other.write_bytes(path.read_bytes())
        other.chmod(0o755)
        os.chown(other, 65534, 65534)
        cases.append(other)
    for case in cases:
        with pytest.raises(Unavailable, match="vault_program"):
            Vault([str(case)]).current()
    assert not (tmp_path / "ran").exists()


def test_the_demonstration_keeps_its_published_keys(program: Callable[[str], Path], tmp_path: Path) -> None:
    vault = Vault([str(program(answering("k1")))])
    ring = KeyRing.open(tmp_path / "keys", create=True, entropy=demonstration_entropy, vault=vault)
    assert ring.vault_id() is None
    assert ring.demonstration


def test_the_setting_is_words_and_an_absolute_path(tmp_path: Path) -> None:
    def command(text: str) -> tuple[str, ...]:
        return load_settings(tmp_path, {"WORKBENCH_KEY_COMMAND": text}).key_command

    assert command("") == ()
    assert command("/bin/vault --mount 'a b'") == ("/bin/vault", "--mount", "a b")
    for bad in ("vault-read", "./vault-read", "/bin/vault 'open"):
        with pytest.raises(InvalidInput, match="key_command"):
            command(bad)


def test_a_damaged_note_is_said(program: Callable[[str], Path], tmp_path: Path) -> None:
    folder, vault = tmp_path / "keys", Vault([str(program(answering("k1")))])
    KeyRing.open(folder, create=True, vault=vault)
    for content in ("", "[]", json.dumps({"id": "k1"})):
        (folder / "master.id").write_text(content)
        with pytest.raises(Unavailable, match="keys_damaged"):
            KeyRing.open(folder, vault=vault)
