"""Eras and observation periods where the source has none: by their rules, and as OHDSI's own scripts built them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest

from workbench.intake.omop import Options, demo_source, load_omop
from workbench.kernel.errors import InvalidInput

Make = Callable[..., Path]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """GiBleed loaded without the eras that it comes with."""
    folder = tmp_path_factory.mktemp("eras")
    with duckdb.connect(str(folder / "source.duckdb")) as connection:
        connection.execute(f"ATTACH '{demo_source()}' AS demo (READ_ONLY)")
        for name in ("person", "condition_occurrence", "drug_exposure", "concept", "concept_ancestor"):
            connection.execute(f"CREATE TABLE {name} AS FROM demo.main.{name}")
    manifest = load_omop(folder / "source.duckdb", folder / "release", name="GiBleed", synthetic=True)
    assert {name: rule["code"] for name, rule in manifest["era_rules"].items()} == {
        "condition_era": "built",
        "drug_era": "built",
    }
    return folder / "release/tables"


def recorded(table: str, like: pl.DataFrame) -> pl.DataFrame:
    """The eras that OHDSI's scripts built for GiBleed, but for those of unmapped rows (concept 0): these have nothing
    in common and make no era here."""
    with duckdb.connect(str(demo_source()), read_only=True) as connection:
        found = connection.sql(f"FROM {table}").pl().rename(str.lower)
    return found.select(like.columns).cast(dict(like.schema.items())).filter(pl.col(like.columns[1]) != 0)


def test_condition_eras_are_those_that_ohdsi_built(built: Path) -> None:
    mine = pl.read_parquet(built / "condition_era.parquet").drop("condition_era_id")
    theirs = recorded("condition_era", mine)
    assert mine.height == 65276
    assert mine.sort(mine.columns).equals(theirs.sort(mine.columns))


def test_drug_eras_are_those_that_ohdsi_built(built: Path) -> None:
    """But for the gap days, which this data set has wrong, and eight ends: where two exposures begin on one day and one
    of them has no length, the script that made the data set ended the era there, before the other exposure ended."""
    mine = pl.read_parquet(built / "drug_era.parquet").drop("drug_era_id", "gap_days")
    theirs = recorded("drug_era", mine)
    start, end = "drug_era_start_date", "drug_era_end_date"
    both = mine.join(theirs, on=["person_id", "drug_concept_id", start, "drug_exposure_count"], suffix="_theirs")
    assert mine.height == theirs.height == both.height == 52508
    others = both.filter(pl.col(end) != pl.col(f"{end}_theirs"))
    assert others.height == 8
    assert (others[f"{end}_theirs"] == others[start]).all()
    assert (others["drug_exposure_count"] == 2).all()


def test_drug_eras_join_within_thirty_days_and_count_the_days_between(database: Make, tmp_path: Path) -> None:
    source = database(
        "CREATE TABLE concept AS SELECT * FROM (VALUES (1, 'RxNorm', 'Ingredient'), (2, 'RxNorm', 'Clinical Drug'),"
        " (3, 'ATC', 'ATC 5th')) v(concept_id, vocabulary_id, concept_class_id)",
        "CREATE TABLE concept_ancestor AS SELECT * FROM (VALUES (1, 1, 0, 0), (1, 2, 1, 1), (3, 2, 1, 1))"
        " v(ancestor_concept_id, descendant_concept_id, min_levels_of_separation, max_levels_of_separation)",
        "CREATE TABLE drug_exposure AS SELECT * FROM (VALUES"
        " (1, 1, 2, DATE '2020-01-01', DATE '2020-01-10', NULL),"
        " (2, 1, 2, DATE '2020-01-05', DATE '2020-01-15', NULL),"  # overlaps
        " (3, 1, 1, DATE '2020-02-14', NULL, 5),"  # 30 days later, ends after its supply
        " (4, 1, 2, DATE '2020-03-22', NULL, NULL),"  # 32 days later: a new era of one day
        " (5, 1, 2, DATE '2020-03-23', NULL, -1), (6, 1, 0, DATE '2020-03-23', NULL, 1))"
        " v(drug_exposure_id, person_id, drug_concept_id, drug_exposure_start_date, drug_exposure_end_date,"
        " days_supply)",
    )
    load_omop(source, tmp_path / "release", name="x", synthetic=True)
    eras = pl.read_parquet(tmp_path / "release/tables/drug_era.parquet").cast(pl.String).rows()
    assert eras == [
        ("1", "1", "1", "2020-01-01", "2020-02-19", "3", "30"),
        ("2", "1", "1", "2020-03-22", "2020-03-23", "1", "0"),
    ]


RECORDS = (
    (
        "CREATE TABLE condition_occurrence AS SELECT * FROM (VALUES"
        " (1, 1, DATE '2020-01-01', DATE '2020-03-01'), (2, 1, DATE '2020-01-10', NULL),"
        " (3, 1, DATE '2020-03-31', NULL), (4, 1, DATE '2020-05-01', NULL),"
        " (5, 2, DATE '2020-01-01', DATE '2021-01-01'), (6, 2, DATE '2022-09-01', NULL))"
        " v(condition_occurrence_id, person_id, condition_start_date, condition_end_date)"
    ),
    "CREATE TABLE death AS SELECT 2 AS person_id, DATE '2020-06-01' AS death_date",
)
PERIODS: dict[str, list[tuple[int, str, str]]] = {
    "auto": [(1, "2020-01-01", "2020-05-01"), (2, "2020-01-01", "2020-06-01")],
    "recorded": [],
    "first-to-last-record": [(1, "2020-01-01", "2020-05-01"), (2, "2020-01-01", "2020-06-01")],
    "first-record-to-extraction": [(1, "2020-01-01", "2020-12-31"), (2, "2020-01-01", "2020-06-01")],
    "records-within-days:30": [
        (1, "2020-01-01", "2020-03-31"),
        (1, "2020-05-01", "2020-05-01"),
        (2, "2020-01-01", "2020-06-01"),
    ],
    "records-within-days:31": [(1, "2020-01-01", "2020-05-01"), (2, "2020-01-01", "2020-06-01")],
}


@pytest.mark.parametrize("rule", PERIODS)
def test_periods_follow_the_rule_that_was_asked_for(database: Make, tmp_path: Path, rule: str) -> None:
    day = "2020-12-31" if "extraction" in rule else None
    options = Options(observation_period=rule, extracted_on=day)
    manifest = load_omop(database(*RECORDS), tmp_path / "release", name="x", synthetic=True, options=options)
    path = tmp_path / "release/tables/observation_period.parquet"
    found: list[tuple[Any, ...]] = []
    if path.exists():
        columns = ("person_id", "observation_period_start_date", "observation_period_end_date")
        found = pl.read_parquet(path).select(columns).cast(dict.fromkeys(columns[1:], pl.String)).rows()
    assert found == PERIODS[rule]
    said = manifest["observation_period_rule"]
    assert said["periods"] == len(found)
    assert said.get("days") == (int(rule.partition(":")[2]) if ":" in rule else None)


def test_recorded_periods_are_replaced_where_a_rule_is_asked_for(database: Make, tmp_path: Path) -> None:
    period = (
        "CREATE TABLE observation_period AS SELECT 1 AS observation_period_id, 1 AS person_id,"
        " DATE '2019-01-01' AS observation_period_start_date, DATE '2019-12-31' AS observation_period_end_date"
    )
    for rule, code, start in (
        ("auto", "as_recorded", "2019"),
        ("first-to-last-record", "first_to_last_record", "2020"),
    ):
        options = Options(observation_period=rule)
        place = tmp_path / code
        source = tmp_path / "source.duckdb"
        source.unlink(missing_ok=True)
        manifest = load_omop(database(*RECORDS, period), place, name="x", synthetic=True, options=options)
        assert manifest["observation_period_rule"]["code"] == code
        periods = pl.read_parquet(place / "tables/observation_period.parquet")
        assert str(periods["observation_period_start_date"][0])[:4] == start


@pytest.mark.parametrize(
    ("rule", "code"),
    [
        ("always", "intake.period_rule_unknown"),
        ("records-within-days", "intake.period_rule_unknown"),
        ("recorded:3", "intake.period_rule_unknown"),
        ("first-record-to-extraction", "intake.period_rule_needs_day"),
    ],
)
def test_a_rule_that_is_none_is_refused(database: Make, tmp_path: Path, rule: str, code: str) -> None:
    with pytest.raises(InvalidInput) as refusal:
        load_omop(
            database(*RECORDS),
            tmp_path / "release",
            name="x",
            synthetic=True,
            options=Options(observation_period=rule),
        )
    assert refusal.value.code == code
