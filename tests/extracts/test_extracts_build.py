"""The extract as a whole, on GiBleed and on a few rows made for the rules."""

from __future__ import annotations

import copy
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from made_release import COHORT, OUTCOME, RELEASE, Case, Papers, build, gibleed, secrets, wanted, write_release

from workbench.extracts.build import build_extract
from workbench.extracts.read import read_manifest, read_table, read_tables
from workbench.governance.deliverable import delivered_name
from workbench.kernel.digest import digest_manifest
from workbench.kernel.errors import InvalidInput, Refused, Unavailable
from workbench.kernel.text import say

INDEX = date(2015, 6, 1)


@pytest.fixture(scope="module")
def bleed(tmp_path_factory: pytest.TempPathFactory) -> Case:
    return gibleed(tmp_path_factory.mktemp("release"))


@pytest.fixture(scope="module")
def made(bleed: Case, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], Path]:
    into = tmp_path_factory.mktemp("made") / "extract"
    return build(bleed, into), into


def test_same_inputs_and_secrets_same_digest_other_secrets_no_common_pseudonym(
    bleed: Case, made: tuple[dict[str, Any], Path], tmp_path: Path
) -> None:
    again = build(bleed, tmp_path / "again")
    assert digest_manifest(again) == digest_manifest(made[0])
    papers = Papers()
    papers.protocol["study"] = papers.request["study"] = "other"
    other = secrets("other")
    build(bleed, tmp_path / "other", papers, other)
    one, two = read_table(made[1], "cohort", secrets()), read_table(tmp_path / "other", "cohort", other)
    assert not set(one["person_id"]) & set(two["person_id"])


def test_the_package_is_the_manifests_and_opens_only_with_the_data_secret(
    made: tuple[dict[str, Any], Path],
) -> None:
    manifest, folder = made
    assert read_manifest(folder) == manifest
    files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert files == {"manifest.json"} | {table["files"][0]["path"] for table in manifest["tables"]}
    tables = read_tables(folder, secrets().data)
    for entry in manifest["tables"]:
        assert tables[entry["name"]].columns == [column["name"] for column in entry["schema"]]
        assert tables[entry["name"]].height == entry["rows"]
    with pytest.raises(Unavailable):
        read_table(folder, "person", secrets().pseudonym)
    with pytest.raises(InvalidInput):
        read_table(folder, "note", secrets())
    with pytest.raises(Unavailable):
        read_manifest(folder / "nowhere")


def test_nothing_of_the_release_is_recognised_in_the_package(made: tuple[dict[str, Any], Path], bleed: Case) -> None:
    tables = read_tables(made[1], secrets())
    real = set(pl.read_parquet(bleed.tables["person"])["person_id"])
    for name, frame in tables.items():
        assert not any(kind.is_temporal() for kind in frame.dtypes)
        texts = [column for column, kind in frame.schema.items() if kind == pl.String]
        assert name in {"concept", "outcome"} or not texts
        if "person_id" in frame.columns:
            assert not set(frame["person_id"]) & real
            assert frame["person_id"].is_sorted()
            assert frame.filter(pl.col("person_id") >= 2**53).is_empty()
    assert tables["person"]["age_at_index"].max() <= 90


def test_the_counts_are_those_of_a_recount(bleed: Case, tmp_path: Path) -> None:
    """The plain truth by another road: conditions in the year up to the index, of the persons delivered."""
    risk = build(bleed, tmp_path / "x", Papers().keeping_rare())["risk"]
    conditions = pl.read_parquet(bleed.tables["condition_occurrence"])
    index = pl.DataFrame(bleed.cohort).rename({"subject_id": "person_id"})
    days = (pl.col("condition_start_date") - pl.col("cohort_start_date")).dt.total_days()
    inside = conditions.join(index, on="person_id").filter(days.is_between(-365, 0))
    delivered = read_table(tmp_path / "x", "condition_occurrence", secrets())
    left_out = risk["persons_left_out"]
    assert risk["persons"] + left_out == index.height
    assert inside.height * (1 - 2 * left_out / index.height) < delivered.height <= inside.height
    assert set(delivered["condition_concept_id"]) <= set(inside["condition_concept_id"])


