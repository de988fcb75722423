"""`cohort why`, `cohort draw` and `cohort check` as a person types them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.conftest import ROOT, workbench
from workbench.intake.omop import demo_source, load_omop

RULES = "celecoxib_without_prior_gi_bleed"


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One's own OMOP data: a folder of Parquet files."""
    folder = tmp_path_factory.mktemp("own") / "release"
    load_omop(demo_source(), folder, name="GiBleed", synthetic=True)
    return folder / "tables"


def test_why_on_own_data(own: Path, tmp_path: Path) -> None:
    asked = ("cohort", "why", RULES, "--database", str(own), "--person", "2")
    told = workbench(*asked, cwd=tmp_path).stdout
    assert told.startswith("In the cohort, from day 0 to day ")
    assert "Rule “No peptic ulcer before entry”: passed" in told
    found = json.loads(workbench(*asked, "--lang", "fr", "--json", cwd=tmp_path).stdout)
    assert found["state"] == "in"
    assert found["text"][0].startswith("Dans la cohorte, du jour 0 au jour")
    assert [rule["holds"] for rule in found["entries"][0]["rules"]] == [True, True, True]
    assert found["entries"][0]["verdict"] == "kept"
    assert "date" not in json.dumps(found["entries"])


def test_why_of_nobody_is_no_answer(own: Path, tmp_path: Path) -> None:
    refused = workbench(
        "cohort", "why", RULES, "--database", str(own), "--person", "987654321", cwd=tmp_path, check=False
    )
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "no person of that number" in refused.stderr
    assert "987654321" not in refused.stderr


def test_why_needs_one_place_to_look(own: Path, tmp_path: Path) -> None:
    for arguments in (["--database", str(own)], [RULES, "--database", str(own), "--extract", "ext-x"]):
        refused = workbench("cohort", "why", *arguments, "--person", "2", cwd=tmp_path, check=False)
        assert refused.returncode == 2
        assert "--database needs a FILE" in refused.stderr


def test_why_in_a_home(demo_copy: Path) -> None:
    place = ("--home", str(demo_copy), "--as", "datascientist")
    cwd = demo_copy.parent
    refused = workbench("cohort", "why", RULES, "--person", "2", *place, cwd=cwd, check=False)
    assert refused.returncode == 1
    assert "nobody sees single persons" in refused.stderr
    listed = json.loads(workbench("extract", "list", "--json", *place, cwd=cwd).stdout)
    extract = listed["extracts"][0]["id"]
    asked = ("cohort", "why", "--extract", extract, "--person", "2", "--json", *place)
    unknown = workbench(*asked, cwd=cwd, check=False)
    assert (unknown.returncode, json.loads(unknown.stderr)["error"]) == (1, "services.why_no_person")


def test_a_timeline_is_printed_or_written_whole(tmp_path: Path) -> None:
    printed = workbench("cohort", "draw", RULES, "--lang", "fr", cwd=tmp_path).stdout
    assert printed.startswith("<svg ")
    assert "Chronologie de celecoxib_without_prior_gi_bleed" in printed
    told = workbench("cohort", "draw", RULES, "--lang", "fr", "--out", "x.svg", cwd=tmp_path).stdout
    assert "x.svg" in told
    assert (tmp_path / "x.svg").read_text("utf-8") == printed
    for wrong in ("x.png", "nowhere/x.svg"):
        refused = workbench("cohort", "draw", RULES, "--out", wrong, cwd=tmp_path, check=False)
        assert (refused.returncode, (tmp_path / wrong).exists()) == (2, False)
        assert "Nothing was written." in refused.stderr
    assert workbench("cohort", "draw", RULES, "--lang", "de", cwd=tmp_path, check=False).returncode == 2


def test_questions_and_hints_on_paper_and_on_data(own: Path, demo_copy: Path, tmp_path: Path) -> None:
    clean = workbench("cohort", "check", RULES, cwd=tmp_path)
    assert (clean.returncode, clean.stdout.strip()) == (0, f"{RULES}: nothing to question.")
    document = json.loads((ROOT / f"cohorts/{RULES}.json").read_text("utf-8"))
    document["PrimaryCriteria"]["ObservationWindow"]["PriorDays"] = 90_000
    (tmp_path / "long.json").write_text(json.dumps(document))
    told = workbench("cohort", "check", "long.json", cwd=tmp_path, check=False)
    assert told.returncode == 0
    assert "worth knowing: 90000 days of observation are required" in told.stdout
    on_data = workbench("cohort", "check", "long.json", "--database", str(own), "--json", cwd=tmp_path, check=False)
    asked = {each["code"]: each for each in json.loads(on_data.stdout)["warnings"]["long"]}
    assert (on_data.returncode, asked["observation_unreachable"]["level"]) == (1, "question")
    place = ("--release", "--home", str(demo_copy), "--as", "researcher", "--json")
    here = workbench("cohort", "check", "long.json", *place, cwd=tmp_path, check=False)
    assert [each["code"] for each in json.loads(here.stdout)["warnings"]["long"]] == ["prior_long"]


def test_diagnostics_on_own_data_and_in_a_home(own: Path, demo_copy: Path, tmp_path: Path) -> None:
    told = workbench("cohort", "diagnose", RULES, "--database", str(own), cwd=tmp_path).stdout
    assert "persons: 1,142; events: 1,142" in told
    assert "Persons by the rules that they do not meet" in told
    found = json.loads(workbench("cohort", "diagnose", RULES, "--database", str(own), "--json", cwd=tmp_path).stdout)
    assert found["total"]["persons"]["value"] == 1142
    place = ("--home", str(demo_copy), "--as", "researcher")
    governed = workbench("cohort", "diagnose", RULES, *place, cwd=tmp_path).stdout
    assert "persons: about 1,140; events: about 1,140" in governed
    refused = workbench("cohort", "diagnose", "nothing", *place, cwd=tmp_path, check=False)
    assert refused.returncode == 1
