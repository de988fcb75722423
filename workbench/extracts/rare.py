"""Rare values of an extract that is being made: where the rules of `coarsen.py` are applied, and what is said of it.

All rows that will be delivered are held by then, so that what is counted is what is delivered. A row whose main concept
is rare and has no ancestor to stand for it is left out: "some condition, none that can be named" would still tell, in a
table limited to a few concepts, which one it was. In every other column of concepts such a value becomes 0, which OMOP
has for "no matching concept" and releases hold anyway; the row stays. Where a standard concept was changed, the concept
of the source's code becomes 0, or it would give the former away.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import polars as pl

from workbench.engines.duckdb import DuckDBEngine
from workbench.extracts import coarsen, lookup, select
from workbench.extracts.coarsen import Band, Holders
from workbench.extracts.events import PURPOSES, Events
from workbench.extracts.held import Concepts
from workbench.extracts.select import Plan
from workbench.extracts.transform import AGE_CAP
from workbench.governance.deliverable import deliverable, main_concept
from workbench.governance.disclosure import THRESHOLD, rounded
from workbench.governance.pseudonyms import Pseudonyms

_Codes = npt.NDArray[np.int32]
_LEFT_OUT = -1
_SITES = ("key.provider", "key.care_site")
"""Links that many persons share. A stay is one person's."""


def rules(table: str, column: str, keep: Collection[str]) -> str | None:
    """Return the code of the rule on a column (words: `extract.rule_CODE`); None where there is none, or it is kept."""
    kind = deliverable()[table][column]
    if kind in {"concept", "source_concept"} and "concepts" not in keep:
        return "rare_concepts_rolled_up" if column == main_concept(table) else "rare_concepts_rolled_up_or_0"
    if kind == "age" and "birth_years" not in keep:
        return "rare_ages_in_bands"
    return "small_sites_as_one" if kind in _SITES and "care_sites" not in keep else None


@dataclass(frozen=True)
class _Changed:
    """What becomes of each code of a column (`_LEFT_OUT`: nothing), and how many persons that concerns."""

    into: _Codes
    replaced: int
    left_out: int


