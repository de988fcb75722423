"""Bad input: a clear sentence, the right exit code, no traceback, nothing half written."""

from __future__ import annotations

import fcntl
import json
import os
import re
import socket
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT, workbench
from workbench.kernel.errors import InvalidInput
from workbench.kernel.text import LANGS, catalogue
from workbench.services.own_data import own_engine


def refused(done: subprocess.CompletedProcess[str], code: int, *words: str) -> None:
    """Assert that a command answered with a sentence: the exit code, the words, no traceback."""
    said = done.stdout + done.stderr
    assert done.returncode == code, said
    assert "Traceback" not in said
    assert "should not have" not in said, "a fault of ours, not an answer"
    if code == 1 and not done.stdout.startswith("{"):
        assert re.search(r"\[[a-z]+\.[a-z_]+\]|MEND", said), "an answer names its reference"
    for word in words:
        assert word in said


def contents(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_no_home_yet(tmp_path: Path) -> None:
    refused(workbench("releases", "list", cwd=tmp_path, check=False), 1, "no workbench", "workbench demo")
    refused(workbench("serve", cwd=tmp_path, check=False), 1, "no workbench")
    assert contents(tmp_path) == []


def test_no_data_loaded_yet(tmp_path: Path) -> None:
    source = tmp_path / "empty"
    source.mkdir()
    refused(workbench("load", "omop", str(source), "--home", str(tmp_path / "home"), cwd=tmp_path, check=False), 2)
    listed = workbench("releases", "list", "--json", "--home", str(tmp_path / "home"), cwd=tmp_path)
    assert json.loads(listed.stdout) == []
    assert not [path for path in (tmp_path / "home").rglob("*") if ".partial" in path.name]


def test_a_source_that_is_not_there(tmp_path: Path) -> None:
    missing = str(tmp_path / "absent.duckdb")
    refused(
        workbench("load", "omop", missing, "--home", str(tmp_path / "home"), cwd=tmp_path, check=False),
        2,
        "absent.duckdb",
    )


def test_a_home_of_a_newer_version(demo_copy: Path) -> None:
    connection = sqlite3.connect(demo_copy / "app.sqlite")
    connection.execute("UPDATE alembic_version SET version_num = '0099'")
    connection.commit()
    connection.close()
    for command in (("releases", "list"), ("demo", "--no-serve"), ("audit", "verify")):
        refused(
            workbench(*command, "--home", str(demo_copy), cwd=demo_copy.parent, check=False), 1, "newer version", "0099"
        )
    doctor = workbench("doctor", "--home", str(demo_copy), cwd=demo_copy.parent, check=False)
    refused(doctor, 1, "newer version")


def test_a_home_that_another_process_is_loading(demo_copy: Path) -> None:
    with (demo_copy / "load.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        arguments = ("load", "omop", str(demo_copy), "--synthetic", "--home", str(demo_copy))
        refused(workbench(*arguments, cwd=demo_copy.parent, check=False), 1, "Another process is loading")


@pytest.mark.parametrize("verb", ["demo", "serve"])
def test_a_port_that_is_taken(demo_copy: Path, verb: str) -> None:
    before = contents(demo_copy)
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = str(other.getsockname()[1])
        refused(
            workbench(verb, "--port", port, "--home", str(demo_copy), cwd=demo_copy.parent, check=False),
            1,
            port,
            "taken",
        )
    assert contents(demo_copy) == before


@pytest.mark.parametrize("verb", ["generate", "count", "attrition", "describe", "sql", "check"])
def test_an_unknown_cohort_file(demo_home: Path, verb: str) -> None:
    home = () if verb in {"describe", "sql", "check"} else ("--as", "researcher")
    done = workbench("cohort", verb, "nowhere.json", *home, "--home", str(demo_home), cwd=demo_home.parent, check=False)
    refused(done, 2, "nowhere.json", "gi_bleed")


@pytest.mark.parametrize("text", ["{", "[]", '{"PrimaryCriteria": 3}', '{"a": "\\ud800"}', ""])
def test_a_cohort_file_that_is_no_definition(tmp_path: Path, text: str) -> None:
    (tmp_path / "odd.json").write_text(text)
    refused(workbench("cohort", "describe", "odd.json", cwd=tmp_path, check=False), 2)


def test_a_missing_key_folder(demo_copy: Path) -> None:
    keys = demo_copy.with_name("home-keys")
    keys.rename(keys.with_name("elsewhere"))
    before = contents(demo_copy)
    for command in (("releases", "list"), ("demo", "--no-serve"), ("doctor",)):
        refused(workbench(*command, "--home", str(demo_copy), cwd=demo_copy.parent, check=False), 1, "home-keys")
    assert contents(demo_copy) == before
    assert not keys.exists()


def test_keys_that_others_can_read(demo_copy: Path) -> None:
    demo_copy.with_name("home-keys").chmod(0o755)
    refused(workbench("releases", "list", "--home", str(demo_copy), cwd=demo_copy.parent, check=False), 1, "home-keys")


def test_the_demonstration_refuses_a_home_with_real_keys(tmp_path: Path, demo_home: Path) -> None:
    home = tmp_path / "home"
    release = next((demo_home / "releases").glob("rel-*")) / "tables"
    workbench("load", "omop", str(release), "--home", str(home), cwd=tmp_path)
    refused(workbench("demo", "--no-serve", "--home", str(home), cwd=tmp_path, check=False), 1, "not a demonstration")
    refused(workbench("audit", "list", "--as", "ethics", "--home", str(home), cwd=tmp_path, check=False), 1, "--as")


def test_a_demonstration_home_takes_no_data_of_patients(demo_copy: Path) -> None:
    release = next((demo_copy / "releases").glob("rel-*")) / "tables"
    done = workbench("load", "omop", str(release), "--home", str(demo_copy), cwd=demo_copy.parent, check=False)
    refused(done, 1, "published")


@pytest.mark.parametrize(
    "arguments", [("nonsense",), ("demo", "--nonsense"), ("extract", "approve", "x"), ("serve", "--port", "0")]
)
def test_usage_errors(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    refused(workbench(*arguments, cwd=tmp_path, check=False), 2, "--help")


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        (("cohort", "generate", "gi_bleed", "--database", "", "--out", "rows.parquet"), "--database"),
        (("cohort", "generate", "gi_bleed", "--database=", "--out", "rows.parquet"), "--database"),
        (("cohort", "count", "", "--database", "x.duckdb"), "a part of the command"),
        (("releases", "list", "--home", " "), "--home"),
        (("load", "omop", ""), "a part of the command"),
    ],
)
def test_an_empty_value_is_not_the_current_folder(tmp_path: Path, arguments: tuple[str, ...], name: str) -> None:
    (tmp_path / "person.parquet").write_bytes(b"")
    refused(workbench(*arguments, cwd=tmp_path, check=False), 2, f"The value of {name} is empty", "[cli.empty]")
    assert contents(tmp_path) == ["person.parquet"]
    with pytest.raises(InvalidInput, match="path_empty"):
        own_engine("")


LONG = "x" * 300


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("cohort", "check", f"{LONG}.json"), "cli.path_too_long"),
        (("cohort", "count", "gi_bleed", "--database", LONG), "cli.path_too_long"),
        (("cohort", "draw", "gi_bleed", "--out", f"{LONG}.svg"), "cli.path_too_long"),
        (("cohort", "draw", "gi_bleed", "--out", "/proc/x.svg"), "services.picture_file"),
        (("releases", "list", "--home", LONG), "cli.path_too_long"),
    ],
)
def test_a_path_that_no_file_can_have(tmp_path: Path, arguments: tuple[str, ...], code: str) -> None:
    refused(workbench(*arguments, cwd=tmp_path, check=False), 2, f"[{code}]")
    assert contents(tmp_path) == []


