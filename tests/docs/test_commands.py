"""Every command that README and docs show is executed, in the order of its page, and ends as the page says.

Commands run in a folder that looks like a clone after `make demo`: a copy of a demonstration home in `.workbench`.
`workbench …` runs as `python -m workbench` would, in this process: an interpreter a command would cost minutes.
Words in capitals stand for ids: the newest request, extract, and so on, as a reader would copy them from a list.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import runpy
import shlex
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.docs.pages import PAGES, PEOPLE, Command, Save, steps
from tests.homes import copy_home
from workbench.governance.actors import Actor
from workbench.governance.protocols import check_protocol
from workbench.intake.omop import demo_source
from workbench.kernel.digest import digest_document
from workbench.notebook import open_home
from workbench.services import extracts, learning, outputs, releases, requests, studies
from workbench.services.context import Workbench

SHOWN = [page for page in PAGES if any(isinstance(step, Command) for step in steps(page))]
FRENCH = [page for page in SHOWN if page.name.endswith(".fr.md")]
ENGLISH = [page for page in SHOWN if page not in FRENCH]


def _protocol(wb: Workbench, actor: Actor) -> str:
    latest = max(studies.list_studies(wb, actor), key=lambda view: view.made_at)
    asked = [view for view in requests.list_requests(wb, actor) if view.made_at > latest.made_at]
    waiting = [view for view in asked if view.state == "checked"]
    return waiting[0].document["protocol"] if waiting else latest.digest


def _output(wb: Workbench, actor: Actor) -> outputs.OutputView:
    return max(outputs.list_outputs(wb, actor), key=lambda view: view.made_at)


NEWEST: Mapping[str, Callable[[Workbench, Actor], str]] = {
    "RELEASE": lambda wb, actor: releases.list_releases(wb, actor)[-1].id,
    "REQUEST": lambda wb, actor: max(requests.list_requests(wb, actor), key=lambda view: view.made_at).id,
    "EXTRACT": lambda wb, actor: max(extracts.list_extracts(wb, actor), key=lambda view: view.made_at).id,
    "FEATURES": lambda wb, actor: learning.list_features(wb, actor)[0].id,
    "MODEL": lambda wb, actor: learning.list_models(wb, actor)[0].id,
    "PROTOCOL": _protocol,
    "OUTPUT": lambda wb, actor: _output(wb, actor).id,
    "DIGEST": lambda wb, actor: _output(wb, actor).file_digest,
}
WORD = re.compile(rf"(?<![\w-])({'|'.join(NEWEST)})(?![\w-])")


@pytest.fixture
def clone(finished_demo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder like a clone after `make demo`, as the current one."""
    copy_home(finished_demo, tmp_path, ".workbench")
    for name in ("cohorts", "Makefile", "pyproject.toml"):
        (tmp_path / name).symlink_to(ROOT / name)
    (tmp_path / "my-omop.duckdb").symlink_to(demo_source())
    monkeypatch.chdir(tmp_path)
    for name in ("HOME", "KEYS", "STORE", "MLRUNS", "PRODUCTION"):
        monkeypatch.delenv(f"WORKBENCH_{name}", raising=False)
    monkeypatch.setenv("WORKBENCH_LANG", "en")
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    return tmp_path


@pytest.mark.parametrize("page", ENGLISH, ids=lambda page: page.stem)
def test_the_commands_of_a_page_do_what_it_says(page: Path, clone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for step in steps(page):
        if isinstance(step, Save):
            (clone / step.name).write_text(step.text, encoding="utf-8")
        elif step.line.startswith("export "):
            name, _, value = step.line.removeprefix("export ").partition("=")
            monkeypatch.setenv(name, value)
        elif step.line.startswith("make "):
            _make(step.line)
        else:
            code, said = _run(_filled(step.line))
            assert code == step.code, f"{page.name}: {step.line}\n{said}"


def _filled(line: str) -> str:
    """Put ids in place of the words in capitals."""
    if not WORD.search(line):
        return line
    wb, officer = open_home(acting_as="ethics")
    try:
        return WORD.sub(lambda found: NEWEST[found[1]](wb, officer), line)
    finally:
        wb.close()


def _run(line: str) -> tuple[int, str]:
    """Run one command and return its exit code and what it said."""
    if not line.startswith("workbench ") or re.search(r"[|<>;&]", EXIT_FREE.sub("", line)) or "$(" in line:
        done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=False, timeout=300)
        return done.returncode, done.stdout + done.stderr
    said = io.StringIO()
    arguments = shlex.split(line, comments=True)
    old, sys.argv = sys.argv, arguments
    try:
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            runpy.run_module("workbench", run_name="__main__")
    except SystemExit as end:
        return int(end.code or 0), said.getvalue()
    finally:
        sys.argv = old
    return 0, said.getvalue()


EXIT_FREE = re.compile(r"\"[^\"]*\"|# exit \d$")


def _make(line: str) -> None:
    """Check one of the two commands with which README begins, without running what this very test is part of.

    `make -n` names what each would run; the tests themselves are collected only. CI proves both in an empty clone.
    """
    target = line.split()[1]
    told = subprocess.run(["make", "-n", "-C", ROOT, target], capture_output=True, text=True, check=True).stdout
    assert {"demo": "workbench demo", "test": "-m pytest"}[target] in told
    if target == "test" and "WORKBENCH_NESTED" not in os.environ:
        env = {**os.environ, "PYTEST_ADDOPTS": "--collect-only -q", "WORKBENCH_NESTED": "1"}
        for name in [name for name in env if name.startswith("PYTEST_XDIST") or name == "PYTEST_CURRENT_TEST"]:
            del env[name]
        collect = [sys.executable, "-m", "pytest", "-m", "not long", "-p", "no:cacheprovider", "tests"]
        done = subprocess.run(collect, cwd=ROOT, env=env, capture_output=True, text=True, check=False, timeout=300)
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        assert "test_commands.py" in done.stdout


@pytest.mark.parametrize("page", FRENCH, ids=lambda page: page.stem)
def test_a_french_page_shows_the_commands_of_the_english_one(page: Path) -> None:
    english = page.with_name(page.name.replace(".fr.md", ".md"))
    assert list(map(_bare, _commands(page))) == list(map(_bare, _commands(english)))
    assert [step.name for step in steps(page) if isinstance(step, Save)] == [
        step.name for step in steps(english) if isinstance(step, Save)
    ]


def _commands(page: Path) -> list[Command]:
    return [step for step in steps(page) if isinstance(step, Command) and not step.line.startswith("export ")]


def _bare(command: Command) -> tuple[str, int]:
    """A command without the words that follow its reader's language."""
    return re.sub(r"\"[^\"]*\"|--lang \w+", "…", command.line), command.code


@pytest.mark.parametrize("page", [page for page in FRENCH if page.stem.startswith(PEOPLE)], ids=lambda page: page.stem)
def test_the_files_of_a_french_page_are_those_of_the_english_one(page: Path) -> None:
    english = page.with_name(page.name.replace(".fr.md", ".md"))
    for ours, theirs in zip(_saves(page), _saves(english), strict=True):
        document, other = json.loads(ours.text), json.loads(theirs.text)
        assert document.keys() == other.keys()
        if ours.name == "protocol.json":
            check_protocol({**document, "release": digest_document({})})


def _saves(page: Path) -> list[Save]:
    return [step for step in steps(page) if isinstance(step, Save)]
