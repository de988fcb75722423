"""Circe (ATLAS) JSON, read and written without loss: the only format of a cohort definition."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from workbench.cohorts.document import Part
from workbench.cohorts.domains import CRITERIA_TYPES, DOMAINS, IGNORED
from workbench.cohorts.lower import lower
from workbench.cohorts.parse import parse
from workbench.cohorts.plan import Plan
from workbench.kernel.digest import digest_document
from workbench.kernel.errors import InvalidInput, Unavailable

_CRITERION = {"CorrelatedCriteria", "DateAdjustment", "First", "CodesetId"}
_KNOWN: Mapping[str, frozenset[str]] = {
    "expression": frozenset(
        {
            "Title", "cdmVersionRange", "PrimaryCriteria", "AdditionalCriteria", "ConceptSets", "QualifiedLimit",
            "ExpressionLimit", "InclusionRules", "EndStrategy", "CensoringCriteria", "CollapseSettings", "CensorWindow",
        }
    ),
    "primary": frozenset({"CriteriaList", "ObservationWindow", "PrimaryCriteriaLimit"}),
    "rule": frozenset({"name", "description", "expression"}),
    "group": frozenset({"Type", "Count", "CriteriaList", "DemographicCriteriaList", "Groups"}),
    "match": frozenset(
        {"Criteria", "StartWindow", "EndWindow", "Occurrence", "RestrictVisit", "IgnoreObservationPeriod"}
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Definition:
    """A cohort definition: its name (the file's stem, where it came from a file) and its document, as it was read.

    The document is not to be changed in place; an edited one is another definition.
    """

    document: Mapping[str, Any]
    name: str = "cohort"

    @property
    def title(self) -> str | None:
        """Return the title that its author gave it, if any."""
        found = self.document.get("Title")
        return found if isinstance(found, str) and found else None

    @cached_property
    def digest(self) -> str:
        """Return the identity of the definition: the digest of its document."""
        return digest_document(self.document)

    @cached_property
    def plan(self) -> Plan:
        """Return the plan. Raises InvalidInput with the path of the first part that cannot be run."""
        return lower(self.document)

    @cached_property
    def unknown(self) -> tuple[str, ...]:
        """Return the paths of members that no rule of Circe reads: kept when written, without effect on the rows."""
        return tuple(_unknown(Part(self.document)))


def read_definition(source: str | Path, *, name: str | None = None) -> Definition:
    """Read a definition from a path, or from JSON text.

    Raises InvalidInput with the path of the part: JSON that is malformed, a criteria type that Circe does not have, a
    concept set that is referred to but absent, dates that are no dates. Parts that are valid but that we cannot run
    are read; `Definition.plan` raises for them. Raises Unavailable where the file cannot be read.
    """
    label = name or (source.stem if isinstance(source, Path) else "cohort")
    definition = Definition(parse(_content(source), label), label)
    try:
        _ = definition.plan
    except InvalidInput as error:
        if error.code != "cohort.not_supported":
            raise
    return definition


def write_definition(definition: Definition) -> str:
    """Return the definition as JSON text: every member as it was read, in the same order."""
    return json.dumps(definition.document, ensure_ascii=False, indent=2) + "\n"


def _content(source: str | Path) -> str:
    if isinstance(source, str):
        return source
    try:
        return source.read_text(encoding="utf-8-sig")
    except OSError:
        raise Unavailable("cohort.file_unreadable", name=source.name) from None
    except UnicodeDecodeError as error:
        raise InvalidInput("cohort.not_utf8", name=source.name, byte=error.start + 1) from None


def _unknown(root: Part) -> Iterator[str]:
    yield from _others(root, _KNOWN["expression"])
    primary = root.get("PrimaryCriteria")
    yield from _others(primary, _KNOWN["primary"])
    for each in primary.get("CriteriaList").each():
        yield from _unknown_criterion(each)
    for each in root.get("CensoringCriteria").each():
        yield from _unknown_criterion(each)
    for rule in root.get("InclusionRules").each():
        yield from _others(rule, _KNOWN["rule"])
        yield from _unknown_group(rule.get("expression"))
    yield from _unknown_group(root.get("AdditionalCriteria"))


def _others(part: Part, known: frozenset[str]) -> Iterator[str]:
    if part:
        yield from (each.path for each in part.members() if each.name not in known)


def _unknown_group(part: Part) -> Iterator[str]:
    if not part:
        return
    yield from _others(part, _KNOWN["group"])
    for each in part.get("CriteriaList").each():
        yield from _others(each, _KNOWN["match"])
        if each.get("Criteria"):
            yield from _unknown_criterion(each.get("Criteria"))
    for each in part.get("Groups").each():
        yield from _unknown_group(each)


def _unknown_criterion(part: Part) -> Iterator[str]:
    for each in part.members():
        if each.name not in CRITERIA_TYPES:
            yield each.path
        else:
            spec = DOMAINS[each.name]
            known = {*_CRITERION, *spec.attributes, *IGNORED.get(each.name, ()), spec.source_member or ""}
            known |= {attribute.exclude for attribute in spec.attributes.values() if attribute.exclude}
            yield from _others(each, frozenset(known))
            yield from _unknown_group(each.get("CorrelatedCriteria"))
