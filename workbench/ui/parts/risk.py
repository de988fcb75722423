"""What a request would let somebody learn about a person, in plain words, before anything is made."""

from __future__ import annotations

from workbench.governance.deliverable import deliverable
from workbench.services.requests import RequestView
from workbench.ui.parts.words import named, shown
from workbench.ui.state import t

QUASI = ("age_at_index", "gender_concept_id", "race_concept_id", "ethnicity_concept_id")
"""Columns of a person that somebody outside may know too."""


def before_delivery(view: RequestView) -> list[str]:
    """Return sentences on a request's risk: how many persons, what singles them out, what does not leave."""
    delivered = {table: columns.delivered for table, columns in view.columns.items()}
    quasi = [column for column in QUASI if column in delivered.get("person", ())]
    histories = [table for table, columns in delivered.items() if table != "person" and _has(table, columns, "concept")]
    said = [t("risk_persons", persons=shown(view.cohort.persons))]
    if quasi:
        said.append(t("risk_quasi", columns=", ".join(named("column", column) for column in quasi)))
    if histories:
        said.append(t("risk_histories", tables=", ".join(named("table", table) for table in histories)))
    said.append(t("risk_dates"))
    links = [table for table, columns in delivered.items() if _has(table, columns, "key.")]
    if links:
        said.append(t("risk_links", tables=", ".join(named("table", table) for table in links)))
    destinations = view.protocol["destinations"]
    said.append(t("risk_destinations", places=", ".join(destinations)) if destinations else t("risk_stays"))
    return said


def _has(table: str, columns: tuple[str, ...], kind: str) -> bool:
    kinds = deliverable().get(table, {})
    return any(kinds.get(column, "").startswith(kind) for column in columns)
