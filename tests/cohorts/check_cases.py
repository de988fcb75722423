"""One row a question: its code, the path of the part, a definition that raises it and one that nearly does.

A definition is given by what it changes of a plain one, whose entry event is a diagnosis of concept set 0.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from tests.cohorts.conftest import BLEED, concept, concept_set, definition
from workbench.cohorts.circe import Definition, read_definition

Change = dict[str, Any]
ENTRY = "$.PrimaryCriteria.CriteriaList[0].ConditionOccurrence"
RULE = "$.InclusionRules[0].expression"
FIRST = f"{RULE}.CriteriaList[0]"


@dataclass(frozen=True)
class Case:
    """`path` is where the question stands; `asks` raises it, `near` does not."""

    code: str
    path: str
    asks: Change
    near: Change


def made(change: Change) -> Definition:
    """A plain definition with a change."""
    members = dict(change)
    entry = members.pop("entry", [BLEED])
    sets = members.pop("sets", None)
    document = json.loads(definition(*entry, sets=sets, **members))
    if "PrimaryCriteriaLimit" in members:
        document["PrimaryCriteria"]["PrimaryCriteriaLimit"] = document.pop("PrimaryCriteriaLimit")
    if "ObservationWindow" in members:
        document["PrimaryCriteria"]["ObservationWindow"].update(document.pop("ObservationWindow"))
    document["QualifiedLimit"] = members.get("QualifiedLimit", {"Type": "All"})
    return Definition(document, "c") if members.get("broken") else read_definition(json.dumps(document))


def window(low: int | None, high: int | None, **more: Any) -> Change:
    """A window in days; None is an open side."""

    def edge(days: int | None, sign: int) -> Change:
        return {"Coeff": sign} if days is None else {"Days": abs(days), "Coeff": 1 if days > 0 else -1}

    return {"Start": edge(low, -1), "End": edge(high, 1), **more}


def match(criterion: Change, low: int | None = None, high: int | None = None, kind: int = 2, count: int = 1,
          **more: Any) -> Change:  # fmt: skip
    """A criterion of a group: at least one in a window, unless told otherwise."""
    occurrence = {"Type": kind, "Count": count, **more.pop("occurrence", {})}
    return {"Criteria": criterion, "StartWindow": window(low, high), "Occurrence": occurrence, **more}


def rule(*matches: Change, kind: str = "ALL", name: str = "r", people: tuple[Change, ...] = (), **more: Any) -> Change:
    """One inclusion rule."""
    group = {"Type": kind, "CriteriaList": list(matches), "DemographicCriteriaList": list(people), "Groups": [], **more}
    return {"name": name, "expression": group}


def rules(*each: Change, **more: Any) -> Change:
    """A change: these inclusion rules, and a second concept set (1), a drug (2)."""
    return {"InclusionRules": list(each), "sets": SETS, **more}


def entry(**attributes: Any) -> Change:
    """A change: attributes of the entry event."""
    return {"entry": [{"ConditionOccurrence": {"CodesetId": 0, **attributes}}]}


def one(kind: str, **attributes: Any) -> Change:
    """A change: an entry event of another kind."""
    return {"entry": [{kind: {"CodesetId": 0, **attributes}}]}


def items(*each: Change, key: int = 0, name: str = "set 0") -> Change:
    """A change: the items of concept set 0."""
    return {"sets": [{"id": key, "name": name, "expression": {"items": list(each)}}]}


def item(
    concept_id: int, excluded: bool = False, descendants: bool = True, mapped: bool = False, **more: Any
) -> Change:
    """An item of a concept set."""
    flags = {"isExcluded": excluded, "includeDescendants": descendants, "includeMapped": mapped}
    return {"concept": {**concept(concept_id), **more}, **flags}


def limits(primary: str = "All", expression: str = "All", **more: Any) -> Change:
    """A change: limits."""
    return {"PrimaryCriteriaLimit": {"Type": primary}, "ExpressionLimit": {"Type": expression}, **more}


def leaving(side: str, days: int) -> Change:
    """A change: the cohort ends some days after the entry event's start or end."""
    return {"EndStrategy": {"DateOffset": {"DateField": side, "Offset": days}}}


def drug(**domain: Any) -> Change:
    """A concept set 2 of a drug."""
    return {"id": 2, "name": "drug", "expression": {"items": [item(1118084, DOMAIN_ID="Drug", **domain)]}}


