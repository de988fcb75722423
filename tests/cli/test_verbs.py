"""The verbs as other programs call them: the options that every verb takes, ids and digests as JSON, exit codes."""

from __future__ import annotations

import json
import re
from pathlib import Path

import polars as pl
import pytest
from typer.main import get_command

from tests.conftest import workbench
from workbench.cli.main import app
from workbench.intake.omop import demo_source, load_omop


def every_verb() -> list[tuple[str, ...]]:
    found: list[tuple[str, ...]] = []

    def walk(command: object, path: tuple[str, ...]) -> None:
        children = getattr(command, "commands", None)
        if children is None:
            found.append(path)
            return
        for name, child in children.items():
            walk(child, (*path, name))

    walk(get_command(app()), ())
    return found


@pytest.mark.parametrize("verb", every_verb(), ids=" ".join)
def test_every_verb_takes_help_and_home(verb: tuple[str, ...], tmp_path: Path) -> None:
    told = workbench(*verb, "--help", cwd=tmp_path)
    assert "--home" in told.stdout
    assert ("--json" in told.stdout) == (verb not in {("serve",), ("daemon",)})


def test_the_verbs_of_the_design_are_all_there() -> None:
    wanted = {
        "demo", "serve", "load omop", "releases list", "releases show", "releases verify", "cohort generate",
        "cohort count", "cohort diff", "cohort attrition", "cohort sql", "cohort describe", "cohort check",
        "study create",
        "study list", "study show", "extract request", "extract review", "extract approve", "extract run",
        "extract revoke", "extract list", "features build", "model train", "model evaluate", "model list",
        "model card", "audit list", "audit verify", "audit export", "trace", "doctor",
    }  # fmt: skip
    assert wanted <= {" ".join(verb) for verb in every_verb()}


def test_releases_alone_lists_them(demo_home: Path) -> None:
    listed = json.loads(workbench("releases", "--home", str(demo_home), "--json", cwd=demo_home.parent).stdout)
    assert [view["name"] for view in listed] == ["GiBleed"]


def test_a_saved_head_verifies_and_a_foreign_one_does_not(demo_copy: Path) -> None:
    head = demo_copy.parent / "head.json"
    place = ("--home", str(demo_copy), "--as", "ethics")
    saved = json.loads(workbench("audit", "export", "--head", str(head), "--json", *place, cwd=demo_copy.parent).stdout)
    verdict = workbench("audit", "verify", "--head", str(head), "--json", *place, cwd=demo_copy.parent)
    assert json.loads(verdict.stdout)["state"] == "sound"
    head.write_text(json.dumps({**saved, "hash": "0" * 64}))
    verdict = workbench("audit", "verify", "--head", str(head), "--json", *place, cwd=demo_copy.parent, check=False)
    assert verdict.returncode == 1
    assert json.loads(verdict.stdout)["problem"] == "head_forged"


@pytest.fixture(scope="module")
def own_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One's own OMOP data: the simulated patients as a folder of Parquet files, no home."""
    place = tmp_path_factory.mktemp("own")
    load_omop(demo_source(), place, name="own", synthetic=True)
    return place / "tables"


@pytest.mark.parametrize("suffix", ["parquet", "csv"])
def test_generate_on_ones_own_data_writes_the_rows_as_promised(own_data: Path, tmp_path: Path, suffix: str) -> None:
    out = tmp_path / f"rows.{suffix}"
    arguments = ("gi_bleed", "celecoxib_new_users", "--database", str(own_data), "--out", str(out))
    workbench("cohort", "generate", *arguments, cwd=tmp_path)
    rows = pl.read_parquet(out) if suffix == "parquet" else pl.read_csv(out, try_parse_dates=True)
    assert rows.schema == {
        "cohort": pl.String, "subject_id": pl.Int64, "cohort_start_date": pl.Date, "cohort_end_date": pl.Date,
    }  # fmt: skip
    assert rows.equals(rows.sort(rows.columns))
    assert rows["cohort"].unique(maintain_order=True).to_list() == ["celecoxib_new_users", "gi_bleed"]
    assert rows.filter(pl.col("cohort") == "gi_bleed")["subject_id"].n_unique() == 479


def test_a_definition_that_cannot_be_run_is_named_and_the_others_are_written(own_data: Path, tmp_path: Path) -> None:
    (tmp_path / "broken.json").write_text('{"PrimaryCriteria": {"CriteriaList": [{"Astrology": {}}]}}')
    out = tmp_path / "rows.parquet"
    arguments = ("broken.json", "gi_bleed", "--database", str(own_data), "--out", str(out), "--json")
    done = workbench("cohort", "generate", *arguments, cwd=tmp_path, check=False)
    assert done.returncode == 1
    assert set(json.loads(done.stdout)["failed"]) == {"broken"}
    assert pl.read_parquet(out)["cohort"].unique().to_list() == ["gi_bleed"]


EXACT = re.compile(r"(?<![0-9a-z])479(?![0-9a-z])")
"""The true number of persons, but not inside an id."""


@pytest.mark.parametrize("verb", ["count", "attrition"])
def test_counting_in_a_home_is_governed_and_keeps_nothing(demo_copy: Path, verb: str) -> None:
    place = ("--home", str(demo_copy), "--as", "researcher")
    stored = sorted((demo_copy / "cache").rglob("coh-*.parquet"))
    told = workbench("cohort", verb, "gi_bleed", *place, cwd=demo_copy.parent).stdout
    assert "480" in told
    assert not EXACT.search(told)
    found = json.loads(workbench("cohort", verb, "gi_bleed", "--json", *place, cwd=demo_copy.parent).stdout)
    assert not EXACT.search(json.dumps(found))
    assert sorted((demo_copy / "cache").rglob("coh-*.parquet")) == stored


def test_generate_in_a_home_prints_governed_counts_only(demo_copy: Path) -> None:
    place = ("--home", str(demo_copy), "--as", "researcher")
    told = workbench("cohort", "generate", "gi_bleed", *place, cwd=demo_copy.parent).stdout
    assert "480" in told
    assert not EXACT.search(told)
    made = json.loads(workbench("cohort", "generate", "gi_bleed", "--json", *place, cwd=demo_copy.parent).stdout)
    assert {"id", "digest", "state"} <= set(made[0])
    assert not EXACT.search(json.dumps(made))
