"""Why a person is in a cohort: on one's own data freely; in a home only inside a delivered extract, by pseudonym."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import polars as pl

from workbench.cohorts.circe import Definition, read_definition
from workbench.cohorts.why import why
from workbench.cohorts.why_within import View, within
from workbench.cohorts.why_words import Explanation
from workbench.engines import sql
from workbench.engines.base import Engine
from workbench.engines.duckdb import DuckDBEngine
from workbench.extracts import select, transform
from workbench.extracts.dates import in_days
from workbench.extracts.make import MOVED_AGE
from workbench.governance.actors import Actor
from workbench.governance.pseudonyms import pseudonymize
from workbench.kernel.errors import InvalidInput, Refused
from workbench.services import cohorts, extracts, sensitive_cohorts
from workbench.services.context import Workbench, acting, event
from workbench.services.extracts import ExtractView
from workbench.services.releases import verified_release
from workbench.store import documents, successors
from workbench.vocabulary.concept_sets import ConceptSet


@dataclass(frozen=True)
class Asked:
    """The papers behind an extract that an explanation needs."""

    definition: Definition
    release_id: str
    classes: tuple[str, ...]


def why_own(engine: Engine, definition: Definition, person_id: int) -> Explanation:
    """Return why a person of one's own database is in a cohort or not.

    Raises InvalidInput (`own.no_person`) where the database has no such person, else as the engine and the definition.
    """
    if engine.columns("person"):
        known = sql.compare(sql.col("p", "person_id"), "=", sql.number(person_id))
        found = sql.select({"persons": sql.count_all()}, sql.cdm_table("person", "p"), where=[known])
        if engine.tuples(found)[0][0] == 0:
            raise InvalidInput("own.no_person")
    return why(engine, definition, person_id)


def why_outside(wb: Workbench, actor: Actor) -> None:
    """Refuse to explain a single person of the feasibility space, and write it to the log: `services.why_outside`."""
    with acting(wb, actor, "cohort.why"):
        raise Refused("services.why_outside")


def why_in_extract(wb: Workbench, actor: Actor, ref: str, pseudonym: int) -> Explanation:
    """Return why a person of an extract is in its cohort, in days from the index, as far as the extract shows it.

    Nothing is told that its reader could not look up in the extract: criteria on columns that were not delivered, on
    sensitive classes, on dates, on tables limited to some concepts and on values delivered coarser are left out, and so
    are days without a delivered row. Raises `Refused` where the extract is closed or not the actor's,
    `services.why_no_person` where it has no such pseudonym.
    """
    with acting(wb, actor, "cohort.why", subject=ref):
        view, tables, _ = extracts.open_tables(wb, actor, ref)
        tables = in_days(tables)
        mine = tables["cohort"].filter(pl.col("person_id") == pseudonym)
        if mine.is_empty():
            raise Refused("services.why_no_person", extract=view.id)
        with wb.store.write(event(actor, "cohort.why", study=view.study, subject=view.id, before=view.digest)):
            pass
        asked = _papers(wb, view)
        rows = cohorts.rows_of(wb, view.manifest["cohort"])
        secret = wb.keys.study_secret(view.study, "pseudonym")
        index = transform.first_index(pl.DataFrame(rows))
        made = pseudonymize(secret, "person", index.get_column("person_id").to_numpy())
        if pseudonym not in made.values:  # erased since the extract was made
            raise Refused("services.why_no_person", extract=view.id)
        person = int(made.ids[made.values == pseudonym][0])
        release = verified_release(wb, asked.release_id)
        engine = DuckDBEngine.over_parquet(dict(release.tables))
        try:
            hidden = _hidden(engine, asked, _replaced(engine, view.manifest, index, tables["concept"]))
            found = why(engine, asked.definition, person)
        finally:
            engine.close()
        day = index.filter(pl.col("person_id") == person).get_column("index_date").item()
        observed = mine.row(0, named=True)
        return within(
            found,
            View(
                index=day,
                before=-observed["observation_start_day"],
                after=observed["observation_end_day"],
                end=observed["end_day"],
                columns=_columns(view.manifest) - _widened(view.manifest, tables, pseudonym),
                days=_days(tables, pseudonym),
                hidden=hidden,
            ),
        )


def _papers(wb: Workbench, view: ExtractView) -> Asked:
    with wb.store.read() as connection:
        found = {name: documents.find(connection, view.manifest[name]) for name in ("cohort", "protocol")}
        found["release"] = successors.standing(connection, view.manifest["release"])
    bodies: dict[str, Any] = {name: document.body for name, document in found.items() if document}
    release = found["release"]
    assert release is not None
    definition = read_definition(json.dumps(bodies["cohort"]["definition"]))
    return Asked(definition, release.id, tuple(bodies["protocol"]["sensitive_classes"]))


def _columns(manifest: dict[str, Any]) -> frozenset[tuple[str, str]]:
    """Of a table limited to some concepts none is in view: what a criterion finds there may be a row that stayed in."""
    limited = manifest.get("concepts", {})
    return frozenset(
        (table, column)
        for table, proof in manifest["columns"].items()
        for column in proof["delivered"]
        if table not in limited
    )


def _days(tables: dict[str, pl.DataFrame], pseudonym: int) -> dict[str, frozenset[int]]:
    """The days on which each table of events has a row of this person."""
    return {
        name: frozenset(rows.filter(pl.col("person_id") == pseudonym).get_column("start_day").to_list())
        for name, rows in tables.items()
        if "start_day" in rows.columns and name != "outcome"
    }


def _widened(manifest: dict[str, Any], tables: dict[str, pl.DataFrame], pseudonym: int) -> frozenset[tuple[str, str]]:
    """The age, where this person's stands in a band of several years, or is not that at the index: a criterion on the
    true one would tell on which side of New Year the index lies."""
    if any(each["rule"] == MOVED_AGE for each in manifest["transforms"]):
        return frozenset({("person", "age_at_index")})
    wide = {band["age"] for band in manifest.get("coarsened", {}).get("ages", ()) if band["from"] < band["to"]}
    if not wide or "person" not in tables or "age_at_index" not in tables["person"].columns:
        return frozenset()
    age = tables["person"].filter(pl.col("person_id") == pseudonym).get_column("age_at_index")
    return frozenset({("person", "age_at_index")}) if set(age.to_list()) & {None, *wide} else frozenset()


def _replaced(
    engine: DuckDBEngine, manifest: dict[str, Any], index: pl.DataFrame, delivered: pl.DataFrame
) -> frozenset[int]:
    """The concepts that persons of the cohort have and the extract has not: of rows outside the period, and those that
    became broader ones. A criterion on one of them would name what stands behind a broader one."""
    if "concepts" in manifest.get("coarsened", {"kept": ["concepts"]})["kept"]:
        return frozenset()
    select.load_index(engine, index)
    had = [
        select.concepts_had(engine, table, columns)
        for table, proof in manifest["columns"].items()
        if (columns := sorted(c for c in proof["delivered"] if c.endswith("concept_id") and c in engine.columns(table)))
    ]
    return frozenset(set[int]().union(*had) - set(delivered.get_column("concept_id").to_list()))


def _hidden(engine: DuckDBEngine, asked: Asked, replaced: frozenset[int]) -> frozenset[ConceptSet]:
    """The concept sets of a definition that touch a sensitive class which the protocol does not name, or a concept that
    is not delivered as it was."""
    withheld = sensitive_cohorts.withheld_concepts(engine, asked.classes)
    return sensitive_cohorts.sets_that_hold(engine, asked.definition, withheld | replaced)