def test_rules_and_dictionary_can_be_said_in_both_languages(made: tuple[dict[str, Any], Path]) -> None:
    manifest = made[0]
    described = {(entry["table"], entry["column"]) for entry in manifest["dictionary"]}
    assert described == {(t["name"], c["name"]) for t in manifest["tables"] for c in t["schema"]}
    for lang in ("fr", "en"):
        for rule in manifest["transforms"]:
            assert say(f"extract.rule_{rule['rule'].partition(':')[0]}", lang)


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_delivered_is_within_requested_and_approved(
    bleed: Case, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    papers = Papers()
    for document in (papers.protocol, papers.request):
        tables = data.draw(st.sets(st.sampled_from(sorted(wanted())), min_size=1))
        document["tables"] = {
            table: sorted(data.draw(st.sets(st.sampled_from(wanted()[table]), min_size=1))) for table in tables
        }
    manifest = build(bleed, tmp_path_factory.mktemp("x") / "x", papers)
    for entry in manifest["tables"]:
        if entry["name"] in {"cohort", "outcome", "concept"}:
            continue
        both = {
            delivered_name(entry["name"], column)
            for column in papers.request["tables"][entry["name"]]
            if column in papers.protocol["tables"].get(entry["name"], [])
        }
        assert {column["name"] for column in entry["schema"]} == both | {"person_id"}


@pytest.mark.parametrize("part", ["request", "protocol", "decision", "reviewer", "release", "cohort"])
def test_papers_that_do_not_belong_together_make_no_extract(bleed: Case, tmp_path: Path, part: str) -> None:
    papers = Papers().sealed()
    papers = copy.deepcopy(papers)
    if part == "decision":
        papers["approval"]["decision"] = "refused"
    elif part == "reviewer":
        papers["approval"]["reviewer"] = "Alice"
    elif part in {"release", "cohort"}:
        pass
    else:
        papers[part]["title" if part == "protocol" else "why_not_aggregate"] = "changed after the approval"
    with pytest.raises(Refused):
        build_extract(
            release_tables=bleed.tables,
            release_digest="f" * 64 if part == "release" else RELEASE,
            cut_off=bleed.cut_off,
            cohort=bleed.cohort,
            cohort_digest="f" * 64 if part == "cohort" else COHORT,
            outcomes={"gi_bleed": (OUTCOME, bleed.outcome)},
            secrets=secrets(),
            synthetic=True,
            into=tmp_path / "x",
            **papers,
        )
    assert not (tmp_path / "x").exists()


# -- a few rows, one rule each


def tiny(folder: Path) -> Case:
    """Four persons: an old one, one with an open stay, one with HIV, one whose index is the last day."""
    persons = [901, 902, 903, 904]
    index = {901: INDEX, 902: INDEX, 903: INDEX, 904: date(2019, 12, 31)}
    first, last = date(2010, 1, 1), date(2019, 12, 31)
    day = timedelta(days=1)
    conditions = [
        (901, 0, 777, INDEX - 10 * day, INDEX + 30 * day),  # no standard concept: the source's
        (901, 111, 0, INDEX - 365 * day, None),
        (901, 111, 0, INDEX - 366 * day, None),  # a day too early
        (902, 111, 0, INDEX + day, None),  # after the period
        (903, 439727, 0, INDEX - day, None),  # HIV
        (903, 222, 439727, INDEX - day, None),  # HIV by its source concept
        (905, 111, 0, INDEX, None),  # not in the cohort
    ]
    stays = [
        (901, 5001, 9201, INDEX - 400 * day, INDEX - 300 * day),  # begins before the period, overlaps it
        (902, 5002, 9201, INDEX - 5 * day, None),  # still open
    ]
    concept = [(111, "A", "1"), (222, "B", "2"), (777, "C", "3"), (439727, "HIV", "86406008"), (9201, "Stay", "IP")]
    tables = {
        "person": pl.DataFrame(
            {"person_id": persons, "year_of_birth": [1915, 1980, 1990, 2000], "gender_concept_id": [8507] * 4}
        ),
        "observation_period": pl.DataFrame(
            {
                "person_id": persons,
                "observation_period_start_date": [first] * 4,
                "observation_period_end_date": [last] * 4,
            }
        ),
        "condition_occurrence": pl.DataFrame(
            conditions,
            schema=["person_id", "condition_concept_id", "condition_source_concept_id", "condition_start_date",
                    "condition_end_date"],
            orient="row",
        ),
        "visit_occurrence": pl.DataFrame(
            stays,
            schema={"person_id": pl.Int64, "visit_occurrence_id": pl.Int64, "visit_concept_id": pl.Int64,
                    "visit_start_date": pl.Date, "visit_end_date": pl.Date},
            orient="row",
        ),
        "concept": pl.DataFrame(
            [(i, n, "Condition", "SNOMED", c) for i, n, c in concept],
            schema=["concept_id", "concept_name", "domain_id", "vocabulary_id", "concept_code"],
            orient="row",
        ),
    }  # fmt: skip
    starts = [index[person] for person in persons]
    cohort = pa.table({"subject_id": persons, "cohort_start_date": starts, "cohort_end_date": [last] * 4})
    outcome = pa.table(
        {
            "subject_id": [902, 902],
            "cohort_start_date": [INDEX + 10 * day, last],
            "cohort_end_date": [last, last],
        }
    )
    return Case(write_release(folder, tables), cohort, outcome, last)


@pytest.fixture
def few(tmp_path: Path) -> dict[str, pl.DataFrame]:
    papers = Papers().keeping_rare()
    papers.protocol["outcome_period"] = papers.request["outcome_period"] = {"from_day": 0, "to_day": None}
    build(tiny(tmp_path), tmp_path / "x", papers)
    return read_tables(tmp_path / "x", secrets())


def test_ages_are_capped_and_late_indexes_left_out(few: dict[str, pl.DataFrame]) -> None:
    assert sorted(few["person"]["age_at_index"]) == [25, 35, 90]
    assert few["cohort"].height == 3


def test_periods_sources_and_sensitive_classes(few: dict[str, pl.DataFrame]) -> None:
    rows = few["condition_occurrence"].select("condition_concept_id", "start_day", "end_day").rows()
    assert sorted(rows) == [(111, -365, None), (777, -10, 0)]
    assert 439727 not in set(few["concept"]["concept_id"])


def test_stays_are_cut_to_the_period(few: dict[str, pl.DataFrame]) -> None:
    rows = few["visit_occurrence"].select("start_day", "end_day").rows()
    assert sorted(rows) == [(-365, -300), (-5, 0)]
    assert not set(few["visit_occurrence"]["visit_occurrence_id"]) & {5001, 5002}


def test_follow_up_is_cut_per_person_weeks_before_the_cut_off(few: dict[str, pl.DataFrame]) -> None:
    true_end = (date(2019, 12, 31) - INDEX).days
    cuts = [true_end - day for day in few["cohort"]["observation_end_day"]]
    assert all(7 <= cut <= 182 for cut in cuts)
    assert len(set(cuts)) == len(cuts)
    assert few["outcome"]["start_day"].to_list() == [10]  # the one on the last day is beyond the cut


def test_a_named_sensitive_class_is_delivered(tmp_path: Path) -> None:
    papers = Papers().keeping_rare()
    papers.protocol["sensitive_classes"] = ["hiv"]
    build(tiny(tmp_path), tmp_path / "x", papers)
    rows = read_table(tmp_path / "x", "condition_occurrence", secrets())
    assert set(rows["condition_concept_id"]) == {111, 222, 777, 439727}


def test_an_empty_cohort_makes_an_empty_whole_extract(tmp_path: Path) -> None:
    case = tiny(tmp_path)
    empty = Case(case.tables, case.cohort.slice(0, 0), case.outcome, case.cut_off)
    manifest = build(empty, tmp_path / "x")
    assert manifest["risk"]["persons"] == manifest["risk"]["k"] == 0
    assert all(table["rows"] == 0 for table in manifest["tables"])
