"""When a person is observed: as the source says, or by a stated rule where it says nothing. The rule is kept in the
release and shown beside every count: it decides who is counted."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sqlglot import exp

from workbench.intake.nodes import both, call, cast, column, named, not_null, number, scan, select, when
from workbench.intake.tables import copy, ordered
from workbench.repository.cdm import RECORDS, TABLES

AS_RECORDED = {"code": "as_recorded"}
_TYPE = 32882
"""OMOP type concept "Standard algorithm from EHR": these periods are computed."""


def derive(connection: Any, files: Mapping[str, Path], into: Path) -> dict[str, Any]:
    """Write one period a person: first to last record, capped by death; persons without records get none.

    `files` are the release's tables, at least one of them with records. Returns the rule and the number of periods, as
    the manifest keeps them.
    """
    used = [name for name in RECORDS if name in files]
    model = TABLES["observation_period"]
    rows = copy(connection, ordered(_periods(_spans(files, used)), model), into)
    return {"code": "first_to_last_record", "capped_by_death": True, "tables": used, "periods": rows}


def _periods(spans: exp.Query) -> exp.Select:
    """Return one period a person from who was seen when. `least` and `greatest` pass over absent values."""
    start = call("min", column("started"))
    died = call("min", when(column("died"), column("started")))
    end = call("greatest", call("least", call("max", column("ended")), died), start)
    number_of = exp.Window(this=call("row_number"), order=exp.Order(expressions=[column("person_id")]))
    values = {
        "observation_period_id": number_of,
        "person_id": column("person_id"),
        "observation_period_start_date": start,
        "observation_period_end_date": end,
        "period_type_concept_id": cast(number(_TYPE), "BIGINT"),
    }
    columns = [named(values[name], name) for name in TABLES["observation_period"].names]
    return select(*columns, source=spans, group=column("person_id"))


def _spans(files: Mapping[str, Path], used: list[str]) -> exp.Query:
    """Return who was seen when, one row a record, of the persons that the release knows."""
    known = select(column("person_id"), source=scan("read_parquet", files["person"]))
    queries: list[exp.Query] = []
    for name in used:
        model = TABLES[name]
        start = column(str(model.start_date))
        end = call("coalesce", column(model.end_date), start) if model.end_date else start
        query = select(
            column("person_id"),
            named(start, "started"),
            named(call("greatest", end, start), "ended"),
            named(exp.Boolean(this=name == "death"), "died"),
            source=scan("read_parquet", files[name]),
            where=both(not_null(start), exp.In(this=column("person_id"), query=exp.Subquery(this=known))),
        )
        queries.append(query)
    result = queries[0]
    for query in queries[1:]:
        result = exp.Union(this=result, expression=query, distinct=False)
    return result
