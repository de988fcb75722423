"""Questions about single criteria: their concept sets, their attributes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import date
from decimal import Decimal

from workbench.cohorts.check_reading import Criterion, Question, Reading
from workbench.cohorts.check_sets import flags_of, items_of, name_of
from workbench.cohorts.document import Part
from workbench.cohorts.domains import IGNORED, Attribute
from workbench.kernel.errors import UserError

DOMAINS_OF: Mapping[str, frozenset[str]] = {
    "ConditionOccurrence": frozenset({"Condition"}),
    "ConditionEra": frozenset({"Condition"}),
    "DrugExposure": frozenset({"Drug"}),
    "DrugEra": frozenset({"Drug"}),
    "DoseEra": frozenset({"Drug"}),
    "ProcedureOccurrence": frozenset({"Procedure"}),
    "Measurement": frozenset({"Measurement", "Meas"}),
    "DeviceExposure": frozenset({"Device"}),
    "VisitOccurrence": frozenset({"Visit"}),
    "VisitDetail": frozenset({"Visit"}),
    "Specimen": frozenset({"Specimen"}),
}
"""The domains whose concepts a table holds. Observations and causes of death may be of any."""
_KINDS: Mapping[str, frozenset[str]] = {
    "Gender": frozenset({"Gender"}),
    "Race": frozenset({"Race"}),
    "Ethnicity": frozenset({"Ethnicity"}),
    "Unit": frozenset({"Unit"}),
    "DoseUnit": frozenset({"Unit"}),
    "RouteConcept": frozenset({"Route"}),
    "Operator": frozenset({"Meas Value Operator"}),
}
_NEEDS_SET = frozenset(DOMAINS_OF) - {"VisitOccurrence", "VisitDetail", "Specimen"} | {"Observation"}
_NOT_NEGATIVE = frozenset({"length", "age_at_start", "age_at_end", "refills", "quantity", "days_supply", "gap_days",
                           "condition_occurrence_count", "drug_exposure_count"})  # fmt: skip
_MEASURED = ("ValueAsNumber", "RangeLow", "RangeHigh")
_CHOSEN_BY_VALUE = frozenset(
    {"ValueAsNumber", "ValueAsConcept", "ValueAsConceptCS", "ValueAsString", "RangeLow", "RangeHigh", "RangeLowRatio",
     "RangeHighRatio", "Abnormal", "Quantity", "DaysSupply", "Refills"}
)  # fmt: skip
OLDEST = 120


def _sets(reading: Reading) -> Iterator[Question]:
    """Criteria without a concept set, and sets whose concepts live in other tables."""
    for each in reading.criteria:
        codes = each.part.get("CodesetId")
        source = each.part.get(each.spec.source_member) if each.spec.source_member else Part(None)
        if not codes and not source and each.spec.criteria in _NEEDS_SET:
            yield Question("no_set", each.part.path)
        if codes and "UserDefinedPeriod" in each.spec.attributes:
            yield Question("member_ignored", codes.path, {"member": "CodesetId"})
            continue
        chosen = reading.set_of(codes)
        if chosen is not None and each.spec.criteria in DOMAINS_OF:
            domains = [_domain(item) for item in items_of(chosen) if not flags_of(item)[0]]
            yield from wrong_domains(reading, chosen, each, domains)
        if source and (of := reading.set_of(source)) is not None:
            items = [item.get("concept").get("STANDARD_CONCEPT").value for item in items_of(of)]
            if items and all(standard == "S" for standard in items):
                yield Question("source_standard", source.path, {"name": name_of(of)})


def wrong_domains(reading: Reading, chosen: Part, each: Criterion, domains: list[str]) -> Iterator[Question]:
    """Yield the question that a set's concepts, by their domains, are not those that a criterion's table holds.

    Some of them may be: where other criteria look for the others in their own tables, all is well.
    """
    known = [domain for domain in domains if domain]
    other = [domain for domain in known if not _fits(domain, {each.spec.criteria})]
    users = {one.spec.criteria for one in reading.criteria if reading.set_of(one.part.get("CodesetId")) is chosen}
    nowhere = [domain for domain in other if not _fits(domain, users)]
    facts = {"name": name_of(chosen), "table": each.spec.table}
    if other and len(other) == len(known):
        facts["domains"] = ", ".join(dict.fromkeys(other))
        yield Question("domain_wrong", f"{each.part.path}.CodesetId", facts)
    elif nowhere:
        facts["domains"] = ", ".join(dict.fromkeys(nowhere))
        yield Question("domain_partly_wrong", f"{each.part.path}.CodesetId", {**facts, "count": len(nowhere)})


def _fits(domain: str, criteria: set[str]) -> bool:
    """Whether a table of one of these criteria holds concepts of a domain; observations may be of any."""
    return any(each not in DOMAINS_OF or DOMAINS_OF[each] & set(domain.split("/")) for each in criteria)


def _domain(item: Part) -> str:
    return str(item.get("concept").get("DOMAIN_ID").value or "")


def _members(reading: Reading) -> Iterator[Question]:
    """Members that Circe reads and never uses, or that have nothing in them."""
    for each in reading.criteria:
        part, spec = each.part, each.spec
        ignored = [name for name in IGNORED.get(spec.criteria, ()) if part.get(name)]
        ignored += ["DateAdjustment"] if part.get("DateAdjustment") and not spec.adjusts else []
        ignored += ["First"] if part.get("First").flag() and spec.criteria in ("Death", "LocationRegion") else []
        for name in ignored:
            yield Question("member_ignored", f"{part.path}.{name}", {"member": name})
        for name, attribute in spec.attributes.items():
            yield from _attribute(part.get(name), attribute)
        yield from _dates(part)


def _attribute(part: Part, attribute: Attribute) -> Iterator[Question]:
    """A list without concepts, a selection without a set, a text without words; concepts of another kind."""
    if not part:
        return
    if attribute.kind == "concepts":
        concepts = list(part.each())
        if not concepts:
            yield Question("concepts_empty", part.path, {"member": part.name})
        wanted = _KINDS.get(part.name, frozenset[str]())
        other = [each for each in concepts if wanted and str(each.get("DOMAIN_ID").value or "") not in {"", *wanted}]
        for each in other:
            facts = {"name": str(each.get("CONCEPT_NAME").value or each.get("CONCEPT_ID").value), "member": part.name}
            yield Question("concept_kind_wrong", each.path, facts)
    elif attribute.kind == "selection" and not part.get("CodesetId"):
        yield Question("selection_empty", part.path, {"member": part.name})
    elif attribute.kind == "text" and not str(part.get("Text").value or "").strip():
        yield Question("text_empty", part.path, {"member": part.name})


def _dates(part: Part) -> Iterator[Question]:
    """Moved dates that end before they start, a period of one's own that does."""
    moved = part.get("DateAdjustment")
    if moved and moved.get("StartWith").value == moved.get("EndWith").value is not None:
        low, high = moved.get("StartOffset").whole(0), moved.get("EndOffset").whole(0)
        if low > high:
            yield Question("adjust_empty", moved.path, {"low": low, "high": high})
    period = part.get("UserDefinedPeriod")
    start, end = period.get("StartDate"), period.get("EndDate")
    if start and end and start.day() > end.day():
        yield Question("range_empty", period.path, {"low": str(start.value), "high": str(end.value)})


