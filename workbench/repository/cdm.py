"""The OMOP Common Data Model 5.4 as typed values, read from `cdm54.toml`."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files
from itertools import pairwise
from types import MappingProxyType
from typing import Any

CDM_VERSION = "5.4"

SQL_TYPES: Mapping[str, str] = MappingProxyType(
    {"integer": "BIGINT", "number": "DOUBLE", "text": "VARCHAR", "date": "DATE", "datetime": "TIMESTAMP"}
)
"""The one type that a release stores for each type of the model: no width, no length, no time zone."""


@dataclass(frozen=True)
class Field:
    """A column of the model. `type` is a key of `SQL_TYPES`; `references` names the table whose key it holds;
    `after` names the column of the same table before which it cannot lie."""

    name: str
    type: str
    required: bool = False
    key: bool = False
    references: str | None = None
    after: str | None = None

    @property
    def sql_type(self) -> str:
        """The SQL type that a release stores."""
        return SQL_TYPES[self.type]


@dataclass(frozen=True)
class Table:
    """A table of the model: its columns in the order in which a release stores them."""

    name: str
    fields: tuple[Field, ...]
    record: bool
    """True where a row is a record of care, with its start date."""

    @cached_property
    def by_name(self) -> Mapping[str, Field]:
        """Columns by name."""
        return MappingProxyType({field.name: field for field in self.fields})

    @property
    def names(self) -> tuple[str, ...]:
        """Column names, in order."""
        return tuple(field.name for field in self.fields)

    @property
    def known_names(self) -> tuple[str, ...]:
        """Column names of CDM 5.4, and those of 5.3 that it renamed."""
        return (*self.names, *RENAMED.get(self.name, {}))

    @property
    def key(self) -> str | None:
        """The primary key's column, if the model gives the table one."""
        return next((field.name for field in self.fields if field.key), None)

    @property
    def has_person(self) -> bool:
        """True where each row belongs to a person."""
        return "person_id" in self.by_name

    @property
    def start_date(self) -> str | None:
        """The required date on which a row happens or starts, if it has one."""
        dates = (field for field in self.fields if field.type == "date" and field.required and not field.after)
        return next((field.name for field in dates), None)

    @property
    def end_date(self) -> str | None:
        """The date on which a row ends, where the model has one."""
        start = self.start_date
        return next((field.name for field in self.fields if start and field.after == start), None)

    @property
    def essential(self) -> frozenset[str]:
        """The columns without which a row cannot be placed: its id, whose it is, when it began; or, in a table that
        only links, what it links. Other values that the model requires may lack: quality checks count them."""
        placing = {self.key, *(("person_id", self.start_date) if self.has_person else ())}
        linking = {
            field.name for field in self.fields if field.required and field.type == "integer" and field.references
        }
        return frozenset(name for name in placing if name) or frozenset(linking if len(linking) > 1 else ())

    @property
    def order(self) -> tuple[str, ...]:
        """The columns by which a release sorts the table: person, then key; where it has no key, all others follow."""
        first = [name for name in ("person_id", self.key) if name and name in self.by_name]
        return tuple(first) if self.key else tuple(dict.fromkeys([*first, *self.names]))

    @property
    def standard_concept(self) -> str | None:
        """The column that says what was recorded, as a standard concept (0: not mapped)."""
        if not self.has_person:
            return None
        stem = self.name.removesuffix("_occurrence").removesuffix("_exposure").removesuffix("_era")
        name = f"{stem}_concept_id"
        return name if name in self.by_name else None


def _field(name: str, text: str) -> Field:
    words = text.split()
    following = dict(pairwise(words))
    return Field(name, words[0], "required" in words, "key" in words, following.get("->"), following.get("after"))


def _read() -> tuple[Mapping[str, Table], Mapping[str, Mapping[str, str]]]:
    source = files("workbench.repository").joinpath("cdm54.toml").read_text(encoding="utf-8")
    content: dict[str, Any] = tomllib.loads(source)
    tables = {
        name: Table(name, tuple(_field(*item) for item in fields.items()), name in content["records"])
        for name, fields in content["tables"].items()
    }
    return MappingProxyType(tables), MappingProxyType(content["renamed"])


TABLES, RENAMED = _read()
"""`TABLES`: every table of CDM 5.4 by name. `RENAMED`: table → name in CDM 5.3 → name in CDM 5.4."""

RECORDS: tuple[str, ...] = tuple(name for name, table in TABLES.items() if table.record)
"""The tables whose rows are records of care."""

REFERRED: frozenset[str] = frozenset(
    field.references for table in TABLES.values() for field in table.fields if field.references
)
"""The tables that others refer to by their key: two rows of one key there leave open which one is meant."""

VOCABULARY: tuple[str, ...] = (
    "concept", "concept_ancestor", "concept_class", "concept_relationship", "concept_synonym", "domain",
    "drug_strength", "relationship", "source_to_concept_map", "vocabulary",
)  # fmt: skip
"""The tables of the vocabulary: they hold concepts, and no row of them belongs to a person."""
