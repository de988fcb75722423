"""What is wrong with a protocol that was handed in, each answer at the field that it is about."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Final

from workbench.governance.legal_bases import field_label, legal_basis, missing_fields
from workbench.kernel.errors import UserError
from workbench.ui.parts.errors import panel
from workbench.ui.parts.words import named
from workbench.ui.state import lang, t

PLACES: Final = {
    "governance.legal_fields_missing": "legal_basis", "governance.unknown_legal_basis": "legal_basis",
    "governance.never_delivered": "tables", "governance.period_reversed": "period", "governance.not_a_day": "ends_on",
    "governance.refresh_after_end": "ends_on", "governance.unknown_class": "sensitive_classes",
    "governance.concepts_table": "concepts", "governance.concepts_column": "concepts",
    "governance.concepts_only_excluded": "concepts", "services.unknown_concepts": "concepts",
    "services.not_a_member": "members", "services.study_exists": "study", "services.study_name": "study",
}  # fmt: skip
"""Error → the field that it is about; what is not here is said at the end of the form."""

END: Final = "end"
NEEDED: Final = ("title", "study", "purpose", "sponsor", "investigator", "members", "cohorts", "tables")
"""Members that must be filled, in the order of the form."""


@dataclass
class Answers:
    """Errors by field, and the protocol that they are about; a field draws its own, once it was drawn itself."""

    errors: dict[str, UserError] = field(default_factory=dict)
    about: dict[str, Any] = field(default_factory=dict)

    def draw(self, place: str) -> None:
        """Draw what is wrong with a field, if anything is."""
        if place in self.errors:
            panel(self.errors[place])

    def forget(self, document: dict[str, Any]) -> bool:
        """Drop what was said of fields that were changed since; answer whether there was any."""
        gone = [place for place in self.errors if _at(place, document) != _at(place, self.about)]
        for place in gone:
            del self.errors[place]
        return bool(gone)


def _at(place: str, document: dict[str, Any]) -> Any:
    """Return what a protocol has at a field: the whole protocol, for what is said of it as a whole."""
    member, _, inner = place.partition(".")
    if member == END:
        return document
    value = document.get(member)
    if member == "legal_basis" and value:
        return value["fields"].get(inner) if inner else value["code"]
    return value.get(inner) if inner and value else value


def lacking(document: dict[str, Any]) -> dict[str, UserError]:
    """Return what must be filled and is not, all at once, by field."""
    found = {name: UserError("ui.field_needed", field=_name(name)) for name in NEEDED if not document.get(name)}
    for table, columns in document["tables"].items():
        if not columns:
            found[f"tables.{table}"] = UserError("ui.field_needed", field=named("table", table))
    if "keep_rare" in document and not document["keep_rare"]["why"]:
        found["keep_rare"] = UserError("ui.field_needed", field=t("protocol_rare_why"))
    basis = document["legal_basis"]
    if not basis["code"]:
        found["legal_basis"] = UserError("ui.field_needed", field=_name("legal_basis"))
        return found
    for name in missing_fields(basis["code"], basis["fields"]):
        if name in legal_basis(basis["code"]).requires and name not in {"purpose", "sponsor"}:
            found[f"legal_basis.{name}"] = UserError("ui.field_needed", field=field_label(name, lang()))
    return found


def placed(error: UserError) -> dict[str, UserError]:
    """Return a service's error at the field that it is about."""
    if error.code == "kernel.document_invalid":
        first = str(error.facts["path"]).partition("/")[0]
        return {first if first in _FIELDS else END: error}
    return {PLACES.get(error.code, END): error}


_FIELDS = frozenset({*NEEDED, "legal_basis", "concepts", "period", "outcome_period", "sensitive_classes",
                     "keep_rare", "duration_days", "retention_days", "ends_on", "destinations"})  # fmt: skip


def _name(member: str) -> str:
    names = {"title": "protocol_title", "study": "protocol_study", "tables": "protocol_tables"}
    return t(names.get(member, f"study_{member}"))