def _ranges(reading: Reading) -> Iterator[Question]:
    """Ranges that hold nothing, or everything; numbers that nothing can have."""
    for part in reading.parts:
        if not (part.get("Op") and part.get("Value")):
            continue
        try:
            ends = _ends(part)
        except UserError:
            continue
        word, low, high = str(part.get("Op").value), ends[0], ends[-1]
        if word.endswith("bt") and len(ends) > 1 and low > high:  # type: ignore[operator]
            code = "range_empty" if word == "bt" else "range_idle"
            yield Question(code, part.path, {"low": str(low), "high": str(high)})
        elif isinstance(low, Decimal) and isinstance(high, Decimal):
            yield from _impossible(part, word, low, high, _field(reading, part))


def _field(reading: Reading, part: Part) -> str:
    """What a range tests: the field of its criterion, or of a demographic one."""
    holder = part.path.removesuffix(f".{part.name}")
    for each in reading.criteria:
        if each.part.path == holder and part.name in each.spec.attributes:
            return each.spec.attributes[part.name].field
    return "age_at_start" if part.name == "Age" else ""


def _impossible(part: Part, word: str, low: Decimal, high: Decimal, field: str) -> Iterator[Question]:
    """Negative lengths and counts, and ages that nobody reaches; a bound that everything meets."""
    if field not in _NOT_NEGATIVE:
        return
    least = {"gt": low + 1, "gte": low, "eq": low, "bt": low}.get(word)
    most = {"lt": high - 1, "lte": high, "eq": high, "bt": high}.get(word)
    age = field.startswith("age")
    if (most is not None and most < 0) or (age and least is not None and least > OLDEST):
        yield Question("value_impossible", part.path, {"member": part.name})
    elif (word == "gte" and low <= 0) or (word == "gt" and low < 0) or (age and word in ("lt", "lte") and low > OLDEST):
        yield Question("range_idle", part.path, {"low": str(low), "high": str(high)})


def _ends(part: Part) -> list[Decimal | date]:
    ends = [part.get("Value"), *([part.get("Extent")] if part.get("Extent") else [])]
    if isinstance(part.get("Value").value, str) and "-" in str(part.get("Value").value)[1:]:
        return [each.day() for each in ends]
    return [each.number() for each in ends]


def _values(reading: Reading) -> Iterator[Question]:
    """A number without its unit; a first event that is then asked for a value; ends of drug exposures."""
    for each in reading.criteria:
        part, spec = each.part, each.spec
        attributes = [name for name in spec.attributes if part.get(name)]
        if _in_some_unit(part) and not {"Unit", "UnitCS"} & set(attributes):
            yield Question("value_without_unit", part.path)
        if part.get("First").flag() and _CHOSEN_BY_VALUE & set(attributes):
            members = ", ".join(name for name in attributes if name in _CHOSEN_BY_VALUE)
            yield Question("first_before_tests", part.path, {"members": members})
        if spec.criteria == "DrugExposure" and "OccurrenceEndDate" in attributes:
            yield Question("drug_end_date", f"{part.path}.OccurrenceEndDate")


def _in_some_unit(part: Part) -> bool:
    """Whether what is asked of a value depends on its unit: zero is zero in all of them, and beside a ratio the bounds
    of the normal range only say that there is one."""
    ratio = part.get("RangeLowRatio") or part.get("RangeHighRatio")
    members = ("ValueAsNumber",) if ratio else _MEASURED
    return any(end != 0 for name in members if part.get(name) for end in _ends(part.get(name)))


CHECKS: tuple[Callable[[Reading], Iterator[Question]], ...] = (_sets, _members, _ranges, _values)
