"""`cohort inclusion` and `cohort controls` on one's own data, as a person types them."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest

from tests.conftest import workbench
from workbench.intake.omop import demo_source, load_omop

RULES = "celecoxib_without_prior_gi_bleed"
BLEED = 192671


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One's own OMOP data: a folder of Parquet files."""
    folder = tmp_path_factory.mktemp("own") / "release"
    load_omop(demo_source(), folder, name="GiBleed", synthetic=True)
    return folder / "tables"


def test_inclusion_statistics_agree_with_attrition(own: Path, tmp_path: Path) -> None:
    asked = ("cohort", "inclusion", RULES, "--database", str(own))
    found = json.loads(workbench(*asked, "--json", cwd=tmp_path).stdout)[RULES]
    steps = json.loads(workbench("cohort", "attrition", RULES, "--database", str(own), "--json", cwd=tmp_path).stdout)
    without = [row["persons_without"] for row in steps[RULES] if row["persons_without"] is not None]
    persons = found["persons"]
    assert persons["final"] == steps[RULES][-1]["persons"]
    assert [rule["gain"] + persons["final"] for rule in persons["rules"]] == without
    assert sum(persons["by_mask"].values()) == persons["total"]
    told = workbench(*asked, cwd=tmp_path).stdout
    assert "No peptic ulcer before entry" in told
    assert f"{persons['final']:,} of {persons['total']:,}" in told


def test_the_file_that_is_broken_is_named(own: Path, tmp_path: Path) -> None:
    for file in own.glob("*.parquet"):
        (tmp_path / file.name).symlink_to(file)
    (tmp_path / "death.parquet").unlink()
    (tmp_path / "death.parquet").write_bytes((own / "death.parquet").read_bytes()[:50])
    done = workbench("cohort", "count", "gi_bleed", "--database", ".", cwd=tmp_path, check=False)
    assert (done.returncode, "death.parquet is no database" in done.stderr) == (1, True)


@pytest.mark.parametrize("suffix", [".parquet", ".csv"])
def test_negative_controls_are_written_whole(own: Path, tmp_path: Path, suffix: str) -> None:
    (tmp_path / "rule.json").write_text('{"occurrenceType": "FIRST", "domains": ["condition"]}')
    out = tmp_path / f"rows{suffix}"
    asked = ["cohort", "controls", "rule.json", "--database", str(own), "--out", str(out), "--json"]
    found = json.loads(workbench(*asked, "--concept", str(BLEED), "--concept", "7", cwd=tmp_path).stdout)
    rows = pl.read_parquet(out) if suffix == ".parquet" else pl.read_csv(out)
    assert found["persons"] == {str(BLEED): 479, "7": 0}
    assert rows.columns == ["concept_id", "subject_id", "cohort_start_date", "cohort_end_date"]
    assert (rows.height, rows["subject_id"].n_unique()) == (479, 479)


def test_a_wrong_rule_writes_nothing(own: Path, tmp_path: Path) -> None:
    (tmp_path / "rule.json").write_text('{"domains": ["weather"]}')
    asked = ["cohort", "controls", "rule.json", "--database", str(own), "--out", "rows.parquet", "--concept", "1"]
    refused = workbench(*asked, cwd=tmp_path, check=False)
    assert (refused.returncode, (tmp_path / "rows.parquet").exists()) == (2, False)
    assert "$.domains[0] the rule of the negative controls" in refused.stderr
    assert "cohort definition" not in refused.stderr


def test_the_note_beside_numbers_says_how_persons_are_counted(own: Path, tmp_path: Path) -> None:
    for verb, said in (("attrition", "any event"), ("inclusion", "one event, the best")):
        told = workbench("cohort", verb, RULES, "--database", str(own), cwd=tmp_path).stdout
        assert said in told
        without_rules = workbench("cohort", verb, "gi_bleed", "--database", str(own), cwd=tmp_path).stdout
        assert "the best" not in without_rules