@pytest.mark.parametrize(
    "ref", ["mod-000000000000", "0" * 64, "'; DROP TABLE audit; --", "../../etc/passwd", "x" * 5000, "é\u202e"]
)
def test_what_is_not_there_is_not_there(demo_home: Path, ref: str) -> None:
    done = workbench("trace", "--as", "ethics", "--home", str(demo_home), "--", ref, cwd=demo_home.parent, check=False)
    refused(done, 1, "Nothing here has")


def test_own_data_verbs_refuse_a_homes_files(demo_home: Path, tmp_path: Path) -> None:
    tables = next((demo_home / "releases").glob("rel-*")) / "tables"
    arguments = ("cohort", "generate", "gi_bleed", "--database", str(tables), "--out", str(tmp_path / "rows.parquet"))
    refused(workbench(*arguments, cwd=tmp_path, check=False), 1, "governed")
    refused(
        workbench(*arguments[:4], str(tmp_path), *arguments[5:], cwd=tmp_path, check=False, WORKBENCH_PRODUCTION="1"), 1
    )
    assert not (tmp_path / "rows.parquet").exists()


def test_an_old_python_is_told_so(tmp_path: Path) -> None:
    old = tmp_path / "python-old"
    old.write_text("#!/bin/sh\nexit 1\n")
    old.chmod(0o755)
    for name in ("Makefile", "pyproject.toml"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    done = subprocess.run(["make", "demo", f"PYTHON={old}"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "Python 3.11 or newer" in done.stderr
    assert not (tmp_path / ".venv").exists()


def test_every_error_has_its_four_parts_in_both_languages() -> None:
    french, english = (catalogue(lang)["error"] for lang in LANGS)
    assert french.keys() == english.keys()
    for code in french:
        assert french[code].keys() == english[code].keys() == {"what", "not_done", "do"}, code


def test_every_text_has_the_same_facts_in_both_languages() -> None:
    from string import Formatter

    def facts(text: str) -> set[str]:
        return {name for _, name, _, _ in Formatter().parse(text) if name}

    french, english = (catalogue(lang) for lang in LANGS)
    assert french["text"].keys() == english["text"].keys()
    for key, text in french["text"].items():
        assert facts(text) == facts(english["text"][key]), key
    for code in french["error"]:
        both = [set().union(*map(facts, lang["error"][code].values())) for lang in (french, english)]
        assert both[0] == both[1], code


def test_the_command_needs_no_development_dependency() -> None:
    script = (
        "import sys\n"
        "for name in ('pytest', 'hypothesis', 'duckcdm', 'playwright', 'jupytext'): sys.modules[name] = None\n"
        "from workbench.cli.main import run\n"
        "sys.exit(run(['--version']))"
    )
    assert subprocess.run([sys.executable, "-c", script], check=False, env=dict(os.environ)).returncode == 0