class Coarsening:
    """What is rare in an extract is made coarser, step by step: persons, events, links.

    `keep` are the kinds that the protocol keeps as they are, `never` concepts that cannot stand for others (those of
    the sensitive classes left out), `limited` the concepts to which tables are limited.
    """

    def __init__(
        self, engine: DuckDBEngine, concepts: Concepts, keep: Collection[str], never: pl.Series,
        limited: Mapping[str, pl.Series],
    ) -> None:  # fmt: skip
        self._engine, self._concepts, self._never, self._limited = engine, concepts, never, limited
        self._keep = frozenset(keep)
        self._above: pl.DataFrame | None = None
        self._delivered = set[int]()
        self._said: list[dict[str, Any]] = []
        self._bands: list[Band] | None = None

    def persons(self, rows: pl.DataFrame, plan: Plan) -> pl.DataFrame:
        """Return the `person` table with rare ages in bands and rare concepts replaced."""
        if "age_at_index" in plan.given and "birth_years" not in self._keep:
            rows = rows.with_columns(self._ages(rows["age_at_index"]))
        for column in plan.concepts if "concepts" not in self._keep else ():
            codes = self._concepts.codes(rows.get_column(column))
            changed = self._changed("person", column, codes, np.arange(codes.size, dtype=np.int32), None)
            codes = self._as_zero(codes, changed)
            values = pl.Series(column, np.append(self._concepts.ids, 0)[codes])
            rows = rows.with_columns(pl.when(pl.Series(codes != 0)).then(values).alias(column))
        return rows

    def _ages(self, ages: pl.Series) -> pl.Series:
        self._bands = coarsen.bands(ages, AGE_CAP)
        whose = np.full(AGE_CAP + 1, -1, dtype=np.int32)
        for band in self._bands:
            whose[band.low : band.high + 1] = band.age
        widened = pl.Series(ages.name, whose[ages.fill_null(0).to_numpy()])
        return pl.select(pl.when(ages.is_not_null() & (widened >= 0)).then(widened).alias(ages.name)).to_series()

    def outcomes(self, rows: pl.DataFrame) -> pl.DataFrame:
        """Return the `outcome` table without the outcomes that fewer than 11 persons have: each tells as a concept."""
        if "concepts" in self._keep:
            return rows
        few = pl.col("person_id").n_unique().over("outcome") < THRESHOLD
        left_out = rounded(rows.filter(few)["person_id"].n_unique())
        self._said.append({"table": "outcome", "column": "outcome", "replaced": None, "left_out": left_out})
        return rows.filter(~few)

    def events(self, table: str, events: Events, plan: Plan) -> Events:
        """Return the rows of a table with rare concepts replaced, their main ones first; `events` are used up."""
        if "concepts" in self._keep:
            return events
        person = events.persons()
        main = main_concept(table)
        if main in plan.given:
            codes, _ = events.columns.column(main)
            changed = self._changed(table, main, codes, person, self._limited.get(table))
            if changed is not None:
                new = changed.into[codes]
                self._follow(events, plan, main, new != codes)
                codes[:] = new
                if changed.left_out:
                    events = events.without(new == _LEFT_OUT)
                    person = events.persons()
        kinds = deliverable()[table]
        for column in sorted(plan.concepts, key=lambda name: kinds[name] == "source_concept"):
            if column != main:
                codes, _ = events.columns.column(column)
                new = self._as_zero(codes, self._changed(table, column, codes, person, None))
                if new is not codes:
                    self._follow(events, plan, column, new != codes)
                    codes[:] = new
        return events

    def _follow(self, events: Events, plan: Plan, column: str, changed: npt.NDArray[np.bool_]) -> None:
        """Put 0 for the concept of the source's code where the standard one was changed."""
        source = column.replace("_concept_id", "_source_concept_id")
        if source in plan.given:
            codes, _ = events.columns.column(source)
            codes[changed & (codes != 0)] = self._zero

    @property
    def _zero(self) -> int:
        """The code of concept 0."""
        return int(self._concepts.codes(pl.Series([0]))[0])

    def _as_zero(self, codes: _Codes, changed: _Changed | None) -> _Codes:
        if changed is None:
            return codes
        into = np.where(changed.into == _LEFT_OUT, self._zero, changed.into).astype(np.int32)
        self._delivered |= {0} if changed.left_out else set[int]()
        return into[codes]

    def _changed(
        self, table: str, column: str, codes: _Codes, person: npt.NDArray[np.int32], allowed: pl.Series | None
    ) -> _Changed | None:
        """Count who has the concepts of a column and say what becomes of each; None where all stay as they are."""
        zero = self._zero
        ids = self._concepts.ids
        holders = Holders(ids.size, [zero])
        holders.add(codes, person)
        rare = holders.rare.select("person", "code", concept=pl.Series(ids)[holders.rare["code"]])
        common = pl.Series("ancestor", ids[holders.common])
        self._delivered |= set(common.to_list()) | ({0} if (codes == zero).any() else set[int]())
        found = (
            coarsen.roll_up(rare.select("person", "concept"), common, self._ancestors(allowed)) if rare.height else {}
        )
        self._delivered |= set(found.values())
        placed = rare["concept"].is_in(list(found))
        replaced, left_out = (rare.filter(each)["person"].n_unique() for each in (placed, ~placed))
        said = {"table": table, "column": column, "replaced": rounded(replaced), "left_out": rounded(left_out)}
        self._said.append(said)
        if not rare.height:
            return None
        into = np.arange(ids.size, dtype=np.int32)
        into[rare["code"].to_numpy()] = _LEFT_OUT
        into[self._concepts.codes(pl.Series(list(found), dtype=pl.Int64))] = self._concepts.codes(
            pl.Series(list(found.values()), dtype=pl.Int64)
        )
        return _Changed(into, replaced, left_out)

    def _ancestors(self, allowed: pl.Series | None) -> pl.DataFrame:
        if self._above is None:  # of every concept met, in one reading of a long table
            above = select.ancestors_of(self._engine, pl.Series(self._concepts.ids[1:]))
            self._above = above.filter(~pl.col("ancestor").is_in(self._never.implode()))
        if allowed is None:
            return self._above
        return self._above.filter(pl.col("ancestor").is_in(allowed.implode()))

    def links(
        self, tables: Mapping[str, Events], plans: Mapping[str, Plan], links: Mapping[str, Pseudonyms]
    ) -> dict[str, Pseudonyms]:
        """Return the pseudonyms of links, those of small sites and providers being one."""
        made = dict(links)
        for kind in _SITES if "care_sites" not in self._keep else ():
            purpose = PURPOSES[kind]
            if purpose in made:
                made[purpose] = self._as_one(kind, tables, plans, made[purpose])
        return made

    def _as_one(
        self, kind: str, tables: Mapping[str, Events], plans: Mapping[str, Plan], link: Pseudonyms
    ) -> Pseudonyms:
        holders, rows = Holders(link.ids.size + 1), np.zeros(link.ids.size + 1, dtype=np.int64)
        where: list[tuple[str, str]] = []
        for table, events in tables.items():
            for column in plans[table].given:
                if deliverable()[table][column] == kind:
                    keys, missing = events.columns.column(column)
                    codes = lookup.places(link.ids, keys) + 1
                    codes = codes if missing is None else np.where(missing, 0, codes)
                    holders.add(codes, events.persons())
                    rows += np.bincount(codes, minlength=rows.size)
                    where.append((table, column))
        merged, _ = coarsen.as_one(link, holders, rows)
        rare = holders.rare
        concerned = rounded(rare["person"].n_unique())
        gone = merged.ids.size < link.ids.size
        for table, column in where:
            replaced, left_out = (None, concerned) if gone else (concerned, None)
            self._said.append({"table": table, "column": column, "replaced": replaced, "left_out": left_out})
        return merged

    def delivered(self) -> pl.Series:
        """Return the ids of all concepts that are delivered, rising."""
        kept = "concepts" in self._keep
        ids = np.unique(self._concepts.ids[1:]) if kept else np.array(sorted(self._delivered), dtype=np.int64)
        return pl.Series("concept_id", ids, pl.Int64)

    def said(self) -> dict[str, Any]:
        """Return the member `coarsened` of the manifest: numbers of persons, masked and rounded as all of them are."""
        bands = [{"from": band.low, "to": band.high, "age": band.age} for band in self._bands or ()]
        return {
            "threshold": THRESHOLD,
            "kept": sorted(self._keep),
            **({"ages": bands} if self._bands is not None else {}),
            "columns": sorted(self._said, key=lambda entry: (entry["table"], entry["column"])),
        }
