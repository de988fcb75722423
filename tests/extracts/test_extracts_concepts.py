"""Concepts: of a limited table, a row leaves where its main concept is both approved and requested, and the manifest
proves it. The vocabulary and the rows are written here, and so is what each case must deliver."""

from __future__ import annotations

import hashlib
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from made_release import Case, Papers, build, secrets, write_release

from workbench.extracts import events, inspect_concepts, package, select
from workbench.extracts.inspect import inspect_extract, truth
from workbench.extracts.read import read_manifest, read_table
from workbench.governance.sealed import write_sealed
from workbench.governance.sensitive import sensitive_classes
from workbench.kernel.errors import InvalidInput, Refused, Unavailable
from workbench.kernel.text import LANGS, say

INDEX, FIRST, LAST = date(2015, 6, 1), date(2010, 1, 1), date(2019, 12, 31)
TABLE, SOURCE = "condition_occurrence", "condition_source_concept_id"
CONCEPTS = [(100, "Condition"), (101, "Condition"), (102, "Condition"), (200, "Condition"), (300, "Observation"),
            (900, "Condition")]  # fmt: skip
BELOW = [(100, 100), (100, 101), (100, 102), (101, 101), (101, 102), (102, 102), (200, 200), (300, 300)]
"""100 > 101 > 102; 900 is the concept of a source's code, of which nothing is known."""

ROWS: dict[int, tuple[int | None, int | None]] = {
    -1: (100, 0), -2: (101, 0), -3: (102, 0), -4: (200, 0), -5: (300, 0),
    -6: (0, 900), -7: (0, 0), -8: (None, 900), -9: (None, None), -10: (200, 900),
}  # fmt: skip
"""Day → standard and source concept of a row."""

ALL = sorted(ROWS)
Items = list[dict[str, Any]]


def one(concept: int, **more: bool) -> dict[str, Any]:
    return {"concept": concept, **more}


SPECIFICATION: list[tuple[str, Items | None, Items | None, list[int]]] = [
    ("absent: every concept", None, None, ALL),
    ("a concept and what is below it", [one(100)], None, [-3, -2, -1]),
    ("a concept alone", [one(100, descendants=False)], None, [-1]),
    ("the middle of a tree", [one(101)], None, [-3, -2]),
    ("two items", [one(102), one(200)], None, [-10, -4, -3]),
    ("a tree taken out of a tree", [one(100), one(101, excluded=True)], None, [-1]),
    ("one concept taken out of a tree", [one(100), one(101, excluded=True, descendants=False)], None, [-3, -1]),
    ("taken in and out at once: out", [one(200), one(200, excluded=True)], None, []),
    ("a domain, by the source concept too", [{"domain": "Condition"}], None, [-10, -8, -6, -4, -3, -2, -1]),
    ("a domain without a tree", [{"domain": "Condition"}, one(100, excluded=True)], None, [-10, -8, -6, -4]),
    ("another domain", [{"domain": "Observation"}], None, [-5]),
    ("the source's, where there is no standard one", [one(900)], None, [-8, -6]),
    ("the request's alone", None, [one(200)], [-10, -4]),
    ("both: what is in both", [one(100), one(200)], [one(101), one(300)], [-3, -2]),
    ("both: a request within", [{"domain": "Condition"}], [one(102)], [-3]),
    ("both: a request of all but", [one(100)], [{"domain": "Condition"}, one(102, excluded=True)], [-2, -1]),
    ("both: nothing in common", [one(100)], [one(200)], []),
]


