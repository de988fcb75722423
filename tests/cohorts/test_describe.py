"""The sentence: nothing of a definition is forgotten, and what clinicians read is what they would write."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.cohorts.check_cases import match, rule
from tests.cohorts.conftest import BLEED, definition
from tests.cohorts.every_attribute import INNER, SETS, Sample, samples
from workbench.cohorts.circe import Definition, read_definition
from workbench.cohorts.describe import describe
from workbench.cohorts.domains import DOMAINS
from workbench.kernel.text import LANGS, Lang

EVERY = list(samples())


def as_entry(criterion: dict[str, Any]) -> Definition:
    return read_definition(definition(criterion, sets=SETS))


def as_one_of_two(criterion: dict[str, Any]) -> Definition:
    return read_definition(definition(BLEED, criterion, sets=SETS))


def as_rule(criterion: dict[str, Any]) -> Definition:
    rules = [rule(match(criterion, -30, 0, 2, 3))]
    return read_definition(definition(BLEED, sets=SETS, InclusionRules=rules))


def as_absence(criterion: dict[str, Any]) -> Definition:
    rules = [rule(match(criterion, -30, 0, 0, 0))]
    return read_definition(definition(BLEED, sets=SETS, InclusionRules=rules))


def as_context(criterion: dict[str, Any]) -> Definition:
    around = {"Type": "ALL", "CriteriaList": [match(criterion, -30, 0)]}
    return read_definition(definition({"VisitOccurrence": {"CorrelatedCriteria": around}}, sets=SETS))


def as_censoring(criterion: dict[str, Any]) -> Definition:
    return read_definition(definition(BLEED, sets=SETS, CensoringCriteria=[criterion]))


def all_differ(sample: Sample, place: Callable[[dict[str, Any]], Definition], filled: list[dict[str, Any]]) -> None:
    """Demand another sentence for each value of a member, and for none, in both languages."""
    made = [place({sample.domain: each}) for each in (sample.bare, *filled)]
    for lang in LANGS:
        told = [describe(each, lang) for each in made]
        same = [text for text in told if told.count(text) > 1]
        assert same == [], (sample.domain, sample.member, place.__name__)


@pytest.mark.parametrize("domain", sorted(DOMAINS))
def test_every_attribute_and_value_is_told(domain: str) -> None:
    for sample in EVERY:
        if sample.domain == domain:
            all_differ(sample, as_rule, sample.filled)
            for place in (as_entry, as_one_of_two, as_absence, as_context, as_censoring):
                all_differ(sample, place, sample.filled[:1])


def test_the_sample_has_every_attribute() -> None:
    found = {(sample.domain, sample.member) for sample in EVERY}
    known = {(domain, name) for domain, spec in DOMAINS.items() for name in spec.attributes}
    assert known <= found
    assert len(found) > 220


def whole() -> dict[str, Any]:
    """A definition in which every part has an effect."""
    group = {
        "Type": "AT_LEAST",
        "Count": 2,
        "CriteriaList": [
            match(BLEED, -30, -3, EndWindow=match(BLEED, -20, 9)["StartWindow"]),
            match({"VisitOccurrence": {"CodesetId": 2}}, -9, 9, 0, 2),
            match({"DrugExposure": {"CodesetId": 1, "CorrelatedCriteria": INNER}}, 1, 7, 1, 3),
        ],
        "DemographicCriteriaList": [{"Age": {"Value": 18, "Op": "gte"}}],
        "Groups": [{"Type": "ANY", "CriteriaList": [match(BLEED, 1, 9), match({"Death": {}}, 1, 8)]}],
    }
    text = definition(
        {"ConditionOccurrence": {"CodesetId": 0}},
        {"Death": {}},
        sets=SETS,
        AdditionalCriteria={"Type": "ALL", "CriteriaList": [match({"DrugExposure": {"CodesetId": 1}}, -7, 0)]},
        InclusionRules=[{"name": "r", "expression": group}, rule(match(BLEED, -8, -2), name="s")],
        QualifiedLimit={"Type": "All"},
        EndStrategy={"DateOffset": {"DateField": "StartDate", "Offset": 30}},
        CensoringCriteria=[{"VisitOccurrence": {"CodesetId": 2}}],
        CollapseSettings={"CollapseType": "ERA", "EraPad": 7},
        CensorWindow={"StartDate": "2010-01-01", "EndDate": "2020-01-01"},
    )
    return json.loads(text)


def edit(path: str, value: Any) -> Callable[[dict[str, Any]], None]:
    """Set what stands at a path such as `a.0.b`."""

    def changed(document: Any) -> None:
        *outer, last = (int(step) if step.isdigit() else step for step in path.split("."))
        for step in outer:
            document = document[step]
        document[last] = value

    return changed


FIRST = "InclusionRules.0.expression.CriteriaList.0"
ERA = {"DrugCodesetId": 1, "GapDays": 30, "Offset": 0}
EDITS = [
    ("PrimaryCriteria.ObservationWindow.PriorDays", 180),
    ("PrimaryCriteria.ObservationWindow.PriorDays", 181),
    ("PrimaryCriteria.ObservationWindow.PostDays", 30),
    ("PrimaryCriteria.PrimaryCriteriaLimit.Type", "First"),
    ("PrimaryCriteria.PrimaryCriteriaLimit.Type", "Last"),
    ("AdditionalCriteria", None),
    ("QualifiedLimit.Type", "First"),
    ("QualifiedLimit.Type", "Last"),
    ("ExpressionLimit.Type", "Last"),
    ("InclusionRules.0.name", "another"),
    ("InclusionRules.0.name", ""),
    ("InclusionRules.0.expression.Type", "ALL"),
    ("InclusionRules.0.expression.Type", "ANY"),
    ("InclusionRules.0.expression.Type", "AT_MOST"),
    ("InclusionRules.0.expression.Count", 3),
    ("InclusionRules.0.expression.Groups.0.Type", "ALL"),
    (f"{FIRST}.StartWindow.Start.Days", 31),
    (f"{FIRST}.StartWindow.Start.Days", None),
    (f"{FIRST}.StartWindow.Start.Coeff", 1),
    (f"{FIRST}.StartWindow.End.Days", 4),
    (f"{FIRST}.StartWindow.End.Coeff", 1),
    (f"{FIRST}.StartWindow.UseIndexEnd", True),
    (f"{FIRST}.StartWindow.UseEventEnd", True),
    (f"{FIRST}.EndWindow", None),
    (f"{FIRST}.EndWindow.End.Days", 10),
    (f"{FIRST}.EndWindow.UseIndexEnd", True),
    (f"{FIRST}.EndWindow.UseEventEnd", False),
    (f"{FIRST}.Occurrence.Type", 0),
    (f"{FIRST}.Occurrence.Type", 1),
    (f"{FIRST}.Occurrence.Count", 0),
    (f"{FIRST}.Occurrence.Count", 2),
    (f"{FIRST}.Occurrence.IsDistinct", True),
    (f"{FIRST}.Occurrence", {"Type": 2, "Count": 1, "IsDistinct": True, "CountColumn": "VISIT_ID"}),
    (f"{FIRST}.RestrictVisit", True),
    (f"{FIRST}.IgnoreObservationPeriod", True),
    ("EndStrategy", None),
    ("EndStrategy.DateOffset.Offset", 31),
    ("EndStrategy.DateOffset.Offset", -31),
    ("EndStrategy.DateOffset.Offset", 0),
    ("EndStrategy.DateOffset.DateField", "EndDate"),
    ("EndStrategy", {"DateOffset": {"DateField": "EndDate", "Offset": 0}}),
    ("EndStrategy", {"CustomEra": ERA}),
    ("EndStrategy", {"CustomEra": {**ERA, "DrugCodesetId": 2}}),
    ("EndStrategy", {"CustomEra": {**ERA, "GapDays": 0}}),
    ("EndStrategy", {"CustomEra": {**ERA, "Offset": 14}}),
    ("EndStrategy", {"CustomEra": {**ERA, "DaysSupplyOverride": 28}}),
    ("CensoringCriteria", []),
    ("CensoringCriteria.0.VisitOccurrence.CodesetId", 1),
    ("CollapseSettings.EraPad", 0),
    ("CollapseSettings.EraPad", 8),
    ("CensorWindow.StartDate", None),
    ("CensorWindow.StartDate", "2010-01-02"),
    ("CensorWindow.EndDate", None),
    ("ConceptSets.1.name", "renamed"),
]


@pytest.mark.parametrize("lang", LANGS)
def test_every_part_is_told(lang: Lang) -> None:
    told = {"": describe(read_definition(json.dumps(whole())), lang)}
    for path, value in EDITS:
        document = copy.deepcopy(whole())
        edit(path, value)(document)
        told[f"{path}={value}"] = describe(read_definition(json.dumps(document)), lang)
    same = {text: [name for name, each in told.items() if each == text] for text in told.values()}
    assert [names for names in same.values() if len(names) > 1] == []


WINDOWS = [
    ((-365, -1), "de 365 jours à 1 jour avant l’entrée", "from 365 days to 1 day before entry"),
    ((-30, -7), "de 30 à 7 jours avant l’entrée", "from 30 to 7 days before entry"),
    ((-30, 0), "de 30 jours avant l’entrée jusqu’au jour même", "from 30 days before entry to that very day"),
    ((-7, 7), "de 7 jours avant à 7 jours après l’entrée", "from 7 days before to 7 days after entry"),
    ((0, 14), "du jour de l’entrée à 14 jours après", "from the day of entry to 14 days after"),
    ((1, 30), "de 1 jour à 30 jours après l’entrée", "from 1 day to 30 days after entry"),
    ((0, 0), "le jour de l’entrée", "on the day of entry"),
    ((-3, -3), "exactement 3 jours avant l’entrée", "exactly 3 days before entry"),
    ((None, 0), "jusqu’au jour de l’entrée", "up to the day of entry"),
    ((None, -1), "jusqu’à la veille de l’entrée", "up to the day before entry"),
    ((None, -7), "jusqu’à 7 jours avant l’entrée", "up to 7 days before entry"),
    ((None, 7), "jusqu’à 7 jours après l’entrée", "up to 7 days after entry"),
    ((0, None), "à partir du jour de l’entrée", "from the day of entry on"),
    ((1, None), "à partir du lendemain de l’entrée", "from the day after entry on"),
    ((-7, None), "à partir de 7 jours avant l’entrée", "from 7 days before entry on"),
    ((None, None), "à tout moment du suivi", "at any time while observed"),
    ((5, 3), "du jour +5 au jour +3 de l’entrée", "from day +5 to day +3 of entry"),
]


@pytest.mark.parametrize(("edges", "french", "english"), WINDOWS)
def test_windows(edges: tuple[int | None, int | None], french: str, english: str) -> None:
    asked = read_definition(definition(BLEED, sets=SETS, InclusionRules=[rule(match(BLEED, *edges))]))
    assert f"au moins un diagnostic de « nought » {french} ;" in describe(asked, "fr")
    assert f"at least one diagnosis of “nought” {english};" in describe(asked, "en")


def told(lang: Lang = "fr", *entry: dict[str, Any], **members: Any) -> str:
    return describe(read_definition(definition(*(entry or (BLEED,)), sets=SETS, **members)), lang)


def limited(kind: str, *entry: dict[str, Any]) -> str:
    document = json.loads(definition(*entry, sets=SETS))
    document["PrimaryCriteria"]["PrimaryCriteriaLimit"] = {"Type": kind}
    return describe(read_definition(json.dumps(document)), "fr").split(" ;")[0]


def test_how_patients_enter() -> None:
    drug = {"DrugExposure": {"CodesetId": 1}}
    assert limited("All", BLEED) == "Les patients entrent à chaque diagnostic de « nought »"
    assert limited("First", drug) == "Les patients entrent lors de leur première exposition médicamenteuse à « one »"
    assert limited("Last", BLEED) == "Les patients entrent lors de leur dernier diagnostic de « nought »"
    ever = {"DrugExposure": {"CodesetId": 1, "First": True}}
    assert limited("All", ever).startswith("Les patients entrent lors de leur toute première exposition")
    assert limited("First", BLEED, drug) == (
        "Les patients entrent au premier de ces événements : "
        "un diagnostic de « nought » ou une exposition médicamenteuse à « one »"
    )


def test_a_stay_under_way() -> None:
    stay = match({"VisitOccurrence": {"CodesetId": 2}}, None, 0)
    stay["EndWindow"] = match(BLEED, 0, None)["StartWindow"]
    assert "au moins un séjour ou passage « two » en cours le jour de l’entrée ;" in told(InclusionRules=[rule(stay)])
    assert "at least one visit “two” under way on the day of entry;" in told("en", InclusionRules=[rule(stay)])


def test_values_as_they_are_written_here() -> None:
    criterion = {
        "Measurement": {
            "CodesetId": 1,
            "ValueAsNumber": {"Value": 6.5, "Extent": 1200, "Op": "bt"},
            "Age": {"Value": 1, "Op": "lt"},
            "OccurrenceStartDate": {"Value": "2020-03-01", "Op": "gte"},
            "Gender": [{"CONCEPT_ID": 8507, "CONCEPT_NAME": "MALE"}],
        }
    }
    french, english = (told(lang, criterion) for lang in LANGS)
    assert "(début à partir du 1er mars 2020, valeur de 6,5 à 1200, âge < 1 an, de sexe masculin)" in french
    assert "(start from 1 March 2020 on, value from 6.5 to 1200, age < 1 year, male)" in english


def test_library(shared: Path) -> None:
    """No doubled space, no empty quotes, no brace, no doubled article, nothing left in English between French words."""
    files = sorted((shared / "data/circe/phenotype_library").glob("*.json"))[::20]
    bad = re.compile(r"  |“”|« »|\{|\bleur (un|une|leur)\b|\btheir (a|an|their)\b|\bde le\b|\bà le\b| ,|\(\)")
    for file in files:
        for lang in LANGS:
            text = describe(read_definition(file), lang)
            assert not bad.search(text.replace("\u00a0", " ")), (file.name, bad.search(text))
            assert text.endswith(".")


def test_the_last_of_first_events_is_the_first() -> None:
    first = {"ConditionOccurrence": {"CodesetId": 0, "First": True}}
    told = describe(read_definition(definition(first, PrimaryCriteriaLimit={"Type": "Last"})), "fr")
    assert "lors de leur tout premier diagnostic" in told


def test_brackets_stand_once_and_days_are_said_once() -> None:
    nothing = {"Type": "ANY", "Groups": [{"Type": "ALL"}]}
    visit = {"VisitOccurrence": {"VisitLength": {"Value": 9, "Op": "gt"}}}
    both = {"Type": "AT_LEAST", "Count": 2, "CriteriaList": [match(visit, -30, 0)], "Groups": [nothing]}
    made = read_definition(definition(BLEED, InclusionRules=[{"name": "r", "expression": both}]))
    assert "((" not in describe(made, "fr")
    assert "(durée > 9 jours)" in describe(made, "fr")
    assert "(length > 9 days)" in describe(made, "en")


def test_an_earlier_exit_reads_well_with_a_first_event() -> None:
    first = {"ConditionOccurrence": {"CodesetId": 0, "First": True}}
    told = describe(read_definition(definition(BLEED, CensoringCriteria=[first])), "fr")
    assert "ou plus tôt, dès leur tout premier diagnostic" in told
