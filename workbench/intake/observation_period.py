"""When a person is observed: as the source says, or by a stated rule. The rule is kept in the release and shown beside
every count: it decides who is counted.

- `recorded`: the periods of the source.
- `first_to_last_record`: one period a person, from the first to the last record; what a warehouse knows of somebody.
- `first_record_to_extraction`: from the first record to the day of extraction, for sources that would have known.
- `records_within_days`: periods of records no more than so many days apart, for care that comes in episodes.

All three derived ones end at death, and persons without records get none.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlglot import exp

from workbench.intake.nodes import (
    Node,
    before_this,
    below,
    both,
    call,
    cast,
    column,
    named,
    negate,
    not_null,
    number,
    over,
    scan,
    select,
    text,
    union,
    when,
)
from workbench.intake.tables import copy, ordered
from workbench.kernel.errors import InvalidInput
from workbench.repository.cdm import RECORDS, TABLES

AUTO, RECORDED = "auto", "recorded"
RULES = (AUTO, RECORDED, "first_to_last_record", "first_record_to_extraction", "records_within_days")
_TYPE = 32882
"""OMOP type concept "Standard algorithm from EHR": these periods are computed."""


@dataclass(frozen=True)
class Rule:
    """A rule that was asked for: its code (`auto`: as recorded, else from first to last record) and its days."""

    code: str = AUTO
    days: int = 0


def rule(words: str, extracted_on: str | None) -> Rule:
    """Return the rule that words name: a code of `RULES` with hyphens or underscores, the last one with `:DAYS`.

    Raises `InvalidInput` (`intake.period_rule_unknown`; `intake.period_rule_needs_day` where the day of extraction
    is needed and not given).
    """
    found = re.fullmatch(r"([a-z_]+)(?::(\d{1,5}))?", words.strip().lower().replace("-", "_"))
    code, days = (found[1], found[2]) if found else ("", None)
    if code not in RULES or (days is not None) != (code == "records_within_days"):
        raise InvalidInput(
            "intake.period_rule_unknown", rule=words, known=", ".join([*RULES[:-1], f"{RULES[-1]}:DAYS"])
        )
    if code == "first_record_to_extraction" and not extracted_on:
        raise InvalidInput("intake.period_rule_needs_day")
    return Rule(code, int(days or 0))


def derived_code(asked: Rule) -> str:
    """Return the code of the rule by which periods are derived when this one was asked for."""
    return "first_to_last_record" if asked.code == AUTO else asked.code


def used(files: Mapping[str, Path]) -> list[str]:
    """Return the tables of records by which periods are derived."""
    return [name for name in RECORDS if name in files]


def derive(
    connection: Any, files: Mapping[str, Path], into: Path, asked: Rule, extracted_on: str | None = None
) -> dict[str, Any]:
    """Write the periods that a rule derives from the release's tables `files`, at least one of them with records.

    Returns the rule and the number of periods, as the manifest keeps them.
    """
    code = derived_code(asked)
    names = used(files)
    spans = _known(_spans(files, names), files)
    if code == "records_within_days":
        spans = _islands(spans, asked.days)
    last = cast(text(extracted_on), "DATE") if code == "first_record_to_extraction" and extracted_on else None
    rows = copy(connection, ordered(_periods(spans, last), TABLES["observation_period"]), into)
    said: dict[str, Any] = {"code": code, "capped_by_death": True, "tables": names, "periods": rows}
    return {**said, "days": asked.days} if code == "records_within_days" else said


def _periods(spans: exp.Query, last: Node | None) -> exp.Select:
    """Return one period a person and island. `least` and `greatest` pass over absent values: without a death there is
    no cap, and a death before the first record caps at that record. Later islands after death are none."""
    start = call("min", column("started"))
    ended = last if last is not None else call("max", column("ended"))
    end = call("greatest", call("least", ended, call("min", column("died"))), start)
    grouped = select(
        column("person_id"),
        named(start, "observation_period_start_date"),
        named(end, "observation_period_end_date"),
        source=spans,
    ).group_by(column("person_id"), column("island"), copy=False)
    after_death = both(below(number(0), column("island")), below(call("min", column("died")), start))
    grouped = grouped.having(negate(call("coalesce", after_death, exp.Boolean(this=False))), copy=False)
    place = [column("person_id"), column("observation_period_start_date")]
    values = {
        "observation_period_id": over(call("row_number"), order=place),
        "period_type_concept_id": cast(number(_TYPE), "BIGINT"),
    }
    columns = [named(values.get(name, column(name)), name) for name in TABLES["observation_period"].names]
    return select(*columns, source=grouped)


def _islands(spans: exp.Query, days: int) -> exp.Select:
    """Number the runs of records that lie no more than `days` apart, from 0."""
    order = [column("started"), column("ended")]
    before = before_this(call("max", column("ended")), [column("person_id")], order)
    seen = select(exp.Star(), named(before, "before"), source=spans)
    far = exp.GT(this=exp.Sub(this=column("started"), expression=column("before")), expression=number(days))
    breaks = select(exp.Star(), named(when(far, number(1)), "breaks"), source=seen)
    island = over(call("count", column("breaks")), [column("person_id")], order)
    fields = [column(name) for name in ("person_id", "started", "ended", "died")]
    return select(*fields, named(island, "island"), source=breaks)


def _known(spans: exp.Query, files: Mapping[str, Path]) -> exp.Select:
    """Return the spans of the persons that the release knows, with the day of their death."""
    died = over(call("min", column("death")), [column("person_id")])
    persons = exp.Subquery(this=select(column("person_id"), source=scan("read_parquet", files["person"])))
    whose = exp.In(this=column("person_id"), query=persons)
    fields = (column("person_id"), column("started"), column("ended"), named(died, "died"), named(number(0), "island"))
    return select(*fields, source=spans, where=whose)


def _spans(files: Mapping[str, Path], names: list[str]) -> exp.Query:
    """Return who was seen when, one row a record."""
    queries: list[exp.Query] = []
    for name in names:
        model = TABLES[name]
        start = column(str(model.start_date))
        end = call("coalesce", column(model.end_date), start) if model.end_date else start
        death = start if name == "death" else cast(exp.Null(), "DATE")
        fields = {"started": start, "ended": call("greatest", end, start), "death": death}
        columns = [column("person_id"), *(named(value, each) for each, value in fields.items())]
        queries.append(select(*columns, source=scan("read_parquet", files[name]), where=both(not_null(start))))
    return union(queries)