def release(folder: Path) -> Case:
    day = timedelta(days=1)
    persons = [901, 902]
    columns = ["person_id", "condition_concept_id", "condition_source_concept_id", "condition_start_date"]
    tables = {
        "person": pl.DataFrame({"person_id": persons, "year_of_birth": [1980, 1990], "gender_concept_id": [8507] * 2}),
        "observation_period": pl.DataFrame(
            {
                "person_id": persons,
                "observation_period_start_date": [FIRST] * 2,
                "observation_period_end_date": [LAST] * 2,
            }
        ),
        TABLE: pl.DataFrame(
            [(901, *concepts, INDEX + at * day) for at, concepts in ROWS.items()],
            schema={**dict.fromkeys(columns[:3], pl.Int64), columns[3]: pl.Date},
            orient="row",
        ),
        "concept": pl.DataFrame(
            [(number, f"Concept {number}", domain, "SNOMED", str(number)) for number, domain in CONCEPTS],
            schema=["concept_id", "concept_name", "domain_id", "vocabulary_id", "concept_code"],
            orient="row",
        ),
        "concept_ancestor": pl.DataFrame(BELOW, schema=["ancestor_concept_id", "descendant_concept_id"], orient="row"),
    }
    cohort = pa.table({"subject_id": persons, "cohort_start_date": [INDEX] * 2, "cohort_end_date": [LAST] * 2})
    return Case(write_release(folder, tables), cohort, cohort.slice(0, 0), LAST)


def papers_of(approved: Items | None, requested: Items | None) -> Papers:
    papers = Papers()
    for document, items in ((papers.protocol, approved), (papers.request, requested)):
        document["tables"] = {"person": ["age_at_index"], TABLE: ["condition_concept_id", "condition_start_date"]}
        if items is not None:
            document["concepts"] = {TABLE: items}
    return papers.keeping_rare()


@pytest.mark.parametrize(("name", "approved", "requested", "days"), SPECIFICATION)
def test_rows_leave_by_their_main_concept(
    tmp_path: Path, name: str, approved: Items | None, requested: Items | None, days: list[int]
) -> None:
    manifest = build(release(tmp_path), tmp_path / "x", papers_of(approved, requested))
    rows = read_table(tmp_path / "x", TABLE, secrets())
    assert sorted(rows["start_day"]) == days, name
    assert ("concepts" in manifest) == (approved is not None or requested is not None)


def test_the_manifest_proves_it(tmp_path: Path) -> None:
    approved, requested = [one(100)], [{"domain": "Condition"}, one(102, excluded=True)]
    manifest = build(release(tmp_path), tmp_path / "x", papers_of(approved, requested))
    digest = hashlib.sha256(b"100\n101\n").hexdigest()
    assert manifest["concepts"] == {
        TABLE: {"requested": requested, "approved": approved, "resolved": 2, "digest": digest}
    }
    rule = {"table": TABLE, "column": "condition_concept_id", "rule": "only_approved_concepts"}
    assert rule in manifest["transforms"]
    assert all(say("extract.rule_only_approved_concepts", lang) for lang in LANGS)


def test_a_table_without_limit_is_left_as_it_was(tmp_path: Path) -> None:
    papers = papers_of([one(100)], None)
    papers.request["tables"] = {"person": ["age_at_index"]}
    assert "concepts" not in build(release(tmp_path), tmp_path / "x", papers)


def inspected(folder: Path, case: Case, papers: Papers) -> set[str]:
    known = truth(case.tables, case.cohort, case.cut_off)
    found = inspect_extract(folder, read_manifest(folder), papers.protocol, papers.request, secrets(), known)
    return {finding.code for finding in found}


@pytest.mark.parametrize("concept", [200, 900, 0, None])
def test_a_planted_concept_is_found(tmp_path: Path, concept: int | None) -> None:
    case, papers = release(tmp_path), papers_of([one(100)], None)
    manifest = build(case, tmp_path / "x", papers)
    assert inspected(tmp_path / "x", case, papers) == set()
    entry = next(entry for entry in manifest["tables"] if entry["name"] == TABLE)
    rows = read_table(tmp_path / "x", TABLE, secrets())
    concepts = [*rows["condition_concept_id"][:-1], concept]
    planted = rows.with_columns(condition_concept_id=pl.Series(concepts, dtype=pl.Int64))
    write_sealed(
        planted.to_arrow(compat_level=pl.CompatLevel.oldest()),
        tmp_path / "x" / entry["files"][0]["path"],
        secrets().data,
        package.label(manifest["study"], TABLE, entry["content_digest"]),
    )
    assert inspected(tmp_path / "x", case, papers) == {"outside_concepts"}
    assert all(say("extract.finding_outside_concepts", lang) for lang in LANGS)


