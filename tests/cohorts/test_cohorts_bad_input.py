"""Bad input: whatever is wrong is named with its path, never by a traceback, and the others of a batch run."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from tests.cohorts.conftest import BLEED, definition
from tests.conftest import workbench
from workbench.cohorts.check import check
from workbench.cohorts.circe import Definition, read_definition
from workbench.cohorts.compile import compile_batch
from workbench.cohorts.describe import describe
from workbench.cohorts.generate import generate
from workbench.cohorts.parse import MOST_LEVELS, MOST_SIZE
from workbench.engines.duckdb import DuckDBEngine
from workbench.kernel.errors import InvalidInput, Unavailable, UserError

ENTRY = "$.PrimaryCriteria.CriteriaList[0]"
CONDITION = f"{ENTRY}.ConditionOccurrence"
STARTS, AGE = f"{CONDITION}.OccurrenceStartDate.Value", f"{CONDITION}.Age.Value"
HUGE = f'"Value": {"9" * 9999}'
OLD_ENOUGH = {"Age": {"Value": 1, "Op": "gte"}}
RULE = {"Type": "ALL", "CriteriaList": [], "DemographicCriteriaList": [OLD_ENOUGH], "Groups": []}
WINDOW = {"Start": {"Coeff": -1}, "End": {"Coeff": 1}}
MATCH = {"Criteria": BLEED, "StartWindow": WINDOW, "Occurrence": {"Type": 2, "Count": 1}}


def with_rule(**members: Any) -> str:
    """A definition with one inclusion rule, some members of its group replaced."""
    return definition(BLEED, InclusionRules=[{"name": "r", "expression": {**RULE, **members}}])


def asking(**members: Any) -> str:
    """A definition whose entry condition asks something."""
    return definition({"ConditionOccurrence": members})


def deep(levels: int) -> str:
    """Groups within groups, without any of the memory that dicts would take."""
    return '{"AdditionalCriteria": ' + '{"Groups": [' * levels + "]}" * levels + "}"


def started(value: Any, operator: str = "gt") -> str:
    """A definition that asks for the start of its entry condition."""
    return asking(OccurrenceStartDate={"Value": value, "Op": operator})


def aged(value: Any) -> str:
    """A definition that asks for an age."""
    return asking(Age={"Value": value, "Op": "gt"})


WRONG: list[tuple[str, str, str]] = [
    ("cohort.malformed", "", '{"PrimaryCriteria": '),
    ("cohort.malformed", "", ""),
    ("cohort.malformed", "", '{"Title": "a\nb"}'),
    ("cohort.member_twice", "", '{"Title": "a", "Title": "b"}'),
    ("cohort.not_object", "$", "[]"),
    ("cohort.not_object", "$", "null"),
    ("cohort.member_missing", "$.PrimaryCriteria", "{}"),
    ("cohort.not_object", "$.PrimaryCriteria", '{"PrimaryCriteria": []}'),
    ("cohort.member_missing", ENTRY, definition()),
    ("cohort.member_missing", ENTRY, definition(None)),  # pyright: ignore[reportArgumentType]
    ("cohort.member_missing", ENTRY, definition({})),
    ("cohort.unknown_criteria", f"{ENTRY}.Dream", definition({"Dream": {}})),
    ("cohort.two_criteria", ENTRY, definition({"Death": {}, "Specimen": {}})),
    ("cohort.set_missing", f"{CONDITION}.CodesetId", asking(CodesetId=7)),
    ("cohort.set_missing", f"{CONDITION}.GenderCS.CodesetId", asking(GenderCS={"CodesetId": 7})),
    ("cohort.set_twice", "$.ConceptSets[1]", definition(BLEED, sets=[{"id": 0}, {"id": "0"}])),
    ("cohort.member_missing", "$.ConceptSets[0]", definition(BLEED, sets=[None])),  # pyright: ignore[reportArgumentType]
    (
        "cohort.member_missing",
        "$.ConceptSets[0].expression.items[0].concept.CONCEPT_ID",
        definition(BLEED, sets=[{"id": 0, "expression": {"items": [{"concept": {}}]}}]),
    ),
    ("cohort.bad_date", STARTS, started("2020-02-30")),
    ("cohort.bad_date", STARTS, started("")),
    ("cohort.bad_date", STARTS, started("99999-01-01")),
    ("cohort.not_text", STARTS, started(2020)),
    ("cohort.member_missing", f"{CONDITION}.OccurrenceStartDate.Extent", started("2020-01-01", "bt")),
    ("cohort.bad_date", "$.CensorWindow.StartDate", definition(BLEED, CensorWindow={"StartDate": "soon"})),
    ("cohort.wrong_value", f"{CONDITION}.Age.Op", asking(Age={"Value": 1, "Op": "about"})),
    ("cohort.not_text", f"{CONDITION}.Age.Op", asking(Age={"Value": 1, "Op": ["gt"]})),
    ("cohort.not_number", AGE, aged("one")),
    ("cohort.not_number", AGE, aged(True)),
    ("cohort.not_number", AGE, aged("NaN")),
    ("cohort.not_number", AGE, aged(float("nan"))),
    ("cohort.not_whole", AGE, aged(float("inf"))),
    ("cohort.not_whole", AGE, aged(0).replace('"Value": 0', HUGE)),
    ("cohort.not_object", f"{CONDITION}.Age", asking(Age=[1])),
    ("cohort.not_list", f"{CONDITION}.Gender", asking(Gender={"CONCEPT_ID": 8507})),
    ("cohort.member_missing", f"{CONDITION}.Gender[0]", asking(Gender=[None])),
    ("cohort.not_flag", f"{CONDITION}.First", asking(First="often")),
    ("cohort.not_flag", f"{CONDITION}.First", asking(First=[])),
    ("cohort.wrong_value", f"{CONDITION}.DateAdjustment.StartWith", asking(DateAdjustment={"StartWith": {}})),
    ("cohort.not_text", f"{CONDITION}.StopReason.Text", asking(StopReason={"Text": "a\0b", "Op": "contains"})),
    ("cohort.not_text", f"{CONDITION}.StopReason.Text", asking(StopReason={"Text": "\ud800", "Op": "contains"})),
    ("cohort.not_text", "$", '{"\\udfff": 1}'),
    ("cohort.wrong_value", f"{CONDITION}.StopReason.Op", asking(StopReason={"Text": "a", "Op": "is"})),
    ("cohort.wrong_value", "$.InclusionRules[0].expression.Type", with_rule(Type="SOME")),
    ("cohort.member_missing", "$.InclusionRules[0].expression.Type", with_rule(Type=None)),
    ("cohort.member_missing", "$.InclusionRules[0].expression.Count", with_rule(Type="AT_LEAST")),
    ("cohort.not_text", "$.InclusionRules[0].name", with_rule().replace('"name": "r"', '"name": {}')),
    (
        "cohort.count_negative",
        "$.InclusionRules[0].expression.CriteriaList[0].Occurrence.Count",
        with_rule(CriteriaList=[{**MATCH, "Occurrence": {"Type": 2, "Count": -1}}]),
    ),
    (
        "cohort.wrong_value",
        "$.InclusionRules[0].expression.CriteriaList[0].Occurrence.Type",
        with_rule(CriteriaList=[{**MATCH, "Occurrence": {"Type": 3, "Count": 1}}]),
    ),
    (
        "cohort.not_whole",
        "$.InclusionRules[0].expression.CriteriaList[0].StartWindow.Start.Days",
        with_rule(CriteriaList=[{**MATCH, "StartWindow": {**WINDOW, "Start": {"Days": 10**10, "Coeff": -1}}}]),
    ),
    (
        "cohort.not_number",
        "$.PrimaryCriteria.ObservationWindow.PriorDays",
        definition(BLEED).replace('"PriorDays": 0', '"PriorDays": "many"'),
    ),
    (
        "cohort.two_strategies",
        "$.EndStrategy",
        definition(BLEED, EndStrategy={"DateOffset": {"DateField": "StartDate"}, "CustomEra": {"DrugCodesetId": 0}}),
    ),
    (
        "cohort.wrong_value",
        "$.EndStrategy.DateOffset.DateField",
        definition(BLEED, EndStrategy={"DateOffset": {"DateField": "Noon"}}),
    ),
    ("cohort.too_deep", "$.AdditionalCriteria" + ".Groups[0]" * 12, deep(MOST_LEVELS)),
    ("cohort.too_deep", "$.AdditionalCriteria" + ".Groups[0]" * 12, deep(10_000)),
    ("cohort.too_deep", "$[0][0][0]", "[" * 100_000),
    ("cohort.too_large", "", " " * (MOST_SIZE + 1)),
]  # fmt: skip


@pytest.mark.parametrize(("code", "path", "text"), WRONG, ids=[f"{at} {each[0]}" for at, each in enumerate(WRONG)])
def test_what_is_wrong_is_named_with_its_path(code: str, path: str, text: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        read_definition(text)
    assert caught.value.code == code
    found = str(caught.value.facts.get("path", ""))
    assert found.startswith(path) if code == "cohort.too_deep" else found == path
    for lang in ("fr", "en"):
        assert str(caught.value.text(lang))


KINDLY: list[tuple[str, str]] = [
    (asking(CodesetId="0", First="false"), asking(CodesetId=0)),
    (asking(Age={"Value": "40", "Op": "gt"}), asking(Age={"Value": 40.9, "Op": "gt"})),
    (asking(Gender=None, GenderCS=None, Age=None), asking()),
    (asking(Gender=[]), asking()),
    (definition(BLEED, CensorWindow=None, EndStrategy=None, AdditionalCriteria=None), definition(BLEED)),
    (started("2020-1-2T00:00:00"), started("2020-01-02")),
    (
        definition(BLEED, CollapseSettings={"EraPad": 2**31 - 1}),
        definition(BLEED, CollapseSettings={"EraPad": 700_000}),
    ),
]  # fmt: skip


@pytest.mark.parametrize(("loose", "strict"), KINDLY, ids=range(len(KINDLY)))
def test_what_atlas_itself_allows_means_the_same(loose: str, strict: str) -> None:
    assert read_definition(loose).plan == read_definition(strict).plan


def test_a_missing_file_is_an_answer(tmp_path: Path) -> None:
    with pytest.raises(Unavailable):
        read_definition(tmp_path / "none.json")


def test_a_document_of_another_encoding_is_refused(tmp_path: Path) -> None:
    for encoding in ("latin-1", "utf-16"):
        (tmp_path / "latin.json").write_bytes('{"Title": "hémorragie"}'.encode(encoding))
        with pytest.raises(InvalidInput, match="UTF-8"):
            read_definition(tmp_path / "latin.json")


def nested(levels: int) -> str:
    """Groups within groups, each with a criterion of its own, of all kinds in turn."""
    found: dict[str, Any] = RULE
    for level in range(levels):
        kind = ("ALL", "ANY", "AT_LEAST", "AT_MOST")[level % 4]
        found = {"Type": kind, "Count": 1, "CriteriaList": [MATCH], "Groups": [found]}
    return definition(BLEED, InclusionRules=[{"name": "r", "expression": found}])


def test_what_is_not_too_deep_runs(engine: DuckDBEngine) -> None:
    one = read_definition(nested(95))
    assert describe(one, "fr")
    assert not generate(engine, {"deep": one}).failed


def test_the_others_of_a_folder_run_and_each_bad_one_is_named(patients: dict[str, Path], tmp_path: Path) -> None:
    folder, database = tmp_path / "definitions", tmp_path / "database"
    folder.mkdir()
    database.mkdir()
    (folder / "good.json").write_text(definition(BLEED))
    (folder / "specimen.json").write_text(definition({"Specimen": {}}))
    (folder / "latin.json").write_bytes(b"\xe9")
    for at, (_, _, text) in enumerate(WRONG[:-1]):
        (folder / f"bad_{at:02}.json").write_text(text, encoding="utf-8", errors="surrogatepass")
    for name, path in patients.items():
        if name != "specimen":
            (database / f"{name}.parquet").symlink_to(path)
    out = tmp_path / "rows.parquet"
    done = workbench(
        "cohort", "generate", str(folder), "--database", str(database), "--out", str(out), "--json",
        cwd=tmp_path, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert "Traceback" not in done.stderr + done.stdout
    report = json.loads(done.stdout)
    assert report["persons"] == {"good": 479}
    assert report["failed"]["specimen"]["error"] == "cohort.table_missing"
    codes = [report["failed"][f"bad_{at:02}"]["error"] for at in range(len(WRONG) - 1)]
    assert [code for code, (wanted, _, _) in zip(codes, WRONG, strict=False) if code != wanted] == []


# What no one thought of: published definitions with a few parts dropped, replaced, doubled or put elsewhere.

VALUES: list[Any] = [
    None, True, False, 0, -1, 1, 0.5, 5, 10**9, 10**12, -(10**12), 2**53, 1e308, float("nan"), float("inf"), "", "x",
    "5", "null", "NaN", "2020-01-01", "2020-13-45", "0000-00-00", "a\0b", "\ud800", "%_'\\", [], {}, [[]], [None], [{}],
    {"a": 1}, {"Type": "ALL"}, {"CodesetId": 0}, {"Value": 1, "Op": "bt"}, {"ConditionOccurrence": {}}, {"Death": None},
]  # fmt: skip


@cache
def library(shared: Path) -> tuple[str, ...]:
    """Texts to change: published and random definitions, small ones, so that most of a change falls on criteria."""
    folder = shared / "data/circe"
    files = [*(folder / "phenotype_library").glob("*.json"), *folder.glob("fuzz_0*/definitions/*.json")]
    texts = [path.read_text(encoding="utf-8-sig") for path in sorted(files)]
    return tuple(text for text in texts if len(text) < 60_000)[::7]


def nodes(value: Any, above: tuple[Any, Any] = (None, None)) -> Iterator[tuple[Any, Any]]:
    """Each part of a document by the object or list that holds it and its key there."""
    if above[0] is not None:
        yield above
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, below in pairs:
        yield from nodes(below, (value, key))


@st.composite
def changed(draw: st.DrawFn, texts: tuple[str, ...]) -> dict[str, Any]:
    """A published definition with one to three changes."""
    document: dict[str, Any] = json.loads(draw(st.sampled_from(texts)))
    for _ in range(draw(st.integers(1, 3))):
        places = [place for place in nodes(document) if place[1] not in ("ConceptSets", "items")]
        if not places:
            break
        holder, key = draw(st.sampled_from(places))
        match draw(st.sampled_from(["drop", "replace", "replace", "double", "rename", "move"])):
            case "drop":
                del holder[key]
            case "double" if isinstance(holder, list):
                holder.append(copy.deepcopy(holder[key]))
            case "rename" if isinstance(holder, dict):
                holder[draw(st.sampled_from(sorted({str(name) for _, name in places})))] = holder.pop(key)
            case "move":
                other, name = draw(st.sampled_from(places))
                holder[key] = copy.deepcopy(other[name])
            case _:
                holder[key] = copy.deepcopy(draw(st.sampled_from(VALUES)))  # a later change may fall into it
    return document


def answered(document: dict[str, Any]) -> Definition | None:
    """Demand a definition that everything reads, or an error that names the place."""
    found = _read(document)
    if isinstance(found, InvalidInput):
        note(str(found))
        assert str(found.facts["path"]).startswith("$")
        assert str(found.text("fr"))
        return None
    assert found.digest
    assert describe(found, "en")
    compile_batch({"one": found.plan})
    list(check(found))
    return found


def _read(document: dict[str, Any]) -> Definition | InvalidInput:
    try:
        found = read_definition(json.dumps(document))
        _ = found.plan
    except InvalidInput as error:
        return error
    return found


CALM = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.data_too_large]


def _run(shared: Path, data: st.DataObject) -> None:
    folder = shared / "data/circe/fuzz_00/database"
    found = [answered(data.draw(changed(library(shared)))) for _ in range(5)]
    good = {str(at): one for at, one in enumerate(found) if one is not None}
    with DuckDBEngine.over_parquet({path.stem: path for path in folder.glob("*.parquet")}, threads=1) as engine:
        failed: dict[str, UserError] = dict(generate(engine, good).failed)
    assert {error.code for error in failed.values()} <= {"cohort.table_missing", "cohort.column_missing"}


@given(data=st.data())
@settings(max_examples=12, deadline=None, database=None, derandomize=True, suppress_health_check=CALM)
def test_a_changed_definition_runs_or_is_named(shared: Path, data: st.DataObject) -> None:
    _run(shared, data)


@pytest.mark.long
@pytest.mark.timeout(3600)
@given(data=st.data())
@settings(max_examples=400, deadline=None, database=None, suppress_health_check=CALM)
def test_many_changed_definitions_run_or_are_named(shared: Path, data: st.DataObject) -> None:
    _run(shared, data)
