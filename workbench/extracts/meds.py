"""An extract in its second form, MEDS (Medical Event Data Standard): one long table of (subject, time, code, value).

Made of the inspected tables alone, so it can tell nothing that they do not. MEDS wants a time stamp where an extract
has days from the index: day 0 is written as 1970-01-01, the epoch, so that the number of days since the epoch *is* the
day from the index and nobody takes it for a date (docs/formats.md, MEDS). Of an extract with shifted dates the times
are those dates.
Source: the schema of the standard's own package (`meds` 0.4 on PyPI): `DataSchema`, `CodeMetadataSchema`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import polars as pl

from workbench.extracts import dates
from workbench.governance.date_forms import SHIFTED
from workbench.governance.deliverable import deliverable
from workbench.kernel.text import LANGS, say

VERSION: Final = "0.4"
"""The version of the standard that is written."""
ORIGIN: Final = "1970-01-01"
"""What stands for day 0, where dates are not shifted."""
DEATH: Final = "MEDS_DEATH"
"""The standard's own code of death."""
ORDER: Final = ("subject_id", "time")
"""By what the rows stand first, and their digest with them."""
CORE: Final = ("subject_id", "time", "code", "numeric_value", "text_value")
OWN: Final = ("AGE_AT_INDEX", "INDEX_YEAR", "INDEX", "COHORT_END", "OBSERVATION_START", "OBSERVATION_END")
"""Codes that are no concept; so are `OUTCOME/NAME` and `MEDS_DEATH`."""

_TIME = pl.Datetime("us")
_STRUCTURE = frozenset({"cohort", "outcome", "concept", "person"})


@dataclass(frozen=True)
class Meds:
    """The two tables of persons' events and of codes, the tables of the extract that have no place in them, and from
    what times are counted (`shifted`: they are shifted dates)."""

    data: pl.DataFrame
    codes: pl.DataFrame
    left_out: tuple[str, ...]
    time_origin: str = ORIGIN


def meds_tables(tables: Mapping[str, pl.DataFrame]) -> Meds:
    """Return an extract's tables (decrypted) as MEDS.

    `data` has the standard's five columns, then `table` (where a row comes from), `end_time`, `unit` (a code), and
    every other delivered column under its own name; sorted by `ORDER` and then by all other columns, what has no value
    first. Its texts are `Enum`: a few thousand codes, not a text a row. A table that
    is delivered without its day is left out: a row without a time would say that it was always known.
    """
    origins = tables["cohort"].select(subject_id="person_id", origin=dates.ORIGIN) if _shifted(tables) else None
    tables = dates.in_days(tables)
    events = {name: rows for name, rows in tables.items() if name not in _STRUCTURE}
    dated = {name: rows for name, rows in events.items() if "start_day" in rows.columns}
    words = _Words.of(tables)
    parts = [words.person(tables["person"])] if "person" in tables else []
    parts += [words.cohort(tables["cohort"]), words.outcomes(tables["outcome"])]
    parts += [words.events(name, rows) for name, rows in sorted(dated.items())]
    data = pl.concat([words.empty, *parts], how="diagonal", rechunk=False)
    data = data if origins is None else _on_dates(data, origins)
    more = sorted(set(data.columns) - set(words.empty.columns))
    order = [*ORDER, *sorted(set(data.columns) - set(ORDER))]
    data = data.select(*words.empty.columns, *more).sort(order, nulls_last=False)
    left_out = tuple(sorted(set(events) - set(dated)))
    return Meds(data, _codes(data, tables["concept"]), left_out, ORIGIN if origins is None else SHIFTED)


def _shifted(tables: Mapping[str, pl.DataFrame]) -> bool:
    return dates.ORIGIN in tables["cohort"].columns


def _on_dates(data: pl.DataFrame, origins: pl.DataFrame) -> pl.DataFrame:
    """Put each person's shifted index in the place of 1970-01-01."""
    beside = data.join(origins, on="subject_id", how="left", maintain_order="left")
    since = pl.col("origin").cast(_TIME) - pl.lit(0).cast(_TIME)
    return beside.with_columns(pl.col("time", "end_time") + since).drop("origin")


def _time(day: str) -> pl.Expr:
    return (pl.col(day).cast(pl.Int64) * 86_400_000_000).cast(_TIME)


