"""The main job: the whole thread, the same digests anywhere, and sound whenever it is killed."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import workbench

KINDS = ["release", "cohort_version", "cohort_version", "protocol", "request", "approval", "extract", "design",
         "features", "model"]  # fmt: skip
CHAIN = [
    ("cohort_version", "release"), ("protocol", "release"), ("request", "cohort_version"), ("request", "protocol"),
    ("approval", "request"), ("extract", "approval"), ("extract", "cohort_version"), ("extract", "release"),
    ("features", "extract"), ("features", "design"), ("model", "features"), ("model", "extract"),
]  # fmt: skip


def run(home: Path) -> dict[str, Any]:
    """Run the demonstration in a home and return what it says it made."""
    return json.loads(workbench("demo", "--no-serve", "--json", "--home", str(home), cwd=home.parent).stdout)


def made(report: dict[str, Any]) -> dict[str, Any]:
    """What must be the same anywhere: all but the log, whose entries carry their time."""
    return {name: report[name] for name in ("thread", "cohorts", "models")}


@pytest.fixture(scope="module")
def report(demo_home: Path) -> dict[str, Any]:
    """The finished demonstration, run once more: it finds all that is made already."""
    return run(demo_home)


def test_the_thread_is_whole_and_each_link_names_the_one_before(report: dict[str, Any]) -> None:
    assert [link["kind"] for link in report["thread"]] == KINDS
    kind_of = {link["digest"]: link["kind"] for link in report["thread"]}
    named = {(link["kind"], kind_of.get(parent)) for link in report["thread"] for parent in link["names"].values()}
    assert set(CHAIN) <= named


def test_ids_are_the_first_digits_of_their_digests(report: dict[str, Any]) -> None:
    for link in report["thread"]:
        if link["kind"] != "protocol":
            assert link["id"].partition("-")[2] == link["digest"][:12]


def test_another_home_gives_the_same_digests(report: dict[str, Any], tmp_path: Path) -> None:
    assert made(run(tmp_path / "home")) == made(report)


def test_a_second_run_makes_nothing_anew(demo_copy: Path, report: dict[str, Any]) -> None:
    before = {path: path.stat().st_mtime_ns for path in demo_copy.rglob("*.parquet") if "cache" not in path.parts}
    assert made(run(demo_copy)) == made(report)
    after = {path: path.stat().st_mtime_ns for path in demo_copy.rglob("*.parquet") if "cache" not in path.parts}
    assert after == before


def test_the_log_verifies_and_says_who_did_what(demo_home: Path) -> None:
    assert workbench("audit", "verify", "--home", str(demo_home), cwd=demo_home.parent).returncode == 0
    listed = workbench(
        "audit", "list", "--limit", "500", "--json", "--as", "ethics", "--home", str(demo_home), cwd=demo_home.parent
    )
    done = {(entry["verb"], entry["role"]) for entry in json.loads(listed.stdout) if entry["outcome"] == "done"}
    assert {
        ("release.load", "data_steward"), ("cohort.generate", "researcher"), ("study.create", "researcher"),
        ("study.open", "ethics_officer"), ("request.create", "researcher"), ("request.decide", "ethics_officer"),
        ("extract.run", "researcher"), ("extract.open", "data_scientist"), ("features.build", "data_scientist"),
        ("model.train", "data_scientist"),
    } <= done  # fmt: skip


def test_the_models_are_better_than_chance_and_say_synthetic(report: dict[str, Any], demo_home: Path) -> None:
    assert set(report["models"]) == {"l1_logistic", "gradient_boosting"}
    for model in report["models"].values():
        assert model["metrics"]["auroc_low"] > 0.5
        card = workbench(
            "model", "card", model["id"], "--as", "datascientist", "--home", str(demo_home), cwd=demo_home.parent
        )
        assert "synthetic" in card.stdout.lower()


def start(home: Path) -> subprocess.Popen[bytes]:
    """Start the demonstration as a process that can be killed."""
    env = {**os.environ, "WORKBENCH_MLRUNS": str(home.parent / "mlruns")}
    command = [sys.executable, "-m", "workbench", "demo", "--no-serve", "--home", str(home)]
    return subprocess.Popen(command, cwd=home.parent, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def kill_after(home: Path, seconds: float) -> bool:
    """Kill a run of the demonstration after some seconds; False where it ended before."""
    process = start(home)
    try:
        _, errors = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        process.communicate()
        return True
    assert process.returncode == 0, errors.decode()
    return False


def assert_sound(home: Path) -> None:
    doctor = workbench("doctor", "--home", str(home), cwd=home.parent, check=False)
    assert doctor.returncode == 0, doctor.stdout + doctor.stderr
    assert not list((home / "releases").glob(".partial-*")), "something half made was left"
    assert not list((home / "extracts").glob(".partial-*"))


def killed_then_completed(home: Path, moments: list[float], report: dict[str, Any]) -> None:
    """Kill one run after another in the same home, each time sound after; then let one complete."""
    for moment in moments:
        if not kill_after(home, moment):
            break
        assert_sound(home)
    assert made(run(home)) == made(report)
    assert_sound(home)


def test_killed_at_random_moments_it_is_sound_and_completes(report: dict[str, Any], tmp_path: Path) -> None:
    seed = int(time.time())
    moments = [
        random.Random(seed).uniform(0.3, 6),
        random.Random(seed + 1).uniform(4, 12),
        random.Random(seed + 2).uniform(6, 18),
    ]
    print(f"killed after {moments} seconds")
    killed_then_completed(tmp_path / "home", moments, report)


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("seed", range(10))
def test_killed_many_times_it_is_sound_and_completes(seed: int, report: dict[str, Any], tmp_path: Path) -> None:
    chance = random.Random(seed)
    killed_then_completed(tmp_path / "home", [chance.uniform(0.2, 25) for _ in range(5)], report)
