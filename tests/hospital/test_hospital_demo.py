"""`workbench demo --hospital`: the whole thread on the hospital, refusals said, truths shown by nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import workbench

KINDS = ["release", "cohort_version", "cohort_version", "protocol", "request", "approval", "extract", "design",
         "features", "model"]  # fmt: skip


def run(home: Path, *options: str) -> dict[str, Any]:
    """Run the demonstration on the hospital and return what it says it made."""
    home.parent.mkdir(exist_ok=True)
    done = workbench("demo", "--hospital", "--no-serve", "--json", *options, "--home", str(home), cwd=home.parent)
    return json.loads(done.stdout)


def made(report: dict[str, Any]) -> dict[str, Any]:
    """What must be the same anywhere: all but the log."""
    return {name: report[name] for name in ("thread", "cohorts", "models")}


@pytest.mark.parametrize("option", [("--patients", "5"), ("--seed", "3"), ("--extraction", "1"), ("--tables", "there")])
def test_an_option_of_the_hospital_without_it_is_refused(tmp_path: Path, option: tuple[str, str]) -> None:
    done = workbench("demo", "--no-serve", *option, "--home", str(tmp_path / "home"), cwd=tmp_path, check=False)
    assert done.returncode == 2
    assert "--hospital" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "home").exists()


def test_a_folder_for_the_tables_that_holds_something_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "mine").write_text("here")
    options = ("--patients", "5", "--tables", str(tmp_path / "there"), "--home", str(tmp_path / "home"))
    done = workbench("demo", "--hospital", "--no-serve", *options, cwd=tmp_path, check=False)
    assert done.returncode == 2
    assert "holds something" in done.stderr
    assert [path.name for path in (tmp_path / "there").iterdir()] == ["mine"]


@pytest.mark.parametrize(("patients", "code", "said"), [("0", 2, "no person"), ("120", 2, "fewer than 11")])
def test_too_few_patients_are_said(tmp_path: Path, patients: str, code: int, said: str) -> None:
    home = tmp_path / "home"
    options = ("--patients", patients, "--tables", str(tmp_path / "there"), "--home", str(home))
    done = workbench("demo", "--hospital", "--no-serve", *options, cwd=tmp_path, check=False)
    assert done.returncode == code, done.stderr
    assert said in done.stderr
    assert (tmp_path / "there" / "tables" / "patients.csv").is_file()
    assert workbench("doctor", "--home", str(home), cwd=tmp_path).returncode == 0


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_the_whole_thread_on_the_hospital(tmp_path: Path) -> None:
    home = tmp_path / "home"
    report = run(home)
    assert [link["kind"] for link in report["thread"]] == KINDS
    for model in report["models"].values():
        assert model["metrics"]["auroc_low"] > 0.5
        card = workbench("model", "card", model["id"], "--as", "datascientist", "--home", str(home), cwd=tmp_path)
        assert "synthetic" in card.stdout.lower()
    assert workbench("audit", "verify", "--home", str(home), cwd=tmp_path).returncode == 0
    assert made(run(home)) == made(report)
    assert made(run(tmp_path / "another" / "home")) == made(report)
    assert not [path for path in tmp_path.rglob("*") if path.name == "truths.json" or ".hospital" in path.name]


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_both_demonstrations_live_in_one_home(tmp_path: Path) -> None:
    home = tmp_path / "home"
    first = json.loads(workbench("demo", "--no-serve", "--json", "--home", str(home), cwd=tmp_path).stdout)
    second = run(home)
    again = json.loads(workbench("demo", "--no-serve", "--json", "--home", str(home), cwd=tmp_path).stdout)
    assert made(again) == made(first)
    assert made(second)["thread"][0]["id"] != made(first)["thread"][0]["id"]