def between(low: Any, high: Any, op: str = "bt") -> Change:
    """A range."""
    return {"Value": low, "Extent": high, "Op": op}


def than(op: str, value: Any) -> Change:
    """A bound."""
    return {"Value": value, "Op": op}


SOURCE = {"ConditionOccurrence": {"ConditionSourceConcept": 0}}
OTHER = {"ConditionOccurrence": {"CodesetId": 1}}
USED = rule(match(OTHER), match({"DrugExposure": {"CodesetId": 2}}), kind="ANY", name="used")
SETS = [concept_set(0, 192671), concept_set(1, 4027663), drug()]
OFFSET = {"DateOffset": {"DateField": "StartDate", "Offset": 30}}
MALE, FEMALE = ({"CONCEPT_ID": i, "CONCEPT_NAME": n, "DOMAIN_ID": "Gender"} for i, n in ((8507, "M"), (8532, "F")))
DAY_OFF = {"StartWith": "START_DATE", "EndWith": "START_DATE"}
VALUE = than("gt", 5)
UNIT = [{"CONCEPT_ID": 8840, "CONCEPT_NAME": "mg/dL", "DOMAIN_ID": "Unit"}]

CASES = [
    Case("cannot_run", f"{ENTRY}.CodesetId", {**entry(CodesetId=7), "broken": True}, {}),
    Case("unknown_member", "$.Author", {"Author": "x"}, {"Title": "x"}),
    # concept sets
    Case("set_unused", "$.ConceptSets[1]", {"sets": SETS[:2]}, rules(USED)),
    Case("set_empty", "$.ConceptSets[0]", items(), items(item(1))),
    Case("set_only_excluded", "$.ConceptSets[0]", items(item(1, True)), items(item(1, True), item(2))),
    Case("set_unnamed", "$.ConceptSets[0]", items(item(1), name=" "), items(item(1), name="0")),
    Case(
        "set_same_name", "$.ConceptSets[1]",
        rules(USED, sets=[concept_set(0, 1, name="A"), concept_set(1, 2, name="a"), drug()]),
        rules(USED, sets=[concept_set(0, 1, name="A"), concept_set(1, 2, name="b"), drug()]),
    ),
    Case(
        "set_same_concepts", "$.ConceptSets[1]",
        rules(USED, sets=[concept_set(0, 1), concept_set(1, 1), drug()]),
        rules(USED, sets=[concept_set(0, 1), concept_set(1, 1, 2), drug()]),
    ),
    Case("concept_twice", "$.ConceptSets[0].expression.items[1]", items(item(1), item(1)), items(item(1), item(2))),
    Case(
        "concept_in_and_out", "$.ConceptSets[0].expression.items[1]", items(item(1), item(1, True)),
        items(item(1), item(1, True, False)),
    ),
    Case(
        "not_standard", "$.ConceptSets[0].expression.items[0]", items(item(1, STANDARD_CONCEPT="N")),
        items(item(1, mapped=True, STANDARD_CONCEPT="N"), item(2, STANDARD_CONCEPT="C")),
    ),
    Case(
        "not_standard", "$.ConceptSets[0].expression.items[0]", items(item(1, descendants=False, STANDARD_CONCEPT="C")),
        {**items(item(1, STANDARD_CONCEPT="N")), "entry": [SOURCE]},
    ),
    Case(
        "concept_invalid", "$.ConceptSets[0]", items(item(1, INVALID_REASON="D"), item(2, INVALID_REASON="U")),
        items(item(1, INVALID_REASON="V"), item(2, True, INVALID_REASON="D")),
    ),
    # criteria
    Case("no_set", ENTRY, {"entry": [{"ConditionOccurrence": {}}]}, {"entry": [BLEED, {"VisitOccurrence": {}}]}),
    Case(
        "domain_wrong", f"{ENTRY}.CodesetId", items(item(1, DOMAIN_ID="Measurement")),
        items(item(1, DOMAIN_ID="Condition/Device")),
    ),
    Case(
        "domain_partly_wrong", f"{ENTRY}.CodesetId",
        items(item(1, DOMAIN_ID="Drug"), item(2, DOMAIN_ID="Condition")),
        {**items(item(1, DOMAIN_ID="Drug"), item(2, DOMAIN_ID="Condition")),
         "entry": [BLEED, {"DrugExposure": {"CodesetId": 0}}]},
    ),
    Case(
        "source_standard", f"{ENTRY}.ConditionSourceConcept", {"entry": [SOURCE]},
        {**items(item(1, STANDARD_CONCEPT="N"), item(2)), "entry": [SOURCE]},
    ),
    Case(
        "member_ignored", "$.PrimaryCriteria.CriteriaList[0].DrugExposure.EffectiveDrugDose",
        one("DrugExposure", EffectiveDrugDose=VALUE), one("DrugExposure", Quantity=VALUE),
    ),
    Case("member_ignored", "$.PrimaryCriteria.CriteriaList[0].Death.First", one("Death", First=True),
         entry(First=True)),
    Case(
        "member_ignored", "$.PrimaryCriteria.CriteriaList[0].Specimen.DateAdjustment",
        one("Specimen", DateAdjustment=DAY_OFF), one("Death", DateAdjustment=DAY_OFF),
    ),
    Case(
        "member_ignored", "$.PrimaryCriteria.CriteriaList[0].ObservationPeriod.CodesetId", one("ObservationPeriod"),
        {"entry": [BLEED, {"ObservationPeriod": {}}]},
    ),
    Case("concepts_empty", f"{ENTRY}.Gender", entry(Gender=[]), entry(Gender=[MALE])),
    Case("concept_kind_wrong", f"{ENTRY}.Gender[0]", entry(Gender=UNIT), entry(Gender=[MALE], ConditionType=UNIT)),
    Case("selection_empty", f"{ENTRY}.GenderCS", entry(GenderCS={}), entry(GenderCS={"CodesetId": 0})),
    Case("text_empty", f"{ENTRY}.StopReason", entry(StopReason={"Op": "contains"}),
         entry(StopReason={"Op": "contains", "Text": "x"})),
    Case("adjust_empty", f"{ENTRY}.DateAdjustment", entry(DateAdjustment={**DAY_OFF, "StartOffset": 3, "EndOffset": 2}),
         entry(DateAdjustment={**DAY_OFF, "StartOffset": 3, "EndOffset": 3})),
    Case("range_empty", f"{ENTRY}.Age", entry(Age=between(40, 30)), entry(Age=between(40, 40))),
    Case("range_empty", f"{ENTRY}.OccurrenceStartDate", entry(OccurrenceStartDate=between("2020-01-02", "2020-01-01")),
         entry(OccurrenceStartDate=between("2020-01-01", "2020-01-02"))),
    Case(
        "range_empty", "$.PrimaryCriteria.CriteriaList[0].ObservationPeriod.UserDefinedPeriod",
        {"entry": [{"ObservationPeriod": {"UserDefinedPeriod": {"StartDate": "2020-01-02", "EndDate": "2020-01-01"}}}]},
        {"entry": [{"ObservationPeriod": {"UserDefinedPeriod": {"StartDate": "2020-01-01", "EndDate": "2020-01-01"}}}]},
    ),
    Case("range_idle", f"{ENTRY}.Age", entry(Age=than("gte", 0)), entry(Age=than("gte", 1))),
    Case("range_idle", f"{ENTRY}.Age", entry(Age=between(40, 30, "!bt")), entry(Age=between(30, 40, "!bt"))),
    Case("range_idle", f"{ENTRY}.Age", entry(Age=than("lte", 130)), entry(Age=than("lte", 90))),
    Case("value_impossible", f"{ENTRY}.Age", entry(Age=than("gt", 130)), entry(Age=than("gt", 90))),
    Case(
        "value_impossible", "$.PrimaryCriteria.CriteriaList[0].DrugExposure.DaysSupply",
        one("DrugExposure", DaysSupply=than("lt", 0)), one("DrugExposure", DaysSupply=than("lte", 0)),
    ),
    Case(
        "value_impossible", f"{RULE}.DemographicCriteriaList[0].Age",
        rules(rule(people=({"Age": than("lt", 0)},)), sets=SETS[:1]),
        rules(rule(people=({"Age": than("lt", 18)},)), sets=SETS[:1]),
    ),
    Case(
        "value_without_unit", "$.PrimaryCriteria.CriteriaList[0].Measurement", one("Measurement", ValueAsNumber=VALUE),
        one("Measurement", ValueAsNumber=VALUE, Unit=UNIT),
    ),
    Case(
        "value_without_unit", "$.PrimaryCriteria.CriteriaList[0].Measurement",
        one("Measurement", RangeHighRatio=VALUE, ValueAsNumber=VALUE), one("Measurement", RangeHighRatio=VALUE),
    ),
    Case(
        "value_without_unit", "$.PrimaryCriteria.CriteriaList[0].Measurement", one("Measurement", RangeHigh=VALUE),
        one("Measurement", RangeHighRatio=VALUE, RangeHigh=VALUE, ValueAsNumber=than("gt", 0)),
    ),
    Case(
        "first_before_tests", "$.PrimaryCriteria.CriteriaList[0].Measurement",
        one("Measurement", First=True, ValueAsNumber=VALUE), one("Measurement", First=True, Age=than("gte", 18)),
    ),
    Case(
        "drug_end_date", "$.PrimaryCriteria.CriteriaList[0].DrugExposure.OccurrenceEndDate",
        one("DrugExposure", OccurrenceEndDate=than("gt", "2020-01-01")),
        one("DrugExposure", OccurrenceStartDate=than("gt", "2020-01-01")),
    ),
    # windows and counts
    Case("window_empty", f"{FIRST}.StartWindow", rules(rule(match(OTHER, 5, 3)), USED),
         rules(rule(match(OTHER, 3, 3)), USED)),
    Case(
        "window_before_observation", f"{FIRST}.StartWindow",
        rules(rule(match(OTHER, StartWindow={"Start": {"Coeff": -1}, "End": {"Coeff": -1}})), USED),
        rules(rule(match(OTHER)), USED),
    ),
    Case(
        "window_after_observation", f"{FIRST}.StartWindow",
        rules(rule(match(OTHER, StartWindow={"Start": {"Coeff": 1}, "End": {"Coeff": 1}})), USED),
        rules(rule(match(OTHER)), USED),
    ),
    Case(
        "window_negative_days", f"{FIRST}.StartWindow.Start",
        rules(rule(match(OTHER, StartWindow={"Start": {"Days": -30, "Coeff": -1}, "End": {"Coeff": 1}})), USED),
        rules(rule(match(OTHER, -30)), USED),
    ),
    Case(
        "window_unobserved", f"{FIRST}.StartWindow", rules(rule(match(OTHER, -365, -1, 0, 0)), USED),
        rules(rule(match(OTHER, -365, -1, 0, 0)), USED, ObservationWindow={"PriorDays": 365}),
    ),
    Case(
        "follow_up_unobserved", f"{FIRST}.StartWindow", rules(rule(match(OTHER, 0, 30, 1, 2)), USED),
        rules(rule(match(OTHER, 0, 30, 2, 2)), USED),
    ),
    Case(
        "windows_contradict", FIRST, rules(rule(match(OTHER, 10, 20, EndWindow=window(0, 9))), USED),
        rules(rule(match(OTHER, 10, 20, EndWindow=window(0, 10))), USED),
    ),
    Case("death_before", FIRST, rules(rule(match({"Death": {}}, -30, -1)), USED),
         rules(rule(match({"Death": {}}, -30, 0)), rule(match({"Death": {}}, -30, -1, 0, 0), name="x"), USED)),
    Case("count_at_least_zero", f"{FIRST}.Occurrence", rules(rule(match(OTHER, 0, 9, 2, 0)), USED),
         rules(rule(match(OTHER, 0, 9, 0, 0)), USED)),
    Case(
        "first_many", f"{FIRST}.Occurrence",
        rules(rule(match({"ConditionOccurrence": {"CodesetId": 1, "First": True}}, 0, 9, 2, 2)), USED),
        rules(rule(match({"ConditionOccurrence": {"CodesetId": 1, "First": True}}, 0, 9, 1, 2)), USED),
    ),
    Case("distinct_one", f"{FIRST}.Occurrence", rules(rule(match(OTHER, occurrence={"IsDistinct": True})), USED),
         rules(rule(match(OTHER, None, None, 2, 2, occurrence={"IsDistinct": True})), USED)),
    Case(
        "visit_never", f"{FIRST}.RestrictVisit",
        rules(rule(match({"DrugEra": {"CodesetId": 2}}, RestrictVisit=True)), USED),
        rules(rule(match(OTHER, RestrictVisit=True)), USED),
    ),
    # groups and rules
    Case("rule_unnamed", "$.InclusionRules[0]", rules(rule(match(OTHER), name="")), rules(rule(match(OTHER)))),
    Case("group_empty", RULE, rules(rule()), rules(rule(people=({"Age": than("gte", 18)},)))),
    Case("group_impossible", RULE, rules(rule(match(OTHER), kind="AT_LEAST", Count=2)),
         rules(rule(match(OTHER), kind="AT_LEAST", Count=1))),
    Case("group_idle", RULE, rules(rule(match(OTHER), kind="AT_LEAST", Count=0)),
         rules(rule(match(OTHER), kind="AT_MOST", Count=0))),
    Case("group_idle", RULE, rules(rule(match(OTHER), match(OTHER, 1, 9), kind="AT_MOST", Count=2)),
         rules(rule(match(OTHER), match(OTHER, 1, 9), kind="AT_MOST", Count=1))),
    Case("rule_twice", "$.InclusionRules[1]", rules(rule(match(OTHER)), rule(match(OTHER), name="s")),
         rules(rule(match(OTHER)), rule(match(OTHER, 0, 9), name="s"))),
    Case("criterion_twice", f"{RULE}.CriteriaList[1]", rules(rule(match(OTHER), match(OTHER))),
         rules(rule(match(OTHER), match(OTHER, 0, 9)))),
    Case("criterion_twice", "$.PrimaryCriteria.CriteriaList[1]", {"entry": [BLEED, BLEED]},
         {"entry": [BLEED, {"ConditionOccurrence": {"CodesetId": 0, "First": True}}]}),
    # logic
    Case(
        "contradiction", "$.InclusionRules[1].expression.CriteriaList[0]",
        rules(rule(match(OTHER, -30, 0)), rule(match(OTHER, -365, 0, 0, 0), name="s")),
        rules(rule(match(OTHER, -365, 0)), rule(match(OTHER, -30, 0, 0, 0), name="s")),
    ),
    Case(
        "contradiction", f"{RULE}.CriteriaList[1]",
        rules(rule(match(OTHER, 0, 9, 2, 3), match(OTHER, 0, 9, 1, 2))),
        rules(rule(match(OTHER, 0, 9, 2, 3), match(OTHER, 0, 9, 1, 2), kind="ANY")),
    ),
    Case(
        "contradiction", f"{RULE}.DemographicCriteriaList[1]",
        rules(rule(people=({"Age": than("lt", 18)}, {"Age": than("gte", 18)}))),
        rules(rule(people=({"Age": than("lte", 18)}, {"Age": than("gte", 18)}))),
    ),
    Case(
        "contradiction", f"{RULE}.DemographicCriteriaList[0]",
        rules(rule(people=({"Gender": [MALE]},)), **entry(Gender=[FEMALE])),
        rules(rule(people=({"Gender": [MALE]},)), **entry(Gender=[FEMALE, MALE])),
    ),
    Case(
        "rule_implied", "$.InclusionRules[1].expression.CriteriaList[0]",
        rules(rule(match(OTHER, -30, 0)), rule(match(OTHER, -365, 0), name="s")),
        rules(rule(match(OTHER, -30, 5)), rule(match(OTHER, -365, 0), name="s")),
    ),
    Case(
        "rule_implied", "$.InclusionRules[0].expression.CriteriaList[0]",
        rules(rule(match(OTHER, -30, 0, 0, 0)), rule(match(OTHER, -365, 0, 0, 0), name="s")),
        rules(rule(match(OTHER, -30, 0, 1, 1)), rule(match(OTHER, -365, 0, 1, 2), name="s")),
    ),
    Case("excludes_everybody", FIRST, rules(rule(match(BLEED, -365, 0, 0, 0)), USED),
         rules(rule(match(BLEED, -365, -1, 0, 0)), USED)),
    Case("excludes_nobody", FIRST, rules(rule(match(BLEED, -365, 0)), USED),
         rules(rule(match(BLEED, -365, 0, 2, 2)), USED)),
    Case(
        "excludes_nobody", FIRST, rules(rule(match(BLEED, 0, 0)), USED, **entry(Age=than("gt", 50), First=True)),
        rules(rule(match(BLEED, 0, 0)), USED, entry=[BLEED, {"Death": {}}]),
    ),
    Case("censor_at_entry", "$.CensoringCriteria[0]", {"CensoringCriteria": [BLEED]},
         rules(USED, CensoringCriteria=[OTHER])),
    # the whole
    Case(
        "qualified_idle", "$.QualifiedLimit", {"QualifiedLimit": {"Type": "First"}, "EndStrategy": OFFSET},
        {"QualifiedLimit": {"Type": "First"}, "AdditionalCriteria": rule(match(OTHER))["expression"], "sets": SETS[:2]},
    ),
    Case("limits_contradict", "$.ExpressionLimit", limits("First", "Last"), limits("First", "First")),
    Case("limit_idle", "$.PrimaryCriteria.PrimaryCriteriaLimit", {**limits("Last"), **entry(First=True)},
         {**limits("Last"), **entry(First=False)}),
    Case("days_negative", "$.PrimaryCriteria.ObservationWindow.PriorDays", {"ObservationWindow": {"PriorDays": -1}},
         {"ObservationWindow": {"PriorDays": 1}}),
    Case("days_negative", "$.CollapseSettings.EraPad", {"CollapseSettings": {"CollapseType": "ERA", "EraPad": -1}},
         {"CollapseSettings": {"CollapseType": "ERA", "EraPad": 1}}),
    Case(
        "days_negative", "$.EndStrategy.CustomEra.GapDays",
        rules(USED, EndStrategy={"CustomEra": {"DrugCodesetId": 2, "GapDays": -1}}),
        rules(USED, EndStrategy={"CustomEra": {"DrugCodesetId": 2, "GapDays": 0}}),
    ),
    Case("prior_long", "$.PrimaryCriteria.ObservationWindow.PriorDays", {"ObservationWindow": {"PriorDays": 9999}},
         {"ObservationWindow": {"PriorDays": 3650}}),
    Case("exit_negative", "$.EndStrategy.DateOffset", leaving("StartDate", -1), leaving("EndDate", -1)),
    Case("exit_before_end", "$.EndStrategy.DateOffset", leaving("EndDate", -1), leaving("EndDate", 0)),
    Case("exit_zero", "$.EndStrategy.DateOffset", leaving("StartDate", 0), leaving("StartDate", 1)),
    Case(
        "exit_drug_foreign", "$.EndStrategy.CustomEra",
        rules(USED, EndStrategy={"CustomEra": {"DrugCodesetId": 2, "GapDays": 30}}),
        {"entry": [{"DrugExposure": {"CodesetId": 2}}], "sets": SETS[2:],
         "EndStrategy": {"CustomEra": {"DrugCodesetId": 2, "GapDays": 30}}},
    ),
    Case("all_until_observation_ends", "$.EndStrategy", limits("All", "All"), limits("All", "First")),
    Case("all_until_observation_ends", "$.EndStrategy", limits("All", "All"), limits("All", "All", EndStrategy=OFFSET)),
    Case("pad_idle", "$.CollapseSettings.EraPad", limits("First", CollapseSettings={"EraPad": 7}),
         limits("All", CollapseSettings={"EraPad": 7})),
    Case(
        "pad_over_washout", "$.CollapseSettings.EraPad",
        rules(rule(match(BLEED, -30, -1, 0, 0)), USED, CollapseSettings={"EraPad": 31}),
        rules(rule(match(BLEED, -30, -1, 0, 0)), USED, CollapseSettings={"EraPad": 30}),
    ),
    Case("clip_empty", "$.CensorWindow", {"CensorWindow": {"StartDate": "2020-01-02", "EndDate": "2020-01-01"}},
         {"CensorWindow": {"StartDate": "2020-01-01", "EndDate": "2020-01-01"}}),
    Case("date_future", f"{ENTRY}.OccurrenceStartDate.Value", entry(OccurrenceStartDate=than("lt", "2031-01-01")),
         entry(OccurrenceStartDate=than("lt", "2030-01-01"))),
    Case("date_future", "$.CensorWindow.StartDate", {"CensorWindow": {"StartDate": "2031-01-01"}},
         {"CensorWindow": {"EndDate": "2099-12-31"}}),
]  # fmt: skip
