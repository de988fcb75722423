"""Nothing known after the index may enter: refused in the design, and proved on planted future events."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import made_extract as made
import polars as pl
import pytest

from workbench.features.build import build_features
from workbench.features.design import default_design, read_design
from workbench.features.files import read_table
from workbench.features.gate import check_days
from workbench.kernel.errors import InvalidInput, Refused

DOMAINS = ["condition_occurrence", "drug_exposure", "measurement", "visit_occurrence"]
VALUES = [{"table": "measurement", "column": "value_as_number"}]


def _design(**changes: Any) -> dict[str, Any]:
    return {**default_design(made.TARGET, made.OUTCOME, DOMAINS), "values": VALUES, **changes}


def _window(from_day: int | None, to_day: int) -> list[dict[str, Any]]:
    return [{"name": "seen", "from_day": from_day, "to_day": to_day}]


@pytest.mark.parametrize(
    ("changes", "column", "window"),
    [
        ({"windows": _window(-30, 1)}, "condition_occurrence.start_day", "seen (-30 … 1)"),
        ({"windows": _window(None, 365)}, "condition_occurrence.start_day", "seen (… … 365)"),
        ({"windows": _window(0, 7), "domains": [], "values": []}, "start_day", "seen (0 … 7)"),
        ({"domains": ["outcome"]}, "outcome.*", "long (-365 … 0)"),
        ({"domains": ["cohort"]}, "cohort.*", "long (-365 … 0)"),
        ({"domains": ["death"]}, "death.*", "long (-365 … 0)"),
        ({"domains": ["drug_era"], "windows": _window(-7, 0)}, "drug_era.end_day", "seen (-7 … 0)"),
        ({"values": [{"table": "measurement", "column": "end_day"}]}, "measurement.end_day", "long (-365 … 0)"),
        ({"values": [{"table": "outcome", "column": "start_day"}]}, "outcome.*", "long (-365 … 0)"),
    ],
)
def test_a_design_that_looks_ahead_is_refused(changes: dict[str, Any], column: str, window: str) -> None:
    with pytest.raises(Refused) as refusal:
        read_design(_design(**changes))
    assert refusal.value.code == "model.leakage"
    assert refusal.value.facts == {"column": column, "window": window}


def test_the_gate_stands_on_rows_too() -> None:
    rows = pl.DataFrame({"start_day": [-3, 1]})
    with pytest.raises(Refused, match=r"measurement\.start_day"):
        check_days(rows, "measurement", {"name": "seen", "from_day": -30, "to_day": 0})


def test_building_checks_the_design_again(tmp_path: Path) -> None:
    with pytest.raises(Refused, match=r"model\.leakage"):
        build_features(made.invented(300), _design(windows=_window(-30, 30)), made.manifest(), tmp_path)
    assert list(tmp_path.iterdir()) == []


def _with_future(tables: dict[str, pl.DataFrame]) -> dict[str, pl.DataFrame]:
    """Plant after day 0, in every event table, events that tell the outcome, some with a concept of their own."""
    doomed = tables["outcome"].select("person_id", start_day=pl.col("start_day") - 1).with_columns(
        start_day=pl.max_horizontal(pl.col("start_day"), pl.lit(1)), end_day=pl.col("start_day") + 3
    )  # fmt: skip
    planted = dict(tables)
    for table in DOMAINS:
        concept = next(name for name in tables[table].columns if name.endswith("_concept_id"))
        for value in (99_999, tables[table][concept][0]):
            future = doomed.with_columns(pl.lit(value).cast(pl.Int64).alias(concept))
            planted[table] = pl.concat([planted[table], future], how="diagonal_relaxed")
    return planted


def test_planted_future_events_never_enter(tmp_path: Path) -> None:
    tables = made.invented(600)
    digests = []
    for name, given in (("honest", tables), ("planted", _with_future(tables))):
        folder = tmp_path / name
        folder.mkdir()
        manifest = build_features(given, _design(), made.manifest(), folder)
        digests.append(manifest["content_digest"])
        assert 99_999 not in {covariate["concept"] for covariate in manifest["covariates"]}
    assert digests[0] == digests[1]


def test_an_end_after_the_index_tells_nothing(tmp_path: Path) -> None:
    """A visit that began before the index counts the same whenever it ends."""
    tables = made.invented(600)
    later = {**tables, "visit_occurrence": tables["visit_occurrence"].with_columns(end_day=pl.lit(200))}
    digests = []
    for name, given in (("early", tables), ("later", later)):
        folder = tmp_path / name
        folder.mkdir()
        design = _design(windows=_window(-365, 0))
        digests.append(build_features(given, design, made.manifest(), folder)["content_digest"])
    assert digests[0] == digests[1]


def test_the_time_at_risk_starts_after_the_index() -> None:
    with pytest.raises(InvalidInput, match="time_at_risk/start_day"):
        read_design(_design(time_at_risk={"start_day": 0, "end_day": 365}))
    with pytest.raises(InvalidInput, match="time_at_risk"):
        read_design(_design(time_at_risk={"start_day": 30, "end_day": 10}))


def test_no_pseudonym_and_no_day_of_the_outcome_is_written(tmp_path: Path) -> None:
    manifest = build_features(made.invented(600), _design(), made.manifest(), tmp_path)
    rows = read_table(tmp_path, next(entry for entry in manifest["tables"] if entry["name"] == "rows"), None)
    assert "person_id" not in rows.columns
    assert rows["row_id"].to_list() == list(range(rows.height))