def test_a_selection_that_forgets_the_limit_delivers_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    every = pl.Series("concept_id", [number for number, _ in CONCEPTS])
    monkeypatch.setattr(select, "concepts_of", lambda *_: every)
    with pytest.raises(Refused) as error:
        build(release(tmp_path), tmp_path / "x", papers_of([one(100)], None))
    assert error.value.code == "extract.inspection"
    assert "outside_concepts" in str(error.value.facts["findings"])
    assert "other_concepts" in str(error.value.facts["findings"])
    assert not (tmp_path / "x" / "manifest.json").exists()


SENSITIVE: list[tuple[str, dict[int, tuple[str, str]], list[int], set[str]]] = [
    ("the root of a class", {102: ("SNOMED", "86406008")}, [102], {"condition_concept_id"}),
    ("what is below it", {101: ("SNOMED", "86406008")}, [101, 102], {"condition_concept_id"}),
    ("a source's code by its beginning", {900: ("ICD10", "B20.1")}, [900], {"condition_concept_id", SOURCE}),
    ("a code of another class", {900: ("CIM10", "F32")}, [900], {"condition_concept_id", SOURCE}),
    ("what is below a code by its beginning", {101: ("ICD10GM", "Z21")}, [101, 102], {"condition_concept_id"}),
    ("a longer code", {101: ("SNOMED", "864060081")}, [], set()),
    ("another vocabulary", {101: ("ATC", "86406008"), 900: ("ATC", "B20")}, [], set()),
    ("concept 0", {0: ("ICD10", "B20")}, [], set()),
]


def sensitive_release(folder: Path, codes: dict[int, tuple[str, str]]) -> Case:
    """Give some concepts other codes; every concept is in a part of the file of its own."""
    case = release(folder)
    rows = [(number, f"Concept {number}", "Condition", *codes.get(number, ("SNOMED", str(number))))
            for number in sorted({*codes, *(each for each, _ in CONCEPTS)})]  # fmt: skip
    names = ["concept_id", "concept_name", "domain_id", "vocabulary_id", "concept_code"]
    pl.DataFrame(rows, schema=names, orient="row").write_parquet(case.tables["concept"], row_group_size=1)
    return case


def everything() -> Papers:
    papers = papers_of(None, None)
    for document in (papers.protocol, papers.request):
        document["tables"][TABLE] = ["condition_concept_id", SOURCE, "condition_start_date"]
    return papers


@pytest.mark.parametrize(("name", "codes", "concepts", "columns"), SENSITIVE)
def test_a_selection_that_forgets_sensitive_classes_delivers_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, codes: dict[int, tuple[str, str]],
    concepts: list[int], columns: set[str],
) -> None:  # fmt: skip
    case = sensitive_release(tmp_path, codes)
    hidden = inspect_concepts._sensitive(sensitive_classes().values(), case.tables)  # pyright: ignore[reportPrivateUsage]
    assert hidden.tolist() == concepts, name
    build(case, tmp_path / "whole", everything())
    monkeypatch.setattr(events, "without_sensitive", lambda rows, *_: rows)  # pyright: ignore[reportUnknownLambdaType, reportUnknownArgumentType]
    if not columns:
        build(case, tmp_path / "x", everything())
        return
    with pytest.raises(Refused) as error:
        build(case, tmp_path / "x", everything())
    found = {f"sensitive_value ({TABLE}.{each})" for each in columns} | {"sensitive_value (concept.concept_id)"}
    assert set(str(error.value.facts["findings"]).split(", ")) == found, name
    assert not (tmp_path / "x" / "manifest.json").exists()
    assert all(say("extract.finding_sensitive_value", lang) for lang in LANGS)