@dataclass(frozen=True)
class _Words:
    """The texts that the data can hold, in the order of their bytes: rows hold places in them, and sort by places."""

    codes: pl.Enum
    tables: pl.Enum
    texts: pl.Enum
    concepts: Mapping[int, str]
    names: Mapping[int, str]

    @classmethod
    def of(cls, tables: Mapping[str, pl.DataFrame]) -> _Words:
        found = {0}
        for rows in (rows for name, rows in tables.items() if name != "concept"):
            for column in (each for each in rows.columns if each.endswith("_concept_id")):
                found |= set(rows.get_column(column).drop_nulls().unique().to_list())
        concepts = {concept: f"OMOP/{concept}" for concept in found}
        names: dict[int, str] = dict(tables["concept"].select("concept_id", "concept_name").drop_nulls().iter_rows())
        outcomes = {_outcome(name) for name in tables["outcome"].get_column("outcome").unique().to_list()}
        codes = {*concepts.values(), *outcomes, *OWN, DEATH, *(name.upper() for name in tables)}
        sorted_ = [pl.Enum(sorted(each)) for each in (codes, set(tables), set(names.values()))]
        return cls(sorted_[0], sorted_[1], sorted_[2], concepts, names)

    @property
    def empty(self) -> pl.DataFrame:
        """No row, of the columns that every data set has."""
        return pl.DataFrame(
            schema={
                "subject_id": pl.Int64, "time": _TIME, "code": self.codes, "numeric_value": pl.Float32,
                "text_value": self.texts, "table": self.tables, "end_time": _TIME, "unit": self.codes,
            }
        )  # fmt: skip

    def code(self, text: str) -> pl.Expr:
        return pl.lit(text, self.codes)

    def table(self, name: str) -> pl.Expr:
        return pl.lit(name, self.tables)

    def concept(self, column: str) -> pl.Expr:
        return pl.col(column).fill_null(0).replace_strict(self.concepts, return_dtype=self.codes)

    def person(self, rows: pl.DataFrame) -> pl.DataFrame:
        """What does not change: no time. The year of birth is not delivered, so there is no birth either."""
        facts = [
            rows.filter(pl.col(column).is_not_null()).select(
                subject_id="person_id", code=self.concept(column), table=self.table("person")
            )
            for column in rows.columns
            if column.endswith("_concept_id")
        ]
        if "age_at_index" in rows.columns:
            age = pl.col("age_at_index").cast(pl.Float32)
            known = rows.filter(age.is_not_null())
            given = {"code": self.code("AGE_AT_INDEX"), "numeric_value": age, "table": self.table("person")}
            facts.append(known.select(subject_id="person_id", **given))
        return pl.concat([self.empty, *facts], how="diagonal")

    def cohort(self, rows: pl.DataFrame) -> pl.DataFrame:
        days = {"INDEX": "index", "COHORT_END": "end_day", "OBSERVATION_START": "observation_start_day",
                "OBSERVATION_END": "observation_end_day"}  # fmt: skip
        rows = rows.with_columns(index=pl.lit(0))
        years = [self.empty]
        if "index_year" in rows.columns:
            given = {"code": self.code("INDEX_YEAR"), "numeric_value": pl.col("index_year").cast(pl.Float32)}
            known = rows.filter(pl.col("index_year").is_not_null())
            years.append(known.select(subject_id="person_id", **given, table=self.table("cohort")))
        events = pl.concat(
            rows.filter(pl.col(day).is_not_null()).select(
                subject_id="person_id", time=_time(day), code=self.code(code), table=self.table("cohort")
            )
            for code, day in days.items()
        )
        return pl.concat([*years, events], how="diagonal")

    def outcomes(self, rows: pl.DataFrame) -> pl.DataFrame:
        code = pl.concat_str(pl.lit("OUTCOME/"), "outcome").cast(self.codes)
        return rows.select(subject_id="person_id", time=_time("start_day"), code=code, table=self.table("outcome"))

    def events(self, name: str, rows: pl.DataFrame) -> pl.DataFrame:
        """One table of events: its concept is the code, what else was delivered stands in columns of its own."""
        main = f"{name.split('_', maxsplit=1)[0]}_concept_id"
        without = self.code(DEATH if name == "death" else name.upper())
        given: dict[str, pl.Expr] = {
            "subject_id": pl.col("person_id"),
            "time": _time("start_day"),
            "code": self.concept(main) if main in rows.columns else without,
            "table": self.table(name),
        }
        if "end_day" in rows.columns:
            given["end_time"] = _time("end_day")
        if "unit_concept_id" in rows.columns:
            unit = pl.col("unit_concept_id").fill_null(0)
            given["unit"] = pl.when(unit != 0).then(self.concept("unit_concept_id"))
        if "value_as_number" in rows.columns:
            given["numeric_value"] = pl.col("value_as_number").cast(pl.Float32)
        if "value_as_concept_id" in rows.columns:
            value = pl.col("value_as_concept_id")
            given["text_value"] = value.replace_strict(self.names, default=None, return_dtype=self.texts)
        used = {"person_id", "start_day", "end_day", "unit_concept_id", "value_as_number", main}
        kinds = deliverable()[name]
        for column in rows.columns:
            if column not in used | set(given):
                given[column] = pl.col(column).cast(pl.Float64 if kinds.get(column) == "number" else pl.Int64)
        return rows.select(**given)


def _outcome(name: str) -> str:
    return f"OUTCOME/{name}"


def _codes(data: pl.DataFrame, concepts: pl.DataFrame) -> pl.DataFrame:
    """Every code that occurs, units included: the standard asks for the codes of the data, and a unit is one."""
    seen = pl.concat([data.get_column("code").unique(), data.get_column("unit").drop_nulls().unique().rename("code")])
    seen = seen.cast(pl.String).unique().sort()
    known = concepts.select(
        "concept_id",
        "domain_id",
        "vocabulary_id",
        code=pl.concat_str(pl.lit("OMOP/"), pl.col("concept_id").cast(pl.String)),
        name="concept_name",
    )
    said = {code: " / ".join(say(f"extract.meds_{code.lower()}", lang) for lang in LANGS) for code in (*OWN, DEATH)}
    own = pl.DataFrame({"code": list(said), "said": list(said.values())})
    rows = seen.to_frame().join(known, on="code", how="left").join(own, on="code", how="left")
    rows = rows.with_columns(description=pl.coalesce("name", "said"))
    return rows.select("code", "description", "concept_id", "domain_id", "vocabulary_id").sort("code")
