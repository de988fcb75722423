"""The risk of an extract: a recount by plain Python on GiBleed and on a few persons, and its sentences."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from itertools import pairwise
from typing import Any

import polars as pl
import pytest
from made_release import COHORT, OUTCOME, RELEASE, Papers, gibleed, secrets

from workbench.extracts import risk
from workbench.extracts.build import build_extract
from workbench.extracts.read import read_tables
from workbench.extracts.risk_words import measured, sentences, share
from workbench.governance.deliverable import deliverable, delivered_name
from workbench.governance.quasi_identifiers import quasi_identifiers
from workbench.kernel.text import LANGS, say


@pytest.fixture(scope="module")
def bleed(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], dict[str, pl.DataFrame]]:
    case, into = gibleed(tmp_path_factory.mktemp("release")), tmp_path_factory.mktemp("made") / "x"
    manifest = build_extract(
        release_tables=case.tables, release_digest=RELEASE, cut_off=case.cut_off, cohort=case.cohort,
        cohort_digest=COHORT, outcomes={"gi_bleed": (OUTCOME, case.outcome)}, secrets=secrets(), synthetic=True,
        into=into, **Papers().sealed(),
    )  # fmt: skip
    return manifest["risk"], read_tables(into, secrets())


def alone(values: dict[int, Any]) -> set[int]:
    counts = Counter(values.values())
    return {person for person, value in values.items() if counts[value] == 1}


def test_the_extract_of_gibleed_is_recounted(bleed: tuple[dict[str, Any], dict[str, pl.DataFrame]]) -> None:
    told, tables = bleed
    persons = tables["cohort"]["person_id"].to_list()
    ages = {row[0]: row[1:] for row in tables["person"].select("person_id", "age_at_index", "gender_concept_id").rows()}
    sizes = Counter(ages.values())
    assert told["persons"] == len(persons)
    assert [entry["name"] for entry in told["quasi_identifiers"]] == ["age", "sex"]
    assert told["k"] == min(sizes.values())
    assert told["unique"] == told["gauges"]["singling_out"] == len(alone(ages))
    assert told["in_small_groups"] == sum(size for size in sizes.values() if size < 11)
    assert [entry["columns"] for entry in told["worst"]] == [["age"], ["age", "sex"]]
    by_age = alone({person: value[0] for person, value in ages.items()})
    assert told["quasi_identifiers"][1]["cost"] == len(alone(ages)) - len(by_age)

    days: dict[int, set[int]] = {person: set() for person in persons}
    concepts: dict[int, set[int]] = {person: set() for person in persons}
    carriers: dict[int, set[int]] = defaultdict(set)
    for name, rows in tables.items():
        for row in rows.iter_rows(named=True) if name not in {"cohort", "concept"} else ():
            if "start_day" in row:
                days[row["person_id"]].add(row["start_day"])
            held = [value for column, value in row.items() if column.endswith("_concept_id") and value]
            for value in held:
                carriers[value].add(row["person_id"])
            concepts[row["person_id"]] |= set(held) if name != "person" else set()
    gaps = {person: [b - a for a, b in pairwise(sorted(found))] for person, found in days.items()}
    marked: set[int] = set()
    for entry in told["intervals"]:
        n = entry["length"]
        runs = {person: {tuple(g[at : at + n]) for at in range(len(g) - n + 1)} for person, g in gaps.items()}
        owners = Counter(run for each in runs.values() for run in each)
        marked |= {person for person, each in runs.items() if any(owners[run] == 1 for run in each)}
        assert entry["persons"] == len(marked)
    sets = alone({person: frozenset(found) for person, found in concepts.items()})
    assert told["unique_by_all_concepts"] == len(sets)
    assert told["gauges"]["linkability"] == len(sets | marked)
    few = {concept: who for concept, who in carriers.items() if len(who) < 11}
    assert told["rare_concepts"] == {"concepts": len(few), "persons": len(set().union(*few.values()))}

    having = set(tables["outcome"]["person_id"])
    groups: dict[Any, list[bool]] = defaultdict(list)
    for person, value in ages.items():
        groups[value].append(person in having)
    inferred = [person for person, value in ages.items() if len(set(groups[value])) == 1]
    (attribute,) = told["diversity"]
    assert attribute["attribute"] == "outcome:gi_bleed"
    assert (attribute["with"], attribute["inferred"]) == (len(having), len(inferred))
    assert attribute["inferred_with"] == len(having & set(inferred))
    assert told["gauges"]["inference"] == len(inferred)


def made(**more: pl.DataFrame) -> dict[str, pl.DataFrame]:
    ids = [11, 12, 13, 14]
    outcome = pl.DataFrame(schema={"person_id": pl.Int64, "outcome": pl.String, "start_day": pl.Int32})
    return {"cohort": pl.DataFrame({"person_id": ids}), "outcome": outcome, **more}


def test_care_sites_deaths_and_sensitive_classes_are_measured() -> None:
    tables = made(
        person=pl.DataFrame({"person_id": [11, 12, 13, 14], "gender_concept_id": [1, 1, 1, 1]}),
        visit_occurrence=pl.DataFrame({
            "person_id": [11, 11, 12, 12, 12, 13], "care_site_id": [5, 6, 6, 5, 5, 5], "start_day": [0, 3, 0, 3, 9, 0],
        }),
        death=pl.DataFrame({"person_id": [14], "start_day": [30]}),
        condition_occurrence=pl.DataFrame({
            "person_id": [11, 12, 13], "start_day": [0, 0, 0], "condition_concept_id": [7, 7, 8],
        }),
    )  # fmt: skip
    told = risk.measure(tables, 0, {"hiv": pl.Series([8, 9])})
    assert [entry["name"] for entry in told["quasi_identifiers"]] == ["sex", "death", "care_sites"]
    assert (told["k"], told["unique"]) == (1, 2)  # 11 and 12 went to the same two places
    assert told["worst"][0] == {"columns": ["care_sites"], "k": 1, "unique": 2, "in_small_groups": 4}
    assert told["worst"][2]["columns"] == ["sex", "death", "care_sites"]
    assert {entry["name"]: entry["cost"] for entry in told["quasi_identifiers"]} == {
        "sex": 0, "death": 0, "care_sites": 1}  # fmt: skip
    assert told["intervals"] == [
        {"length": 1, "persons": 1}, {"length": 2, "persons": 1}, {"length": 3, "persons": 1},
    ]  # fmt: skip
    assert told["unique_by_concepts"] == {"condition_occurrence": 2}  # 13 by its condition, 14 by having none
    (hiv,) = told["diversity"]
    assert (hiv["attribute"], hiv["with"], hiv["inferred"], hiv["inferred_with"]) == ("class:hiv", 1, 4, 1)


@pytest.mark.parametrize("persons", [0, 1])
def test_an_extract_of_nobody_or_of_one_is_measured(persons: int) -> None:
    tables = {name: rows.head(persons) for name, rows in made(person=pl.DataFrame({
        "person_id": [11], "age_at_index": [None], "race_concept_id": [None],
    }, schema_overrides={"age_at_index": pl.Int32, "race_concept_id": pl.Int64})).items()}  # fmt: skip
    told = risk.measure(tables, 0, {})
    assert (told["persons"], told["k"], told["unique"]) == (persons, persons, persons)
    assert told["gauges"]["inference"] is None
    assert all(sentences(told, lang) for lang in LANGS)


def test_without_columns_that_may_be_known_all_are_one_group() -> None:
    told = risk.measure(made(), 2, {})
    assert (told["k"], told["unique"], told["worst"], told["quasi_identifiers"]) == (4, 0, [], [])
    assert "No column that people close could know" in " ".join(sentences(told, "en"))


def test_the_sentences_hold_the_numbers(bleed: tuple[dict[str, Any], dict[str, pl.DataFrame]]) -> None:
    told, _ = bleed
    for lang in LANGS:
        said = sentences(told, lang, table=str.upper)
        assert not [text for text in said if re.search(r"[{}]", text)]
        assert any("DRUG_EXPOSURE" in text for text in said)
        for number in (told["persons"], told["gauges"]["linkability"], told["rare_concepts"]["persons"]):
            assert any(re.sub(r"[\u202f,]", "", text).find(str(number)) >= 0 for text in said)
    older = {"persons": 20, "persons_left_out": 0, "k": 3, "unique": 0, "in_small_groups": 0, "unique_by_concepts": {}}
    assert not measured(older)
    assert len(sentences(older, "fr")) == 2


@pytest.mark.parametrize(
    ("persons", "of", "text"),
    [(0, 0, "0%"), (0, 9, "0%"), (9, 9, "100%"), (1, 900, "under 1%"), (899, 900, "over 99%"), (1, 3, "33%")],
)
def test_a_share_never_says_none_or_all_for_some(persons: int, of: int, text: str) -> None:
    assert share(persons, of, "en") == text


def test_all_that_may_be_known_can_be_delivered_and_has_words() -> None:
    declared = {(quasi.table, quasi.column) for quasi in quasi_identifiers()}
    for table, column in declared:
        if (table, column) != ("cohort", "index_year"):  # made here, of no column of the CDM
            assert column in {delivered_name(table, each) for each in deliverable()[table]}
    assert {("person", column) for column in deliverable()["person"]} - {("person", "person_id")} <= declared
    assert all(say(f"extract.known_{quasi.name}", lang) for quasi in quasi_identifiers() for lang in LANGS)
