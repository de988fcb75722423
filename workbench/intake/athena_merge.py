"""What stays of a release's vocabulary when another is loaded.

Concepts with ids above 2,000,000,000 are a hospital's own (OMOP's convention): no download of Athena brings them. So a
download with other concepts is a *whole* vocabulary, and replaces all but the hospital's own; one that holds only own
concepts is an *addition*, and replaces nothing but the vocabularies that it names itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlglot import exp

from workbench.intake.nodes import (
    Node,
    below,
    both,
    column,
    either,
    negate,
    number,
    render,
    scan,
    select,
    table,
    text,
    union,
)
from workbench.kernel.errors import InvalidInput
from workbench.vocabulary.use import OWN

KEPT = "kept_concepts"
_CONCEPTS: Mapping[str, tuple[str, ...]] = {
    "concept": ("concept_id",),
    "concept_synonym": ("concept_id",),
    "drug_strength": ("drug_concept_id",),
    "concept_relationship": ("concept_id_1", "concept_id_2"),
    "concept_ancestor": ("ancestor_concept_id", "descendant_concept_id"),
}
_NAMES: Mapping[str, str] = {
    "domain": "domain_id",
    "concept_class": "concept_class_id",
    "relationship": "relationship_id",
    "vocabulary": "vocabulary_id",
}


@dataclass(frozen=True)
class Merge:
    """How a former vocabulary (`former`: table → Parquet file) meets new tables (`new`, likewise)."""

    former: Mapping[str, Path]
    new: Mapping[str, Path]
    whole: bool

    def stays(self, name: str) -> Node | None:
        """Return the condition of the rows of a former table that stay; None where the table has no former rows."""
        if name not in self.former:
            return None
        if name in _CONCEPTS:
            inside = [_among(key, select(column("concept_id"), source=table(KEPT))) for key in _CONCEPTS[name]]
            return either(*inside) if self.whole else both(*inside)
        if name not in _NAMES:
            return exp.Boolean(this=True)
        key = _NAMES[name]
        tests: list[Node] = []
        if name in self.new:
            tests.append(negate(_among(key, select(column(key), source=scan("read_parquet", self.new[name])))))
        if self.whole and name == "vocabulary":
            tests.append(_among(key, select(column(key), source=table(KEPT))))
        return both(*tests)

    def prepare(self, connection: Any) -> None:
        """Make the work table of the former concepts that stay (`kept_concepts`)."""
        if "concept" not in self.former:
            connection.execute(
                f'CREATE OR REPLACE TEMP TABLE "{KEPT}" (concept_id BIGINT, vocabulary_id VARCHAR)'
            ).fetchall()
            return
        named = _among(
            "vocabulary_id", select(column("vocabulary_id"), source=scan("read_parquet", self.new["concept"]))
        )
        own = below(number(OWN), column("concept_id"))
        stays = both(own, negate(named)) if self.whole else negate(both(own, named))
        former = scan("read_parquet", self.former["concept"])
        query = select(column("concept_id"), column("vocabulary_id"), source=former, where=stays)
        connection.execute(f"CREATE OR REPLACE TEMP TABLE {KEPT} AS {render(query)}").fetchall()

    def removed(self, connection: Any, name: str) -> int:
        """Return how many rows of a former table do not stay."""
        stays = self.stays(name)
        if stays is None:
            return 0
        counted = select(
            exp.Count(this=exp.Star()), source=scan("read_parquet", self.former[name]), where=negate(stays)
        )
        return int(connection.execute(render(counted)).fetchall()[0][0])

    def rows(self, name: str) -> exp.Query:
        """Return the rows of the merged table: the new ones and the former ones that stay."""
        parts: list[exp.Query] = []
        if name in self.new:
            parts.append(select(exp.Star(), source=scan("read_parquet", self.new[name])))
        stays = self.stays(name)
        if stays is not None:
            parts.append(select(exp.Star(), source=scan("read_parquet", self.former[name]), where=stays))
        return union(parts)


def is_whole(connection: Any, concept: Path, vocabulary: Path, source: str) -> bool:
    """Say whether new tables are a whole vocabulary (True) or an addition of own concepts (False).

    Raises `InvalidInput` (`vocabulary.mixed`) where they hold concepts that are not a hospital's own without the
    row 'None' that every whole vocabulary has: half a download would take the other half away.
    """
    foreign = exp.Count(this=exp.Star())
    counted = select(
        foreign, source=scan("read_parquet", concept), where=negate(below(number(OWN), column("concept_id")))
    )
    ((others,),) = connection.execute(render(counted)).fetchall()
    if not others:
        return False
    itself = exp.EQ(this=column("vocabulary_id"), expression=text("None"))
    found = select(exp.Count(this=exp.Star()), source=scan("read_parquet", vocabulary), where=itself)
    if not connection.execute(render(found)).fetchall()[0][0]:
        raise InvalidInput("vocabulary.mixed", source=source, count=others)
    return True


def _among(name: str, values: exp.Select) -> Node:
    """Return `name IN (values)`, false where the value is absent."""
    test = exp.In(this=column(name), query=exp.Subquery(this=values))
    return exp.Coalesce(this=test, expressions=[exp.Boolean(this=False)])