def test_a_class_that_the_protocol_names_passes_and_others_do_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "without_sensitive", lambda rows, *_: rows)  # pyright: ignore[reportUnknownLambdaType, reportUnknownArgumentType]
    case, papers = sensitive_release(tmp_path, {101: ("SNOMED", "86406008")}), everything()
    papers.protocol["sensitive_classes"] = ["hiv"]
    build(case, tmp_path / "x", papers)
    assert {101, 102} <= set(read_table(tmp_path / "x", TABLE, secrets())["condition_concept_id"])
    papers.protocol["sensitive_classes"] = ["psychiatry"]
    assert inspected(tmp_path / "x", case, papers) == {"sensitive_value"}
    papers.protocol["sensitive_classes"] = list(sensitive_classes())
    assert inspected(tmp_path / "x", case, papers) == set()


def test_a_request_without_the_main_concept_of_a_limited_table_delivers_nothing(tmp_path: Path) -> None:
    papers = papers_of([one(100)], None)
    papers.request["tables"] = {TABLE: ["condition_start_date"]}
    with pytest.raises(InvalidInput, match="concepts_column"):
        build(release(tmp_path), tmp_path / "x", papers)


@pytest.mark.parametrize("missing", ["condition_concept_id", "concept_ancestor"])
def test_a_release_by_which_it_cannot_be_told_delivers_nothing(tmp_path: Path, missing: str) -> None:
    case = release(tmp_path)
    if missing in case.tables:
        case = Case({n: p for n, p in case.tables.items() if n != missing}, case.cohort, case.outcome, LAST)
    else:
        pl.read_parquet(case.tables[TABLE]).drop(missing).write_parquet(case.tables[TABLE])
    with pytest.raises(Unavailable, match="release_incomplete"):
        build(case, tmp_path / "x", papers_of([one(100)], None))


@pytest.mark.parametrize("items", [[{"domain": "Observation"}], [one(300, descendants=False)]])
def test_a_release_without_trees_serves_where_none_is_asked_for(tmp_path: Path, items: Items) -> None:
    case = release(tmp_path)
    bare = Case({n: p for n, p in case.tables.items() if n != "concept_ancestor"}, case.cohort, case.outcome, LAST)
    build(bare, tmp_path / "x", papers_of(items, None))
    assert read_table(tmp_path / "x", TABLE, secrets())["start_day"].to_list() == [-5]


def test_many_row_groups_are_looked_through(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workbench.governance.sealed._ROWS", 1)
    case, papers = release(tmp_path), papers_of([one(100)], None)
    build(case, tmp_path / "x", papers)
    assert inspected(tmp_path / "x", case, papers) == set()
    papers.protocol["concepts"] = {TABLE: [one(101)]}  # as if the protocol had approved less
    assert inspected(tmp_path / "x", case, papers) == {"outside_concepts", "other_concepts"}
    assert all(say("extract.finding_other_concepts", lang) for lang in LANGS)


@pytest.mark.parametrize("ordered", [True, False])
@pytest.mark.parametrize("values", [[5], [0], [41], [7, 33], [12, 99], list(range(50))])
def test_a_vocabulary_in_parts_is_read_where_its_numbers_may_be(
    tmp_path: Path, ordered: bool, values: list[int]
) -> None:
    """Parts that say nothing of their numbers, or hold none, are read or left like the others: by what is in them."""
    pairs = [(None if above == 20 else above, 100 * above + below) for above in range(40) for below in range(3)]
    rows = pairs if ordered else sorted(pairs, key=lambda pair: pair[1] % 97)
    table = pa.table({"below": [low for _, low in rows], "above": [high for high, _ in rows]})
    for statistics in (True, False):
        path = tmp_path / f"{statistics}.parquet"
        pq.write_table(table, path, row_group_size=10, write_statistics=statistics)
        found = inspect_concepts._where(path, "above", values, "below")  # pyright: ignore[reportPrivateUsage]
        assert sorted(found.tolist()) == sorted(low for high, low in pairs if high in values)
