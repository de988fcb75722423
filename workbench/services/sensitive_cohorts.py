"""Cohorts that tell of a sensitive class: a target says that everybody in an extract is in it, an outcome says who and
when, so either needs a protocol that names the class, as rows of its concepts do."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Set
from typing import Any

from workbench.cohorts.circe import Definition, read_definition
from workbench.cohorts.survey import survey
from workbench.engines.base import Engine
from workbench.engines.duckdb import DuckDBEngine
from workbench.extracts.select import sensitive_concepts
from workbench.governance.sensitive import SensitiveClass, withheld_classes
from workbench.kernel.errors import Refused, Unavailable
from workbench.repository.releases import Release
from workbench.services.context import Workbench
from workbench.store import documents
from workbench.vocabulary.concept_sets import ConceptSet, needs
from workbench.vocabulary.resolve import resolve


def withheld_concepts(engine: DuckDBEngine, named: Iterable[str]) -> frozenset[int]:
    """Return the concepts of the classes that a protocol which names those in `named` leaves out."""
    return frozenset(sensitive_concepts(engine, withheld_classes(tuple(named))).to_list())


def sets_that_hold(engine: Engine, definition: Definition, concepts: Set[int]) -> frozenset[ConceptSet]:
    """Return the concept sets of a definition, wherever it asks for them, that hold one of some concepts.

    Raises `Unavailable` (`extract.release_incomplete`) where the vocabulary cannot tell what a set holds.
    """
    sets = survey([definition.plan]).sets
    for table in needs(sets):
        if not engine.columns(table):
            raise Unavailable("extract.release_incomplete", table=table)
    return frozenset(each for each, members in resolve(engine, sets).items() if members & concepts)


def check_cohorts(wb: Workbench, release: Release, digests: Iterable[str], protocol: Mapping[str, Any]) -> None:
    """Check that no definition of some cohort versions (by digest) holds a concept of a sensitive class that a protocol
    does not name, on the vocabulary of a release.

    A criterion that persons have no such event counts too, and so does a set that holds other concepts as well. Raises
    `Refused` (`governance.sensitive_cohort`), and `Unavailable` as `sets_that_hold`.
    """
    classes = withheld_classes(protocol["sensitive_classes"])
    with DuckDBEngine.over_parquet(dict(release.tables)) as engine:
        withheld = withheld_concepts(engine, protocol["sensitive_classes"])
        for digest in dict.fromkeys(digests):
            with wb.store.read() as connection:
                version = documents.find(connection, digest)
            assert version is not None
            definition = read_definition(json.dumps(version.body["definition"]))
            if sets_that_hold(engine, definition, withheld):
                told = ", ".join(each.code for each in classes if _tells_of(engine, definition, each))
                raise Refused("governance.sensitive_cohort", cohort=version.body["name"], classes=told)


def _tells_of(engine: DuckDBEngine, definition: Definition, one: SensitiveClass) -> bool:
    return bool(sets_that_hold(engine, definition, frozenset(sensitive_concepts(engine, [one]).to_list())))
